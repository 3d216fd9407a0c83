/* SPDX-License-Identifier: MIT */
/*
 * engine/watch - is the way in which a group runs still the faster one? Whoever was measured
 * on a busy machine, or on a quiet one that is busy now, is found out by its own runs: rarely, the
 * other way is tried, and taken when it won four of five trials.
 * Must not know: clocks, what the two ways are.
 */
#ifndef FINF_ENGINE_WATCH_H
#define FINF_ENGINE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs between trials: doubled by each that is lost, few after one that is won. */
#define FINF_WATCH_RUNS	    32u
#define FINF_WATCH_RUNS_MAX 4096u
#define FINF_WATCH_RUNS_WON 8u
#define FINF_WATCH_RUNS_NEW 4u /* until the first trial of what was never measured */
#define FINF_WATCH_GAIN_PCT 3

struct finf_watch {
	bool other;	  /* now: the second way */
	uint32_t runs;	  /* until the next trial */
	uint32_t trying;  /* runs of the trial that are left: one to settle, one that counts */
	uint32_t between; /* trials */
	uint32_t won;	  /* the latest trials, as bits: 1 = won by the way that is not taken */
	uint64_t last_ns; /* of the way that is taken */
	/* By so much the way that is not taken has to be faster to win; below 0: it may be as much
	 * slower, since the other has to be worth something. */
	int gain_pct;
	/* For whoever explains it, on any thread: the latest trial, by way; trials; changes. */
	_Atomic uint64_t ns[2];
	atomic_uint trials, changes;
};

/** finf_watch_init - @other: begin with the second way; @runs: until the first trial;
 * @gain_pct: see above, -100 to 100. */
void finf_watch_init(struct finf_watch *watch, bool other, uint32_t runs, int gain_pct);
/** finf_watch_next - is the next run to go the second way? */
bool finf_watch_next(const struct finf_watch *watch);
/** finf_watch_note - that run took so long. Runs that failed are not told. */
void finf_watch_note(struct finf_watch *watch, uint64_t ns);

#endif
