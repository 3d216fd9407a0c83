/* SPDX-License-Identifier: MIT */
/* plan: finf_plan_new() - the stages in order, side by side or not - and finf_plan_free(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

bool finf_plan_same_layout(const struct finf_weight_form *a, const struct finf_weight_form *b)
{
	return a->bytes == b->bytes && a->desc_bytes == b->desc_bytes &&
	       (!a->desc_bytes || !memcmp(a->desc, b->desc, a->desc_bytes));
}

/* Node numbers per value, one slice after the other. */
static int collect_consumers(struct finf_planner *p, size_t n_edges)
{
	const struct finf_graph *graph = p->graph;
	uint32_t at = 0;

	p->consumers = finf_arena_array(&p->scratch, n_edges, sizeof(*p->consumers));
	if (!p->consumers)
		return -ENOMEM;
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; k < graph->nodes[i].n_in; k++)
			if (graph->nodes[i].in[k] != FINF_NONE)
				p->values[graph->nodes[i].in[k]].n_consumers++;
	for (uint32_t v = 0; v < graph->n_values; v++) {
		p->values[v].consumers = at;
		at += p->values[v].n_consumers;
		p->values[v].n_consumers = 0;
	}
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		for (uint32_t k = 0; k < graph->nodes[i].n_in; k++) {
			uint32_t v = graph->nodes[i].in[k];

			if (v != FINF_NONE)
				p->consumers[p->values[v].consumers + p->values[v].n_consumers++] =
					i;
		}
	}
	return 0;
}

static int init_values(struct finf_planner *p)
{
	const struct finf_graph *graph = p->graph;

	p->values = finf_arena_array(&p->scratch, graph->n_values, sizeof(*p->values));
	if (!p->values)
		return -ENOMEM;
	for (uint32_t v = 0; v < graph->n_values; v++) {
		const struct finf_value *value = &graph->values[v];
		size_t bytes;
		int err = value->has_shape ? finf_tensor_bytes(value->dtype, &value->shape, &bytes)
					   : -EINVAL;

		if (err)
			return finf_diag_set(p->diag, err, "value %s has no storable shape",
					     value->name);
		p->values[v].plain_bytes = bytes;
		p->values[v].buffers = p->values[v].weights = FINF_NONE;
	}
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		p->values[graph->outputs[i]].is_output = true;
	return 0;
}

/*
 * Bounds instead of growing arrays: every edge may need one reorder or one
 * weight, every output one copy.
 */
static int init_plan(struct finf_planner *p)
{
	const struct finf_graph *graph = p->graph;
	size_t edges = 0, results = 0, steps, buffers, weights;
	struct finf_plan *plan = p->plan;

	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		edges += graph->nodes[i].n_in;
		results += graph->nodes[i].n_out;
	}
	steps = graph->n_nodes + edges + graph->n_outputs;
	buffers = graph->n_inputs + results + edges + graph->n_outputs;
	weights = edges + graph->n_outputs + (p->fixed ? p->fixed->n_weights : 0);
	if (steps >= FINF_NONE || buffers >= FINF_NONE || weights >= FINF_NONE)
		return -EOVERFLOW;
	plan->steps = finf_arena_array(&plan->arena, steps, sizeof(*plan->steps));
	plan->buffers = finf_arena_array(&plan->arena, buffers, sizeof(*plan->buffers));
	plan->weights = finf_arena_array(&plan->arena, weights, sizeof(*plan->weights));
	plan->inputs = finf_arena_array(&plan->arena, graph->n_inputs,
					sizeof(*plan->inputs));
	plan->outputs = finf_arena_array(&plan->arena, graph->n_outputs,
					 sizeof(*plan->outputs));
	p->next_buffer = finf_arena_array(&p->scratch, buffers, sizeof(*p->next_buffer));
	p->groups = finf_arena_array(&p->scratch, buffers, sizeof(*p->groups));
	p->next_weight = finf_arena_array(&p->scratch, weights, sizeof(*p->next_weight));
	if (!plan->steps || !plan->buffers || !plan->weights || !plan->inputs || !plan->outputs ||
	    !p->next_buffer || !p->groups || !p->next_weight)
		return -ENOMEM;
	return collect_consumers(p, edges);
}

/* The packed model's weights and segments, as they lie. */
static int take_fixed(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	const struct finf_plan *fixed = p->fixed;

	plan->n_segments = fixed->n_segments;
	plan->segments = finf_arena_dup(&plan->arena, fixed->segments,
					fixed->n_segments * sizeof(*fixed->segments));
	plan->weight_bytes = fixed->weight_bytes;
	for (uint32_t i = 0; i < fixed->n_weights; i++) {
		struct finf_plan_weight *weight = &plan->weights[plan->n_weights];
		uint32_t value;

		*weight = fixed->weights[i];
		weight->name = finf_arena_str(&plan->arena, weight->name);
		weight->form.desc = finf_arena_dup(&plan->arena, weight->form.desc,
						   weight->form.desc_bytes);
		if (!weight->name || !weight->form.desc)
			return -ENOMEM;
		if (finf_graph_find(p->graph, weight->name, &value)) {
			p->next_weight[i] = p->values[value].weights;
			p->values[value].weights = i;
		}
		plan->n_weights++;
	}
	return plan->segments ? 0 : -ENOMEM;
}

/* Weights from number @first on, behind what is there already. */
static int place_weights(struct finf_planner *p, uint32_t first, uint64_t segment_bytes)
{
	struct finf_plan *plan = p->plan;
	uint32_t n = plan->n_weights - first, n_before = plan->n_segments, n_new;
	struct finf_plan_segment *before = plan->segments, *segments;
	uint64_t *bytes = finf_arena_array(&p->scratch, n, sizeof(*bytes));
	uint64_t *offsets = finf_arena_array(&p->scratch, n, sizeof(*offsets));
	uint64_t start = plan->weight_bytes, added;
	int err;

	if (!bytes || !offsets)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = plan->weights[first + i].form.bytes;
	err = finf_plan_extent(bytes, n, segment_bytes, &plan->arena, offsets, &segments, &n_new,
			       &added);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++)
		plan->weights[first + i].offset = start + offsets[i];
	plan->segments = finf_arena_array(&plan->arena, n_before + n_new, sizeof(*segments));
	if (!plan->segments)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_before; i++)
		plan->segments[i] = before[i];
	for (uint32_t i = 0; i < n_new; i++)
		plan->segments[n_before + i] = (struct finf_plan_segment){
			start + segments[i].offset, segments[i].bytes};
	plan->n_segments += n_new;
	plan->weight_bytes += added;
	plan->grown_bytes = p->fixed ? added : 0;
	return 0;
}

/* Segments are published in order, so a step waits for its farthest weight. */
static void find_needs(struct finf_plan *plan)
{
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		struct finf_step *step = &plan->steps[s];

		for (uint32_t k = 0; k < step->n_in; k++) {
			const struct finf_plan_weight *weight;
			uint32_t lo = 0, hi = plan->n_segments;

			if (step->in[k].kind != FINF_OPERAND_WEIGHT)
				continue;
			weight = &plan->weights[step->in[k].index];
			while (lo < hi) { /* how many segments start before its end */
				uint32_t mid = lo + (hi - lo) / 2;

				if (plan->segments[mid].offset < weight->offset + weight->form.bytes)
					lo = mid + 1;
				else
					hi = mid;
			}
			step->need_segments = FINF_MAX(step->need_segments, lo);
		}
	}
}

static int plan_stages(struct finf_planner *p, const struct finf_plan_opts *opts, bool side_by_side)
{
	int err = init_values(p);

	if (!err)
		err = init_plan(p);
	if (!err)
		err = finf_planner_branches(p, side_by_side);
	if (!err && p->fixed)
		err = take_fixed(p);
	if (!err)
		err = finf_planner_emit(p);
	if (!err && (!p->fixed || p->plan->n_weights > p->fixed->n_weights))
		err = place_weights(p, p->fixed ? p->fixed->n_weights : 0, opts->segment_bytes);
	if (!err)
		err = finf_planner_depend(p);
	if (!err)
		err = finf_planner_place(p);
	if (!err)
		find_needs(p->plan);
	return err;
}

static int plan_way(const struct finf_graph *graph, const struct finf_form_table *forms,
		    const struct finf_plan_opts *opts, bool side_by_side,
		    struct finf_plan **ret_plan, struct finf_diag *diag)
{
	struct finf_planner p = {.graph = graph, .forms = forms, .fixed = opts->fixed, .grow = opts->grow, .diag = diag};
	int err = -ENOMEM;

	p.plan = calloc(1, sizeof(*p.plan));
	if (!p.plan)
		return err;
	finf_arena_init(&p.scratch);
	finf_arena_init(&p.plan->arena);
	p.plan->threads = opts->threads;
	p.copy_between = opts->copy_between;
	err = plan_stages(&p, opts, side_by_side);
	if (err)
		finf_plan_free(p.plan);
	else
		*ret_plan = p.plan;
	finf_arena_fini(&p.scratch);
	return err;
}

int finf_plan_new(const struct finf_graph *graph, const struct finf_form_table *forms,
		  const struct finf_plan_opts *opts, struct finf_plan **ret_plan,
		  struct finf_diag *diag)
{
	bool side_by_side = graph->n_members > 1 && opts->schedule == FINF_SIDE_BY_SIDE;
	struct finf_plan *plan;
	int err;

	if (forms->n_nodes != graph->n_nodes)
		return finf_diag_set(diag, -EINVAL, "forms for %u nodes, the graph has %u",
				     forms->n_nodes, graph->n_nodes);
	err = plan_way(graph, forms, opts, side_by_side, &plan, diag);
	if (err)
		return err;
	if (plan->n_branches > 1 && opts->bytes &&
	    (plan->weight_bytes > opts->bytes ||
	     plan->arena_bytes > opts->bytes - plan->weight_bytes)) {
		uint64_t side_bytes = plan->arena_bytes;

		finf_plan_free(plan);
		err = plan_way(graph, forms, opts, false, &plan, diag);
		if (!err)
			plan->side_arena_bytes = side_bytes;
	}
	if (!err)
		*ret_plan = plan;
	return err;
}

void finf_plan_free(struct finf_plan *plan)
{
	if (!plan)
		return;
	finf_arena_fini(&plan->arena);
	free(plan);
}
