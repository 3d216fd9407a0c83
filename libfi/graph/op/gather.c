/* SPDX-License-Identifier: MIT */
/* Gather: slices of the input along an axis, by index (ONNX Gather-1, -11, -13). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/along.h"
#include "graph/op/indexed.h"

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[0]->shape, *index = &ctx->in[1]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	uint32_t axis, n = 0;
	int err;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	err = finf_infer_indices(ctx, 1, true);
	if (err)
		return err;
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

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	const uint8_t *from = in[0]->data;
	struct finf_along along;
	size_t n, chunk, k;
	int64_t at;

	if (!finf_along(shape, finf_node_int(node, "axis", 0), &along) ||
	    finf_shape_count(&in[1]->shape, &n))
		return -EINVAL;
	chunk = along.step * finf_dtype_bytes(in[0]->dtype);
	from += span.from / n * along.n * chunk;
	k = span.from % n;
	for (size_t i = span.from; i < span.to; i++) {
		if (!finf_index_at(in[1], k, (int64_t)along.n, &at))
			return -EINVAL;
		memcpy((uint8_t *)out[0]->data + i * chunk, from + (size_t)at * chunk, chunk);
		if (++k == n) {
			k = 0;
			from += along.n * chunk;
		}
	}
	return 0;
}

/* A unit is what one index brings: everything behind the axis. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	struct finf_along along;
	size_t n;

	(void)out;
	if (!finf_along(&in[0]->shape, finf_node_int(node, "axis", 0), &along) ||
	    finf_shape_count(&in[1]->shape, &n))
		return 0;
	return along.outer * n;
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
	.range = range,
	.units = units,
};
