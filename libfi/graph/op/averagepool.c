/* SPDX-License-Identifier: MIT */
/* AveragePool: mean under a 2-D window (ONNX AveragePool-7, -10, -11). */
#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "ceil_mode", .type = FINF_ATTR_INT, .since = 10},
	{.name = "count_include_pad", .type = FINF_ATTR_INT},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS, .required = true},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

/*
 * Taps of output @o on axis @a: those on the input in [*lo, *hi), and how many
 * the mean is over. Padding counts when asked for, but what ceil_mode lets hang
 * over behind the padding never does.
 */
static int64_t taps(const struct finf_window *w, int a, int64_t o, bool with_pad, int64_t *lo,
		    int64_t *hi)
{
	int64_t start = o * w->stride[a] - w->pad_begin[a];
	int64_t end = FINF_MIN(start + w->kernel[a], w->in[a] + w->pad_end[a]);

	*lo = FINF_MAX(start, 0);
	*hi = FINF_MIN(end, w->in[a]);
	return with_pad ? end - start : *hi - *lo;
}

static float window_mean(const struct finf_window *w, const float *x, int64_t row, int64_t col,
			 bool with_pad)
{
	int64_t r0, r1, c0, c1;
	int64_t rows = taps(w, 0, row, with_pad, &r0, &r1);
	int64_t cols = taps(w, 1, col, with_pad, &c0, &c1);
	double sum = 0;

	for (int64_t r = r0; r < r1; r++)
		for (int64_t c = c0; c < c1; c++)
			sum += (double)x[r * w->in[1] + c];
	return (float)(sum / ((double)rows * (double)cols));
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	bool with_pad = finf_node_int(node, "count_include_pad", 0);
	size_t planes = finf_dims_product(&in[0]->shape, 0, 2);
	const float *x = in[0]->data;
	float *y = out[0]->data;
	struct finf_window w;
	int err = finf_pool_window(node, in[0], &w);

	if (err)
		return err;
	for (; planes; planes--, x += w.in[0] * w.in[1])
		for (int64_t row = 0; row < w.out[0]; row++)
			for (int64_t col = 0; col < w.out[1]; col++)
				*y++ = window_mean(&w, x, row, col, with_pad);
	return 0;
}

const struct finf_op finf_op_averagepool = {
	.name = "AveragePool",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_pool_infer,
	.eval = eval,
};
