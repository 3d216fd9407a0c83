/* SPDX-License-Identifier: MIT */
/* exec/session: a plan's steps become kernels and resolved operands, once. */
#include <errno.h>
#include <stdlib.h>

#include "exec/priv.h"

/* An alias shares the bytes of another buffer, which may be an alias itself. */
static const struct finf_plan_buffer *bytes_of(const struct finf_plan *plan, uint32_t buffer)
{
	while (plan->buffers[buffer].alias_of != FINF_NONE)
		buffer = plan->buffers[buffer].alias_of;
	return &plan->buffers[buffer];
}

static struct finf_slot weight_slot(const struct finf_plan *plan, uint64_t offset)
{
	uint64_t first = plan->weight_bytes - plan->grown_bytes;

	if (plan->grown_bytes && offset >= first)
		return (struct finf_slot){FINF_BASE_GROWN, offset - first};
	return (struct finf_slot){FINF_BASE_WEIGHTS, offset};
}

static struct finf_slot slot_of(const struct finf_plan *plan, struct finf_operand operand)
{
	switch (operand.kind) {
	case FINF_OPERAND_BUFFER:
		return (struct finf_slot){FINF_BASE_ARENA, bytes_of(plan, operand.index)->offset};
	case FINF_OPERAND_WEIGHT:
		return weight_slot(plan, plan->weights[operand.index].offset);
	default:
		return (struct finf_slot){FINF_BASE_NONE, 0};
	}
}

static const struct finf_slot *slots_of(struct finf_session *session, const struct finf_plan *plan,
					const struct finf_operand *operands, uint32_t n)
{
	struct finf_slot *slots = finf_arena_array(&session->arena, n ? n : 1, sizeof(*slots));

	for (uint32_t i = 0; slots && i < n; i++)
		slots[i] = slot_of(plan, operands[i]);
	return slots;
}

/* Then every step may run on one core beside others, or on all of them. */
static bool side_by_side(const struct finf_session *session, const struct finf_plan *plan)
{
	return plan->side.n_lanes && plan->threads > 1 && finf_device_spreads(session->dev);
}

/* A reorder carries one value between layouts; a weight is copied out plain. */
static int reorder_kernel(struct finf_session *session, const struct finf_graph *graph,
			  const struct finf_plan *plan, const struct finf_step *step,
			  struct finf_launch_step *ret, struct finf_diag *diag)
{
	const struct finf_plan_buffer *to = &plan->buffers[step->out[0].index];
	const struct finf_value *value = &graph->values[to->value];
	uint16_t from = step->in[0].kind == FINF_OPERAND_BUFFER
				? plan->buffers[step->in[0].index].layout
				: FINF_LAYOUT_PLAIN;

	int err;

	ret->name = value->name;
	err = finf_device_reorder_new(session->dev, value->dtype, &value->shape, from, to->layout,
				      plan->threads, &ret->kernel, diag);
	if (!err && side_by_side(session, plan))
		err = finf_device_reorder_new(session->dev, value->dtype, &value->shape, from,
					      to->layout, 1, &ret->one, diag);
	return err;
}

/* Without a kernel the output must be the input's bytes: else it would be never written. */
static bool alias_of(const struct finf_launch_step *step)
{
	return step->n_in && step->n_out && step->in[0].base == FINF_BASE_ARENA &&
	       step->out[0].base == FINF_BASE_ARENA && step->in[0].offset == step->out[0].offset;
}

/* The same of a join: the output must be its inputs' bytes, one behind the other. */
static bool join_of(const struct finf_plan *plan, const struct finf_step *step,
		    const struct finf_launch_step *ret)
{
	uint64_t at = 0;

	if (ret->n_out != 1 || ret->out[0].base != FINF_BASE_ARENA)
		return false;
	for (uint32_t i = 0; i < ret->n_in; i++) {
		if (ret->in[i].base != FINF_BASE_ARENA ||
		    ret->in[i].offset != ret->out[0].offset + at)
			return false;
		at += plan->buffers[step->in[i].index].bytes;
	}
	return at == plan->buffers[step->out[0].index].bytes;
}

static int node_kernel(struct finf_session *session, const struct finf_graph *graph,
		       const struct finf_plan *plan, const struct finf_step *step,
		       struct finf_launch_step *ret, struct finf_diag *diag)
{
	int err;

	ret->name = graph->nodes[step->node].name;
	if (step->form.flags & FINF_FORM_ALIAS)
		return alias_of(ret)
			       ? 0
			       : finf_diag_set(diag, -EBADMSG, "output is not where the input is");
	if (step->form.flags & FINF_FORM_JOIN)
		return join_of(plan, step, ret)
			       ? 0
			       : finf_diag_set(diag, -EBADMSG,
					       "inputs are not where the output is");
	if (step->form.workspace_bytes)
		ret->workspace_offset = step->workspace_offset;
	err = finf_device_kernel_new(session->dev, graph, step->node, &step->form, plan->threads,
				     &ret->kernel, diag);
	if (!err && side_by_side(session, plan))
		err = finf_device_kernel_new(session->dev, graph, step->node, &step->form, 1,
					     &ret->one, diag);
	return err;
}

static int step_init(struct finf_session *session, const struct finf_graph *graph,
		     const struct finf_plan *plan, uint32_t index, struct finf_diag *diag)
{
	const struct finf_step *step = &plan->steps[index];
	struct finf_launch_step *ret = &session->steps[index];

	ret->need_segments = step->need_segments;
	ret->workspace_offset = FINF_NO_WORKSPACE;
	ret->n_in = step->n_in;
	ret->n_out = step->n_out;
	ret->in = slots_of(session, plan, step->in, step->n_in);
	ret->out = slots_of(session, plan, step->out, step->n_out);
	if (!ret->in || !ret->out)
		return -ENOMEM;
	if (step->node == FINF_NONE)
		return reorder_kernel(session, graph, plan, step, ret, diag);
	return node_kernel(session, graph, plan, step, ret, diag);
}

static int ports_init(const struct finf_graph *graph, const struct finf_plan *plan,
		      const uint32_t *values, const uint32_t *buffers, uint32_t n,
		      struct finf_port_slot *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct finf_value *value = &graph->values[values[i]];
		int err = finf_tensor_bytes(value->dtype, &value->shape, &ret[i].bytes);

		if (err)
			return err;
		ret[i].name = value->name;
		ret[i].dtype = value->dtype;
		ret[i].shape = value->shape;
		ret[i].offset = bytes_of(plan, buffers[i])->offset;
	}
	return 0;
}

/*
 * A plan may come from a file, and its proof knows no layouts but the plain
 * one: what a buffer in another layout takes only the device can tell.
 */
static int check_buffers(struct finf_device *dev, const struct finf_graph *graph,
			 const struct finf_plan *plan, struct finf_diag *diag)
{
	for (uint32_t i = 0; i < plan->n_buffers; i++) {
		const struct finf_plan_buffer *buffer = &plan->buffers[i];
		const struct finf_value *value = &graph->values[buffer->value];
		uint64_t need = 0;
		int err;

		if (buffer->layout == FINF_LAYOUT_PLAIN)
			continue;
		err = finf_device_layout_bytes(dev, buffer->layout, value->dtype, &value->shape,
					       &need);
		if (err || buffer->bytes < need)
			return finf_diag_set(
				diag, -EBADMSG, "value '%s' cannot lie in layout %u in %llu bytes",
				value->name, buffer->layout, (unsigned long long)buffer->bytes);
	}
	return 0;
}

/* The widest step decides how long the scratch arrays of a launch are. */
int finf_lane_init(struct finf_session *session, const struct finf_plan *plan,
		   struct finf_lane *lane)
{
	uint32_t n_in = 1, n_out = 1;

	for (uint32_t i = 0; i < plan->n_steps; i++) {
		n_in = FINF_MAX(n_in, plan->steps[i].n_in);
		n_out = FINF_MAX(n_out, plan->steps[i].n_out);
	}
	lane->in = finf_arena_array(&session->arena, n_in, sizeof(*lane->in));
	lane->out = finf_arena_array(&session->arena, n_out, sizeof(*lane->out));
	return lane->in && lane->out ? 0 : -ENOMEM;
}

static bool is_ready(const struct finf_plan *plan, uint32_t s, const bool *over)
{
	for (uint32_t i = 0; i < plan->steps[s].n_deps; i++)
		if (!over[plan->steps[s].deps[i]])
			return false;
	return true;
}

/*
 * Weights come in the order of the list, in which branches take turns. Once they are there, each
 * branch is run as far as it gets before the next: what it works on stays in the caches.
 */
static int order_init(struct finf_session *session, const struct finf_plan *plan)
{
	bool *over = calloc(plan->n_steps + 1, sizeof(*over));
	uint32_t n = 0;

	session->order = finf_arena_array(&session->arena, plan->n_steps, sizeof(*session->order));
	if (!over || !session->order) {
		free(over);
		return -ENOMEM;
	}
	while (n < plan->n_steps)
		for (uint32_t b = 0; b < plan->n_branches; b++)
			for (uint32_t s = 0; s < plan->n_steps; s++) {
				if (over[s] || plan->steps[s].branch != b)
					continue;
				if (!is_ready(plan, s, over))
					break;
				over[s] = true;
				session->order[n++] = s;
			}
	free(over);
	return 0;
}

static int session_init(struct finf_session *session, const struct finf_graph *graph,
			const struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_arena *arena = &session->arena;
	int err;

	session->inputs = finf_arena_array(arena, plan->n_inputs + 1, sizeof(*session->inputs));
	session->outputs = finf_arena_array(arena, plan->n_outputs + 1, sizeof(*session->outputs));
	session->steps = finf_arena_array(arena, plan->n_steps + 1, sizeof(*session->steps));
	if (!session->inputs || !session->outputs || !session->steps)
		return -ENOMEM;
	session->n_inputs = plan->n_inputs;
	session->n_outputs = plan->n_outputs;
	session->n_steps = plan->n_steps;
	err = check_buffers(session->dev, graph, plan, diag);
	if (err)
		return err;
	err = ports_init(graph, plan, graph->inputs, plan->inputs, plan->n_inputs, session->inputs);
	if (!err)
		err = ports_init(graph, plan, graph->outputs, plan->outputs, plan->n_outputs,
				 session->outputs);
	for (uint32_t i = 0; i < plan->n_inputs && !err; i++) {
		session->inputs[i].when = plan->buffers[plan->inputs[i]].first_step;
		session->copies_between |= session->inputs[i].when > 0;
	}
	for (uint32_t i = 0; i < plan->n_outputs && !err; i++) {
		session->outputs[i].when = plan->buffers[plan->outputs[i]].last_step;
		session->copies_between |= session->outputs[i].when < plan->n_steps;
	}
	if (!err)
		err = finf_lane_init(session, plan, &session->lane);
	for (uint32_t i = 0; i < plan->n_steps && !err; i++) {
		err = step_init(session, graph, plan, i, diag);
		if (err && session->steps[i].name)
			finf_diag_prefix(diag, "node '%s'", session->steps[i].name);
	}
	if (!err && plan->n_branches > 1)
		err = order_init(session, plan);
	if (!err && side_by_side(session, plan))
		err = finf_side_new(session, plan, &session->side);
	return err;
}

int finf_session_new(struct finf_device *dev, const struct finf_graph *graph,
		     const struct finf_plan *plan, struct finf_session **ret_session,
		     struct finf_diag *diag)
{
	struct finf_session *session = calloc(1, sizeof(*session));
	int err;

	if (!session)
		return finf_diag_set(diag, -ENOMEM, "no memory for a session");
	finf_arena_init(&session->arena);
	session->dev = dev;
	err = session_init(session, graph, plan, diag);
	if (err) {
		finf_session_free(session);
		return err == -ENOMEM ? finf_diag_set(diag, err, "no memory for a session") : err;
	}
	*ret_session = session;
	return 0;
}

uint64_t finf_session_bytes(const struct finf_session *session)
{
	uint64_t bytes = sizeof(*session) + finf_arena_bytes(&session->arena);

	for (uint32_t i = 0; i < session->n_steps; i++)
		bytes += (uint64_t)(!!session->steps[i].kernel + !!session->steps[i].one) *
			 FINF_KERNEL_BYTES;
	return bytes;
}

void finf_session_free(struct finf_session *session)
{
	if (!session)
		return;
	finf_side_free(session->side);
	finf_device_captured_free(session->dev, session->captured);
	for (uint32_t i = 0; i < session->n_steps; i++) {
		if (session->steps[i].kernel)
			finf_device_kernel_free(session->dev, session->steps[i].kernel);
		if (session->steps[i].one)
			finf_device_kernel_free(session->dev, session->steps[i].one);
	}
	finf_arena_fini(&session->arena);
	free(session);
}
