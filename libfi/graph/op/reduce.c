/* SPDX-License-Identifier: MIT */
/* graph/op: what the reductions share. */
#include <errno.h>
#include <string.h>

#include "graph/op/reduce.h"

const struct finf_attr_spec finf_reduce_attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS, .until = 17},
	{.name = "keepdims", .type = FINF_ATTR_INT},
	{.name = "noop_with_empty_axes", .type = FINF_ATTR_INT, .since = 18},
	{0},
};

static const struct finf_reduce *find(const struct finf_reduce *table, enum finf_dtype dtype)
{
	for (; table->fn; table++)
		if (table->dtype == dtype)
			return table;
	return NULL;
}

/* No axes are all axes, or with noop_with_empty_axes none: then nothing is computed at all. */
static int mark(const struct finf_node *node, const int64_t *axes, uint32_t n, uint32_t rank,
		bool marked[FINF_RANK_MAX], struct finf_diag *diag)
{
	bool all = !finf_node_int(node, "noop_with_empty_axes", 0);

	if (n)
		return finf_mark_axes(axes, n, rank, marked, diag);
	for (uint32_t i = 0; i < FINF_RANK_MAX; i++)
		marked[i] = all;
	return 0;
}

static int infer_shape(struct finf_infer *ctx, const struct finf_list *axes)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	bool keep = finf_node_int(ctx->node, "keepdims", 1) != 0, marked[FINF_RANK_MAX];
	bool known = !axes->given || axes->known;
	int err;

	if (!known && !keep)
		return 0;
	err = mark(ctx->node, axes->v, known ? axes->n : 0, in->rank, marked, ctx->diag);
	if (err)
		return err;
	for (uint32_t i = 0; i < in->rank; i++)
		if (!known)
			out->dim[out->rank++] = FINF_DIM_ANY;
		else if (!marked[i] || keep)
			out->dim[out->rank++] = marked[i] ? 1 : in->dim[i];
	ctx->out_has_shape[0] = true;
	return 0;
}

int finf_reduce_infer(struct finf_infer *ctx, const struct finf_reduce *table, uint32_t axes_since)
{
	const struct finf_reduce *row = find(table, ctx->in[0]->dtype);
	struct finf_list axes;
	int err;

	if (!row || ctx->node->opset < row->since)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "input 0 is %s, which is not supported",
				     finf_dtype_name(ctx->in[0]->dtype));
	ctx->out[0].dtype = row->dtype;
	err = finf_infer_since(ctx, 1, axes_since);
	if (!err)
		err = finf_infer_list(ctx, "axes", 1, &axes);
	if (err || !ctx->in_has_shape[0])
		return err;
	return infer_shape(ctx, &axes);
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

static int read_axes(const struct finf_node *node, const struct finf_tensor *const *in,
		     const int64_t **ret, uint32_t *ret_n)
{
	size_t n;

	*ret = finf_node_ints(node, "axes", ret_n);
	if (*ret || node->n_in < 2 || !in[1])
		return 0;
	if (in[1]->dtype != FINF_I64 || finf_shape_count(&in[1]->shape, &n) || n > FINF_RANK_MAX)
		return -EINVAL;
	*ret = in[1]->data;
	*ret_n = (uint32_t)n;
	return 0;
}

int finf_reduce_range(const struct finf_reduce *table, const struct finf_node *node,
		      const struct finf_tensor *const *in, struct finf_tensor *y,
		      struct finf_span span)
{
	const struct finf_reduce *row = find(table, in[0]->dtype);
	struct finf_walk kept = {0}, reduced = {0};
	bool marked[FINF_RANK_MAX];
	const int64_t *axes;
	uint32_t n_axes;
	int64_t n;

	if (!row || read_axes(node, in, &axes, &n_axes) ||
	    mark(node, axes, n_axes, in[0]->shape.rank, marked, NULL))
		return -EINVAL;
	if (!n_axes && finf_node_int(node, "noop_with_empty_axes", 0)) {
		finf_copy_span(in[0], y, span);
		return 0;
	}
	split_walks(&in[0]->shape, marked, &kept, &reduced);
	if (finf_dims_count(reduced.dim, reduced.rank, &n))
		return -EINVAL;
	finf_walk_seek(&kept, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(&kept)) {
		reduced.offset = kept.offset;
		row->fn(y->data, i, in[0]->data, &reduced, n);
	}
	return 0;
}
