# libfi/pack: sources, the rooms it may use, the libraries it needs.
pack_SRCS := 
pack_DEPS := plan graph base
pack_LIBS := -ljansson
