/* SPDX-License-Identifier: MIT */
/* MatMul: numpy.matmul with batches that broadcast and vectors (ONNX MatMul-1, -9, -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/matmul.h"

/* A factor as a stack of matrices: a vector is a row on the left, a column on the right. */
struct factor {
	struct finf_shape batch;
	int64_t rows, cols;
};

static struct factor factor_of(const struct finf_shape *shape, bool right)
{
	struct factor f = {.rows = 1, .cols = 1};

	if (shape->rank == 1) {
		*(right ? &f.rows : &f.cols) = shape->dim[0];
		return f;
	}
	f.batch = *shape;
	f.batch.rank -= 2;
	f.rows = shape->dim[f.batch.rank];
	f.cols = shape->dim[f.batch.rank + 1];
	return f;
}

int finf_matmul_infer(struct finf_infer *ctx)
{
	struct finf_shape *y = &ctx->out[0].shape;
	struct factor a, b;
	char ta[96], tb[96];
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	ctx->out[0].dtype = FINF_F32;
	if (!ctx->in_has_shape[0] || !ctx->in_has_shape[1])
		return 0;
	if (!ctx->in[0]->shape.rank || !ctx->in[1]->shape.rank)
		return finf_diag_set(ctx->diag, -EINVAL, "a factor is a scalar");
	a = factor_of(&ctx->in[0]->shape, false);
	b = factor_of(&ctx->in[1]->shape, true);
	if (finf_dim_differs(a.cols, b.rows) || finf_broadcast(&a.batch, &b.batch, y))
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not multiply",
				     finf_shape_text(&ctx->in[0]->shape, ta, sizeof(ta)),
				     finf_shape_text(&ctx->in[1]->shape, tb, sizeof(tb)));
	if (ctx->in[0]->shape.rank > 1)
		y->dim[y->rank++] = a.rows;
	if (ctx->in[1]->shape.rank > 1)
		y->dim[y->rank++] = b.cols;
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Which matrix of @from stands at number @index of the broadcast stack @to. */
static size_t matrix_at(const struct finf_shape *from, const struct finf_shape *to, size_t index)
{
	size_t at = 0, step = 1;

	for (uint32_t i = to->rank, j = from->rank; j > 0; j--) {
		size_t dim = (size_t)to->dim[--i], own = (size_t)from->dim[j - 1];

		at += own == 1 ? 0 : index % dim * step;
		step *= own;
		index /= dim;
	}
	return at;
}

static void multiply(const float *a, const float *b, float *y, int64_t rows, int64_t inner,
		     int64_t cols)
{
	double acc[FINF_TILE];

	for (int64_t r = 0; r < rows; r++, a += inner, y += cols) {
		for (int64_t from = 0; from < cols; from += FINF_TILE) {
			int64_t n = FINF_MIN(cols - from, FINF_TILE);

			for (int64_t i = 0; i < n; i++)
				acc[i] = 0;
			for (int64_t k = 0; k < inner; k++)
				for (int64_t i = 0; i < n; i++)
					acc[i] += (double)a[k] * (double)b[k * cols + from + i];
			for (int64_t i = 0; i < n; i++)
				y[from + i] = (float)acc[i];
		}
	}
}

int finf_matmul_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_tensor *const *out)
{
	struct factor a = factor_of(&in[0]->shape, false), b = factor_of(&in[1]->shape, true);
	const float *left = in[0]->data, *right = in[1]->data;
	float *y = out[0]->data;
	struct finf_shape batch;
	size_t matrices;
	int err = finf_broadcast(&a.batch, &b.batch, &batch);

	(void)node;
	if (err)
		return err;
	matrices = finf_dims_product(&batch, 0, batch.rank);
	for (size_t i = 0; i < matrices; i++, y += a.rows * b.cols)
		multiply(left + matrix_at(&a.batch, &batch, i) * (size_t)(a.rows * a.cols),
			 right + matrix_at(&b.batch, &batch, i) * (size_t)(b.rows * b.cols), y,
			 a.rows, a.cols, b.cols);
	return 0;
}

const struct finf_op finf_op_matmul = {
	.name = "MatMul",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = finf_matmul_infer,
	.eval = finf_matmul_eval,
};
