/* SPDX-License-Identifier: MIT */
/* AveragePool: mean under a window of 1 to 3 dimensions (ONNX AveragePool-7, -10, -11, -19). */
#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "ceil_mode", .type = FINF_ATTR_INT, .since = 10},
	{.name = "count_include_pad", .type = FINF_ATTR_INT},
	{.name = "dilations", .type = FINF_ATTR_INTS, .since = 19},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS, .required = true},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

/* Of @n positions from @start, one every @step: how many lie before @limit. */
static int64_t before(int64_t start, int64_t n, int64_t step, int64_t limit)
{
	return limit <= start ? 0 : FINF_MIN(n, (limit - start + step - 1) / step);
}

/*
 * Taps of output @o on axis @a: those on the input in [*lo, *hi), one every
 * dilation, and how many the mean is over. Padding counts when asked for, but
 * what ceil_mode lets hang over behind the padding never does.
 */
static int64_t taps(const struct finf_window *w, int a, int64_t o, bool with_pad, int64_t *lo,
		    int64_t *hi)
{
	int64_t start = o * w->stride[a] - w->pad_begin[a], step = w->dilation[a];
	int64_t in_front = before(start, w->kernel[a], step, 0);
	int64_t inside = before(start, w->kernel[a], step, w->in[a]) - in_front;

	*lo = start + in_front * step;
	*hi = *lo + inside * step;
	return with_pad ? before(start, w->kernel[a], step, w->in[a] + w->pad_end[a]) : inside;
}

static float window_mean(const struct finf_window *w, const float *x, const int64_t o[3],
			 bool with_pad)
{
	int64_t lo[3], hi[3];
	double sum = 0, n = 1;

	for (int a = 0; a < 3; a++)
		n *= (double)taps(w, a, o[a], with_pad, &lo[a], &hi[a]);
	for (int64_t d = lo[0]; d < hi[0]; d += w->dilation[0])
		for (int64_t r = lo[1]; r < hi[1]; r += w->dilation[1])
			for (int64_t c = lo[2]; c < hi[2]; c += w->dilation[2])
				sum += (double)x[(d * w->in[1] + r) * w->in[2] + c];
	return (float)(sum / n);
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	bool with_pad = finf_node_int(node, "count_include_pad", 0);
	size_t planes = finf_dims_product(&in[0]->shape, 0, 2);
	const float *x = in[0]->data;
	float *y = out[0]->data;
	struct finf_window w;
	int64_t o[3];
	int err = finf_pool_window(node, in[0], &w);

	if (err)
		return err;
	for (; planes; planes--, x += w.in[0] * w.in[1] * w.in[2])
		for (o[0] = 0; o[0] < w.out[0]; o[0]++)
			for (o[1] = 0; o[1] < w.out[1]; o[1]++)
				for (o[2] = 0; o[2] < w.out[2]; o[2]++)
					*y++ = window_mean(&w, x, o, with_pad);
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
