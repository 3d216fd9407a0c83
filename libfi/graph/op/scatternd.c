/* SPDX-License-Identifier: MIT */
/*
 * ScatterND: the data with slices replaced or combined, each at a tuple of
 * indices (ONNX ScatterND-11, -13, -16, -18).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/compute.h"
#include "graph/op/indexed.h"

enum { DATA, INDICES, UPDATES };

static const struct finf_attr_spec attrs[] = {
	{.name = "reduction", .type = FINF_ATTR_STRING, .since = 16},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[DATA]->shape, *index = &ctx->in[INDICES]->shape;
	const struct finf_shape *updates = &ctx->in[UPDATES]->shape;
	int64_t tuple;
	bool fits;
	int err = finf_scatter_infer(ctx, false);

	if (err || !ctx->in_has_shape[DATA] || !ctx->in_has_shape[INDICES] ||
	    !ctx->in_has_shape[UPDATES])
		return err;
	tuple = index->rank ? index->dim[index->rank - 1] : 0;
	if (tuple == FINF_DIM_ANY)
		return 0;
	if (tuple < 1 || tuple > data->rank)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "tuples of %" PRId64 " indices into %" PRIu32 " dimensions",
				     tuple, data->rank);
	fits = updates->rank == index->rank - 1 + data->rank - (uint32_t)tuple;
	for (uint32_t i = 0; fits && i < updates->rank; i++)
		fits = !finf_dim_differs(
			updates->dim[i],
			i + 1 < index->rank ? index->dim[i]
					    : data->dim[i + 1 - index->rank + (uint32_t)tuple]);
	if (!fits)
		return finf_diag_set(ctx->diag, -EINVAL, "updates do not fit data and indices");
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[DATA]->shape, *index = &in[INDICES]->shape;
	uint32_t tuple = (uint32_t)index->dim[index->rank - 1];
	size_t n = finf_dims_product(index, 0, index->rank - 1);
	int64_t stride[FINF_RANK_MAX], each, to;
	enum finf_scatter mode;

	if (finf_scatter_mode(node, out[0]->dtype, &mode, NULL) ||
	    finf_tensor_copy(in[DATA], out[0]))
		return -EINVAL;
	finf_strides(shape, stride);
	each = (int64_t)finf_dims_product(shape, tuple, shape->rank);
	for (size_t i = 0; i < n; i++) {
		if (!finf_index_tuple(in[INDICES], i * tuple, tuple, shape->dim, stride, &to))
			return -EINVAL;
		for (int64_t k = 0; k < each; k++)
			finf_scatter_put(mode, out[0], to + k, in[UPDATES], (int64_t)i * each + k);
	}
	return 0;
}

const struct finf_op finf_op_scatternd = {
	.name = "ScatterND",
	.opset_min = 11,
	.opset_max = 21,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
