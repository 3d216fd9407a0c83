/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo: VGG16 (Simonyan and Zisserman, ICLR 2015), as torchvision writes
 * it for 224x224 (dropout gone, it does nothing in inference) and as the CIFAR
 * variant with batch normalisation and one linear layer.
 */
#include "tools/fictl/zoo/build.h"

#define GAIN 1.7f /* after a ReLU */

static const struct {
	uint32_t channels, repeat;
} stages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};

/* The thirteen convolutions; modules are numbered as in nn.Sequential. */
static struct zoo_map body(struct zoo *z, struct zoo_map x, const char *name, bool norm)
{
	uint32_t at = 0;

	for (unsigned s = 0; s < FINF_ARRAY_LEN(stages); s++) {
		for (uint32_t i = 0; i < stages[s].repeat; i++) {
			struct zoo_conv conv = {stages[s].channels,   3, 1, 1, .bias = true,
						.gain = at ? GAIN : 1};

			x = zoo_conv(z, x, zoo_text(z, "%s.%u", name, at++), conv);
			if (norm)
				x = zoo_norm(z, x, zoo_text(z, "%s.%u", name, at++), 1);
			x = zoo_relu(z, x);
			at++;
		}
		x = zoo_max_pool(z, x, (struct zoo_pool){2, 2, 0, false});
		at++;
	}
	return x;
}

void zoo_vgg16(struct zoo *z)
{
	struct zoo_map x = body(z, zoo_input(z, 3, 224), "features", false);

	x = zoo_flatten(z, zoo_same_pool(z, x));
	x = zoo_relu(z, zoo_linear(z, x, "classifier.0", 4096, GAIN));
	x = zoo_relu(z, zoo_linear(z, x, "classifier.3", 4096, GAIN));
	zoo_output(z, zoo_linear(z, x, "classifier.6", 1000, GAIN));
}

void zoo_cifar_vgg16(struct zoo *z)
{
	struct zoo_map x = body(z, zoo_input(z, 3, 32), "body", true);

	x = zoo_flatten(z, zoo_avg_pool(z, x, 1));
	zoo_output(z, zoo_linear(z, x, "head", 10, GAIN));
}
