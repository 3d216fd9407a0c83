/* SPDX-License-Identifier: MIT */
/*
 * CumSum: sums of all elements up to each one along an axis, which is an input
 * (ONNX CumSum-11, -14). exclusive leaves out the element itself, reverse
 * starts at the end. Floats sum in double, integers wrap around.
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/along.h"

/* The axis, when its bytes are there; -EINVAL when it is none. */
static int read_axis(const struct finf_tensor *axis, int64_t *ret)
{
	size_t n;

	if ((axis->dtype != FINF_I64 && axis->dtype != FINF_I32) ||
	    finf_shape_count(&axis->shape, &n) || n != 1)
		return -EINVAL;
	*ret = axis->dtype == FINF_I64 ? *(const int64_t *)axis->data
				       : *(const int32_t *)axis->data;
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;
	int64_t given;
	uint32_t axis;

	if (dtype != FINF_F32 && dtype != FINF_F64 && dtype != FINF_I64 && dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	ctx->out[0].dtype = dtype;
	ctx->out[0].shape = ctx->in[0]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[0];
	if (!ctx->in[1]->data)
		return 0;
	if (read_axis(ctx->in[1], &given))
		return finf_diag_set(ctx->diag, -EINVAL, "axis is not one int32 or int64");
	if (ctx->in_has_shape[0] && !finf_axis(given, ctx->in[0]->shape.rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " is beyond %u dimensions",
				     given, ctx->in[0]->shape.rank);
	return 0;
}

struct line {
	size_t at, n, step;
	bool exclusive, reverse;
};

#define LINE(name, type, wide)                                                                     \
	static void name(const void *from, void *to, const struct line *line)                      \
	{                                                                                          \
		const type *x = from;                                                              \
		type *y = to;                                                                      \
		wide sum = 0;                                                                      \
                                                                                                   \
		for (size_t i = 0; i < line->n; i++) {                                             \
			size_t k = line->reverse ? line->n - 1 - i : i;                            \
			size_t at = line->at + k * line->step;                                     \
			wide before = sum;                                                         \
                                                                                                   \
			sum += (wide)x[at];                                                        \
			y[at] = (type)(line->exclusive ? before : sum);                            \
		}                                                                                  \
	}

LINE(line_f32, float, double)
LINE(line_f64, double, double)
LINE(line_i64, int64_t, uint64_t)
LINE(line_i32, int32_t, uint32_t)

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	struct line line = {.exclusive = finf_node_int(node, "exclusive", 0) != 0,
			    .reverse = finf_node_int(node, "reverse", 0) != 0};
	struct finf_along along;
	int64_t axis;

	if (read_axis(in[1], &axis) || !finf_along(&in[0]->shape, axis, &along))
		return -EINVAL;
	line.n = along.n;
	line.step = along.step;
	for (size_t i = span.from; i < span.to; i++) {
		line.at = finf_along_start(&along, i);
		switch (in[0]->dtype) {
		case FINF_F32:
			line_f32(in[0]->data, out[0]->data, &line);
			break;
		case FINF_F64:
			line_f64(in[0]->data, out[0]->data, &line);
			break;
		case FINF_I64:
			line_i64(in[0]->data, out[0]->data, &line);
			break;
		default:
			line_i32(in[0]->data, out[0]->data, &line);
		}
	}
	return 0;
}

/* A unit is a line. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	struct finf_along along;
	int64_t axis;

	(void)node, (void)out;
	if (read_axis(in[1], &axis) || !finf_along(&in[0]->shape, axis, &along))
		return 0;
	return along.outer * along.step;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "exclusive", .type = FINF_ATTR_INT},
	{.name = "reverse", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_cumsum = {
	.name = "CumSum",
	.opset_min = 11,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
	.units = units,
};
