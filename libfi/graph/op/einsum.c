/* SPDX-License-Identifier: MIT */
/*
 * Einsum: products of the operands, summed over every label that the result
 * does not have (ONNX Einsum-12). Labels are letters; without -> the result
 * has those that occur once, in alphabetical order. Sums in double.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

#define OPERANDS_MAX 8

/* All labels: first the @n_out of the result, in its order, then those summed over. */
struct labels {
	uint32_t n, n_out;
	char name[FINF_RANK_MAX];
	int64_t extent[FINF_RANK_MAX];
};

static int find(const struct labels *l, char name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->name[i] == name)
			return (int)i;
	return -1;
}

static int add(struct labels *l, char name, struct finf_diag *diag)
{
	if (l->n == FINF_RANK_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP, "more than %d labels", FINF_RANK_MAX);
	l->extent[l->n] = 1;
	l->name[l->n++] = name;
	return 0;
}

/* The labels behind ->, or those that occur once in front of where it would be. */
static int read_result(const char *text, struct labels *l, struct finf_diag *diag)
{
	const char *arrow = strstr(text, "->");
	int err = 0;

	for (const char *at = arrow ? arrow + 2 : ""; !err && *at; at++) {
		if (*at == ' ')
			continue;
		if (!isalpha((unsigned char)*at) || find(l, *at) >= 0 ||
		    !memchr(text, *at, (size_t)(arrow - text)))
			return finf_diag_set(diag, -EINVAL, "equation %.100s", text);
		err = add(l, *at, diag);
	}
	for (int c = 'A'; !arrow && !err && c <= 'z'; c++) {
		const char *first = isalpha(c) ? strchr(text, c) : NULL;

		if (first && !strchr(first + 1, c))
			err = add(l, (char)c, diag);
	}
	l->n_out = l->n;
	return err;
}

/* A label of operand @in, whose dimension @d it names. */
static int use(struct labels *l, char name, const struct finf_shape *in, uint32_t d,
	       struct finf_diag *diag)
{
	struct finf_shape have = {1, {1}}, dim = {1, {1}};
	int at = find(l, name), err = at < 0 ? add(l, name, diag) : 0;

	if (err)
		return err;
	at = find(l, name);
	have.dim[0] = l->extent[at];
	dim.dim[0] = in->dim[d];
	if (finf_broadcast(&have, &dim, &dim))
		return finf_diag_set(diag, -EINVAL, "label %c is %" PRId64 " and %" PRId64, name,
				     l->extent[at], in->dim[d]);
	l->extent[at] = dim.dim[0];
	return 0;
}

/* Every label of every operand, in order. */
static int read_labels(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct labels *l, struct finf_diag *diag)
{
	const char *text = finf_node_str(node, "equation", ""), *at;
	uint32_t k = 0, d = 0;
	int err;

	*l = (struct labels){0};
	if (strchr(text, '.'))
		return finf_diag_set(diag, -EOPNOTSUPP, "equation %.100s: no ellipsis is supported",
				     text);
	err = read_result(text, l, diag);
	for (at = text; !err && *at && *at != '-'; at++) {
		if (*at == ' ')
			continue;
		if (*at == ',' && d == in[k]->shape.rank && k + 1 < node->n_in) {
			k++;
			d = 0;
			continue;
		}
		if (!isalpha((unsigned char)*at) || d >= in[k]->shape.rank)
			return finf_diag_set(diag, -EINVAL,
					     "equation %.100s does not fit operand %u", text, k);
		err = use(l, *at, &in[k]->shape, d++, diag);
	}
	if (!err && (k + 1 != node->n_in || d != in[k]->shape.rank || (*at && at[1] != '>')))
		err = finf_diag_set(diag, -EINVAL, "equation %.100s does not fit its operands",
				    text);
	return err;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_shape *out = &ctx->out[0].shape;
	enum finf_dtype dtype = ctx->in[0] ? ctx->in[0]->dtype : FINF_DTYPE_NONE;
	struct labels l;
	int err;

	if (ctx->node->n_in > OPERANDS_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u operands, at most %d are supported", ctx->node->n_in,
				     OPERANDS_MAX);
	if (dtype != FINF_F32 && dtype != FINF_F64)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is not supported",
				     finf_dtype_name(dtype));
	ctx->out[0].dtype = dtype;
	for (uint32_t i = 0; i < ctx->node->n_in; i++)
		if (!ctx->in[i] || ctx->in[i]->dtype != dtype)
			return finf_diag_set(ctx->diag, -EINVAL, "input %u is not %s", i,
					     finf_dtype_name(dtype));
	for (uint32_t i = 0; i < ctx->node->n_in; i++)
		if (!ctx->in_has_shape[i])
			return 0;
	err = read_labels(ctx->node, ctx->in, &l, ctx->diag);
	if (err)
		return err;
	memcpy(out->dim, l.extent, l.n_out * sizeof(out->dim[0]));
	out->rank = l.n_out;
	ctx->out_has_shape[0] = true;
	return 0;
}

/* The steps of operand @k, whose labels begin at @text; returns where those of the next do. */
static const char *set_walk(const struct labels *l, const char *text,
			    const struct finf_shape *shape, struct finf_walk *walk)
{
	int64_t stride[FINF_RANK_MAX];

	*walk = (struct finf_walk){.rank = l->n};
	memcpy(walk->dim, l->extent, sizeof(l->extent));
	finf_strides(shape, stride);
	for (uint32_t d = 0; *text && *text != ',' && *text != '-'; text++)
		if (*text != ' ') {
			/* Added up: a label that comes twice walks along the diagonal. */
			walk->stride[find(l, *text)] += shape->dim[d] == 1 ? 0 : stride[d];
			d++;
		}
	return text + (*text == ',');
}

static double product(const struct finf_tensor *const *in, struct finf_walk *walk, uint32_t n)
{
	double y = 1;

	for (uint32_t k = 0; k < n; k++) {
		y *= in[k]->dtype == FINF_F32 ? (double)((const float *)in[k]->data)[walk[k].offset]
					      : ((const double *)in[k]->data)[walk[k].offset];
		finf_walk_next(&walk[k]);
	}
	return y;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	const char *text = finf_node_str(node, "equation", "");
	struct finf_walk walk[OPERANDS_MAX];
	struct labels l;
	int64_t n_sum;
	size_t n;

	if (node->n_in > OPERANDS_MAX || read_labels(node, in, &l, NULL) ||
	    finf_shape_count(&out[0]->shape, &n) ||
	    finf_dims_count(l.extent + l.n_out, l.n - l.n_out, &n_sum))
		return -EINVAL;
	for (uint32_t k = 0; k < node->n_in; k++)
		text = set_walk(&l, text, &in[k]->shape, &walk[k]);
	for (size_t i = 0; i < n; i++) {
		double sum = 0;

		for (int64_t s = 0; s < n_sum; s++)
			sum += product(in, walk, node->n_in);
		if (out[0]->dtype == FINF_F32)
			((float *)out[0]->data)[i] = (float)sum;
		else
			((double *)out[0]->data)[i] = sum;
	}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "equation", .type = FINF_ATTR_STRING, .required = true},
	{0},
};

const struct finf_op finf_op_einsum = {
	.name = "Einsum",
	.opset_min = 12,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 255,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
