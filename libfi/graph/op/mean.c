/* SPDX-License-Identifier: MIT */
/* Mean: the Sum of any number of operands over their number (ONNX Mean-6, -8, -13). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(sum_f32, float, p + q, false)

static const struct finf_arith rows[] = {FINF_ARITH_SAME(F32, 7, sum_f32), {0}};

static int infer(struct finf_infer *ctx)
{
	return finf_fold_infer(ctx, rows);
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&out[0]->shape, 0, out[0]->shape.rank);
	float *y = out[0]->data;
	int err = finf_fold_eval(rows, node, in, out[0]);

	for (size_t i = 0; !err && i < n; i++)
		y[i] /= (float)node->n_in;
	return err;
}

const struct finf_op finf_op_mean = {
	.name = "Mean",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 255,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.eval = eval,
};
