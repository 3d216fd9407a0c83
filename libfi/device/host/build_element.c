/* SPDX-License-Identifier: MIT */
/* host: operators on each element - activations, arithmetic with broadcasting. */
#include <errno.h>
#include <float.h>
#include <string.h>

#include "device/host/host.h"

/* Channels of padding in the last block. */
static int64_t padding(const struct finf_dnn_md *md)
{
	int64_t block = finf_host_md_block(md);

	return block ? (block - md->dim[1] % block) % block : 0;
}

/* Does an activation leave the zeros of padding zero? */
static bool keeps_zero(const struct finf_dnn_post_op *op)
{
	switch (op->alg) {
	case dnnl_eltwise_abs:
	case dnnl_eltwise_elu:
	case dnnl_eltwise_gelu_erf:
	case dnnl_eltwise_gelu_tanh:
	case dnnl_eltwise_hardswish:
	case dnnl_eltwise_mish:
	case dnnl_eltwise_relu:
	case dnnl_eltwise_sqrt:
	case dnnl_eltwise_swish:
	case dnnl_eltwise_tanh:
		return true;
	case dnnl_eltwise_clip:
		return op->a <= 0 && op->b >= 0;
	default:
		return false;
	}
}

/*
 * Element by element, rank and layout do not matter: one long row, padding and
 * all, suits every implementation. @zeros: the operator keeps padding zero.
 */
static void flatten(struct finf_dnn_md *md, bool zeros)
{
	int64_t n = 1;

	if (padding(md) && !zeros)
		return;
	for (uint32_t i = 0; i < md->rank; i++)
		n *= md->dim[i] + (i == 1 ? padding(md) : 0);
	memset(md, 0, sizeof(*md));
	md->rank = 1;
	md->tag = dnnl_a;
	md->dim[0] = n;
}

/* ---- activations ------------------------------------------------------------------ */

/* A constant input of one float32. */
static int scalar(const struct finf_value *value, float *ret)
{
	if (!value->is_const || !value->data || value->dtype != FINF_F32 ||
	    value->bytes != sizeof(*ret))
		return -EOPNOTSUPP;
	memcpy(ret, value->data, sizeof(*ret));
	return 0;
}

/* A bound of Clip: an attribute up to opset 10, an optional constant input after. */
static int clip_bound(const struct finf_site *site, uint32_t i, const char *name, float fallback,
		      float *ret)
{
	const struct finf_value *value = finf_site_in(site, i);

	if (!value) {
		*ret = finf_node_float(site->node, name, fallback);
		return 0;
	}
	return scalar(value, ret);
}

/* What graphs do not fold into other nodes, and oneDNN has all the same. */
static int function(const struct finf_site *site, struct finf_dnn_post_op *ret)
{
	static const struct {
		const char *name;
		struct finf_dnn_post_op op;
	} table[] = {
		{"Abs", {.alg = dnnl_eltwise_abs}},
		{"Exp", {.alg = dnnl_eltwise_exp}},
		{"Log", {.alg = dnnl_eltwise_log}},
		{"Neg", {.alg = dnnl_eltwise_linear, .a = -1}},
		{"Pow", {.alg = dnnl_eltwise_pow, .a = 1}},
		{"Reciprocal", {.alg = dnnl_eltwise_pow, .a = 1, .b = -1}},
		{"Softplus", {.alg = dnnl_eltwise_soft_relu, .a = 1}},
		{"Sqrt", {.alg = dnnl_eltwise_sqrt}},
	};
	const struct finf_node *node = site->node;
	size_t i = 0;

	while (i < FINF_ARRAY_LEN(table) && strcmp(table[i].name, node->op->name))
		i++;
	if (i == FINF_ARRAY_LEN(table))
		return -EOPNOTSUPP;
	*ret = table[i].op;
	/* x to a constant power, when that does not change the shape */
	if (!strcmp(node->op->name, "Pow"))
		return finf_site_in(site, 1)->shape.rank > finf_site_in(site, 0)->shape.rank
			       ? -EOPNOTSUPP
			       : scalar(finf_site_in(site, 1), &ret->b);
	return 0;
}

/* Operators that are activations. */
static enum finf_act act_of(const struct finf_node *node)
{
	static const struct {
		const char *name;
		enum finf_act act;
	} table[] = {
		{"Clip", FINF_ACT_CLIP},       {"Elu", FINF_ACT_ELU},
		{"Gelu", FINF_ACT_GELU},       {"HardSwish", FINF_ACT_HARD_SWISH},
		{"LeakyRelu", FINF_ACT_LEAKY}, {"Mish", FINF_ACT_MISH},
		{"Relu", FINF_ACT_RELU},       {"Sigmoid", FINF_ACT_SIGMOID},
		{"Tanh", FINF_ACT_TANH},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(table); i++)
		if (!strcmp(table[i].name, node->op->name))
			return table[i].act == FINF_ACT_GELU &&
					       !strcmp(finf_node_str(node, "approximate", "none"),
						       "tanh")
				       ? FINF_ACT_GELU_TANH
				       : table[i].act;
	return FINF_ACT_NONE;
}

static int activation(const struct finf_site *site, struct finf_dnn_post_op *ret)
{
	const struct finf_node *node = site->node;
	enum finf_act act = act_of(node);
	float a = finf_node_float(node, "alpha", act == FINF_ACT_ELU ? 1 : 0.01f), b = 0;
	int err = 0;

	if (act == FINF_ACT_NONE)
		return function(site, ret);
	if (act == FINF_ACT_CLIP) {
		err = clip_bound(site, 1, "min", -FLT_MAX, &a);
		if (!err)
			err = clip_bound(site, 2, "max", FLT_MAX, &b);
	}
	if (!err)
		finf_build_act_alg(act, a, b, ret);
	return err;
}

int finf_build_eltwise(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_post_op op;
	struct finf_dnn_md md;
	int err = site->in_layout == site->out_layout ? finf_site_in_md(site, 0, &md) : -EOPNOTSUPP;

	if (!err)
		err = activation(site, &op);
	if (err)
		return err;
	flatten(&md, keeps_zero(&op));
	err = finf_dnn_eltwise(site->dnn, op.alg, &md, op.a, op.b, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, &md);
	finf_build_out(b, DNNL_ARG_DST, &md);
	b->inplace = true;
	return 0;
}

/* ---- arithmetic ---------------------------------------------------------------------- */

static dnnl_alg_kind_t arithmetic(const char *name)
{
	static const struct {
		const char *name;
		dnnl_alg_kind_t alg;
	} table[] = {
		{"Add", dnnl_binary_add}, {"Div", dnnl_binary_div}, {"Max", dnnl_binary_max},
		{"Min", dnnl_binary_min}, {"Mul", dnnl_binary_mul}, {"Sub", dnnl_binary_sub},
		{"Sum", dnnl_binary_add},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(table); i++)
		if (!strcmp(table[i].name, name))
			return table[i].alg;
	return dnnl_alg_kind_undef;
}

/* Dimensions of 1 in front, as broadcasting has it. */
static int stretch(struct finf_dnn_md *md, uint32_t rank)
{
	struct finf_shape shape = {.rank = rank};

	if (md->rank == rank)
		return 0;
	if (!finf_dnn_is_plain(md) || md->rank > rank)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < rank; i++)
		shape.dim[i] = i < rank - md->rank ? 1 : md->dim[i - (rank - md->rank)];
	return finf_dnn_plain(&shape, md);
}

/*
 * A constant of one value per channel is the same bytes in the blocked layout,
 * when the channels fill their blocks; a single value is so in any.
 */
static int match_layout(struct finf_dnn_md *md, const struct finf_dnn_md *dst)
{
	uint32_t block = finf_host_md_block(dst);

	if (!block || !finf_dnn_is_plain(md))
		return 0;
	for (uint32_t i = 0; i < md->rank; i++)
		if (i != 1 && md->dim[i] != 1)
			return -EOPNOTSUPP;
	if (md->dim[1] == 1)
		return 0;
	if (md->dim[1] % block)
		return -EOPNOTSUPP;
	md->tag = dst->tag;
	return 0;
}

static bool same_dims(const struct finf_dnn_md *a, const struct finf_dnn_md *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, sizeof(a->dim));
}

static bool same_bytes(const struct finf_dnn_md *a, const struct finf_dnn_md *b)
{
	return same_dims(a, b) && a->tag == b->tag;
}

/* 0 + 0, 0 - 0 and 0 * 0 are 0; 0 / 0 is not, and what follows must agree. */
static bool arithmetic_keeps_zero(const struct finf_site *site)
{
	const struct finf_node *node = site->node;
	struct finf_dnn_post_op op;

	if (!strcmp(node->op->name, "Div"))
		return false;
	return !finf_build_act_alg(node->act, node->act_a, node->act_b, &op) || keeps_zero(&op);
}

static int operands(const struct finf_site *site, struct finf_dnn_md md[2], struct finf_dnn_md *dst)
{
	bool zeros = arithmetic_keeps_zero(site);
	int err = site->in_layout == site->out_layout ? finf_site_out_md(site, dst) : -EOPNOTSUPP;

	for (uint32_t i = 0; i < 2 && !err; i++) {
		err = finf_site_in_md(site, i, &md[i]);
		if (!err)
			err = stretch(&md[i], dst->rank);
		if (!err)
			err = match_layout(&md[i], dst);
	}
	if (!err && same_bytes(&md[0], dst) && same_bytes(&md[1], dst)) {
		flatten(&md[0], zeros);
		flatten(&md[1], zeros);
		flatten(dst, zeros);
	}
	/* oneDNN 2.6 errs when it repeats an operand over padded channels and activates the sum. */
	if (!err && padding(dst))
		err = -EOPNOTSUPP;
	return err;
}

int finf_build_binary(const struct finf_site *site, struct finf_build *b)
{
	dnnl_alg_kind_t alg = arithmetic(site->node->op->name);
	struct finf_dnn_md md[2], dst;
	struct finf_dnn_post post = {0};
	uint32_t first = 0;
	int err = site->node->n_in == 2 ? operands(site, md, &dst) : -EOPNOTSUPP;

	if (err)
		return err;
	/* oneDNN repeats its second operand only: swap where order does not matter. */
	if (!same_dims(&md[0], &dst)) {
		if (alg == dnnl_binary_sub || alg == dnnl_binary_div)
			return -EOPNOTSUPP;
		first = 1;
	}
	if (!same_bytes(&md[first], &dst))
		return -EOPNOTSUPP;
	finf_build_post_act(site, b, &post);
	err = finf_dnn_binary(site->dnn, alg, &md[first], &md[!first], &dst, &post, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC_0, first, &md[first]);
	finf_build_in(b, DNNL_ARG_SRC_1, !first, &md[!first]);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	b->inplace = first == 0 && !finf_site_in(site, 0)->is_const;
	return 0;
}
