/* SPDX-License-Identifier: MIT */
/* Conv: 2-D cross-correlation with groups, strides, dilations and padding (ONNX Conv-1, Conv-11).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/compute.h"

enum { X, W, B };

static const struct finf_attr_spec attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "dilations", .type = FINF_ATTR_INTS},
	{.name = "group", .type = FINF_ATTR_INT},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

static int check_channels(const struct finf_infer *ctx, const struct finf_shape *x,
			  const struct finf_shape *w)
{
	int64_t group = finf_node_int(ctx->node, "group", 1), channels;

	if (group < 1)
		return finf_diag_set(ctx->diag, -EINVAL, "group is %" PRId64, group);
	if (w->dim[0] != FINF_DIM_ANY && w->dim[0] % group)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " output channels do not divide into %" PRId64
				     " groups",
				     w->dim[0], group);
	if (w->dim[1] == FINF_DIM_ANY || x->dim[1] == FINF_DIM_ANY)
		return 0;
	if (__builtin_mul_overflow(w->dim[1], group, &channels) || channels != x->dim[1])
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input has %" PRId64 " channels, weight %" PRId64
				     " in each of %" PRId64 " groups",
				     x->dim[1], w->dim[1], group);
	return 0;
}

static int check_bias(const struct finf_infer *ctx, int64_t channels)
{
	char text[96];

	if (!finf_infer_given(ctx, B))
		return 0;
	if (ctx->in[B]->shape.rank == 1 && !finf_dim_differs(ctx->in[B]->shape.dim[0], channels))
		return 0;
	return finf_diag_set(ctx->diag, -EINVAL, "bias is %s for %" PRId64 " output channels",
			     finf_shape_text(&ctx->in[B]->shape, text, sizeof(text)), channels);
}

/* The attribute repeats what W says; where W is not known it says it first. */
static int kernel_of(const struct finf_infer *ctx, int64_t kernel[2])
{
	uint32_t n;
	const int64_t *given = finf_node_ints(ctx->node, "kernel_shape", &n);

	if (!given)
		return 0;
	if (n != 2)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "kernel_shape has %" PRIu32 " elements, not 2", n);
	for (int a = 0; a < 2; a++) {
		if (given[a] < 1 || finf_dim_differs(given[a], kernel[a]))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "kernel_shape says %" PRId64 "x%" PRId64
					     ", the weight is %" PRId64 "x%" PRId64,
					     given[0], given[1], kernel[0], kernel[1]);
		kernel[a] = given[a];
	}
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_tensor *y = &ctx->out[0];
	struct finf_shape unknown = {4, {FINF_DIM_ANY, FINF_DIM_ANY, FINF_DIM_ANY, FINF_DIM_ANY}};
	const struct finf_shape *x, *w = finf_infer_given(ctx, W) ? &ctx->in[W]->shape : &unknown;
	int64_t kernel[2] = {w->dim[2], w->dim[3]}, out[2];
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	y->dtype = FINF_F32;
	if (!finf_infer_given(ctx, X))
		return 0;
	x = &ctx->in[X]->shape;
	err = finf_infer_nchw(ctx);
	if (err)
		return err;
	if (w->rank != 4)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "weight of rank %" PRIu32 ", input of rank 4", w->rank);
	err = check_channels(ctx, x, w);
	if (!err)
		err = check_bias(ctx, w->dim[0]);
	if (!err)
		err = kernel_of(ctx, kernel);
	if (!err)
		err = finf_infer_window(ctx, kernel, out);
	if (err)
		return err;
	y->shape = (struct finf_shape){4, {x->dim[0], w->dim[0], out[0], out[1]}};
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Outputs [*lo, *hi) of a row whose tap @k falls on the input, not on padding. */
static void row_span(const struct finf_window *w, int64_t k, int64_t *lo, int64_t *hi)
{
	int64_t stride = w->stride[1], first = k * w->dilation[1] - w->pad_begin[1];
	int64_t last = w->in[1] - 1 - first;

	*lo = first < 0 ? (-first + stride - 1) / stride : 0;
	*hi = last < 0 ? 0 : FINF_MIN(last / stride + 1, w->out[1]);
}

/* Adds one input channel's share to outputs [from, to) of output row @row. */
static void add_channel(const struct finf_window *w, const float *x, const float *weight,
			int64_t row, int64_t from, int64_t to, double *acc)
{
	for (int64_t kr = 0; kr < w->kernel[0]; kr++) {
		int64_t r = row * w->stride[0] - w->pad_begin[0] + kr * w->dilation[0];

		if (r < 0 || r >= w->in[0])
			continue;
		for (int64_t kc = 0; kc < w->kernel[1]; kc++) {
			const double k = (double)weight[kr * w->kernel[1] + kc];
			int64_t lo, hi, stride = w->stride[1];
			int64_t at = r * w->in[1] + kc * w->dilation[1] - w->pad_begin[1];

			row_span(w, kc, &lo, &hi);
			hi = FINF_MIN(hi, to);
			for (int64_t c = FINF_MAX(lo, from); c < hi; c++)
				acc[c - from] += k * (double)x[at + c * stride];
		}
	}
}

/* One output channel of one image: @x and @weight start at the group's first channel. */
static void conv_plane(const struct finf_window *w, const float *x, const float *weight,
		       int64_t channels, double bias, float *y)
{
	int64_t x_plane = w->in[0] * w->in[1], taps = w->kernel[0] * w->kernel[1];
	double acc[FINF_TILE];

	for (int64_t row = 0; row < w->out[0]; row++) {
		for (int64_t from = 0; from < w->out[1]; from += FINF_TILE) {
			int64_t to = FINF_MIN(from + FINF_TILE, w->out[1]);

			for (int64_t i = 0; i < to - from; i++)
				acc[i] = bias;
			for (int64_t c = 0; c < channels; c++)
				add_channel(w, x + c * x_plane, weight + c * taps, row, from, to,
					    acc);
			for (int64_t i = 0; i < to - from; i++)
				y[row * w->out[1] + from + i] = (float)acc[i];
		}
	}
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *xs = &in[X]->shape, *ws = &in[W]->shape;
	const float *x = in[X]->data, *weight = in[W]->data;
	const float *bias = node->n_in > B && in[B] ? in[B]->data : NULL;
	float *y = out[0]->data;
	int64_t per_group = ws->dim[0] / finf_node_int(node, "group", 1);
	struct finf_window w;
	int err = finf_window_init(node, &ws->dim[2], &xs->dim[2], &w, NULL);

	if (err)
		return err;
	for (int64_t n = 0; n < xs->dim[0]; n++) {
		for (int64_t m = 0; m < ws->dim[0]; m++) {
			int64_t c = n * xs->dim[1] + m / per_group * ws->dim[1];

			conv_plane(&w, x + c * w.in[0] * w.in[1],
				   weight + m * ws->dim[1] * w.kernel[0] * w.kernel[1], ws->dim[1],
				   bias ? (double)bias[m] : 0, y);
			y += w.out[0] * w.out[1];
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
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
