/* SPDX-License-Identifier: MIT */
/*
 * Dropout: the input itself, as in inference (ONNX Dropout-7, -10: attribute
 * ratio; -12: inputs ratio and training_mode). The mask says that everything
 * was kept: of the input's dtype before opset 10, bool since.
 */
#include <errno.h>
#include <string.h>

#include "graph/op/move.h"

static int check_inputs(const struct finf_infer *ctx)
{
	const struct finf_tensor *training;
	int err;

	err = finf_infer_since(ctx, 1, 12);
	if (!err)
		err = finf_infer_since(ctx, 2, 12);
	if (err || !finf_infer_has(ctx, 2))
		return err;
	training = ctx->in[2];
	if (training->dtype != FINF_BOOL)
		return finf_diag_set(ctx->diag, -EINVAL, "training_mode is %s, but must be bool",
				     finf_dtype_name(training->dtype));
	if (!training->data || training->bytes != 1)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "training_mode is not one constant: only false is supported");
	if (*(const uint8_t *)training->data)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "training_mode is true: only false is supported");
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_tensor *in = ctx->in[0];
	int err = check_inputs(ctx);

	if (err)
		return err;
	finf_infer_renamed(ctx, ctx->in_has_shape[0] ? &in->shape : NULL);
	if (ctx->node->n_out > 1) {
		if (ctx->node->opset < 10 && in->dtype != FINF_F32 && in->dtype != FINF_F64)
			return finf_diag_set(ctx->diag, -EOPNOTSUPP,
					     "a mask of %s, only floats are supported",
					     finf_dtype_name(in->dtype));
		ctx->out[1].dtype = ctx->node->opset < 10 ? in->dtype : FINF_BOOL;
		ctx->out[1].shape = in->shape;
		ctx->out_has_shape[1] = ctx->in_has_shape[0];
	}
	return 0;
}

static int fill_ones(struct finf_tensor *mask)
{
	size_t n;

	if (finf_shape_count(&mask->shape, &n))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (mask->dtype == FINF_F32)
			((float *)mask->data)[i] = 1;
		else if (mask->dtype == FINF_F64)
			((double *)mask->data)[i] = 1;
		else
			((uint8_t *)mask->data)[i] = 1;
	}
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	int err = finf_eval_renamed(node, in, out);

	if (!err && node->n_out > 1 && out[1])
		err = fill_ones(out[1]);
	return err;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "ratio", .type = FINF_ATTR_FLOAT, .until = 11},
	{.name = "seed", .type = FINF_ATTR_INT, .since = 12},
	{0},
};

const struct finf_op finf_op_dropout = {
	.name = "Dropout",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 3,
	.min_out = 1,
	.max_out = 2,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
