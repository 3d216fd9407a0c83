/* SPDX-License-Identifier: MIT */
/* Expand: the input repeated to a shape that it broadcasts with (ONNX Expand-8, -13). */
#include <errno.h>

#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	struct finf_shape shape = {0};
	struct finf_list list;
	char a[96], b[96];
	int err = finf_infer_list(ctx, NULL, 1, &list);

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (err || !ctx->in_has_shape[0] || !list.has_count)
		return err;
	if (list.n > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u dimensions, at most %d are supported", list.n,
				     FINF_RANK_MAX);
	shape.rank = list.n;
	for (uint32_t i = 0; i < list.n; i++) {
		shape.dim[i] = list.known ? list.v[i] : FINF_DIM_ANY;
		if (list.known && list.v[i] < 0)
			return finf_diag_set(ctx->diag, -EINVAL, "the shape has a negative extent");
	}
	if (finf_broadcast(&ctx->in[0]->shape, &shape, &ctx->out[0].shape))
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not broadcast",
				     finf_shape_text(&ctx->in[0]->shape, a, sizeof(a)),
				     finf_shape_text(&shape, b, sizeof(b)));
	for (uint32_t i = 0; !list.known && i < ctx->out[0].shape.rank; i++)
		ctx->out[0].shape.dim[i] = FINF_DIM_ANY;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	struct finf_walk walk;

	(void)node;
	finf_walk_over(&walk, &in[0]->shape, &out[0]->shape);
	finf_walk_move(&walk, in[0], out[0], span);
	return 0;
}

const struct finf_op finf_op_expand = {
	.name = "Expand",
	.opset_min = 8,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.range = range,
};
