/* SPDX-License-Identifier: MIT */
/*
 * FusedAttention: softmax(alpha Q K + mask) V over stacks of matrices, the softmax
 * along rows. Not of ONNX: a pass makes it of two products with a Softmax between
 * them. Sums and products broadcast as Add and MatMul do. perm_q, perm_k and perm_v
 * are Transposes in front of Q, K and V, perm_y is one behind the result.
 */
#include <errno.h>
#include <math.h>

#include "graph/op/attention.h"
#include "graph/op/compute.h"
#include "graph/op/move.h"

enum { Q, K, V, MASK };

static const char *const perms[] = {"perm_q", "perm_k", "perm_v"};

/* Dimension i of the result is dimension ret[i]; as they are when nothing is said. */
static int read_perm(const struct finf_node *node, const char *name, uint32_t rank,
		     uint32_t ret[FINF_RANK_MAX], struct finf_diag *diag)
{
	bool marked[FINF_RANK_MAX];
	uint32_t n;
	const int64_t *given = finf_node_ints(node, name, &n);
	int err;

	for (uint32_t i = 0; i < rank; i++)
		ret[i] = i;
	if (!given)
		return 0;
	if (n != rank)
		return finf_diag_set(diag, -EINVAL, "%s has %u elements for %u dimensions", name, n,
				     rank);
	err = finf_mark_axes(given, n, rank, marked, diag);
	for (uint32_t i = 0; !err && i < rank; i++)
		finf_axis(given[i], rank, &ret[i]);
	return err;
}

static int permuted(const struct finf_node *node, const char *name, const struct finf_shape *shape,
		    struct finf_shape *ret, struct finf_diag *diag)
{
	uint32_t perm[FINF_RANK_MAX];
	int err = read_perm(node, name, shape->rank, perm, diag);

	ret->rank = shape->rank;
	for (uint32_t i = 0; !err && i < shape->rank; i++)
		ret->dim[i] = shape->dim[perm[i]];
	return err;
}

/* ---- shapes ----------------------------------------------------------------------- */

/* The product of two stacks of matrices. */
static int product(const struct finf_shape *a, const struct finf_shape *b, struct finf_shape *ret)
{
	struct finf_shape stack_a = *a, stack_b = *b;
	int err;

	if (a->rank < 2 || b->rank < 2 ||
	    finf_dim_differs(a->dim[a->rank - 1], b->dim[b->rank - 2]))
		return -EINVAL;
	stack_a.rank -= 2;
	stack_b.rank -= 2;
	err = finf_broadcast(&stack_a, &stack_b, ret);
	if (err)
		return err;
	ret->dim[ret->rank++] = a->dim[a->rank - 2];
	ret->dim[ret->rank++] = b->dim[b->rank - 1];
	return 0;
}

/* The result before perm_y. @in: NULL = no mask */
static int result_shape(const struct finf_node *node, const struct finf_shape *const in[4],
			struct finf_shape *ret, struct finf_diag *diag)
{
	struct finf_shape seen[3], scores, masked;
	int err = 0;

	for (uint32_t i = 0; !err && i < 3; i++)
		err = permuted(node, perms[i], in[i], &seen[i], diag);
	if (err)
		return err;
	if (product(&seen[Q], &seen[K], &scores))
		return finf_diag_set(diag, -EINVAL, "Q and K do not multiply");
	masked = scores;
	if (in[MASK] && finf_broadcast(&scores, in[MASK], &masked))
		return finf_diag_set(diag, -EINVAL, "the mask does not broadcast");
	if (product(&masked, &seen[V], ret))
		return finf_diag_set(diag, -EINVAL, "the weights and V do not multiply");
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_shape *in[4] = {NULL};
	struct finf_shape y;
	int err = finf_infer_f32(ctx);

	if (err)
		return err;
	ctx->out[0].dtype = FINF_F32;
	for (uint32_t i = 0; i < ctx->node->n_in; i++) {
		if (!ctx->in[i])
			continue;
		if (!ctx->in_has_shape[i])
			return 0;
		in[i] = &ctx->in[i]->shape;
	}
	err = result_shape(ctx->node, in, &y, ctx->diag);
	if (!err)
		err = permuted(ctx->node, "perm_y", &y, &ctx->out[0].shape, ctx->diag);
	if (!err)
		ctx->out_has_shape[0] = true;
	return err;
}

/* ---- strides ----------------------------------------------------------------------- */

/* A dense tensor of @shape, permuted, in a stack of @rank dimensions. */
static int side_of(const struct finf_node *node, const char *name, const struct finf_shape *shape,
		   uint32_t rank, struct finf_attention_side *ret)
{
	int64_t stride[FINF_RANK_MAX], seen[FINF_RANK_MAX + 2] = {0};
	uint32_t perm[FINF_RANK_MAX], lead = rank + 2 - shape->rank;
	int err = name ? read_perm(node, name, shape->rank, perm, NULL) : 0;

	finf_strides(shape, stride);
	for (uint32_t i = 0; !err && i < shape->rank; i++) {
		uint32_t from = name ? perm[i] : i;

		seen[lead + i] = shape->dim[from] == 1 ? 0 : stride[from];
	}
	for (uint32_t i = 0; i < rank; i++)
		ret->stack[i] = seen[i];
	ret->outer = seen[rank];
	ret->inner = seen[rank + 1];
	return err;
}

/* Of the result: dimension i of what is stored is dimension perm_y[i] of the result. */
static int side_of_result(const struct finf_node *node, const struct finf_shape *shape,
			  struct finf_attention_side *ret)
{
	int64_t stride[FINF_RANK_MAX], seen[FINF_RANK_MAX] = {0};
	uint32_t perm[FINF_RANK_MAX], rank = shape->rank - 2;
	int err = read_perm(node, "perm_y", shape->rank, perm, NULL);

	finf_strides(shape, stride);
	for (uint32_t i = 0; !err && i < shape->rank; i++)
		seen[perm[i]] = shape->dim[i] == 1 ? 0 : stride[i];
	for (uint32_t i = 0; i < rank; i++)
		ret->stack[i] = seen[i];
	ret->outer = seen[rank];
	ret->inner = seen[rank + 1];
	return err;
}

int finf_attention_init(const struct finf_node *node, const struct finf_shape *const in[4],
			const struct finf_shape *out, struct finf_attention *ret)
{
	struct finf_attention a = {.alpha = finf_node_float(node, "alpha", 1),
				   .masked = in[MASK] != NULL};
	struct finf_attention_side *const sides[] = {&a.q, &a.k, &a.v};
	struct finf_shape y, q, v;
	int err = result_shape(node, in, &y, NULL);

	if (!err)
		err = permuted(node, perms[Q], in[Q], &q, NULL);
	if (!err)
		err = permuted(node, perms[V], in[V], &v, NULL);
	if (err || y.rank != out->rank)
		return -EINVAL;
	a.rank = y.rank - 2;
	for (uint32_t i = 0; i < a.rank; i++)
		a.stack[i] = y.dim[i];
	a.rows = y.dim[a.rank];
	a.width = y.dim[a.rank + 1];
	a.depth = q.dim[q.rank - 1];
	a.cols = v.dim[v.rank - 2];
	for (uint32_t i = 0; !err && i < 3; i++)
		err = side_of(node, perms[i], in[i], a.rank, sides[i]);
	if (!err && a.masked)
		err = side_of(node, NULL, in[MASK], a.rank, &a.mask);
	if (!err)
		err = side_of_result(node, out, &a.y);
	if (!err)
		*ret = a;
	return err;
}

int64_t finf_attention_matrices(const struct finf_attention *a)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < a->rank; i++)
		n *= a->stack[i];
	return n;
}

int64_t finf_attention_at(const struct finf_attention *a, const struct finf_attention_side *side,
			  int64_t index)
{
	int64_t at = 0;

	for (uint32_t i = a->rank; i-- > 0; index /= a->stack[i])
		at += index % a->stack[i] * side->stack[i];
	return at;
}

/* ---- the reference kernel ------------------------------------------------------------- */

/* One row of one matrix. */
struct line {
	const float *q, *k, *v, *mask; /* mask: NULL = none */
	float *y;
};

/* Rounded as the product and the sum of nodes of their own would be. */
static double score(const struct finf_attention *a, const struct line *line, int64_t col)
{
	double sum = 0;

	for (int64_t i = 0; i < a->depth; i++)
		sum += (double)line->q[i * a->q.inner] *
		       (double)line->k[i * a->k.outer + col * a->k.inner];
	sum = (double)a->alpha * (double)(float)sum;
	if (line->mask)
		sum += (double)line->mask[col * a->mask.inner];
	return (double)(float)sum;
}

/* Columns [from, from + n) of the row, at most FINF_TILE. */
static void weigh(const struct finf_attention *a, const struct line *line, double largest,
		  int64_t from, int64_t n)
{
	double acc[FINF_TILE] = {0}, sum = 0;

	for (int64_t col = 0; col < a->cols; col++) {
		double weight = exp(score(a, line, col) - largest);

		sum += weight;
		for (int64_t i = 0; i < n; i++)
			acc[i] += weight *
				  (double)line->v[col * a->v.outer + (from + i) * a->v.inner];
	}
	for (int64_t i = 0; i < n; i++)
		line->y[(from + i) * a->y.inner] = a->cols ? (float)(acc[i] / sum) : 0;
}

/* The largest score is taken off first, so that exp() stays finite. */
static void one_row(const struct finf_attention *a, const struct line *line)
{
	double largest = -INFINITY;

	for (int64_t col = 0; col < a->cols; col++) {
		double s = score(a, line, col);

		largest = FINF_MAX(largest, s);
	}
	for (int64_t from = 0; from < a->width; from += FINF_TILE)
		weigh(a, line, largest, from, FINF_MIN(a->width - from, FINF_TILE));
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const struct finf_tensor *mask = node->n_in > MASK ? in[MASK] : NULL;
	const struct finf_shape *const shapes[] = {&in[Q]->shape, &in[K]->shape, &in[V]->shape,
						   mask ? &mask->shape : NULL};
	struct finf_attention a;
	int err = finf_attention_init(node, shapes, &out[0]->shape, &a);
	int64_t n = err ? 0 : finf_attention_matrices(&a);

	for (int64_t i = 0; i < n; i++) {
		struct line line = {
			.q = (const float *)in[Q]->data + finf_attention_at(&a, &a.q, i),
			.k = (const float *)in[K]->data + finf_attention_at(&a, &a.k, i),
			.v = (const float *)in[V]->data + finf_attention_at(&a, &a.v, i),
			.y = (float *)out[0]->data + finf_attention_at(&a, &a.y, i),
		};

		if (mask)
			line.mask = (const float *)mask->data + finf_attention_at(&a, &a.mask, i);
		for (int64_t row = 0; row < a.rows; row++) {
			one_row(&a, &line);
			line.q += a.q.outer;
			line.y += a.y.outer;
			if (mask)
				line.mask += a.mask.outer;
		}
	}
	return err;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "alpha", .type = FINF_ATTR_FLOAT}, {.name = "perm_k", .type = FINF_ATTR_INTS},
	{.name = "perm_q", .type = FINF_ATTR_INTS}, {.name = "perm_v", .type = FINF_ATTR_INTS},
	{.name = "perm_y", .type = FINF_ATTR_INTS}, {0},
};

const struct finf_op finf_op_fusedattention = {
	.name = "FusedAttention",
	.opset_min = FINF_OPSET_OWN,
	.opset_max = FINF_OPSET_OWN,
	.min_in = 3,
	.max_in = 4,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
