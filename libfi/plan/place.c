/* SPDX-License-Identifier: MIT */
/*
 * plan: which buffers share bytes, from when to when each is live, and where
 * it lies in the arena. Buffers that share bytes form one block; blocks are
 * placed largest first into the tightest gap among those live at the same
 * time. Source: greedy by size, Pisarchyk & Lee, arXiv 2001.03288.
 */
#include <errno.h>
#include <stdlib.h>

#include "plan/internal.h"

/* Buffers with the same bytes, kept at the first of them. */
struct group {
	uint32_t parent; /* towards the first buffer of the group; itself = the first */
	uint32_t last;	 /* of any member; only valid at the first */
	bool has_input;	 /* bytes are the caller's: not to be written over */
};

struct block {
	uint64_t bytes, offset;
	uint32_t first, last;
	uint32_t buffer; /* first of its group; FINF_NONE = the workspace */
};

static uint32_t first_of(const struct group *groups, uint32_t buffer)
{
	while (groups[buffer].parent != buffer)
		buffer = groups[buffer].parent;
	return buffer;
}

/* Lifetimes as if nothing were written in place. Aliases come after their source. */
static void find_lifetimes(struct finf_plan *plan)
{
	struct finf_plan_buffer *buffers = plan->buffers;

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		for (uint32_t k = 0; k < step->n_in; k++)
			if (step->in[k].kind == FINF_OPERAND_BUFFER)
				buffers[step->in[k].index].last_step = s;
		for (uint32_t k = 0; k < step->n_out; k++)
			if (step->out[k].kind == FINF_OPERAND_BUFFER)
				buffers[step->out[k].index].first_step =
					buffers[step->out[k].index].last_step = s;
	}
	for (uint32_t i = 0; i < plan->n_outputs; i++)
		buffers[plan->outputs[i]].last_step = plan->n_steps;
	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		if (buffers[b].alias_of == FINF_NONE)
			continue;
		buffers[b].first_step = buffers[buffers[b].alias_of].first_step;
		buffers[b].last_step = FINF_MAX(buffers[b].last_step, buffers[b].first_step);
	}
	for (uint32_t b = plan->n_buffers; b-- > 0;) {
		struct finf_plan_buffer *source;

		if (buffers[b].alias_of == FINF_NONE)
			continue;
		source = &buffers[buffers[b].alias_of];
		source->last_step = FINF_MAX(source->last_step, buffers[b].last_step);
	}
}

static void init_groups(const struct finf_plan *plan, struct group *groups)
{
	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		uint32_t source = plan->buffers[b].alias_of;

		groups[b].parent = source == FINF_NONE ? b : source;
		groups[b].last = plan->buffers[b].last_step; /* a source outlives its aliases */
	}
	for (uint32_t i = 0; i < plan->n_inputs; i++)
		groups[plan->inputs[i]].has_input = true;
}

/* Input 0's bytes may be written over when nobody reads any of them afterwards. */
static bool in_place_possible(const struct finf_plan *plan, const struct group *groups, uint32_t s)
{
	const struct finf_step *step = &plan->steps[s];
	uint32_t first;

	if (!(step->form.flags & FINF_FORM_INPLACE) || !step->n_in || !step->n_out ||
	    step->in[0].kind != FINF_OPERAND_BUFFER || step->out[0].kind != FINF_OPERAND_BUFFER)
		return false;
	first = first_of(groups, step->in[0].index);
	if (groups[first].last != s || groups[first].has_input ||
	    step->form.in_layout != step->form.out_layout ||
	    plan->buffers[step->in[0].index].bytes != plan->buffers[step->out[0].index].bytes)
		return false;
	for (uint32_t k = 1; k < step->n_in; k++)
		if (step->in[k].kind == FINF_OPERAND_BUFFER &&
		    first_of(groups, step->in[k].index) == first)
			return false;
	return true;
}

static void write_in_place(struct finf_plan *plan, struct group *groups)
{
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];
		uint32_t first, out;

		if (step->node == FINF_NONE || !in_place_possible(plan, groups, s))
			continue;
		first = first_of(groups, step->in[0].index);
		out = step->out[0].index;
		plan->buffers[out].alias_of = step->in[0].index;
		groups[out].parent = first;
		groups[first].last = groups[out].last;
	}
}

static int by_size(const void *x, const void *y)
{
	const struct block *a = x, *b = y;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->buffer < b->buffer ? -1 : a->buffer > b->buffer;
}

static int collect_blocks(struct finf_plan *plan, const struct group *groups, struct block *blocks,
			  uint32_t *ret_n)
{
	struct block workspace = {.first = FINF_NONE, .buffer = FINF_NONE};
	uint64_t total = 0;
	uint32_t n = 0;

	for (uint32_t b = 0; b < plan->n_buffers; b++)
		if (groups[b].parent == b)
			blocks[n++] = (struct block){.bytes = plan->buffers[b].bytes,
						     .first = plan->buffers[b].first_step,
						     .last = groups[b].last, .buffer = b};
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		if (!plan->steps[s].form.workspace_bytes)
			continue;
		workspace.bytes = FINF_MAX(workspace.bytes, plan->steps[s].form.workspace_bytes);
		workspace.first = FINF_MIN(workspace.first, s);
		workspace.last = s;
	}
	plan->workspace_bytes = workspace.bytes;
	if (workspace.bytes)
		blocks[n++] = workspace;
	for (uint32_t i = 0; i < n; i++) {
		if (blocks[i].bytes > UINT64_MAX - FINF_BUFFER_ALIGN)
			return -EOVERFLOW;
		blocks[i].bytes = finf_align_up(blocks[i].bytes, FINF_BUFFER_ALIGN);
		if (__builtin_add_overflow(total, blocks[i].bytes, &total))
			return -EOVERFLOW; /* and so no offset below can wrap */
	}
	qsort(blocks, n, sizeof(*blocks), by_size);
	*ret_n = n;
	return 0;
}

/* The tightest gap between placed blocks that live meanwhile; @placed is by offset. */
static void find_offset(struct block *block, struct block *const *placed, uint32_t n)
{
	uint64_t at = 0, best_gap = UINT64_MAX;
	bool found = false;

	for (uint32_t i = 0; i < n; i++) {
		const struct block *other = placed[i];

		if (other->first > block->last || block->first > other->last)
			continue;
		if (other->offset > at && other->offset - at >= block->bytes &&
		    other->offset - at < best_gap) {
			best_gap = other->offset - at;
			block->offset = at;
			found = true;
		}
		at = FINF_MAX(at, other->offset + other->bytes);
	}
	if (!found)
		block->offset = at;
}

static void place_blocks(struct block *blocks, struct block **placed, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = i;

		find_offset(&blocks[i], placed, i);
		for (; at && placed[at - 1]->offset > blocks[i].offset; at--)
			placed[at] = placed[at - 1];
		placed[at] = &blocks[i];
	}
}

int finf_planner_place(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	struct group *groups = finf_arena_array(&p->scratch, plan->n_buffers, sizeof(*groups));
	struct block *blocks =
		finf_arena_array(&p->scratch, (size_t)plan->n_buffers + 1, sizeof(*blocks));
	struct block **placed =
		finf_arena_array(&p->scratch, (size_t)plan->n_buffers + 1, sizeof(*placed));
	uint32_t n;
	int err;

	if (!groups || !blocks || !placed)
		return -ENOMEM;
	find_lifetimes(plan);
	init_groups(plan, groups);
	write_in_place(plan, groups);
	err = collect_blocks(plan, groups, blocks, &n);
	if (err)
		return err;
	place_blocks(blocks, placed, n);
	for (uint32_t i = 0; i < n; i++) {
		plan->arena_bytes =
			FINF_MAX(plan->arena_bytes, blocks[i].offset + blocks[i].bytes);
		if (blocks[i].buffer == FINF_NONE)
			plan->workspace_offset = blocks[i].offset;
		else
			plan->buffers[blocks[i].buffer].offset = blocks[i].offset;
	}
	for (uint32_t b = 0; b < plan->n_buffers; b++) /* sources come first */
		if (groups[b].parent != b)
			plan->buffers[b].offset = plan->buffers[plan->buffers[b].alias_of].offset;
	return 0;
}
