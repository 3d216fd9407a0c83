/* SPDX-License-Identifier: MIT */
/* Transpose: dimensions in another order (ONNX Transpose-1, -13). */
#include <errno.h>

#include "graph/op/move.h"

/* Output dimension i is input dimension perm[i]; reversed when nothing is said. */
static int read_perm(const struct finf_node *node, uint32_t rank, uint32_t perm[FINF_RANK_MAX],
		     struct finf_diag *diag)
{
	bool marked[FINF_RANK_MAX];
	uint32_t n;
	const int64_t *given = finf_node_ints(node, "perm", &n);
	int err;

	for (uint32_t i = 0; !given && i < rank; i++)
		perm[i] = rank - 1 - i;
	if (!given)
		return 0;
	if (n != rank)
		return finf_diag_set(diag, -EINVAL, "perm has %u elements for %u dimensions", n,
				     rank);
	err = finf_mark_axes(given, n, rank, marked, diag);
	for (uint32_t i = 0; !err && i < rank; i++)
		finf_axis(given[i], rank, &perm[i]);
	return err;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	uint32_t perm[FINF_RANK_MAX];
	int err;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (!ctx->in_has_shape[0])
		return 0;
	err = read_perm(ctx->node, in->rank, perm, ctx->diag);
	if (err)
		return err;
	ctx->out[0].shape.rank = in->rank;
	for (uint32_t i = 0; i < in->rank; i++)
		ctx->out[0].shape.dim[i] = in->dim[perm[i]];
	ctx->out_has_shape[0] = true;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	struct finf_walk walk = {.rank = out[0]->shape.rank};
	int64_t stride[FINF_RANK_MAX];
	uint32_t perm[FINF_RANK_MAX];

	if (in[0]->shape.rank != walk.rank || read_perm(node, walk.rank, perm, NULL))
		return -EINVAL;
	finf_strides(&in[0]->shape, stride);
	for (uint32_t i = 0; i < walk.rank; i++) {
		walk.dim[i] = out[0]->shape.dim[i];
		walk.stride[i] = stride[perm[i]];
	}
	finf_walk_move(&walk, in[0], out[0], span);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "perm", .type = FINF_ATTR_INTS},
	{0},
};

const struct finf_op finf_op_transpose = {
	.name = "Transpose",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
