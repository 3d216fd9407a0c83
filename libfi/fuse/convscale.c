/* SPDX-License-Identifier: MIT */
/*
 * fuse: a constant per channel, or one for all, that a Conv's result is multiplied
 * with, divided by, or that is added to it, into the Conv's weight and bias. Some
 * exporters write a bias or a folded BatchNormalization that way.
 *
 *	(W x + B) * f + s  =  (W * f) x + (B * f + s)		computed in double
 */
#include <errno.h>
#include <math.h>

#include "fuse/internal.h"

enum { X, W, B };

struct scale {
	const float *weight, *bias, *by; /* bias may be NULL */
	size_t n_weight, channels, step; /* step 0: one constant for all channels */
	char op;			 /* '*', '/', '+', '-' */
};

static bool op_of(const struct finf_node *node, char *ret)
{
	static const struct {
		const char *name;
		char op;
	} table[] = {{"Mul", '*'}, {"Div", '/'}, {"Add", '+'}, {"Sub", '-'}};

	for (size_t i = 0; i < FINF_ARRAY_LEN(table); i++) {
		if (!finf_fuse_is(node, table[i].name))
			continue;
		*ret = table[i].op;
		return true;
	}
	return false;
}

static double factor(const struct scale *s, size_t c)
{
	double by = (double)s->by[c * s->step];

	return s->op == '*' ? by : s->op == '/' ? 1 / by : 1;
}

static double shift(const struct scale *s, size_t c)
{
	double by = (double)s->by[c * s->step];

	return s->op == '+' ? by : s->op == '-' ? -by : 0;
}

/* Of extent 1 but for the channels of a result of rank @rank, and of no more dimensions. */
static bool is_per_channel(const struct finf_shape *shape, uint32_t rank, size_t channels,
			   size_t *ret_step)
{
	*ret_step = 0;
	if (shape->rank > rank)
		return false;
	for (uint32_t i = 0; i < shape->rank; i++) {
		bool is_channel = i + rank == shape->rank + 1;

		if (shape->dim[i] == 1)
			continue;
		if (!is_channel || (size_t)shape->dim[i] != channels)
			return false;
		*ret_step = 1;
	}
	return true;
}

static bool scale_init(struct scale *s, const struct finf_graph *graph,
		       const struct finf_node *conv, uint32_t constant)
{
	uint32_t bias = finf_fuse_input(conv, B);
	const struct finf_shape *w = &graph->values[conv->in[W]].shape;
	size_t n;

	s->weight = finf_fuse_floats(graph, conv->in[W], &s->n_weight);
	s->by = finf_fuse_floats(graph, constant, &n);
	if (!s->weight || !s->n_weight || !s->by || !n)
		return false;
	s->channels = (size_t)w->dim[0];
	s->bias = finf_fuse_floats(graph, bias, &n);
	if ((bias != FINF_NONE && (!s->bias || n != s->channels)) ||
	    !is_per_channel(&graph->values[constant].shape, w->rank, s->channels, &s->step))
		return false;
	for (size_t c = 0; c < s->channels; c++)
		if (!isfinite(factor(s, c)) || !isfinite(shift(s, c)))
			return false;
	return true;
}

static int scale_weight(struct finf_graph *graph, const struct scale *s, uint32_t *weight)
{
	const struct finf_value *old = &graph->values[*weight];
	struct finf_shape shape = old->shape;
	size_t each = s->n_weight / s->channels;
	float *data = finf_arena_array(&graph->arena, s->n_weight, sizeof(*data));

	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_weight; i++)
		data[i] = (float)((double)s->weight[i] * factor(s, i / each));
	return finf_fuse_constant(graph, old->name, "scaled", &shape, data, weight);
}

static int rewrite(struct finf_rewrite *rw, const struct scale *s, uint32_t conv, uint32_t gone)
{
	struct finf_graph *graph = rw->graph;
	struct finf_node *node = &graph->nodes[conv], *last = &graph->nodes[gone];
	const char *name = graph->values[node->in[W]].name;
	struct finf_shape channels = {1, {(int64_t)s->channels}};
	float *bias = finf_arena_array(&graph->arena, s->channels, sizeof(*bias));
	uint32_t *in = finf_arena_array(&graph->arena, 3, sizeof(*in));
	int err = 0;

	if (!bias || !in)
		return -ENOMEM;
	for (size_t c = 0; c < s->channels; c++)
		bias[c] = (float)((s->bias ? (double)s->bias[c] : 0) * factor(s, c) + shift(s, c));
	in[X] = node->in[X];
	in[W] = node->in[W];
	if (s->op == '*' || s->op == '/')
		err = scale_weight(graph, s, &in[W]);
	if (!err)
		err = finf_fuse_constant(graph, name, "scaled.bias", &channels, bias, &in[B]);
	if (err)
		return err;
	node->in = in;
	node->n_in = 3;
	node->act = last->act;
	node->act_a = last->act_a;
	node->act_b = last->act_b;
	finf_rewrite_absorb(rw, conv, gone);
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	struct finf_graph *graph = rw->graph;
	const struct finf_node *node = &graph->nodes[i];
	struct scale s;

	if (!op_of(node, &s.op))
		return 0;
	for (uint32_t k = 0; k < 2; k++) {
		uint32_t conv = finf_rewrite_sole(rw, node->in[k], "Conv");

		if (conv != FINF_NONE && !(k && (s.op == '/' || s.op == '-')) &&
		    scale_init(&s, graph, &graph->nodes[conv], node->in[!k]))
			return rewrite(rw, &s, conv, i);
	}
	return 0;
}

const struct finf_fuse_pass finf_fuse_convscale = {.name = "conv+scale", .at = at};
