/* SPDX-License-Identifier: MIT */
/* fictl/verdict - is a group better than its members one by one? Measured here, on the host. */
#ifndef FICTL_VERDICT_H
#define FICTL_VERDICT_H

#include "tools/fictl/group.h"

#define TRIAL_ROUNDS_MAX 101u
#define TRIAL_LOADS	 5u

/* One way to run all members. */
struct trial_way {
	uint64_t ns[TRIAL_ROUNDS_MAX], load_ns[TRIAL_LOADS];
	uint64_t bytes;	   /* weights and arena; separate: all weights and the largest arena */
	uint64_t weight_bytes; /* what is loaded */
	uint64_t bound_ns; /* plan.h; 0 = steps were not measured */
	bool side_by_side, batched;
};

/* What was measured, in turn; separate is one member after the other. */
struct trial_figures {
	struct trial_way fused, separate;
	struct trial_way other; /* the group batched, or not, as @fused is not; when @tried */
	bool tried;
	uint32_t rounds;
	/* of the group with members one after the other, and of the largest member */
	uint64_t serial_arena_bytes, largest_arena_bytes;
};

/**
 * trial_run - a group and its members, tuned into a temporary folder and run by one engine.
 * @param try  measure the group batched as well; the faster way becomes @fused and
 *             group->graph->batched
 */
int trial_run(const struct group *group, uint32_t threads, bool try, struct trial_figures *ret,
	      struct finf_diag *diag);

/**
 * verdict_add - put "verdict" into @doc: figures, and lines for people.
 * All ways take turns; medians are compared. Takes seconds.
 * @param alike  what can be batched, and @try as for trial_run()
 */
int verdict_add(const struct group *group, uint32_t threads, const struct finf_batch_report *alike,
		bool try, json_t *doc, struct finf_diag *diag);

#endif
