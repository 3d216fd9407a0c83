/* SPDX-License-Identifier: MIT */
/*
 * Split: parts along an axis. Their sizes are an attribute up to opset 12
 * (Split-2, -11), an input since 13, and may follow from num_outputs since 18.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/compute.h"
#include "graph/op/move.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{.name = "num_outputs", .type = FINF_ATTR_INT, .since = 18},
	{.name = "split", .type = FINF_ATTR_INTS, .until = 12},
	{0},
};

/* Sizes that are given, in full; v is NULL when they are given but not known. */
struct sizes {
	bool given;
	const int64_t *v;
	int64_t n;
};

static struct sizes sizes_of(const struct finf_node *node, const struct finf_tensor *const *in)
{
	uint32_t n;
	struct sizes sizes = {.v = finf_node_ints(node, "split", &n)};

	sizes.n = n;
	sizes.given = sizes.v != NULL;
	if (node->n_in > 1 && in[1]) {
		sizes.given = true;
		sizes.v = in[1]->data;
		sizes.n = in[1]->shape.rank ? in[1]->shape.dim[0] : 1;
	}
	return sizes;
}

/* Part @i of @dim: as given, or equal parts of which the last may be smaller. */
static int64_t part(const struct finf_node *node, const struct sizes *sizes, int64_t dim,
		    uint32_t i)
{
	int64_t n = node->n_out, each;

	if (dim == FINF_DIM_ANY && !sizes->given)
		return FINF_DIM_ANY;
	if (sizes->given)
		return sizes->v ? sizes->v[i] : FINF_DIM_ANY;
	each = (dim + n - 1) / n;
	return i + 1 < n ? each : dim - each * (n - 1);
}

static int check_sizes(const struct finf_infer *ctx, const struct sizes *sizes, int64_t dim)
{
	uint32_t n = ctx->node->n_out;
	int64_t total = 0;

	if (!sizes->given) {
		if (dim != FINF_DIM_ANY && ctx->node->opset < 18 && dim % n)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "%" PRId64 " does not divide into %" PRIu32 " parts",
					     dim, n);
		if (part(ctx->node, sizes, dim, n - 1) < 0 && dim != FINF_DIM_ANY)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "%" PRId64 " is not enough for %" PRIu32 " parts", dim,
					     n);
		return 0;
	}
	if (sizes->n != FINF_DIM_ANY && sizes->n != n)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " sizes for %" PRIu32 " outputs", sizes->n, n);
	for (uint32_t i = 0; sizes->v && i < n; i++)
		if (sizes->v[i] < 0 || __builtin_add_overflow(total, sizes->v[i], &total))
			return finf_diag_set(ctx->diag, -EINVAL, "a part of %" PRId64, sizes->v[i]);
	if (sizes->v && finf_dim_differs(total, dim))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "parts make %" PRId64 " together, not %" PRId64, total, dim);
	return 0;
}

static int check_count(const struct finf_infer *ctx)
{
	int64_t n = finf_node_int(ctx->node, "num_outputs", ctx->node->n_out);

	if (n != ctx->node->n_out)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "num_outputs is %" PRId64 " for %" PRIu32 " outputs", n,
				     ctx->node->n_out);
	if (!finf_infer_has(ctx, 1))
		return 0;
	if (finf_node_attr(ctx->node, "num_outputs"))
		return finf_diag_set(ctx->diag, -EINVAL, "both split and num_outputs");
	if (ctx->in[1]->dtype != FINF_I64)
		return finf_diag_set(ctx->diag, -EINVAL, "split is %s, but must be int64",
				     finf_dtype_name(ctx->in[1]->dtype));
	if (ctx->in_has_shape[1] && ctx->in[1]->shape.rank != 1)
		return finf_diag_set(ctx->diag, -EINVAL, "split has %" PRIu32 " dimensions, not 1",
				     ctx->in[1]->shape.rank);
	return finf_infer_since(ctx, 1, 13);
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *shape = &ctx->in[0]->shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	struct sizes sizes;
	uint32_t axis;
	int err = check_count(ctx);

	for (uint32_t i = 0; i < ctx->node->n_out; i++)
		ctx->out[i].dtype = ctx->in[0]->dtype;
	if (err || !ctx->in_has_shape[0] || (finf_infer_has(ctx, 1) && !ctx->in_has_shape[1]))
		return err;
	if (!finf_axis(given, shape->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRIu32 " dimensions", given,
				     shape->rank);
	sizes = sizes_of(ctx->node, ctx->in);
	err = check_sizes(ctx, &sizes, shape->dim[axis]);
	for (uint32_t i = 0; !err && i < ctx->node->n_out; i++) {
		ctx->out[i].shape = *shape;
		ctx->out[i].shape.dim[axis] = part(ctx->node, &sizes, shape->dim[axis], i);
		ctx->out_has_shape[i] = true;
	}
	return err;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[0]->shape;
	struct sizes sizes = sizes_of(node, in);
	size_t outer, inner, line;
	const uint8_t *from = in[0]->data;
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", 0), shape->rank, &axis))
		return -EINVAL;
	outer = finf_dims_product(shape, 0, axis);
	inner = finf_dims_product(shape, axis + 1, shape->rank) * finf_dtype_bytes(in[0]->dtype);
	line = inner * (size_t)shape->dim[axis];
	for (uint32_t i = 0; i < node->n_out; i++) {
		int64_t extent = part(node, &sizes, shape->dim[axis], i);
		size_t bytes = inner * (size_t)extent;

		if (out[i] && out[i]->shape.dim[axis] != extent)
			return -EINVAL; /* the sizes are not those that infer() saw */
		for (size_t o = 0; out[i] && bytes && o < outer; o++)
			memcpy((uint8_t *)out[i]->data + o * bytes, from + o * line, bytes);
		from += bytes;
	}
	return 0;
}

const struct finf_op finf_op_split = {
	.name = "Split",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 2,
	.min_out = 1,
	.max_out = 255,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
