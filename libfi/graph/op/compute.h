/* SPDX-License-Identifier: MIT */
/*
 * op/compute - what the numeric operators share: dtype checks,
 * sizes, and the shapes of windows.
 * Must not know: any single operator.
 */
#ifndef FINF_GRAPH_OP_COMPUTE_H
#define FINF_GRAPH_OP_COMPUTE_H

#include "graph/op.h"

/* Outputs that a kernel accumulates in double at a time, on its stack. */
#define FINF_TILE 128

/** finf_infer_f32 - every input that is there is float32, or -EOPNOTSUPP by name. */
int finf_infer_f32(const struct finf_infer *ctx);

/** finf_infer_same - one float32 in, the same shape out. */
int finf_infer_same(struct finf_infer *ctx);

/** finf_infer_given - is input @i there, and its rank known? */
static inline bool finf_infer_given(const struct finf_infer *ctx, uint32_t i)
{
	return i < ctx->node->n_in && ctx->in[i] && ctx->in_has_shape[i];
}

/** finf_infer_spatial - spatial dimensions of input 0: -EINVAL for none, -EOPNOTSUPP above 3. */
int finf_infer_spatial(const struct finf_infer *ctx, uint32_t *ret);

/* finf_window_init() or finf_window_transposed() */
typedef int (*finf_window_fn)(const struct finf_node *node, uint32_t n, const int64_t *kernel,
			      const int64_t *in, struct finf_window *ret, struct finf_diag *diag);

/**
 * finf_infer_window - spatial extents of output 0 for a window over the @n of
 * input 0; FINF_DIM_ANY for all when input or kernel are not known yet.
 */
int finf_infer_window(const struct finf_infer *ctx, finf_window_fn resolve, uint32_t n,
		      const int64_t *kernel, int64_t *ret_out);

/** finf_infer_kernel - kernel_shape repeats the weights' @kernel, or says it first. */
int finf_infer_kernel(const struct finf_infer *ctx, uint32_t n, int64_t *kernel);

/** finf_infer_bias - input @i is a vector of @channels, if it is there. */
int finf_infer_bias(const struct finf_infer *ctx, uint32_t i, int64_t channels);

/* Output channels of a convolution from the shapes of input and weight, or a refusal. */
typedef int (*finf_channels_fn)(const struct finf_infer *ctx, const struct finf_shape *x,
				const struct finf_shape *w, int64_t *ret);

/** finf_infer_conv - of Conv and ConvTranspose: inputs X, W and maybe B, all float32. */
int finf_infer_conv(struct finf_infer *ctx, finf_window_fn resolve, finf_channels_fn channels);

/** finf_dim_differs - both known, and not equal. */
static inline bool finf_dim_differs(int64_t a, int64_t b)
{
	return a != FINF_DIM_ANY && b != FINF_DIM_ANY && a != b;
}

/** finf_dims_product - elements of dims [from, to) of a static shape that was counted before. */
static inline size_t finf_dims_product(const struct finf_shape *shape, uint32_t from, uint32_t to)
{
	size_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= (size_t)shape->dim[i];
	return n;
}

/** finf_pool_shape - the shape alone, of any output; for pools of other dtypes. */
int finf_pool_shape(struct finf_infer *ctx, uint32_t output);

/** finf_pool_infer - output of a float32 pool: N and C of input 0, the window's spatial extents. */
int finf_pool_infer(struct finf_infer *ctx);

/** finf_pool_window - the window, as a volume, of a pool that passed finf_pool_infer(). */
int finf_pool_window(const struct finf_node *node, const struct finf_tensor *x,
		     struct finf_window *ret);

/** finf_global_pool_infer - output of a pool over everything: spatial extents of 1. */
int finf_global_pool_infer(struct finf_infer *ctx);

#endif
