/* SPDX-License-Identifier: MIT */
/* ArgMin: the index of the smallest element along an axis (ONNX ArgMin-1, -11, -12, -13). */
#include "graph/op/along.h"

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	return finf_arg_eval(node, in[0], out[0], false);
}

const struct finf_op finf_op_argmin = {
	.name = "ArgMin",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = finf_arg_attrs,
	.infer = finf_arg_infer,
	.eval = eval,
};
