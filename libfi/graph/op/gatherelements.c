/* SPDX-License-Identifier: MIT */
/* GatherElements: single elements by index along an axis (ONNX GatherElements-11, -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/indexed.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[0]->shape, *index = &ctx->in[1]->shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	uint32_t axis;
	int err = finf_infer_indices(ctx, 1, true);

	ctx->out[0].dtype = ctx->in[0]->dtype;
	ctx->out[0].shape = *index;
	ctx->out_has_shape[0] = ctx->in_has_shape[1];
	if (err || !ctx->in_has_shape[0])
		return err;
	if (!finf_axis(given, data->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRIu32 " dimensions", given,
				     data->rank);
	if (ctx->in_has_shape[1] && index->rank != data->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "data and indices of different ranks");
	for (uint32_t i = 0; ctx->in_has_shape[1] && i < data->rank; i++)
		if (i != axis && data->dim[i] != FINF_DIM_ANY && index->dim[i] > data->dim[i])
			return finf_diag_set(
				ctx->diag, -EINVAL,
				"dimension %" PRIu32 " of indices is larger than the data's", i);
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	struct finf_walk walk = {.rank = shape->rank};
	size_t each = finf_dtype_bytes(in[0]->dtype);
	int64_t step, at;
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", 0), shape->rank, &axis))
		return -EINVAL;
	finf_strides(shape, walk.stride);
	step = walk.stride[axis];
	walk.stride[axis] = 0;
	for (uint32_t i = 0; i < walk.rank; i++)
		walk.dim[i] = out[0]->shape.dim[i];
	finf_walk_seek(&walk, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(&walk)) {
		if (!finf_index_at(in[1], i, shape->dim[axis], &at))
			return -EINVAL;
		finf_move(out[0]->data, (int64_t)i, in[0]->data, walk.offset + at * step, each);
	}
	return 0;
}

const struct finf_op finf_op_gatherelements = {
	.name = "GatherElements",
	.opset_min = 11,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
