/* SPDX-License-Identifier: MIT */
/*
 * FusedConv: Conv(X, W, B) + Z, where Z has dtype and shape of the result. B may be
 * left out, Z may not. Not of ONNX: the passes make it of a Conv and the Add behind it.
 */
#include <errno.h>

#include "graph/op/conv.h"

enum { X, W, B, Z };

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *y = &ctx->out[0].shape, *z;
	int err = finf_conv_infer(ctx);

	if (err)
		return err;
	if (ctx->node->n_in <= Z || ctx->node->in[Z] == FINF_NONE)
		return finf_diag_set(ctx->diag, -EINVAL, "the addend is missing");
	if (!ctx->out_has_shape[0] || !finf_infer_given(ctx, Z))
		return 0;
	z = &ctx->in[Z]->shape;
	if (z->rank != y->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "the addend has not the result's rank");
	for (uint32_t i = 0; i < y->rank; i++)
		if (finf_dim_differs(z->dim[i], y->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "the addend has not the result's shape");
	return 0;
}

/* As Conv and Add would round it. */
static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&out[0]->shape, 0, out[0]->shape.rank);
	const float *z = in[Z]->data;
	float *y = out[0]->data;
	int err = finf_conv_eval(node, in, out);

	for (size_t i = 0; !err && i < n; i++)
		y[i] += z[i];
	return err;
}

const struct finf_op finf_op_fusedconv = {
	.name = "FusedConv",
	.opset_min = FINF_OPSET_OWN,
	.opset_max = FINF_OPSET_OWN,
	.min_in = 2,
	.max_in = 4,
	.min_out = 1,
	.max_out = 1,
	.attrs = finf_conv_attrs,
	.infer = infer,
	.eval = eval,
};
