/* SPDX-License-Identifier: MIT */
/* DepthToSpace: blocks of channels become blocks of the plane (ONNX DepthToSpace-1, -11, -13). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "blocksize", .type = FINF_ATTR_INT, .required = true},
	{.name = "mode", .type = FINF_ATTR_STRING, .since = 11},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *x = &ctx->in[0]->shape;
	int64_t block = finf_node_int(ctx->node, "blocksize", 0);
	const char *mode = finf_node_str(ctx->node, "mode", "DCR");
	struct finf_shape *y = &ctx->out[0].shape;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (block < 1 || block > INT16_MAX)
		return finf_diag_set(ctx->diag, -EINVAL, "blocksize is %" PRId64, block);
	if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
		return finf_diag_set(ctx->diag, -EINVAL, "mode is %s", mode);
	if (!ctx->in_has_shape[0])
		return 0;
	if (x->rank != 4)
		return finf_diag_set(ctx->diag, -EINVAL, "input has %" PRIu32 " dimensions, not 4",
				     x->rank);
	if (x->dim[1] != FINF_DIM_ANY && x->dim[1] % (block * block))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " channels do not divide into blocks of %" PRId64,
				     x->dim[1], block * block);
	*y = *x;
	if (x->dim[1] != FINF_DIM_ANY)
		y->dim[1] /= block * block;
	for (uint32_t i = 2; i < 4; i++)
		if (x->dim[i] != FINF_DIM_ANY &&
		    __builtin_mul_overflow(x->dim[i], block, &y->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL, "too large");
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Output [n, c, h, r, w, s] is input [n, (r, s, c), h, w], or [n, (c, r, s), h, w] for CRD. */
static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const int64_t *x = in[0]->shape.dim;
	int64_t block = finf_node_int(node, "blocksize", 0), c = out[0]->shape.dim[1];
	bool crd = !strcmp(finf_node_str(node, "mode", "DCR"), "CRD");
	int64_t plane = x[2] * x[3], unit = crd ? 1 : c;
	struct finf_walk walk = {
		.rank = 6,
		.dim = {x[0], c, x[2], block, x[3], block},
		.stride = {x[1] * plane, crd ? block * block * plane : plane, x[3],
			   block * unit * plane, 1, unit * plane},
	};

	finf_walk_move(&walk, in[0], out[0], span);
	return 0;
}

const struct finf_op finf_op_depthtospace = {
	.name = "DepthToSpace",
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
