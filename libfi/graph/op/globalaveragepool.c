/* SPDX-License-Identifier: MIT */
/* GlobalAveragePool: mean over all spatial dimensions (ONNX GlobalAveragePool-1). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/compute.h"

static int infer(struct finf_infer *ctx)
{
	struct finf_tensor *y = &ctx->out[0];
	int err = finf_infer_same(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (y->shape.rank < 2)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no channels", y->shape.rank);
	for (uint32_t i = 2; i < y->shape.rank; i++) {
		if (y->shape.dim[i] == 0)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "dimension %" PRIu32 " of the input is 0", i);
		y->shape.dim[i] = 1;
	}
	return 0;
}

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
		double sum = 0;

		for (size_t i = 0; i < n; i++)
			sum += (double)*x++;
		y[p] = (float)(sum / (double)n);
	}
	return 0;
}

const struct finf_op finf_op_globalaveragepool = {
	.name = "GlobalAveragePool",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.eval = eval,
};
