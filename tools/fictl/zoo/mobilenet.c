/* SPDX-License-Identifier: MIT */
/* fictl/zoo: MobileNetV2 (Sandler et al., CVPR 2018), as torchvision writes it. */
#include "tools/fictl/zoo/build.h"

#define GAIN   1.7f /* after a ReLU6 */
#define BRANCH 0.4f

/* Table 2 of the paper: expansion, output channels, repeats, first stride. */
static const struct {
	uint32_t expand, channels, repeat, stride;
} rows[] = {
	{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
	{6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
};

/* Module NAME with a convolution .0, a normalisation .1 and ReLU6. */
static struct zoo_map conv_relu6(struct zoo *z, struct zoo_map x, const char *name,
				 struct zoo_conv conv)
{
	x = zoo_conv(z, x, zoo_text(z, "%s.0", name), conv);
	return zoo_relu6(z, zoo_norm(z, x, zoo_text(z, "%s.1", name), 1));
}

static struct zoo_map inverted(struct zoo *z, struct zoo_map x, const char *name, uint32_t expand,
			       uint32_t channels, uint32_t stride)
{
	bool residual = stride == 1 && x.channels == channels;
	struct zoo_conv wide = {x.channels * expand, 1, 1, 0, .gain = 1};
	struct zoo_conv deep = {wide.channels, 3, stride, 1, .groups = wide.channels, .gain = GAIN};
	struct zoo_conv narrow = {channels, 1, 1, 0, .gain = GAIN};
	struct zoo_map y = x;
	uint32_t at = 0;

	if (expand != 1)
		y = conv_relu6(z, y, zoo_text(z, "%s.conv.%u", name, at++), wide);
	y = conv_relu6(z, y, zoo_text(z, "%s.conv.%u", name, at++), deep);
	y = zoo_conv(z, y, zoo_text(z, "%s.conv.%u", name, at), narrow);
	y = zoo_norm(z, y, zoo_text(z, "%s.conv.%u", name, at + 1), residual ? BRANCH : 1);
	return residual ? zoo_add(z, x, y) : y;
}

void zoo_mobilenet_v2(struct zoo *z)
{
	struct zoo_conv stem = {32, 3, 2, 1, .gain = 1}, last = {1280, 1, 1, 0, .gain = 1};
	struct zoo_map x = zoo_input(z, 3, 224);
	uint32_t at = 1;

	x = conv_relu6(z, x, "features.0", stem);
	for (unsigned r = 0; r < FINF_ARRAY_LEN(rows); r++)
		for (uint32_t i = 0; i < rows[r].repeat; i++)
			x = inverted(z, x, zoo_text(z, "features.%u", at++), rows[r].expand,
				     rows[r].channels, i ? 1 : rows[r].stride);
	x = conv_relu6(z, x, zoo_text(z, "features.%u", at), last);
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, "classifier.1", 1000, GAIN));
}
