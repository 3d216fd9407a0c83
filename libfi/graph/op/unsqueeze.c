/* SPDX-License-Identifier: MIT */
/*
 * Unsqueeze: dimensions of extent 1 at the listed places of the output (ONNX
 * Unsqueeze-1, -11: attribute axes; -13: input axes).
 */
#include <errno.h>

#include "graph/op/move.h"

static int read_axes(const struct finf_infer *ctx, struct finf_list *ret)
{
	int err = finf_infer_since(ctx, 1, 13);

	if (!err)
		err = finf_infer_list(ctx, "axes", 1, ret);
	if (!err && !ret->given)
		err = finf_diag_set(ctx->diag, -EINVAL, "input 1 is missing: axes");
	return err;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape out = {0};
	bool marked[FINF_RANK_MAX];
	struct finf_list axes;
	uint32_t at = 0;
	int err;

	err = read_axes(ctx, &axes);
	if (err)
		return err;
	if (!ctx->in_has_shape[0] || !axes.known) {
		finf_infer_renamed(ctx, NULL);
		return 0;
	}
	out.rank = in->rank + axes.n;
	if (out.rank > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u dimensions, at most %d are supported", out.rank,
				     FINF_RANK_MAX);
	err = finf_mark_axes(axes.v, axes.n, out.rank, marked, ctx->diag);
	if (err)
		return err;
	for (uint32_t i = 0; i < out.rank; i++)
		out.dim[i] = marked[i] ? 1 : in->dim[at++];
	finf_infer_renamed(ctx, &out);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS, .required = true, .until = 12},
	{0},
};

const struct finf_op finf_op_unsqueeze = {
	.name = "Unsqueeze",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = finf_eval_renamed,
};
