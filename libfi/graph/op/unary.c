/* SPDX-License-Identifier: MIT */
/* graph/op: what operators of one operand share. */
#include <errno.h>

#include "graph/op/unary.h"

static const struct finf_unary *find(const struct finf_unary *table, enum finf_dtype dtype)
{
	for (; table->fn; table++)
		if (table->dtype == dtype)
			return table;
	return NULL;
}

int finf_unary_infer(struct finf_infer *ctx, const struct finf_unary *table)
{
	const struct finf_unary *row = find(table, ctx->in[0]->dtype);

	if (!row || ctx->node->opset < row->since)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "input 0 is %s, which is not supported",
				     finf_dtype_name(ctx->in[0]->dtype));
	ctx->out[0].dtype = row->dtype;
	ctx->out[0].shape = ctx->in[0]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[0];
	return 0;
}

int finf_unary_eval(const struct finf_unary *table, const struct finf_tensor *x,
		    struct finf_tensor *y)
{
	const struct finf_unary *row = find(table, x->dtype);

	if (!row)
		return -EINVAL;
	row->fn(y->data, x->data, finf_dims_product(&x->shape, 0, x->shape.rank));
	return 0;
}
