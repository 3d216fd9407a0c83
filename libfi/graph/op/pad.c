/* SPDX-License-Identifier: MIT */
/*
 * Pad: cells added, or with negative pads cut off, at both ends of each
 * dimension (ONNX Pad-2: attributes pads and value; -11, -13: inputs; -18:
 * input axes, which the pads are for; -19, -21: mode wrap).
 * Reflect and edge look at the input as it was before anything was cut off.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

#define PAD_MAX (INT64_MAX / 4) /* so that differences of indices and pads are exact */

enum mode { CONSTANT, REFLECT, EDGE, WRAP };

static int read_mode(const struct finf_node *node, enum mode *ret, struct finf_diag *diag)
{
	static const char *const names[] = {
		[CONSTANT] = "constant", [REFLECT] = "reflect", [EDGE] = "edge", [WRAP] = "wrap"};
	const char *text = finf_node_str(node, "mode", "constant");

	for (size_t i = 0; i < FINF_ARRAY_LEN(names); i++) {
		if (strcmp(names[i], text) || (i == WRAP && node->opset < 19))
			continue;
		*ret = (enum mode)i;
		return 0;
	}
	return finf_diag_set(diag, -EOPNOTSUPP, "mode %s is not supported", text);
}

/* Both ends of every dimension; @axes NULL = all of them in order. */
static int spread(const int64_t *pads, uint32_t n, const int64_t *axes, uint32_t n_axes,
		  uint32_t rank, int64_t full[2 * FINF_RANK_MAX], struct finf_diag *diag)
{
	bool marked[FINF_RANK_MAX];
	uint32_t axis;
	int err;

	if (n != 2 * (axes ? n_axes : rank))
		return finf_diag_set(diag, -EINVAL, "%u pads for %u dimensions", n,
				     axes ? n_axes : rank);
	memset(full, 0, 2 * FINF_RANK_MAX * sizeof(*full));
	if (!axes) {
		memcpy(full, pads, n * sizeof(*full));
		return 0;
	}
	err = finf_mark_axes(axes, n_axes, rank, marked, diag);
	for (uint32_t i = 0; !err && i < n_axes && finf_axis(axes[i], rank, &axis); i++) {
		full[axis] = pads[i];
		full[axis + rank] = pads[i + n_axes];
	}
	return err;
}

/* The extent that comes out, when the cells in the padding can be found. */
static int padded(int64_t extent, int64_t begin, int64_t end, enum mode mode, int64_t *ret,
		  struct finf_diag *diag)
{
	int64_t out, reach = mode == REFLECT ? extent - 1 : INT64_MAX;

	if (extent == FINF_DIM_ANY) {
		*ret = FINF_DIM_ANY;
		return 0;
	}
	if (FINF_MAX(begin, end) > PAD_MAX || FINF_MIN(begin, end) < -PAD_MAX ||
	    __builtin_add_overflow(extent, begin + end, &out))
		return finf_diag_set(diag, -EOVERFLOW, "its pads are too large");
	if (out < 0)
		return finf_diag_set(diag, -EINVAL,
				     "pads %" PRId64 " and %" PRId64 " cut more than %" PRId64,
				     begin, end, extent);
	if (mode != CONSTANT &&
	    ((begin > 0 && begin > reach) || (end > 0 && end > reach) || (!extent && out)))
		return finf_diag_set(diag, -EINVAL,
				     "pads %" PRId64 " and %" PRId64 " reach beyond %" PRId64,
				     begin, end, extent);
	*ret = out;
	return 0;
}

static int infer_shape(struct finf_infer *ctx, enum mode mode, const struct finf_list *pads,
		       const struct finf_list *axes)
{
	const struct finf_shape *in = &ctx->in[0]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	bool known = pads->known && (!axes->given || axes->known);
	int64_t full[2 * FINF_RANK_MAX];
	int err = 0;

	if (known)
		err = spread(pads->v, pads->n, axes->given ? axes->v : NULL, axes->n, in->rank,
			     full, ctx->diag);
	for (uint32_t i = 0; !err && i < in->rank; i++) {
		out->dim[i] = FINF_DIM_ANY;
		if (known)
			err = padded(in->dim[i], full[i], full[i + in->rank], mode, &out->dim[i],
				     ctx->diag);
	}
	out->rank = in->rank;
	ctx->out_has_shape[0] = !err;
	return err;
}

static int infer(struct finf_infer *ctx)
{
	enum finf_dtype dtype = ctx->in[0]->dtype;
	struct finf_list pads, axes;
	enum mode mode;
	int err;

	err = read_mode(ctx->node, &mode, ctx->diag);
	if (!err)
		err = finf_infer_since(ctx, 1, 11);
	if (!err)
		err = finf_infer_since(ctx, 2, 11);
	if (!err)
		err = finf_infer_since(ctx, 3, 18);
	if (!err)
		err = finf_infer_list(ctx, "pads", 1, &pads);
	if (!err)
		err = finf_infer_list(ctx, NULL, 3, &axes);
	if (err)
		return err;
	if (!pads.given)
		return finf_diag_set(ctx->diag, -EINVAL, "input 1 is missing: pads");
	if (finf_infer_has(ctx, 2) && ctx->in[2]->dtype != dtype)
		return finf_diag_set(ctx->diag, -EINVAL, "constant_value is %s, the input %s",
				     finf_dtype_name(ctx->in[2]->dtype), finf_dtype_name(dtype));
	if (ctx->node->opset < 11 && dtype != FINF_F32 && dtype != FINF_F64)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%s before opset 11: only floats are supported",
				     finf_dtype_name(dtype));
	ctx->out[0].dtype = dtype;
	return ctx->in_has_shape[0] ? infer_shape(ctx, mode, &pads, &axes) : 0;
}

/* Where cell @at of the output comes from, -1 for the constant. */
static int64_t source(int64_t at, int64_t begin, int64_t extent, enum mode mode)
{
	int64_t from = at - begin;

	if (from >= 0 && from < extent)
		return from;
	if (mode == CONSTANT)
		return -1;
	if (mode == WRAP)
		return (from % extent + extent) % extent;
	if (mode == EDGE)
		return from < 0 ? 0 : extent - 1;
	return from < 0 ? -from : 2 * (extent - 1) - from;
}

/* The constant's bytes: input 2, attribute value, or 0, which is zero bytes in every dtype. */
static int pad_cell(const struct finf_node *node, const struct finf_tensor *const *in,
		    uint64_t *cell)
{
	size_t each = finf_dtype_bytes(in[0]->dtype), n;
	float value = finf_node_float(node, "value", 0);
	double wide = (double)value;

	*cell = 0;
	if (node->n_in > 2 && in[2]) {
		if (finf_shape_count(&in[2]->shape, &n) || n != 1)
			return -EINVAL;
		memcpy(cell, in[2]->data, each);
	} else if (in[0]->dtype == FINF_F32) {
		memcpy(cell, &value, sizeof(value));
	} else if (in[0]->dtype == FINF_F64) {
		memcpy(cell, &wide, sizeof(wide));
	}
	return 0;
}

/* Pads and axes from wherever this opset has them. */
static int find_pads(const struct finf_node *node, const struct finf_tensor *const *in,
		     int64_t full[2 * FINF_RANK_MAX])
{
	const int64_t *pads, *axes = NULL;
	size_t count = 0, n_axes = 0;
	uint32_t n;

	pads = finf_node_ints(node, "pads", &n);
	count = n;
	if (!pads && node->n_in > 1 && in[1]) {
		pads = in[1]->data;
		if (in[1]->dtype != FINF_I64 || finf_shape_count(&in[1]->shape, &count))
			return -EINVAL;
	}
	if (node->n_in > 3 && in[3]) {
		axes = in[3]->data;
		if (in[3]->dtype != FINF_I64 || finf_shape_count(&in[3]->shape, &n_axes))
			return -EINVAL;
	}
	if (!pads || count > 2 * FINF_RANK_MAX || n_axes > FINF_RANK_MAX)
		return -EINVAL;
	return spread(pads, (uint32_t)count, axes, (uint32_t)n_axes, in[0]->shape.rank, full, NULL);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	struct finf_walk walk = {.rank = shape->rank};
	int64_t pads[2 * FINF_RANK_MAX];
	size_t each = finf_dtype_bytes(in[0]->dtype);
	int64_t stride[FINF_RANK_MAX], extent;
	enum mode mode;
	uint64_t cell;

	if (find_pads(node, in, pads) || read_mode(node, &mode, NULL) ||
	    pad_cell(node, in, &cell))
		return -EINVAL;
	for (uint32_t i = 0; i < shape->rank; i++) {
		if (padded(shape->dim[i], pads[i], pads[i + shape->rank], mode, &extent, NULL) ||
		    extent != out[0]->shape.dim[i])
			return -EINVAL;
		walk.dim[i] = extent;
	}
	finf_strides(shape, stride);
	finf_walk_seek(&walk, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(&walk)) {
		int64_t offset = 0;
		bool inside = true;

		for (uint32_t k = 0; inside && k < walk.rank; k++) {
			int64_t from = source(walk.at[k], pads[k], shape->dim[k], mode);

			inside = from >= 0;
			offset += from * stride[k];
		}
		finf_move(out[0]->data, (int64_t)i, inside ? in[0]->data : &cell,
			  inside ? offset : 0, each);
	}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "mode", .type = FINF_ATTR_STRING},
	{.name = "pads", .type = FINF_ATTR_INTS, .required = true, .until = 10},
	{.name = "value", .type = FINF_ATTR_FLOAT, .until = 10},
	{0},
};

const struct finf_op finf_op_pad = {
	.name = "Pad",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 4,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
