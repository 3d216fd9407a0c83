/* SPDX-License-Identifier: MIT */
/*
 * fuse: (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + shift over the
 * last dimension into LayerNormalization, which opsets before 17 spell out.
 */
#include <errno.h>

#include "fuse/internal.h"

enum { MEAN, CENTRE, SQUARE, VARIANCE, SHIFTED, ROOT, QUOTIENT, SCALED, PARTS };

struct norm {
	uint32_t part[PARTS]; /* nodes that go */
	uint32_t x, scale, shift;
	float epsilon;
};

/* The operand of @node that a node of @op makes for it alone: *ret_rest is the other one. */
static uint32_t operand(const struct finf_rewrite *rw, const struct finf_node *node, const char *op,
			uint32_t *ret_rest)
{
	for (uint32_t k = 0; k < 2; k++) {
		uint32_t found = finf_rewrite_sole(rw, node->in[k], op);

		if (found == FINF_NONE)
			continue;
		*ret_rest = node->in[!k];
		return found;
	}
	return FINF_NONE;
}

/* Of its input's last dimension, which stays as 1. */
static bool is_row_mean(const struct finf_graph *graph, uint32_t node)
{
	const struct finf_node *mean = &graph->nodes[node];
	const struct finf_value *x = &graph->values[mean->in[0]];
	uint32_t given = finf_fuse_input(mean, 1), n, axis;
	const int64_t *axes = finf_node_ints(mean, "axes", &n);

	if (given != FINF_NONE) {
		const struct finf_value *v = &graph->values[given];

		if (!v->is_const || !v->data || v->dtype != FINF_I64)
			return false;
		axes = v->data;
		n = (uint32_t)(v->bytes / sizeof(*axes));
	}
	return axes && n == 1 && x->dtype == FINF_F32 && x->has_shape &&
	       finf_axis(*axes, x->shape.rank, &axis) && axis + 1 == x->shape.rank &&
	       finf_node_int(mean, "keepdims", 1);
}

/* One number for each of the elements that x has in a row. */
static bool is_row(const struct finf_graph *graph, uint32_t value, uint32_t x)
{
	const struct finf_shape *shape = &graph->values[x].shape;
	size_t n;

	return finf_fuse_floats(graph, value, &n) && graph->values[value].shape.rank == 1 &&
	       (int64_t)n == shape->dim[shape->rank - 1];
}

/* x - mean(x), read by as many inputs as @uses. */
static bool match_centre(const struct finf_rewrite *rw, uint32_t value, uint32_t uses,
			 struct norm *m)
{
	const struct finf_graph *graph = rw->graph;
	uint32_t node = graph->values[value].producer;
	const struct finf_node *sub;

	if (node == FINF_NONE || rw->uses[value] != uses)
		return false;
	sub = &graph->nodes[node];
	if (!finf_fuse_is(sub, "Sub") || sub->act != FINF_ACT_NONE)
		return false;
	m->part[CENTRE] = node;
	m->part[MEAN] = finf_rewrite_sole(rw, sub->in[1], "ReduceMean");
	m->x = sub->in[0];
	return m->part[MEAN] != FINF_NONE && graph->nodes[m->part[MEAN]].in[0] == m->x &&
	       is_row_mean(graph, m->part[MEAN]);
}

/* Is the value before ReduceMean the square of @centre? *ret_uses: readers that centre then has. */
static bool match_square(const struct finf_rewrite *rw, uint32_t value, uint32_t centre,
			 struct norm *m, uint32_t *ret_uses)
{
	const struct finf_graph *graph = rw->graph;
	uint32_t pow = finf_rewrite_sole(rw, value, "Pow"),
		 mul = finf_rewrite_sole(rw, value, "Mul");
	const struct finf_node *node;
	float two;

	*ret_uses = pow != FINF_NONE ? 2 : 3;
	m->part[SQUARE] = pow != FINF_NONE ? pow : mul;
	if (m->part[SQUARE] == FINF_NONE)
		return false;
	node = &graph->nodes[m->part[SQUARE]];
	if (node->in[0] != centre)
		return false;
	if (mul != FINF_NONE)
		return node->in[1] == centre;
	return finf_fuse_scalar(graph, node->in[1], centre, &two) && two == 2;
}

/* sqrt(mean(square) + epsilon) */
static bool match_root(const struct finf_rewrite *rw, uint32_t value, uint32_t centre,
		       struct norm *m)
{
	const struct finf_graph *graph = rw->graph;
	uint32_t epsilon, uses;

	m->part[ROOT] = finf_rewrite_sole(rw, value, "Sqrt");
	if (m->part[ROOT] == FINF_NONE)
		return false;
	m->part[SHIFTED] = finf_rewrite_sole(rw, graph->nodes[m->part[ROOT]].in[0], "Add");
	if (m->part[SHIFTED] == FINF_NONE)
		return false;
	m->part[VARIANCE] = operand(rw, &graph->nodes[m->part[SHIFTED]], "ReduceMean", &epsilon);
	return m->part[VARIANCE] != FINF_NONE && is_row_mean(graph, m->part[VARIANCE]) &&
	       finf_fuse_scalar(graph, epsilon, centre, &m->epsilon) &&
	       match_square(rw, graph->nodes[m->part[VARIANCE]].in[0], centre, m, &uses) &&
	       match_centre(rw, centre, uses, m);
}

static bool match(const struct finf_rewrite *rw, const struct finf_node *sum, struct norm *m)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *quotient;

	if (!finf_fuse_is(sum, "Add") || sum->act != FINF_ACT_NONE)
		return false;
	m->part[SCALED] = operand(rw, sum, "Mul", &m->shift);
	if (m->part[SCALED] == FINF_NONE)
		return false;
	m->part[QUOTIENT] = operand(rw, &graph->nodes[m->part[SCALED]], "Div", &m->scale);
	if (m->part[QUOTIENT] == FINF_NONE)
		return false;
	quotient = &graph->nodes[m->part[QUOTIENT]];
	return match_root(rw, quotient->in[1], quotient->in[0], m) &&
	       is_row(graph, m->scale, m->x) && is_row(graph, m->shift, m->x);
}

static int rewrite(struct finf_rewrite *rw, struct finf_node *node, const struct norm *m)
{
	const struct finf_attr epsilon = {
		.name = "epsilon", .type = FINF_ATTR_FLOAT, .f = m->epsilon};
	struct finf_arena *arena = &rw->graph->arena;
	struct finf_attr *attrs = finf_arena_dup(arena, &epsilon, sizeof(epsilon));
	uint32_t *in =
		finf_arena_dup(arena, (uint32_t[]){m->x, m->scale, m->shift}, 3 * sizeof(*in));

	if (!attrs || !in)
		return -ENOMEM;
	node->op = finf_op_find("LayerNormalization");
	node->opset = node->op->opset_min;
	node->in = in;
	node->n_in = 3;
	node->attrs = attrs;
	node->n_attrs = 1;
	for (uint32_t i = 0; i < PARTS; i++)
		finf_rewrite_drop(rw, m->part[i]);
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	struct finf_node *node = &rw->graph->nodes[i];
	struct norm m;

	return match(rw, node, &m) ? rewrite(rw, node, &m) : 0;
}

const struct finf_fuse_pass finf_fuse_layernorm = {.name = "layernorm", .at = at};
