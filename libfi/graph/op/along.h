/* SPDX-License-Identifier: MIT */
/*
 * op/along - operators that go along one axis: a tensor seen as @outer times
 * @n times @step elements, where those of one line are @step apart.
 */
#ifndef FINF_GRAPH_OP_ALONG_H
#define FINF_GRAPH_OP_ALONG_H

#include "graph/op/compute.h"

struct finf_along {
	size_t outer, n, step;
};

/** finf_along - of the dimension @axis; false when it is out of range. */
static inline bool finf_along(const struct finf_shape *shape, int64_t axis, struct finf_along *ret)
{
	uint32_t at;

	if (!finf_axis(axis, shape->rank, &at))
		return false;
	ret->outer = finf_dims_product(shape, 0, at);
	ret->n = (size_t)shape->dim[at];
	ret->step = finf_dims_product(shape, at + 1, shape->rank);
	return true;
}

/** finf_along_start - the first element of line @i of outer * step. */
static inline size_t finf_along_start(const struct finf_along *along, size_t i)
{
	return i / along->step * along->n * along->step + i % along->step;
}

/* Softmax and LogSoftmax: @n floats, @step apart, from @x to @y. */
typedef void (*finf_normalise_fn)(const float *x, float *y, size_t n, size_t step);

extern const struct finf_attr_spec finf_softmax_attrs[];
int finf_softmax_infer(struct finf_infer *ctx);
size_t finf_softmax_units(const struct finf_node *node, const struct finf_tensor *const *in,
			  struct finf_tensor *const *out);
int finf_softmax_range(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct finf_tensor *y, finf_normalise_fn normalise, struct finf_span span);

/* ArgMax and ArgMin: the operator @id from the only thing that sets it apart. */
#define FINF_ARG_OP(id, onnx, largest)                                                             \
	static int range(const struct finf_node *node, const struct finf_tensor *const *in,        \
			 struct finf_tensor *const *out, struct finf_span span)                    \
	{                                                                                          \
		return finf_arg_range(node, in[0], out[0], largest, span);                         \
	}                                                                                          \
	const struct finf_op finf_op_##id = {                                                      \
		.name = onnx,                                                                      \
		.opset_min = 7,                                                                    \
		.opset_max = 21,                                                                   \
		.min_in = 1,                                                                       \
		.max_in = 1,                                                                       \
		.min_out = 1,                                                                      \
		.max_out = 1,                                                                      \
		.attrs = finf_arg_attrs,                                                           \
		.infer = finf_arg_infer,                                                           \
		.range = range,                                                                    \
	}

extern const struct finf_attr_spec finf_arg_attrs[];
int finf_arg_infer(struct finf_infer *ctx);
int finf_arg_range(const struct finf_node *node, const struct finf_tensor *x,
		   struct finf_tensor *y, bool largest, struct finf_span span);

#endif
