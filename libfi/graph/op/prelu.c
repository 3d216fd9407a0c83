/* SPDX-License-Identifier: MIT */
/* PRelu: x < 0 ? slope * x : x, slope repeated to the shape of x (ONNX PRelu-7, -9, -16). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(prelu_f32, float, p < 0 ? p * q : p, false)
FINF_ARITH_ROW(prelu_f64, double, p < 0 ? p * q : p, false)
FINF_ARITH_ROW(prelu_i64, int64_t, p < 0 ? (uint64_t)p * (uint64_t)q : (uint64_t)p, false)
FINF_ARITH_ROW(prelu_i32, int32_t, p < 0 ? (uint32_t)p * (uint32_t)q : (uint32_t)p, false)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, prelu_f32),
	FINF_ARITH_SAME(F64, 7, prelu_f64),
	FINF_ARITH_SAME(I64, 9, prelu_i64),
	FINF_ARITH_SAME(I32, 9, prelu_i32),
	{0},
};

static int infer(struct finf_infer *ctx)
{
	struct finf_shape *out = &ctx->out[0].shape;
	const struct finf_shape *x = &ctx->in[0]->shape;
	bool same;
	int err = finf_arith_infer(ctx, rows);

	if (err || !ctx->out_has_shape[0])
		return err;
	same = out->rank == x->rank;
	for (uint32_t i = 0; same && i < x->rank; i++)
		same = !finf_dim_differs(out->dim[i], x->dim[i]);
	if (!same)
		return finf_diag_set(ctx->diag, -EINVAL, "the slope does not broadcast to x");
	*out = *x;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	(void)node;
	return finf_arith_range(rows, in[0], in[1], out[0], span);
}

const struct finf_op finf_op_prelu = {
	.name = "PRelu",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.range = range,
};
