/* SPDX-License-Identifier: MIT */
/* graph/op: what the numeric operators share. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/compute.h"
#include "graph/op/moments.h"

int finf_infer_f32(const struct finf_infer *ctx)
{
	for (uint32_t i = 0; i < ctx->node->n_in; i++)
		if (ctx->in[i] && ctx->in[i]->dtype != FINF_F32)
			return finf_diag_set(ctx->diag, -EOPNOTSUPP,
					     "input %" PRIu32 " is %s, only float32 is supported",
					     i, finf_dtype_name(ctx->in[i]->dtype));
	return 0;
}

int finf_infer_same(struct finf_infer *ctx)
{
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	ctx->out[0].dtype = FINF_F32;
	if (finf_infer_given(ctx, 0)) {
		ctx->out[0].shape = ctx->in[0]->shape;
		ctx->out_has_shape[0] = true;
	}
	return 0;
}

int finf_infer_spatial(const struct finf_infer *ctx, uint32_t *ret)
{
	const struct finf_shape *x = &ctx->in[0]->shape;

	if (x->rank < 3)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no spatial dimension", x->rank);
	if (x->rank - 2 > FINF_SPATIAL_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%" PRIu32 " spatial dimensions, at most %d are supported",
				     x->rank - 2, FINF_SPATIAL_MAX);
	*ret = x->rank - 2;
	return 0;
}

int finf_infer_window(const struct finf_infer *ctx, finf_window_fn resolve, uint32_t n,
		      const int64_t *kernel, int64_t *ret_out)
{
	const int64_t *in = &ctx->in[0]->shape.dim[2];
	struct finf_window w;
	bool known = true;
	int err;

	for (uint32_t i = 0; i < n; i++)
		known &= in[i] >= 0 && kernel[i] >= 0;
	err = known ? resolve(ctx->node, n, kernel, in, &w, ctx->diag) : 0;
	for (uint32_t i = 0; !err && i < n; i++)
		ret_out[i] = known ? w.out[i] : FINF_DIM_ANY;
	return err;
}

int finf_infer_kernel(const struct finf_infer *ctx, uint32_t n, int64_t *kernel)
{
	uint32_t have;
	const int64_t *given = finf_node_ints(ctx->node, "kernel_shape", &have);

	if (!given)
		return 0;
	if (have != n)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "kernel_shape has %" PRIu32 " elements, not %" PRIu32, have,
				     n);
	for (uint32_t i = 0; i < n; i++) {
		if (given[i] < 1 || finf_dim_differs(given[i], kernel[i]))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "kernel_shape holds %" PRId64
					     " where the weight has %" PRId64,
					     given[i], kernel[i]);
		kernel[i] = given[i];
	}
	return 0;
}

int finf_infer_bias(const struct finf_infer *ctx, uint32_t i, int64_t channels)
{
	char text[96];

	if (!finf_infer_given(ctx, i))
		return 0;
	if (ctx->in[i]->shape.rank == 1 && !finf_dim_differs(ctx->in[i]->shape.dim[0], channels))
		return 0;
	return finf_diag_set(ctx->diag, -EINVAL, "bias is %s for %" PRId64 " output channels",
			     finf_shape_text(&ctx->in[i]->shape, text, sizeof(text)), channels);
}

/* The weight's shape and the kernel in it, where they are known; @n spatial dimensions. */
static int conv_weight(const struct finf_infer *ctx, uint32_t n, struct finf_shape *ret_w,
		       int64_t *ret_kernel)
{
	const struct finf_shape *w = &ctx->in[1]->shape;

	*ret_w = (struct finf_shape){.dim = {FINF_DIM_ANY, FINF_DIM_ANY}};
	for (uint32_t i = 0; i < n; i++)
		ret_kernel[i] = FINF_DIM_ANY;
	if (!finf_infer_given(ctx, 1))
		return 0;
	if (w->rank != n + 2)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "weight of rank %" PRIu32 ", input of rank %" PRIu32, w->rank,
				     n + 2);
	*ret_w = *w;
	memcpy(ret_kernel, &w->dim[2], n * sizeof(*ret_kernel));
	return 0;
}

int finf_infer_conv(struct finf_infer *ctx, finf_window_fn resolve, finf_channels_fn channels)
{
	const struct finf_shape *x = &ctx->in[0]->shape;
	struct finf_shape *y = &ctx->out[0].shape, w;
	int64_t kernel[FINF_SPATIAL_MAX];
	int err = finf_infer_f32(ctx);
	uint32_t n;

	ctx->out[0].dtype = FINF_F32;
	if (err || !finf_infer_given(ctx, 0))
		return err;
	err = finf_infer_spatial(ctx, &n);
	if (!err)
		err = conv_weight(ctx, n, &w, kernel);
	if (err)
		return err;
	*y = (struct finf_shape){.rank = x->rank, .dim = {x->dim[0]}};
	err = channels(ctx, x, &w, &y->dim[1]);
	if (!err)
		err = finf_infer_bias(ctx, 2, y->dim[1]);
	if (!err)
		err = finf_infer_kernel(ctx, n, kernel);
	if (!err)
		err = finf_infer_window(ctx, resolve, n, kernel, &y->dim[2]);
	ctx->out_has_shape[0] = !err;
	return err;
}

/* The kernel of a pool; also refuses windows that could lie on padding alone. */
static int pool_kernel(const struct finf_infer *ctx, uint32_t spatial, int64_t *ret_kernel)
{
	uint32_t n, n_pads;
	const int64_t *kernel = finf_node_ints(ctx->node, "kernel_shape", &n);
	const int64_t *pads = finf_node_ints(ctx->node, "pads", &n_pads);

	if (n != spatial)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "kernel_shape has %" PRIu32 " elements, input has %" PRIu32
				     " spatial dimensions",
				     n, spatial);
	for (uint32_t a = 0; a < n; a++) {
		if (kernel[a] < 1)
			return finf_diag_set(ctx->diag, -EINVAL, "kernel_shape holds %" PRId64,
					     kernel[a]);
		if (!ctx->in[0]->shape.dim[2 + a])
			return finf_diag_set(ctx->diag, -EINVAL,
					     "a spatial dimension of the input is 0");
		for (uint32_t side = 0; side < 2 && n_pads == 2 * n; side++)
			if (pads[a + n * side] >= kernel[a])
				return finf_diag_set(ctx->diag, -EINVAL,
						     "padding %" PRId64
						     " is not smaller than the kernel %" PRId64,
						     pads[a + n * side], kernel[a]);
		ret_kernel[a] = kernel[a];
	}
	return 0;
}

int finf_pool_shape(struct finf_infer *ctx, uint32_t output)
{
	int64_t kernel[FINF_SPATIAL_MAX], out[FINF_SPATIAL_MAX];
	struct finf_tensor *y = &ctx->out[output];
	uint32_t n;
	int err;

	if (!finf_infer_given(ctx, 0))
		return 0;
	err = finf_infer_spatial(ctx, &n);
	if (!err)
		err = pool_kernel(ctx, n, kernel);
	if (!err)
		err = finf_infer_window(ctx, finf_window_init, n, kernel, out);
	if (err)
		return err;
	y->shape = ctx->in[0]->shape;
	memcpy(&y->shape.dim[2], out, n * sizeof(*out));
	ctx->out_has_shape[output] = true;
	return 0;
}

int finf_pool_infer(struct finf_infer *ctx)
{
	int err = finf_infer_f32(ctx);

	ctx->out[0].dtype = FINF_F32;
	return err ? err : finf_pool_shape(ctx, 0);
}

int finf_pool_window(const struct finf_node *node, const struct finf_tensor *x,
		     struct finf_window *ret)
{
	uint32_t n;
	const int64_t *kernel = finf_node_ints(node, "kernel_shape", &n);
	struct finf_window w;
	int err = finf_window_init(node, n, kernel, &x->shape.dim[2], &w, NULL);

	if (!err)
		*ret = finf_window_volume(&w);
	return err;
}

int finf_global_pool_infer(struct finf_infer *ctx)
{
	struct finf_tensor *y = &ctx->out[0];
	int err = finf_infer_same(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (y->shape.rank < 2)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no channels", y->shape.rank);
	for (uint32_t i = 2; i < y->shape.rank; i++) {
		if (y->shape.dim[i] == 0)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "dimension %" PRIu32 " of the input is 0", i);
		y->shape.dim[i] = 1;
	}
	return 0;
}

int finf_infer_channels(const struct finf_infer *ctx, int64_t n)
{
	char text[96];

	for (uint32_t i = 1; i < 3; i++)
		if (finf_infer_given(ctx, i) &&
		    (ctx->in[i]->shape.rank != 1 || finf_dim_differs(ctx->in[i]->shape.dim[0], n)))
			return finf_diag_set(
				ctx->diag, -EINVAL,
				"input %" PRIu32 " is %s, not a vector of %" PRId64, i,
				finf_shape_text(&ctx->in[i]->shape, text, sizeof(text)), n);
	return 0;
}
