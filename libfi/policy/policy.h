/* SPDX-License-Identifier: MIT */
/*
 * policy - who is loaded, who is evicted, who runs next: a deterministic state
 * machine. No I/O, no clock, no allocation after new: the caller feeds events
 * with a time and carries out the actions. The same code runs in fid, in the
 * unit tests and in a replay of recorded events.
 * Must not know: graphs, devices, sockets, names; models are numbers.
 *
 *            REQUEST / LOAD          LOADED              last request done + need
 *   cold ------------------> loading ------> resident <-> running ------> evicting -> cold
 *     ^                         |  LOAD_FAILED                              |
 *     +-------------------------+-------------------------- EVICTED --------+
 *
 * DEVICE_LOST evicts all that is resident, running or not, and gives up loads; who
 * waits goes on waiting and is served after DEVICE_BACK, what is pinned comes back.
 */
#ifndef FINF_POLICY_H
#define FINF_POLICY_H

#include "base/base.h"

#define FINF_POLICY_ACTIONS_MAX 64 /* of one step; more follow at once by a TICK */

enum finf_event_kind {
	FINF_EV_ADD = 1,   /* model; a = weight bytes, b = arena bytes */
	FINF_EV_REMOVE,	   /* model: forget; refused with -EBUSY while in use */
	FINF_EV_REQUEST,   /* id, model; a = deadline ns or 0, b = arena bytes of its shapes */
	FINF_EV_CANCEL,	   /* id: the client went away */
	FINF_EV_LOAD,	   /* id, model: operator asks to load */
	FINF_EV_UNLOAD,	   /* id, model: operator asks to unload when idle */
	FINF_EV_PIN,	   /* id, model; a = 1 pin, 0 unpin */
	FINF_EV_LOADED,	   /* model: all segments published */
	FINF_EV_LOAD_FAILED, /* model; a = errno (positive) */
	FINF_EV_NO_PLACE,  /* model: no hole for its LOAD, though the bytes would do; with
			      id: none for the arena zone of that RUN. Before the next TICK. */
	FINF_EV_COMPACTED, /* a = errno (positive) or 0 */
	FINF_EV_RAN,	   /* id, model; a = errno (positive) or 0 */
	FINF_EV_EVICTED,   /* model: its extent is free */
	FINF_EV_TICK,	   /* time passed: deadlines */
	FINF_EV_DRAIN,	   /* finish what is there, refuse what is new */
	FINF_EV_ARRIVAL,   /* model; a = who saw it, enum finf_arrival: a request is coming */
	FINF_EV_DEVICE_LOST, /* the pool's contents are gone, nothing can be done until BACK;
				before the report that told of it. What runs or loads reports. */
	FINF_EV_DEVICE_BACK, /* a = 0: an empty pool, or errno (positive): for good. After all
				reports of what ran, loaded, was evicted or compacted. */
	FINF_EV_OPTIMIZE, /* model; a = 1: it may earn a faster form of its weights, 0: it stays
			     lean, as after ADD */
	FINF_EV_PRICED,	  /* model; a = bytes of that form beside the lean one, b = arena bytes
			     with it, id = ns by which a run is shorter. a = 0: there is none,
			     or b = errno (positive) why that is not known. */
	FINF_EV_GROWN,	  /* model; a = 0: it is there; errno (positive): its bytes are free */
	FINF_EV_SLOWER,	  /* model; a, b = ns of its runs on that form and on the lean one: it was
			     not worth its bytes */
};
#define FINF_EVENT_KINDS (FINF_EV_SLOWER + 1)

/* Who saw a request coming. All but fid itself give hints, not orders. */
enum finf_arrival { FINF_ARRIVAL_FID = 0, FINF_ARRIVAL_USDT, FINF_ARRIVAL_TCP, FINF_ARRIVAL_APP };
#define FINF_ARRIVAL_SOURCES 4u

/* Fixed-size and without padding: recorded as it is (Documentation/formats/events.md). */
struct finf_event {
	uint32_t kind;
	uint32_t model;
	uint64_t id;
	uint64_t a, b;
};

enum finf_action_kind {
	FINF_DO_LOAD = 1,  /* model; a = arena zone bytes to reserve first; b = weight bytes */
	FINF_DO_EVICT,	   /* model; a = bytes given back */
	FINF_DO_COMPACT,   /* for model, all the way (a = 0); all rests until COMPACTED */
	FINF_DO_RUN,	   /* id, model; a = arena zone bytes; the model may still be loading */
	FINF_DO_REPLY,	   /* id, model; a = errno (positive) or 0: it is over */
	FINF_DO_CANCEL_LOAD, /* model: nobody wants it any more */
	FINF_DO_PRICE,	     /* model: say by PRICED what a faster form takes and saves */
	FINF_DO_GROW, /* model; a = arena zone bytes to reserve first; b = bytes: make the faster
			 form beside the lean one, say by GROWN when runs can use it */
	FINF_DO_SHRINK, /* model; a = bytes of its faster form, free when this is done: runs use the
			   lean one. Not while one uses the other, but maybe while it is being
			   made: then GROWN follows when that has ended. */
};
#define FINF_ACTION_KINDS (FINF_DO_SHRINK + 1)

enum finf_reason {
	FINF_WHY_NONE = 0,
	FINF_WHY_REQUEST,	/* a request needs it */
	FINF_WHY_OPERATOR,	/* load, unload, remove */
	FINF_WHY_ROOM_WEIGHTS,	/* evicted: least valuable, to make room for model `other` */
	FINF_WHY_ROOM_ARENA,	/* evicted: activations of model `other` need the room */
	FINF_WHY_FRAGMENTED,	/* no hole large enough */
	FINF_WHY_TOO_LARGE,	/* weights + arena exceed the pool */
	FINF_WHY_DEADLINE,	/* -ETIME */
	FINF_WHY_LOAD_FAILED,
	FINF_WHY_BUSY,		/* in use, or what is pinned leaves no room */
	FINF_WHY_QUEUE_FULL,	/* -EAGAIN */
	FINF_WHY_DRAINING,	/* -ESHUTDOWN */
	FINF_WHY_CANCELLED,
	FINF_WHY_DONE,
	FINF_WHY_PREDICTED,	/* loaded ahead: its requests come at such intervals */
	FINF_WHY_CHAIN,		/* loaded ahead: it follows model `other` */
	FINF_WHY_ARRIVAL,	/* loaded ahead: its request was seen coming */
	FINF_WHY_OVERTAKEN,	/* a request needs what was being loaded ahead for nobody yet */
	FINF_WHY_DEVICE,	/* the device failed and lost what was in its pool */
	FINF_WHY_EARNED,	/* a faster form: its runs would repay it */
	FINF_WHY_SLOWER,	/* given back: its runs did not */
};
#define FINF_REASONS (FINF_WHY_SLOWER + 1)
const char *finf_reason_text(enum finf_reason reason);
const char *finf_event_kind_text(enum finf_event_kind kind);
const char *finf_action_kind_text(enum finf_action_kind kind);

struct finf_action {
	uint32_t kind;
	uint32_t model;
	uint64_t id;
	uint64_t a, b;
	uint32_t reason;
	uint32_t other; /* the model for whose sake, FINF_MODEL_NONE */
};
#define FINF_MODEL_NONE UINT32_MAX

enum finf_residency { FINF_COLD = 0, FINF_LOADING, FINF_RESIDENT, FINF_RUNNING, FINF_EVICTING };

struct finf_policy_opts {
	size_t size; /* sizeof(struct finf_policy_opts) */
	uint64_t pool_bytes;
	uint32_t models_max, requests_max; /* capacity, allocated once */
	uint32_t runs_max;  /* requests running at a time (executing threads), 1 to 32 */
	uint32_t loads_max; /* loads at a time, >= 1 */
	const char *evict;  /* row of the eviction table; NULL = "lru" */
	uint64_t prefetch_bytes; /* loaded ahead and not used yet, at most; 0 = no prefetch */
};

struct finf_policy_model { /* what `status` and `why` show */
	enum finf_residency residency;
	bool known, pinned;
	uint64_t weight_bytes, arena_bytes;
	uint64_t fast_bytes; /* held for a faster form of its weights, made or being made */
	uint32_t queued, running;
	uint64_t last_used_ns, loads, evictions, requests;
	uint64_t prefetch_hits, prefetch_late, prefetch_wasted; /* of its prefetches */
};

struct finf_policy;

int finf_policy_new(const struct finf_policy_opts *opts, struct finf_policy **ret_policy,
		    struct finf_diag *diag);
void finf_policy_free(struct finf_policy *policy);

/**
 * finf_policy_step - one event in, actions out. O(log n) per action.
 * @param now_ns   never smaller than before
 * @param actions  room for FINF_POLICY_ACTIONS_MAX
 * Return: number of actions; -EINVAL an event that makes no sense in this
 * state (a bug of the caller); -EBUSY a REMOVE without id of a model in use.
 * After an error the state is unchanged.
 * An action EVICT frees its bytes only with EVICTED. RUN order within a model
 * is request order; a request pins its model until RAN. Loads are single-flight.
 * RUN of a model that is still loading comes only from a TICK after its LOAD.
 * The arena zone is @runs_max arenas of one size: that of the largest model
 * resident or loading, or of the largest running request. Commands (LOAD,
 * UNLOAD, PIN, REMOVE with an id) get exactly one REPLY, as requests do.
 */
int finf_policy_step(struct finf_policy *policy, const struct finf_event *event, uint64_t now_ns,
		     struct finf_action *actions);

/** finf_policy_deadline - when TICK is due next; 0 = at once, UINT64_MAX = not needed. */
uint64_t finf_policy_deadline(const struct finf_policy *policy);

void finf_policy_model(const struct finf_policy *policy, uint32_t model,
		       struct finf_policy_model *ret);
/** Bytes of weights resident, loading or evicting, and of the arena zone. */
void finf_policy_bytes(const struct finf_policy *policy, uint64_t *ret_weights,
		       uint64_t *ret_arena);

/* ---- prefetch -------------------------------------------------------------- */

struct finf_policy_prefetch {
	uint64_t loads;	 /* begun ahead of a request */
	uint64_t hits;	 /* a request found the model there, or on its way */
	uint64_t late;	 /* of the hits: it was still on its way */
	uint64_t wasted; /* evicted, given up or out of its window before any request */
	uint64_t load_bytes, wasted_bytes;
	uint64_t refaults; /* requests of what was evicted for a prefetch nobody used yet */
	uint64_t bytes;	   /* loaded ahead and not used yet, now */
	bool stopped;	   /* it did more harm than good; watching only */
};
void finf_policy_prefetch(const struct finf_policy *policy, struct finf_policy_prefetch *ret);

/* How far a prediction about a model has come. */
enum finf_forecast {
	FINF_FORECAST_NONE = 0,
	FINF_FORECAST_AHEAD,   /* its load is not due yet */
	FINF_FORECAST_WISH,    /* due: as soon as there is room, unless it is there */
	FINF_FORECAST_SKIPPED, /* due, but not worth it: only watched */
	FINF_FORECAST_HELD,    /* loaded ahead, waiting for its request */
};

struct finf_policy_why {
	enum finf_forecast forecast;
	enum finf_reason reason;     /* FINF_WHY_NONE without a forecast */
	uint32_t other;		     /* the model before, FINF_MODEL_NONE */
	uint32_t confidence_pct;
	uint64_t load_ns;	     /* when its load is due */
	uint64_t from_ns, until_ns;  /* when its request is expected */
	bool trusted;		     /* predictions about it came true often enough */
};
/** finf_policy_why - what is predicted about @model now, and why. */
void finf_policy_why(const struct finf_policy *policy, uint32_t model,
		     struct finf_policy_why *ret);

/* ---- faster forms ------------------------------------------------------------- */

enum finf_fast_state { FINF_FAST_LEAN = 0, FINF_FAST_PRICING, FINF_FAST_GROWING, FINF_FAST_READY };

/* What a model has of a faster form of its weights, or what it still lacks. */
struct finf_policy_fast {
	enum finf_fast_state state;
	bool allowed;
	bool slower; /* it was there, and runs were no faster: not again until it is allowed anew */
	bool priced; /* what follows is known; bytes 0: there is no faster form */
	uint64_t bytes, arena_bytes, gain_ns;
	uint32_t runs; /* half of them forgotten each 30 s */
	uint64_t since_ns, next_ns; /* of the last halving; not made before */
	uint32_t waits;
	uint64_t made, given_back;
	/* only in what finf_policy_fast() returns */
	uint64_t runs_needed; /* to be priced, or to be made */
	bool fits;	      /* in bytes that are free */
};
void finf_policy_fast(const struct finf_policy *policy, uint32_t model,
		      struct finf_policy_fast *ret);
/** Bytes of all faster forms, made or being made; finf_policy_bytes() counts them too. */
uint64_t finf_policy_fast_bytes(const struct finf_policy *policy);

/* ---- eviction table: one file evict_<name>.c and one row each ----------- */

/*
 * The policy keeps candidates (resident, not pinned, not running) in an order
 * that the row defines by a key, taken when the model comes to rest: the
 * smallest key is evicted first, of equal ones the smallest number.
 */
struct finf_evict_ops {
	const char *name;
	/** key - value of keeping this model; pure. */
	uint64_t (*key)(const struct finf_policy_model *model, uint64_t now_ns);
};
/** finf_evict_at - row @index; NULL past the end. */
const struct finf_evict_ops *finf_evict_at(uint32_t index);

#endif
