/* SPDX-License-Identifier: MIT */
/* plan: for the proof, of which written buffers the bytes of each buffer are. */
#include <errno.h>

#include "plan/internal.h"

static void find_joins(const struct finf_plan *plan, uint32_t *joined_by)
{
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		joined_by[b] = FINF_NONE;
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		if (step->form.flags & FINF_FORM_JOIN && step->n_out &&
		    step->out[0].kind == FINF_OPERAND_BUFFER)
			joined_by[step->out[0].index] = s;
	}
}

/* Parts of the buffers before @b are known. */
static int count(const struct finf_plan *plan, struct finf_plan_parts *parts, uint32_t b,
		 struct finf_diag *diag)
{
	const struct finf_step *step;
	uint32_t s = parts->joined_by[b];

	if (s == FINF_NONE) {
		parts->n[b] = plan->buffers[b].alias_of == FINF_NONE
				      ? 1
				      : parts->n[plan->buffers[b].alias_of];
		return 0;
	}
	step = &plan->steps[s];
	for (uint32_t k = 0; k < step->n_in; k++) {
		if (step->in[k].kind != FINF_OPERAND_BUFFER || step->in[k].index >= b)
			return finf_diag_set(diag, -EINVAL,
					     "step %u joins what is no earlier buffer", s);
		parts->n[b] += parts->n[step->in[k].index];
		if (parts->n[b] > FINF_JOIN_PARTS_MAX)
			return finf_diag_set(diag, -EINVAL, "step %u joins more than %u buffers", s,
					     FINF_JOIN_PARTS_MAX);
	}
	return 0;
}

static void list(const struct finf_plan *plan, struct finf_plan_parts *parts, uint32_t b,
		 uint32_t *at)
{
	uint32_t source = plan->buffers[b].alias_of, s = parts->joined_by[b];

	parts->start[b] = s == FINF_NONE && source != FINF_NONE ? parts->start[source] : *at;
	if (s == FINF_NONE) {
		if (source == FINF_NONE)
			parts->of[(*at)++] = b;
		return;
	}
	for (uint32_t k = 0; k < plan->steps[s].n_in; k++) {
		uint32_t in = plan->steps[s].in[k].index;

		for (uint32_t i = 0; i < parts->n[in]; i++)
			parts->of[(*at)++] = parts->of[parts->start[in] + i];
	}
}

int finf_plan_parts(const struct finf_plan *plan, struct finf_arena *arena,
		    struct finf_plan_parts *ret, struct finf_diag *diag)
{
	struct finf_plan_parts parts;
	uint32_t at = 0;
	size_t total = 0;
	int err = 0;

	parts.start = finf_arena_array(arena, plan->n_buffers, sizeof(*parts.start));
	parts.n = finf_arena_array(arena, plan->n_buffers, sizeof(*parts.n));
	parts.joined_by = finf_arena_array(arena, plan->n_buffers, sizeof(*parts.joined_by));
	if (!parts.start || !parts.n || !parts.joined_by)
		return -ENOMEM;
	find_joins(plan, parts.joined_by);
	for (uint32_t b = 0; !err && b < plan->n_buffers; b++) {
		err = count(plan, &parts, b, diag);
		total += parts.n[b];
	}
	if (err)
		return err;
	parts.of = finf_arena_array(arena, total, sizeof(*parts.of));
	if (!parts.of)
		return -ENOMEM;
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		list(plan, &parts, b, &at);
	*ret = parts;
	return 0;
}
