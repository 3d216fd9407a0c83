/* SPDX-License-Identifier: MIT */
/*
 * host: Gemm and MatMul. Weights stay as they lie in the model: at batch 1 a
 * fully connected layer runs at the speed of memory that way, and no pack has
 * to hold a second form of what is most of many models.
 */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"
#include "graph/op/matmul.h"

enum { A, B, C, Z };

/*
 * oneDNN's inner product reads weights as [n, k], stored so (oi) or transposed
 * (io). On 9216x4096 with 2 threads (oneDNN 2.6.3 and 3.2 alike) it beat matmul
 * for io at any batch, and for oi below 4 rows; from there on matmul won.
 */
#define INNER_OI_ROWS 4

static bool inner_pays(int64_t rows, bool oi)
{
	return !oi || rows < INNER_OI_ROWS;
}

/* [rows, cols] as stored, or its transpose seen through the strides. */
static struct finf_dnn_md matrix(int64_t rows, int64_t cols, bool transposed)
{
	struct finf_dnn_md md = {.rank = 2, .tag = transposed ? dnnl_ba : dnnl_ab};

	md.dim[0] = transposed ? cols : rows;
	md.dim[1] = transposed ? rows : cols;
	return md;
}

static struct finf_dnn_post_op linear(float factor)
{
	return (struct finf_dnn_post_op){.alg = dnnl_eltwise_linear, .a = factor};
}

/* Everything float32, plain and there: gives shapes only. */
static int plain_shape(const struct finf_site *site, uint32_t i, struct finf_shape *ret)
{
	struct finf_dnn_md md;
	int err = finf_site_in_md(site, i, &md);

	if (!err && !finf_dnn_is_plain(&md))
		err = -EOPNOTSUPP;
	if (!err)
		*ret = finf_site_in(site, i)->shape;
	return err;
}

/*
 * alpha * AB + beta * C as post-ops: ((AB * alpha / beta) + C) * beta, factors
 * of 1 left out, so that the common case is AB + C. Two factors at once are
 * left to the reference: oneDNN 2.6 finds the parameters of a post-op by its
 * algorithm and would use the first factor twice.
 */
static int gemm_addend(const struct finf_site *site, struct finf_build *b, float alpha,
		       struct finf_dnn_post *post)
{
	float beta = finf_node_float(site->node, "beta", 1.0f);
	struct finf_shape shape;
	struct finf_dnn_md md;
	int err;

	if (!finf_site_in(site, C) || beta == 0) {
		if (alpha != 1)
			post->op[post->n++] = linear(alpha);
		return 0;
	}
	err = plain_shape(site, C, &shape);
	if (err || shape.rank > 2 || (alpha != beta && beta != 1))
		return -EOPNOTSUPP;
	md = matrix(shape.rank > 1 ? shape.dim[0] : 1, shape.rank ? shape.dim[shape.rank - 1] : 1,
		    false);
	if (alpha != beta)
		post->op[post->n++] = linear(alpha / beta);
	finf_build_in(b, DNNL_ARG_ATTR_MULTIPLE_POST_OP((int)post->n) | DNNL_ARG_SRC_1, C, &md);
	post->op[post->n++] = (struct finf_dnn_post_op){
		.binary = true,
		.alg = dnnl_binary_add,
		.md = md,
	};
	if (beta != 1)
		post->op[post->n++] = linear(beta);
	return 0;
}

/* C of one element per column, neither scaled: oneDNN's own bias. */
static bool is_bias(const struct finf_site *site, float alpha, int64_t cols)
{
	const struct finf_value *c = finf_site_in(site, C);

	return c && alpha == 1 && finf_node_float(site->node, "beta", 1.0f) == 1 &&
	       c->shape.rank >= 1 && c->shape.dim[c->shape.rank - 1] == cols &&
	       (c->shape.rank == 1 || (c->shape.rank == 2 && c->shape.dim[0] == 1));
}

static int inner_product(const struct finf_site *site, struct finf_build *b, int64_t rows,
			 int64_t depth, int64_t cols, bool oi, bool bias,
			 const struct finf_dnn_post *post)
{
	struct finf_dnn_md src = matrix(rows, depth, false), dst = matrix(rows, cols, false);
	struct finf_dnn_md weights = oi ? matrix(cols, depth, false) : matrix(depth, cols, true);
	struct finf_dnn_md bias_md = {.rank = 1, .tag = dnnl_a, .dim = {cols}};
	int err = finf_dnn_inner(site->dnn, &src, &weights, bias ? &bias_md : NULL, &dst, post,
				 &b->pd);

	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, A, &src);
	finf_build_in(b, DNNL_ARG_WEIGHTS, B, &weights);
	if (bias)
		finf_build_in(b, DNNL_ARG_BIAS, C, &bias_md);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	return 0;
}

static int matrix_product(const struct finf_site *site, struct finf_build *b,
			  const struct finf_dnn_md *left, const struct finf_dnn_md *right,
			  const struct finf_dnn_md *dst, const struct finf_dnn_post *post)
{
	int err = finf_dnn_matmul(site->dnn, left, right, dst, post, &b->pd);

	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, A, left);
	finf_build_in(b, DNNL_ARG_WEIGHTS, B, right);
	finf_build_out(b, DNNL_ARG_DST, dst);
	return 0;
}

int finf_build_gemm(const struct finf_site *site, struct finf_build *b)
{
	bool ta = finf_node_int(site->node, "transA", 0);
	bool tb = finf_node_int(site->node, "transB", 0);
	float alpha = finf_node_float(site->node, "alpha", 1.0f);
	struct finf_dnn_md left, right, dst;
	struct finf_dnn_post post = {0};
	struct finf_shape a, w;
	bool inner, bias;
	int err = plain_shape(site, A, &a);

	if (!err)
		err = plain_shape(site, B, &w);
	if (!err)
		err = finf_site_out_md(site, &dst);
	if (err || a.rank != 2 || w.rank != 2 || !finf_dnn_is_plain(&dst) || alpha == 0)
		return -EOPNOTSUPP;
	inner = !ta && inner_pays(dst.dim[0], tb);
	bias = inner && is_bias(site, alpha, dst.dim[1]);
	if (!bias)
		err = gemm_addend(site, b, alpha, &post);
	if (err)
		return err;
	finf_build_post_act(site, b, &post);
	if (inner)
		return inner_product(site, b, dst.dim[0], a.dim[1], dst.dim[1], tb, bias, &post);
	left = matrix(a.dim[0], a.dim[1], ta);
	right = matrix(w.dim[0], w.dim[1], tb);
	return matrix_product(site, b, &left, &right, &dst, &post);
}

/* A factor of @rank dimensions: a vector is a row on the left and a column on the right. */
static int factor_md(const struct finf_shape *shape, uint32_t rank, bool right,
		     struct finf_dnn_md *ret)
{
	struct finf_shape whole = {.rank = rank};
	uint32_t lead = rank - FINF_MAX(shape->rank, 2u);

	for (uint32_t i = 0; i < rank; i++)
		whole.dim[i] = 1;
	if (shape->rank == 1)
		whole.dim[rank - (right ? 2 : 1)] = shape->dim[0];
	else
		for (uint32_t i = 0; i < shape->rank; i++)
			whole.dim[lead + i] = shape->dim[i];
	return finf_dnn_plain(&whole, ret);
}

/* ---- MatMul, and with a factor and an addend FusedMatMul ---------------------------- */

/* The addend as a tensor of @rank dimensions; rank 0 = none. */
static int addend_md(const struct finf_site *site, uint32_t rank, struct finf_dnn_md *ret)
{
	const struct finf_value *c = finf_site_in(site, C);
	struct finf_shape whole = {.rank = rank};
	uint32_t lead;

	*ret = (struct finf_dnn_md){.rank = 0};
	if (!c)
		return 0;
	if (plain_shape(site, C, &whole) || whole.rank > rank)
		return -EOPNOTSUPP;
	lead = rank - whole.rank;
	memmove(whole.dim + lead, whole.dim, whole.rank * sizeof(whole.dim[0]));
	for (uint32_t i = 0; i < lead; i++)
		whole.dim[i] = 1;
	whole.rank = rank;
	return finf_dnn_plain(&whole, ret);
}

static void add_post(struct finf_dnn_post *post, const struct finf_dnn_md *addend)
{
	post->op[post->n++] =
		(struct finf_dnn_post_op){.binary = true, .alg = dnnl_binary_add, .md = *addend};
}

/* The addend as part of the product, if oneDNN has that; else in a pass behind it. */
static int product_and(const struct finf_site *site, struct finf_build *b, float alpha,
		       const struct finf_dnn_md *left, const struct finf_dnn_md *right,
		       const struct finf_dnn_md *dst, const struct finf_dnn_md *addend)
{
	struct finf_dnn_post post = {0}, tail = {0};
	int at, err;

	if (alpha != 1)
		post.op[post.n++] = linear(alpha);
	at = (int)post.n;
	if (!addend->rank) {
		finf_build_post_act(site, b, &post);
		return matrix_product(site, b, left, right, dst, &post);
	}
	add_post(&post, addend);
	finf_build_post_act(site, b, &post);
	err = matrix_product(site, b, left, right, dst, &post);
	if (!err)
		finf_build_in(b, DNNL_ARG_ATTR_MULTIPLE_POST_OP(at) | DNNL_ARG_SRC_1, C, addend);
	if (err != -EOPNOTSUPP)
		return err;
	post.n = (uint32_t)at;
	err = matrix_product(site, b, left, right, dst, &post);
	finf_build_post_act(site, b, &tail);
	if (!err)
		err = finf_dnn_binary(site->dnn, dnnl_binary_add, dst, addend, dst, &tail,
				      &b->tail);
	if (err)
		return err;
	finf_build_out(b, DNNL_ARG_SRC_0, dst);
	finf_build_in(b, DNNL_ARG_SRC_1, C, addend);
	finf_build_out(b, DNNL_ARG_DST, dst);
	b->n_tail = 3;
	return 0;
}

/* One right matrix for the whole stack: its rows are all one matrix's. The addend is a row. */
static int one_matrix(const struct finf_site *site, struct finf_build *b, float alpha,
		      const struct finf_shape *a, const struct finf_shape *w)
{
	struct finf_dnn_post post = {0};
	int64_t rows = 1;

	for (uint32_t i = 0; i + 1 < a->rank; i++)
		rows *= a->dim[i];
	if (alpha != 1)
		post.op[post.n++] = linear(alpha);
	finf_build_post_sum(site, Z, b, &post);
	finf_build_post_act(site, b, &post);
	return inner_product(site, b, rows, w->dim[0], w->dim[1], false, finf_site_in(site, C),
			     &post);
}

/* As many elements as columns, and no addend is as good; a factor would scale it too. */
static bool fits_one_matrix(const struct finf_site *site, float alpha, const struct finf_shape *w)
{
	const struct finf_value *c = finf_site_in(site, C);
	size_t n;

	if (!c || w->rank != 2)
		return w->rank == 2;
	return alpha == 1 && c->shape.rank && !finf_shape_count(&c->shape, &n) &&
	       (int64_t)n == w->dim[1] && c->shape.dim[c->shape.rank - 1] == w->dim[1];
}

int finf_build_matmul(const struct finf_site *site, struct finf_build *b)
{
	float alpha = finf_node_float(site->node, "alpha", 1);
	struct finf_dnn_md left, right, dst, addend;
	struct finf_shape a, w, y;
	uint32_t rank;
	int err = plain_shape(site, A, &a);

	if (!err)
		err = plain_shape(site, B, &w);
	if (!err)
		err = finf_site_out_md(site, &dst);
	if (err || !a.rank || !w.rank || !finf_dnn_is_plain(&dst))
		return -EOPNOTSUPP;
	if (finf_site_in(site, Z) &&
	    (finf_site_in(site, Z)->is_const || !fits_one_matrix(site, alpha, &w)))
		return -EOPNOTSUPP;
	if (finf_site_in(site, C) &&
	    finf_fusedmatmul_repeats(&a, &w, &finf_site_out(site, 0)->shape))
		return -EOPNOTSUPP;
	if (fits_one_matrix(site, alpha, &w))
		return one_matrix(site, b, alpha, &a, &w);
	rank = FINF_MAX(FINF_MAX(a.rank, w.rank), 2u);
	if (rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	/* The result with the dimensions that vectors lose put back. */
	y = (struct finf_shape){.rank = rank};
	err = factor_md(&a, rank, false, &left);
	if (!err)
		err = factor_md(&w, rank, true, &right);
	if (!err)
		err = addend_md(site, rank, &addend);
	if (err)
		return err;
	for (uint32_t i = 0; i + 2 < rank; i++)
		y.dim[i] = FINF_MAX(left.dim[i], right.dim[i]);
	y.dim[rank - 2] = left.dim[rank - 2];
	y.dim[rank - 1] = right.dim[rank - 1];
	err = finf_dnn_plain(&y, &dst);
	return err ? err : product_and(site, b, alpha, &left, &right, &dst, &addend);
}
