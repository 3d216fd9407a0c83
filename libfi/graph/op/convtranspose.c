/* SPDX-License-Identifier: MIT */
/*
 * ConvTranspose: every input cell spreads the kernel over the output, 1 to 3
 * spatial dimensions (ONNX ConvTranspose-1, -11).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/compute.h"

enum { X, W, B };

static const struct finf_attr_spec attrs[] = {
	{.name = "auto_pad", .type = FINF_ATTR_STRING},
	{.name = "dilations", .type = FINF_ATTR_INTS},
	{.name = "group", .type = FINF_ATTR_INT},
	{.name = "kernel_shape", .type = FINF_ATTR_INTS},
	{.name = "output_padding", .type = FINF_ATTR_INTS},
	{.name = "output_shape", .type = FINF_ATTR_INTS},
	{.name = "pads", .type = FINF_ATTR_INTS},
	{.name = "strides", .type = FINF_ATTR_INTS},
	{0},
};

/* The weight is [C, M / group, ...]: *ret is M. */
static int channels_of(const struct finf_infer *ctx, const struct finf_shape *x,
		       const struct finf_shape *w, int64_t *ret)
{
	int64_t group = finf_node_int(ctx->node, "group", 1);

	if (group < 1)
		return finf_diag_set(ctx->diag, -EINVAL, "group is %" PRId64, group);
	if (finf_dim_differs(x->dim[1], w->dim[0]))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input has %" PRId64 " channels, weight %" PRId64, x->dim[1],
				     w->dim[0]);
	if (w->dim[0] != FINF_DIM_ANY && w->dim[0] % group)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " channels do not divide into %" PRId64 " groups",
				     w->dim[0], group);
	*ret = w->dim[1];
	if (w->dim[1] != FINF_DIM_ANY && __builtin_mul_overflow(w->dim[1], group, ret))
		return finf_diag_set(ctx->diag, -EINVAL, "too many channels");
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	return finf_infer_conv(ctx, finf_window_transposed, channels_of);
}

/* The input cell whose tap @k falls on output @o of an axis; false when there is none. */
static bool cell_at(const struct finf_window *w, int axis, int64_t o, int64_t k, int64_t *ret)
{
	int64_t at = o + w->pad_begin[axis] - k * w->dilation[axis];

	*ret = at / w->stride[axis];
	return at >= 0 && at % w->stride[axis] == 0 && *ret < w->in[axis];
}

/*
 * One output cell: @x and @weight start at the group's first channel and the
 * output's kernel; the next channel's kernel is @step further.
 */
static double spread(const struct finf_window *w, const float *x, const float *weight,
		     int64_t channels, int64_t step, const int64_t o[3])
{
	int64_t cells = w->in[0] * w->in[1] * w->in[2], at[3];
	double sum = 0;

	for (int64_t kd = 0; kd < w->kernel[0]; kd++) {
		if (!cell_at(w, 0, o[0], kd, &at[0]))
			continue;
		for (int64_t kr = 0; kr < w->kernel[1]; kr++) {
			if (!cell_at(w, 1, o[1], kr, &at[1]))
				continue;
			for (int64_t kc = 0; kc < w->kernel[2]; kc++) {
				int64_t tap = (kd * w->kernel[1] + kr) * w->kernel[2] + kc, cell;

				if (!cell_at(w, 2, o[2], kc, &at[2]))
					continue;
				cell = (at[0] * w->in[1] + at[1]) * w->in[2] + at[2];
				for (int64_t c = 0; c < channels; c++)
					sum += (double)x[c * cells + cell] *
					       (double)weight[c * step + tap];
			}
		}
	}
	return sum;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *xs = &in[X]->shape, *ws = &in[W]->shape;
	const float *x = in[X]->data, *weight = in[W]->data;
	const float *bias = node->n_in > B && in[B] ? in[B]->data : NULL;
	int64_t group = finf_node_int(node, "group", 1), channels = xs->dim[1] / group;
	int64_t cells = (int64_t)finf_dims_product(xs, 2, xs->rank);
	int64_t taps = (int64_t)finf_dims_product(ws, 2, ws->rank), step = ws->dim[1] * taps, o[3];
	float *y = out[0]->data;
	struct finf_window w;
	int err = finf_window_transposed(node, xs->rank - 2, &ws->dim[2], &xs->dim[2], &w, NULL);

	if (err)
		return err;
	w = finf_window_volume(&w);
	for (int64_t nm = 0; nm < xs->dim[0] * ws->dim[1] * group; nm++) {
		int64_t m = nm % (ws->dim[1] * group), first = m / ws->dim[1] * channels;
		const float *image = x + nm / (ws->dim[1] * group) * xs->dim[1] * cells;

		for (o[0] = 0; o[0] < w.out[0]; o[0]++)
			for (o[1] = 0; o[1] < w.out[1]; o[1]++)
				for (o[2] = 0; o[2] < w.out[2]; o[2]++)
					*y++ = (float)(spread(&w, image + first * cells,
							      weight + first * step +
								      m % ws->dim[1] * taps,
							      channels, step, o) +
						       (bias ? (double)bias[m] : 0));
	}
	return 0;
}

const struct finf_op finf_op_convtranspose = {
	.name = "ConvTranspose",
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
