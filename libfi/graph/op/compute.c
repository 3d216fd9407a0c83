/* SPDX-License-Identifier: MIT */
/* graph/op: what the numeric operators share. */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/compute.h"

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

int finf_infer_nchw(const struct finf_infer *ctx)
{
	const struct finf_shape *x = &ctx->in[0]->shape;

	if (x->rank < 3)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no spatial dimension", x->rank);
	if (x->rank != 4)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%" PRIu32 " spatial dimensions, only 2 are supported",
				     x->rank - 2);
	return 0;
}

int finf_infer_window(const struct finf_infer *ctx, const int64_t kernel[2], int64_t ret_out[2])
{
	const int64_t *in = &ctx->in[0]->shape.dim[2];
	struct finf_window w;
	int err;

	if (in[0] < 0 || in[1] < 0 || kernel[0] < 0 || kernel[1] < 0) {
		ret_out[0] = ret_out[1] = FINF_DIM_ANY;
		return 0;
	}
	err = finf_window_init(ctx->node, kernel, in, &w, ctx->diag);
	if (err)
		return err;
	ret_out[0] = w.out[0];
	ret_out[1] = w.out[1];
	return 0;
}

/* The kernel of a pool; also refuses windows that could lie on padding alone. */
static int pool_kernel(const struct finf_infer *ctx, int64_t ret_kernel[2])
{
	uint32_t n, n_pads;
	const int64_t *kernel = finf_node_ints(ctx->node, "kernel_shape", &n);
	const int64_t *pads = finf_node_ints(ctx->node, "pads", &n_pads);

	if (n != 2)
		return finf_diag_set(
			ctx->diag, -EINVAL,
			"kernel_shape has %" PRIu32 " elements, input has 2 spatial dimensions", n);
	for (int a = 0; a < 2; a++) {
		if (kernel[a] < 1)
			return finf_diag_set(ctx->diag, -EINVAL, "kernel_shape holds %" PRId64,
					     kernel[a]);
		if (!ctx->in[0]->shape.dim[2 + a])
			return finf_diag_set(ctx->diag, -EINVAL,
					     "a spatial dimension of the input is 0");
		for (int side = 0; side < 2 && n_pads == 4; side++)
			if (pads[a + 2 * side] >= kernel[a])
				return finf_diag_set(ctx->diag, -EINVAL,
						     "padding %" PRId64
						     " is not smaller than the kernel %" PRId64,
						     pads[a + 2 * side], kernel[a]);
		ret_kernel[a] = kernel[a];
	}
	return 0;
}

int finf_pool_infer(struct finf_infer *ctx)
{
	struct finf_tensor *y = &ctx->out[0];
	int64_t kernel[2], out[2];
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	y->dtype = FINF_F32;
	if (!finf_infer_given(ctx, 0))
		return 0;
	err = finf_infer_nchw(ctx);
	if (!err)
		err = pool_kernel(ctx, kernel);
	if (!err)
		err = finf_infer_window(ctx, kernel, out);
	if (err)
		return err;
	y->shape = ctx->in[0]->shape;
	y->shape.dim[2] = out[0];
	y->shape.dim[3] = out[1];
	ctx->out_has_shape[0] = true;
	return 0;
}

int finf_pool_window(const struct finf_node *node, const struct finf_tensor *x,
		     struct finf_window *ret)
{
	uint32_t n;

	return finf_window_init(node, finf_node_ints(node, "kernel_shape", &n), &x->shape.dim[2],
				ret, NULL);
}
