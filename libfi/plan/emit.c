/* SPDX-License-Identifier: MIT */
/*
 * plan: one walk over the nodes, in the planned order. Each takes the form with the lowest price
 * (its time, the reorders its inputs need from where they are, and what its
 * consumers will at least pay for the layout it leaves behind) and is written
 * down at once: reorders, buffers, weights, step. A reorder is made once per
 * value and layout and shared by every consumer after it.
 */
#include <errno.h>
#include <string.h>

#include "graph/op.h"
#include "plan/internal.h"

/* ---- what is there ------------------------------------------------------ */

static const struct finf_value *value_of(const struct finf_planner *p, uint32_t v)
{
	return &p->graph->values[v];
}

bool finf_planner_find_buffer(const struct finf_planner *p, uint32_t v, uint16_t layout,
			      uint32_t *ret)
{
	for (uint32_t b = p->values[v].buffers; b != FINF_NONE; b = p->next_buffer[b]) {
		if (p->plan->buffers[b].layout == layout) {
			*ret = b;
			return true;
		}
	}
	return false;
}

static bool find_weight(const struct finf_planner *p, uint32_t v,
			const struct finf_weight_form *form, uint32_t *ret)
{
	for (uint32_t w = p->values[v].weights; w != FINF_NONE; w = p->next_weight[w]) {
		if (finf_plan_same_layout(&p->plan->weights[w].form, form)) {
			*ret = w;
			return true;
		}
	}
	return false;
}

/* The weight a form wants for input @k; NULL when its kernel does not read it. */
static const struct finf_weight_form *form_weight(const struct finf_form *form, uint32_t k)
{
	for (uint32_t i = 0; i < form->n_weights; i++)
		if (form->weights[i].input == k)
			return &form->weights[i];
	return NULL;
}

int finf_planner_layout_bytes(const struct finf_planner *p, uint32_t v, uint16_t layout,
			      uint64_t *ret)
{
	const struct finf_value *value = value_of(p, v);

	if (layout == FINF_LAYOUT_PLAIN) {
		*ret = p->values[v].plain_bytes;
		return 0;
	}
	return p->forms->layout_bytes(p->forms->ctx, layout, value->dtype, &value->shape, ret);
}

static uint64_t reorder_ns(const struct finf_planner *p, uint32_t v, uint16_t from, uint16_t to)
{
	return p->forms->reorder_ns(p->forms->ctx, from, to, p->values[v].plain_bytes);
}

/* ---- prices --------------------------------------------------------------- */

static bool is_wanted(const struct finf_planner *p, uint32_t v)
{
	return v != FINF_NONE && (p->values[v].n_consumers || p->values[v].is_output);
}

/* An alias runs nothing: it can only rename plain bytes, and fills no second output. */
static bool alias_possible(const struct finf_planner *p, const struct finf_node *node,
			   const struct finf_form *form)
{
	if (form->in_layout != FINF_LAYOUT_PLAIN || form->out_layout != FINF_LAYOUT_PLAIN ||
	    node->act != FINF_ACT_NONE)
		return false;
	if (!node->n_in || node->in[0] == FINF_NONE || !node->n_out || node->out[0] == FINF_NONE)
		return false;
	for (uint32_t k = 1; k < node->n_out; k++)
		if (is_wanted(p, node->out[k]))
			return false;
	return p->values[node->in[0]].plain_bytes == p->values[node->out[0]].plain_bytes;
}

/*
 * Can input @k be read as this weight? @ret_missing gets the name of a
 * constant that the packed model does not hold in the layout that is wanted.
 */
static bool weight_usable(const struct finf_planner *p, const struct finf_node *node, uint32_t k,
			  const struct finf_weight_form *form, bool may_add,
			  const char **ret_missing)
{
	uint32_t w;

	if (k >= node->n_in || node->in[k] == FINF_NONE || !value_of(p, node->in[k])->is_const)
		return false;
	if (!p->fixed || may_add || find_weight(p, node->in[k], form, &w))
		return true;
	*ret_missing = value_of(p, node->in[k])->name;
	return false;
}

static bool alias_usable(const struct finf_planner *p, const struct finf_node *node,
			 const struct finf_form *form, const char **ret_missing)
{
	struct finf_weight_form plain;

	if (!alias_possible(p, node, form))
		return false;
	if (!value_of(p, node->in[0])->is_const)
		return true;
	plain = (struct finf_weight_form){.bytes = p->values[node->in[0]].plain_bytes};
	return weight_usable(p, node, 0, &plain, false, ret_missing);
}

/* May this form be chosen at all? */
static bool form_usable(const struct finf_planner *p, const struct finf_node *node,
			const struct finf_form *form, const char **ret_missing)
{
	bool may_add = p->grow && form->flags & FINF_FORM_FAT;
	uint64_t bytes;

	if (form->flags & FINF_FORM_ALIAS)
		return alias_usable(p, node, form, ret_missing);
	if (form->flags & FINF_FORM_JOIN && !finf_planner_join_possible(p, node, form))
		return false;
	for (uint32_t k = 0; k < node->n_in; k++)
		if (node->in[k] != FINF_NONE && !value_of(p, node->in[k])->is_const &&
		    finf_planner_layout_bytes(p, node->in[k], form->in_layout, &bytes))
			return false;
	for (uint32_t k = 0; k < node->n_out; k++)
		if (node->out[k] != FINF_NONE &&
		    finf_planner_layout_bytes(p, node->out[k], form->out_layout, &bytes))
			return false;
	for (uint32_t i = 0; i < form->n_weights; i++)
		if (!weight_usable(p, node, form->weights[i].input, &form->weights[i], may_add,
				   ret_missing))
			return false;
	return true;
}

/* The least that consumers of @v pay when it is left in @layout. */
static uint64_t consumers_ns(const struct finf_planner *p, uint32_t v, uint16_t layout)
{
	const struct finf_planner_value *value = &p->values[v];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < value->n_consumers; i++) {
		uint32_t c = p->consumers[value->consumers + i];
		const struct finf_form_list *list = &p->forms->nodes[c];
		uint64_t best = UINT64_MAX;
		const char *missing;

		for (uint32_t f = 0; f < list->n; f++) {
			const struct finf_form *form = &list->forms[f];
			uint64_t ns = form->est_ns;

			if (!form_usable(p, &p->graph->nodes[c], form, &missing))
				continue;
			if (form->in_layout != layout)
				ns = finf_plan_add_ns(ns, reorder_ns(p, v, layout, form->in_layout));
			best = FINF_MIN(best, ns);
		}
		sum = finf_plan_add_ns(sum, best);
	}
	if (value->is_output && layout != FINF_LAYOUT_PLAIN)
		sum = finf_plan_add_ns(sum, reorder_ns(p, v, layout, FINF_LAYOUT_PLAIN));
	return sum;
}

static uint64_t form_ns(const struct finf_planner *p, const struct finf_node *node,
			const struct finf_form *form)
{
	uint64_t ns = form->est_ns;

	for (uint32_t k = 0; k < node->n_in; k++) {
		uint32_t v = node->in[k], buffer;

		if (v == FINF_NONE || value_of(p, v)->is_const ||
		    finf_planner_find_buffer(p, v, form->in_layout, &buffer))
			continue;
		buffer = p->values[v].buffers;
		ns = finf_plan_add_ns(ns, reorder_ns(p, v, p->plan->buffers[buffer].layout,
						     form->in_layout));
	}
	for (uint32_t k = 0; k < node->n_out; k++)
		if (node->out[k] != FINF_NONE)
			ns = finf_plan_add_ns(ns, consumers_ns(p, node->out[k], form->out_layout));
	return ns;
}

/* NULL, said in the diagnosis, when the node has no usable form. */
static const struct finf_form *choose_form(const struct finf_planner *p, uint32_t index)
{
	const struct finf_node *node = &p->graph->nodes[index];
	const struct finf_form_list *list = &p->forms->nodes[index];
	const struct finf_form *best = NULL;
	const char *missing = NULL;
	uint64_t best_ns = 0;

	for (uint32_t f = 0; f < list->n; f++) {
		const struct finf_form *form = &list->forms[f];
		uint64_t ns;

		if (!form_usable(p, node, form, &missing))
			continue;
		ns = form_ns(p, node, form);
		if (!best || ns < best_ns) {
			best = form;
			best_ns = ns;
		}
	}
	if (!best && missing)
		finf_diag_set(p->diag, -EOPNOTSUPP,
			      "node %s (%s): constant %s is not in the packed model in a layout "
			      "this node can use", node->name, node->op->name, missing);
	else if (!best)
		finf_diag_set(p->diag, -EOPNOTSUPP, "node %s (%s): no usable form", node->name,
			      node->op->name);
	return best;
}

/* ---- writing down ----------------------------------------------------------- */

static int add_buffer(struct finf_planner *p, uint32_t v, uint16_t layout, uint32_t alias_of,
		      uint32_t *ret)
{
	uint32_t index = p->plan->n_buffers, *link = &p->values[v].buffers;
	struct finf_plan_buffer *buffer = &p->plan->buffers[index];
	int err = finf_planner_layout_bytes(p, v, layout, &buffer->bytes);

	if (err)
		return finf_diag_set(p->diag, err, "value %s: no bytes in layout %u",
				     value_of(p, v)->name, layout);
	buffer->value = v;
	buffer->layout = layout;
	buffer->alias_of = alias_of;
	while (*link != FINF_NONE) /* keep the producer's first */
		link = &p->next_buffer[*link];
	*link = index;
	p->next_buffer[index] = FINF_NONE;
	p->plan->n_buffers++;
	finf_planner_group_init(p, index);
	*ret = index;
	return 0;
}

static int add_weight(struct finf_planner *p, uint32_t v, const struct finf_weight_form *form,
		      uint32_t *ret)
{
	const struct finf_value *value = value_of(p, v);
	struct finf_plan *plan = p->plan;
	struct finf_plan_weight *weight = &plan->weights[plan->n_weights];

	if (find_weight(p, v, form, ret))
		return 0;
	if (p->fixed && !p->grow)
		return finf_diag_set(p->diag, -EOPNOTSUPP, "constant %s is not in the packed model",
				     value->name);
	weight->name = finf_arena_str(&plan->arena, value->name);
	weight->dtype = value->dtype;
	weight->shape = value->shape;
	weight->form = *form;
	weight->form.desc = finf_arena_dup(&plan->arena, form->desc, form->desc_bytes);
	if (!weight->name || !weight->form.desc)
		return -ENOMEM;
	p->next_weight[plan->n_weights] = p->values[v].weights;
	p->values[v].weights = plan->n_weights;
	*ret = plan->n_weights++;
	return 0;
}

static int add_reorder(struct finf_planner *p, struct finf_operand from, uint32_t to,
		       uint16_t from_layout, uint64_t ns)
{
	struct finf_plan *plan = p->plan;
	struct finf_step *step = &plan->steps[plan->n_steps];

	step->in = finf_arena_dup(&plan->arena, &from, sizeof(from));
	step->out = finf_arena_alloc(&plan->arena, sizeof(*step->out));
	if (!step->in || !step->out)
		return -ENOMEM;
	*step->out = (struct finf_operand){FINF_OPERAND_BUFFER, to};
	step->n_in = step->n_out = 1;
	step->branch = p->branch;
	step->node = FINF_NONE;
	step->form = (struct finf_form){.name = "reorder",
					.in_layout = from_layout,
					.out_layout = plan->buffers[to].layout,
					.est_ns = ns};
	plan->est_ns = finf_plan_add_ns(plan->est_ns, ns);
	plan->n_steps++;
	return 0;
}

/* A plain copy of a constant in the arena, for who cannot read it as a weight. */
static int copy_const(struct finf_planner *p, uint32_t v, uint32_t *ret)
{
	struct finf_weight_form plain = {.bytes = p->values[v].plain_bytes};
	struct finf_operand from = {.kind = FINF_OPERAND_WEIGHT};
	int err = add_weight(p, v, &plain, &from.index);

	if (!err)
		err = add_buffer(p, v, FINF_LAYOUT_PLAIN, FINF_NONE, ret);
	if (err)
		return err;
	return add_reorder(p, from, *ret, FINF_LAYOUT_PLAIN,
			   reorder_ns(p, v, FINF_LAYOUT_PLAIN, FINF_LAYOUT_PLAIN));
}

/* @v in @layout: there already, or carried over from where its producer left it. */
static int buffer_in(struct finf_planner *p, uint32_t v, uint16_t layout, uint32_t *ret)
{
	struct finf_operand from = {FINF_OPERAND_BUFFER, p->values[v].buffers};
	uint16_t have;
	int err;

	if (finf_planner_find_buffer(p, v, layout, ret))
		return 0;
	if (value_of(p, v)->is_const)
		return copy_const(p, v, ret);
	have = p->plan->buffers[from.index].layout;
	err = add_buffer(p, v, layout, FINF_NONE, ret);
	if (err)
		return err;
	return add_reorder(p, from, *ret, have, reorder_ns(p, v, have, layout));
}

static int take_input(struct finf_planner *p, uint32_t v, const struct finf_form *form,
		      const struct finf_weight_form *weight, struct finf_operand *ret)
{
	if (v == FINF_NONE || (value_of(p, v)->is_const && !weight))
		return 0; /* FINF_OPERAND_NONE */
	if (weight) {
		ret->kind = FINF_OPERAND_WEIGHT;
		return add_weight(p, v, weight, &ret->index);
	}
	ret->kind = FINF_OPERAND_BUFFER;
	return buffer_in(p, v, form->in_layout, &ret->index);
}

/* The form, its name and its weights, moved over to the plan's arena. */
static int keep_form(struct finf_plan *plan, const struct finf_form *form, struct finf_step *step)
{
	step->form = *form;
	step->form.name = finf_arena_str(&plan->arena, form->name ? form->name : "");
	step->form.weights = finf_arena_dup(&plan->arena, form->weights,
					    form->n_weights * sizeof(*form->weights));
	if (!step->form.name || !step->form.weights)
		return -ENOMEM;
	for (uint32_t i = 0; i < form->n_weights; i++) {
		struct finf_weight_form *weight = &step->form.weights[i];

		weight->desc = plan->weights[step->in[weight->input].index].form.desc;
	}
	return 0;
}

static int emit_step(struct finf_planner *p, uint32_t index, const struct finf_form *form)
{
	const struct finf_node *node = &p->graph->nodes[index];
	struct finf_plan *plan = p->plan;
	struct finf_step step = {
		.node = index, .n_in = node->n_in, .n_out = node->n_out, .branch = p->branch};
	int err;

	step.in = finf_arena_array(&plan->arena, node->n_in, sizeof(*step.in));
	step.out = finf_arena_array(&plan->arena, node->n_out, sizeof(*step.out));
	if (!step.in || !step.out)
		return -ENOMEM;
	for (uint32_t k = 0; k < node->n_in; k++) {
		err = take_input(p, node->in[k], form, form_weight(form, k), &step.in[k]);
		if (err)
			return err;
	}
	for (uint32_t k = 0; k < node->n_out; k++) {
		if (node->out[k] == FINF_NONE)
			continue;
		step.out[k].kind = FINF_OPERAND_BUFFER;
		err = add_buffer(p, node->out[k], form->out_layout, FINF_NONE, &step.out[k].index);
		if (err)
			return err;
	}
	err = keep_form(plan, form, &step);
	if (err)
		return err;
	if (form->flags & FINF_FORM_JOIN)
		finf_planner_join(p, &step);
	plan->steps[plan->n_steps++] = step;
	plan->est_ns = finf_plan_add_ns(plan->est_ns, form->est_ns);
	return 0;
}

static int emit_alias(struct finf_planner *p, const struct finf_node *node)
{
	uint32_t source, alias;
	int err = buffer_in(p, node->in[0], FINF_LAYOUT_PLAIN, &source);

	return err ? err : add_buffer(p, node->out[0], FINF_LAYOUT_PLAIN, source, &alias);
}

static int emit_node(struct finf_planner *p, uint32_t index)
{
	const struct finf_node *node = &p->graph->nodes[index];
	const struct finf_form *form;

	for (uint32_t k = 0; k < node->n_in; k++)
		if (node->in[k] != FINF_NONE && !value_of(p, node->in[k])->is_const &&
		    p->values[node->in[k]].buffers == FINF_NONE)
			return finf_diag_set(p->diag, -EINVAL, "node %s uses %s before it is there",
					     node->name, value_of(p, node->in[k])->name);
	p->branch = p->branch_of[index];
	form = choose_form(p, index);
	if (!form)
		return -EOPNOTSUPP;
	return form->flags & FINF_FORM_ALIAS ? emit_alias(p, node) : emit_step(p, index, form);
}

/* The branch that makes a value, where its reorder belongs. */
static uint32_t branch_of_value(const struct finf_planner *p, uint32_t v)
{
	uint32_t producer = value_of(p, v)->producer;

	return producer == FINF_NONE ? 0 : p->branch_of[producer];
}

/* A graph input that is also an output gets a copy: they are two tensors to the caller. */
static int emit_output(struct finf_planner *p, uint32_t v, uint32_t *ret)
{
	struct finf_operand from = {FINF_OPERAND_BUFFER, p->values[v].buffers};
	int err;

	p->branch = branch_of_value(p, v);
	if (!value_of(p, v)->is_const && from.index == FINF_NONE)
		return finf_diag_set(p->diag, -EINVAL, "output %s is never made",
				     value_of(p, v)->name);
	if (!value_of(p, v)->is_input || value_of(p, v)->is_const)
		return buffer_in(p, v, FINF_LAYOUT_PLAIN, ret);
	err = add_buffer(p, v, FINF_LAYOUT_PLAIN, FINF_NONE, ret);
	if (err)
		return err;
	return add_reorder(p, from, *ret, FINF_LAYOUT_PLAIN,
			   reorder_ns(p, v, FINF_LAYOUT_PLAIN, FINF_LAYOUT_PLAIN));
}

int finf_planner_emit(struct finf_planner *p)
{
	const struct finf_graph *graph = p->graph;
	struct finf_plan *plan = p->plan;
	int err = 0;

	for (; !err && plan->n_inputs < graph->n_inputs; plan->n_inputs++) {
		err = add_buffer(p, graph->inputs[plan->n_inputs], FINF_LAYOUT_PLAIN, FINF_NONE,
				 &plan->inputs[plan->n_inputs]);
		if (!err)
			p->groups[plan->inputs[plan->n_inputs]].has_input = true;
	}
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++)
		err = emit_node(p, p->order[i]);
	for (; !err && plan->n_outputs < graph->n_outputs; plan->n_outputs++)
		err = emit_output(p, graph->outputs[plan->n_outputs],
				  &plan->outputs[plan->n_outputs]);
	return err;
}
