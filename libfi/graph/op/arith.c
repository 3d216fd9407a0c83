/* SPDX-License-Identifier: MIT */
/* graph/op: what operators on broadcast operands share - dtypes, shapes, and the walk over rows. */
#include <errno.h>

#include "graph/op/arith.h"
#include "graph/op/move.h"

/* ---- dtypes and shapes --------------------------------------------------------- */

static const struct finf_arith *find_row(const struct finf_arith *table, enum finf_dtype a,
					 enum finf_dtype b)
{
	for (; table->row; table++)
		if (table->a == a && table->b == b)
			return table;
	return NULL;
}

static bool takes(const struct finf_arith *table, enum finf_dtype dtype, uint32_t opset)
{
	for (; table->row; table++)
		if ((table->a == dtype || table->b == dtype) && opset >= table->since)
			return true;
	return false;
}

static int infer_dtype(const struct finf_infer *ctx, const struct finf_arith *table, uint32_t b)
{
	enum finf_dtype dtypes[2] = {ctx->in[0]->dtype, ctx->in[b]->dtype};
	const struct finf_arith *row = find_row(table, dtypes[0], dtypes[1]);

	for (int i = 0; i < 2; i++)
		if (!takes(table, dtypes[i], ctx->node->opset))
			return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
					     finf_dtype_name(dtypes[i]));
	if (!row || ctx->node->opset < row->since)
		return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not mix",
				     finf_dtype_name(dtypes[0]), finf_dtype_name(dtypes[1]));
	ctx->out[0].dtype = row->y;
	return 0;
}

static int infer_shape(struct finf_infer *ctx)
{
	struct finf_shape all = ctx->in[0]->shape, next;
	char ta[96], tb[96];

	for (uint32_t i = 0; i < ctx->node->n_in; i++) {
		if (!ctx->in_has_shape[i])
			return 0;
		if (finf_broadcast(&all, &ctx->in[i]->shape, &next))
			return finf_diag_set(ctx->diag, -EINVAL, "%s and %s do not broadcast",
					     finf_shape_text(&all, ta, sizeof(ta)),
					     finf_shape_text(&ctx->in[i]->shape, tb, sizeof(tb)));
		all = next;
	}
	ctx->out[0].shape = all;
	ctx->out_has_shape[0] = true;
	return 0;
}

int finf_arith_infer(struct finf_infer *ctx, const struct finf_arith *table)
{
	int err = infer_dtype(ctx, table, 1);

	return err ? err : infer_shape(ctx);
}

int finf_fold_infer(struct finf_infer *ctx, const struct finf_arith *table)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < ctx->node->n_in; i++)
		if (!ctx->in[i])
			err = finf_diag_set(ctx->diag, -EINVAL, "input %u is missing", i);
		else
			err = infer_dtype(ctx, table, i);
	return err ? err : infer_shape(ctx);
}

/* ---- elements -------------------------------------------------------------------- */

static int for_each_row(finf_row_fn row, const struct finf_tensor *a, const struct finf_tensor *b,
			struct finf_tensor *y)
{
	const struct finf_shape scalar = {1, {1}}, *shape = y->shape.rank ? &y->shape : &scalar;
	size_t a_each = finf_dtype_bytes(a->dtype), b_each = finf_dtype_bytes(b->dtype);
	struct finf_walk at_a = {.rank = shape->rank - 1}, at_b = at_a;
	int64_t a_step[FINF_RANK_MAX], b_step[FINF_RANK_MAX];
	uint32_t inner = shape->rank - 1;
	size_t n = (size_t)shape->dim[inner], rows = finf_dims_product(shape, 0, inner);
	size_t bytes = n * finf_dtype_bytes(y->dtype);
	char *out = y->data;
	int err = 0;

	finf_broadcast_strides(&a->shape, shape, a_step);
	finf_broadcast_strides(&b->shape, shape, b_step);
	for (uint32_t i = 0; i < inner; i++) {
		at_a.dim[i] = at_b.dim[i] = shape->dim[i];
		at_a.stride[i] = a_step[i];
		at_b.stride[i] = b_step[i];
	}
	for (size_t r = 0; !err && r < rows; r++, out += bytes) {
		err = row(out, (const char *)a->data + (size_t)at_a.offset * a_each,
			  (const char *)b->data + (size_t)at_b.offset * b_each,
			  (size_t)a_step[inner], (size_t)b_step[inner], n);
		finf_walk_next(&at_a);
		finf_walk_next(&at_b);
	}
	return err;
}

int finf_arith_eval(const struct finf_arith *table, const struct finf_tensor *a,
		    const struct finf_tensor *b, struct finf_tensor *y)
{
	const struct finf_arith *row = find_row(table, a->dtype, b->dtype);

	return row ? for_each_row(row->row, a, b, y) : -EINVAL;
}

int finf_fold_eval(const struct finf_arith *table, const struct finf_node *node,
		   const struct finf_tensor *const *in, struct finf_tensor *y)
{
	int err;

	if (node->n_in == 1)
		return finf_tensor_copy(in[0], y);
	err = finf_arith_eval(table, in[0], in[1], y);
	for (uint32_t i = 2; !err && i < node->n_in; i++)
		err = finf_arith_eval(table, y, in[i], y);
	return err;
}
