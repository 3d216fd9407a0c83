/* SPDX-License-Identifier: MIT */
/* SpaceToDepth: blocks of the plane become blocks of channels (ONNX SpaceToDepth-1, -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "blocksize", .type = FINF_ATTR_INT, .required = true},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *x = &ctx->in[0]->shape;
	int64_t block = finf_node_int(ctx->node, "blocksize", 0);
	struct finf_shape *y = &ctx->out[0].shape;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (block < 1 || block > INT16_MAX)
		return finf_diag_set(ctx->diag, -EINVAL, "blocksize is %" PRId64, block);
	if (!ctx->in_has_shape[0])
		return 0;
	if (x->rank != 4)
		return finf_diag_set(ctx->diag, -EINVAL, "input has %" PRIu32 " dimensions, not 4",
				     x->rank);
	*y = *x;
	if (x->dim[1] != FINF_DIM_ANY &&
	    __builtin_mul_overflow(x->dim[1], block * block, &y->dim[1]))
		return finf_diag_set(ctx->diag, -EINVAL, "too large");
	for (uint32_t i = 2; i < 4; i++) {
		if (x->dim[i] == FINF_DIM_ANY)
			continue;
		if (x->dim[i] % block)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "%" PRId64 " does not divide into blocks of %" PRId64,
					     x->dim[i], block);
		y->dim[i] /= block;
	}
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Output [n, (r, s, c), h, w] is input [n, c, (h, r), (w, s)]. */
static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const int64_t *x = in[0]->shape.dim, *y = out[0]->shape.dim;
	int64_t block = finf_node_int(node, "blocksize", 0), plane = x[2] * x[3];
	struct finf_walk walk = {
		.rank = 6,
		.dim = {x[0], block, block, x[1], y[2], y[3]},
		.stride = {x[1] * plane, x[3], 1, plane, block * x[3], block},
	};

	finf_walk_move(&walk, in[0], out[0], span);
	return 0;
}

const struct finf_op finf_op_spacetodepth = {
	.name = "SpaceToDepth",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
