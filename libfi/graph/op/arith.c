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

/* A walk over the rows of @y, standing at @row, with the offset in @from, and the step within. */
static size_t walk_rows(struct finf_walk *walk, const struct finf_shape *from,
			const struct finf_shape *y, size_t row)
{
	uint32_t inner = y->rank - 1;

	finf_walk_over(walk, from, y);
	walk->rank = inner;
	finf_walk_seek(walk, row);
	return (size_t)walk->stride[inner];
}

static int for_each_row(finf_row_fn row, const struct finf_tensor *a, const struct finf_tensor *b,
			struct finf_tensor *y, struct finf_span span)
{
	const struct finf_shape scalar = {1, {1}}, *shape = y->shape.rank ? &y->shape : &scalar;
	size_t a_each = finf_dtype_bytes(a->dtype), b_each = finf_dtype_bytes(b->dtype);
	size_t each = finf_dtype_bytes(y->dtype), n = (size_t)shape->dim[shape->rank - 1], take;
	struct finf_walk at_a, at_b;
	size_t a_step = walk_rows(&at_a, &a->shape, shape, span.from / n);
	size_t b_step = walk_rows(&at_b, &b->shape, shape, span.from / n);
	int err = 0;

	for (size_t i = span.from; !err && i < span.to; i += take) {
		size_t skip = i % n; /* 0 but in the first row */

		take = FINF_MIN(n - skip, span.to - i);
		err = row((char *)y->data + i * each,
			  (const char *)a->data + ((size_t)at_a.offset + skip * a_step) * a_each,
			  (const char *)b->data + ((size_t)at_b.offset + skip * b_step) * b_each,
			  a_step, b_step, take);
		finf_walk_next(&at_a);
		finf_walk_next(&at_b);
	}
	return err;
}

int finf_arith_range(const struct finf_arith *table, const struct finf_tensor *a,
		     const struct finf_tensor *b, struct finf_tensor *y, struct finf_span span)
{
	const struct finf_arith *row = find_row(table, a->dtype, b->dtype);

	return row ? for_each_row(row->row, a, b, y, span) : -EINVAL;
}

int finf_fold_range(const struct finf_arith *table, const struct finf_node *node,
		    const struct finf_tensor *const *in, struct finf_tensor *y,
		    struct finf_span span)
{
	int err = 0;

	if (node->n_in == 1)
		finf_copy_span(in[0], y, span);
	else
		err = finf_arith_range(table, in[0], in[1], y, span);
	for (uint32_t i = 2; !err && i < node->n_in; i++)
		err = finf_arith_range(table, y, in[i], y, span);
	return err;
}
