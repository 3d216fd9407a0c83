/* SPDX-License-Identifier: MIT */
/* graph/op: what Add, Sub, Mul and Div share - dtypes, shapes, and the walk over broadcast rows. */
#include <errno.h>

#include "graph/op/arith.h"

int finf_arith_infer(struct finf_infer *ctx)
{
	const struct finf_tensor *a = ctx->in[0], *b = ctx->in[1];
	char ta[96], tb[96];

	if (a->dtype != FINF_F32 && a->dtype != FINF_I64 && a->dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(a->dtype));
	if (a->dtype != b->dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not mix",
				     finf_dtype_name(a->dtype), finf_dtype_name(b->dtype));
	ctx->out[0].dtype = a->dtype;
	if (!ctx->in_has_shape[0] || !ctx->in_has_shape[1])
		return 0;
	if (finf_broadcast(&a->shape, &b->shape, &ctx->out[0].shape))
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not broadcast",
				     finf_shape_text(&a->shape, ta, sizeof(ta)),
				     finf_shape_text(&b->shape, tb, sizeof(tb)));
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Elements to step in @from for one step along each dimension of @to; 0 where it is repeated. */
static void broadcast_steps(const struct finf_shape *from, const struct finf_shape *to,
			    size_t steps[FINF_RANK_MAX])
{
	size_t step = 1;

	for (uint32_t i = to->rank, j = from->rank; i-- > 0;) {
		int64_t dim = j ? from->dim[--j] : 1;

		steps[i] = dim == 1 ? 0 : step;
		step *= (size_t)dim;
	}
}

static int for_each_row(finf_row_fn row, const struct finf_tensor *a, const struct finf_tensor *b,
			struct finf_tensor *y)
{
	const struct finf_shape scalar = {1, {1}}, *shape = y->shape.rank ? &y->shape : &scalar;
	size_t a_steps[FINF_RANK_MAX], b_steps[FINF_RANK_MAX], each = finf_dtype_bytes(y->dtype);
	uint32_t inner = shape->rank - 1;
	size_t n = (size_t)shape->dim[inner], rows = finf_dims_product(shape, 0, inner);
	char *out = y->data;

	broadcast_steps(&a->shape, shape, a_steps);
	broadcast_steps(&b->shape, shape, b_steps);
	for (size_t r = 0; r < rows; r++, out += n * each) {
		size_t left = r, at_a = 0, at_b = 0;
		int err;

		for (uint32_t i = inner; i-- > 0; left /= (size_t)shape->dim[i]) {
			at_a += left % (size_t)shape->dim[i] * a_steps[i];
			at_b += left % (size_t)shape->dim[i] * b_steps[i];
		}
		err = row(out, (const char *)a->data + at_a * each,
			  (const char *)b->data + at_b * each, a_steps[inner], b_steps[inner], n);
		if (err)
			return err;
	}
	return 0;
}

int finf_arith_eval(const struct finf_arith *rows, const struct finf_tensor *const *in,
		    struct finf_tensor *y)
{
	switch (y->dtype) {
	case FINF_I64:
		return for_each_row(rows->i64, in[0], in[1], y);
	case FINF_I32:
		return for_each_row(rows->i32, in[0], in[1], y);
	default:
		return for_each_row(rows->f32, in[0], in[1], y);
	}
}
