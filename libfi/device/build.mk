# libfi/device: sources, the rooms it may use, the libraries it needs.
device_SRCS := device.c host/host.c host/pool.c host/layout.c host/site.c host/forms.c \
	host/build_conv.c host/build_matrix.c host/build_pool.c host/build_element.c \
	host/build_other.c host/kernel.c host/ref.c host/onednn.c cuda/driver.c
device_DEPS := graph base
device_LIBS := -ldnnl -lgomp
