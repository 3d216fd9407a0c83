/* SPDX-License-Identifier: MIT */
/*
 * TopK: the k largest or smallest elements along an axis and their indices
 * (ONNX TopK-1: k is an attribute; -10: an input; -11: largest, sorted). They
 * come sorted whether asked for or not; of equals the lower index comes first,
 * NaN is larger than all.
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/along.h"
#include "graph/op/move.h"

static int infer_k(const struct finf_infer *ctx, int64_t *ret)
{
	const struct finf_attr *attr = finf_node_attr(ctx->node, "k");
	struct finf_list list;
	int err = finf_infer_since(ctx, 1, 10);

	if (!err)
		err = finf_infer_list(ctx, NULL, 1, &list);
	if (err)
		return err;
	if (!attr && !list.given)
		return finf_diag_set(ctx->diag, -EINVAL, "input 1 is missing: k");
	if (list.has_count && list.n != 1)
		return finf_diag_set(ctx->diag, -EINVAL, "k has %u elements, not 1", list.n);
	*ret = attr ? attr->i : list.known ? list.v[0] : FINF_DIM_ANY;
	if ((attr || list.known) && *ret < 0)
		return finf_diag_set(ctx->diag, -EINVAL, "k is %" PRId64, *ret);
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;
	int64_t given = finf_node_int(ctx->node, "axis", -1), k = 0, extent;
	struct finf_shape shape = ctx->in[0]->shape;
	bool is_float = dtype == FINF_F32 || dtype == FINF_F64;
	uint32_t axis;
	int err = infer_k(ctx, &k);

	if (err)
		return err;
	if (!is_float && (ctx->node->opset < 11 || (dtype != FINF_I64 && dtype != FINF_I32)))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	ctx->out[0].dtype = dtype;
	ctx->out[1].dtype = FINF_I64;
	if (!ctx->in_has_shape[0])
		return 0;
	if (!finf_axis(given, shape.rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " is beyond %u dimensions",
				     given, shape.rank);
	extent = shape.dim[axis];
	if (extent != FINF_DIM_ANY && k > extent)
		return finf_diag_set(ctx->diag, -EINVAL, "k is %" PRId64 " of %" PRId64, k, extent);
	shape.dim[axis] = k;
	ctx->out[0].shape = ctx->out[1].shape = shape;
	ctx->out_has_shape[0] = ctx->out_has_shape[1] = true;
	return 0;
}

/* One line of the input and of both outputs. */
struct line {
	const void *x;
	void *y;
	int64_t *index;
	size_t x_at, y_at, n, k, step;
	bool largest;
};

/* Element after element, each the first behind the one before in the order of the result. */
#define LINE(name, type)                                                                           \
	static bool name##_greater(type a, type b)                                                 \
	{                                                                                          \
		return a > b || (a != a && b == b);                                                \
	}                                                                                          \
	static bool name##_before(const type *x, size_t i, size_t j, const struct line *line)      \
	{                                                                                          \
		const type a = x[i * line->step], b = x[j * line->step];                           \
                                                                                                   \
		if (name##_greater(a, b))                                                          \
			return line->largest;                                                      \
		return name##_greater(b, a) ? !line->largest : i < j;                              \
	}                                                                                          \
	static void name(const struct line *line)                                                  \
	{                                                                                          \
		const type *x = (const type *)line->x + line->x_at;                                \
		size_t last = line->n;                                                             \
                                                                                                   \
		for (size_t r = 0; r < line->k; r++) {                                             \
			size_t next = line->n, at = line->y_at + r * line->step;                   \
                                                                                                   \
			for (size_t i = 0; i < line->n; i++)                                       \
				if ((!r || name##_before(x, last, i, line)) &&                     \
				    (next == line->n || name##_before(x, i, next, line)))          \
					next = i;                                                  \
			((type *)line->y)[at] = x[next * line->step];                              \
			line->index[at] = (int64_t)next;                                           \
			last = next;                                                               \
		}                                                                                  \
	}

LINE(line_f32, float)
LINE(line_f64, double)
LINE(line_i64, int64_t)
LINE(line_i32, int32_t)

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	int64_t axis = finf_node_int(node, "axis", -1);
	struct line line = {.x = in[0]->data,
			    .y = out[0]->data,
			    .index = out[1]->data,
			    .largest = finf_node_int(node, "largest", 1) != 0};
	struct finf_along x, y;

	if (!finf_along(&in[0]->shape, axis, &x) || !finf_along(&out[0]->shape, axis, &y) ||
	    y.n > x.n)
		return -EINVAL;
	line.n = x.n;
	line.k = y.n;
	line.step = x.step;
	for (size_t i = span.from; i < span.to; i++) {
		line.x_at = finf_along_start(&x, i);
		line.y_at = finf_along_start(&y, i);
		switch (in[0]->dtype) {
		case FINF_F32:
			line_f32(&line);
			break;
		case FINF_F64:
			line_f64(&line);
			break;
		case FINF_I64:
			line_i64(&line);
			break;
		default:
			line_i32(&line);
		}
	}
	return 0;
}

/* A unit is a line. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	struct finf_along along;

	(void)out;
	if (!finf_along(&in[0]->shape, finf_node_int(node, "axis", -1), &along))
		return 0;
	return along.outer * along.step;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{.name = "k", .type = FINF_ATTR_INT, .required = true, .until = 9},
	{.name = "largest", .type = FINF_ATTR_INT, .since = 11},
	{.name = "sorted", .type = FINF_ATTR_INT, .since = 11},
	{0},
};

const struct finf_op finf_op_topk = {
	.name = "TopK",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 2,
	.min_out = 2,
	.max_out = 2,
	.attrs = attrs,
	.infer = infer,
	.range = range,
	.units = units,
};
