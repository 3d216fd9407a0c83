/* SPDX-License-Identifier: MIT */
/*
 * DequantizeLinear: (x - zero point) * scale (ONNX DequantizeLinear-10, -13,
 * -19, -21, from int8, uint8 and int32 to float32).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/quantize.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT, .since = 13},
	{.name = "block_size", .type = FINF_ATTR_INT, .since = 21},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;

	if (dtype != FINF_I8 && dtype != FINF_U8 && dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	if (ctx->node->n_in > FINF_QUANT_ZERO && ctx->in[FINF_QUANT_ZERO] &&
	    ctx->in[FINF_QUANT_ZERO]->dtype != dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "zero point of %s for %s",
				     finf_dtype_name(ctx->in[FINF_QUANT_ZERO]->dtype),
				     finf_dtype_name(dtype));
	ctx->out[0].dtype = FINF_F32;
	return finf_quant_infer(ctx);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const float *scale = in[FINF_QUANT_SCALE]->data;
	size_t step, count;
	float *y = out[0]->data;

	if (finf_quant_step(node, in, &step, &count))
		return -EINVAL;
	for (size_t i = span.from; i < span.to; i++) {
		size_t p = i / step % count;

		y[i] = (float)(finf_quant_load(in[0], i) - finf_quant_zero(node, in, p)) * scale[p];
	}
	return 0;
}

const struct finf_op finf_op_dequantizelinear = {
	.name = "DequantizeLinear",
	.opset_min = 10,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
