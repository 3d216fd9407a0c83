# libfi/pack: sources, the rooms it may use, the libraries it needs.
pack_SRCS := names.c header.c read.c write.c content.c
pack_DEPS := plan graph base
pack_LIBS := -ljansson -lxxhash
