/* SPDX-License-Identifier: MIT */
/*
 * plan/internal - what the stages of finf_plan_new() hand to each other:
 * emit.c chooses forms and writes steps, buffers and weights down; join.c
 * knows which buffers share bytes; extent.c gives weights their offsets,
 * place.c gives buffers theirs.
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

/*
 * Buffers that share bytes and are placed together: a tree per group. One entry
 * per buffer; fields after "at" are valid at the tree's root only.
 */
struct finf_planner_group {
	uint32_t next;	 /* the group's buffers in a ring */
	bool is_part;	 /* written by its own step: no alias, no join of others */
	uint32_t parent; /* towards the root; itself = the root */
	int64_t at;	 /* where it starts, seen from the parent's start */
	uint32_t n_parts;
	uint32_t branch; /* of the step that writes its bytes first; of a join, of all that do */
	bool has_input;	 /* bytes are the caller's: not to be written over */
	bool has_output; /* nor are these, he may not have taken them yet */
	/* Of any member, per branch: the number of its last step that uses them, counted from
	 * 1; 0 = none, FINF_NONE = they live to the end. */
	uint32_t *over;
};

struct finf_planner {
	const struct finf_graph *graph;
	const struct finf_form_table *forms;
	const struct finf_plan *fixed; /* NULL = weights may be laid out freely */
	bool grow; /* forms that take more room may add weights to what is fixed */
	struct finf_plan *plan;
	struct finf_diag *diag;
	bool copy_between;
	struct finf_arena scratch; /* owned: everything below */
	struct finf_planner_value *values;
	uint32_t *consumers;   /* nodes, grouped by value */
	uint32_t *order;       /* nodes, in the order in which they become steps */
	uint32_t *branch_of;   /* per node */
	uint32_t branch;       /* of the steps that are being written */
	/* behind[s * n_branches + b]: how many steps of branch b are over when step s starts */
	uint32_t *behind;
	uint32_t *next_buffer; /* per buffer */
	struct finf_planner_group *groups; /* per buffer */
	uint32_t *next_weight; /* per weight */
};

/** finf_planner_branches - one branch per member, or just one; and the order of the nodes. */
int finf_planner_branches(struct finf_planner *p, bool side_by_side);

/** finf_planner_depend - what each step waits for, once all are written. */
int finf_planner_depend(struct finf_planner *p);

/** finf_planner_emit - choose forms in node order; steps, buffers and weights without offsets. */
int finf_planner_emit(struct finf_planner *p);

/** finf_planner_find_buffer - where value @v already lies in @layout. */
bool finf_planner_find_buffer(const struct finf_planner *p, uint32_t v, uint16_t layout,
			      uint32_t *ret);
int finf_planner_layout_bytes(const struct finf_planner *p, uint32_t v, uint16_t layout,
			      uint64_t *ret);

/** finf_planner_group_init - a new buffer: alone, or in the group of what it is an alias of. */
void finf_planner_group_init(struct finf_planner *p, uint32_t b);
/** finf_planner_root - of the group of buffer @b, and where @b starts seen from its start. */
uint32_t finf_planner_root(const struct finf_planner *p, uint32_t b, int64_t *ret_at);
/** finf_planner_unite - one group of two; @at: where root @b starts, seen from root @a's start. */
void finf_planner_unite(struct finf_planner *p, uint32_t a, uint32_t b, int64_t at);
/** finf_planner_extent - where the bytes of @root's group start and end, seen from its start. */
void finf_planner_extent(const struct finf_planner *p, uint32_t root, int64_t *ret_from,
			 int64_t *ret_to);

/**
 * finf_planner_join_possible - can every input of this node be written where
 * its output, in a FINF_FORM_JOIN form, has it? Inputs that are not yet there can.
 */
bool finf_planner_join_possible(const struct finf_planner *p, const struct finf_node *node,
				const struct finf_form *form);
/** finf_planner_join - make it so: inputs and output of @step are one group. */
void finf_planner_join(struct finf_planner *p, const struct finf_step *step);

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

/*
 * For the proof: of which buffers that are written by themselves the bytes of each
 * buffer are. Its own; its source's when it is an alias; all its inputs' when it is joined.
 */
struct finf_plan_parts {
	uint32_t *of;	      /* one slice after the other */
	uint32_t *start, *n;  /* per buffer: its slice */
	uint32_t *joined_by;  /* per buffer: the step that joins it, or FINF_NONE */
};

/** finf_plan_parts - operands exist, aliases are of earlier buffers. 0; -EINVAL; -ENOMEM. */
int finf_plan_parts(const struct finf_plan *plan, struct finf_arena *arena,
		    struct finf_plan_parts *ret, struct finf_diag *diag);

/** finf_plan_check_lanes - the part of finf_plan_check() about plan->side. The rest has been
 * proven before. (lanes.c) */
int finf_plan_check_lanes(const struct finf_plan *plan, struct finf_diag *diag);

/** finf_plan_check_order - the part of finf_plan_check() about branches: whatever may run at
 * the same time keeps out of each other's bytes. The rest has been proven before. */
int finf_plan_check_order(const struct finf_plan *plan, const struct finf_plan_parts *parts,
			  struct finf_diag *diag);

/** finf_plan_check_extent - the part of finf_plan_check() that needs no graph. */
int finf_plan_check_extent(const struct finf_plan *plan, struct finf_diag *diag);

#endif
