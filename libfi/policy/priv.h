/* SPDX-License-Identifier: MIT */
/*
 * policy/priv - the state behind policy.h and the few verbs its files share.
 * Flat arrays allocated by new; lists are links inside the slots, orders are
 * indexed heaps. Models and slots are numbers.
 */
#ifndef FINF_POLICY_PRIV_H
#define FINF_POLICY_PRIV_H

#include "policy/heap.h"
#include "policy/policy.h"
#include "policy/predict.h"

#define FINF_SLOT_NONE UINT32_MAX
#define FINF_POLICY_BYTES_MAX (1ull << 56) /* of one model; sums of a few stay in 64 bits */
#define FINF_POLICY_RUNS_MAX 32u
/* Younger requests that may run while the oldest one waits for room that only
 * waiting models can give: enough to use a loaded model, few enough to bound the wait. */
#define FINF_POLICY_PASS_MAX 16u

enum finf_slot_kind { FINF_SLOT_RUN, FINF_SLOT_LOAD, FINF_SLOT_PIN, FINF_SLOT_LEAVE };
enum finf_slot_state { FINF_SLOT_FREE = 0, FINF_SLOT_QUEUED, FINF_SLOT_RUNNING, FINF_SLOT_DONE };

struct finf_list {
	uint32_t head, tail; /* slots; FINF_SLOT_NONE when empty */
};

/* A request or a command from its event to its REPLY. */
struct finf_slot {
	uint64_t id, seq, deadline_ns, arena_bytes;
	uint32_t model;
	uint32_t prev, next; /* of the list it is in */
	uint32_t chain;	     /* next of the same hash bucket */
	uint32_t err, reason; /* when DONE */
	uint8_t kind, state;
	bool muted; /* cancelled while it ran: no REPLY */
};

struct finf_policy_entry {
	struct finf_policy_model pub; /* residency: RESIDENT also while it runs */
	struct finf_list queue;	 /* requests, oldest first */
	struct finf_list cmds;	 /* LOAD and PIN that wait for LOADED */
	struct finf_list leave;	 /* UNLOAD and REMOVE that wait for EVICTED */
	uint32_t muted;		 /* of the running ones */
	uint32_t tries;		 /* NO_PLACE since it last had a place */
	uint64_t load_step;	 /* the step that emitted its LOAD */
	uint64_t restore_seq;	 /* pinned, but the device lost it: wanted since then; 0 = no */
	bool evict_more;  /* compacting did not help: evict one before the next try */
	bool wants_room;  /* resident, but its oldest request needs a larger arena zone */
	bool cancelled;	  /* CANCEL_LOAD is out */
	bool whole_load;  /* no run before LOADED: there was no room for its arena zone */
	bool leaving;	  /* REMOVE is out: unknown to everybody else */
	struct finf_policy_fast fast; /* fast.c */

	/* prefetch.c */
	enum finf_forecast forecast;
	struct finf_prediction predicted;
	uint64_t start_ns;     /* when its load is due, while AHEAD */
	uint64_t began_ns;     /* of the load under way */
	uint64_t took_ns;      /* mean of its loads, 0 = none yet */
	uint64_t used_ns;      /* last_used_ns before it was loaded ahead */
	uint64_t fetches;      /* loads ahead begun; the number of the last one */
	uint64_t lost_fetch;   /* that of `lost_to` for which it was evicted, 0 = none */
	uint64_t hint_next_ns; /* no hint from outside counts before */
	uint32_t lost_to;
	uint8_t trust[2]; /* of the predictions by intervals, and by chains */
	uint8_t source, hint_fails;
	bool fetch_used; /* the last load ahead was hit */
	bool unfit;	 /* a load ahead failed: not again before a request loaded it */
};

/* What became of the hints of one source. */
struct finf_source {
	uint64_t window_ns;
	uint32_t taken; /* in this window */
	uint32_t tries, hits;
};

/* LOST: nothing is asked of the device. GONE: it does not come back. */
enum finf_device_state { FINF_DEVICE_OK = 0, FINF_DEVICE_LOST, FINF_DEVICE_GONE };
enum finf_compact { FINF_COMPACT_NO = 0, FINF_COMPACT_WANTED, FINF_COMPACT_RUNNING };

struct finf_policy {
	struct finf_policy_opts opts;
	const struct finf_evict_ops *evict;
	struct finf_policy_entry *models; /* owned */
	struct finf_slot *slots;	  /* owned */
	uint32_t *buckets;		  /* owned; id -> slot */
	uint32_t buckets_mask;
	struct finf_list free, done;

	/* Models, by the age of their oldest request. */
	struct finf_heap ready;	  /* resident: can run now */
	struct finf_heap loading; /* can run while they load */
	struct finf_heap room;	  /* need weights or arena room; the first one is the head */
	/* Models at rest, by the key of the eviction row. */
	struct finf_heap idle; /* nothing queued */
	struct finf_heap busy; /* with queued requests: the last resort */
	/* Largest first (keys complemented). */
	struct finf_heap arenas; /* models resident or loading */
	struct finf_heap pins;	 /* pinned models, by arena */
	struct finf_heap runs;	 /* running slots, by arena */
	/* Models with a faster form that no run uses, by the key of the eviction row. */
	struct finf_heap fast;
	struct finf_heap deadlines; /* queued slots, soonest first */

	uint64_t held;	 /* weights loading, resident, evicting: what the pool carries */
	uint64_t kept;	 /* the same without evicting */
	uint64_t pinned; /* weights of pinned models */
	uint64_t fast_bytes; /* of faster forms; in held and kept too */
	uint32_t earner; /* whose runs may have earned it something, FINF_MODEL_NONE */
	uint32_t maker;	 /* being priced or made for it, even when it is gone; FINF_MODEL_NONE */
	bool making;	 /* made, not priced */
	uint32_t n_running, n_loading, n_evicting;

	/* prefetch.c; the heaps have room only when prefetch is on */
	void *predictors[FINF_PREDICTORS_MAX]; /* owned; a state for each row */
	struct finf_heap times; /* models with a forecast, by the time of its next change */
	struct finf_heap wish;	/* cold models whose load ahead is due, soonest needed first */
	struct finf_policy_prefetch prefetch;
	struct finf_source sources[FINF_ARRIVAL_SOURCES];
	uint32_t fetching; /* the model being loaded ahead, FINF_MODEL_NONE */
	int credit;	   /* hits against refaults; none left: watch only */
	uint64_t ns_per_mib; /* mean of all loads */

	enum finf_device_state device;
	enum finf_compact compact;
	uint32_t compact_for;
	uint32_t passed;     /* younger requests that overtook the head ... */
	uint64_t passed_seq; /* ... whose oldest request is this */
	uint64_t seq, step, now;
	bool draining, more, ticking;

	struct finf_action *actions; /* borrowed during a step */
	int n_actions;
};

/* slots.c: slots, lists, ids */
int finf_slots_init(struct finf_policy *p);
void finf_slots_fini(struct finf_policy *p);
uint32_t finf_slot_find(const struct finf_policy *p, uint64_t id);
/** A queued slot at the end of its model's list; FINF_SLOT_NONE when all are taken. */
uint32_t finf_slot_take(struct finf_policy *p, enum finf_slot_kind kind,
			const struct finf_event *event);
void finf_slot_drop(struct finf_policy *p, uint32_t slot); /* forget without a REPLY */
/** Over: off its list, a REPLY follows (not when muted). The caller refiles the model. */
void finf_slot_finish(struct finf_policy *p, uint32_t slot, uint32_t err, enum finf_reason reason);
void finf_slot_run(struct finf_policy *p, uint32_t slot);   /* queued -> running */
void finf_slot_unrun(struct finf_policy *p, uint32_t slot); /* and back, to the front */

/* model.c: residency, sums, orders */
/** Does a request, a command or a pin wait for it? */
bool finf_model_wanted(const struct finf_policy_entry *m);
/** Age of the oldest of those; UINT64_MAX = none. */
uint64_t finf_model_seq(const struct finf_policy *p, uint32_t model);
void finf_model_refile(struct finf_policy *p, uint32_t model);
void finf_model_residency(struct finf_policy *p, uint32_t model, enum finf_residency to);
void finf_model_arena(struct finf_policy *p, uint32_t model);
void finf_model_pin(struct finf_policy *p, uint32_t model, bool pin);
void finf_model_finish_all(struct finf_policy *p, uint32_t model, uint32_t err,
			   enum finf_reason reason);
/** Bytes of the zone when an arena of @arena_bytes must fit as well. */
uint64_t finf_policy_zone(const struct finf_policy *p, uint64_t arena_bytes);
/** Can @model with an arena of @arena_bytes ever fit? 0, or the reason why not. */
enum finf_reason finf_policy_never_fits(const struct finf_policy *p, uint32_t model,
					uint64_t arena_bytes);

/* event.c */
int finf_policy_handle(struct finf_policy *p, const struct finf_event *event);

/* pump.c */
void finf_policy_emit(struct finf_policy *p, const struct finf_action *action);
void finf_policy_evict(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		       uint32_t other);
void finf_policy_pump(struct finf_policy *p);

/** Would @weights and an arena of @arena fit beside @used bytes of weights? */
bool finf_policy_fits(const struct finf_policy *p, uint64_t used, uint64_t weights,
		      uint64_t arena);
/** Does the first in `room` lack room that idle models cannot give, or a load slot? */
bool finf_policy_head_blocked(const struct finf_policy *p);
void finf_policy_load(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		      uint32_t other);

/* prefetch.c: what is loaded before it is asked for. All do nothing when it is off. */
int finf_prefetch_init(struct finf_policy *p);
void finf_prefetch_fini(struct finf_policy *p);
void finf_prefetch_forget(struct finf_policy *p, uint32_t model); /* new, or gone */
void finf_prefetch_request(struct finf_policy *p, uint32_t model);
void finf_prefetch_arrival(struct finf_policy *p, uint32_t model, uint32_t source);
void finf_prefetch_loaded(struct finf_policy *p, uint32_t model); /* before it is resident */
void finf_prefetch_failed(struct finf_policy *p, uint32_t model, bool moved);
void finf_prefetch_lost(struct finf_policy *p, uint32_t model); /* evicted or given up */
void finf_prefetch_refile(struct finf_policy *p, uint32_t model);
/** Only loaded ahead: nobody has asked for what is being loaded. */
bool finf_prefetch_only(const struct finf_policy *p, uint32_t model);
void finf_prefetch_cancel(struct finf_policy *p, uint32_t model, enum finf_reason reason,
			  uint32_t other);
/* Verbs of the pump: at most one thing each. */
bool finf_prefetch_time(struct finf_policy *p);
bool finf_prefetch_overtake(struct finf_policy *p);
bool finf_prefetch_one(struct finf_policy *p);

/* fast.c: larger, faster forms of weights */
void finf_fast_ran(struct finf_policy *p, uint32_t model);
void finf_fast_allow(struct finf_policy *p, uint32_t model, bool allow);
int finf_fast_priced(struct finf_policy *p, const struct finf_event *event);
int finf_fast_grown(struct finf_policy *p, const struct finf_event *event);
int finf_fast_slower(struct finf_policy *p, const struct finf_event *event);
void finf_fast_refile(struct finf_policy *p, uint32_t model);
/** Give back the bytes of @model's, which has one. */
void finf_fast_shrink(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		      uint32_t other);
/** Give back the least valuable one for @other; false when there is none. */
bool finf_fast_give(struct finf_policy *p, enum finf_reason reason, uint32_t other);
/** Give up the one being made, which cannot be moved; false when there is none. */
bool finf_fast_unmake(struct finf_policy *p, enum finf_reason reason, uint32_t other);
bool finf_fast_one(struct finf_policy *p);
bool finf_fast_forbid(struct finf_policy *p);

/* check.c: recompute every sum and order from scratch; for tests. 0; -EINVAL with diag. */
int finf_policy_check(const struct finf_policy *p, struct finf_diag *diag);

#endif
