/* SPDX-License-Identifier: MIT */
/* Reshape: the same elements under another shape (ONNX Reshape-5, -13, -14). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

/* What the shape input asks for, before sizes are compared. */
struct request {
	struct finf_shape shape;
	bool copied[FINF_RANK_MAX]; /* a 0 that took the extent of the input */
	uint32_t rest;		    /* where the -1 is, or FINF_NONE */
};

static int read_request(const struct finf_infer *ctx, const struct finf_list *list,
			struct request *ret)
{
	bool keep_zero = finf_node_int(ctx->node, "allowzero", 0) != 0, zero = false;
	const struct finf_shape *in = &ctx->in[0]->shape;

	*ret = (struct request){.shape.rank = list->n, .rest = FINF_NONE};
	for (uint32_t i = 0; i < list->n; i++) {
		ret->shape.dim[i] = list->v[i];
		if (list->v[i] < -1)
			return finf_diag_set(ctx->diag, -EINVAL, "extent %" PRId64, list->v[i]);
		if (list->v[i] == -1 && ret->rest != FINF_NONE)
			return finf_diag_set(ctx->diag, -EINVAL, "more than one extent is -1");
		if (list->v[i] == -1)
			ret->rest = i;
		zero |= list->v[i] == 0;
		if (list->v[i] || keep_zero)
			continue;
		if (ctx->in_has_shape[0] && i >= in->rank)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "extent %u is 0, but the input has %u dimensions", i,
					     in->rank);
		ret->shape.dim[i] = ctx->in_has_shape[0] ? in->dim[i] : FINF_DIM_ANY;
		ret->copied[i] = true;
	}
	if (keep_zero && zero && ret->rest != FINF_NONE)
		return finf_diag_set(ctx->diag, -EINVAL, "allowzero with both 0 and -1");
	return 0;
}

/*
 * Compares sizes and fills in the -1. Extents copied from the same place of
 * the input cancel, so an unknown batch does not hide what the rest must be.
 */
static int settle_request(const struct finf_infer *ctx, struct request *req)
{
	struct finf_shape have = ctx->in[0]->shape, want = req->shape;
	int64_t n_have, n_want;

	for (uint32_t i = 0; i < want.rank; i++)
		if (req->copied[i])
			have.dim[i] = want.dim[i] = 1;
	if (req->rest != FINF_NONE)
		want.dim[req->rest] = 1;
	if (finf_dims_count(have.dim, have.rank, &n_have) ||
	    finf_dims_count(want.dim, want.rank, &n_want))
		return finf_diag_set(ctx->diag, -EOVERFLOW, "its shape is too large");
	if (n_have == FINF_DIM_ANY)
		return 0;
	if (req->rest == FINF_NONE ? n_have != n_want : !n_want || n_have % n_want)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " elements do not fit a shape of %" PRId64, n_have,
				     n_want);
	if (req->rest != FINF_NONE)
		req->shape.dim[req->rest] = n_have / n_want;
	return 0;
}

/* A shape computed from data: only its rank is known. */
static void unknown_request(uint32_t rank, struct request *ret)
{
	*ret = (struct request){.shape.rank = rank, .rest = FINF_NONE};
	for (uint32_t i = 0; i < rank; i++)
		ret->shape.dim[i] = FINF_DIM_ANY;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_list list;
	struct request req;
	int err;

	err = finf_infer_list(ctx, NULL, 1, &list);
	if (err)
		return err;
	if (!list.has_count) {
		finf_infer_renamed(ctx, NULL);
		return 0;
	}
	if (list.n > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u dimensions, at most %d are supported", list.n,
				     FINF_RANK_MAX);
	if (list.known)
		err = read_request(ctx, &list, &req);
	else
		unknown_request(list.n, &req);
	if (!err && list.known && ctx->in_has_shape[0])
		err = settle_request(ctx, &req);
	if (!err)
		finf_infer_renamed(ctx, &req.shape);
	return err;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "allowzero", .type = FINF_ATTR_INT, .since = 14},
	{0},
};

const struct finf_op finf_op_reshape = {
	.name = "Reshape",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = finf_eval_renamed,
};
