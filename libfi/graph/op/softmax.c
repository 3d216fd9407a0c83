/* SPDX-License-Identifier: MIT */
/*
 * Softmax. Up to opset 12 the input is seen as a matrix, split in front of
 * axis (default 1), and whole rows are normalised (Softmax-1, -11); since
 * opset 13 the one dimension axis is (default -1).
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

static int64_t axis_of(const struct finf_node *node)
{
	return finf_node_int(node, "axis", node->opset < 13 ? 1 : -1);
}

static int infer(struct finf_infer *ctx)
{
	uint32_t axis;
	int err = finf_infer_same(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (!finf_axis(axis_of(ctx->node), ctx->out[0].shape.rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " of an input of rank %" PRIu32,
				     axis_of(ctx->node), ctx->out[0].shape.rank);
	return 0;
}

/* The largest element is taken off first, so that exp() stays finite. */
static void normalise(const float *x, float *y, size_t n, size_t step)
{
	double largest = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		largest = FINF_MAX(largest, (double)x[i * step]);
	for (size_t i = 0; i < n; i++)
		sum += exp((double)x[i * step] - largest);
	for (size_t i = 0; i < n; i++)
		y[i * step] = (float)(exp((double)x[i * step] - largest) / sum);
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[0]->shape;
	size_t outer, n, step;
	uint32_t axis;

	if (!finf_axis(axis_of(node), shape->rank, &axis))
		return -EINVAL;
	step = node->opset < 13 ? 1 : finf_dims_product(shape, axis + 1, shape->rank);
	n = node->opset < 13 ? finf_dims_product(shape, axis, shape->rank)
			     : (size_t)shape->dim[axis];
	outer = finf_dims_product(shape, 0, axis);
	for (size_t o = 0; o < outer; o++)
		for (size_t i = 0; i < step; i++)
			normalise((const float *)in[0]->data + o * n * step + i,
				  (float *)out[0]->data + o * n * step + i, n, step);
	return 0;
}

const struct finf_op finf_op_softmax = {
	.name = "Softmax",
	.opset_min = 7,
	.opset_max = 17,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
