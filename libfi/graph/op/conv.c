/* SPDX-License-Identifier: MIT */
/*
 * Conv: cross-correlation over 1 to 3 spatial dimensions with groups, strides,
 * dilations and padding (ONNX Conv-1, Conv-11).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/conv.h"

enum { X, W, B };

const struct finf_attr_spec finf_conv_attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "dilations", .type = FINF_ATTR_INTS},
	{.name = "group", .type = FINF_ATTR_INT},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

/* The weight is [M, C / group, ...]: *ret is M. */
static int channels_of(const struct finf_infer *ctx, const struct finf_shape *x,
		       const struct finf_shape *w, int64_t *ret)
{
	int64_t group = finf_node_int(ctx->node, "group", 1), channels;

	if (group < 1)
		return finf_diag_set(ctx->diag, -EINVAL, "group is %" PRId64, group);
	if (w->dim[0] != FINF_DIM_ANY && w->dim[0] % group)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " output channels do not divide into %" PRId64
				     " groups",
				     w->dim[0], group);
	*ret = w->dim[0];
	if (w->dim[1] == FINF_DIM_ANY || x->dim[1] == FINF_DIM_ANY)
		return 0;
	if (__builtin_mul_overflow(w->dim[1], group, &channels) || channels != x->dim[1])
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input has %" PRId64 " channels, weight %" PRId64
				     " in each of %" PRId64 " groups",
				     x->dim[1], w->dim[1], group);
	return 0;
}

int finf_conv_infer(struct finf_infer *ctx)
{
	return finf_infer_conv(ctx, finf_window_init, channels_of);
}

enum { DEPTH, ROW, COL }; /* of a window seen as a volume */

/* Input cell under tap @k of output @o on an axis; false when it is padding. */
static bool cell_at(const struct finf_window *w, int axis, int64_t o, int64_t k, int64_t *ret)
{
	*ret = o * w->stride[axis] - w->pad_begin[axis] + k * w->dilation[axis];
	return *ret >= 0 && *ret < w->in[axis];
}

/* Outputs [*lo, *hi) of a row whose tap @k falls on the input, not on padding. */
static void row_span(const struct finf_window *w, int64_t k, int64_t *lo, int64_t *hi)
{
	int64_t stride = w->stride[COL], first = k * w->dilation[COL] - w->pad_begin[COL];
	int64_t last = w->in[COL] - 1 - first;

	*lo = first < 0 ? (-first + stride - 1) / stride : 0;
	*hi = last < 0 ? 0 : FINF_MIN(last / stride + 1, w->out[COL]);
}

/* Adds one row of taps over one row of the input to outputs [from, to). */
static void add_row(const struct finf_window *w, const float *x, const float *weight, int64_t from,
		    int64_t to, double *acc)
{
	for (int64_t kc = 0; kc < w->kernel[COL]; kc++) {
		const double k = (double)weight[kc];
		int64_t lo, hi, stride = w->stride[COL];
		int64_t at = kc * w->dilation[COL] - w->pad_begin[COL];

		row_span(w, kc, &lo, &hi);
		hi = FINF_MIN(hi, to);
		for (int64_t c = FINF_MAX(lo, from); c < hi; c++)
			acc[c - from] += k * (double)x[at + c * stride];
	}
}

/* Adds one input channel's share to outputs [from, to) of output row @depth, @row. */
static void add_channel(const struct finf_window *w, const float *x, const float *weight,
			int64_t depth, int64_t row, int64_t from, int64_t to, double *acc)
{
	int64_t d, r;

	for (int64_t kd = 0; kd < w->kernel[DEPTH]; kd++) {
		if (!cell_at(w, DEPTH, depth, kd, &d))
			continue;
		for (int64_t kr = 0; kr < w->kernel[ROW]; kr++)
			if (cell_at(w, ROW, row, kr, &r))
				add_row(w, x + (d * w->in[ROW] + r) * w->in[COL],
					weight + (kd * w->kernel[ROW] + kr) * w->kernel[COL], from,
					to, acc);
	}
}

/* One output channel of one image: @x and @weight start at the group's first channel. */
static void conv_channel(const struct finf_window *w, const float *x, const float *weight,
			 int64_t channels, double bias, float *y)
{
	int64_t x_step = w->in[DEPTH] * w->in[ROW] * w->in[COL];
	int64_t taps = w->kernel[DEPTH] * w->kernel[ROW] * w->kernel[COL];
	double acc[FINF_TILE];

	for (int64_t line = 0; line < w->out[DEPTH] * w->out[ROW]; line++) {
		for (int64_t from = 0; from < w->out[COL]; from += FINF_TILE) {
			int64_t to = FINF_MIN(from + FINF_TILE, w->out[COL]);

			for (int64_t i = 0; i < to - from; i++)
				acc[i] = bias;
			for (int64_t c = 0; c < channels; c++)
				add_channel(w, x + c * x_step, weight + c * taps,
					    line / w->out[ROW], line % w->out[ROW], from, to, acc);
			for (int64_t i = 0; i < to - from; i++)
				*y++ = (float)acc[i];
		}
	}
}

int finf_conv_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		   struct finf_tensor *const *out)
{
	const struct finf_shape *xs = &in[X]->shape, *ws = &in[W]->shape;
	const float *x = in[X]->data, *weight = in[W]->data;
	const float *bias = node->n_in > B && in[B] ? in[B]->data : NULL;
	float *y = out[0]->data;
	int64_t per_group = ws->dim[0] / finf_node_int(node, "group", 1);
	size_t cells = finf_dims_product(xs, 2, xs->rank),
	       taps = finf_dims_product(ws, 2, ws->rank);
	struct finf_window w;
	int err = finf_window_init(node, xs->rank - 2, &ws->dim[2], &xs->dim[2], &w, NULL);

	if (err)
		return err;
	w = finf_window_volume(&w);
	for (int64_t n = 0; n < xs->dim[0]; n++) {
		for (int64_t m = 0; m < ws->dim[0]; m++) {
			int64_t c = n * xs->dim[1] + m / per_group * ws->dim[1];

			conv_channel(&w, x + (size_t)c * cells,
				     weight + (size_t)(m * ws->dim[1]) * taps, ws->dim[1],
				     bias ? (double)bias[m] : 0, y);
			y += w.out[DEPTH] * w.out[ROW] * w.out[COL];
		}
	}
	return 0;
}

const struct finf_op finf_op_conv = {
	.name = "Conv",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = finf_conv_attrs,
	.infer = finf_conv_infer,
	.eval = finf_conv_eval,
};
