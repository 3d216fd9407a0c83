/* SPDX-License-Identifier: MIT */
/*
 * Clip: min(max(x, low), high). Bounds are attributes up to opset 10 (Clip-6)
 * and optional scalar inputs after (Clip-11); integers since Clip-12.
 */
#include <errno.h>
#include <float.h>
#include <inttypes.h>

#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "max", .type = FINF_ATTR_FLOAT, .until = 10},
	{.name = "min", .type = FINF_ATTR_FLOAT, .until = 10},
	{0},
};

static int check_bound(const struct finf_infer *ctx, uint32_t i)
{
	const struct finf_tensor *bound = i < ctx->node->n_in ? ctx->in[i] : NULL;
	char text[96];

	if (!bound)
		return 0;
	if (ctx->node->opset < 11)
		return finf_diag_set(ctx->diag, -EINVAL, "bounds are inputs only since opset 11");
	if (bound->dtype != ctx->in[0]->dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "%s bound of %s values",
				     finf_dtype_name(bound->dtype),
				     finf_dtype_name(ctx->in[0]->dtype));
	if (!ctx->in_has_shape[i])
		return 0;
	for (uint32_t d = 0; d < bound->shape.rank; d++)
		if (finf_dim_differs(bound->shape.dim[d], 1))
			return finf_diag_set(ctx->diag, -EINVAL, "bound is %s, not a scalar",
					     finf_shape_text(&bound->shape, text, sizeof(text)));
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;
	int err;

	if (dtype != FINF_F32 && (ctx->node->opset < 12 || dtype == FINF_F64 || dtype == FINF_BOOL))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	err = check_bound(ctx, 1);
	if (!err)
		err = check_bound(ctx, 2);
	if (err)
		return err;
	ctx->out[0].dtype = dtype;
	ctx->out[0].shape = ctx->in[0]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[0];
	return 0;
}

/* NaN stays NaN; when the bounds cross, high wins, as in NumPy. */
#define CLIP(type, low_default, high_default)                                                      \
	do {                                                                                       \
		type low = min ? *(const type *)min : (low_default);                               \
		type high = max ? *(const type *)max : (high_default);                             \
		const type *x = in[0]->data;                                                       \
		type *y = out[0]->data;                                                            \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			type v = x[i] < low ? low : x[i];                                          \
                                                                                                   \
			y[i] = v > high ? high : v;                                                \
		}                                                                                  \
	} while (0)

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&in[0]->shape, 0, in[0]->shape.rank);
	const void *min = node->n_in > 1 && in[1] ? in[1]->data : NULL;
	const void *max = node->n_in > 2 && in[2] ? in[2]->data : NULL;

	switch (in[0]->dtype) {
	case FINF_I64:
		CLIP(int64_t, INT64_MIN, INT64_MAX);
		return 0;
	case FINF_I32:
		CLIP(int32_t, INT32_MIN, INT32_MAX);
		return 0;
	case FINF_I8:
		CLIP(int8_t, INT8_MIN, INT8_MAX);
		return 0;
	case FINF_U8:
		CLIP(uint8_t, 0, UINT8_MAX);
		return 0;
	default:
		CLIP(float, finf_node_float(node, "min", -FLT_MAX),
		     finf_node_float(node, "max", FLT_MAX));
		return 0;
	}
}

const struct finf_op finf_op_clip = {
	.name = "Clip",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
