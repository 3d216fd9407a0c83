# libfi/plan: sources, the rooms it may use, the libraries it needs.
plan_SRCS := new.c branch.c emit.c join.c place.c live.c extent.c parts.c check.c order.c lanes.c side.c cost.c wire.c
plan_DEPS := graph base
plan_LIBS := 
