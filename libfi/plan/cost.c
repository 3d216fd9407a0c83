/* SPDX-License-Identifier: MIT */
/*
 * plan: what the steps of a plan should take, from what those of another plan of the same nodes
 * were measured to take: other input shapes, or other forms of some weights. A step that makes the
 * same value takes as much more or less as its price says; one that the other plan has not
 * takes what steps there take for such a price.
 */
#include <errno.h>

#include "plan/internal.h"

/* Which step of a plan makes each value, or carries it over from another layout. */
struct makers {
	uint32_t *node, *reorder; /* per value; FINF_NONE */
};

struct known {
	const struct finf_graph *graph;
	const struct finf_plan *plan;
	struct makers makers;
	uint64_t est_ns, all_ns, one_ns; /* of all steps */
};

static int makers_init(struct finf_arena *arena, const struct finf_graph *graph,
		       const struct finf_plan *plan, struct makers *ret)
{
	ret->node = finf_arena_array(arena, graph->n_values, sizeof(*ret->node));
	ret->reorder = finf_arena_array(arena, graph->n_values, sizeof(*ret->reorder));
	if (!ret->node || !ret->reorder)
		return -ENOMEM;
	for (uint32_t v = 0; v < graph->n_values; v++)
		ret->node[v] = ret->reorder[v] = FINF_NONE;
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		for (uint32_t k = 0; k < step->n_out; k++)
			if (step->out[k].kind == FINF_OPERAND_BUFFER)
				(step->node == FINF_NONE ? ret->reorder : ret->node)
					[plan->buffers[step->out[k].index].value] = s;
	}
	return 0;
}

static int known_init(struct finf_arena *arena, const struct finf_graph *graph,
		      const struct finf_plan *plan, struct known *ret)
{
	*ret = (struct known){.graph = graph, .plan = plan};
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		ret->est_ns = finf_plan_add_ns(ret->est_ns, plan->steps[s].form.est_ns);
		ret->all_ns = finf_plan_add_ns(ret->all_ns, plan->side.costs[s].all_ns);
		ret->one_ns = finf_plan_add_ns(ret->one_ns, plan->side.costs[s].one_ns);
	}
	return makers_init(arena, graph, plan, &ret->makers);
}

/* The step of the known plan that does the same; FINF_NONE. */
static uint32_t same_step(const struct known *known, const struct finf_graph *graph,
			  const struct finf_plan *plan, const struct finf_step *step)
{
	const struct makers *makers = &known->makers;
	const char *name;
	uint32_t v;

	for (uint32_t k = 0; k < step->n_out; k++) {
		if (step->out[k].kind != FINF_OPERAND_BUFFER)
			continue;
		name = graph->values[plan->buffers[step->out[k].index].value].name;
		if (finf_graph_find(known->graph, name, &v))
			return step->node == FINF_NONE ? makers->reorder[v] : makers->node[v];
	}
	return FINF_NONE;
}

static uint64_t scaled(uint64_t ns, uint64_t to, uint64_t from)
{
	double scaled_ns = (double)ns * ((double)to / (double)FINF_MAX(from, 1u));

	return scaled_ns < 1e18 ? (uint64_t)scaled_ns : UINT64_MAX;
}

int finf_plan_guess(const struct finf_graph *graph, struct finf_plan *plan,
		    const struct finf_graph *known_graph, const struct finf_plan *known_plan)
{
	struct finf_step_cost *costs;
	struct finf_arena scratch;
	struct known known;
	int err;

	if (!known_plan->side.costs)
		return -ENODATA;
	finf_arena_init(&scratch);
	costs = finf_arena_array(&plan->arena, plan->n_steps, sizeof(*costs));
	err = costs ? known_init(&scratch, known_graph, known_plan, &known) : -ENOMEM;
	for (uint32_t s = 0; !err && s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];
		uint32_t same = same_step(&known, graph, plan, step);
		struct finf_step_cost from = {known.all_ns, known.one_ns};
		uint64_t est_ns = known.est_ns;

		if (same != FINF_NONE && known_plan->steps[same].form.est_ns) {
			from = known_plan->side.costs[same];
			est_ns = known_plan->steps[same].form.est_ns;
		}
		costs[s].all_ns = scaled(from.all_ns, step->form.est_ns, est_ns);
		costs[s].one_ns = scaled(from.one_ns, step->form.est_ns, est_ns);
	}
	finf_arena_fini(&scratch);
	if (!err)
		plan->side.costs = costs;
	return err;
}
