/* SPDX-License-Identifier: MIT */
/* GatherND: slices, each at a tuple of indices (ONNX GatherND-11, -12, -13). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/compute.h"
#include "graph/op/indexed.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "batch_dims", .type = FINF_ATTR_INT, .since = 12},
	{0},
};

static int check(const struct finf_infer *ctx, int64_t batch, int64_t tuple)
{
	const struct finf_shape *data = &ctx->in[0]->shape, *index = &ctx->in[1]->shape;

	if (batch < 0 || batch >= index->rank || batch >= data->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "batch_dims is %" PRId64, batch);
	if (tuple != FINF_DIM_ANY && (tuple < 1 || tuple > data->rank - batch))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "tuples of %" PRId64 " indices into %" PRId64 " dimensions",
				     tuple, data->rank - batch);
	for (int64_t i = 0; i < batch; i++)
		if (finf_dim_differs(data->dim[i], index->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "data and indices differ in batch dimension %" PRId64,
					     i);
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[0]->shape, *index = &ctx->in[1]->shape;
	struct finf_shape out = {0};
	int64_t batch = finf_node_int(ctx->node, "batch_dims", 0), tuple;
	int err = finf_infer_indices(ctx, 1, false);

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (err || !ctx->in_has_shape[0] || !ctx->in_has_shape[1])
		return err;
	tuple = index->rank ? index->dim[index->rank - 1] : 0;
	err = check(ctx, batch, tuple);
	if (err || tuple == FINF_DIM_ANY)
		return err;
	if (index->rank - 1 + data->rank - (uint32_t)(batch + tuple) > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "more than %d dimensions are not supported", FINF_RANK_MAX);
	for (uint32_t i = 0; i + 1 < index->rank; i++)
		out.dim[out.rank++] = index->dim[i];
	for (uint32_t i = (uint32_t)(batch + tuple); i < data->rank; i++)
		out.dim[out.rank++] = data->dim[i];
	ctx->out[0].shape = out;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape, *index = &in[1]->shape;
	uint32_t batch = (uint32_t)finf_node_int(node, "batch_dims", 0);
	uint32_t tuple = (uint32_t)index->dim[index->rank - 1];
	size_t per_batch, bytes, plane;
	int64_t stride[FINF_RANK_MAX], at;
	const uint8_t *from = in[0]->data;

	finf_strides(shape, stride);
	per_batch = finf_dims_product(index, batch, index->rank - 1);
	bytes = finf_dims_product(shape, batch + tuple, shape->rank) *
		finf_dtype_bytes(in[0]->dtype);
	plane = finf_dims_product(shape, batch, shape->rank) * finf_dtype_bytes(in[0]->dtype);
	for (size_t i = span.from; i < span.to; i++) {
		if (!finf_index_tuple(in[1], i * tuple, tuple, &shape->dim[batch], &stride[batch],
				      &at))
			return -EINVAL;
		memcpy((uint8_t *)out[0]->data + i * bytes,
		       from + i / per_batch * plane + (size_t)at * finf_dtype_bytes(in[0]->dtype),
		       bytes);
	}
	return 0;
}

/* A unit is what one tuple brings. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	(void)node, (void)out;
	return finf_dims_product(&in[1]->shape, 0, in[1]->shape.rank - 1);
}

const struct finf_op finf_op_gathernd = {
	.name = "GatherND",
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
