/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo/build - layers, one call each, appended to an ONNX graph in memory.
 * Node attributes and initialiser names are those of PyTorch's exporter, so
 * that weights of a real export fit by name.
 */
#ifndef FICTL_ZOO_BUILD_H
#define FICTL_ZOO_BUILD_H

#include <onnx.pb-c.h>

#include "base/base.h"

/* A feature map or vector: what layers take and return. */
struct zoo_map {
	const char *name;
	uint32_t channels;
	uint32_t size; /* height and width; 1 for vectors */
};

struct zoo {
	struct finf_arena arena; /* owned: everything below */
	Onnx__ModelProto model;
	Onnx__GraphProto graph;
	uint64_t seed;
	/* Tests on slow devices; both 0 = as the network is. */
	uint32_t narrow; /* channels of each convolution are divided by it; not with groups */
	uint32_t side;	 /* of the input */
};

struct zoo_conv {
	uint32_t channels, kernel, stride, pad;
	uint32_t groups; /* 0 = 1 */
	bool bias;
	float gain; /* standard deviation of the output for inputs of variance 1 */
};

struct zoo_pool {
	uint32_t kernel, stride, pad;
	bool ceil;
};

void zoo_begin(struct zoo *z, const char *name, uint32_t opset, uint64_t seed);
/** Write the model. Return: 0 or -errno. */
int zoo_end(struct zoo *z, const char *path, struct finf_diag *diag);
void zoo_free(struct zoo *z);

/** "a.b" and friends, in the zoo's memory. */
const char *zoo_text(struct zoo *z, const char *fmt, ...) FINF_PRINTF(2, 3);

struct zoo_map zoo_input(struct zoo *z, uint32_t channels, uint32_t size);
void zoo_output(struct zoo *z, struct zoo_map x);
/* @name: the module; its parameters are NAME.weight, NAME.bias and so on. */
struct zoo_map zoo_conv(struct zoo *z, struct zoo_map x, const char *name, struct zoo_conv conv);
struct zoo_map zoo_norm(struct zoo *z, struct zoo_map x, const char *name, float gain);
struct zoo_map zoo_norm_eps(struct zoo *z, struct zoo_map x, const char *name, float gain,
			    float epsilon);
struct zoo_map zoo_linear(struct zoo *z, struct zoo_map x, const char *name, uint32_t out,
			  float gain);
struct zoo_map zoo_relu(struct zoo *z, struct zoo_map x);
struct zoo_map zoo_relu6(struct zoo *z, struct zoo_map x);
struct zoo_map zoo_add(struct zoo *z, struct zoo_map a, struct zoo_map b);
struct zoo_map zoo_concat(struct zoo *z, const struct zoo_map *maps, unsigned n);
struct zoo_map zoo_max_pool(struct zoo *z, struct zoo_map x, struct zoo_pool pool);
/* F.avg_pool2d: the exporter writes a Pad of nothing in front of it. */
struct zoo_map zoo_avg_pool(struct zoo *z, struct zoo_map x, uint32_t kernel);
/* An adaptive pool to the size that is there already. */
struct zoo_map zoo_same_pool(struct zoo *z, struct zoo_map x);
struct zoo_map zoo_global_pool(struct zoo *z, struct zoo_map x);
struct zoo_map zoo_flatten(struct zoo *z, struct zoo_map x);
/* x.view(1, -1) */
struct zoo_map zoo_view(struct zoo *z, struct zoo_map x);

/* The networks: a file for each family. They take the model from its inputs to its outputs. */
void zoo_resnet18(struct zoo *z);
void zoo_resnet50(struct zoo *z);
void zoo_cifar_resnet18(struct zoo *z);
void zoo_vgg16(struct zoo *z);
void zoo_cifar_vgg16(struct zoo *z);
void zoo_mobilenet_v2(struct zoo *z);
void zoo_squeezenet1_1(struct zoo *z);
void zoo_alexnet(struct zoo *z);
void zoo_densenet121(struct zoo *z);
void zoo_googlenet(struct zoo *z);
void zoo_text_cnn(struct zoo *z);
void zoo_bert_mini(struct zoo *z);

#endif
