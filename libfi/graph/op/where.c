/* SPDX-License-Identifier: MIT */
/* Where: elements of x where the condition holds, else of y, all broadcast (ONNX Where-9, -16). */
#include <errno.h>

#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	struct finf_shape all;
	enum finf_dtype dtype = ctx->in[1]->dtype;

	if (ctx->in[0]->dtype != FINF_BOOL)
		return finf_diag_set(ctx->diag, -EINVAL, "the condition is %s, not bool",
				     finf_dtype_name(ctx->in[0]->dtype));
	if (ctx->in[2]->dtype != dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not mix",
				     finf_dtype_name(dtype), finf_dtype_name(ctx->in[2]->dtype));
	ctx->out[0].dtype = dtype;
	if (!ctx->in_has_shape[0] || !ctx->in_has_shape[1] || !ctx->in_has_shape[2])
		return 0;
	if (finf_broadcast(&ctx->in[0]->shape, &ctx->in[1]->shape, &all) ||
	    finf_broadcast(&all, &ctx->in[2]->shape, &ctx->out[0].shape))
		return finf_diag_set(ctx->diag, -EINVAL, "its inputs do not broadcast");
	ctx->out_has_shape[0] = true;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const uint8_t *condition = in[0]->data;
	struct finf_walk walk[3];
	size_t each = finf_dtype_bytes(out[0]->dtype);

	(void)node;
	for (int k = 0; k < 3; k++) {
		finf_walk_over(&walk[k], &in[k]->shape, &out[0]->shape);
		finf_walk_seek(&walk[k], span.from);
	}
	for (size_t i = span.from; i < span.to; i++) {
		int from = condition[walk[0].offset] ? 1 : 2;

		finf_move(out[0]->data, (int64_t)i, in[from]->data, walk[from].offset, each);
		for (int k = 0; k < 3; k++)
			finf_walk_next(&walk[k]);
	}
	return 0;
}

const struct finf_op finf_op_where = {
	.name = "Where",
	.opset_min = 9,
	.opset_max = 21,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.range = range,
};
