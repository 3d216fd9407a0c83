/* SPDX-License-Identifier: MIT */
/* Flatten: two dimensions, split before an axis (ONNX Flatten-1 to -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

/* Unlike elsewhere the axis may be the rank itself: everything, times one. */
static int split_at(const struct finf_infer *ctx, uint32_t *ret)
{
	int64_t rank = ctx->in[0]->shape.rank, axis = finf_node_int(ctx->node, "axis", 1);

	if (axis < -rank || axis > rank)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRId64 " dimensions", axis,
				     rank);
	*ret = (uint32_t)(axis < 0 ? axis + rank : axis);
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape out = {.rank = 2, .dim = {FINF_DIM_ANY, FINF_DIM_ANY}};
	uint32_t axis = 0;
	int err;

	if (ctx->in_has_shape[0]) {
		err = split_at(ctx, &axis);
		if (err)
			return err;
		if (finf_dims_count(in->dim, axis, &out.dim[0]) ||
		    finf_dims_count(in->dim + axis, in->rank - axis, &out.dim[1]))
			return finf_diag_set(ctx->diag, -EOVERFLOW, "its input is too large");
	}
	finf_infer_renamed(ctx, &out);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_flatten = {
	.name = "Flatten",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = finf_eval_renamed,
};
