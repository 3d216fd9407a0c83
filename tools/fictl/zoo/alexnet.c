/* SPDX-License-Identifier: MIT */
/* fictl/zoo: AlexNet (Krizhevsky, arXiv 1404.5997), as torchvision writes it. */
#include "tools/fictl/zoo/build.h"

#define GAIN 1.7f /* after a ReLU */

/* The convolutions by their place in nn.Sequential; a pool follows some. */
static const struct {
	uint32_t at, channels, kernel, stride, pad;
	bool pool;
} rows[] = {
	{0, 64, 11, 4, 2, true},  {3, 192, 5, 1, 2, true},  {6, 384, 3, 1, 1, false},
	{8, 256, 3, 1, 1, false}, {10, 256, 3, 1, 1, true},
};

void zoo_alexnet(struct zoo *z)
{
	struct zoo_map x = zoo_input(z, 3, 224);

	for (unsigned r = 0; r < FINF_ARRAY_LEN(rows); r++) {
		struct zoo_conv conv = {rows[r].channels, rows[r].kernel, rows[r].stride,
					rows[r].pad, .bias = true, .gain = r ? GAIN : 1};

		x = zoo_relu(z, zoo_conv(z, x, zoo_text(z, "features.%u", rows[r].at), conv));
		if (rows[r].pool)
			x = zoo_max_pool(z, x, (struct zoo_pool){3, 2, 0, false});
	}
	x = zoo_flatten(z, zoo_same_pool(z, x));
	x = zoo_relu(z, zoo_linear(z, x, "classifier.1", 4096, GAIN));
	x = zoo_relu(z, zoo_linear(z, x, "classifier.4", 4096, GAIN));
	zoo_output(z, zoo_linear(z, x, "classifier.6", 1000, GAIN));
}
