/* SPDX-License-Identifier: MIT */
/* engine/plan: graph + shapes -> bound graph, forms of the device, checked plan. */
#include <errno.h>
#include <string.h>

#include "device/capture.h"
#include "engine/priv.h"
#include "fuse/fuse.h"

/* The model's own shapes with 1 where they may vary: what a tuned pack is made for. */
static int default_shapes(const struct finf_graph *graph, struct finf_shape *ret,
			  struct finf_diag *diag)
{
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		const struct finf_value *value = &graph->values[graph->inputs[i]];

		if (!value->has_shape)
			return finf_diag_set(diag, -EINVAL, "input '%s' has no shape in the model",
					     value->name);
		ret[i] = value->shape;
		for (uint32_t d = 0; d < ret[i].rank; d++)
			if (ret[i].dim[d] == FINF_DIM_ANY)
				ret[i].dim[d] = 1;
	}
	return 0;
}

/* Nodes as one, where members have any alike. */
static int batch(struct finf_graph *bound, bool batched, struct finf_diag *diag)
{
	struct finf_batch_report report = {.nodes = 0};
	int err = batched ? finf_fuse_batch(bound, &report, diag) : 0;

	bound->batched = report.nodes;
	return err;
}

int finf_engine_bind(const struct finf_graph *graph, const struct finf_shape *shapes, bool batched,
		     struct finf_graph **ret_bound, struct finf_diag *diag)
{
	struct finf_graph *bound;
	struct finf_arena scratch;
	struct finf_shape *own;
	int err = 0;

	finf_arena_init(&scratch);
	if (!shapes) {
		own = finf_arena_array(&scratch, graph->n_inputs + 1, sizeof(*own));
		err = own ? default_shapes(graph, own, diag) : -ENOMEM;
		shapes = own;
	}
	if (!err)
		err = finf_graph_bind(graph, shapes, &bound, diag);
	finf_arena_fini(&scratch);
	if (err)
		return err;
	err = batch(bound, batched, diag);
	if (err)
		finf_graph_free(bound);
	else
		*ret_bound = bound;
	return err;
}

/* Layouts that the weights of one node have in the extent. */
static int fixed_of_node(const struct finf_graph *bound, const struct finf_node *node,
			 const struct finf_plan *fixed, const struct finf_map *by_name,
			 struct finf_arena *arena, struct finf_fixed_weights *ret)
{
	struct finf_weight_form *forms = finf_arena_array(arena, node->n_in + 1, sizeof(*forms));

	if (!forms)
		return -ENOMEM;
	ret->forms = forms;
	for (uint32_t i = 0; i < node->n_in; i++) {
		uint32_t at;

		if (node->in[i] == FINF_NONE || !bound->values[node->in[i]].is_const ||
		    !finf_map_find(by_name, bound->values[node->in[i]].name, &at))
			continue;
		forms[ret->n] = fixed->weights[at].form;
		forms[ret->n++].input = i;
	}
	return 0;
}

static int fixed_of_graph(const struct finf_graph *bound, const struct finf_plan *fixed,
			  struct finf_arena *arena, struct finf_fixed_weights **ret)
{
	struct finf_fixed_weights *nodes =
		finf_arena_array(arena, bound->n_nodes + 1, sizeof(*nodes));
	struct finf_map by_name;
	int err = nodes ? 0 : -ENOMEM;

	finf_map_init(&by_name);
	for (uint32_t i = 0; i < fixed->n_weights && !err; i++) {
		err = finf_map_put(&by_name, fixed->weights[i].name, i);
		if (err == -EEXIST) /* a second layout of the same constant */
			err = 0;
	}
	for (uint32_t i = 0; i < bound->n_nodes && !err; i++)
		err = fixed_of_node(bound, &bound->nodes[i], fixed, &by_name, arena, &nodes[i]);
	finf_map_fini(&by_name);
	if (!err)
		*ret = nodes;
	return err;
}

/* Only what the reference kernels do, and views that need no kernel. */
static int keep_reference(const struct finf_graph *bound, struct finf_form_table *table,
			  struct finf_diag *diag)
{
	for (uint32_t i = 0; i < table->n_nodes; i++) {
		struct finf_form_list *list = &table->nodes[i];
		uint32_t n = 0;

		for (uint32_t k = 0; k < list->n; k++)
			if (!strcmp(list->forms[k].name, "ref") ||
			    list->forms[k].flags & FINF_FORM_ALIAS)
				list->forms[n++] = list->forms[k];
		if (!n)
			return finf_diag_set(diag, -EOPNOTSUPP,
					     "node '%s' has no reference kernel on this device",
					     bound->nodes[i].name);
		list->n = n;
	}
	return 0;
}

/* Packs stay lean, and a larger form serves one shape only. */
static void drop_fat(struct finf_form_table *table)
{
	for (uint32_t i = 0; i < table->n_nodes; i++) {
		struct finf_form_list *list = &table->nodes[i];
		uint32_t n = 0;

		for (uint32_t k = 0; k < list->n; k++)
			if (!(list->forms[k].flags & FINF_FORM_FAT))
				list->forms[n++] = list->forms[k];
		list->n = n;
	}
}

/*
 * Shape arithmetic can yield constants that depend on the input shapes. What
 * lies in the extent was computed for the default ones, so a step must not
 * read it for others.
 */
static int check_fixed(const struct finf_graph *graph, const struct finf_plan *plan,
		       struct finf_diag *diag)
{
	for (uint32_t i = 0; i < plan->n_steps; i++) {
		for (uint32_t k = 0; k < plan->steps[i].n_in; k++) {
			struct finf_operand operand = plan->steps[i].in[k];
			uint32_t value;

			if (operand.kind != FINF_OPERAND_WEIGHT)
				continue;
			if (finf_graph_find(graph, plan->weights[operand.index].name, &value) &&
			    graph->values[value].is_const)
				continue;
			return finf_diag_set(diag, -EOPNOTSUPP,
					     "constant '%s' depends on the shapes of the inputs",
					     plan->weights[operand.index].name);
		}
	}
	return 0;
}

/* One thread of a processor runs nothing beside anything: members would only be in more memory,
 * and so in each other's way in the caches. */
static enum finf_schedule schedule_for(struct finf_device *dev, const struct finf_graph *bound,
				       uint32_t threads)
{
	return threads < 2 && finf_device_spreads(dev) ? FINF_ONE_BY_ONE : bound->schedule;
}

static int plan_bound(struct finf_device *dev, const struct finf_graph *bound, uint32_t threads,
		      uint64_t bytes, unsigned how, const struct finf_plan *fixed,
		      struct finf_plan **ret_plan, struct finf_diag *diag)
{
	struct finf_plan_opts opts = {.size = sizeof(opts),
				      .threads = threads,
				      .fixed = fixed,
				      .schedule = schedule_for(dev, bound, threads),
				      .bytes = bytes,
				      /* a captured run copies nothing in between */
				      .copy_between = !finf_device_captures(dev)};
	struct finf_fixed_weights *nodes = NULL;
	struct finf_form_table table;
	struct finf_arena scratch;
	int err = 0;

	finf_arena_init(&scratch);
	if (fixed)
		err = fixed_of_graph(bound, fixed, &scratch, &nodes);
	if (!err)
		err = finf_device_forms(dev, bound, threads, nodes, &table, diag);
	if (err)
		goto out;
	if (how & FINF_PLAN_EXACT)
		err = keep_reference(bound, &table, diag);
	else if (!(how & FINF_PLAN_FAST))
		drop_fat(&table);
	else if (!fixed)
		err = finf_engine_measure(dev, bound, threads, NULL, &table, diag);
	if (!err)
		err = finf_plan_new(bound, &table, &opts, ret_plan, diag);
	finf_form_table_fini(&table);
out:
	finf_arena_fini(&scratch);
	return err;
}

static int plan_as(struct finf_device *dev, const struct finf_graph *graph,
		   const struct finf_shape *shapes, uint32_t threads, uint64_t bytes, unsigned how,
		   bool batched, const struct finf_plan *fixed, struct finf_graph **ret_bound,
		   struct finf_plan **ret_plan, struct finf_diag *diag)
{
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	int err = finf_engine_bind(graph, shapes, batched, &bound, diag);

	if (!err)
		err = plan_bound(dev, bound, threads, bytes, how, fixed, &plan, diag);
	if (!err)
		err = finf_plan_check(bound, plan, diag);
	if (!err && !fixed) /* other shapes of a loaded model are planned while a request waits */
		err = finf_engine_side(dev, bound, plan, diag);
	if (!err && fixed && shapes) /* the default ones are those it was made for */
		err = check_fixed(graph, plan, diag);
	if (err) {
		finf_plan_free(plan);
		finf_graph_free(bound);
		return err;
	}
	*ret_bound = bound;
	*ret_plan = plan;
	return 0;
}

/*
 * Batched, members need room for the rows of all of them at once; and a kernel may not be there
 * for so many rows over weights as they lie. Then each does its own, as the reference does.
 */
int finf_engine_plan(struct finf_device *dev, const struct finf_graph *graph,
		     const struct finf_shape *shapes, uint32_t threads, uint64_t bytes, unsigned how,
		     const struct finf_plan *fixed, struct finf_graph **ret_bound,
		     struct finf_plan **ret_plan, struct finf_diag *diag)
{
	bool batched = graph->batched && !(how & FINF_PLAN_EXACT);
	struct finf_graph *bound;
	struct finf_plan *plan;
	int err = plan_as(dev, graph, shapes, threads, bytes, how, batched, fixed, &bound, &plan,
			  diag);

	if (!err && bound->batched && bytes && plan->weight_bytes + plan->arena_bytes > bytes) {
		finf_plan_free(plan);
		finf_graph_free(bound);
		err = -EOPNOTSUPP;
	}
	if (err == -EOPNOTSUPP && batched)
		err = plan_as(dev, graph, shapes, threads, bytes, how, false, fixed, &bound, &plan,
			      diag);
	if (err)
		return err;
	*ret_bound = bound;
	*ret_plan = plan;
	return 0;
}
