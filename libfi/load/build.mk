# libfi/load: sources, the rooms it may use, the libraries it needs.
load_SRCS := 
load_DEPS := device base
load_LIBS := -luring
