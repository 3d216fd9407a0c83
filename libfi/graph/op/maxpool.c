/* SPDX-License-Identifier: MIT */
/*
 * MaxPool: largest element under a window of 1 to 3 dimensions, and where it
 * was (ONNX MaxPool-1, -8, -10, -11, -12).
 */
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
	enum finf_dtype dtype = ctx->in[0]->dtype;
	bool indices = ctx->node->n_out > 1 && ctx->node->out[1] != FINF_NONE;
	int err;

	if (dtype != FINF_F32 && (ctx->node->opset < 12 || (dtype != FINF_I8 && dtype != FINF_U8)))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	if (indices && ctx->node->opset < 8)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "output Indices does not exist before opset 8");
	ctx->out[0].dtype = dtype;
	err = finf_pool_shape(ctx, 0);
	if (err || !indices)
		return err;
	ctx->out[1].dtype = FINF_I64;
	ctx->out[1].shape = ctx->out[0].shape;
	ctx->out_has_shape[1] = ctx->out_has_shape[0];
	return 0;
}

/* Input cells [*first, *end) under output @o of axis @a, one every dilation. */
static void cells(const struct finf_window *w, int a, int64_t o, int64_t *first, int64_t *end)
{
	int64_t step = w->dilation[a], start = o * w->stride[a] - w->pad_begin[a];

	*end = FINF_MIN(start + (w->kernel[a] - 1) * step + 1, w->in[a]);
	*first = start < 0 ? start + (-start + step - 1) / step * step : start;
}

static double load(const struct finf_tensor *x, size_t i)
{
	switch (x->dtype) {
	case FINF_I8:
		return ((const int8_t *)x->data)[i];
	case FINF_U8:
		return ((const uint8_t *)x->data)[i];
	default:
		return (double)((const float *)x->data)[i];
	}
}

static void store(struct finf_tensor *y, size_t i, double v)
{
	switch (y->dtype) {
	case FINF_I8:
		((int8_t *)y->data)[i] = (int8_t)FINF_MAX(v, INT8_MIN);
		break;
	case FINF_U8:
		((uint8_t *)y->data)[i] = (uint8_t)FINF_MAX(v, 0);
		break;
	default:
		((float *)y->data)[i] = (float)v;
	}
}

/*
 * The largest cell of the plane at @base under output @o: its coordinates.
 * Padding takes no part: a window without any cell of the input yields minus
 * infinity, and says that it was the first cell.
 */
static double window_max(const struct finf_window *w, const struct finf_tensor *x, size_t base,
			 const int64_t o[3], int64_t ret_at[3])
{
	int64_t first[3], end[3];
	double best = -(double)INFINITY;

	for (int a = 0; a < 3; a++) {
		cells(w, a, o[a], &first[a], &end[a]);
		ret_at[a] = 0;
	}
	for (int64_t d = first[0]; d < end[0]; d += w->dilation[0])
		for (int64_t r = first[1]; r < end[1]; r += w->dilation[1])
			for (int64_t c = first[2]; c < end[2]; c += w->dilation[2]) {
				int64_t at = (d * w->in[1] + r) * w->in[2] + c;
				double v = load(x, base + (size_t)at);

				if (v <= best)
					continue;
				best = v;
				ret_at[0] = d;
				ret_at[1] = r;
				ret_at[2] = c;
			}
	return best;
}

/* Within a plane; storage_order 1 counts columns first. */
static int64_t index_of(const struct finf_window *w, const int64_t at[3], bool columns)
{
	if (columns)
		return (at[2] * w->in[1] + at[1]) * w->in[0] + at[0];
	return (at[0] * w->in[1] + at[1]) * w->in[2] + at[2];
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t planes = finf_dims_product(&in[0]->shape, 0, 2), n = 0;
	int64_t *index = node->n_out > 1 && out[1] ? out[1]->data : NULL, o[3], at[3];
	bool columns = finf_node_int(node, "storage_order", 0) != 0;
	struct finf_window w;
	int err = finf_pool_window(node, in[0], &w);
	size_t plane = err ? 0 : (size_t)(w.in[0] * w.in[1] * w.in[2]);

	if (err)
		return err;
	for (size_t base = 0; base < planes * plane; base += plane)
		for (o[0] = 0; o[0] < w.out[0]; o[0]++)
			for (o[1] = 0; o[1] < w.out[1]; o[1]++)
				for (o[2] = 0; o[2] < w.out[2]; o[2]++, n++) {
					double best = window_max(&w, in[0], base, o, at);

					if (out[0])
						store(out[0], n, best);
					if (index)
						index[n] =
							(int64_t)base + index_of(&w, at, columns);
				}
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
