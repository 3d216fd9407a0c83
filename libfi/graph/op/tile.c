/* SPDX-License-Identifier: MIT */
/* Tile: the tensor repeated along each axis (ONNX Tile-6, -13). */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *shape = &ctx->in[0]->shape;
	struct finf_shape *out = &ctx->out[0].shape;
	struct finf_list repeats;
	int err = finf_infer_list(ctx, NULL, 1, &repeats);

	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (err || !ctx->in_has_shape[0])
		return err;
	if (repeats.has_count && repeats.n != shape->rank)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRIu32 " repeats for %" PRIu32 " dimensions", repeats.n,
				     shape->rank);
	out->rank = shape->rank;
	for (uint32_t i = 0; i < out->rank; i++) {
		out->dim[i] = FINF_DIM_ANY;
		if (!repeats.known)
			continue;
		if (repeats.v[i] < 0)
			return finf_diag_set(ctx->diag, -EINVAL, "%" PRId64 " repeats",
					     repeats.v[i]);
		if (shape->dim[i] != FINF_DIM_ANY &&
		    __builtin_mul_overflow(shape->dim[i], repeats.v[i], &out->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL, "too large");
	}
	ctx->out_has_shape[0] = true;
	return 0;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	struct finf_walk walk = {.rank = shape->rank};
	size_t each = finf_dtype_bytes(in[0]->dtype);
	int64_t stride[FINF_RANK_MAX];
	struct finf_list repeats;

	if (finf_eval_list(node, in, NULL, 1, &repeats) || repeats.n != shape->rank)
		return -EINVAL;
	for (uint32_t i = 0; i < walk.rank; i++) {
		walk.dim[i] = out[0]->shape.dim[i];
		if (shape->dim[i] * repeats.v[i] != walk.dim[i])
			return -EINVAL; /* the repeats are not those that infer() saw */
	}
	finf_strides(shape, stride);
	finf_walk_seek(&walk, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(&walk)) {
		int64_t offset = 0;

		for (uint32_t k = 0; k < walk.rank; k++)
			offset += walk.at[k] % shape->dim[k] * stride[k];
		finf_move(out[0]->data, (int64_t)i, in[0]->data, offset, each);
	}
	return 0;
}

const struct finf_op finf_op_tile = {
	.name = "Tile",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = infer,
	.range = range,
};
