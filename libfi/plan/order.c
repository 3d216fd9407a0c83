/* SPDX-License-Identifier: MIT */
/*
 * plan: the proof about branches. It knows nothing of how the planner thinks
 * either: from the branches and dependencies in the plan alone it works out
 * which steps are certainly over when another starts, and then asks that of
 * every pair of accesses to the same bytes of which one writes.
 */
#include <errno.h>
#include <stdlib.h>

#include "plan/internal.h"

#define BEFORE_ALL FINF_NONE

/* Bytes that are used as a whole: a part (parts.c) under all its names, or a step's workspace. */
struct thing {
	uint64_t offset, bytes;
	uint32_t first; /* step that uses it first, or BEFORE_ALL */
	uint32_t *last; /* per branch: its last step that uses it, counted from 1; 0 = none */
	bool at_end;	/* an output that is taken after all steps */
};

struct order {
	const struct finf_plan *plan;
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: everything below */
	uint32_t *nth;		   /* per step: its number in its branch, from 1 */
	uint32_t *over;		   /* per step and branch: how many of its steps are over */
	const struct finf_plan_parts *parts;
	uint32_t *writer;	   /* per buffer: step; BEFORE_ALL = the caller */
	struct thing *things;	   /* by buffer, then by step */
};

#define no(order, ...) finf_diag_set((order)->diag, -EINVAL, __VA_ARGS__)

/* ---- what is over when ------------------------------------------------------------- */

static uint32_t *over_at(const struct order *o, uint32_t s)
{
	return &o->over[(size_t)s * o->plan->n_branches];
}

/* Is step @a certainly over when @b starts? */
static bool is_over(const struct order *o, uint32_t a, uint32_t b)
{
	return over_at(o, b)[o->plan->steps[a].branch] >= o->nth[a];
}

static void wait_for(const struct order *o, uint32_t s, uint32_t d)
{
	uint32_t branch = o->plan->steps[d].branch, *into = over_at(o, s);

	for (uint32_t b = 0; b < o->plan->n_branches; b++)
		into[b] = FINF_MAX(into[b], over_at(o, d)[b]);
	into[branch] = FINF_MAX(into[branch], o->nth[d]);
}

static int find_order(const struct order *o)
{
	const struct finf_plan *plan = o->plan;
	uint32_t latest[FINF_BRANCHES_MAX] = {0}; /* step, plus 1 */
	uint32_t count[FINF_BRANCHES_MAX] = {0};

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		if (step->branch >= plan->n_branches)
			return no(o, "step %u is in branch %u of %u", s, step->branch,
				  plan->n_branches);
		o->nth[s] = ++count[step->branch];
		if (latest[step->branch])
			wait_for(o, s, latest[step->branch] - 1);
		latest[step->branch] = s + 1;
		for (uint32_t i = 0; i < step->n_deps; i++) {
			if (step->deps[i] >= s)
				return no(o, "step %u waits for step %u, which comes later", s,
					  step->deps[i]);
			wait_for(o, s, step->deps[i]);
		}
	}
	return 0;
}

/* ---- reads and writes ---------------------------------------------------------------- */

static void find_writers(const struct order *o)
{
	const struct finf_plan *plan = o->plan;

	for (uint32_t b = 0; b < plan->n_buffers; b++)
		o->writer[b] = BEFORE_ALL;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		for (uint32_t k = 0; k < plan->steps[s].n_out; k++)
			if (plan->steps[s].out[k].kind == FINF_OPERAND_BUFFER)
				o->writer[plan->steps[s].out[k].index] = s;
	for (uint32_t b = 0; b < plan->n_buffers; b++) /* another name: whoever wrote the bytes */
		if (plan->buffers[b].alias_of != FINF_NONE && o->writer[b] == BEFORE_ALL)
			o->writer[b] = o->writer[plan->buffers[b].alias_of];
}

static int check_read(const struct order *o, uint32_t s, uint32_t b)
{
	if (o->writer[b] != BEFORE_ALL && !is_over(o, o->writer[b], s))
		return no(o,
			  "step %u reads buffer %u and does not wait for step %u, which writes it",
			  s, b, o->writer[b]);
	return 0;
}

static struct thing *part(const struct order *o, uint32_t b, uint32_t i)
{
	return &o->things[o->parts->of[o->parts->start[b] + i]];
}

/* Written again in place: all who used the bytes so far must be over. A join writes nothing. */
static int check_write(const struct order *o, uint32_t s, uint32_t b)
{
	uint32_t own = o->plan->steps[s].branch;

	for (uint32_t i = 0; i < o->parts->n[b] && o->parts->joined_by[b] == FINF_NONE; i++)
		for (uint32_t c = 0; c < o->plan->n_branches; c++)
			if (c != own && part(o, b, i)->last[c] > over_at(o, s)[c])
				return no(o,
					  "step %u writes buffer %u while branch %u may still use "
					  "its bytes",
					  s, b, c);
	return 0;
}

static void touch(const struct order *o, struct thing *thing, uint32_t s)
{
	if (thing->first == FINF_NONE)
		thing->first = s;
	thing->last[o->plan->steps[s].branch] = o->nth[s];
}

static void touch_buffer(const struct order *o, uint32_t b, uint32_t s)
{
	for (uint32_t i = 0; i < o->parts->n[b]; i++)
		touch(o, part(o, b, i), s);
}

/* Outputs that are taken behind step @s, before the next one. */
static void touch_outputs(const struct order *o, uint32_t s)
{
	const struct finf_plan *plan = o->plan;

	for (uint32_t i = 0; i < plan->n_outputs; i++)
		if (plan->buffers[plan->outputs[i]].last_step == s)
			touch_buffer(o, plan->outputs[i], s);
}

static int check_step(const struct order *o, uint32_t s)
{
	const struct finf_plan *plan = o->plan;
	const struct finf_step *step = &plan->steps[s];
	int err = 0;

	for (uint32_t k = 0; !err && k < step->n_in; k++)
		if (step->in[k].kind == FINF_OPERAND_BUFFER)
			err = check_read(o, s, step->in[k].index);
	for (uint32_t k = 0; !err && k < step->n_out; k++)
		if (step->out[k].kind == FINF_OPERAND_BUFFER)
			err = check_write(o, s, step->out[k].index);
	if (err)
		return err;
	for (uint32_t k = 0; k < step->n_in; k++)
		if (step->in[k].kind == FINF_OPERAND_BUFFER)
			touch_buffer(o, step->in[k].index, s);
	for (uint32_t k = 0; k < step->n_out; k++)
		if (step->out[k].kind == FINF_OPERAND_BUFFER)
			touch_buffer(o, step->out[k].index, s);
	if (step->form.workspace_bytes)
		touch(o, &o->things[plan->n_buffers + s], s);
	touch_outputs(o, s);
	return 0;
}

/* ---- bytes that meet --------------------------------------------------------------------- */

/* Is every use of @a over when @b is first used? */
static bool over_before(const struct order *o, const struct thing *a, const struct thing *b)
{
	if (a->at_end || b->first == BEFORE_ALL)
		return false;
	for (uint32_t c = 0; c < o->plan->n_branches; c++)
		if (a->last[c] > over_at(o, b->first)[c])
			return false;
	return true;
}

static int by_offset(const void *x, const void *y)
{
	const struct thing *a = *(const struct thing *const *)x;
	const struct thing *b = *(const struct thing *const *)y;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

static int check_bytes(struct order *o)
{
	uint32_t n = o->plan->n_buffers + o->plan->n_steps, used = 0;
	struct thing **sorted = finf_arena_array(&o->scratch, n, sizeof(struct thing *));

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (o->things[i].bytes)
			sorted[used++] = &o->things[i];
	qsort(sorted, used, sizeof(*sorted), by_offset);
	for (uint32_t i = 0; i < used; i++)
		for (uint32_t j = i + 1;
		     j < used && sorted[j]->offset - sorted[i]->offset < sorted[i]->bytes; j++)
			if (!over_before(o, sorted[i], sorted[j]) &&
			    !over_before(o, sorted[j], sorted[i]))
				return no(o,
					  "steps that may run side by side share the bytes at %llu "
					  "of the arena",
					  (unsigned long long)sorted[j]->offset);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int order_init(struct order *o)
{
	const struct finf_plan *plan = o->plan;
	size_t n = (size_t)plan->n_buffers + plan->n_steps;
	uint32_t *last;

	o->nth = finf_arena_array(&o->scratch, plan->n_steps, sizeof(*o->nth));
	o->over = finf_arena_array(&o->scratch, (size_t)plan->n_steps * plan->n_branches,
				   sizeof(*o->over));
	o->writer = finf_arena_array(&o->scratch, plan->n_buffers, sizeof(*o->writer));
	o->things = finf_arena_array(&o->scratch, n, sizeof(*o->things));
	last = finf_arena_array(&o->scratch, n * plan->n_branches, sizeof(*last));
	if (!o->nth || !o->over || !o->writer || !o->things || !last)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		o->things[i].first = FINF_NONE;
		o->things[i].last = last + i * plan->n_branches;
	}
	return 0;
}

static void place_things(struct order *o)
{
	const struct finf_plan *plan = o->plan;

	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		if (o->parts->n[b] != 1 || o->parts->of[o->parts->start[b]] != b)
			continue;
		o->things[b].offset = plan->buffers[b].offset;
		o->things[b].bytes = plan->buffers[b].bytes;
	}
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		struct thing *thing = &o->things[plan->n_buffers + s];

		thing->offset = plan->steps[s].workspace_offset;
		thing->bytes = plan->steps[s].form.workspace_bytes;
	}
	for (uint32_t i = 0; i < plan->n_outputs; i++)
		for (uint32_t k = 0; k < o->parts->n[plan->outputs[i]]; k++)
			part(o, plan->outputs[i], k)->at_end |=
				plan->buffers[plan->outputs[i]].last_step == plan->n_steps;
}

int finf_plan_check_order(const struct finf_plan *plan, const struct finf_plan_parts *parts,
			  struct finf_diag *diag)
{
	struct order o = {.plan = plan, .parts = parts, .diag = diag};
	int err;

	finf_arena_init(&o.scratch);
	err = order_init(&o);
	if (!err)
		err = find_order(&o);
	if (!err) {
		find_writers(&o);
		place_things(&o);
	}
	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		err = check_step(&o, s);
	/* What the caller writes is there before all, or before a step; it is used by whoever
	 * reads it. */
	for (uint32_t i = 0; !err && i < plan->n_inputs; i++) {
		uint32_t first = plan->buffers[plan->inputs[i]].first_step;

		part(&o, plan->inputs[i], 0)->first = first ? first : BEFORE_ALL;
	}
	if (!err)
		err = check_bytes(&o);
	if (!err)
		err = finf_plan_check_lanes(plan, diag);
	finf_arena_fini(&o.scratch);
	return err;
}
