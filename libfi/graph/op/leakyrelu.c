/* SPDX-License-Identifier: MIT */
/* LeakyRelu: x < 0 ? alpha * x : x (ONNX LeakyRelu-6, -16). */
#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "alpha", .type = FINF_ATTR_FLOAT},
	{0},
};

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&in[0]->shape, 0, in[0]->shape.rank);
	float alpha = finf_node_float(node, "alpha", 0.01f);
	const float *x = in[0]->data;
	float *y = out[0]->data;

	for (size_t i = 0; i < n; i++)
		y[i] = x[i] < 0 ? alpha * x[i] : x[i];
	return 0;
}

const struct finf_op finf_op_leakyrelu = {
	.name = "LeakyRelu",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_infer_same,
	.eval = eval,
};
