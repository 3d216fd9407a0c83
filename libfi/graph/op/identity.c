/* SPDX-License-Identifier: MIT */
/* Identity: the input, unchanged, of any dtype (ONNX Identity-1 to -16, tensors only). */
#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	finf_infer_renamed(ctx, ctx->in_has_shape[0] ? &ctx->in[0]->shape : NULL);
	return 0;
}

const struct finf_op finf_op_identity = {
	.name = "Identity",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.eval = finf_eval_renamed,
};
