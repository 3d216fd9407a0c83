/* SPDX-License-Identifier: MIT */
/*
 * preload - libfi-preload.so stands between a program and the CUDA driver: the
 * program can be paused, its device memory taken away and brought back at the
 * same addresses. Whatever of ours fails, the program runs on as without us.
 * Must not know: the rest of libfi but the wire. Needs nothing but libc.
 */
#ifndef FIP_PRELOAD_H
#define FIP_PRELOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/wire.h"

#define FIP_EXPORT	__attribute__((visibility("default")))
#define FIP_LARGE_BYTES ((size_t)2 << 20) /* from here on memory can be taken away */
#define FIP_DEVICES_MAX 64

/* ---- the driver's interface, as far as we need it ------------------------------ */

enum {
	FIP_SUCCESS = 0,
	FIP_ERROR_INVALID_VALUE = 1,
	FIP_ERROR_OUT_OF_MEMORY = 2,
	FIP_ERROR_NOT_FOUND = 500,
};
enum { FIP_PINNED = 1, FIP_DEVICE = 1, FIP_POSIX_HANDLE = 1, FIP_READ_WRITE = 3 };

struct fip_location {
	unsigned type;
	int id;
};

struct fip_allocation {
	unsigned type, handle_types;
	struct fip_location location;
	void *windows; /* NULL */
	unsigned char flags[8];
};

struct fip_access {
	struct fip_location location;
	unsigned flags;
};

/* ---- the driver's calls --------------------------------------------------------- */

#define FIP_GATE(symbol, base, version, threads, params, args) FIP_EXPORT unsigned symbol params;
#include "preload/calls.def"

enum fip_index {
#define FIP_GATE(symbol, base, version, threads, params, args) FIP_##symbol,
#include "preload/calls.def"
	FIP_CALLS,
};

/* One call that we stand in front of. */
struct fip_call {
	const char *symbol, *base;
	int version;
	bool per_thread;
	void *wrapper;
};
extern const struct fip_call fip_calls[FIP_CALLS];
extern void *_Atomic fip_real[FIP_CALLS]; /* the driver's own; NULL: not found yet, or not there */
#define FIP_REAL(symbol) \
	((__typeof__(&symbol))atomic_load_explicit(&fip_real[FIP_##symbol], memory_order_acquire))
/* A program linked with the driver comes to our functions without a look-up before. */
#define FIP_PASS(symbol, args) \
	((FIP_REAL(symbol) || fip_bind()) && FIP_REAL(symbol) ? FIP_REAL(symbol) args \
							      : FIP_ERROR_NOT_FOUND)

/* Calls we make ourselves; NULL where the driver has none. */
struct fip_driver {
#define FIP_GATE(symbol, base, version, threads, params, args)
#define FIP_USE(symbol, params) unsigned (*symbol) params;
#include "preload/calls.def"
};
extern struct fip_driver fip_driver;

/* ---- real.c ---------------------------------------------------------------------- */

/** fip_bind - find the driver if it is loaded by now. Return: is it known? */
bool fip_bind(void);
/** fip_dlsym - the dlsym behind ours; NULL when there is none. */
void *(*fip_dlsym(void))(void *handle, const char *name);
/** fip_off - the kill switch is set, or this is a fork's child: stay out of it. */
bool fip_off(void);
extern _Atomic bool fip_forked;
void fip_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t fip_now_ns(void);

/* ---- gate.c: calls that use device memory pass one by one, or wait ----------------- */

enum fip_gate { FIP_OPEN = 0, FIP_DRAINING, FIP_CLOSED };
#define FIP_SHARDS 64
struct fip_shard {
	_Alignas(64) atomic_uint inside;
};
extern struct fip_shard fip_shards[FIP_SHARDS];
extern atomic_int fip_gate;
extern _Thread_local unsigned fip_slot, fip_depth;
void fip_enter_slowly(void);
unsigned fip_slot_new(void);

/* A call inside a call does not wait: whoever closes the gate waits for the outer one. */
static inline void fip_enter(void)
{
	if (fip_depth++)
		return;
	if (!fip_slot)
		fip_slot = fip_slot_new();
	atomic_fetch_add(&fip_shards[fip_slot % FIP_SHARDS].inside, 1);
	if (__builtin_expect(atomic_load(&fip_gate) != FIP_OPEN, 0))
		fip_enter_slowly();
}

static inline void fip_leave(void)
{
	if (!--fip_depth)
		atomic_fetch_sub_explicit(&fip_shards[fip_slot % FIP_SHARDS].inside, 1,
					  memory_order_release);
}

/**
 * fip_gate_drain - let nobody in, wait for those inside; also for captures to
 * end, with the gate open. Return: 0; -EBUSY somebody stayed, the gate is open.
 */
int fip_gate_drain(void);
/** fip_gate_close - after draining. Return: 0; -ECANCELED: waited too long, it is open. */
int fip_gate_close(void);
void fip_gate_open(void);
bool fip_gate_wanted(void); /* somebody waits at it */
void fip_gate_forked(void);

/* ---- capture.c: streams that are being captured ---------------------------------------- */

extern atomic_uint fip_captures; /* how many */
void fip_captures_forget(const void *ctx); /* the context is about to be destroyed */

/* ---- memory.c: what the program has allocated --------------------------------------- */

struct fip_block {
	struct fip_block *next;
	uint64_t at, handle;
	size_t bytes;	/* of the mapping; of a small allocation what was asked for */
	size_t offset;	/* in the memfd while it is away */
	void *ctx;
	int device;
	bool mapped; /* can be taken away; else the driver's own allocation */
	bool away;
};
extern _Atomic uint64_t fip_used_bytes, fip_pausable_bytes, fip_quota_bytes;
extern _Atomic bool fip_no_vmm; /* a device was met that cannot give memory this way */

/** fip_take - count @bytes against the quota. false: they do not fit. */
bool fip_take(uint64_t bytes);
void fip_give(uint64_t bytes);
/** fip_memory_new - @bytes at reserved addresses. false: let the driver do it. */
bool fip_memory_new(uint64_t *ret, size_t bytes);
/** fip_memory_note - the driver allocated @bytes, which were taken, at @at. */
void fip_memory_note(uint64_t at, size_t bytes);
/** fip_memory_free - Return: was it ours? Then it is freed; *ret_bytes: to be given back. */
bool fip_memory_free(uint64_t at, uint64_t *ret_bytes);
/** fip_memory_forget - the context is about to be destroyed: free what is ours in it. */
void fip_memory_forget(const void *ctx);
/** Every block; only while the gate is closed or from the thread that holds it. */
void fip_memory_each(void (*each)(void *ctx, struct fip_block *block), void *ctx);
/** Put memory behind a block's addresses, and take it away. Return: the driver's result. */
unsigned fip_block_create(struct fip_block *block);
unsigned fip_block_map(struct fip_block *block);
unsigned fip_block_unmap(struct fip_block *block);
/** fip_contexts - those seen; at most @max. */
unsigned fip_contexts(void **ret, unsigned max);

/* ---- swap.c: contents out and in; the gate is closed ---------------------------------- */

/** fip_swap_out - Return: 0, or -errno and nothing has changed. */
int fip_swap_out(void);
/** fip_swap_in - Return: 0, or -errno and everything is still outside. */
int fip_swap_in(void);
int fip_swap_fd(void); /* of the contents, -1 when there are none; borrowed */

/* ---- session.c: one thread that talks to fid -------------------------------------------- */

void fip_session_start(void); /* once; later calls cost a load */
void fip_session_wake(void);  /* something to tell */

#endif
