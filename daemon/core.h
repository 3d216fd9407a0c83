/* SPDX-License-Identifier: MIT */
/*
 * daemon/core - models and requests on the loop thread: feeds events to the
 * policy and carries out its actions through pool, loader and workers.
 * Must not know: sockets, frames, JSON. Loop thread only, unless said otherwise.
 */
#ifndef FID_CORE_H
#define FID_CORE_H

#include "daemon/catalogue.h"
#include "daemon/loop.h"
#include "daemon/metrics.h"
#include "engine/engine.h"
#include "policy/policy.h"

#define FID_MODELS_MAX 10000
#define FID_REQUESTS_MAX 1024
#define FID_TENSORS_MAX 64
#define FID_EVENTS_KEPT 1024

struct fid_core;

struct fid_core_opts {
	const char *root;   /* catalogue folder */
	const char *device; /* "host", "cuda", "cuda:1" */
	struct finf_device *opened; /* that device, taken whatever the outcome; NULL = not opened yet */
	uint64_t pool_bytes;
	uint64_t prefetch_bytes; /* loaded ahead and unused, at most; 0 = no prefetch */
	bool fast_forms; /* busy models may earn larger, faster forms of their weights */
	const char *pool_mode; /* NULL = the device's choice */
	uint32_t threads;      /* per run; 0 = one per core */
	const char *record;    /* file for events and actions, NULL = none */
	struct fid_metrics *metrics; /* borrowed; for at least FID_MODELS_MAX models */
};

enum fid_device_state { FID_DEVICE_OK = 0, FID_DEVICE_LOST, FID_DEVICE_RESETTING, FID_DEVICE_GONE };

enum fid_model_state { FID_MODEL_PREPARING = 0, FID_MODEL_READY, FID_MODEL_FAILED, FID_MODEL_GONE };

/* What others may read about a model; the rest is in core.c. */
struct fid_model_info {
	uint32_t index; /* the policy's number */
	char name[132];
	uint32_t version;
	enum fid_model_state state;
	char error[256]; /* when failed */
	uint64_t file_bytes;
	const struct finf_model *model; /* NULL unless ready */
	struct finf_load_report last_load;
	struct finf_policy_model policy;
	struct finf_policy_why why; /* what is predicted about it */
	struct finf_policy_fast fast;
	bool lean; /* it never takes a larger form: `optimize`, or a group made so */
	uint64_t lean_run_ns, fast_run_ns; /* means of warm runs; 0 = none yet */
	char why_other[144];	    /* NAME:VERSION it follows, or "" */
};

/* One inference, from the caller's memory and back into it. */
struct fid_request {
	struct fid_job job;    /* core's */
	struct fid_model *model; /* core's */
	struct finf_model *target; /* core's: the model's, or a member of it */
	struct finf_model *runner; /* core's: what runs it, the target or its faster form */
	bool watched; /* core's: it may be either */
	char member[132];	   /* core's: "" = the whole model */
	uint64_t id;	       /* core's: the policy's number */
	uint32_t version;      /* of the model that was found; 0 = none */
	uint64_t arrived_ns, run_ns, done_ns;
	uint64_t load_ns; /* of the load it waited for */
	bool cold, waiting, running, cancelled;
	int result;
	struct finf_diag diag;
	struct fid_request *next_waiting; /* until the model is prepared */
	const struct finf_binding *binding; /* core's, on the exec thread */
	uint64_t arena_bytes;		     /* core's: of these input shapes */
	struct finf_load *load; /* owned while running */
	const void *weights, *grown;
	char *zone_end; /* of the arena zone */

	/* the caller fills these and keeps them alive until done() */
	uint64_t deadline_ns;
	/* Wanted outputs are malloc'd when their sizes are known, and the caller's to free();
	 * no outputs named = all of them. Otherwise each comes with its memory. */
	bool allocate;
	uint32_t n_inputs, n_outputs;
	/* On return both are in the model's order; wanted output i is outputs[output_at[i]]. */
	struct finf_tensor inputs[FID_TENSORS_MAX], outputs[FID_TENSORS_MAX];
	uint32_t output_at[FID_TENSORS_MAX], n_wanted;
	void *owner; /* the core never looks at it */
	/** done - on the loop, exactly once, also after fid_core_cancel(). */
	void (*done)(struct fid_request *request);
};

int fid_core_new(const struct fid_core_opts *opts, struct fid_loop *loop,
		 struct fid_core **ret_core, struct finf_diag *diag);
/** fid_core_free - after the loop has ended; waits for what still runs. */
void fid_core_free(struct fid_core *core);

/** fid_core_drain - finish what is there, refuse what is new, then @drained. */
void fid_core_drain(struct fid_core *core, void (*drained)(void *ctx), void *ctx);

/**
 * fid_core_request - take a request; done() is called later or at once.
 * @param model  "NAME" or "NAME:VERSION", with "/MEMBER" for one member of a group
 * Inputs are matched to the model by name, or by position without names.
 */
void fid_core_request(struct fid_core *core, const char *model, struct fid_request *request);
/** fid_core_cancel - nobody waits for it any more; done() still comes. */
void fid_core_cancel(struct fid_core *core, struct fid_request *request);

/* A command that ends later. Copied texts; @done on the loop, exactly once. */
typedef void (*fid_command_fn)(void *ctx, int result, const char *model, const char *text);

/* FID_AWAIT changes nothing: it ends when the model is no longer being prepared. */
enum fid_command { FID_LOAD, FID_UNLOAD, FID_PIN, FID_UNPIN, FID_REMOVE, FID_AWAIT, FID_OPTIMIZE };
void fid_core_command(struct fid_core *core, enum fid_command command, const char *model,
		      fid_command_fn done, void *ctx);
/** fid_core_optimize - may a model take larger, faster forms of its weights? Kept on disk. */
void fid_core_optimize(struct fid_core *core, const char *model, bool lean, fid_command_fn done,
		       void *ctx);
/** fid_core_import - a client's pack under a new version of @name. @fd is taken. */
void fid_core_import(struct fid_core *core, const char *name, int fd, fid_command_fn done,
		     void *ctx);

/**
 * fid_core_export - the master of a model, open for reading.
 * @param ret_fd  when @done is called without error: the descriptor, ours, until it returns
 */
void fid_core_export(struct fid_core *core, const char *name, int *ret_fd, fid_command_fn done,
		     void *ctx);

/**
 * fid_core_arrival - somebody saw a request coming for the newest version of a name.
 * @param name_hash  finf_hash64() of the name
 * @param seen_ns    when; a call from before the model left the pool is counted and no more:
 *                   its request has come to fid itself by then
 * Return: 0; 1: and it is being loaded for that reason now; -ENOENT.
 */
int fid_core_arrival(struct fid_core *core, uint64_t name_hash, enum finf_arrival source,
		     uint64_t seen_ns);

/**
 * fid_core_watch - called when a name becomes known or unknown, and when its
 * newest version comes into the pool (cold false) or leaves it. NULL = nobody.
 */
void fid_core_watch(struct fid_core *core,
		    void (*changed)(void *ctx, const char *name, bool known, bool cold), void *ctx);

/* ---- looking ------------------------------------------------------------- */

/** fid_core_find - newest version of NAME, or NAME:VERSION. 0; -ENOENT; -EINVAL not a name. */
int fid_core_find(struct fid_core *core, const char *name, struct fid_model_info *ret);
/** fid_core_list - every model in no order. */
void fid_core_list(struct fid_core *core,
		   void (*each)(void *ctx, const struct fid_model_info *info), void *ctx);

struct fid_core_stats {
	uint64_t started_ns;
	struct finf_mem_stats mem;
	uint64_t policy_weight_bytes, policy_arena_bytes;
	uint64_t fast_bytes; /* of the weights: larger, faster forms */
	bool fast_forms;     /* busy models may earn them */
	const char *device, *pool_mode, *pool_pages; /* static */
	enum fid_device_state device_state;
	uint32_t device_resets;
	char device_error[256]; /* when it is gone */
	uint64_t device_free_bytes; /* what the driver still has; UINT64_MAX: not told */
	char target[256];
	char http[64]; /* ADDR:PORT, "" when there is no such door */
	uint32_t threads;
	bool draining;
	uint32_t known, resident, loading;
	uint64_t done, failed, cold;
	uint32_t queued, running;
	uint64_t loads, load_bytes, load_ns, evictions, evicted_bytes;
	struct finf_policy_prefetch prefetch;
	uint64_t prefetch_budget_bytes;
	char loader[1024]; /* lines of key=value */
};
void fid_core_stats(struct fid_core *core, struct fid_core_stats *ret);
/** fid_core_metrics - what the core counts and doors add to; outlives the core. */
struct fid_metrics *fid_core_metrics(struct fid_core *core);
/** fid_core_http - the address to show in stats; copied. */
void fid_core_http(struct fid_core *core, const char *address);

/* One decision of the policy, kept for `events` and `why`. */
struct fid_decision {
	uint64_t seq, ns;
	struct finf_action action;
	char model[144], other[144]; /* NAME:VERSION or "" */
};
/** fid_core_decisions - the last @n about @model ("" = all), oldest first. */
void fid_core_decisions(struct fid_core *core, const char *model, uint32_t n,
			void (*each)(void *ctx, const struct fid_decision *decision), void *ctx);
/** fid_core_follow - called for each decision as it is made; NULL = nobody. */
void fid_core_follow(struct fid_core *core,
		     void (*each)(void *ctx, const struct fid_decision *decision), void *ctx);

#endif
