# libfi/policy: sources, the rooms it may use, the libraries it needs.
policy_SRCS := policy.c event.c pump.c model.c slots.c heap.c evict.c evict_lru.c prefetch.c predict.c predict_chain.c \
	predict_interval.c fast.c text.c record.c trace.c resim.c check.c
policy_DEPS := base
policy_LIBS := 
