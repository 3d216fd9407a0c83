/* SPDX-License-Identifier: MIT */
/* Gather: slices of the input along an axis, by index (ONNX Gather-1, -11, -13). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[0]->shape, *index = &ctx->in[1]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	uint32_t axis, n = 0;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (ctx->in[1]->dtype != FINF_I64 && ctx->in[1]->dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EINVAL, "indices are %s, not int32 or int64",
				     finf_dtype_name(ctx->in[1]->dtype));
	if (!ctx->in_has_shape[0] || !ctx->in_has_shape[1])
		return 0;
	if (!finf_axis(given, data->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " is beyond %u dimensions",
				     given, data->rank);
	if (data->rank - 1 + index->rank > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u dimensions, at most %d are supported",
				     data->rank - 1 + index->rank, FINF_RANK_MAX);
	for (uint32_t i = 0; i < axis; i++)
		out->dim[n++] = data->dim[i];
	for (uint32_t i = 0; i < index->rank; i++)
		out->dim[n++] = index->dim[i];
	for (uint32_t i = axis + 1; i < data->rank; i++)
		out->dim[n++] = data->dim[i];
	out->rank = n;
	ctx->out_has_shape[0] = true;
	return 0;
}

/* Index @i, counted from the end when negative; false when it is outside. */
static bool index_at(const struct finf_tensor *index, size_t i, int64_t extent, int64_t *ret)
{
	int64_t at = index->dtype == FINF_I64 ? ((const int64_t *)index->data)[i]
					      : ((const int32_t *)index->data)[i];

	if (at < -extent || at >= extent)
		return false;
	*ret = at < 0 ? at + extent : at;
	return true;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[0]->shape;
	const uint8_t *from = in[0]->data;
	uint8_t *to = out[0]->data;
	int64_t outer, inner, at;
	size_t n, chunk;
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", 0), shape->rank, &axis) ||
	    finf_shape_count(&in[1]->shape, &n) || finf_dims_count(shape->dim, axis, &outer) ||
	    finf_dims_count(shape->dim + axis + 1, shape->rank - axis - 1, &inner))
		return -EINVAL;
	chunk = (size_t)inner * finf_dtype_bytes(in[0]->dtype);
	for (int64_t o = 0; o < outer; o++, from += (size_t)shape->dim[axis] * chunk)
		for (size_t i = 0; i < n; i++, to += chunk) {
			if (!index_at(in[1], i, shape->dim[axis], &at))
				return -EINVAL;
			if (chunk)
				memcpy(to, from + (size_t)at * chunk, chunk);
		}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_gather = {
	.name = "Gather",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
