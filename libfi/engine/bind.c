/* SPDX-License-Identifier: MIT */
/* engine/bind: sessions per input shapes, made on first use and kept. */
#include <errno.h>
#include <stdlib.h>

#include "engine/priv.h"

int finf_binding_new(const struct finf_model *model, struct finf_graph *bound,
		     const struct finf_plan *plan, struct finf_binding **ret_binding,
		     struct finf_diag *diag)
{
	struct finf_binding *binding = calloc(1, sizeof(*binding));
	int err;

	if (!binding)
		return finf_diag_set(diag, -ENOMEM, "no memory for a session");
	err = finf_session_new(model->dev, bound, plan, &binding->session, diag);
	if (err) {
		free(binding);
		return err;
	}
	binding->need = calloc(plan->n_steps + 1, sizeof(*binding->need));
	if (plan->side.n_lanes)
		binding->watch = malloc(sizeof(*binding->watch));
	if (!binding->need || (plan->side.n_lanes && !binding->watch)) {
		finf_session_free(binding->session);
		free(binding->need);
		free(binding);
		return finf_diag_set(diag, -ENOMEM, "no memory for a session");
	}
	if (binding->watch)
		finf_watch_init(binding->watch, plan->side.off,
				plan->side.list_ns ? FINF_WATCH_RUNS : FINF_WATCH_RUNS_NEW,
				FINF_WATCH_GAIN_PCT);
	binding->model = model;
	binding->bound = bound;
	binding->plan = plan;
	binding->bytes = sizeof(*binding) + finf_session_bytes(binding->session) +
			 finf_arena_bytes(&plan->arena) + finf_arena_bytes(&bound->arena);
	*ret_binding = binding;
	return 0;
}

void finf_binding_free(const struct finf_model *model, struct finf_binding *binding)
{
	if (!binding)
		return;
	finf_session_free(binding->session);
	if (!model->pack || binding->plan != model->pack->plan)
		finf_plan_free((struct finf_plan *)binding->plan);
	finf_graph_free(binding->bound);
	free(binding->need);
	free(binding->watch);
	free(binding);
}

static bool binding_fits(const struct finf_binding *binding, const struct finf_tensor *inputs)
{
	const struct finf_graph *bound = binding->bound;

	for (uint32_t i = 0; i < bound->n_inputs; i++)
		if (!finf_shape_equal(&bound->values[bound->inputs[i]].shape, &inputs[i].shape))
			return false;
	return true;
}

/* What lies in the extent: the group's own plan says, for its members too. */
static const struct finf_plan *fixed_plan(const struct finf_model *model)
{
	return finf_model_plan(model->group ? model->group : model);
}

/* A member's session for the default shapes. */
static int default_binding(struct finf_model *model, struct finf_diag *diag)
{
	struct finf_graph *bound;
	struct finf_plan *plan;
	int err = finf_engine_plan(model->dev, model->graph, NULL, model->threads, model->bytes,
				   model->how, fixed_plan(model), &bound, &plan, diag);

	if (err)
		return err;
	err = finf_binding_new(model, bound, plan, &model->bindings[0], diag);
	if (err) {
		finf_plan_free(plan);
		finf_graph_free(bound);
	}
	return err;
}

static int binding_for(const struct finf_model *model, const struct finf_tensor *inputs,
		       struct finf_binding **ret_binding, struct finf_diag *diag)
{
	struct finf_shape *shapes = calloc(model->graph->n_inputs + 1, sizeof(*shapes));
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	int err;

	if (!shapes)
		return finf_diag_set(diag, -ENOMEM, "no memory for a session");
	for (uint32_t i = 0; i < model->graph->n_inputs; i++)
		shapes[i] = inputs[i].shape;
	err = finf_engine_plan(model->dev, model->graph, shapes, model->threads, model->bytes,
			       model->how, fixed_plan(model), &bound, &plan, diag);
	free(shapes);
	if (err)
		return err;
	err = finf_engine_side_like(model->dev, bound, plan, model->bindings[0]->bound,
				    model->bindings[0]->plan, diag);
	if (!err)
		err = finf_binding_new(model, bound, plan, ret_binding, diag);
	if (err) {
		finf_plan_free(plan);
		finf_graph_free(bound);
	}
	return err;
}

static void give_up(struct finf_model *model, uint32_t slot)
{
	atomic_fetch_sub(&model->n_more, 1);
	atomic_fetch_sub(&model->more_bytes, model->bindings[slot]->bytes);
	finf_binding_free(model, model->bindings[slot]);
	model->bindings[slot] = NULL;
}

/* The one used longest ago; never the default shapes. FINF_NONE: there are no others. */
static uint32_t oldest(const struct finf_model *model)
{
	uint32_t found = FINF_NONE;

	for (uint32_t i = 1; i < FINF_MODEL_BINDINGS; i++)
		if (model->bindings[i] && (found == FINF_NONE ||
					   model->bindings[i]->used < model->bindings[found]->used))
			found = i;
	return found;
}

/* Into an empty slot, once there is one and its bytes are within the bound. */
static uint32_t keep(struct finf_model *model, struct finf_binding *binding)
{
	uint32_t slot = 1;

	while (atomic_load(&model->n_more) &&
	       (atomic_load(&model->n_more) == FINF_MODEL_BINDINGS - 1 ||
		atomic_load(&model->more_bytes) + binding->bytes > FINF_BINDINGS_BYTES))
		give_up(model, oldest(model));
	while (model->bindings[slot])
		slot++;
	model->bindings[slot] = binding;
	atomic_fetch_add(&model->n_more, 1);
	atomic_fetch_add(&model->more_bytes, binding->bytes);
	return slot;
}

void finf_model_kept(const struct finf_model *model, uint32_t *ret_shapes, uint64_t *ret_bytes)
{
	*ret_shapes = atomic_load(&model->n_more);
	*ret_bytes = atomic_load(&model->more_bytes);
}

int finf_model_bind(struct finf_model *model, const struct finf_tensor *inputs, uint32_t n_inputs,
		    const struct finf_binding **ret_binding, struct finf_diag *diag)
{
	struct finf_binding *binding = NULL;
	uint32_t slot;
	int err;

	if (n_inputs != model->graph->n_inputs)
		return finf_diag_set(diag, -EINVAL, "%u inputs given, %u expected", n_inputs,
				     model->graph->n_inputs);
	if (!model->bindings[0]) {
		err = default_binding(model, diag);
		if (err)
			return err;
	}
	for (slot = 0; slot < FINF_MODEL_BINDINGS; slot++)
		if (model->bindings[slot] && binding_fits(model->bindings[slot], inputs))
			break;
	if (slot == FINF_MODEL_BINDINGS) {
		err = binding_for(model, inputs, &binding, diag);
		if (err)
			return err;
		slot = keep(model, binding);
	}
	model->bindings[slot]->used = ++model->clock;
	*ret_binding = model->bindings[slot];
	return 0;
}

uint64_t finf_binding_arena_bytes(const struct finf_binding *binding)
{
	return binding->plan->arena_bytes;
}

void finf_binding_output(const struct finf_binding *binding, uint32_t k, struct finf_port *ret)
{
	const struct finf_graph *bound = binding->bound;
	const struct finf_value *value = &bound->values[bound->outputs[k]];

	ret->name = value->name;
	ret->dtype = value->dtype;
	ret->shape = value->shape;
}

/* How many segments must have come before step @s can start, in the order of the load. */
static uint32_t need_of(const struct finf_plan *plan, uint32_t s, const uint32_t *rank)
{
	const struct finf_step *step = &plan->steps[s];
	uint32_t need = 0;

	for (uint32_t k = 0; k < step->n_in; k++) {
		const struct finf_plan_weight *weight;

		if (step->in[k].kind != FINF_OPERAND_WEIGHT)
			continue;
		weight = &plan->weights[step->in[k].index];
		/* The farthest is known; from there back to where the weight begins. */
		for (uint32_t i = step->need_segments; i-- > 0;) {
			if (plan->segments[i].offset + plan->segments[i].bytes <= weight->offset)
				break;
			if (plan->segments[i].offset < weight->offset + weight->form.bytes)
				need = FINF_MAX(need, rank[i] + 1);
		}
	}
	return need;
}

bool finf_model_way(const struct finf_model *model, struct finf_way *ret)
{
	struct finf_watch *watch = model->bindings[0] ? model->bindings[0]->watch : NULL;
	uint32_t changes;

	if (!watch)
		return false;
	changes = atomic_load(&watch->changes);
	*ret = (struct finf_way){
		.side_by_side = model->bindings[0]->plan->side.off == changes % 2,
		.side_ns = atomic_load(&watch->ns[0]),
		.alone_ns = atomic_load(&watch->ns[1]),
		.trials = atomic_load(&watch->trials),
		.changes = changes,
	};
	return true;
}

/* Side by side or not, and told how long it took. */
static int run_watched(const struct finf_binding *binding, const struct finf_run *given,
		       struct finf_diag *diag)
{
	struct finf_run run = *given;
	uint64_t start_ns = finf_now_ns();
	int err;

	run.alone = finf_watch_next(binding->watch);
	err = finf_session_run(binding->session, &run, diag);
	if (!err)
		finf_watch_note(binding->watch, finf_now_ns() - start_ns);
	return err;
}

int finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
		     struct finf_diag *diag)
{
	const struct finf_model *model =
		binding->model->group ? binding->model->group : binding->model;
	struct finf_run ranked = *run;

	if (binding->watch && !run->load && !run->on_step && !run->alone)
		return run_watched(binding, run, diag);
	if (!run->load || !model->ranked)
		return finf_session_run(binding->session, run, diag);
	for (uint32_t s = 0; s < binding->plan->n_steps; s++)
		binding->need[s] = need_of(binding->plan, s, model->rank);
	ranked.need = binding->need;
	return finf_session_run(binding->session, &ranked, diag);
}
