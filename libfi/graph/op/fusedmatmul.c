/* SPDX-License-Identifier: MIT */
/*
 * FusedMatMul: alpha * A B + C + Z, matrices or stacks of them; product and C broadcast, but
 * C has no more dimensions, and Z has the shape of the result. Not of ONNX: the passes make
 * it of a MatMul with a scale, a bias or a mask around it, and a residual behind it.
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
	struct finf_shape *y = &ctx->out[0].shape, sum;
	int err = finf_matmul_infer(ctx);

	if (err || !ctx->out_has_shape[0])
		return err;
	if (ctx->in[0]->shape.rank < 2 || ctx->in[1]->shape.rank < 2)
		return finf_diag_set(ctx->diag, -EINVAL, "a factor is a vector");
	if (!finf_infer_given(ctx, 2))
		return check_addend(ctx);
	if (finf_broadcast(y, &ctx->in[2]->shape, &sum) || sum.rank != y->rank)
		return finf_diag_set(ctx->diag, -EINVAL, "C does not broadcast to the product");
	*y = sum;
	return check_addend(ctx);
}

/* The product is repeated along a dimension: each element for itself. */
static void eval_repeated(const struct finf_tensor *const *in, const float *z,
			  const struct finf_tensor *y, double alpha)
{
	const struct finf_shape *a = &in[0]->shape, *b = &in[1]->shape;
	struct finf_shape shape_a = *a, shape_b = *b;
	size_t n = finf_dims_product(&y->shape, 0, y->shape.rank);
	int64_t depth = a->dim[a->rank - 1], step = b->dim[b->rank - 1];
	struct finf_walk at_a, at_b, at_c;

	/* Seen from the result: a row of A, a column of B. */
	shape_a.dim[a->rank - 1] = shape_b.dim[b->rank - 2] = 1;
	finf_walk_over(&at_a, &shape_a, &y->shape);
	finf_walk_over(&at_b, &shape_b, &y->shape);
	for (uint32_t i = 0; i + 1 < y->shape.rank; i++)
		at_a.stride[i] *= depth;
	for (uint32_t i = 0; i + 2 < y->shape.rank; i++)
		at_b.stride[i] *= depth;
	finf_walk_over(&at_c, &in[2]->shape, &y->shape);
	for (size_t i = 0; i < n; i++) {
		const float *left = (const float *)in[0]->data + at_a.offset;
		const float *right = (const float *)in[1]->data + at_b.offset;
		double sum = 0;

		for (int64_t k = 0; k < depth; k++)
			sum += (double)left[k] * (double)right[k * step];
		((float *)y->data)[i] = (float)(alpha * (double)(float)sum +
						(double)((const float *)in[2]->data)[at_c.offset]);
		if (z)
			((float *)y->data)[i] += z[i];
		finf_walk_next(&at_a);
		finf_walk_next(&at_b);
		finf_walk_next(&at_c);
	}
}

bool finf_fusedmatmul_repeats(const struct finf_shape *a, const struct finf_shape *b,
			      const struct finf_shape *y)
{
	for (uint32_t i = 0; i + 2 < y->rank; i++) {
		uint32_t left = y->rank - i; /* dimensions from this one on */
		int64_t dim_a = left > a->rank ? 1 : a->dim[a->rank - left];
		int64_t dim_b = left > b->rank ? 1 : b->dim[b->rank - left];

		if (dim_a != y->dim[i] && dim_b != y->dim[i])
			return true;
	}
	return a->dim[a->rank - 2] != y->dim[y->rank - 2] ||
	       b->dim[b->rank - 1] != y->dim[y->rank - 1];
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
	int err;

	if (finf_fusedmatmul_repeats(&in[0]->shape, &in[1]->shape, &out[0]->shape)) {
		if (!c)
			return -EINVAL;
		eval_repeated(in, z, out[0], alpha);
		return 0;
	}
	err = finf_matmul_eval(node, in, out);
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
