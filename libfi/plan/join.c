/* SPDX-License-Identifier: MIT */
/*
 * plan: which buffers lie together. A join is the case of inputs that are laid
 * one behind the other and need not be copied: each is written where the
 * output has it. Groups know distances, not places: several joins may share
 * inputs as long as they want them at the same distances.
 *
 *   C1 = a b, C2 = a b c, C3 = C2 d    one group:  | a | b | c | d |
 *                                       C1: 0..b   C2: 0..c   C3: 0..d
 *
 * A concat is joined whole or not at all.
 */
#include "plan/internal.h"

void finf_planner_group_init(struct finf_planner *p, uint32_t b)
{
	uint32_t source = p->plan->buffers[b].alias_of;
	struct finf_planner_group *group = &p->groups[b];

	*group = (struct finf_planner_group){.parent = source == FINF_NONE ? b : source,
					     .next = b,
					     .is_part = source == FINF_NONE,
					     .n_parts = 1,
					     .branch = p->branch};
	if (source == FINF_NONE)
		return;
	group->next = p->groups[source].next;
	p->groups[source].next = b;
}

uint32_t finf_planner_root(const struct finf_planner *p, uint32_t b, int64_t *ret_at)
{
	int64_t at = 0;

	for (; p->groups[b].parent != b; b = p->groups[b].parent)
		at += p->groups[b].at;
	*ret_at = at;
	return b;
}

void finf_planner_unite(struct finf_planner *p, uint32_t a, uint32_t b, int64_t at)
{
	uint32_t next = p->groups[a].next;

	p->groups[a].next = p->groups[b].next; /* two rings become one */
	p->groups[b].next = next;
	p->groups[b].parent = a;
	p->groups[b].at = at;
	p->groups[a].n_parts += p->groups[b].n_parts;
	p->groups[a].has_input |= p->groups[b].has_input;
	p->groups[a].has_output |= p->groups[b].has_output;
}

void finf_planner_extent(const struct finf_planner *p, uint32_t root, int64_t *ret_from,
			 int64_t *ret_to)
{
	int64_t from = 0, to = 0, at;
	uint32_t b = root;

	do {
		finf_planner_root(p, b, &at);
		from = FINF_MIN(from, at);
		to = FINF_MAX(to, at + (int64_t)p->plan->buffers[b].bytes);
		b = p->groups[b].next;
	} while (b != root);
	*ret_from = from;
	*ret_to = to;
}

/* ---- is it possible ------------------------------------------------------- */

/* What an input brings along, seen from the output's start. */
struct spot {
	uint32_t value;
	uint32_t root; /* of its group; FINF_NONE = it will be written for this join alone */
	int64_t at;    /* of the group's start, or of the input when it has none */
	int64_t bytes; /* of the input */
};

static bool meets_part(const struct finf_planner *p, const struct spot *spot, int64_t from,
		       int64_t to)
{
	uint32_t b = spot->root;
	int64_t at;

	if (b == FINF_NONE)
		return from < spot->at + spot->bytes && spot->at < to;
	do {
		finf_planner_root(p, b, &at);
		at += spot->at;
		if (p->groups[b].is_part && from < at + (int64_t)p->plan->buffers[b].bytes &&
		    at < to)
			return true;
		b = p->groups[b].next;
	} while (b != spot->root);
	return false;
}

/* Do two inputs want different things of the same bytes, or the same one in two places? */
static bool clash(const struct finf_planner *p, const struct spot *a, const struct spot *b)
{
	uint32_t part = a->root;
	int64_t at;

	if (part != FINF_NONE && part == b->root)
		return a->at != b->at;
	if (part == FINF_NONE)
		return (a->value == b->value && a->bytes) ||
		       meets_part(p, b, a->at, a->at + a->bytes);
	do {
		finf_planner_root(p, part, &at);
		at += a->at;
		if (p->groups[part].is_part &&
		    meets_part(p, b, at, at + (int64_t)p->plan->buffers[part].bytes))
			return true;
		part = p->groups[part].next;
	} while (part != a->root);
	return false;
}

/*
 * Bytes that a step of this branch writes, or the caller before any; and whose length keeps the
 * next input aligned.
 */
static bool find_spot(const struct finf_planner *p, uint32_t v, const struct finf_form *form,
		      uint32_t branch, int64_t at, struct spot *ret)
{
	const struct finf_planner_group *group;
	uint64_t bytes;
	uint32_t b;

	if (v == FINF_NONE || p->graph->values[v].is_const || at % FINF_BUFFER_ALIGN ||
	    finf_planner_layout_bytes(p, v, form->in_layout, &bytes) || bytes > FINF_EXTENT_MAX)
		return false;
	*ret = (struct spot){.value = v, .root = FINF_NONE, .at = at, .bytes = (int64_t)bytes};
	if (!finf_planner_find_buffer(p, v, form->in_layout, &b))
		return true;
	ret->root = finf_planner_root(p, b, &ret->at);
	ret->at = at - ret->at;
	group = &p->groups[ret->root];
	return group->has_input || group->branch == branch;
}

/* The caller's bytes are there from the beginning: others beside them would be held as long. */
static bool mixes_inputs(const struct finf_planner *p, const struct spot *a, const struct spot *b)
{
	return (a->root != FINF_NONE && p->groups[a->root].has_input) !=
	       (b->root != FINF_NONE && p->groups[b->root].has_input);
}

static uint32_t parts_of(const struct finf_planner *p, const struct spot *spots, uint32_t k)
{
	for (uint32_t i = 0; i < k; i++)
		if (spots[k].root != FINF_NONE && spots[i].root == spots[k].root)
			return 0; /* counted */
	return spots[k].root == FINF_NONE ? 1 : p->groups[spots[k].root].n_parts;
}

bool finf_planner_join_possible(const struct finf_planner *p, const struct finf_node *node,
				const struct finf_form *form)
{
	uint32_t branch = p->branch_of[node - p->graph->nodes], n_parts = 0;
	struct spot spots[FINF_JOIN_PARTS_MAX];
	uint64_t bytes;
	int64_t at = 0;

	if (form->in_layout != form->out_layout || node->act != FINF_ACT_NONE || !node->n_in ||
	    node->n_in > FINF_JOIN_PARTS_MAX || node->n_out != 1 || node->out[0] == FINF_NONE ||
	    finf_planner_layout_bytes(p, node->out[0], form->out_layout, &bytes))
		return false;
	for (uint32_t k = 0; k < node->n_in; k++) {
		if (!find_spot(p, node->in[k], form, branch, at, &spots[k]))
			return false;
		for (uint32_t i = 0; i < k; i++)
			if (mixes_inputs(p, &spots[i], &spots[k]) || clash(p, &spots[i], &spots[k]))
				return false;
		n_parts += parts_of(p, spots, k);
		at += spots[k].bytes;
	}
	return n_parts <= FINF_JOIN_PARTS_MAX && (uint64_t)at == bytes;
}

/* ---- do it ------------------------------------------------------------------ */

void finf_planner_join(struct finf_planner *p, const struct finf_step *step)
{
	uint32_t out = step->out[0].index;
	int64_t at = 0; /* of the input, seen from the output's start */

	p->groups[out].is_part = false;
	p->groups[out].n_parts = 0;
	for (uint32_t k = 0; k < step->n_in; k++) {
		int64_t in_at, out_at;
		uint32_t in_root = finf_planner_root(p, step->in[k].index, &in_at);
		uint32_t out_root = finf_planner_root(p, out, &out_at);

		if (!k) /* the output's tree is no more than itself */
			finf_planner_unite(p, in_root, out, in_at);
		else if (in_root != out_root)
			finf_planner_unite(p, out_root, in_root, out_at + at - in_at);
		at += (int64_t)p->plan->buffers[step->in[k].index].bytes;
	}
}
