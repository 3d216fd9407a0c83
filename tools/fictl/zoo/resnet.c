/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo: ResNet18 and ResNet50 (He et al., CVPR 2016), as torchvision
 * writes them for 224x224, and ResNet18 as the CIFAR variant with a 3x3 stem and
 * no first pool.
 */
#include "tools/fictl/zoo/build.h"

/* Inputs of all but the first convolution come from a ReLU. */
#define GAIN 1.5f
/* Residual branches are quieter than the trunk, as training leaves them. */
#define BRANCH 0.4f

/* What modules are called; %s is the block. */
struct names {
	const char *conv1, *norm1, *conv2, *norm2, *conv_skip, *norm_skip;
};

static const struct names torchvision = {
	"%s.conv1", "%s.bn1", "%s.conv2", "%s.bn2", "%s.downsample.0", "%s.downsample.1",
};
static const struct names cifar = {
	"%s.first.0", "%s.first.1", "%s.second.0", "%s.second.1", "%s.project.0", "%s.project.1",
};

static struct zoo_map conv_norm(struct zoo *z, struct zoo_map x, const char *conv, const char *norm,
				struct zoo_conv how, float gain)
{
	x = zoo_conv(z, x, conv, how);
	return zoo_norm(z, x, norm, gain);
}

static struct zoo_map block(struct zoo *z, struct zoo_map x, const struct names *names,
			    const char *name, uint32_t channels, uint32_t stride)
{
	struct zoo_conv first = {channels, 3, stride, 1, .gain = GAIN};
	struct zoo_conv second = {channels, 3, 1, 1, .gain = GAIN};
	struct zoo_conv skip = {channels, 1, stride, 0, .gain = GAIN};
	struct zoo_map y = x;

	y = conv_norm(z, y, zoo_text(z, names->conv1, name), zoo_text(z, names->norm1, name), first,
		      1);
	y = zoo_relu(z, y);
	y = conv_norm(z, y, zoo_text(z, names->conv2, name), zoo_text(z, names->norm2, name),
		      second, BRANCH);
	if (stride != 1)
		x = conv_norm(z, x, zoo_text(z, names->conv_skip, name),
			      zoo_text(z, names->norm_skip, name), skip, 1);
	return zoo_relu(z, zoo_add(z, y, x));
}

static struct zoo_map bottleneck(struct zoo *z, struct zoo_map x, const char *name,
				 uint32_t channels, uint32_t stride)
{
	struct zoo_conv narrow = {channels, 1, 1, 0, .gain = GAIN};
	struct zoo_conv middle = {channels, 3, stride, 1, .gain = GAIN};
	struct zoo_conv wide = {channels * 4, 1, 1, 0, .gain = GAIN};
	struct zoo_conv skip = {channels * 4, 1, stride, 0, .gain = GAIN};
	struct zoo_map y = x;

	y = conv_norm(z, y, zoo_text(z, "%s.conv1", name), zoo_text(z, "%s.bn1", name), narrow, 1);
	y = conv_norm(z, zoo_relu(z, y), zoo_text(z, "%s.conv2", name), zoo_text(z, "%s.bn2", name),
		      middle, 1);
	y = conv_norm(z, zoo_relu(z, y), zoo_text(z, "%s.conv3", name), zoo_text(z, "%s.bn3", name),
		      wide, BRANCH);
	if (x.channels != y.channels)
		x = conv_norm(z, x, zoo_text(z, torchvision.conv_skip, name),
			      zoo_text(z, torchvision.norm_skip, name), skip, 1);
	return zoo_relu(z, zoo_add(z, y, x));
}

static struct zoo_map big_stem(struct zoo *z)
{
	struct zoo_conv stem = {64, 7, 2, 3, .gain = 1};
	struct zoo_map x = conv_norm(z, zoo_input(z, 3, 224), "conv1", "bn1", stem, 1);

	return zoo_max_pool(z, zoo_relu(z, x), (struct zoo_pool){3, 2, 1, false});
}

void zoo_resnet50(struct zoo *z)
{
	static const uint32_t repeats[] = {3, 4, 6, 3};
	struct zoo_map x = big_stem(z);

	for (uint32_t s = 0; s < FINF_ARRAY_LEN(repeats); s++)
		for (uint32_t i = 0; i < repeats[s]; i++)
			x = bottleneck(z, x, zoo_text(z, "layer%u.%u", s + 1, i), 64u << s,
				       s && !i ? 2 : 1);
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, "fc", 1000, GAIN));
}

void zoo_resnet18(struct zoo *z)
{
	struct zoo_map x = big_stem(z);

	for (uint32_t i = 0; i < 8; i++)
		x = block(z, x, &torchvision, zoo_text(z, "layer%u.%u", i / 2 + 1, i % 2),
			  64u << i / 2, i && i % 2 == 0 ? 2 : 1);
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, "fc", 1000, GAIN));
}

void zoo_cifar_resnet18(struct zoo *z)
{
	struct zoo_conv stem = {64, 3, 1, 1, .gain = 1};
	struct zoo_map x = zoo_input(z, 3, 32);

	x = zoo_relu(z, conv_norm(z, x, "stem.0", "stem.1", stem, 1));
	for (uint32_t i = 0; i < 8; i++)
		x = block(z, x, &cifar, zoo_text(z, "units.%u", i), 64u << i / 2,
			  i && i % 2 == 0 ? 2 : 1);
	x = zoo_view(z, zoo_avg_pool(z, x, 4));
	zoo_output(z, zoo_linear(z, x, "head", 10, GAIN));
}
