/* SPDX-License-Identifier: MIT */
/* Concat: inputs one behind the other along an axis (ONNX Concat-4, -11, -13). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

/* One more input: its extent along the axis is added, the others must agree. */
static int append(const struct finf_infer *ctx, uint32_t input, uint32_t axis,
		  struct finf_shape *shape)
{
	const struct finf_shape *in = &ctx->in[input]->shape;

	if (in->rank != shape->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "input %u has %u dimensions, input 0 %u",
				     input, in->rank, shape->rank);
	for (uint32_t i = 0; i < in->rank; i++) {
		int64_t have = shape->dim[i], more = in->dim[i];

		if (have == FINF_DIM_ANY || more == FINF_DIM_ANY)
			shape->dim[i] = i == axis ? FINF_DIM_ANY : FINF_MAX(have, more);
		else if (i != axis && have != more)
			return finf_diag_set(ctx->diag, -EINVAL,
					     "input %u has extent %" PRId64
					     " along axis %u, input 0 %" PRId64,
					     input, more, i, have);
		else if (i == axis && __builtin_add_overflow(have, more, &shape->dim[i]))
			return finf_diag_set(ctx->diag, -EOVERFLOW, "its inputs are too large");
	}
	return 0;
}

static int check_dtypes(const struct finf_infer *ctx)
{
	for (uint32_t i = 0; i < ctx->node->n_in; i++) {
		if (!ctx->in[i])
			return finf_diag_set(ctx->diag, -EINVAL, "input %u is missing", i);
		if (ctx->in[i]->dtype != ctx->in[0]->dtype)
			return finf_diag_set(ctx->diag, -EINVAL, "input %u is %s, input 0 %s", i,
					     finf_dtype_name(ctx->in[i]->dtype),
					     finf_dtype_name(ctx->in[0]->dtype));
	}
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_shape shape = ctx->in[0]->shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	uint32_t axis;
	int err = check_dtypes(ctx);

	if (err)
		return err;
	ctx->out[0].dtype = ctx->in[0]->dtype;
	for (uint32_t i = 0; i < ctx->node->n_in; i++)
		if (!ctx->in_has_shape[i])
			return 0;
	if (!finf_axis(given, shape.rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL, "axis %" PRId64 " is beyond %u dimensions",
				     given, shape.rank);
	for (uint32_t i = 1; !err && i < ctx->node->n_in; i++)
		err = append(ctx, i, axis, &shape);
	if (err)
		return err;
	ctx->out[0].shape = shape;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &out[0]->shape;
	uint8_t *to = out[0]->data;
	int64_t outer, inner;
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", 0), shape->rank, &axis) ||
	    finf_dims_count(shape->dim, axis, &outer) ||
	    finf_dims_count(shape->dim + axis + 1, shape->rank - axis - 1, &inner))
		return -EINVAL;
	inner *= (int64_t)finf_dtype_bytes(out[0]->dtype);
	for (int64_t o = 0; o < outer; o++)
		for (uint32_t i = 0; i < node->n_in; i++) {
			size_t chunk = (size_t)(in[i]->shape.dim[axis] * inner);

			if (chunk)
				memcpy(to, (const uint8_t *)in[i]->data + (size_t)o * chunk, chunk);
			to += chunk;
		}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT, .required = true},
	{0},
};

const struct finf_op finf_op_concat = {
	.name = "Concat",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 255,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
