/* SPDX-License-Identifier: MIT */
/* fictl/zoo: the list of networks. Another one is a row here and a file. */
#include <errno.h>
#include <string.h>

#include "tools/fictl/zoo/build.h"
#include "tools/fictl/zoo/weights.h"
#include "tools/fictl/zoo/zoo.h"

static const struct {
	const char *name;
	uint32_t opset; /* of the export it copies */
	void (*build)(struct zoo *z);
} networks[] = {
	{"resnet18", 13, zoo_resnet18},
	{"mobilenet_v2", 13, zoo_mobilenet_v2},
	{"squeezenet1_1", 11, zoo_squeezenet1_1},
	{"vgg16", 13, zoo_vgg16},
	{"cifar_resnet18", 13, zoo_cifar_resnet18},
	{"cifar_vgg16", 13, zoo_cifar_vgg16},
	{"resnet50", 11, zoo_resnet50},
	{"alexnet", 13, zoo_alexnet},
	{"densenet121", 11, zoo_densenet121},
	{"googlenet", 13, zoo_googlenet},
	{"text_cnn", 11, zoo_text_cnn},
	{"bert_mini", 13, zoo_bert_mini},
};

const char *zoo_name(unsigned i)
{
	return i < FINF_ARRAY_LEN(networks) ? networks[i].name : NULL;
}

/* The last matrix or filters of the network, filled anew. */
static void change_head(struct zoo *z, uint64_t head)
{
	for (size_t i = z->graph.n_initializer; i-- > 0;) {
		Onnx__TensorProto *t = z->graph.initializer[i];
		size_t count = t->raw_data.len / sizeof(float);

		if (t->data_type != FINF_F32 || t->n_dims < 2)
			continue;
		weights_filters((float *)(void *)t->raw_data.data, (size_t)t->dims[0],
				count / (size_t)t->dims[0], 1,
				finf_hash64(t->name, strlen(t->name)) ^ z->seed ^
					finf_hash64(&head, sizeof(head)));
		return;
	}
}

int zoo_write(const char *name, uint64_t seed, const char *path, struct finf_diag *diag)
{
	return zoo_write_variant(name, seed, 0, path, diag);
}

int zoo_write_variant(const char *name, uint64_t seed, uint64_t head, const char *path,
		      struct finf_diag *diag)
{
	struct zoo z;
	int err;

	for (unsigned i = 0; i < FINF_ARRAY_LEN(networks); i++) {
		if (strcmp(networks[i].name, name))
			continue;
		zoo_begin(&z, name, networks[i].opset, seed);
		networks[i].build(&z);
		if (head)
			change_head(&z, head);
		err = zoo_end(&z, path, diag);
		zoo_free(&z);
		return err;
	}
	return finf_diag_set(diag, -ENOENT, "no network '%.100s' in the zoo", name);
}
