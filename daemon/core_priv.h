/* SPDX-License-Identifier: MIT */
/* daemon/core: what its own files share. Nobody else includes this. */
#ifndef FID_CORE_PRIV_H
#define FID_CORE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/core.h"
#include "engine/watch.h"

#define NAME_BUCKETS 4096
#define SLOTS 4096 /* power of two, at least requests and commands at a time */
/* Each model and each request has at most one event on its way at a time. */
#define FID_PENDING_EVENTS (FID_MODELS_MAX + 2 * SLOTS + 1) /* one: what fast.c reports */

struct fid_op; /* a command, import or preparation under way: op.h */

struct fid_model {
	struct fid_model *next_in_bucket;
	uint32_t index;
	char name[132];
	uint32_t version;
	enum fid_model_state state;
	bool damaged;	/* a load found a bad segment: see fid_model_heal() */
	bool importing; /* not to be found yet, but its version number is taken */
	struct finf_diag diag; /* why preparing or the last load failed */
	uint64_t file_bytes;
	struct finf_model *model; /* owned; NULL unless ready */
	/* Of a group, each to be run alone over the group's extent: owned, n of them. */
	struct fid_member {
		struct finf_model *model;
		bool bound; /* its default session is there: the loop may look at its plan */
	} * members;
	uint32_t n_members;
	const struct finf_model *first; /* who asked for the cold group; its segments come first */

	struct finf_extent *extent; /* of the pool; NULL when cold */
	uint64_t last_offset;	    /* where it lay last */
	uint64_t left_ns;	    /* when it left the pool; 0 = never */
	struct finf_load *load;	    /* owned while loading */
	struct fid_job loaded;	    /* from the loader's thread to the loop */
	int load_result;
	struct finf_diag load_diag; /* written by the loader before posting */
	struct finf_load_report last_load;
	struct fid_core *core;

	/* fast.c: a larger, faster form of its weights beside them */
	uint64_t generation; /* differs whenever it was prepared again; 0 = not yet */
	bool lean;	     /* it takes none */
	struct finf_model *fast; /* owned; NULL = none is known, or the spare thread has it */
	struct finf_extent *fast_extent; /* NULL = none */
	bool fast_ready; /* what lies there is whole */
	struct finf_watch fast_watch; /* then: is it faster than the lean one? which is the second way */
	uint64_t lean_run_ns, fast_run_ns; /* means of warm runs of the default shapes, 0 = none yet */

	uint32_t binds; /* requests whose shapes are being planned: not in the policy yet */
	struct fid_request *waiting, **waiting_last; /* while preparing */
	struct fid_op *ops;			     /* commands waiting for the same */
};

/* The device after a fault that stuck; see fault.c. */
struct fid_fault {
	struct fid_job job;
	enum fid_device_state state;
	uint32_t resets;
	pthread_mutex_t device_lock; /* the background thread's use of the device against a reset */
	pthread_mutex_t close_lock;  /* the loop's closing of models against a reset */
	struct fid_op *held;	     /* preparations that wait for it */
	/* of the job */
	struct finf_loader *loader;
	struct finf_pool_memory pool;
	int result;
	struct finf_diag diag; /* why it is gone */
};

/* The one form being priced or made; see fast.c. */
struct fid_fast {
	struct fid_worker *worker;
	bool on; /* fid's own setting */
	struct fid_job job;
	atomic_bool stop; /* fid ends */
	pthread_mutex_t lock;
	char *to; /* under lock while it is made: the second extent; NULL = given back */
	/* of the job */
	uint32_t index;
	uint64_t generation; /* of the model it is for */
	char name[132];
	uint32_t version;
	struct finf_model *form; /* owned while it is under way */
	uint64_t began_ns;
	int result;
	struct finf_diag diag;
};

enum slot_kind { SLOT_FREE = 0, SLOT_REQUEST, SLOT_OP };

struct slot {
	enum slot_kind kind;
	uint64_t id;
	union {
		struct fid_request *request;
		struct fid_op *op;
		uint32_t next_free;
	};
};

struct fid_core {
	struct fid_loop *loop;
	struct fid_catalogue *cat;
	struct finf_device *dev;
	struct finf_pool_memory pool;
	struct finf_mem *mem;
	struct finf_loader *loader; /* NULL while the device is being reset */
	struct finf_policy *policy;
	uint64_t prefetch_bytes; /* the policy's budget */
	struct fid_worker *exec, *background;
	sd_event_source *timer;
	uint32_t threads;
	uint64_t started_ns;

	struct fid_model *models[FID_MODELS_MAX]; /* owned, by policy number */
	struct fid_model *buckets[NAME_BUCKETS];
	uint32_t n_models;

	struct slot slots[SLOTS];
	uint32_t free_slot;
	uint64_t ids;

	struct finf_event *events; /* owned: FIFO of FID_PENDING_EVENTS not yet stepped */
	uint32_t n_events;
	bool stepping;

	bool compacting;
	uint64_t compact_bytes;
	int compact_result;
	struct fid_job compact_job;
	struct finf_action *deferred; /* owned: 2 * FID_MODELS_MAX evictions, shrinks that wait */
	uint32_t n_deferred;

	struct fid_fault fault;
	struct fid_fast fast;
	uint64_t generations;

	uint32_t busy; /* requests and operations not yet answered */
	bool draining;
	bool stopping; /* threads are gone: nothing more is decided */
	void (*drained)(void *ctx);
	void *drained_ctx;

	struct fid_decision *decisions; /* owned: ring of FID_EVENTS_KEPT */
	uint64_t n_decisions;
	void (*follow)(void *ctx, const struct fid_decision *decision);
	void *follow_ctx;
	void (*watch)(void *ctx, const char *name, bool known, bool cold);
	void *watch_ctx;
	int record_fd; /* owned; -1 */

	struct fid_metrics *metrics; /* borrowed */
	char http[64];
	struct finf_mem_stats mem_stats; /* last known: mem is not ours while compacting */
	uint64_t done, failed, cold;
	uint64_t loads, load_bytes, load_ns, evictions, evicted_bytes;
};

/* The policy counts what the pool gives out: rounded as the mem room rounds. */
static inline uint64_t fid_extent_bytes(uint64_t weight_bytes)
{
	return finf_align_up(FINF_MAX(weight_bytes, (uint64_t)1), FINF_EXTENT_ALIGN);
}

static inline uint64_t fid_zone_bytes(uint64_t arena_bytes)
{
	return finf_align_up(arena_bytes, FINF_ARENA_ALIGN);
}

/* core.c */
int fid_loader_new(struct fid_core *core, struct finf_diag *diag);

/* fault.c */
/** What was in the pool is lost: give it up and reset the device. Before the policy is told of
 * what ended by it. */
void fid_fault_begin(struct fid_core *core);
/** The same when @result came from a device that is of no use any more. */
void fid_fault_check(struct fid_core *core, int result);
/** Was a preparation spoilt by a fault? Then it is kept, and begins again. */
bool fid_fault_hold(struct fid_core *core, struct fid_op *op);
/** finf_model_close(): what was captured for it is the device's. */
void fid_model_close(struct fid_core *core, struct finf_model *model);
void fid_fault_release(struct fid_core *core); /* those that were kept */

/* step.c: events in, actions carried out */
int fid_timer_new(struct fid_core *core); /* before the first step */
void fid_step(struct fid_core *core, struct finf_event event);
uint64_t fid_slot_take(struct fid_core *core, enum slot_kind kind, void *what); /* 0 = full */
void fid_slot_give(struct fid_core *core, uint64_t id);
void fid_model_label(const struct fid_model *model, char *text, size_t len); /* NAME:VERSION */

/* models.c */
void fid_end_waiting(struct fid_core *core);
struct fid_model *fid_model_find(struct fid_core *core, const char *name, int *ret_err);
void fid_members_close(struct fid_model *model); /* before its model is closed */
void fid_model_changed(struct fid_core *core, const char *name);
void fid_model_heal(struct fid_core *core, struct fid_model *model);
int fid_prepare_all(struct fid_core *core, struct finf_diag *diag);

/* fast.c */
int fid_fast_new(struct fid_core *core, bool on);
void fid_fast_stop(struct fid_core *core); /* ends the thread; its job comes back to the loop */
bool fid_fast_possible(const struct fid_core *core);
bool fid_fast_lean(const struct fid_model *model); /* asked for, or a group made so */
bool fid_fast_allowed(const struct fid_core *core, const struct fid_model *model);
void fid_fast_price(struct fid_core *core, const struct finf_action *action);
void fid_fast_grow(struct fid_core *core, const struct finf_action *action);
void fid_fast_shrink(struct fid_core *core, const struct finf_action *action);
/** A run of what may go either way took so long. */
void fid_fast_ran(struct fid_core *core, struct fid_model *model, uint64_t ns);
void fid_fast_forget(struct fid_core *core, struct fid_model *model); /* before it is closed */

/* request.c */
void fid_request_admit(struct fid_core *core, struct fid_request *request);
void fid_request_run(struct fid_core *core, struct fid_request *request, uint64_t zone_bytes);
void fid_request_end(struct fid_core *core, struct fid_request *request, int result);

/* decisions.c */
void fid_decide(struct fid_core *core, const struct finf_action *action, uint64_t now_ns);
int fid_record_open(struct fid_core *core, const char *path, const struct finf_policy_opts *opts,
		    struct finf_diag *diag);
void fid_record(struct fid_core *core, const struct finf_event *event, uint64_t now_ns,
		const struct finf_action *actions, int n_actions);

void fid_busy_end(struct fid_core *core);

#endif
