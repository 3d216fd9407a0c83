/* SPDX-License-Identifier: MIT */
/*
 * plan/internal - what the stages of finf_plan_new() hand to each other:
 * emit.c chooses forms and writes steps, buffers and weights down; extent.c
 * gives weights their offsets, place.c gives buffers theirs.
 * branch.c says which node is in which branch, in which order steps are
 * written, and what each step has certainly behind it.
 * Must not know: how check.c proves the result, nor the other way round.
 */
#ifndef FINF_PLAN_INTERNAL_H
#define FINF_PLAN_INTERNAL_H

#include "plan/plan.h"

/* What the planner knows about one value of the graph. */
struct finf_planner_value {
	uint32_t buffers; /* where its producer left it; next_buffer[] = other layouts */
	uint32_t weights; /* of a constant: first plan weight; next_weight[] = other layouts */
	uint32_t consumers, n_consumers; /* slice of finf_planner.consumers */
	bool is_output;
	uint64_t plain_bytes;
};

struct finf_planner {
	const struct finf_graph *graph;
	const struct finf_form_table *forms;
	const struct finf_plan *fixed; /* NULL = weights may be laid out freely */
	struct finf_plan *plan;
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: everything below */
	struct finf_planner_value *values;
	uint32_t *consumers;   /* nodes, grouped by value */
	uint32_t *order;       /* nodes, in the order in which they become steps */
	uint32_t *branch_of;   /* per node */
	uint32_t branch;       /* of the steps that are being written */
	/* behind[s * n_branches + b]: how many steps of branch b are over when step s starts */
	uint32_t *behind;
	uint32_t *next_buffer; /* per buffer */
	uint32_t *next_weight; /* per weight */
};

/** finf_planner_branches - one branch per member, or just one; and the order of the nodes. */
int finf_planner_branches(struct finf_planner *p, bool side_by_side);

/** finf_planner_depend - what each step waits for, once all are written. */
int finf_planner_depend(struct finf_planner *p);

/** finf_planner_emit - choose forms in node order; steps, buffers and weights without offsets. */
int finf_planner_emit(struct finf_planner *p);

/** finf_planner_place - aliases in place, lifetimes, and every buffer's offset in the arena. */
int finf_planner_place(struct finf_planner *p);

/** A sum that stays at UINT64_MAX: prices may say "never". */
static inline uint64_t finf_plan_add_ns(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/** Do two weight forms describe the same bytes? */
bool finf_plan_same_layout(const struct finf_weight_form *a, const struct finf_weight_form *b);

/** finf_plan_check_order - the part of finf_plan_check() about branches: whatever may run at
 * the same time keeps out of each other's bytes. The rest has been proven before. */
int finf_plan_check_order(const struct finf_plan *plan, struct finf_diag *diag);

/** finf_plan_check_extent - the part of finf_plan_check() that needs no graph. */
int finf_plan_check_extent(const struct finf_plan *plan, struct finf_diag *diag);

#endif
