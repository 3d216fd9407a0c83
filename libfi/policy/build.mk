# libfi/policy: sources, the rooms it may use, the libraries it needs.
policy_SRCS := 
policy_DEPS := base
policy_LIBS := 
