# tools/fictl/zoo: sources, for fictl and for the tests that write networks.
zoo_SRCS := zoo.c build.c weights.c resnet.c vgg.c mobilenet.c squeezenet.c
zoo_OBJS := $(zoo_SRCS:%.c=$(BUILD)/tools/fictl/zoo/%.o)
