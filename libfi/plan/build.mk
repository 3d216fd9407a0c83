# libfi/plan: sources, the rooms it may use, the libraries it needs.
plan_SRCS := 
plan_DEPS := graph base
plan_LIBS := 
