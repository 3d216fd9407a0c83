/* SPDX-License-Identifier: MIT */
/* Shape: the extents of the input as int64 (ONNX Shape-1, -13; -15: start and end). */
#include "graph/op/move.h"

/* The dimensions [from, to), both clamped into [0, rank]. */
static void range(const struct finf_node *node, uint32_t rank, int64_t *ret_from, int64_t *ret_to)
{
	int64_t r = rank;
	int64_t from = finf_node_int(node, "start", 0), to = finf_node_int(node, "end", r);

	from = from < 0 ? FINF_MAX(from, -r) + r : FINF_MIN(from, r);
	to = to < 0 ? FINF_MAX(to, -r) + r : FINF_MIN(to, r);
	*ret_from = from;
	*ret_to = FINF_MAX(from, to);
}

static int infer(struct finf_infer *ctx)
{
	int64_t from, to;

	ctx->out[0].dtype = FINF_I64;
	ctx->out[0].shape = (struct finf_shape){.rank = 1, .dim = {FINF_DIM_ANY}};
	ctx->out_has_shape[0] = true;
	if (ctx->in_has_shape[0]) {
		range(ctx->node, ctx->in[0]->shape.rank, &from, &to);
		ctx->out[0].shape.dim[0] = to - from;
	}
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	int64_t *y = out[0]->data, from, to;

	range(node, in[0]->shape.rank, &from, &to);
	for (int64_t i = from; i < to; i++)
		*y++ = in[0]->shape.dim[i];
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "start", .type = FINF_ATTR_INT, .since = 15},
	{.name = "end", .type = FINF_ATTR_INT, .since = 15},
	{0},
};

const struct finf_op finf_op_shape = {
	.name = "Shape",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.shapes_only = true,
	.infer = infer,
	.eval = eval,
};
