/* SPDX-License-Identifier: MIT */
/*
 * LayerNormalization: everything from an axis on has mean 0 and variance 1,
 * then scale and shift (ONNX LayerNormalization-17).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/moments.h"

enum { X, SCALE, SHIFT };
enum { Y, MEAN, INVERSE };

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{.name = "epsilon", .type = FINF_ATTR_FLOAT},
	{.name = "stash_type", .type = FINF_ATTR_INT},
	{0},
};

/* Scale and shift have exactly the shape that is normalised. */
static int check_weights(const struct finf_infer *ctx, uint32_t axis)
{
	const struct finf_shape *x = &ctx->in[X]->shape;
	char text[96];

	for (uint32_t i = SCALE; i <= SHIFT; i++) {
		const struct finf_shape *w;
		bool same;

		if (!finf_infer_given(ctx, i))
			continue;
		w = &ctx->in[i]->shape;
		same = w->rank == x->rank - axis;
		for (uint32_t k = 0; same && k < w->rank; k++)
			same = !finf_dim_differs(w->dim[k], x->dim[axis + k]);
		if (!same)
			return finf_diag_set(ctx->diag, -EOPNOTSUPP,
					     "input %" PRIu32
					     " is %s: only the shape from the axis on is supported",
					     i, finf_shape_text(w, text, sizeof(text)));
	}
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *x = &ctx->in[X]->shape;
	int64_t given = finf_node_int(ctx->node, "axis", -1);
	uint32_t axis;
	int err = finf_infer_f32(ctx);

	if (!err && finf_node_int(ctx->node, "stash_type", FINF_F32) != FINF_F32)
		err = finf_diag_set(ctx->diag, -EOPNOTSUPP,
				    "stash_type other than float32 is not supported");
	for (uint32_t i = 0; i < ctx->node->n_out; i++)
		ctx->out[i].dtype = FINF_F32;
	if (err || !ctx->in_has_shape[X])
		return err;
	if (!finf_axis(given, x->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRIu32 " dimensions", given,
				     x->rank);
	for (uint32_t i = 0; i < ctx->node->n_out; i++) {
		ctx->out[i].shape = *x;
		for (uint32_t k = axis; i != Y && k < x->rank; k++)
			ctx->out[i].shape.dim[k] = 1;
		ctx->out_has_shape[i] = true;
	}
	return check_weights(ctx, axis);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[X]->shape;
	const float *x = in[X]->data, *scale = in[SCALE]->data;
	const float *shift = node->n_in > SHIFT && in[SHIFT] ? in[SHIFT]->data : NULL;
	float epsilon = finf_node_float(node, "epsilon", 1e-5f), *y = out[Y] ? out[Y]->data : NULL;
	size_t n;
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", -1), shape->rank, &axis))
		return -EINVAL;
	n = finf_dims_product(shape, axis, shape->rank);
	x += span.from * n;
	y = y ? y + span.from * n : NULL;
	for (size_t r = span.from; r < span.to; r++, x += n) {
		struct finf_moments m = finf_moments(x, n, epsilon);

		for (size_t i = 0; y && i < n; i++)
			*y++ = (float)(((double)x[i] - m.mean) * m.inverse * (double)scale[i] +
				       (shift ? (double)shift[i] : 0));
		if (node->n_out > MEAN && out[MEAN])
			((float *)out[MEAN]->data)[r] = (float)m.mean;
		if (node->n_out > INVERSE && out[INVERSE])
			((float *)out[INVERSE]->data)[r] = (float)m.inverse;
	}
	return 0;
}

/* A unit is a row: what is normalised together. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[X]->shape;
	uint32_t axis;

	(void)out;
	if (!finf_axis(finf_node_int(node, "axis", -1), shape->rank, &axis))
		return 0;
	return finf_dims_product(shape, 0, axis);
}

const struct finf_op finf_op_layernorm = {
	.name = "LayerNormalization",
	.opset_min = 17,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 3,
	.min_out = 1,
	.max_out = 3,
	.attrs = attrs,
	.infer = infer,
	.range = range,
	.units = units,
};
