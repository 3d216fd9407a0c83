# libfi/device: sources, the rooms it may use, the libraries it needs.
device_SRCS := 
device_DEPS := graph base
device_LIBS := -ldnnl
