/* SPDX-License-Identifier: MIT */
/* fictl/zoo: DenseNet-121 (Huang et al., CVPR 2017), as torchvision writes it. */
#include "tools/fictl/zoo/build.h"

#define GAIN   1.5f /* after a ReLU */
#define GROWTH 32u
#define LAYERS_MAX 24

static const uint32_t blocks[] = {6, 12, LAYERS_MAX, 16};

static struct zoo_map norm_relu_conv(struct zoo *z, struct zoo_map x, const char *name,
				     const char *norm, const char *conv, struct zoo_conv how)
{
	x = zoo_relu(z, zoo_norm(z, x, zoo_text(z, "%s.%s", name, norm), 1));
	return zoo_conv(z, x, zoo_text(z, "%s.%s", name, conv), how);
}

/* Every layer reads what all layers before it in the block have made. */
static struct zoo_map block(struct zoo *z, struct zoo_map x, uint32_t number, uint32_t layers)
{
	struct zoo_conv narrow = {4 * GROWTH, 1, 1, 0, .gain = GAIN};
	struct zoo_conv grow = {GROWTH, 3, 1, 1, .gain = GAIN};
	struct zoo_map made[LAYERS_MAX + 1] = {x};

	for (uint32_t i = 1; i <= layers; i++) {
		const char *name = zoo_text(z, "features.denseblock%u.denselayer%u", number, i);

		x = zoo_concat(z, made, i);
		x = norm_relu_conv(z, x, name, "norm1", "conv1", narrow);
		made[i] = norm_relu_conv(z, x, name, "norm2", "conv2", grow);
	}
	return zoo_concat(z, made, layers + 1);
}

void zoo_densenet121(struct zoo *z)
{
	struct zoo_conv stem = {2 * GROWTH, 7, 2, 3, .gain = 1};
	struct zoo_map x = zoo_conv(z, zoo_input(z, 3, 224), "features.conv0", stem);

	x = zoo_relu(z, zoo_norm(z, x, "features.norm0", 1));
	x = zoo_max_pool(z, x, (struct zoo_pool){3, 2, 1, false});
	for (uint32_t b = 1; b <= FINF_ARRAY_LEN(blocks); b++) {
		struct zoo_conv half = {.kernel = 1, .stride = 1, .gain = GAIN};

		x = block(z, x, b, blocks[b - 1]);
		if (b == FINF_ARRAY_LEN(blocks))
			break;
		half.channels = x.channels / 2;
		x = norm_relu_conv(z, x, zoo_text(z, "features.transition%u", b), "norm", "conv",
				   half);
		x = zoo_avg_pool(z, x, 2);
	}
	x = zoo_relu(z, zoo_norm(z, x, "features.norm5", 1));
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, "classifier", 1000, GAIN));
}
