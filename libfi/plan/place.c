/* SPDX-License-Identifier: MIT */
/*
 * plan: which buffers share bytes, from when to when each is live, and where
 * it lies in the arena. Buffers that share bytes (join.c) form one block; blocks are
 * placed largest first, with and without those that stay to the end in front, or as they come to
 * life, into the tightest gap among those that may be live at the same time. Source: greedy by
 * size, Pisarchyk & Lee, arXiv 2001.03288. Where that leaves gaps, what came to lie on top is
 * placed first, some times over.
 *
 * Of two blocks one is over before the other begins when each step that uses
 * the one is behind the step that writes the other first, whatever order the
 * branches run in. With one branch that is the order of the list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

#define BY_CALLER FINF_NONE
#define ROUNDS	  32 /* of trying to do better than by any of the plain orders */

struct block {
	uint64_t bytes, offset;
	uint32_t writer; /* the step before which nothing is there, or BY_CALLER */
	const uint32_t *over;
	uint32_t buffer; /* root of its group; FINF_NONE = a workspace */
	uint32_t step;	 /* whose workspace */
	bool stays;	 /* to the end: what outputs lie in */
};

/* Everything in @over is behind step @s. */
static bool is_behind(const struct finf_planner *p, const uint32_t *over, uint32_t s)
{
	uint32_t n = p->plan->n_branches;

	for (uint32_t b = 0; b < n; b++)
		if (over[b] > p->behind[(size_t)s * n + b])
			return false;
	return true;
}

static struct finf_planner_group *group_of(const struct finf_planner *p, uint32_t buffer)
{
	int64_t at;

	return &p->groups[finf_planner_root(p, buffer, &at)];
}

/* Only in one branch is it known what is over behind a step. */
static bool copies_between(const struct finf_planner *p)
{
	return p->copy_between && p->plan->n_branches == 1;
}

/* In one branch it is known which step is the first to read an input, under any name; but for one
 * that is read as a part of others. */
static void find_late_inputs(const struct finf_planner *p)
{
	const struct finf_plan *plan = p->plan;
	struct finf_plan_buffer *buffers = plan->buffers;

	if (!copies_between(p))
		return;
	for (uint32_t s = plan->n_steps; s-- > 0;)
		for (uint32_t k = 0; k < plan->steps[s].n_in; k++) {
			uint32_t b = plan->steps[s].in[k].index;

			if (plan->steps[s].in[k].kind != FINF_OPERAND_BUFFER)
				continue;
			while (buffers[b].alias_of != FINF_NONE)
				b = buffers[b].alias_of;
			if (group_of(p, b)->has_input && group_of(p, b)->n_parts == 1)
				buffers[b].first_step = s;
		}
}

/* Lifetimes as if nothing were written in place. Aliases come after their source. */
static void find_lifetimes(const struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	struct finf_plan_buffer *buffers = plan->buffers;

	find_late_inputs(p);
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
	for (uint32_t i = 0; i < plan->n_outputs && !copies_between(p); i++)
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

static void use(struct finf_planner *p, uint32_t *count, uint32_t s)
{
	const struct finf_step *step = &p->plan->steps[s];
	uint32_t nth = ++count[step->branch];

	for (uint32_t k = 0; k < step->n_in; k++)
		if (step->in[k].kind == FINF_OPERAND_BUFFER)
			group_of(p, step->in[k].index)->over[step->branch] = nth;
	for (uint32_t k = 0; k < step->n_out; k++)
		if (step->out[k].kind == FINF_OPERAND_BUFFER)
			group_of(p, step->out[k].index)->over[step->branch] = nth;
}

/* Until the caller has it. In one branch the number of a step is its place in the list. */
static void use_output(struct finf_planner *p, uint32_t b)
{
	const struct finf_plan *plan = p->plan;
	struct finf_planner_group *group = group_of(p, b);
	uint32_t last = plan->buffers[b].last_step;

	group->has_output = true;
	group->over[0] = last == plan->n_steps ? FINF_NONE : FINF_MAX(group->over[0], last + 1);
}

static int find_uses(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	uint32_t *over = finf_arena_array(&p->scratch, (size_t)plan->n_buffers * plan->n_branches,
					  sizeof(*over));
	uint32_t count[FINF_BRANCHES_MAX] = {0};

	if (!over)
		return -ENOMEM;
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		p->groups[b].over = over + (size_t)b * plan->n_branches;
	for (uint32_t i = 0; i < plan->n_inputs; i++)
		if (plan->n_steps && !plan->buffers[plan->inputs[i]].first_step)
			/* there when the first step starts, read or not */
			group_of(p, plan->inputs[i])->over[plan->steps[0].branch] = 1;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		use(p, count, s);
	for (uint32_t i = 0; i < plan->n_outputs; i++)
		use_output(p, plan->outputs[i]);
	return 0;
}

/* Is buffer @b, at @at in its group, all of the group's bytes? */
static bool is_whole(const struct finf_planner *p, uint32_t root, uint32_t b, int64_t at)
{
	int64_t from, to;

	if (p->groups[root].n_parts == 1)
		return true;
	finf_planner_extent(p, root, &from, &to);
	return from == at && to == at + (int64_t)p->plan->buffers[b].bytes;
}

/*
 * Bytes of input @over may be written over when this step is the last to use any of them. When the
 * output is a part of others the bytes are there earlier than it: their first writer must
 * then be of the branch that writes the others, so that it is the first of all.
 */
static bool in_place_possible(const struct finf_planner *p, uint32_t s, uint32_t over, uint32_t nth)
{
	const struct finf_plan *plan = p->plan;
	const struct finf_step *step = &plan->steps[s];
	const uint32_t *behind = &p->behind[(size_t)s * plan->n_branches];
	const struct finf_planner_group *group, *into;
	uint32_t root;
	int64_t at;

	if (over == FINF_NONE || !step->n_out || step->in[over].kind != FINF_OPERAND_BUFFER ||
	    step->out[0].kind != FINF_OPERAND_BUFFER)
		return false;
	root = finf_planner_root(p, step->in[over].index, &at);
	group = &p->groups[root];
	into = group_of(p, step->out[0].index);
	if (group->has_input || group->has_output || step->form.in_layout != step->form.out_layout ||
	    group == into ||
	    plan->buffers[step->in[over].index].bytes != plan->buffers[step->out[0].index].bytes ||
	    !is_whole(p, root, step->in[over].index, at) ||
	    (into->n_parts > 1 && into->branch != group->branch))
		return false;
	for (uint32_t b = 0; b < plan->n_branches; b++)
		if (group->over[b] > (b == step->branch ? nth : behind[b]))
			return false;
	for (uint32_t k = 0; k < step->n_in; k++)
		if (k != over && step->in[k].kind == FINF_OPERAND_BUFFER &&
		    group_of(p, step->in[k].index) == group)
			return false;
	return true;
}

static void write_in_place(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	uint32_t count[FINF_BRANCHES_MAX] = {0};

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];
		uint32_t nth = ++count[step->branch], in_root, out_root;
		uint32_t over = finf_form_over(&step->form, step->n_in);
		int64_t in_at, out_at;

		if (step->node == FINF_NONE || !in_place_possible(p, s, over, nth))
			continue;
		plan->buffers[step->out[0].index].alias_of = step->in[over].index;
		in_root = finf_planner_root(p, step->in[over].index, &in_at);
		out_root = finf_planner_root(p, step->out[0].index, &out_at);
		finf_planner_unite(p, in_root, out_root, in_at - out_at);
		p->groups[in_root].n_parts--; /* the new bytes are where the old ones were */
		for (uint32_t b = 0; b < plan->n_branches; b++)
			p->groups[in_root].over[b] = FINF_MAX(p->groups[in_root].over[b],
							      p->groups[out_root].over[b]);
	}
}

static int by_size(const void *x, const void *y)
{
	const struct block *a = x, *b = y;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	if (a->writer != b->writer) /* the caller's come first */
		return a->writer + 1 < b->writer + 1 ? -1 : 1;
	return a->buffer < b->buffer ? -1 : a->buffer > b->buffer;
}

/* What stays at the bottom first, where it is in nobody's way. */
static int by_stay(const void *x, const void *y)
{
	const struct block *a = x, *b = y;

	return a->stays != b->stays ? b->stays - a->stays : by_size(x, y);
}

/* In the order in which they come to life. */
static int by_time(const void *x, const void *y)
{
	const struct block *a = x, *b = y;

	if (a->writer != b->writer)
		return a->writer + 1 < b->writer + 1 ? -1 : 1;
	return by_size(x, y);
}

/* A step's workspace lives as long as the step. */
static int collect_workspaces(struct finf_planner *p, struct block *blocks, uint32_t *n)
{
	const struct finf_plan *plan = p->plan;
	uint32_t count[FINF_BRANCHES_MAX] = {0};
	uint32_t *over = finf_arena_array(&p->scratch, (size_t)plan->n_steps * plan->n_branches,
					  sizeof(*over));

	if (!over)
		return -ENOMEM;
	for (uint32_t s = 0; s < plan->n_steps; s++, over += plan->n_branches) {
		const struct finf_step *step = &plan->steps[s];

		over[step->branch] = ++count[step->branch];
		if (step->form.workspace_bytes)
			blocks[(*n)++] = (struct block){.bytes = step->form.workspace_bytes,
							.writer = s,
							.over = over,
							.buffer = FINF_NONE,
							.step = s};
	}
	return 0;
}

static void collect_groups(const struct finf_planner *p, struct block *blocks, uint32_t *n)
{
	const struct finf_plan *plan = p->plan;

	for (uint32_t root = 0; root < plan->n_buffers; root++) {
		const struct finf_planner_group *group = &p->groups[root];
		struct block *block = &blocks[*n];
		int64_t from, to;

		if (group->parent != root)
			continue;
		finf_planner_extent(p, root, &from, &to);
		*block = (struct block){.bytes = (uint64_t)(to - from),
					.writer = BY_CALLER,
					.over = group->over,
					.buffer = root,
					.stays = group->over[0] == FINF_NONE};
		for (uint32_t b = group->next;; b = p->groups[b].next) {
			block->writer = FINF_MIN(block->writer, plan->buffers[b].first_step);
			if (b == root)
				break;
		}
		if (group->has_input && !block->writer)
			block->writer = BY_CALLER;
		(*n)++;
	}
}

static int collect_blocks(struct finf_planner *p, struct block *blocks, uint32_t *ret_n)
{
	uint64_t total = 0;
	uint32_t n = 0;
	int err;

	collect_groups(p, blocks, &n);
	err = collect_workspaces(p, blocks, &n);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		if (blocks[i].bytes > UINT64_MAX - FINF_BUFFER_ALIGN)
			return -EOVERFLOW;
		blocks[i].bytes = finf_align_up(blocks[i].bytes, FINF_BUFFER_ALIGN);
		if (__builtin_add_overflow(total, blocks[i].bytes, &total))
			return -EOVERFLOW; /* and so no offset below can wrap */
	}
	*ret_n = n;
	return 0;
}

/* Is @a over before anything of @b is there? */
static bool over_before(const struct finf_planner *p, const struct block *a, const struct block *b)
{
	return b->writer != BY_CALLER && is_behind(p, a->over, b->writer);
}

/* The tightest gap between placed blocks that may live meanwhile; @placed is by offset. */
static void find_offset(const struct finf_planner *p, struct block *block,
			struct block *const *placed, uint32_t n)
{
	uint64_t at = 0, best_gap = UINT64_MAX;
	bool found = false;

	for (uint32_t i = 0; i < n; i++) {
		const struct block *other = placed[i];

		if (over_before(p, block, other) || over_before(p, other, block))
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

/* In the order in which they stand. Returns the bytes of the arena. */
static uint64_t place_blocks(const struct finf_planner *p, struct block *blocks,
			     struct block **placed, uint32_t n)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = i;

		find_offset(p, &blocks[i], placed, i);
		for (; at && placed[at - 1]->offset > blocks[i].offset; at--)
			placed[at] = placed[at - 1];
		placed[at] = &blocks[i];
		bytes = FINF_MAX(bytes, blocks[i].offset + blocks[i].bytes);
	}
	return bytes;
}

/* The block on top was placed too late to find a gap: now it is the first. */
static void top_to_front(struct block *blocks, uint32_t n)
{
	struct block top;
	uint32_t at = 0;

	for (uint32_t i = 1; i < n; i++)
		if (blocks[i].offset + blocks[i].bytes > blocks[at].offset + blocks[at].bytes)
			at = i;
	top = blocks[at];
	memmove(&blocks[1], &blocks[0], at * sizeof(*blocks));
	blocks[0] = top;
}

struct placing {
	struct block *blocks; /* the best so far */
	uint64_t bytes;
};

static void place_and_keep(const struct finf_planner *p, struct block *blocks,
			   struct block **placed, uint32_t n, struct placing *best)
{
	uint64_t bytes = place_blocks(p, blocks, placed, n);

	if (bytes >= best->bytes)
		return;
	best->bytes = bytes;
	memcpy(best->blocks, blocks, n * sizeof(*blocks));
}

/* In the order that takes the fewest bytes; and in orders made of that, while any could do better. */
static int place_best(const struct finf_planner *p, struct block *blocks, struct block **placed,
		      uint32_t n, struct placing *best)
{
	static int (*const orders[])(const void *x, const void *y) = {by_size, by_stay, by_time};
	uint64_t live;
	int err = finf_plan_live_bytes(p->plan, &live);

	if (err)
		return err;
	best->bytes = UINT64_MAX;
	for (uint32_t i = 0; i < FINF_ARRAY_LEN(orders); i++) {
		qsort(blocks, n, sizeof(*blocks), orders[i]);
		place_and_keep(p, blocks, placed, n, best);
	}
	memcpy(blocks, best->blocks, n * sizeof(*blocks));
	for (uint32_t i = 0; i < ROUNDS && best->bytes > live; i++) {
		top_to_front(blocks, n);
		place_and_keep(p, blocks, placed, n, best);
	}
	return 0;
}

/* Each buffer lies in its block where it lies in its group. */
static void set_offsets(struct finf_planner *p, const struct block *block)
{
	uint32_t b = block->buffer;
	int64_t from, to, at;

	finf_planner_extent(p, block->buffer, &from, &to);
	do {
		finf_planner_root(p, b, &at);
		p->plan->buffers[b].offset = block->offset + (uint64_t)(at - from);
		b = p->groups[b].next;
	} while (b != block->buffer);
}

int finf_planner_place(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	size_t most = (size_t)plan->n_buffers + plan->n_steps;
	struct block *blocks = finf_arena_array(&p->scratch, most, sizeof(*blocks));
	struct block **placed = finf_arena_array(&p->scratch, most, sizeof(*placed));
	struct placing best = {finf_arena_array(&p->scratch, most, sizeof(*blocks)), 0};
	uint32_t n;
	int err;

	if (!blocks || !placed || !best.blocks)
		return -ENOMEM;
	find_lifetimes(p);
	err = find_uses(p);
	if (err)
		return err;
	write_in_place(p);
	err = collect_blocks(p, blocks, &n);
	if (!err)
		err = place_best(p, blocks, placed, n, &best);
	if (err)
		return err;
	plan->arena_bytes = best.bytes;
	for (uint32_t i = 0; i < n; i++) {
		if (best.blocks[i].buffer == FINF_NONE)
			plan->steps[best.blocks[i].step].workspace_offset = best.blocks[i].offset;
		else
			set_offsets(p, &best.blocks[i]);
	}
	return 0;
}
