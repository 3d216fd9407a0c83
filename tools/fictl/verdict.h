/* SPDX-License-Identifier: MIT */
/* fictl/verdict - is a group better than its members one by one? Measured here, on the host. */
#ifndef FICTL_VERDICT_H
#define FICTL_VERDICT_H

#include "tools/fictl/group.h"

#define TRIAL_ROUNDS_MAX 101u
#define TRIAL_LOADS	 5u

/* What was measured, fused and separate in turn; separate is one member after the other. */
struct trial_figures {
	uint64_t fused_ns[TRIAL_ROUNDS_MAX], separate_ns[TRIAL_ROUNDS_MAX];
	uint64_t fused_load_ns[TRIAL_LOADS], separate_load_ns[TRIAL_LOADS];
	uint32_t rounds;
	/* weights and arena; separate: all weights and the largest arena */
	uint64_t fused_bytes, separate_bytes;
	uint64_t fused_weight_bytes, separate_weight_bytes; /* what is loaded */
	/* of the group with members one after the other, and of the largest member */
	uint64_t serial_arena_bytes, largest_arena_bytes;
	uint64_t bound_ns; /* plan.h; 0 = steps were not measured */
	bool side_by_side;
};

/** trial_run - a group and its members, tuned into a temporary folder and run by one engine. */
int trial_run(const struct group *group, uint32_t threads, struct trial_figures *ret,
	      struct finf_diag *diag);

/**
 * verdict_add - put "verdict" into @doc: figures, and lines for people.
 * Fused and separate take turns; medians are compared. Takes seconds.
 */
int verdict_add(const struct group *group, uint32_t threads, json_t *doc, struct finf_diag *diag);

#endif
