/* SPDX-License-Identifier: MIT */
/* Size: the number of elements of the input as int64 (ONNX Size-1, -13, -19, -21). */
#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	ctx->out[0].dtype = FINF_I64;
	ctx->out_has_shape[0] = true; /* a scalar */
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	(void)node;
	return finf_dims_count(in[0]->shape.dim, in[0]->shape.rank, out[0]->data);
}

const struct finf_op finf_op_size = {
	.name = "Size",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.shapes_only = true,
	.infer = infer,
	.eval = eval,
};
