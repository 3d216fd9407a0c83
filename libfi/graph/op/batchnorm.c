/* SPDX-License-Identifier: MIT */
/* BatchNormalization, inference form (ONNX BatchNormalization-7, -9, -14, -15). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "graph/op/compute.h"

enum { X, SCALE, BIAS, MEAN, VAR };

static const char *const input_names[] = {"X", "scale", "B", "mean", "var"};

static const struct finf_attr_spec attrs[] = {
	{.name = "epsilon", .type = FINF_ATTR_FLOAT},
	{.name = "momentum", .type = FINF_ATTR_FLOAT},
	{.name = "spatial", .type = FINF_ATTR_INT, .until = 8},
	{.name = "training_mode", .type = FINF_ATTR_INT, .since = 14},
	{0},
};

static int refuse_training(const struct finf_infer *ctx)
{
	if (!finf_node_int(ctx->node, "spatial", 1))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "spatial = 0 is not supported");
	if (finf_node_int(ctx->node, "training_mode", 0))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "training_mode = 1 is not supported");
	for (uint32_t i = 1; i < ctx->node->n_out; i++)
		if (ctx->node->out[i] != FINF_NONE)
			return finf_diag_set(ctx->diag, -EOPNOTSUPP,
					     "training output %" PRIu32 " is not supported", i);
	return 0;
}

/* Inputs of rank 1 have one channel. */
static int64_t channels_of(const struct finf_shape *x)
{
	return x->rank < 2 ? 1 : x->dim[1];
}

static int infer(struct finf_infer *ctx)
{
	int64_t channels = FINF_DIM_ANY;
	char text[96];
	int err = refuse_training(ctx);

	if (!err)
		err = finf_infer_same(ctx);
	if (err)
		return err;
	if (ctx->out_has_shape[0]) {
		if (!ctx->out[0].shape.rank)
			return finf_diag_set(ctx->diag, -EINVAL, "input is a scalar");
		channels = channels_of(&ctx->out[0].shape);
	}
	for (uint32_t i = SCALE; i <= VAR; i++) {
		if (!ctx->in[i])
			return finf_diag_set(ctx->diag, -EINVAL, "input %s is missing",
					     input_names[i]);
		if (!finf_infer_given(ctx, i))
			continue;
		if (ctx->in[i]->shape.rank != 1 ||
		    finf_dim_differs(ctx->in[i]->shape.dim[0], channels))
			return finf_diag_set(
				ctx->diag, -EINVAL, "%s is %s for %" PRId64 " channels",
				input_names[i],
				finf_shape_text(&ctx->in[i]->shape, text, sizeof(text)), channels);
	}
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[X]->shape;
	const float *x = in[X]->data, *scale = in[SCALE]->data, *bias = in[BIAS]->data;
	const float *mean = in[MEAN]->data, *var = in[VAR]->data;
	double epsilon = (double)finf_node_float(node, "epsilon", 1e-5f);
	size_t channels = (size_t)channels_of(shape), batch = (size_t)shape->dim[0];
	size_t n = finf_dims_product(shape, FINF_MIN(shape->rank, 2u), shape->rank);
	float *y = out[0]->data;

	for (size_t p = 0; p < batch * channels; p++) {
		size_t c = p % channels;
		double factor = (double)scale[c] / sqrt((double)var[c] + epsilon);

		for (size_t i = 0; i < n; i++)
			*y++ = (float)(((double)*x++ - (double)mean[c]) * factor + (double)bias[c]);
	}
	return 0;
}

const struct finf_op finf_op_batchnorm = {
	.name = "BatchNormalization",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 5,
	.max_in = 5,
	.min_out = 1,
	.max_out = 5,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
