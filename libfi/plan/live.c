/* SPDX-License-Identifier: MIT */
/* plan: the most bytes that live at one step, below which no arena of this list can be. */
#include <errno.h>

#include "plan/internal.h"

/* One more living at @first, one less behind @last. */
static void add(uint64_t *change, uint64_t bytes, uint32_t first, uint32_t last)
{
	bytes = finf_align_up(bytes, FINF_BUFFER_ALIGN);
	change[first] += bytes;
	change[last + 1] -= bytes;
}

/* Parts (parts.c) are all bytes there are; they live as long as a name for them does. */
static void add_parts(const struct finf_plan *plan, const struct finf_plan_parts *parts,
		      uint32_t *first, uint32_t *last, uint64_t *change)
{
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		first[b] = FINF_NONE;
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		for (uint32_t i = 0; i < parts->n[b]; i++) {
			uint32_t part = parts->of[parts->start[b] + i];

			first[part] = FINF_MIN(first[part], plan->buffers[b].first_step);
			last[part] = FINF_MAX(last[part], plan->buffers[b].last_step);
		}
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		if (first[b] != FINF_NONE)
			add(change, plan->buffers[b].bytes, first[b], last[b]);
}

int finf_plan_live_bytes(const struct finf_plan *plan, uint64_t *ret)
{
	uint64_t *change, live = 0, most = 0;
	struct finf_plan_parts parts;
	struct finf_arena scratch;
	uint32_t *first, *last;
	int err = -ENOMEM;

	finf_arena_init(&scratch);
	change = finf_arena_array(&scratch, (size_t)plan->n_steps + 2, sizeof(*change));
	first = finf_arena_array(&scratch, plan->n_buffers, sizeof(*first));
	last = finf_arena_array(&scratch, plan->n_buffers, sizeof(*last));
	if (change && first && last)
		err = finf_plan_parts(plan, &scratch, &parts, NULL);
	if (!err) {
		add_parts(plan, &parts, first, last, change);
		for (uint32_t s = 0; s < plan->n_steps; s++)
			add(change, plan->steps[s].form.workspace_bytes, s, s);
		for (uint32_t s = 0; s <= plan->n_steps; s++) {
			live += change[s];
			most = FINF_MAX(most, live);
		}
		*ret = most;
	}
	finf_arena_fini(&scratch);
	return err;
}
