# libfi/base: sources, the rooms it may use, the libraries it needs.
base_SRCS := diag.c arena.c bytes.c file.c text.c tensor.c
base_DEPS := 
base_LIBS := -lxxhash -lm
