/* SPDX-License-Identifier: MIT */
/* graph/op: Identity - the input, unchanged, of any dtype. */
#include <string.h>

#include "graph/op.h"

static int identity_infer(struct finf_infer *ctx)
{
	ctx->out[0] = *ctx->in[0];
	ctx->out_has_shape[0] = ctx->in_has_shape[0];
	return 0;
}

static int identity_eval(const struct finf_node *node, const struct finf_tensor *const *in,
			 struct finf_tensor *const *out)
{
	(void)node;
	return finf_tensor_copy(in[0], out[0]);
}

const struct finf_op finf_op_identity = {
	.name = "Identity",
	.opset_min = 7,
	.opset_max = 17,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.infer = identity_infer,
	.eval = identity_eval,
};
