/* SPDX-License-Identifier: MIT */
/* Range: start, start + delta and on, as long as limit is not reached (ONNX Range-11). */
#include <errno.h>
#include <math.h>

#include "graph/op/move.h"

#define COUNT_MAX 9007199254740992.0 /* integers that double holds exactly */

static int count_floats(double start, double limit, double delta, int64_t *ret)
{
	double n = ceil((limit - start) / delta);

	if (!(fabs(n) <= COUNT_MAX)) /* nor NaN */
		return -EINVAL;
	*ret = n > 0 ? (int64_t)n : 0;
	return 0;
}

static int count_ints(int64_t start, int64_t limit, int64_t delta, int64_t *ret)
{
	uint64_t way = (uint64_t)limit - (uint64_t)start, step = (uint64_t)delta;

	if (!delta)
		return -EINVAL;
	if (delta < 0) {
		way = 0 - way;
		step = 0 - step;
	}
	*ret = 0;
	if (delta > 0 ? limit > start : limit < start)
		*ret = (int64_t)FINF_MIN((way - 1) / step + 1, (uint64_t)INT64_MAX);
	return 0;
}

static int count(const struct finf_tensor *const *in, int64_t *ret)
{
#define COUNT(type, how)                                                                           \
	how(*(const type *)in[0]->data, *(const type *)in[1]->data, *(const type *)in[2]->data, ret)
	switch (in[0]->dtype) {
	case FINF_F32:
		return COUNT(float, count_floats);
	case FINF_F64:
		return COUNT(double, count_floats);
	case FINF_I64:
		return COUNT(int64_t, count_ints);
	default:
		return COUNT(int32_t, count_ints);
	}
}

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;
	size_t each = finf_dtype_bytes(dtype);
	bool known = true;
	int64_t n = FINF_DIM_ANY;

	if (dtype != FINF_F32 && dtype != FINF_F64 && dtype != FINF_I64 && dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	for (int i = 0; i < 3; i++) {
		if (ctx->in[i]->dtype != dtype)
			return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not mix",
					     finf_dtype_name(dtype),
					     finf_dtype_name(ctx->in[i]->dtype));
		if (ctx->in[i]->data && ctx->in[i]->bytes != each)
			return finf_diag_set(ctx->diag, -EINVAL, "input %d is not a scalar", i);
		known &= ctx->in[i]->data != NULL;
	}
	if (known && count(ctx->in, &n))
		return finf_diag_set(ctx->diag, -EINVAL, "its delta never gets to the limit");
	ctx->out[0].dtype = dtype;
	ctx->out[0].shape = (struct finf_shape){.rank = 1, .dim = {n}};
	ctx->out_has_shape[0] = true;
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	int64_t n;

	(void)node;
	if (count(in, &n) || n != out[0]->shape.dim[0])
		return -EINVAL;
#define FILL(type, wide)                                                                           \
	for (int64_t i = 0; i < n; i++)                                                            \
	((type *)out[0]->data)[i] = (type)((wide) * (const type *)in[0]->data +                    \
					   (wide)i * (wide) * (const type *)in[2]->data)
	switch (in[0]->dtype) {
	case FINF_F32:
		FILL(float, double);
		break;
	case FINF_F64:
		FILL(double, double);
		break;
	case FINF_I64:
		FILL(int64_t, uint64_t);
		break;
	default:
		FILL(int32_t, uint64_t);
	}
	return 0;
}

const struct finf_op finf_op_range = {
	.name = "Range",
	.opset_min = 11,
	.opset_max = 21,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.eval = eval,
};
