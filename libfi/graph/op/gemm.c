/* SPDX-License-Identifier: MIT */
/* Gemm: alpha * A' * B' + beta * C (ONNX Gemm-7, -9, -11, -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/compute.h"

enum { A, B, C };

static const struct finf_attr_spec attrs[] = {
	{.name = "alpha", .type = FINF_ATTR_FLOAT},
	{.name = "beta", .type = FINF_ATTR_FLOAT},
	{.name = "transA", .type = FINF_ATTR_INT},
	{.name = "transB", .type = FINF_ATTR_INT},
	{0},
};

/* Rows and columns of a factor after transposition; unknown ones FINF_DIM_ANY. */
static int factor_dims(const struct finf_infer *ctx, uint32_t i, bool transposed, int64_t *ret_rows,
		       int64_t *ret_cols)
{
	const struct finf_shape *shape = &ctx->in[i]->shape;

	*ret_rows = *ret_cols = FINF_DIM_ANY;
	if (!ctx->in_has_shape[i])
		return 0;
	if (shape->rank != 2)
		return finf_diag_set(ctx->diag, -EINVAL, "%c is of rank %" PRIu32 ", not 2",
				     "AB"[i], shape -> rank);
	*ret_rows = shape->dim[transposed];
	*ret_cols = shape->dim[!transposed];
	return 0;
}

/* C broadcasts one way: to the product, which it must not enlarge. */
static int check_addend(const struct finf_infer *ctx, const struct finf_shape *y)
{
	const struct finf_shape *c = &ctx->in[C]->shape;
	char tc[96], ty[96];
	bool fits = c->rank <= 2;

	for (uint32_t i = 0; fits && i < c->rank; i++)
		fits = c->dim[i] == 1 || !finf_dim_differs(c->dim[i], y->dim[2 - c->rank + i]);
	if (fits)
		return 0;
	return finf_diag_set(ctx->diag, -EINVAL, "C is %s, which does not broadcast to %s",
			     finf_shape_text(c, tc, sizeof(tc)),
			     finf_shape_text(y, ty, sizeof(ty)));
}

static int infer(struct finf_infer *ctx)
{
	int64_t rows, inner_a, inner_b, cols;
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	if (ctx->node->opset < 11 && (ctx->node->n_in <= C || !ctx->in[C]))
		return finf_diag_set(ctx->diag, -EINVAL, "C may be left out only since opset 11");
	err = factor_dims(ctx, A, finf_node_int(ctx->node, "transA", 0), &rows, &inner_a);
	if (!err)
		err = factor_dims(ctx, B, finf_node_int(ctx->node, "transB", 0), &inner_b, &cols);
	if (err)
		return err;
	if (finf_dim_differs(inner_a, inner_b))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "A has %" PRId64 " columns and B %" PRId64
				     " rows, after transposition",
				     inner_a, inner_b);
	ctx->out[0].dtype = FINF_F32;
	ctx->out[0].shape = (struct finf_shape){2, {rows, cols}};
	ctx->out_has_shape[0] = true;
	return finf_infer_given(ctx, C) ? check_addend(ctx, &ctx->out[0].shape) : 0;
}

static float addend_at(const struct finf_tensor *c, int64_t row, int64_t col)
{
	const float *x = c->data;
	uint32_t rank = c->shape.rank;
	int64_t cols = rank ? c->shape.dim[rank - 1] : 1;

	row = rank < 2 || c->shape.dim[0] == 1 ? 0 : row;
	return x[row * cols + (cols == 1 ? 0 : col)];
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_tensor *c = node->n_in > C ? in[C] : NULL;
	double alpha = (double)finf_node_float(node, "alpha", 1);
	double beta = (double)finf_node_float(node, "beta", 1);
	bool ta = finf_node_int(node, "transA", 0), tb = finf_node_int(node, "transB", 0);
	int64_t rows = out[0]->shape.dim[0], cols = out[0]->shape.dim[1];
	int64_t inner = in[A]->shape.dim[!ta];
	/* From one element of the sum to the next, and from one output to the next. */
	int64_t a_inner = ta ? rows : 1, a_row = ta ? 1 : inner;
	int64_t b_inner = tb ? 1 : cols, b_col = tb ? inner : 1;
	const float *a = in[A]->data, *b = in[B]->data;
	float *y = out[0]->data;

	for (int64_t r = 0; r < rows; r++) {
		for (int64_t col = 0; col < cols; col++) {
			double sum = 0;

			for (int64_t k = 0; k < inner; k++)
				sum += (double)a[r * a_row + k * a_inner] *
				       (double)b[k * b_inner + col * b_col];
			*y++ = (float)(alpha * sum + (c ? beta * (double)addend_at(c, r, col) : 0));
		}
	}
	return 0;
}

const struct finf_op finf_op_gemm = {
	.name = "Gemm",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
