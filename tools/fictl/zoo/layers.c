/* SPDX-License-Identifier: MIT */
/* fictl/zoo: layers of image networks, with weights as PyTorch names them. */
#include "tools/fictl/zoo/message.h"
#include "tools/fictl/zoo/weights.h"

/* A node on a map, which goes on as the node's output. */
static Onnx__NodeProto *layer(struct zoo *z, const char *op, struct zoo_map *x)
{
	Onnx__NodeProto *n = zoo_node(z, op, x->name);

	x->name = n->output[0];
	return n;
}

/* NAME.weight: @n filters, which the node reads. */
static void filters(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t rank,
		    const uint32_t *dims, float gain)
{
	struct zoo_param p = zoo_param(z, zoo_text(z, "%s.weight", name), rank, dims);

	weights_filters(p.data, dims[0], p.count / dims[0], gain, p.seed);
	zoo_node_input(z, n, p.name);
}

static void normal(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *what,
		   uint32_t count)
{
	struct zoo_param p = zoo_param(z, zoo_text(z, "%s.%s", name, what), 1, &count);

	weights_normal(p.data, p.count, 0.1f, p.seed);
	zoo_node_input(z, n, p.name);
}

static void around(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *what,
		   uint32_t count, float scale)
{
	struct zoo_param p = zoo_param(z, zoo_text(z, "%s.%s", name, what), 1, &count);

	weights_around(p.data, p.count, scale, p.seed);
	zoo_node_input(z, n, p.name);
}

struct zoo_map zoo_input(struct zoo *z, uint32_t channels, uint32_t size)
{
	const uint32_t side = z->side ? z->side : size;
	const uint32_t dims[] = {1, channels, side, side};

	return (struct zoo_map){zoo_input_port(z, "input", FINF_F32, 4, dims), channels, side};
}

void zoo_output(struct zoo *z, struct zoo_map x)
{
	const uint32_t dims[] = {1, x.channels};

	zoo_output_port(z, x.name, "output", 2, dims);
}

struct zoo_map zoo_conv(struct zoo *z, struct zoo_map x, const char *name, struct zoo_conv conv)
{
	uint32_t groups = conv.groups ? conv.groups : 1;
	const uint32_t channels = z->narrow ? conv.channels / z->narrow : conv.channels;
	const uint32_t dims[] = {channels, x.channels / groups, conv.kernel, conv.kernel};
	Onnx__NodeProto *n = layer(z, "Conv", &x);

	filters(z, n, name, 4, dims, conv.gain);
	if (conv.bias)
		normal(z, n, name, "bias", channels);
	zoo_attr_ints(z, n, "dilations", 2, 1);
	zoo_attr_int(z, n, "group", groups);
	zoo_attr_ints(z, n, "kernel_shape", 2, conv.kernel);
	zoo_attr_ints(z, n, "pads", 4, conv.pad);
	zoo_attr_ints(z, n, "strides", 2, conv.stride);
	x.channels = channels;
	x.size = (x.size + 2 * conv.pad - conv.kernel) / conv.stride + 1;
	return x;
}

/* Statistics as training leaves them: near those of the input, never equal. */
struct zoo_map zoo_norm_eps(struct zoo *z, struct zoo_map x, const char *name, float gain,
			    float epsilon)
{
	Onnx__NodeProto *n = layer(z, "BatchNormalization", &x);

	around(z, n, name, "weight", x.channels, gain);
	normal(z, n, name, "bias", x.channels);
	normal(z, n, name, "running_mean", x.channels);
	around(z, n, name, "running_var", x.channels, 1);
	zoo_attr_float(z, n, "epsilon", epsilon);
	zoo_attr_float(z, n, "momentum", 0.9f);
	return x;
}

struct zoo_map zoo_norm(struct zoo *z, struct zoo_map x, const char *name, float gain)
{
	return zoo_norm_eps(z, x, name, gain, 1e-5f);
}

struct zoo_map zoo_linear(struct zoo *z, struct zoo_map x, const char *name, uint32_t out,
			  float gain)
{
	const uint32_t dims[] = {out, x.channels};
	Onnx__NodeProto *n = layer(z, "Gemm", &x);

	filters(z, n, name, 2, dims, gain);
	normal(z, n, name, "bias", out);
	zoo_attr_float(z, n, "alpha", 1);
	zoo_attr_float(z, n, "beta", 1);
	zoo_attr_int(z, n, "transB", 1);
	x.channels = out;
	return x;
}

struct zoo_map zoo_relu(struct zoo *z, struct zoo_map x)
{
	layer(z, "Relu", &x);
	return x;
}

struct zoo_map zoo_relu6(struct zoo *z, struct zoo_map x)
{
	const char *low = zoo_float(z, 0), *high = zoo_float(z, 6);
	Onnx__NodeProto *n = layer(z, "Clip", &x);

	zoo_node_input(z, n, low);
	zoo_node_input(z, n, high);
	return x;
}

struct zoo_map zoo_add(struct zoo *z, struct zoo_map a, struct zoo_map b)
{
	zoo_node_input(z, layer(z, "Add", &a), b.name);
	return a;
}

struct zoo_map zoo_concat(struct zoo *z, const struct zoo_map *maps, unsigned n)
{
	struct zoo_map x = maps[0];
	Onnx__NodeProto *concat = layer(z, "Concat", &x);

	for (unsigned i = 1; i < n; i++) {
		zoo_node_input(z, concat, maps[i].name);
		x.channels += maps[i].channels;
	}
	zoo_attr_int(z, concat, "axis", 1);
	return x;
}

static struct zoo_map window(struct zoo *z, struct zoo_map x, const char *op, struct zoo_pool pool)
{
	Onnx__NodeProto *n = layer(z, op, &x);
	uint32_t room = x.size + 2 * pool.pad - pool.kernel;

	zoo_attr_int(z, n, "ceil_mode", pool.ceil);
	zoo_attr_ints(z, n, "kernel_shape", 2, pool.kernel);
	zoo_attr_ints(z, n, "pads", 4, pool.pad);
	zoo_attr_ints(z, n, "strides", 2, pool.stride);
	x.size = (room + (pool.ceil ? pool.stride - 1 : 0)) / pool.stride + 1;
	return x;
}

struct zoo_map zoo_max_pool(struct zoo *z, struct zoo_map x, struct zoo_pool pool)
{
	return window(z, x, "MaxPool", pool);
}

struct zoo_map zoo_avg_pool(struct zoo *z, struct zoo_map x, uint32_t kernel)
{
	static const int64_t nothing[8];
	const char *pads = zoo_list(z, 8, nothing);
	Onnx__NodeProto *n = layer(z, "Pad", &x);

	zoo_attr_text(z, n, "mode", "constant");
	zoo_node_input(z, n, pads);
	return window(z, x, "AveragePool", (struct zoo_pool){kernel, kernel, 0, false});
}

struct zoo_map zoo_same_pool(struct zoo *z, struct zoo_map x)
{
	Onnx__NodeProto *n = layer(z, "AveragePool", &x);

	zoo_attr_ints(z, n, "kernel_shape", 2, 1);
	zoo_attr_ints(z, n, "strides", 2, 1);
	return x;
}

struct zoo_map zoo_global_pool(struct zoo *z, struct zoo_map x)
{
	layer(z, "GlobalAveragePool", &x);
	x.size = 1;
	return x;
}

static struct zoo_map flat(struct zoo_map x)
{
	x.channels *= x.size * x.size;
	x.size = 1;
	return x;
}

struct zoo_map zoo_flatten(struct zoo *z, struct zoo_map x)
{
	zoo_attr_int(z, layer(z, "Flatten", &x), "axis", 1);
	return flat(x);
}

struct zoo_map zoo_view(struct zoo *z, struct zoo_map x)
{
	static const int64_t shape[] = {1, -1};
	const char *to = zoo_list(z, 2, shape);

	zoo_node_input(z, layer(z, "Reshape", &x), to);
	return flat(x);
}
