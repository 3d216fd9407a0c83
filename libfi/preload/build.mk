# libfi/preload: sources of libfi-preload.so, a leaf that needs only libc.
preload_SRCS := capture.c gate.c hook.c memory.c real.c session.c swap.c wrap.c
