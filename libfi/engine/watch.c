/* SPDX-License-Identifier: MIT */
/* engine/watch: two ways of running, and now and then a trial of the one that is not taken. */
#include "engine/watch.h"

#define TRIALS 5u
#define WINS   4

void finf_watch_init(struct finf_watch *watch, bool other, uint32_t runs, int gain_pct)
{
	*watch = (struct finf_watch){
		.other = other, .runs = runs, .between = runs, .gain_pct = gain_pct};
}

bool finf_watch_next(const struct finf_watch *watch)
{
	return watch->other ^ (watch->trying > 0);
}

static void end_trial(struct finf_watch *watch, uint64_t ns)
{
	bool won = ns < watch->last_ns / 100 * (uint64_t)(100 - watch->gain_pct);

	atomic_store(&watch->ns[watch->other], watch->last_ns);
	atomic_store(&watch->ns[!watch->other], ns);
	atomic_fetch_add(&watch->trials, 1);
	watch->won = (watch->won << 1 | won) & ((1u << TRIALS) - 1);
	if (won)
		watch->between = FINF_WATCH_RUNS_WON;
	else if (watch->between < FINF_WATCH_RUNS)
		watch->between = FINF_WATCH_RUNS;
	else if (watch->between < FINF_WATCH_RUNS_MAX)
		watch->between *= 2;
	if (__builtin_popcount(watch->won) >= WINS) {
		watch->other = !watch->other;
		watch->won = 0;
		watch->between = FINF_WATCH_RUNS;
		atomic_fetch_add(&watch->changes, 1);
	}
	watch->runs = watch->between;
}

void finf_watch_note(struct finf_watch *watch, uint64_t ns)
{
	if (watch->trying) {
		if (!--watch->trying)
			end_trial(watch, ns);
		return;
	}
	watch->last_ns = ns;
	if (!--watch->runs)
		watch->trying = 2;
}
