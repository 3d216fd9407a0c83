/* SPDX-License-Identifier: MIT */
/*
 * FusedMatMul: alpha * A B + C + Z, matrices or stacks of them; C broadcasts to the
 * product, Z has its shape. Not of ONNX: the passes make it of a MatMul with a scale, a
 * bias or a mask around it, and a residual behind it.
 */
#include <errno.h>

#include "graph/op/matmul.h"
#include "graph/op/move.h"

enum { Z = 3 };

static int check_addend(const struct finf_infer *ctx)
{
	const struct finf_shape *y = &ctx->out[0].shape, *z;

	if (!finf_infer_given(ctx, Z))
		return 0;
	z = &ctx->in[Z]->shape;
	if (z->rank != y->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "Z has not the product's rank");
	for (uint32_t i = 0; i < y->rank; i++)
		if (finf_dim_differs(z->dim[i], y->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL, "Z has not the product's shape");
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *y = &ctx->out[0].shape;
	struct finf_shape sum;
	int err = finf_matmul_infer(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (ctx->in[0]->shape.rank < 2 || ctx->in[1]->shape.rank < 2)
		return finf_diag_set(ctx->diag, -EINVAL, "a factor is a vector");
	if (!finf_infer_given(ctx, 2))
		return check_addend(ctx);
	if (finf_broadcast(y, &ctx->in[2]->shape, &sum) || sum.rank != y->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "C does not broadcast to the product");
	for (uint32_t i = 0; i < y->rank; i++)
		if (finf_dim_differs(sum.dim[i], y->dim[i]))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "C does not broadcast to the product");
	return check_addend(ctx);
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	double alpha = (double)finf_node_float(node, "alpha", 1);
	const struct finf_tensor *c = node->n_in > 2 ? in[2] : NULL;
	const float *z = node->n_in > Z && in[Z] ? in[Z]->data : NULL;
	size_t n = finf_dims_product(&out[0]->shape, 0, out[0]->shape.rank);
	float *y = out[0]->data;
	struct finf_walk walk;
	int err = finf_matmul_eval(node, in, out);

	if (c)
		finf_walk_over(&walk, &c->shape, &out[0]->shape);
	for (size_t i = 0; !err && i < n; i++) {
		double v = alpha * (double)y[i];

		if (c) {
			v += (double)((const float *)c->data)[walk.offset];
			finf_walk_next(&walk);
		}
		y[i] = (float)v;
		if (z)
			y[i] += z[i]; /* as Add would round it */
	}
	return err;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "alpha", .type = FINF_ATTR_FLOAT},
	{0},
};

const struct finf_op finf_op_fusedmatmul = {
	.name = "FusedMatMul",
	.opset_min = FINF_OPSET_OWN,
	.opset_max = FINF_OPSET_OWN,
	.min_in = 2,
	.max_in = 4,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
