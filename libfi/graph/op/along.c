/* SPDX-License-Identifier: MIT */
/* graph/op: what Softmax and LogSoftmax share, and what ArgMax and ArgMin do. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "graph/op/along.h"

static int refuse_axis(const struct finf_infer *ctx, int64_t axis)
{
	return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " of an input of rank %" PRIu32,
			     axis, ctx->in[0]->shape.rank);
}

/* ---- Softmax, LogSoftmax ------------------------------------------------------ */

const struct finf_attr_spec finf_softmax_attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

static int64_t softmax_axis(const struct finf_node *node)
{
	return finf_node_int(node, "axis", node->opset < 13 ? 1 : -1);
}

int finf_softmax_infer(struct finf_infer *ctx)
{
	uint32_t axis;
	int err = finf_infer_same(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (!finf_axis(softmax_axis(ctx->node), ctx->out[0].shape.rank, &axis))
		return refuse_axis(ctx, softmax_axis(ctx->node));
	return 0;
}

/* False for an axis out of range. */
static bool softmax_lines(const struct finf_node *node, const struct finf_shape *shape,
			  struct finf_along *ret)
{
	if (!finf_along(shape, softmax_axis(node), ret))
		return false;
	if (node->opset < 13) { /* a matrix, split in front of the axis */
		ret->n *= ret->step;
		ret->step = 1;
	}
	return true;
}

size_t finf_softmax_units(const struct finf_node *node, const struct finf_tensor *const *in,
			  struct finf_tensor *const *out)
{
	struct finf_along along;

	(void)out;
	return softmax_lines(node, &in[0]->shape, &along) ? along.outer * along.step : 0;
}

int finf_softmax_range(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct finf_tensor *y, finf_normalise_fn normalise, struct finf_span span)
{
	struct finf_along along;

	if (!softmax_lines(node, &in[0]->shape, &along))
		return -EINVAL;
	for (size_t i = span.from; i < span.to; i++) {
		size_t at = finf_along_start(&along, i);

		normalise((const float *)in[0]->data + at, (float *)y->data + at, along.n,
			  along.step);
	}
	return 0;
}

/* ---- ArgMax, ArgMin -------------------------------------------------------------- */

const struct finf_attr_spec finf_arg_attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{.name = "keepdims", .type = FINF_ATTR_INT},
	{.name = "select_last_index", .type = FINF_ATTR_INT, .since = 12},
	{0},
};

int finf_arg_infer(struct finf_infer *ctx)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	bool keep = finf_node_int(ctx->node, "keepdims", 1) != 0;
	uint32_t axis;

	if (ctx->in[0]->dtype == FINF_BOOL)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "bool is not supported");
	ctx->out[0].dtype = FINF_I64;
	if (!ctx->in_has_shape[0])
		return 0;
	if (!finf_axis(given, in->rank, &axis))
		return refuse_axis(ctx, given);
	if (in->dim[axis] == 0)
		return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " has no elements", given);
	for (uint32_t i = 0; i < in->rank; i++)
		if (i != axis || keep)
			out->dim[out->rank++] = i == axis ? 1 : in->dim[i];
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Index of the best of @n elements; the first of equals, or the last. */
#define BEST(name, type)                                                                           \
	static int64_t name(const void *from, size_t n, size_t step, bool largest, bool last)      \
	{                                                                                          \
		const type *x = from;                                                              \
		size_t best = 0;                                                                   \
                                                                                                   \
		for (size_t i = 1; i < n; i++) {                                                   \
			const type a = x[i * step], b = x[best * step];                            \
                                                                                                   \
			if ((largest ? a > b : a < b) || (last && a == b))                         \
				best = i;                                                          \
		}                                                                                  \
		return (int64_t)best;                                                              \
	}

BEST(best_f32, float)
BEST(best_f64, double)
BEST(best_i64, int64_t)
BEST(best_i32, int32_t)
BEST(best_i8, int8_t)
BEST(best_u8, uint8_t)

static int64_t best(const struct finf_tensor *x, size_t at, const struct finf_along *along,
		    bool largest, bool last)
{
	const char *from = (const char *)x->data + at * finf_dtype_bytes(x->dtype);

	switch (x->dtype) {
	case FINF_F32:
		return best_f32(from, along->n, along->step, largest, last);
	case FINF_F64:
		return best_f64(from, along->n, along->step, largest, last);
	case FINF_I64:
		return best_i64(from, along->n, along->step, largest, last);
	case FINF_I32:
		return best_i32(from, along->n, along->step, largest, last);
	case FINF_I8:
		return best_i8(from, along->n, along->step, largest, last);
	default:
		return best_u8(from, along->n, along->step, largest, last);
	}
}

int finf_arg_range(const struct finf_node *node, const struct finf_tensor *x,
		   struct finf_tensor *y, bool largest, struct finf_span span)
{
	bool last = finf_node_int(node, "select_last_index", 0) != 0;
	struct finf_along along;

	if (!finf_along(&x->shape, finf_node_int(node, "axis", 0), &along) || !along.n)
		return -EINVAL;
	for (size_t i = span.from; i < span.to; i++)
		((int64_t *)y->data)[i] =
			best(x, finf_along_start(&along, i), &along, largest, last);
	return 0;
}
