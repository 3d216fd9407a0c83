/* SPDX-License-Identifier: MIT */
/*
 * InstanceNormalization: every channel of every image has mean 0 and variance
 * 1, then scale and shift by channel (ONNX InstanceNormalization-6).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/moments.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "epsilon", .type = FINF_ATTR_FLOAT},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	int err = finf_infer_same(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (ctx->in[0]->shape.rank < 3)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "input of rank %" PRIu32 " has no spatial dimension",
				     ctx->in[0]->shape.rank);
	return finf_infer_channels(ctx, ctx->in[0]->shape.dim[1]);
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	const float *x = in[0]->data, *scale = in[1]->data, *shift = in[2]->data;
	float epsilon = finf_node_float(node, "epsilon", 1e-5f), *y;
	size_t n = finf_dims_product(shape, 2, shape->rank);

	y = (float *)out[0]->data + span.from * n;
	x += span.from * n;
	for (size_t p = span.from; p < span.to; p++, x += n) {
		struct finf_moments m = finf_moments(x, n, epsilon);
		size_t c = p % (size_t)shape->dim[1];

		for (size_t i = 0; i < n; i++)
			*y++ = (float)(((double)x[i] - m.mean) * m.inverse * (double)scale[c] +
				       (double)shift[c]);
	}
	return 0;
}

/* A unit is a channel of one image. */
static size_t units(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	(void)node, (void)out;
	return finf_dims_product(&in[0]->shape, 0, 2);
}

const struct finf_op finf_op_instancenorm = {
	.name = "InstanceNormalization",
	.opset_min = 7,
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
