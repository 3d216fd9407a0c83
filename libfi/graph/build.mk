# libfi/graph: sources, the rooms it may use, the libraries it needs.
# A row of the operator table names its file: FINF_OP(conv) is op/conv.c.
graph_SRCS := graph.c attr.c sort.c op.c window.c \
	$(shell sed -n 's|^FINF_OP(\(.*\))$$|op/\1.c|p' libfi/graph/op/table.def)
graph_DEPS := base
graph_LIBS := -lm
