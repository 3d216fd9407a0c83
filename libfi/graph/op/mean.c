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

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	float *y = out[0]->data;
	int err = finf_fold_range(rows, node, in, out[0], span);

	for (size_t i = span.from; !err && i < span.to; i++)
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
	.range = range,
};
