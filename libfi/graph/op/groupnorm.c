/* SPDX-License-Identifier: MIT */
/*
 * GroupNormalization: every group of channels has mean 0 and variance 1, then
 * scale and shift, by group in opset 18 and by channel from 21 on (ONNX
 * GroupNormalization-18, -21).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/moments.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "epsilon", .type = FINF_ATTR_FLOAT},
	{.name = "num_groups", .type = FINF_ATTR_INT, .required = true},
	{.name = "stash_type", .type = FINF_ATTR_INT, .since = 21},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *x = &ctx->in[0]->shape;
	int64_t groups = finf_node_int(ctx->node, "num_groups", 0);
	int err = finf_infer_same(ctx);

	if (!err && finf_node_int(ctx->node, "stash_type", FINF_F32) != FINF_F32)
		err = finf_diag_set(ctx->diag, -EOPNOTSUPP,
				    "stash_type other than float32 is not supported");
	if (!err && groups < 1)
		err = finf_diag_set(ctx->diag, -EINVAL, "num_groups is %" PRId64, groups);
	if (err || !ctx->out_has_shape[0])
		return err;
	if (x->rank < 3)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no spatial dimension", x->rank);
	if (x->dim[1] != FINF_DIM_ANY && x->dim[1] % groups)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "%" PRId64 " channels do not divide into %" PRId64 " groups",
				     x->dim[1], groups);
	return finf_infer_channels(ctx, ctx->node->opset < 21 ? groups : x->dim[1]);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	const float *x = in[0]->data, *scale = in[1]->data, *shift = in[2]->data;
	float epsilon = finf_node_float(node, "epsilon", 1e-5f), *y;
	size_t groups = (size_t)finf_node_int(node, "num_groups", 1);
	size_t per_group = (size_t)shape->dim[1] / groups;
	size_t plane = finf_dims_product(shape, 2, shape->rank), n = per_group * plane;

	y = (float *)out[0]->data + span.from * n;
	x += span.from * n;
	for (size_t g = span.from; g < span.to; g++, x += n) {
		struct finf_moments m = finf_moments(x, n, epsilon);

		for (size_t i = 0; i < n; i++) {
			size_t group = g % groups;
			size_t c = node->opset < 21 ? group : group * per_group + i / plane;

			*y++ = (float)(((double)x[i] - m.mean) * m.inverse * (double)scale[c] +
				       (double)shift[c]);
		}
	}
	return 0;
}

/* A unit is a group of one image. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	(void)out;
	return (size_t)(in[0]->shape.dim[0] * finf_node_int(node, "num_groups", 1));
}

const struct finf_op finf_op_groupnorm = {
	.name = "GroupNormalization",
	.opset_min = 18,
	.opset_max = 21,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
	.units = units,
};
