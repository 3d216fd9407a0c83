/* SPDX-License-Identifier: MIT */
/* fictl/zoo: SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360), as torchvision writes it. */
#include "tools/fictl/zoo/build.h"

#define GAIN 1.7f /* after a ReLU */

static struct zoo_map conv_relu(struct zoo *z, struct zoo_map x, const char *name,
				uint32_t channels, uint32_t kernel)
{
	struct zoo_conv conv = {channels, kernel, 1, kernel / 2, .bias = true, .gain = GAIN};

	return zoo_relu(z, zoo_conv(z, x, name, conv));
}

static struct zoo_map fire(struct zoo *z, struct zoo_map x, const char *name, uint32_t squeeze,
			   uint32_t expand)
{
	struct zoo_map one, three;

	x = conv_relu(z, x, zoo_text(z, "%s.squeeze", name), squeeze, 1);
	one = conv_relu(z, x, zoo_text(z, "%s.expand1x1", name), expand, 1);
	three = conv_relu(z, x, zoo_text(z, "%s.expand3x3", name), expand, 3);
	return zoo_concat(z, (struct zoo_map[]){one, three}, 2);
}

void zoo_squeezenet1_1(struct zoo *z)
{
	/* squeeze, expand; a pool stands before the first, third and fifth */
	static const uint32_t fires[][2] = {
		{16, 64},  {16, 64},  {32, 128}, {32, 128},
		{48, 192}, {48, 192}, {64, 256}, {64, 256},
	};
	struct zoo_conv stem = {64, 3, 2, 0, .bias = true, .gain = 1};
	struct zoo_map x = zoo_input(z, 3, 224);
	uint32_t at = 2;

	x = zoo_relu(z, zoo_conv(z, x, "features.0", stem));
	for (unsigned i = 0; i < FINF_ARRAY_LEN(fires); i++) {
		if (i % 2 == 0 && i <= 4) {
			x = zoo_max_pool(z, x, (struct zoo_pool){3, 2, 0, true});
			at++;
		}
		x = fire(z, x, zoo_text(z, "features.%u", at++), fires[i][0], fires[i][1]);
	}
	x = conv_relu(z, x, "classifier.1", 1000, 1);
	zoo_output(z, zoo_flatten(z, zoo_global_pool(z, x)));
}
