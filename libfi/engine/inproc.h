/* SPDX-License-Identifier: MIT */
/*
 * engine/inproc - the public in-process API: one lock, one pool, models by
 * name. Nothing is evicted here; who wants that talks to fid.
 */
#ifndef FINF_ENGINE_INPROC_H
#define FINF_ENGINE_INPROC_H

#include <pthread.h>
#include <string.h>

#include "engine/engine.h"

/* Outcome of a load, told by the loader's thread. */
struct finf_load_end {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
	int result;
	struct finf_diag diag;
};

struct finf_entry {
	struct finf_entry *next;    /* owned by the engine's list */
	char name[160];		    /* NAME or NAME:VERSION */
	struct finf_model *model;   /* owned */
	struct finf_extent *extent; /* in the engine's mem; NULL = not loaded, or no weights */
	bool loaded;
	uint64_t last_offset;	/* where the extent lay; UINT64_MAX = nowhere yet */
	uint64_t arena_bytes;	/* largest binding run since it was loaded */
	struct finf_load *load; /* owned reference while streaming, else NULL */
	struct finf_load_end end;
	struct finf_tensor *inputs, *outputs; /* owned: scratch of one call, in the graph's order */
	uint64_t load_bytes, load_ns, load_start_ns, runs, last_run_ns;
};

struct finf_engine {
	pthread_mutex_t lock; /* everything below, and every run */
	struct finf_device *dev;
	struct finf_pool_memory pool;
	struct finf_mem *mem;
	struct finf_loader *loader; /* NULL after a reset that failed */
	struct finf_entry *entries;
	uint32_t threads;
	unsigned how; /* FINF_PLAN_* */
};

/* ---- what the caller reads -------------------------------------------------- */

/** Every call of the API begins with no words, */
static inline void finf_words_begin(struct finf_diag *diag)
{
	if (diag)
		diag->text[0] = 0;
}

/** and ends with some when it failed: rooms say where and why, except when memory ended. */
static inline int finf_words_end(struct finf_diag *diag, int err)
{
	if (err && diag && !diag->text[0])
		finf_diag_set(diag, err, "%s", strerror(-err));
	return err;
}

/* ---- place.c: entries in and out of the pool; the lock is held --------------- */

/** Room for the weights and an arena, loading started (or done). 0; -ENOBUFS with the bytes
 * missing. */
int finf_entry_load_start(struct finf_engine *engine, struct finf_entry *entry,
			  uint64_t arena_bytes, struct finf_diag *diag);
/** Waits for the load to end; a failed one is undone. 0, or the load's error with its diag. */
int finf_entry_load_end(struct finf_engine *engine, struct finf_entry *entry,
			struct finf_diag *diag);
void finf_entry_unload(struct finf_engine *engine, struct finf_entry *entry);
/**
 * finf_engine_mend - before anything is asked of the device: when a fault has stuck all
 * models are unloaded and the device is reset. (mend.c)
 * Return: 0; -EREMOTEIO it could not be: the next call tries again.
 */
int finf_engine_mend(struct finf_engine *engine, struct finf_diag *diag);
void finf_engine_drop_all(struct finf_engine *engine); /* every model out of the pool */
struct finf_entry *finf_entry_find(struct finf_engine *engine, const char *name);

#endif
