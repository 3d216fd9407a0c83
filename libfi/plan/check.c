/* SPDX-License-Identifier: MIT */
/*
 * plan: the proof. It knows nothing of how the planner thinks: it replays the
 * steps over the claimed offsets and lifetimes and asks at each read whether
 * the bytes there are still the ones that are meant.
 *
 * Two buffers may share bytes in three ways only. Their lifetimes do not meet;
 * or one is an alias of the other; or one is joined of others and the other is
 * one of these. An alias that no step writes is another name of the same bytes.
 * An alias that a step writes replaces the bytes: that makes a new version, and
 * every buffer of an older version is stale. A join writes nothing.
 *
 * So all bytes are those of buffers written by themselves, the parts, and a
 * buffer is a list of parts: parts.c. No two parts that live meet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

#define WRITER_NONE FINF_NONE	   /* an alias that no step writes */
#define WRITER_CALLER (FINF_NONE - 1) /* a graph input */

struct proof {
	const struct finf_graph *graph;
	const struct finf_plan *plan;
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: everything below, per buffer */
	uint32_t *writer;	   /* step, or WRITER_... */
	struct finf_plan_parts parts;
	uint32_t *version;	   /* of a part: the number of the write that made its bytes */
	uint32_t *holds;	   /* of a written or joined buffer: the last write before it was
				    * whole; 0 = not yet there */
	uint32_t *writes;	   /* how many there were so far */
};

#define no(proof, ...) finf_diag_set((proof)->diag, -EINVAL, __VA_ARGS__)

/* ---- the extent ------------------------------------------------------------- */

int finf_plan_check_extent(const struct finf_plan *plan, struct finf_diag *diag)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < plan->n_segments; i++) {
		const struct finf_plan_segment *segment = &plan->segments[i];

		if (segment->offset != end || !segment->bytes ||
		    segment->bytes % FINF_SEGMENT_ALIGN ||
		    __builtin_add_overflow(end, segment->bytes, &end) || end > FINF_EXTENT_MAX)
			return finf_diag_set(diag, -EINVAL, "segment %u is not where the last ended "
					     "or not in whole pages", i);
	}
	if (end != plan->weight_bytes)
		return finf_diag_set(diag, -EINVAL, "segments do not cover the extent");
	end = 0;
	for (uint32_t i = 0; i < plan->n_weights; i++) {
		const struct finf_plan_weight *weight = &plan->weights[i];
		size_t plain;

		if (weight->offset < end || weight->offset % FINF_WEIGHT_ALIGN ||
		    __builtin_add_overflow(weight->offset, weight->form.bytes, &end) ||
		    end > plan->weight_bytes)
			return finf_diag_set(diag, -EINVAL, "weight %s overlaps, is misaligned or "
					     "leaves the extent", weight->name);
		if (finf_tensor_bytes(weight->dtype, &weight->shape, &plain) ||
		    (!weight->form.desc_bytes && weight->form.bytes != plain))
			return finf_diag_set(diag, -EINVAL, "weight %s has not the bytes of its shape",
					     weight->name);
	}
	return 0;
}

/* ---- numbers in range ----------------------------------------------------------- */

static int check_operands(const struct proof *proof, uint32_t s, const struct finf_operand *operands,
			  uint32_t n)
{
	const struct finf_plan *plan = proof->plan;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t limit = operands[k].kind == FINF_OPERAND_BUFFER ? plan->n_buffers
								      : plan->n_weights;

		if (operands[k].kind > FINF_OPERAND_WEIGHT ||
		    (operands[k].kind != FINF_OPERAND_NONE && operands[k].index >= limit))
			return no(proof, "step %u: operand %u does not exist", s, k);
	}
	return 0;
}

static int check_step_numbers(const struct proof *proof, uint32_t s)
{
	const struct finf_step *step = &proof->plan->steps[s];
	const struct finf_node *node;
	int err = check_operands(proof, s, step->in, step->n_in);

	if (!err)
		err = check_operands(proof, s, step->out, step->n_out);
	if (err)
		return err;
	if (step->node == FINF_NONE)
		return step->n_in == 1 && step->n_out == 1 && !step->form.n_weights
			       ? 0
			       : no(proof, "step %u: a reorder is from one to one", s);
	if (step->node >= proof->graph->n_nodes)
		return no(proof, "step %u: no node %u", s, step->node);
	node = &proof->graph->nodes[step->node];
	if (step->n_in != node->n_in || step->n_out != node->n_out)
		return no(proof, "step %u: not the operands of node %s", s, node->name);
	for (uint32_t i = 0; i < step->form.n_weights; i++)
		if (step->form.weights[i].input >= node->n_in)
			return no(proof, "step %u: node %s has no such weight", s, node->name);
	return 0;
}

static int check_numbers(const struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;
	int err = 0;

	if (plan->n_inputs != proof->graph->n_inputs || plan->n_outputs != proof->graph->n_outputs)
		return no(proof, "not the graph's inputs and outputs");
	for (uint32_t i = 0; i < plan->n_inputs; i++)
		if (plan->inputs[i] >= plan->n_buffers)
			return no(proof, "input %u has no buffer", i);
	for (uint32_t i = 0; i < plan->n_outputs; i++)
		if (plan->outputs[i] >= plan->n_buffers)
			return no(proof, "output %u has no buffer", i);
	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		err = check_step_numbers(proof, s);
	return err;
}

/* ---- each buffer by itself --------------------------------------------------------- */

static int check_buffer(const struct proof *proof, uint32_t b)
{
	const struct finf_plan *plan = proof->plan;
	const struct finf_plan_buffer *buffer = &plan->buffers[b];
	const struct finf_value *value;
	uint64_t end;
	size_t plain;

	if (buffer->value >= proof->graph->n_values)
		return no(proof, "buffer %u: no value %u", b, buffer->value);
	value = &proof->graph->values[buffer->value];
	if (buffer->offset % FINF_BUFFER_ALIGN ||
	    __builtin_add_overflow(buffer->offset, buffer->bytes, &end) || end > plan->arena_bytes)
		return no(proof, "buffer %u (%s) is misaligned or leaves the arena", b, value->name);
	if (finf_tensor_bytes(value->dtype, &value->shape, &plain) ||
	    (buffer->layout == FINF_LAYOUT_PLAIN && buffer->bytes != plain))
		return no(proof, "buffer %u (%s) has not the bytes of its shape", b, value->name);
	if (buffer->first_step > buffer->last_step || buffer->last_step > plan->n_steps)
		return no(proof, "buffer %u (%s) has no lifetime", b, value->name);
	if (buffer->alias_of != FINF_NONE && buffer->alias_of >= b)
		return no(proof, "buffer %u (%s) is an alias of a later one", b, value->name);
	return 0;
}

static int set_writer(const struct proof *proof, uint32_t b, uint32_t writer)
{
	if (proof->writer[b] != WRITER_NONE)
		return no(proof, "buffer %u is written twice", b);
	proof->writer[b] = writer;
	return 0;
}

static int find_writers(const struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;
	int err = 0;

	for (uint32_t b = 0; b < plan->n_buffers; b++)
		proof->writer[b] = WRITER_NONE;
	for (uint32_t i = 0; !err && i < plan->n_inputs; i++)
		err = set_writer(proof, plan->inputs[i], WRITER_CALLER);
	for (uint32_t s = 0; s < plan->n_steps; s++)
		for (uint32_t k = 0; !err && k < plan->steps[s].n_out; k++)
			if (plan->steps[s].out[k].kind == FINF_OPERAND_BUFFER)
				err = set_writer(proof, plan->steps[s].out[k].index, s);
	return err;
}

static uint32_t part(const struct proof *proof, uint32_t b, uint32_t i)
{
	return proof->parts.of[proof->parts.start[b] + i];
}

static bool shares_part(const struct proof *proof, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < proof->parts.n[a]; i++)
		for (uint32_t k = 0; k < proof->parts.n[b]; k++)
			if (part(proof, a, i) == part(proof, b, k))
				return true;
	return false;
}

/* A new name of the same bytes: the first output of a node that has no step. */
static int check_renamed(const struct proof *proof, uint32_t b)
{
	const struct finf_plan_buffer *buffer = &proof->plan->buffers[b];
	const struct finf_plan_buffer *source = &proof->plan->buffers[buffer->alias_of];
	uint32_t producer = proof->graph->values[buffer->value].producer;
	const struct finf_node *node;

	if (producer >= proof->graph->n_nodes)
		return no(proof, "buffer %u is an alias of a value that no node makes", b);
	node = &proof->graph->nodes[producer];
	if (!node->n_in || !node->n_out || node->in[0] != source->value ||
	    node->out[0] != buffer->value || node->act != FINF_ACT_NONE)
		return no(proof, "buffer %u: node %s does not pass its input on", b, node->name);
	if (buffer->layout != FINF_LAYOUT_PLAIN || source->layout != FINF_LAYOUT_PLAIN)
		return no(proof, "buffer %u: only plain bytes can get a new name", b);
	if (buffer->first_step < source->first_step || buffer->last_step > source->last_step)
		return no(proof, "buffer %u outlives the buffer it is an alias of", b);
	return 0;
}

/* Written over its source: an input and output 0 of the step at which the source dies. */
static int check_in_place(const struct proof *proof, uint32_t b)
{
	const struct finf_plan_buffer *buffer = &proof->plan->buffers[b];
	const struct finf_plan_buffer *source = &proof->plan->buffers[buffer->alias_of];
	uint32_t s = proof->writer[b];
	const struct finf_step *step = &proof->plan->steps[s];
	uint32_t over = finf_form_over(&step->form, step->n_in);

	if (over == FINF_NONE || step->in[over].kind != FINF_OPERAND_BUFFER ||
	    step->in[over].index != buffer->alias_of ||
	    step->out[0].kind != FINF_OPERAND_BUFFER || step->out[0].index != b)
		return no(proof, "step %u may not write in place", s);
	if (buffer->layout != source->layout)
		return no(proof, "step %u changes the layout in place", s);
	if (source->last_step != s || buffer->first_step != s)
		return no(proof, "step %u writes over a buffer that does not die there", s);
	for (uint32_t i = 0; i < proof->parts.n[b]; i++)
		if (proof->writer[part(proof, b, i)] == WRITER_CALLER)
			return no(proof, "step %u writes over an input", s);
	for (uint32_t k = 0; k < step->n_in; k++)
		if (k != over && step->in[k].kind == FINF_OPERAND_BUFFER &&
		    shares_part(proof, step->in[k].index, b))
			return no(proof, "step %u writes over another of its inputs", s);
	return 0;
}

/* Its inputs lie one behind the other, and it is what they are together. */
static int check_join(const struct proof *proof, uint32_t s)
{
	const struct finf_plan *plan = proof->plan;
	const struct finf_step *step = &plan->steps[s];
	const struct finf_plan_buffer *out;
	uint64_t at = 0;

	if (step->node == FINF_NONE || step->n_out != 1 ||
	    step->out[0].kind != FINF_OPERAND_BUFFER ||
	    step->form.in_layout != step->form.out_layout || step->form.n_weights || proof->graph->nodes[step->node].act != FINF_ACT_NONE)
		return no(proof, "step %u does more than to join", s);
	out = &plan->buffers[step->out[0].index];
	if (out->alias_of != FINF_NONE)
		return no(proof, "step %u joins over a buffer", s);
	for (uint32_t k = 0; k < step->n_in; k++) {
		const struct finf_plan_buffer *in = &plan->buffers[step->in[k].index];

		if (at > out->bytes || in->bytes > out->bytes - at ||
		    in->offset != out->offset + at)
			return no(proof, "step %u: input %u is not where the output has it", s, k);
		at += in->bytes;
	}
	return at == out->bytes ? 0 : no(proof, "step %u: inputs do not fill the output", s);
}

static int check_alias(const struct proof *proof, uint32_t b)
{
	const struct finf_plan_buffer *buffer = &proof->plan->buffers[b];
	const struct finf_plan_buffer *source;

	if (buffer->alias_of == FINF_NONE)
		return proof->writer[b] == WRITER_NONE ? no(proof, "buffer %u is never written", b)
						       : 0;
	source = &proof->plan->buffers[buffer->alias_of];
	if (buffer->offset != source->offset || buffer->bytes != source->bytes)
		return no(proof, "buffer %u has not the bytes it is an alias of", b);
	if (proof->writer[b] == WRITER_CALLER)
		return no(proof, "buffer %u is an input and an alias", b);
	return 0;
}

static int check_buffers(struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;
	int err = 0;

	if (plan->arena_bytes % FINF_BUFFER_ALIGN)
		return no(proof, "the arena's size is not aligned");
	for (uint32_t b = 0; !err && b < plan->n_buffers; b++)
		err = check_buffer(proof, b);
	if (!err)
		err = find_writers(proof);
	if (!err)
		err = finf_plan_parts(plan, &proof->scratch, &proof->parts, proof->diag);
	for (uint32_t b = 0; !err && b < plan->n_buffers; b++)
		err = check_alias(proof, b);
	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		if (plan->steps[s].form.flags & FINF_FORM_JOIN)
			err = check_join(proof, s);
	for (uint32_t b = 0; !err && b < plan->n_buffers; b++)
		if (plan->buffers[b].alias_of != FINF_NONE)
			err = proof->writer[b] == WRITER_NONE ? check_renamed(proof, b)
							      : check_in_place(proof, b);
	return err;
}

/* ---- replay ---------------------------------------------------------------------------- */

static bool lives_at(const struct finf_plan_buffer *buffer, uint32_t step)
{
	return buffer->first_step <= step && step <= buffer->last_step;
}

static int read_buffer(const struct proof *proof, uint32_t s, uint32_t b, uint32_t value)
{
	const struct finf_plan_buffer *buffer = &proof->plan->buffers[b];
	uint32_t written = b;

	if (buffer->value != value)
		return no(proof, "step %u reads %s for %s", s,
			  proof->graph->values[buffer->value].name,
			  proof->graph->values[value].name);
	if (!lives_at(buffer, s))
		return no(proof, "step %u reads buffer %u, which does not live then", s, b);
	while (proof->writer[written] == WRITER_NONE)
		written = proof->plan->buffers[written].alias_of;
	if (!proof->holds[written])
		return no(proof, "step %u reads buffer %u before it is written", s, b);
	for (uint32_t i = 0; i < proof->parts.n[b]; i++)
		if (proof->version[part(proof, b, i)] > proof->holds[written])
			return no(proof, "step %u reads buffer %u after it was written over", s, b);
	return 0;
}

static int write_buffer(const struct proof *proof, uint32_t s, uint32_t b, uint32_t value)
{
	const struct finf_plan_buffer *buffer = &proof->plan->buffers[b];

	if (buffer->value != value)
		return no(proof, "step %u writes %s for %s", s,
			  proof->graph->values[buffer->value].name,
			  proof->graph->values[value].name);
	if (!lives_at(buffer, s))
		return no(proof, "step %u writes buffer %u, which does not live then", s, b);
	if (proof->parts.joined_by[b] != FINF_NONE) {
		proof->holds[b] = *proof->writes;
		return 0;
	}
	proof->holds[b] = ++*proof->writes;
	for (uint32_t i = 0; i < proof->parts.n[b]; i++)
		proof->version[part(proof, b, i)] = *proof->writes;
	return 0;
}

static int read_weight(const struct proof *proof, uint32_t s, uint32_t w, uint32_t v,
		       const struct finf_weight_form *form)
{
	const struct finf_plan *plan = proof->plan;
	const struct finf_plan_weight *weight = &plan->weights[w];
	const struct finf_value *value = &proof->graph->values[v];
	uint64_t end = weight->offset + weight->form.bytes, there = 0;
	uint32_t need = plan->steps[s].need_segments;

	if (!value->is_const || strcmp(value->name, weight->name) || value->dtype != weight->dtype ||
	    !finf_shape_equal(&value->shape, &weight->shape))
		return no(proof, "step %u reads weight %s for %s", s, weight->name, value->name);
	if (form ? !finf_plan_same_layout(form, &weight->form) : weight->form.desc_bytes != 0)
		return no(proof, "step %u reads weight %s in another layout", s, weight->name);
	if (need)
		there = plan->segments[need - 1].offset + plan->segments[need - 1].bytes;
	if (end > there && weight->form.bytes)
		return no(proof, "step %u does not wait for the end of weight %s", s, weight->name);
	return 0;
}

static int replay_reorder(const struct proof *proof, uint32_t s)
{
	const struct finf_plan *plan = proof->plan;
	const struct finf_step *step = &plan->steps[s];
	const struct finf_plan_buffer *to;
	int err;

	if (step->in[0].kind == FINF_OPERAND_NONE || step->out[0].kind != FINF_OPERAND_BUFFER)
		return no(proof, "step %u: a reorder without operands", s);
	to = &plan->buffers[step->out[0].index];
	if (step->in[0].kind == FINF_OPERAND_WEIGHT) {
		if (step->form.in_layout != FINF_LAYOUT_PLAIN)
			return no(proof, "step %u: a constant is plain", s);
		err = read_weight(proof, s, step->in[0].index, to->value, NULL);
	} else {
		if (step->form.in_layout != plan->buffers[step->in[0].index].layout)
			return no(proof, "step %u reads another layout than is there", s);
		err = read_buffer(proof, s, step->in[0].index, to->value);
	}
	if (!err && step->form.out_layout != to->layout)
		return no(proof, "step %u writes another layout than is meant", s);
	return err ? err : write_buffer(proof, s, step->out[0].index, to->value);
}

static const struct finf_weight_form *step_weight(const struct finf_step *step, uint32_t k)
{
	for (uint32_t i = 0; i < step->form.n_weights; i++)
		if (step->form.weights[i].input == k)
			return &step->form.weights[i];
	return NULL;
}

static int replay_input(const struct proof *proof, uint32_t s, uint32_t k)
{
	const struct finf_step *step = &proof->plan->steps[s];
	const struct finf_node *node = &proof->graph->nodes[step->node];
	const struct finf_weight_form *form = step_weight(step, k);
	struct finf_operand operand = step->in[k];
	uint32_t v = node->in[k];
	uint32_t want = FINF_OPERAND_BUFFER;

	if (v == FINF_NONE || (proof->graph->values[v].is_const && !form))
		want = FINF_OPERAND_NONE;
	else if (form)
		want = FINF_OPERAND_WEIGHT;
	if (operand.kind != want)
		return no(proof, "step %u: input %u of node %s is not of its kind", s, k, node->name);
	if (want == FINF_OPERAND_WEIGHT)
		return read_weight(proof, s, operand.index, v, form);
	if (want == FINF_OPERAND_NONE)
		return 0;
	if (proof->plan->buffers[operand.index].layout != step->form.in_layout)
		return no(proof, "step %u reads another layout than is there", s);
	return read_buffer(proof, s, operand.index, v);
}

static int replay_output(const struct proof *proof, uint32_t s, uint32_t k)
{
	const struct finf_step *step = &proof->plan->steps[s];
	const struct finf_node *node = &proof->graph->nodes[step->node];
	struct finf_operand operand = step->out[k];

	if (operand.kind != (node->out[k] == FINF_NONE ? FINF_OPERAND_NONE : FINF_OPERAND_BUFFER))
		return no(proof, "step %u: output %u of node %s is not of its kind", s, k, node->name);
	if (operand.kind == FINF_OPERAND_NONE)
		return 0;
	if (proof->plan->buffers[operand.index].layout != step->form.out_layout)
		return no(proof, "step %u writes another layout than is meant", s);
	return write_buffer(proof, s, operand.index, node->out[k]);
}

static int replay_step(const struct proof *proof, uint32_t s)
{
	const struct finf_step *step = &proof->plan->steps[s];
	int err = 0;

	if (step->need_segments > proof->plan->n_segments)
		return no(proof, "step %u waits for segments that do not exist", s);
	if (step->node == FINF_NONE)
		return replay_reorder(proof, s);
	for (uint32_t k = 0; !err && k < step->n_in; k++)
		err = replay_input(proof, s, k);
	for (uint32_t k = 0; !err && k < step->n_out; k++)
		err = replay_output(proof, s, k);
	return err;
}

/* What the caller writes before step @s. Without steps there is nothing to come late for. */
static int replay_caller(const struct proof *proof, uint32_t s)
{
	const struct finf_plan *plan = proof->plan;
	int err = 0;

	for (uint32_t i = 0; !err && i < plan->n_inputs; i++)
		if (plan->buffers[plan->inputs[i]].first_step == s)
			err = write_buffer(proof, s, plan->inputs[i], proof->graph->inputs[i]);
	return err;
}

/* What the caller takes behind step @s. */
static int replay_taken(const struct proof *proof, uint32_t s)
{
	const struct finf_plan *plan = proof->plan;
	int err = 0;

	for (uint32_t i = 0; !err && i < plan->n_outputs; i++)
		if (plan->buffers[plan->outputs[i]].last_step == s)
			err = read_buffer(proof, s, plan->outputs[i], proof->graph->outputs[i]);
	return err;
}

static int check_outputs(const struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;

	for (uint32_t i = 0; i < plan->n_outputs; i++) {
		const struct finf_plan_buffer *buffer = &plan->buffers[plan->outputs[i]];

		if (buffer->layout != FINF_LAYOUT_PLAIN)
			return no(proof, "output %u is not plain", i);
		if (buffer->last_step < plan->n_steps && plan->n_branches > 1)
			return no(proof, "output %u goes too early", i);
	}
	return 0;
}

static int check_inputs(const struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;

	for (uint32_t i = 0; i < plan->n_inputs; i++) {
		const struct finf_plan_buffer *buffer = &plan->buffers[plan->inputs[i]];

		if (buffer->layout != FINF_LAYOUT_PLAIN)
			return no(proof, "input %u is not plain", i);
		if (buffer->first_step &&
		    (plan->n_branches > 1 || buffer->first_step >= plan->n_steps))
			return no(proof, "input %u comes too late", i);
	}
	return 0;
}

static int replay(const struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;
	int err = check_inputs(proof);

	if (!err)
		err = check_outputs(proof);
	if (!err)
		err = replay_caller(proof, 0);
	for (uint32_t s = 0; !err && s < plan->n_steps; s++) {
		if (s)
			err = replay_caller(proof, s);
		if (!err)
			err = replay_step(proof, s);
		if (!err)
			err = replay_taken(proof, s);
	}
	return err ? err : replay_taken(proof, plan->n_steps);
}

/* ---- no two live buffers overlap ---------------------------------------------------------- */

static bool bytes_meet(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a_bytes && b_bytes && a < b + b_bytes && b < a + a_bytes;
}

/* Bytes and the steps at which they are used, both included: of a part under any name, or of
 * a step's workspace. */
struct span {
	uint32_t first, last;
	uint32_t buffer; /* FINF_NONE = the workspace of step @first */
	uint64_t offset, bytes;
};

static int by_first(const void *x, const void *y)
{
	const struct span *a = x, *b = y;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->buffer < b->buffer ? -1 : a->buffer > b->buffer;
}

/* One per buffer: what is no part itself starts never. */
static void find_parts(const struct proof *proof, struct span *spans)
{
	const struct finf_plan_buffer *buffers = proof->plan->buffers;

	for (uint32_t b = 0; b < proof->plan->n_buffers; b++)
		spans[b] = (struct span){FINF_NONE, 0, b, buffers[b].offset, buffers[b].bytes};
	for (uint32_t b = 0; b < proof->plan->n_buffers; b++)
		for (uint32_t i = 0; i < proof->parts.n[b]; i++) {
			struct span *span = &spans[part(proof, b, i)];

			span->first = FINF_MIN(span->first, buffers[b].first_step);
			span->last = FINF_MAX(span->last, buffers[b].last_step);
		}
}

static int find_workspaces(const struct proof *proof, struct span *spans, uint32_t *n)
{
	const struct finf_plan *plan = proof->plan;

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		uint64_t at = plan->steps[s].workspace_offset, end;
		uint64_t bytes = plan->steps[s].form.workspace_bytes;

		if (!bytes)
			continue;
		if (at % FINF_BUFFER_ALIGN || __builtin_add_overflow(at, bytes, &end) ||
		    end > plan->arena_bytes)
			return no(proof, "the workspace of step %u is misaligned or leaves the arena",
				  s);
		spans[(*n)++] = (struct span){s, s, FINF_NONE, at, bytes};
	}
	return 0;
}

static int check_pair(const struct proof *proof, const struct span *a, const struct span *b)
{
	if (!bytes_meet(a->offset, a->bytes, b->offset, b->bytes))
		return 0;
	if (b->buffer == FINF_NONE)
		return no(proof, "buffer %u lies in the workspace of step %u", a->buffer, b->first);
	if (a->buffer == FINF_NONE)
		return no(proof, "buffer %u lies in the workspace of step %u", b->buffer, a->first);
	return no(proof, "buffers %u and %u overlap while both live", a->buffer, b->buffer);
}

/* Sorted by first step, only those that start before one ends can meet it. */
static int check_overlap(struct proof *proof)
{
	const struct finf_plan *plan = proof->plan;
	uint32_t n = plan->n_buffers;
	struct span *spans = finf_arena_array(&proof->scratch, (size_t)n + plan->n_steps,
					      sizeof(*spans));
	int err;

	if (!spans)
		return -ENOMEM;
	find_parts(proof, spans);
	err = find_workspaces(proof, spans, &n);
	if (err)
		return err;
	qsort(spans, n, sizeof(*spans), by_first);
	for (uint32_t i = 0; !err && i < n; i++)
		for (uint32_t j = i + 1; !err && j < n && spans[j].first <= spans[i].last; j++)
			err = check_pair(proof, &spans[i], &spans[j]);
	return err;
}

int finf_plan_check(const struct finf_graph *graph, const struct finf_plan *plan,
		    struct finf_diag *diag)
{
	uint32_t writes = 0;
	struct proof proof = {.graph = graph, .plan = plan, .diag = diag, .writes = &writes};
	int err = -ENOMEM;

	if (!plan->n_branches || plan->n_branches > FINF_BRANCHES_MAX)
		return finf_diag_set(diag, -EINVAL, "%u branches", plan->n_branches);
	finf_arena_init(&proof.scratch);
	proof.writer = finf_arena_array(&proof.scratch, plan->n_buffers, sizeof(*proof.writer));
	proof.version = finf_arena_array(&proof.scratch, plan->n_buffers, sizeof(*proof.version));
	proof.holds = finf_arena_array(&proof.scratch, plan->n_buffers, sizeof(*proof.holds));
	if (!proof.writer || !proof.version || !proof.holds)
		goto out;
	err = finf_plan_check_extent(plan, diag);
	if (!err)
		err = check_numbers(&proof);
	if (!err)
		err = check_buffers(&proof);
	if (!err)
		err = replay(&proof);
	if (!err)
		err = check_overlap(&proof);
	if (!err)
		err = finf_plan_check_order(plan, &proof.parts, diag);
out:
	finf_arena_fini(&proof.scratch);
	return err;
}
