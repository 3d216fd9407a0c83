/* SPDX-License-Identifier: MIT */
/* MaxPool: largest element under a 2-D window (ONNX MaxPool-1, -8, -10, -11, -12). */
#include <errno.h>
#include <math.h>

#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "ceil_mode", .type = FINF_ATTR_INT, .since = 10},
	{.name = "dilations", .type = FINF_ATTR_INTS, .since = 10},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS, .required = true},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "storage_order", .type = FINF_ATTR_INT, .since = 8},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	if (finf_node_int(ctx->node, "storage_order", 0))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "storage_order other than 0 is not supported");
	if (ctx->node->n_out > 1 && ctx->node->out[1] != FINF_NONE)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "output Indices is not supported");
	return finf_pool_infer(ctx);
}

/* Input cells [*first, *end) under output @o of axis @a, one every dilation. */
static void cells(const struct finf_window *w, int a, int64_t o, int64_t *first, int64_t *end)
{
	int64_t step = w->dilation[a], start = o * w->stride[a] - w->pad_begin[a];

	*end = FINF_MIN(start + (w->kernel[a] - 1) * step + 1, w->in[a]);
	*first = start < 0 ? start + (-start + step - 1) / step * step : start;
}

/* Padding takes no part: a window without any cell of the input yields minus infinity. */
static float window_max(const struct finf_window *w, const float *x, int64_t row, int64_t col)
{
	int64_t r0, r1, c0, c1;
	float best = -INFINITY;

	cells(w, 0, row, &r0, &r1);
	cells(w, 1, col, &c0, &c1);
	for (int64_t r = r0; r < r1; r += w->dilation[0])
		for (int64_t c = c0; c < c1; c += w->dilation[1])
			best = FINF_MAX(best, x[r * w->in[1] + c]);
	return best;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
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
				*y++ = window_max(&w, x, row, col);
	return 0;
}

const struct finf_op finf_op_maxpool = {
	.name = "MaxPool",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 2,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
