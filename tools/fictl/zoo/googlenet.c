/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo: GoogLeNet (Szegedy et al., CVPR 2015), as torchvision writes it:
 * with batch normalisation, 3x3 in place of 5x5, and the input's channels
 * brought from one normalisation to another.
 */
#include "tools/fictl/zoo/message.h"

#define GAIN 1.5f /* after a ReLU */

/* Output channels: 1x1; 3x3 and its 1x1; "5x5" and its 1x1; after the pool. */
static const struct inception {
	const char *name;
	uint32_t one, three_in, three, five_in, five, pool;
	struct zoo_pool then; /* kernel 0 = none */
} rows[] = {
	{"inception3a", 64, 96, 128, 16, 32, 32, {0}},
	{"inception3b", 128, 128, 192, 32, 96, 64, {3, 2, 0, true}},
	{"inception4a", 192, 96, 208, 16, 48, 64, {0}},
	{"inception4b", 160, 112, 224, 24, 64, 64, {0}},
	{"inception4c", 128, 128, 256, 24, 64, 64, {0}},
	{"inception4d", 112, 144, 288, 32, 64, 64, {0}},
	{"inception4e", 256, 160, 320, 32, 128, 128, {2, 2, 0, true}},
	{"inception5a", 256, 160, 320, 32, 128, 128, {0}},
	{"inception5b", 384, 192, 384, 48, 128, 128, {0}},
};

static const struct {
	float scale, shift;
} channels[] = {{0.458f, -0.030f}, {0.448f, -0.088f}, {0.450f, -0.188f}};

/* x[:, c] * scale + shift */
static struct zoo_map one_channel(struct zoo *z, struct zoo_map x, uint32_t c, const char *index)
{
	static const int64_t axis = 1;
	Onnx__NodeProto *n = zoo_node(z, "Gather", x.name);
	const char *axes, *number;

	zoo_node_input(z, n, index);
	zoo_attr_int(z, n, "axis", axis);
	axes = zoo_list(z, 1, &axis);
	n = zoo_node(z, "Unsqueeze", n->output[0]);
	zoo_node_input(z, n, axes);
	number = zoo_float(z, channels[c].scale);
	n = zoo_node(z, "Mul", n->output[0]);
	zoo_node_input(z, n, number);
	number = zoo_float(z, channels[c].shift);
	n = zoo_node(z, "Add", n->output[0]);
	zoo_node_input(z, n, number);
	return (struct zoo_map){n->output[0], 1, x.size};
}

static struct zoo_map conv(struct zoo *z, struct zoo_map x, const char *name, struct zoo_conv how)
{
	how.pad = how.kernel / 2;
	x = zoo_conv(z, x, zoo_text(z, "%s.conv", name), how);
	return zoo_relu(z, zoo_norm_eps(z, x, zoo_text(z, "%s.bn", name), 1, 1e-3f));
}

static struct zoo_map conv1(struct zoo *z, struct zoo_map x, const char *name, uint32_t out)
{
	return conv(z, x, name, (struct zoo_conv){out, 1, 1, .gain = GAIN});
}

static struct zoo_map conv3(struct zoo *z, struct zoo_map x, const char *name, uint32_t out)
{
	return conv(z, x, name, (struct zoo_conv){out, 3, 1, .gain = GAIN});
}

static struct zoo_map inception(struct zoo *z, struct zoo_map x, const struct inception *row)
{
	struct zoo_map made[4];

	made[0] = conv1(z, x, zoo_text(z, "%s.branch1", row->name), row->one);
	made[1] = conv1(z, x, zoo_text(z, "%s.branch2.0", row->name), row->three_in);
	made[1] = conv3(z, made[1], zoo_text(z, "%s.branch2.1", row->name), row->three);
	made[2] = conv1(z, x, zoo_text(z, "%s.branch3.0", row->name), row->five_in);
	made[2] = conv3(z, made[2], zoo_text(z, "%s.branch3.1", row->name), row->five);
	made[3] = zoo_max_pool(z, x, (struct zoo_pool){3, 1, 1, true});
	made[3] = conv1(z, made[3], zoo_text(z, "%s.branch4.1", row->name), row->pool);
	return zoo_concat(z, made, FINF_ARRAY_LEN(made));
}

void zoo_googlenet(struct zoo *z)
{
	struct zoo_pool half = {3, 2, 0, true};
	struct zoo_map x = zoo_input(z, 3, 224), made[3];
	const char *index[3];

	index[0] = zoo_int(z, 0);
	index[1] = zoo_int(z, 1);
	made[0] = one_channel(z, x, 0, index[0]);
	made[1] = one_channel(z, x, 1, index[1]);
	index[2] = zoo_int(z, 2);
	made[2] = one_channel(z, x, 2, index[2]);
	x = zoo_concat(z, made, FINF_ARRAY_LEN(made));
	x = conv(z, x, "conv1", (struct zoo_conv){64, 7, 2, .gain = 1});
	x = conv1(z, zoo_max_pool(z, x, half), "conv2", 64);
	x = zoo_max_pool(z, conv3(z, x, "conv3", 192), half);
	for (unsigned r = 0; r < FINF_ARRAY_LEN(rows); r++) {
		x = inception(z, x, &rows[r]);
		if (rows[r].then.kernel)
			x = zoo_max_pool(z, x, rows[r].then);
	}
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, "fc", 1000, GAIN));
}
