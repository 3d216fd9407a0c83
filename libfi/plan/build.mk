# libfi/plan: sources, the rooms it may use, the libraries it needs.
plan_SRCS := new.c branch.c emit.c place.c extent.c check.c order.c wire.c
plan_DEPS := graph base
plan_LIBS := 
