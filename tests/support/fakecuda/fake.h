/* SPDX-License-Identifier: MIT */
/*
 * fakecuda/fake - what the fake driver's files share. One lock guards all of
 * it; the worker threads of streams drop it while they copy or run kernels.
 *
 * Everything a stream does is an operation with a mark. A mark says "done";
 * an operation waits for the marks it depends on: events, the legacy stream
 * and graph launches need nothing else.
 */
#ifndef FI_TESTS_FAKECUDA_FAKE_H
#define FI_TESTS_FAKECUDA_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/cuda/cu.h"
#include "tests/support/fakecuda/fakecuda.h"

#define EXPORT	    __attribute__((visibility("default")))
#define POISON	    0xff /* what fresh memory holds */
#define GRANULARITY ((size_t)2 << 20)
#define MAX_DEVICES 4
#define MAX_STREAMS 64 /* of a context at a time; number 0 is the legacy stream */
#define LEGACY	    ((struct finf_cu_stream *)1)

/* The driver's interface: a definition that differs from our list does not compile. */
#define FINF_CU(name, symbol, version, need, args) EXPORT enum finf_cu_result symbol args;
#include "device/cuda/cu.def"
#undef FINF_CU

/* What is known to have happened: per stream, how many of its operations. */
struct clock {
	uint64_t seen[MAX_STREAMS];
};

struct mark {
	unsigned refs;
	bool done;
	uint64_t at_ns;	    /* when it was done */
	struct clock clock; /* what is known by whoever waits for it */
};

enum kind { COPY_IN, COPY_OUT, COPY_DEVICE, FILL, KERNEL, HOST_FUNC, PREFETCH, GRAPH, NOTHING };

/* What one operation or graph node does; owns @param. */
struct work {
	enum kind kind;
	uint64_t to, from; /* addresses */
	size_t bytes;	   /* of a kernel: those of its parameter */
	uint32_t value;
	unsigned value_bytes; /* 1 or 4 */
	fakecuda_kernel_fn kernel;
	struct fakecuda_grid grid;
	void *param;
	void (*host)(void *);
	void *user;
	struct finf_cu_graph_exec *exec;
};

struct op {
	struct op *next;
	struct work work;
	struct mark *mark;  /* set when it is done; owned reference */
	struct mark **deps; /* owned references */
	unsigned n_deps;
};

struct finf_cu_stream {
	struct finf_cu_stream *next;
	struct finf_cu_ctx *ctx;
	unsigned number, flags;
	struct clock clock;
	struct op *first, **last;
	struct mark *tail; /* of the newest operation; owned reference */
	pthread_t thread;
	bool running, stop;
	struct capture *capture; /* NULL when not capturing */
	struct node_set *ends;	 /* while capturing: what the next node depends on; owned */
};

struct finf_cu_event {
	struct finf_cu_event *next;
	unsigned flags;
	struct mark *mark;	 /* NULL: never recorded */
	struct capture *capture; /* recorded while capturing */
	struct node_set *ends;	 /* owned */
};

struct node_set {
	unsigned n;
	struct finf_cu_graph_node *nodes[];
};

struct finf_cu_graph_node {
	struct work work;
	unsigned index;
	struct node_set *deps; /* owned */
};

struct finf_cu_graph {
	struct finf_cu_graph *next;
	unsigned n;
	struct finf_cu_graph_node **nodes; /* owned, in the order of capture */
};

struct finf_cu_graph_exec {
	struct finf_cu_graph_exec *next;
	struct finf_cu_graph *graph; /* owned copy */
	struct mark *last;	     /* of the newest launch; owned reference */
};

struct capture {
	struct capture *next;
	struct finf_cu_graph *graph; /* owned until the capture ends */
	struct finf_cu_stream *origin;
	enum finf_cu_capture_mode mode;
	pthread_t thread;
	bool broken;
};

/* An access by queued or finished work, to find work that is not ordered. */
struct access {
	uint64_t at;
	size_t bytes;
	bool write;
	unsigned stream;
	uint64_t seq;
};

#define N_ACCESSES 512

struct finf_cu_ctx {
	unsigned device, retained;
	bool live;
	enum finf_cu_result sticky;
	struct finf_cu_stream *streams; /* the legacy one is always among them */
	struct finf_cu_stream *legacy;
	struct finf_cu_event *events;
	struct finf_cu_graph *graphs;
	struct finf_cu_graph_exec *execs;
	struct finf_cu_module *modules;
	struct capture *captures;
	unsigned pending;	      /* operations that are not done */
	unsigned running;	      /* kernels that run now */
	uint64_t issued[MAX_STREAMS]; /* operations so far, by number of stream */
	struct clock host;	      /* what the host has waited for */
	struct access accesses[N_ACCESSES];
	unsigned n_accesses;
};

enum memory_kind { DEVICE_MEMORY, MANAGED_MEMORY, HOST_OWN, HOST_REGISTERED, MAPPED };

/* A range of addresses the driver knows. */
struct memory {
	struct memory *next;
	enum memory_kind kind;
	struct finf_cu_ctx *ctx;
	uint64_t at, alias; /* alias: where the fake itself may always reach managed memory */
	size_t bytes;
	bool accessible;	  /* MAPPED: access was set */
	struct physical *backing; /* MAPPED */
};

struct fake {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic int pid; /* who called cuInit; 0: nobody yet */
	unsigned n_devices;
	size_t memory_bytes;
	bool concurrent;
	uint64_t random;
	uint64_t delay_us;
	bool lets_go;
	struct finf_cu_ctx ctx[MAX_DEVICES];
	struct memory *memory;
	unsigned violations;
	char violation[256];
};
extern struct fake fake;
extern _Thread_local bool fake_in_host_function;

/* What a call needs. UNSAFE calls are forbidden while a capture is going on. */
enum { NEED_INIT = 1, NEED_CONTEXT = 2, UNSAFE = 4 };

/**
 * fake_enter - checks and takes the lock; whatever is returned but success is
 * to be returned by the caller, the lock is not held then.
 */
enum finf_cu_result fake_enter(const char *name, unsigned needs);
enum finf_cu_result fake_leave(enum finf_cu_result result);
struct finf_cu_ctx *fake_current(void);
void fake_violate(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The code that this call of @name is to return; 0: none. Lock held. */
unsigned fake_injected(const char *name);
uint64_t fake_random(void);
void *fake_alloc(size_t bytes); /* zeroed; ends the process when there is none */

/* memory */
void *memory_pointer(uint64_t at);
size_t memory_round_up(size_t bytes, size_t to);
bool memory_take(unsigned device, size_t bytes); /* false when the device has less */
void memory_give(unsigned device, size_t bytes);
size_t memory_left(unsigned device);
void memory_share(const char *path); /* with other processes; NULL: with nobody */
struct memory *memory_add(enum memory_kind kind, uint64_t at, size_t bytes);
void memory_remove(struct memory *gone);
struct memory *memory_at(uint64_t at, enum memory_kind kind); /* the one that begins there */
struct memory *memory_find(uint64_t at, size_t bytes);	      /* the one that holds it all */
bool memory_overlaps(uint64_t at, size_t bytes, enum memory_kind kind);
bool device_reachable(uint64_t at, size_t bytes); /* allocations, or mappings side by side */
void *memory_alias(uint64_t at);
void memory_protect(struct finf_cu_ctx *ctx, bool closed);
void memory_destroy(struct finf_cu_ctx *ctx);

/* streams */
struct finf_cu_stream *stream_find(struct finf_cu_stream *handle);
void stream_new_legacy(struct finf_cu_ctx *ctx);
void streams_destroy(struct finf_cu_ctx *ctx);
/** Queue or capture; takes work->param over in every case. */
enum finf_cu_result stream_do(struct finf_cu_stream *stream, struct work work);
/** Queue, also after @after when that is not NULL. Return: its mark, borrowed. */
struct mark *stream_issue(struct finf_cu_stream *stream, struct work work, struct mark *after);
/** Work on the legacy stream would have to wait for a capture, which never runs. */
enum finf_cu_result stream_check_legacy(struct finf_cu_stream *stream);
void events_destroy(struct finf_cu_ctx *ctx);
/** The host knows now what @mark stands for; NULL: nothing new. */
void host_learns(struct finf_cu_ctx *ctx, const struct mark *mark);
void context_drain(struct finf_cu_ctx *ctx); /* lock held, dropped while waiting */
void mark_wait(struct finf_cu_ctx *ctx, struct mark *mark);
struct mark *mark_ref(struct mark *mark);
void mark_unref(struct mark *mark);
bool work_pending_on(struct finf_cu_ctx *ctx, uint64_t at, size_t bytes);
/** Carry out without the lock; success, or what becomes sticky. */
enum finf_cu_result work_run(struct finf_cu_ctx *ctx, const struct work *work);

/* graphs */
struct node_set *set_copy(const struct node_set *set);
struct node_set *set_join(struct node_set *a, const struct node_set *b); /* frees @a */
enum finf_cu_result capture_add(struct finf_cu_stream *stream, struct work *work);
enum finf_cu_result capture_forbids(struct finf_cu_ctx *ctx);
void capture_break(struct finf_cu_ctx *ctx);
void capture_drop(struct finf_cu_stream *stream); /* end it, with nothing to show for it */
void graphs_destroy(struct finf_cu_ctx *ctx);
enum finf_cu_result graph_run(struct finf_cu_ctx *ctx, const struct finf_cu_graph *graph);

/* kernels */
void modules_destroy(struct finf_cu_ctx *ctx);

#endif
