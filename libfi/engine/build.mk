# libfi/engine: sources, the rooms it may use, the libraries it needs.
engine_SRCS := 
engine_DEPS := import fuse plan pack load mem exec device graph base
engine_LIBS := 
