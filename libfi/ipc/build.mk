# libfi/ipc: sources, the rooms it may use, the libraries it needs.
ipc_SRCS := 
ipc_DEPS := base
ipc_LIBS := 
