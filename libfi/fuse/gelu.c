/* SPDX-License-Identifier: MIT */
/*
 * fuse: x * (1 + erf(x / sqrt(2))) * 0.5 into Gelu, in whichever order the two
 * products are taken. Opsets before 20 have no Gelu, so exporters spell it out.
 */
#include <math.h>

#include "fuse/internal.h"

#define SQRT2	  1.41421356237309504880f
#define TOLERANCE 1e-6f

/* The nodes that go, from the product inwards. */
struct gelu {
	uint32_t x, inner, sum, erf, scale;
};

static bool is_about(const struct finf_graph *graph, uint32_t value, uint32_t like, float want)
{
	float got;

	return finf_fuse_scalar(graph, value, like, &got) && fabsf(got - want) <= TOLERANCE * want;
}

/* @value is 1 + erf(x / sqrt(2)) and nobody else wants to know. */
static bool match_sum(const struct finf_rewrite *rw, uint32_t value, struct gelu *g)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *sum, *erf, *scale;

	g->sum = finf_rewrite_sole(rw, value, "Add");
	if (g->sum == FINF_NONE)
		return false;
	sum = &graph->nodes[g->sum];
	g->erf = finf_rewrite_sole(rw, sum->in[0], "Erf");
	if (g->erf == FINF_NONE)
		g->erf = finf_rewrite_sole(rw, sum->in[1], "Erf");
	if (g->erf == FINF_NONE)
		return false;
	erf = &graph->nodes[g->erf];
	if (!is_about(graph, sum->in[sum->in[0] == erf->out[0]], g->x, 1))
		return false;
	g->scale = finf_rewrite_sole(rw, erf->in[0], "Div");
	if (g->scale != FINF_NONE) {
		scale = &graph->nodes[g->scale];
		return scale->in[0] == g->x && is_about(graph, scale->in[1], g->x, SQRT2);
	}
	g->scale = finf_rewrite_sole(rw, erf->in[0], "Mul");
	if (g->scale == FINF_NONE)
		return false;
	scale = &graph->nodes[g->scale];
	return (scale->in[0] == g->x && is_about(graph, scale->in[1], g->x, 1 / SQRT2)) ||
	       (scale->in[1] == g->x && is_about(graph, scale->in[0], g->x, 1 / SQRT2));
}

/* Three factors: which is x, which one half, which the sum? */
static bool match_factors(const struct finf_rewrite *rw, const uint32_t factor[3], struct gelu *g)
{
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t k = 0; k < 3; k++) {
			if (i == k)
				continue;
			g->x = factor[i];
			if (rw->graph->values[g->x].dtype == FINF_F32 &&
			    is_about(rw->graph, factor[k], g->x, 0.5f) &&
			    match_sum(rw, factor[3 - i - k], g))
				return true;
		}
	return false;
}

static bool match(const struct finf_rewrite *rw, const struct finf_node *root, struct gelu *g)
{
	if (!finf_fuse_is(root, "Mul") || root->act != FINF_ACT_NONE)
		return false;
	for (uint32_t k = 0; k < 2; k++) {
		const struct finf_node *inner;

		g->inner = finf_rewrite_sole(rw, root->in[k], "Mul");
		if (g->inner == FINF_NONE)
			continue;
		inner = &rw->graph->nodes[g->inner];
		if (match_factors(rw, (uint32_t[]){root->in[!k], inner->in[0], inner->in[1]}, g))
			return true;
	}
	return false;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	struct finf_node *root = &rw->graph->nodes[i];
	struct gelu g;

	if (!match(rw, root, &g))
		return 0;
	root->op = finf_op_find("Gelu");
	root->opset = root->op->opset_min;
	root->in[0] = g.x;
	root->n_in = 1;
	finf_rewrite_drop(rw, g.inner);
	finf_rewrite_drop(rw, g.sum);
	finf_rewrite_drop(rw, g.erf);
	finf_rewrite_drop(rw, g.scale);
	return 0;
}

const struct finf_fuse_pass finf_fuse_gelu = {.name = "gelu", .at = at};
