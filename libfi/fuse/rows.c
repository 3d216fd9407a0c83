/* SPDX-License-Identifier: MIT */
/*
 * fuse: which nodes treat the rows of their inputs one by one. A row is what lies at one index
 * of dimension 0. An operator that is not in the table is taken not to.
 */
#include <string.h>

#include "fuse/internal.h"

static const struct finf_value *input(const struct finf_graph *graph, const struct finf_node *node,
				      uint32_t i)
{
	uint32_t value = finf_fuse_input(node, i);

	return value == FINF_NONE ? NULL : &graph->values[value];
}

/* Does it come with the request, in rows? */
static bool has_rows(const struct finf_value *v)
{
	size_t n;

	return v && !v->is_const && v->shape.rank && !finf_shape_count(&v->shape, &n) && n;
}

/* Are inputs from @first on constants, or left out? */
static bool constants_from(const struct finf_graph *graph, const struct finf_node *node,
			   uint32_t first)
{
	for (uint32_t i = first; i < node->n_in; i++)
		if (input(graph, node, i) && !input(graph, node, i)->is_const)
			return false;
	return true;
}

/* Is none of these axes the first? Without any, it may be. */
static bool leaves_first(const int64_t *axes, uint32_t n, uint32_t rank)
{
	uint32_t axis;

	for (uint32_t i = 0; i < n; i++)
		if (!finf_axis(axes[i], rank, &axis) || !axis)
			return false;
	return n;
}

/* The same of axes in a constant of int64 or int32. */
static bool leaves_first_const(const struct finf_value *v, uint32_t rank)
{
	int64_t axes[FINF_RANK_MAX];
	size_t n;

	if (!v || !v->is_const || !v->data || finf_shape_count(&v->shape, &n) || n > FINF_RANK_MAX)
		return false;
	if (v->dtype != FINF_I64 && v->dtype != FINF_I32)
		return false;
	for (size_t i = 0; i < n; i++)
		axes[i] = v->dtype == FINF_I64 ? ((const int64_t *)v->data)[i]
					       : ((const int32_t *)v->data)[i];
	return leaves_first(axes, (uint32_t)n, rank);
}

/* ---- rules -------------------------------------------------------------------------- */

/* Element by element; operands broadcast, but not along the rows. */
static bool elements(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_shape *out = &graph->values[node->out[0]].shape;

	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *v = input(graph, node, i);

		if (!v)
			continue;
		if (v->is_const ? v->shape.rank == out->rank && v->shape.dim[0] != 1
				: v->shape.rank != out->rank || v->shape.dim[0] != out->dim[0])
			return false;
	}
	return true;
}

/* N, C, ... : each sample by itself, all else constant. Other outputs may count through all rows. */
static bool samples(const struct finf_graph *graph, const struct finf_node *node)
{
	for (uint32_t k = 1; k < node->n_out; k++)
		if (node->out[k] != FINF_NONE)
			return false;
	return input(graph, node, 0)->shape.rank >= 2 && constants_from(graph, node, 1);
}

/* Along one axis, or from it on, which is not the first. */
static bool along(const struct finf_graph *graph, const struct finf_node *node, int64_t fallback)
{
	uint32_t axis;

	return finf_axis(finf_node_int(node, "axis", fallback), input(graph, node, 0)->shape.rank,
			 &axis) &&
	       axis;
}

static bool along_0(const struct finf_graph *graph, const struct finf_node *node)
{
	return along(graph, node, 0) && constants_from(graph, node, 1);
}

static bool along_last(const struct finf_graph *graph, const struct finf_node *node)
{
	return along(graph, node, -1) && constants_from(graph, node, 1);
}

static bool softmax(const struct finf_graph *graph, const struct finf_node *node)
{
	return along(graph, node, node->opset < 13 ? 1 : -1);
}

static bool concat(const struct finf_graph *graph, const struct finf_node *node)
{
	for (uint32_t i = 0; i < node->n_in; i++)
		if (!has_rows(input(graph, node, i)))
			return false;
	return along(graph, node, 0);
}

/* Axes are an attribute, or an input. */
static bool reduce(const struct finf_graph *graph, const struct finf_node *node)
{
	uint32_t rank = input(graph, node, 0)->shape.rank, n;
	const int64_t *axes = finf_node_ints(node, "axes", &n);

	return axes ? leaves_first(axes, n, rank)
		    : leaves_first_const(input(graph, node, 1), rank);
}

static bool slice(const struct finf_graph *graph, const struct finf_node *node)
{
	uint32_t rank = input(graph, node, 0)->shape.rank, n;
	const int64_t *axes = finf_node_ints(node, "axes", &n);

	if (node->opset < 10)
		return axes && leaves_first(axes, n, rank);
	return constants_from(graph, node, 1) && leaves_first_const(input(graph, node, 3), rank);
}

static bool pad(const struct finf_graph *graph, const struct finf_node *node)
{
	uint32_t rank = input(graph, node, 0)->shape.rank, n;
	const int64_t *pads = finf_node_ints(node, "pads", &n);
	const struct finf_value *v = input(graph, node, 1);

	if (!pads && v && v->is_const && v->data && v->dtype == FINF_I64) {
		pads = v->data;
		n = (uint32_t)(v->bytes / sizeof(*pads));
	}
	return pads && n == 2 * rank && !pads[0] && !pads[rank] && constants_from(graph, node, 1) &&
	       !input(graph, node, 3);
}

static bool transpose(const struct finf_graph *graph, const struct finf_node *node)
{
	uint32_t n;
	const int64_t *perm = finf_node_ints(node, "perm", &n);

	(void)graph;
	return perm && n && !perm[0];
}

/* Filters for all samples, and what is added to each. */
static bool residual(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *w = input(graph, node, 1), *b = input(graph, node, 2);

	return w->is_const && (!b || b->is_const) && has_rows(input(graph, node, 3));
}

/* A matrix for all rows, or one for each. */
static bool matmul(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *a = input(graph, node, 0), *b = input(graph, node, 1);

	if (b->is_const)
		return a->shape.rank >= 2 && b->shape.rank <= 2;
	return a->shape.rank >= 3 && a->shape.rank == b->shape.rank &&
	       a->shape.dim[0] == b->shape.dim[0];
}

/* What is added has a row for each, or one for all. */
static bool product(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_shape *out = &graph->values[node->out[0]].shape;
	const struct finf_value *c = input(graph, node, 2), *z = input(graph, node, 3);

	if (!matmul(graph, node) || (z && !has_rows(z)) ||
	    input(graph, node, 0)->shape.dim[0] != out->dim[0])
		return false;
	if (!c || c->is_const)
		return !c || c->shape.rank < out->rank || c->shape.dim[0] == 1;
	return c->shape.rank == out->rank && c->shape.dim[0] == out->dim[0];
}

/* No Transpose that is part of it moves dimension 0, over which all of them go. */
static bool attention(const struct finf_graph *graph, const struct finf_node *node)
{
	static const char *const perms[] = {"perm_q", "perm_k", "perm_v", "perm_y"};
	const struct finf_shape *out = &graph->values[node->out[0]].shape;
	const struct finf_value *mask = input(graph, node, 3);

	for (uint32_t i = 0; i < FINF_ARRAY_LEN(perms); i++) {
		uint32_t n;
		const int64_t *perm = finf_node_ints(node, perms[i], &n);

		if (perm && (!n || perm[0]))
			return false;
	}
	for (uint32_t i = 0; i < 3; i++) {
		const struct finf_value *v = input(graph, node, i);

		if (v->is_const || v->shape.rank < 3 || v->shape.rank != out->rank ||
		    v->shape.dim[0] != out->dim[0])
			return false;
	}
	if (!mask || mask->is_const)
		return !mask || mask->shape.rank < out->rank || mask->shape.dim[0] == 1;
	return mask->shape.rank == out->rank && mask->shape.dim[0] == out->dim[0];
}

static bool gemm(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *c = input(graph, node, 2);

	return !finf_node_int(node, "transA", 0) && constants_from(graph, node, 1) &&
	       (!c || c->shape.rank < 2 || c->shape.dim[0] == 1);
}

/* Rows of a table, by number; or the same places of each row. */
static bool gather(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *data = input(graph, node, 0), *at = input(graph, node, 1);
	uint32_t axis;

	if (!finf_axis(finf_node_int(node, "axis", 0), data->shape.rank, &axis))
		return false;
	return data->is_const ? !axis && has_rows(at) : axis && at->is_const;
}

static bool always(const struct finf_graph *graph, const struct finf_node *node)
{
	return constants_from(graph, node, 1);
}

static const struct rule {
	const char *op;
	enum finf_rows rows;
	bool (*holds)(const struct finf_graph *graph, const struct finf_node *node);
} rules[] = {
	{"Abs", FINF_ROWS_EACH, elements},
	{"Add", FINF_ROWS_EACH, elements},
	{"ArgMax", FINF_ROWS_EACH, along_0},
	{"ArgMin", FINF_ROWS_EACH, along_0},
	{"AveragePool", FINF_ROWS_EACH, samples},
	{"BatchNormalization", FINF_ROWS_EACH, samples},
	{"Cast", FINF_ROWS_EACH, elements},
	{"Ceil", FINF_ROWS_EACH, elements},
	{"Clip", FINF_ROWS_EACH, elements},
	{"Concat", FINF_ROWS_EACH, concat},
	{"Conv", FINF_ROWS_SAMPLE, samples},
	{"ConvTranspose", FINF_ROWS_SAMPLE, samples},
	{"Cos", FINF_ROWS_EACH, elements},
	{"DepthToSpace", FINF_ROWS_EACH, samples},
	{"Div", FINF_ROWS_EACH, elements},
	{"Elu", FINF_ROWS_EACH, elements},
	{"Equal", FINF_ROWS_EACH, elements},
	{"Erf", FINF_ROWS_EACH, elements},
	{"Exp", FINF_ROWS_EACH, elements},
	{"Flatten", FINF_ROWS_RENAMED, always},
	{"Floor", FINF_ROWS_EACH, elements},
	{"FusedAttention", FINF_ROWS_EACH, attention},
	{"FusedConv", FINF_ROWS_SAMPLE, residual},
	{"FusedElementwise", FINF_ROWS_EACH, elements},
	{"FusedMatMul", FINF_ROWS_SAMPLE, product},
	{"Gather", FINF_ROWS_SAMPLE, gather},
	{"Gelu", FINF_ROWS_EACH, elements},
	{"Gemm", FINF_ROWS_SAMPLE, gemm},
	{"GlobalAveragePool", FINF_ROWS_EACH, samples},
	{"GlobalMaxPool", FINF_ROWS_EACH, samples},
	{"Greater", FINF_ROWS_EACH, elements},
	{"GreaterOrEqual", FINF_ROWS_EACH, elements},
	{"GroupNormalization", FINF_ROWS_EACH, samples},
	{"HardSigmoid", FINF_ROWS_EACH, elements},
	{"HardSwish", FINF_ROWS_EACH, elements},
	{"Identity", FINF_ROWS_EACH, elements},
	{"InstanceNormalization", FINF_ROWS_EACH, samples},
	{"LayerNormalization", FINF_ROWS_EACH, along_last},
	{"LeakyRelu", FINF_ROWS_EACH, elements},
	{"Less", FINF_ROWS_EACH, elements},
	{"LessOrEqual", FINF_ROWS_EACH, elements},
	{"Log", FINF_ROWS_EACH, elements},
	{"LogSoftmax", FINF_ROWS_EACH, softmax},
	{"LRN", FINF_ROWS_EACH, samples},
	{"MatMul", FINF_ROWS_SAMPLE, matmul},
	{"Max", FINF_ROWS_EACH, elements},
	{"MaxPool", FINF_ROWS_EACH, samples},
	{"Mean", FINF_ROWS_EACH, elements},
	{"Min", FINF_ROWS_EACH, elements},
	{"Mish", FINF_ROWS_EACH, elements},
	{"Mul", FINF_ROWS_EACH, elements},
	{"Neg", FINF_ROWS_EACH, elements},
	{"Not", FINF_ROWS_EACH, elements},
	{"Pad", FINF_ROWS_EACH, pad},
	{"Pow", FINF_ROWS_EACH, elements},
	{"PRelu", FINF_ROWS_EACH, elements},
	{"Reciprocal", FINF_ROWS_EACH, elements},
	{"ReduceL1", FINF_ROWS_EACH, reduce},
	{"ReduceL2", FINF_ROWS_EACH, reduce},
	{"ReduceMax", FINF_ROWS_EACH, reduce},
	{"ReduceMean", FINF_ROWS_EACH, reduce},
	{"ReduceMin", FINF_ROWS_EACH, reduce},
	{"ReduceProd", FINF_ROWS_EACH, reduce},
	{"ReduceSum", FINF_ROWS_EACH, reduce},
	{"Relu", FINF_ROWS_EACH, elements},
	{"Reshape", FINF_ROWS_RENAMED, always},
	{"Sigmoid", FINF_ROWS_EACH, elements},
	{"Sin", FINF_ROWS_EACH, elements},
	{"Slice", FINF_ROWS_EACH, slice},
	{"Softmax", FINF_ROWS_EACH, softmax},
	{"Softplus", FINF_ROWS_EACH, elements},
	{"Softsign", FINF_ROWS_EACH, elements},
	{"SpaceToDepth", FINF_ROWS_EACH, samples},
	{"Split", FINF_ROWS_EACH, along_0},
	{"Sqrt", FINF_ROWS_EACH, elements},
	{"Squeeze", FINF_ROWS_RENAMED, always},
	{"Sub", FINF_ROWS_EACH, elements},
	{"Sum", FINF_ROWS_EACH, elements},
	{"Tanh", FINF_ROWS_EACH, elements},
	{"TopK", FINF_ROWS_EACH, along_last},
	{"Transpose", FINF_ROWS_EACH, transpose},
	{"Unsqueeze", FINF_ROWS_RENAMED, always},
	{"Where", FINF_ROWS_EACH, elements},
};

/* Every output has rows, every input that is no constant too, and there is one of those. */
static bool in_rows(const struct finf_graph *graph, const struct finf_node *node)
{
	bool any = false;

	for (uint32_t k = 0; k < node->n_out; k++)
		if (node->out[k] != FINF_NONE && !has_rows(&graph->values[node->out[k]]))
			return false;
	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *v = input(graph, node, i);

		if (v && !v->is_const && !has_rows(v))
			return false;
		any |= has_rows(v);
	}
	return any && node->n_out && node->out[0] != FINF_NONE;
}

enum finf_rows finf_fuse_rows(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *x = input(graph, node, 0);

	if (!in_rows(graph, node))
		return FINF_ROWS_MIXED;
	for (size_t i = 0; i < FINF_ARRAY_LEN(rules); i++) {
		const struct rule *rule = &rules[i];

		if (strcmp(rule->op, node->op->name))
			continue;
		/* Element by element and from a table, what comes with the request may stand last. */
		if (rule->holds != elements && rule->holds != gather && !has_rows(x))
			return FINF_ROWS_MIXED;
		return rule->holds(graph, node) ? rule->rows : FINF_ROWS_MIXED;
	}
	return FINF_ROWS_MIXED;
}
