/* SPDX-License-Identifier: MIT */
/* graph/op: scale and zero point of QuantizeLinear and DequantizeLinear. */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/quantize.h"

static bool is_single(const struct finf_shape *shape)
{
	return !shape->rank || (shape->rank == 1 && shape->dim[0] == 1);
}

static int check_shape(const struct finf_infer *ctx, uint32_t i)
{
	const struct finf_shape *x = &ctx->in[FINF_QUANT_X]->shape, *p;
	int64_t given = finf_node_int(ctx->node, "axis", 1);
	char text[96];
	uint32_t axis;

	if (!finf_infer_given(ctx, FINF_QUANT_X) || !finf_infer_given(ctx, i))
		return 0;
	p = &ctx->in[i]->shape;
	if (is_single(p))
		return 0;
	if (p->rank != 1 || ctx->node->opset < 13)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "input %" PRIu32 " is %s: one value, or from opset 13 on one "
				     "along an axis, is supported",
				     i, finf_shape_text(p, text, sizeof(text)));
	if (!finf_axis(given, x->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRIu32 " dimensions", given,
				     x->rank);
	if (finf_dim_differs(p->dim[0], x->dim[axis]))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input %" PRIu32 " has %" PRId64 " values for %" PRId64
				     " along the axis",
				     i, p->dim[0], x->dim[axis]);
	return 0;
}

int finf_quant_infer(struct finf_infer *ctx)
{
	const struct finf_shape *scale = &ctx->in[FINF_QUANT_SCALE]->shape;
	int err = 0;

	if (ctx->in[FINF_QUANT_SCALE]->dtype != FINF_F32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "a scale of %s is not supported",
				     finf_dtype_name(ctx->in[FINF_QUANT_SCALE]->dtype));
	if (finf_node_int(ctx->node, "block_size", 0))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "block_size is not supported");
	err = check_shape(ctx, FINF_QUANT_SCALE);
	if (!err)
		err = check_shape(ctx, FINF_QUANT_ZERO);
	if (!err && finf_infer_given(ctx, FINF_QUANT_SCALE) &&
	    finf_infer_given(ctx, FINF_QUANT_ZERO) &&
	    is_single(scale) != is_single(&ctx->in[FINF_QUANT_ZERO]->shape))
		err = finf_diag_set(ctx->diag, -EINVAL, "scale and zero point of different shapes");
	ctx->out[0].shape = ctx->in[FINF_QUANT_X]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[FINF_QUANT_X];
	return err;
}

int finf_quant_step(const struct finf_node *node, const struct finf_tensor *const *in,
		    size_t *ret_step, size_t *ret_count)
{
	const struct finf_shape *x = &in[FINF_QUANT_X]->shape;
	uint32_t axis;

	*ret_step = *ret_count = 1;
	if (is_single(&in[FINF_QUANT_SCALE]->shape))
		return 0;
	if (!finf_axis(finf_node_int(node, "axis", 1), x->rank, &axis))
		return -EINVAL;
	*ret_step = finf_dims_product(x, axis + 1, x->rank);
	*ret_count = (size_t)x->dim[axis];
	return 0;
}
