# libfi/graph: sources, the rooms it may use, the libraries it needs.
graph_SRCS := 
graph_DEPS := base
graph_LIBS := -lm
