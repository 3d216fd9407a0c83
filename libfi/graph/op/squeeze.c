/* SPDX-License-Identifier: MIT */
/*
 * Squeeze: drop dimensions of extent 1, the listed ones or all (ONNX
 * Squeeze-1, -11: attribute axes; -13: input axes).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

/* Without a list: every 1 goes. An unknown extent leaves the rank unknown. */
static void squeeze_all(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape out = {0};

	for (uint32_t i = 0; i < in->rank; i++)
		if (in->dim[i] != 1)
			out.dim[out.rank++] = in->dim[i];
	finf_infer_renamed(ctx, finf_shape_is_static(in) ? &out : NULL);
}

static int squeeze_listed(struct finf_infer *ctx, const struct finf_list *axes)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape out = {0};
	bool marked[FINF_RANK_MAX];
	int err;

	err = finf_mark_axes(axes->v, axes->n, in->rank, marked, ctx->diag);
	if (err)
		return err;
	for (uint32_t i = 0; i < in->rank; i++) {
		if (!marked[i])
			out.dim[out.rank++] = in->dim[i];
		else if (in->dim[i] != 1 && in->dim[i] != FINF_DIM_ANY)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "axis %u has extent %" PRId64 ", not 1", i,
					     in->dim[i]);
	}
	finf_infer_renamed(ctx, &out);
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_list axes;
	int err;

	err = finf_infer_since(ctx, 1, 13);
	if (!err)
		err = finf_infer_list(ctx, "axes", 1, &axes);
	if (err)
		return err;
	if (!ctx->in_has_shape[0] || (axes.given && !axes.known))
		finf_infer_renamed(ctx, NULL);
	else if (axes.given)
		return squeeze_listed(ctx, &axes);
	else
		squeeze_all(ctx);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS, .until = 12},
	{0},
};

const struct finf_op finf_op_squeeze = {
	.name = "Squeeze",
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
