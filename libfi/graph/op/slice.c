/* SPDX-License-Identifier: MIT */
/*
 * Slice: every step-th index between start and end, per axis. Bounds are
 * attributes up to opset 9 (Slice-1), inputs with steps after (Slice-10, -13).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

enum { DATA, STARTS, ENDS, AXES, STEPS };

static const struct finf_attr_spec attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS, .until = 9},
	{.name = "ends", .type = FINF_ATTR_INTS, .required = true, .until = 9},
	{.name = "starts", .type = FINF_ATTR_INTS, .required = true, .until = 9},
	{0},
};

struct bounds {
	struct finf_list starts, ends, axes, steps;
};

/* What is taken of one axis: @count indices from @start on. */
struct cut {
	int64_t start, step, count;
};

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

/* Negative bounds count from the end; whatever is beyond stops at the ends. */
static struct cut cut_axis(int64_t dim, int64_t start, int64_t end, int64_t step)
{
	uint64_t stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
	int64_t span;

	start += start < 0 ? dim : 0;
	end += end < 0 ? dim : 0;
	if (step > 0) {
		start = clamp(start, 0, dim);
		span = clamp(end, 0, dim) - start;
	} else {
		start = clamp(start, 0, dim - 1);
		span = start - clamp(end, -1, dim - 1);
	}
	return (struct cut){start, step,
			    span > 0 ? (int64_t)(((uint64_t)span - 1) / stride) + 1 : 0};
}

/* The cut of every axis; an extent that is not known yet gives FINF_DIM_ANY. */
static int cut_all(const struct finf_shape *shape, const struct bounds *b,
		   struct cut ret[FINF_RANK_MAX], struct finf_diag *diag)
{
	bool marked[FINF_RANK_MAX];
	uint32_t n = b->starts.n;
	int err = 0;

	if (b->ends.n != n || (b->axes.given && b->axes.n != n) ||
	    (b->steps.given && b->steps.n != n) || n > shape->rank)
		return finf_diag_set(diag, -EINVAL, "bounds of different lengths");
	if (b->axes.given)
		err = finf_mark_axes(b->axes.v, n, shape->rank, marked, diag);
	if (err)
		return err;
	for (uint32_t i = 0; i < shape->rank; i++)
		ret[i] = (struct cut){0, 1, shape->dim[i]};
	for (uint32_t i = 0; i < n; i++) {
		uint32_t axis = i;
		int64_t step = b->steps.given ? b->steps.v[i] : 1;

		if (b->axes.given)
			finf_axis(b->axes.v[i], shape->rank, &axis);
		if (!step)
			return finf_diag_set(diag, -EINVAL, "a step of 0");
		if (shape->dim[axis] != FINF_DIM_ANY)
			ret[axis] = cut_axis(shape->dim[axis], b->starts.v[i], b->ends.v[i], step);
	}
	return 0;
}

static int infer_bounds(const struct finf_infer *ctx, struct bounds *b)
{
	bool old = ctx->node->opset < 10;
	int err = finf_infer_since(ctx, STARTS, 10);

	if (!err)
		err = finf_infer_narrow_list(ctx, old ? "starts" : NULL, STARTS, &b->starts);
	if (!err)
		err = finf_infer_narrow_list(ctx, old ? "ends" : NULL, ENDS, &b->ends);
	if (!err)
		err = finf_infer_narrow_list(ctx, old ? "axes" : NULL, AXES, &b->axes);
	if (!err)
		err = finf_infer_narrow_list(ctx, NULL, STEPS, &b->steps);
	if (!err && (!b->starts.given || !b->ends.given))
		err = finf_diag_set(ctx->diag, -EINVAL, "starts or ends are missing");
	return err;
}

static bool is_known(const struct finf_list *list)
{
	return list->known || !list->given;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *shape = &ctx->in[DATA]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	struct cut cuts[FINF_RANK_MAX];
	struct bounds b;
	bool known;
	int err = infer_bounds(ctx, &b);

	ctx->out[0].dtype = ctx->in[DATA]->dtype;
	if (err || !ctx->in_has_shape[DATA])
		return err;
	known = is_known(&b.starts) && is_known(&b.ends) && is_known(&b.axes) && is_known(&b.steps);
	err = known ? cut_all(shape, &b, cuts, ctx->diag) : 0;
	out->rank = shape->rank;
	for (uint32_t i = 0; !err && i < shape->rank; i++)
		out->dim[i] = known ? cuts[i].count : FINF_DIM_ANY;
	ctx->out_has_shape[0] = !err;
	return err;
}

static int eval_bounds(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct bounds *b)
{
	bool old = node->opset < 10;
	int err = finf_eval_list(node, in, old ? "starts" : NULL, STARTS, &b->starts);

	if (!err)
		err = finf_eval_list(node, in, old ? "ends" : NULL, ENDS, &b->ends);
	if (!err)
		err = finf_eval_list(node, in, old ? "axes" : NULL, AXES, &b->axes);
	return err ? err : finf_eval_list(node, in, NULL, STEPS, &b->steps);
}

int finf_slice_walk(const struct finf_node *node, const struct finf_tensor *const *in,
		    const struct finf_shape *out, struct finf_walk *ret)
{
	const struct finf_shape *shape = &in[DATA]->shape;
	struct finf_walk walk = {.rank = shape->rank};
	struct cut cuts[FINF_RANK_MAX];
	struct bounds b;

	if (eval_bounds(node, in, &b) || cut_all(shape, &b, cuts, NULL))
		return -EINVAL;
	finf_strides(shape, walk.stride);
	for (uint32_t i = 0; i < shape->rank; i++) {
		walk.dim[i] = cuts[i].count;
		if (walk.dim[i] != out->dim[i])
			return -EINVAL; /* the bounds are not those that infer() saw */
		walk.offset += cuts[i].start * walk.stride[i];
		walk.stride[i] *= cuts[i].count > 1 ? cuts[i].step : 1;
	}
	*ret = walk;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	struct finf_walk walk;
	int err = finf_slice_walk(node, in, &out[0]->shape, &walk);

	if (!err)
		finf_walk_move(&walk, in[DATA], out[0], span);
	return err;
}

const struct finf_op finf_op_slice = {
	.name = "Slice",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 5,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
