# libfi/fuse: sources, the rooms it may use, the libraries it needs.
fuse_SRCS := 
fuse_DEPS := graph base
fuse_LIBS := 
