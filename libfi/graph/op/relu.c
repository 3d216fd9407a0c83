/* SPDX-License-Identifier: MIT */
/* Relu: max(x, 0) (ONNX Relu-6, -13, -14). */
#include "graph/op/compute.h"

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&in[0]->shape, 0, in[0]->shape.rank);
	const float *x = in[0]->data;
	float *y = out[0]->data;

	(void)node;
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] < 0 ? 0 : x[i];
	return 0;
}

const struct finf_op finf_op_relu = {
	.name = "Relu",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.infer = finf_infer_same,
	.eval = eval,
};
