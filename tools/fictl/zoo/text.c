/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo: a small text CNN (after Kim, EMNLP 2014): embedding, convolutions
 * of several widths over time, the maximum of each, one linear layer.
 */
#include "tools/fictl/zoo/message.h"
#include "tools/fictl/zoo/weights.h"

#define WORDS	 600
#define WIDTH	 64
#define CHANNELS 48
#define CLASSES	 7
#define LENGTH	 37

static void filters(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t rank,
		    const uint32_t *dims)
{
	struct zoo_param p = zoo_param(z, zoo_text(z, "%s.weight", name), rank, dims);

	weights_filters(p.data, dims[0], p.count / dims[0], 1, p.seed);
	zoo_node_input(z, n, p.name);
	p = zoo_param(z, zoo_text(z, "%s.bias", name), 1, dims);
	weights_normal(p.data, p.count, 0.1f, p.seed);
	zoo_node_input(z, n, p.name);
}

static const char *conv(struct zoo *z, const char *x, const char *name, uint32_t groups,
			uint32_t kernel, uint32_t dilation, uint32_t pad)
{
	const uint32_t dims[] = {CHANNELS, WIDTH / groups, kernel};
	Onnx__NodeProto *n = zoo_node(z, "Conv", x);

	filters(z, n, name, 3, dims);
	zoo_attr_ints(z, n, "dilations", 1, dilation);
	zoo_attr_int(z, n, "group", groups);
	zoo_attr_ints(z, n, "kernel_shape", 1, kernel);
	zoo_attr_ints(z, n, "pads", 2, pad);
	zoo_attr_ints(z, n, "strides", 1, 1);
	return n->output[0];
}

static const char *embedded(struct zoo *z)
{
	const uint32_t length[] = {1, LENGTH}, table[] = {WORDS, WIDTH};
	static const int64_t time_last[] = {0, 2, 1};
	const char *ids = zoo_input_port(z, "input", FINF_I64, 2, length);
	struct zoo_param p = zoo_param(z, "words.weight", 2, table);
	Onnx__NodeProto *n;

	weights_normal(p.data, p.count, 1, p.seed);
	n = zoo_node(z, "Gather", p.name);
	zoo_node_input(z, n, ids);
	n = zoo_node(z, "Transpose", n->output[0]);
	zoo_attr_list(z, n, "perm", 3, time_last);
	return n->output[0];
}

static const char *largest(struct zoo *z, const char *x)
{
	Onnx__NodeProto *n = zoo_node(z, "ReduceMax", zoo_node(z, "Relu", x)->output[0]);

	zoo_attr_ints(z, n, "axes", 1, 2);
	zoo_attr_int(z, n, "keepdims", 0);
	return n->output[0];
}

static const char *narrow(struct zoo *z, const char *x)
{
	Onnx__NodeProto *n = zoo_node(z, "MaxPool", conv(z, x, "narrow", 8, 3, 2, 2));

	zoo_attr_int(z, n, "ceil_mode", 0);
	zoo_attr_ints(z, n, "kernel_shape", 1, 3);
	zoo_attr_ints(z, n, "pads", 2, 1);
	zoo_attr_ints(z, n, "strides", 1, 2);
	n = zoo_node(z, "Elu", n->output[0]);
	zoo_attr_float(z, n, "alpha", 1);
	n = zoo_node(z, "Squeeze", zoo_node(z, "GlobalAveragePool", n->output[0])->output[0]);
	zoo_attr_ints(z, n, "axes", 1, 2);
	return n->output[0];
}

void zoo_text_cnn(struct zoo *z)
{
	const uint32_t head[] = {CLASSES, 4 * CHANNELS}, out[] = {1, CLASSES};
	const char *x = embedded(z), *found[4];
	Onnx__NodeProto *n;

	for (uint32_t i = 0; i < 3; i++)
		found[i] = largest(z, conv(z, x, zoo_text(z, "widths.%u", i), 1, 3 + i, 1, 0));
	found[3] = narrow(z, x);
	n = zoo_node(z, "Concat", found[0]);
	for (uint32_t i = 1; i < FINF_ARRAY_LEN(found); i++)
		zoo_node_input(z, n, found[i]);
	zoo_attr_int(z, n, "axis", 1);
	n = zoo_node(z, "Gemm", n->output[0]);
	filters(z, n, "head", 2, head);
	zoo_attr_float(z, n, "alpha", 1);
	zoo_attr_float(z, n, "beta", 1);
	zoo_attr_int(z, n, "transB", 1);
	n = zoo_node(z, "Softmax", n->output[0]);
	zoo_attr_int(z, n, "axis", 1);
	zoo_output_port(z, n->output[0], "output", 2, out);
}
