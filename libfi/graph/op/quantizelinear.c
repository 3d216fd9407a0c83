/* SPDX-License-Identifier: MIT */
/*
 * QuantizeLinear: saturate(round(x / scale) + zero point), halves to even (ONNX
 * QuantizeLinear-10, -13, -19, -21, to int8 and uint8).
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "graph/op/quantize.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT, .since = 13},
	{.name = "block_size", .type = FINF_ATTR_INT, .since = 21},
	{.name = "output_dtype", .type = FINF_ATTR_INT, .since = 21},
	{.name = "saturate", .type = FINF_ATTR_INT, .since = 19}, /* of float8 only */
	{0},
};

static int infer(struct finf_infer *ctx)
{
	int64_t asked = finf_node_int(ctx->node, "output_dtype", 0);
	bool zero = ctx->node->n_in > FINF_QUANT_ZERO && ctx->in[FINF_QUANT_ZERO];
	int64_t dtype = zero ? (int64_t)ctx->in[FINF_QUANT_ZERO]->dtype : asked ? asked : FINF_U8;

	if (ctx->in[0]->dtype != FINF_F32 && ctx->in[0]->dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(ctx->in[0]->dtype));
	if (zero && asked && asked != dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "output_dtype is not the zero point's");
	if (dtype != FINF_I8 && dtype != FINF_U8)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "only int8 and uint8 results are supported");
	ctx->out[0].dtype = (enum finf_dtype)dtype;
	return finf_quant_infer(ctx);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_tensor *x = in[0];
	const float *scale = in[FINF_QUANT_SCALE]->data;
	bool is_signed = out[0]->dtype == FINF_I8;
	double low = is_signed ? INT8_MIN : 0, high = is_signed ? INT8_MAX : UINT8_MAX;
	size_t step, count;
	uint8_t *y = out[0]->data;

	if (finf_quant_step(node, in, &step, &count))
		return -EINVAL;
	for (size_t i = span.from; i < span.to; i++) {
		size_t p = i / step % count;
		float v = x->dtype == FINF_F32 ? ((const float *)x->data)[i]
					       : (float)((const int32_t *)x->data)[i];
		double q = (double)rintf(v / scale[p]) + (double)finf_quant_zero(node, in, p);

		q = isnan(q) ? 0 : q < low ? low : q > high ? high : q;
		y[i] = (uint8_t)(int)q;
	}
	return 0;
}

const struct finf_op finf_op_quantizelinear = {
	.name = "QuantizeLinear",
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
