# libfi/import: sources, the rooms it may use, the libraries it needs.
import_SRCS := scan.c tensor.c external.c attr.c function.c model.c
import_DEPS := graph base
import_LIBS := -lprotobuf-c
import_GEN_OBJS := onnx.pb-c.o
