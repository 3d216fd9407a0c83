/* SPDX-License-Identifier: MIT */
/*
 * Cast: elements as another dtype (ONNX Cast-6, -9, -13, -19, -21). Floats
 * become integers as op/element.h says, integers wrap. Bool is 0 or 1. The
 * attribute saturate concerns float8 only, which nothing here is.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/half.h"
#include "graph/op/element.h"
#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	int64_t to = finf_node_int(ctx->node, "to", 0);
	size_t each = to > 0 && to < 64 ? finf_dtype_bytes((enum finf_dtype)to) : 0;

	if (!each)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "dtype %" PRId64 " is not supported",
				     to);
	if ((enum finf_dtype)to == ctx->in[0]->dtype) {
		finf_infer_renamed(ctx, ctx->in_has_shape[0] ? &ctx->in[0]->shape : NULL);
		return 0;
	}
	ctx->out[0].dtype = (enum finf_dtype)to;
	ctx->out[0].shape = ctx->in[0]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[0];
	return 0;
}

static long double load_float(const struct finf_tensor *t, size_t i)
{
	switch (t->dtype) {
	case FINF_F32:
		return (long double)((const float *)t->data)[i];
	case FINF_F16:
		return (long double)finf_half_value(((const uint16_t *)t->data)[i]);
	case FINF_BF16:
		return (long double)finf_brain_value(((const uint16_t *)t->data)[i]);
	default:
		return (long double)((const double *)t->data)[i];
	}
}

static int64_t load_int(const struct finf_tensor *t, size_t i)
{
	switch (t->dtype) {
	case FINF_I64:
		return ((const int64_t *)t->data)[i];
	case FINF_I32:
		return ((const int32_t *)t->data)[i];
	case FINF_I8:
		return ((const int8_t *)t->data)[i];
	default:
		return ((const uint8_t *)t->data)[i];
	}
}

static void store_int(struct finf_tensor *t, size_t i, int64_t x)
{
	switch (t->dtype) {
	case FINF_I64:
		((int64_t *)t->data)[i] = x;
		break;
	case FINF_I32:
		((int32_t *)t->data)[i] = (int32_t)x;
		break;
	case FINF_I8:
		((int8_t *)t->data)[i] = (int8_t)x;
		break;
	case FINF_BOOL:
		((uint8_t *)t->data)[i] = x != 0;
		break;
	default:
		((uint8_t *)t->data)[i] = (uint8_t)x;
	}
}

/* long double holds every number there is: one rounding. */
static void store_float(struct finf_tensor *t, size_t i, long double x)
{
	switch (t->dtype) {
	case FINF_F32:
		((float *)t->data)[i] = (float)x;
		break;
	case FINF_F16:
		((uint16_t *)t->data)[i] = finf_half_bits(finf_odd_float(x));
		break;
	case FINF_BF16:
		((uint16_t *)t->data)[i] = finf_brain_bits(finf_odd_float(x));
		break;
	default:
		((double *)t->data)[i] = (double)x;
	}
}

static void convert(const struct finf_tensor *in, struct finf_tensor *out, size_t i)
{
	bool from_float = finf_dtype_is_float(in->dtype);

	if (finf_dtype_is_float(out->dtype))
		store_float(out, i, from_float ? load_float(in, i) : (long double)load_int(in, i));
	else
		store_int(out, i,
			  from_float ? finf_to_int((double)load_float(in, i), out->dtype)
				     : load_int(in, i));
}

/* The edges of a model in float16 or bfloat16: whole images, so they have loops of their own. */
static bool convert_half(const struct finf_tensor *in, struct finf_tensor *out,
			 struct finf_span span)
{
	const uint16_t *bits = in->data;
	const float *x = in->data;
	uint16_t *to_bits = out->data;
	float *y = out->data;

	if (in->dtype == FINF_F16 && out->dtype == FINF_F32)
		for (size_t i = span.from; i < span.to; i++)
			y[i] = finf_half_value(bits[i]);
	else if (in->dtype == FINF_BF16 && out->dtype == FINF_F32)
		for (size_t i = span.from; i < span.to; i++)
			y[i] = finf_brain_value(bits[i]);
	else if (in->dtype == FINF_F32 && out->dtype == FINF_F16)
		for (size_t i = span.from; i < span.to; i++)
			to_bits[i] = finf_half_bits(x[i]);
	else if (in->dtype == FINF_F32 && out->dtype == FINF_BF16)
		for (size_t i = span.from; i < span.to; i++)
			to_bits[i] = finf_brain_bits(x[i]);
	else
		return false;
	return true;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	(void)node;
	if (in[0]->dtype == out[0]->dtype)
		finf_copy_span(in[0], out[0], span);
	else if (!convert_half(in[0], out[0], span))
		for (size_t i = span.from; i < span.to; i++)
			convert(in[0], out[0], i);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "saturate", .type = FINF_ATTR_INT, .since = 19},
	{.name = "to", .type = FINF_ATTR_INT, .required = true},
	{0},
};

const struct finf_op finf_op_cast = {
	.name = "Cast",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
