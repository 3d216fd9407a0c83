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

int finf_unary_range(const struct finf_unary *table, const struct finf_tensor *x,
		     struct finf_tensor *y, struct finf_span span)
{
	const struct finf_unary *row = find(table, x->dtype);
	size_t at = span.from * finf_dtype_bytes(x->dtype);

	if (!row)
		return -EINVAL;
	row->fn((char *)y->data + at, (const char *)x->data + at, span.to - span.from);
	return 0;
}
