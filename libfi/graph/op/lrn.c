/* SPDX-License-Identifier: MIT */
/* LRN: divided by a power of the squares in neighbouring channels (ONNX LRN-1, -13). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "graph/op/compute.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "alpha", .type = FINF_ATTR_FLOAT},
	{.name = "beta", .type = FINF_ATTR_FLOAT},
	{.name = "bias", .type = FINF_ATTR_FLOAT},
	{.name = "size", .type = FINF_ATTR_INT, .required = true},
	{0},
};

static int infer(struct finf_infer *ctx)
{
	int64_t size = finf_node_int(ctx->node, "size", 0);
	int err = finf_infer_same(ctx);

	if (!err && (size < 1 || size > INT32_MAX))
		err = finf_diag_set(ctx->diag, -EINVAL, "size is %" PRId64, size);
	if (!err && ctx->out_has_shape[0] && ctx->in[0]->shape.rank < 2)
		err = finf_diag_set(ctx->diag, -EINVAL, "input of rank %" PRIu32 " has no channels",
				    ctx->in[0]->shape.rank);
	return err;
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	const struct finf_shape *shape = &in[0]->shape;
	int64_t size = finf_node_int(node, "size", 1), channels = shape->dim[1];
	double factor = (double)finf_node_float(node, "alpha", 1e-4f) / (double)size;
	double beta = (double)finf_node_float(node, "beta", 0.75f);
	double bias = (double)finf_node_float(node, "bias", 1.0f);
	size_t plane = finf_dims_product(shape, 2, shape->rank);
	const float *x = in[0]->data;
	float *y = out[0]->data;

	for (int64_t p = (int64_t)span.from; p < (int64_t)span.to; p++) {
		int64_t image = p - p % channels;
		int64_t from = FINF_MAX(p - (size - 1) / 2, image);
		int64_t to = FINF_MIN(p + size / 2, image + channels - 1);

		for (size_t i = 0; i < plane; i++) {
			size_t at = (size_t)p * plane + i;
			double sum = 0;

			for (int64_t c = from; c <= to; c++) {
				double v = (double)x[(size_t)c * plane + i];

				sum += v * v;
			}
			y[at] = (float)((double)x[at] / pow(bias + factor * sum, beta));
		}
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

const struct finf_op finf_op_lrn = {
	.name = "LRN",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
	.units = units,
};
