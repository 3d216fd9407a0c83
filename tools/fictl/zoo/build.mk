# tools/fictl/zoo: sources, for fictl and for the tests that write networks.
zoo_SRCS := zoo.c message.c layers.c weights.c resnet.c vgg.c mobilenet.c squeezenet.c \
	alexnet.c densenet.c googlenet.c text.c bert.c
zoo_OBJS := $(zoo_SRCS:%.c=$(BUILD)/tools/fictl/zoo/%.o)
