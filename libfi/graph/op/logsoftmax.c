/* SPDX-License-Identifier: MIT */
/* LogSoftmax: the logarithm of Softmax, axes as there (ONNX LogSoftmax-1, -11, -13). */
#include <math.h>

#include "graph/op/along.h"

/* Never the logarithm of what exp() rounded to 0. */
static void normalise(const float *x, float *y, size_t n, size_t step)
{
	double largest = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		largest = FINF_MAX(largest, (double)x[i * step]);
	for (size_t i = 0; i < n; i++)
		sum += exp((double)x[i * step] - largest);
	largest += log(sum);
	for (size_t i = 0; i < n; i++)
		y[i * step] = (float)((double)x[i * step] - largest);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	return finf_softmax_range(node, in, out[0], normalise, span);
}

const struct finf_op finf_op_logsoftmax = {
	.name = "LogSoftmax",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = finf_softmax_attrs,
	.infer = finf_softmax_infer,
	.range = range,
	.units = finf_softmax_units,
};
