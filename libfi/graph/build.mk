# libfi/graph: sources, the rooms it may use, the libraries it needs.
# A row of the operator table names its file: FINF_OP(conv) is op/conv.c.
graph_SRCS := graph.c attr.c sort.c verify.c infer.c copy.c member.c serial.c op.c program.c window.c \
	op/along.c op/arith.c op/compute.c op/indexed.c op/move.c op/quantize.c op/reduce.c op/resample.c \
	op/unary.c \
	$(shell sed -n 's|^FINF_OP(\(.*\))$$|op/\1.c|p' libfi/graph/op/table.def)
graph_DEPS := base
graph_LIBS := -lm
# Wide loops of the reference convolution: a whole network runs through it in tests.
CFLAGS_libfi_graph_op_conv := -O3
# And of the casts at the edges of a model in half precision.
CFLAGS_libfi_graph_op_cast := -O3
