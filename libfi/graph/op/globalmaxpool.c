/* SPDX-License-Identifier: MIT */
/* GlobalMaxPool: largest over all spatial dimensions (ONNX GlobalMaxPool-1). */
#include "graph/op/compute.h"

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[0]->shape;
	size_t planes = finf_dims_product(shape, 0, 2),
	       n = finf_dims_product(shape, 2, shape->rank);
	const float *x = in[0]->data;
	float *y = out[0]->data;

	(void)node;
	for (size_t p = 0; p < planes; p++) {
		y[p] = *x;
		for (size_t i = 0; i < n; i++, x++)
			y[p] = *x <= y[p] ? y[p] : *x;
	}
	return 0;
}

const struct finf_op finf_op_globalmaxpool = {
	.name = "GlobalMaxPool",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.infer = finf_global_pool_infer,
	.eval = eval,
};
