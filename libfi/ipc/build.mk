# libfi/ipc: sources, the rooms it may use, the libraries it needs.
ipc_SRCS := conn.c parse.c build.c shared.c path.c client.c infer.c usdt.c
ipc_DEPS := base
ipc_LIBS := -ljansson
