# libfi/fuse: sources, the rooms it may use, the libraries it needs.
fuse_SRCS := fuse.c rewrite.c dead.c constants.c identity.c convbn.c convscale.c layernorm.c \
	gelu.c hardswish.c bias.c matmul.c attention.c residual.c activation.c chain.c merge.c key.c rows.c batch.c
fuse_DEPS := graph base
fuse_LIBS := -lm
