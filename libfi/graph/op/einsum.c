/* SPDX-License-Identifier: MIT */
/*
 * Einsum: products of the operands, summed over every label that the result
 * does not have (ONNX Einsum-12). Labels are letters; an ellipsis stands for
 * the dimensions that no letter names, which broadcast. Without -> the result
 * has those first, then the labels that occur once, in alphabetical order.
 * Sums in double.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/einsum.h"

#define OPERANDS_MAX FINF_EINSUM_OPERANDS

/* One operand or the result. The dimensions of an ellipsis are '0', '1', ... from the right. */
struct term {
	uint32_t n;
	char name[FINF_RANK_MAX];
};

/* All labels: first the @n_out of the result, in its order, then those summed over. */
struct equation {
	struct term in[OPERANDS_MAX];
	uint32_t n, n_out;
	char name[FINF_RANK_MAX];
	int64_t extent[FINF_RANK_MAX];
};

/* ---- reading ---------------------------------------------------------------------- */

/* Counts a term's letters and dots; returns its end, NULL when it is none. */
static const char *scan_term(const char *at, uint32_t *ret_letters, bool *ret_dots)
{
	*ret_letters = 0;
	*ret_dots = false;
	for (; *at && *at != ',' && *at != '-'; at++) {
		if (isalpha((unsigned char)*at)) {
			++*ret_letters;
		} else if (!strncmp(at, "...", 3) && !*ret_dots) {
			*ret_dots = true;
			at += 2;
		} else if (*at != ' ') {
			return NULL;
		}
	}
	return at;
}

/* The labels from @at to @end, which are no more than there is room for. */
static void read_term(const char *at, const char *end, uint32_t ellipsis, struct term *ret)
{
	ret->n = 0;
	for (; at < end; at++)
		if (isalpha((unsigned char)*at)) {
			ret->name[ret->n++] = *at;
		} else if (*at == '.') {
			for (uint32_t e = ellipsis; e-- > 0;)
				ret->name[ret->n++] = (char)('0' + e);
			at += 2;
		}
}

/* All operands; returns where they end, NULL when they are not as the equation says. */
static const char *read_operands(const char *at, const struct finf_tensor *const *in, uint32_t n,
				 struct equation *eq, uint32_t *ret_ellipsis)
{
	*ret_ellipsis = 0;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t rank = in[k]->shape.rank, letters;
		const char *end;
		bool dots;

		if (k && *at++ != ',')
			return NULL;
		end = scan_term(at, &letters, &dots);
		if (!end || letters > rank || (!dots && letters < rank))
			return NULL;
		read_term(at, end, rank - letters, &eq->in[k]);
		*ret_ellipsis = FINF_MAX(*ret_ellipsis, rank - letters);
		at = end;
	}
	return at;
}

static int find(const struct equation *eq, char name)
{
	for (uint32_t i = 0; i < eq->n; i++)
		if (eq->name[i] == name)
			return (int)i;
	return -1;
}

static int add(struct equation *eq, char name, struct finf_diag *diag)
{
	if (eq->n == FINF_RANK_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP, "more than %d labels", FINF_RANK_MAX);
	eq->extent[eq->n] = 1;
	eq->name[eq->n++] = name;
	return 0;
}

/* How often a label occurs in the operands. */
static uint32_t occurs(const struct equation *eq, uint32_t n, char name)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < n; k++)
		for (uint32_t d = 0; d < eq->in[k].n; d++)
			count += eq->in[k].name[d] == name;
	return count;
}

/* The labels behind ->: each of them once, and in an operand. */
static int explicit_result(const char *at, uint32_t n, uint32_t ellipsis, struct equation *eq,
			   struct finf_diag *diag)
{
	uint32_t letters;
	bool dots;
	const char *end = scan_term(at, &letters, &dots);
	struct term out;
	int err = 0;

	if (!end || *end)
		return finf_diag_set(diag, -EINVAL, "equation: the result is %.60s", at);
	if (letters + (dots ? ellipsis : 0) > FINF_RANK_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP, "more than %d labels", FINF_RANK_MAX);
	read_term(at, end, ellipsis, &out);
	for (uint32_t d = 0; !err && d < out.n; d++)
		if (find(eq, out.name[d]) >= 0 || !occurs(eq, n, out.name[d]))
			err = finf_diag_set(diag, -EINVAL, "equation: label %c of the result",
					    out.name[d]);
		else
			err = add(eq, out.name[d], diag);
	return err;
}

static int implicit_result(uint32_t n, uint32_t ellipsis, struct equation *eq,
			   struct finf_diag *diag)
{
	int err = 0;

	for (uint32_t e = ellipsis; !err && e-- > 0;)
		err = add(eq, (char)('0' + e), diag);
	for (int c = 'A'; !err && c <= 'z'; c++)
		if (isalpha(c) && occurs(eq, n, (char)c) == 1)
			err = add(eq, (char)c, diag);
	return err;
}

/* A label of an operand, and the extent that it names. */
static int use(struct equation *eq, char name, int64_t extent, struct finf_diag *diag)
{
	struct finf_shape have = {1, {1}}, dim = {1, {extent}};
	int err = find(eq, name) < 0 ? add(eq, name, diag) : 0;
	int at = find(eq, name);

	if (err)
		return err;
	have.dim[0] = eq->extent[at];
	if (finf_broadcast(&have, &dim, &dim))
		return finf_diag_set(diag, -EINVAL, "label %c is %" PRId64 " and %" PRId64, name,
				     eq->extent[at], extent);
	eq->extent[at] = dim.dim[0];
	return 0;
}

static int read_equation(const struct finf_node *node, const struct finf_tensor *const *in,
			 struct equation *eq, struct finf_diag *diag)
{
	const char *text = finf_node_str(node, "equation", ""), *rest;
	uint32_t ellipsis;
	int err;

	*eq = (struct equation){.n = 0};
	rest = read_operands(text, in, node->n_in, eq, &ellipsis);
	if (!rest || (*rest && strncmp(rest, "->", 2)))
		return finf_diag_set(diag, -EINVAL, "equation %.100s does not fit its operands",
				     text);
	err = *rest ? explicit_result(rest + 2, node->n_in, ellipsis, eq, diag)
		    : implicit_result(node->n_in, ellipsis, eq, diag);
	eq->n_out = eq->n;
	for (uint32_t k = 0; k < node->n_in; k++)
		for (uint32_t d = 0; !err && d < eq->in[k].n; d++)
			err = use(eq, eq->in[k].name[d], in[k]->shape.dim[d], diag);
	return err;
}

/* ---- the operator ------------------------------------------------------------------ */

static int infer(struct finf_infer *ctx)
{
	struct finf_shape *out = &ctx->out[0].shape;
	enum finf_dtype dtype = ctx->in[0] ? ctx->in[0]->dtype : FINF_DTYPE_NONE;
	struct equation eq;
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
	err = read_equation(ctx->node, ctx->in, &eq, ctx->diag);
	if (err)
		return err;
	memcpy(out->dim, eq.extent, eq.n_out * sizeof(out->dim[0]));
	out->rank = eq.n_out;
	ctx->out_has_shape[0] = true;
	return 0;
}

int finf_einsum_init(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_einsum *ret, struct finf_diag *diag)
{
	struct equation eq;
	int err = read_equation(node, in, &eq, diag);

	if (err)
		return err;
	*ret = (struct finf_einsum){.n = eq.n, .n_out = eq.n_out};
	memcpy(ret->extent, eq.extent, sizeof(eq.extent));
	for (uint32_t k = 0; k < node->n_in; k++) {
		const struct finf_shape *shape = &in[k]->shape;
		int64_t stride[FINF_RANK_MAX];

		finf_strides(shape, stride);
		/* Added up: a label that comes twice walks along the diagonal. */
		for (uint32_t d = 0; d < eq.in[k].n; d++)
			ret->stride[k][find(&eq, eq.in[k].name[d])] +=
				shape->dim[d] == 1 ? 0 : stride[d];
	}
	return 0;
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
	struct finf_walk walk[OPERANDS_MAX];
	struct finf_einsum eq;
	int64_t n_sum;
	size_t n;

	if (node->n_in > OPERANDS_MAX || finf_einsum_init(node, in, &eq, NULL) ||
	    finf_shape_count(&out[0]->shape, &n) ||
	    finf_dims_count(eq.extent + eq.n_out, eq.n - eq.n_out, &n_sum))
		return -EINVAL;
	for (uint32_t k = 0; k < node->n_in; k++) {
		walk[k] = (struct finf_walk){.rank = eq.n};
		memcpy(walk[k].dim, eq.extent, sizeof(eq.extent));
		memcpy(walk[k].stride, eq.stride[k], sizeof(eq.stride[k]));
	}
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
