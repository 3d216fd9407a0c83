# libfi/mem: sources, the rooms it may use, the libraries it needs.
mem_SRCS := mem.c compact.c
mem_DEPS := device base
mem_LIBS := 
