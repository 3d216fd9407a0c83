/* SPDX-License-Identifier: MIT */
/*
 * ReduceMean: the mean over the listed axes, or all (ONNX ReduceMean-1, -11,
 * -13). Sums in double; the mean of nothing is NaN.
 */
#include <errno.h>
#include <math.h>

#include "graph/op/move.h"

static int read_axes(const struct finf_node *node, uint32_t rank, bool marked[FINF_RANK_MAX],
		     struct finf_diag *diag)
{
	uint32_t n;
	const int64_t *axes = finf_node_ints(node, "axes", &n);

	if (n)
		return finf_mark_axes(axes, n, rank, marked, diag);
	for (uint32_t i = 0; i < FINF_RANK_MAX; i++)
		marked[i] = true;
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	bool keep = finf_node_int(ctx->node, "keepdims", 1) != 0;
	bool marked[FINF_RANK_MAX];
	int err;

	ctx->out[0].dtype = FINF_F32;
	if (ctx->in[0]->dtype != FINF_F32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "input 0 is %s, only float32 is supported",
				     finf_dtype_name(ctx->in[0]->dtype));
	if (!ctx->in_has_shape[0])
		return 0;
	err = read_axes(ctx->node, in->rank, marked, ctx->diag);
	if (err)
		return err;
	for (uint32_t i = 0; i < in->rank; i++)
		if (!marked[i] || keep)
			out->dim[out->rank++] = marked[i] ? 1 : in->dim[i];
	ctx->out_has_shape[0] = true;
	return 0;
}

/* The input's dimensions apart: one walk over those that stay, one over those that go. */
static void split_walks(const struct finf_shape *shape, const bool *marked, struct finf_walk *kept,
			struct finf_walk *reduced)
{
	int64_t stride[FINF_RANK_MAX];

	finf_strides(shape, stride);
	for (uint32_t i = 0; i < shape->rank; i++) {
		struct finf_walk *walk = marked[i] ? reduced : kept;

		walk->dim[walk->rank] = shape->dim[i];
		walk->stride[walk->rank++] = stride[i];
	}
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	struct finf_walk kept = {0}, reduced = {0};
	const float *x = in[0]->data;
	float *y = out[0]->data;
	bool marked[FINF_RANK_MAX];
	int64_t n;
	size_t n_out;

	if (read_axes(node, in[0]->shape.rank, marked, NULL) ||
	    finf_shape_count(&out[0]->shape, &n_out))
		return -EINVAL;
	split_walks(&in[0]->shape, marked, &kept, &reduced);
	if (finf_dims_count(reduced.dim, reduced.rank, &n))
		return -EINVAL;
	for (size_t i = 0; i < n_out; i++, finf_walk_next(&kept)) {
		double sum = 0;

		for (int64_t k = 0; k < n; k++, finf_walk_next(&reduced))
			sum += (double)x[kept.offset + reduced.offset];
		y[i] = n ? (float)(sum / (double)n) : NAN;
	}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS},
	{.name = "keepdims", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_reducemean = {
	.name = "ReduceMean",
	.opset_min = 7,
	.opset_max = 17,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
