/* SPDX-License-Identifier: MIT */
/*
 * load: what its files share. loader.c owns the thread and the queue, load.c
 * what others see of one load, stream.c runs one load: read.c through preadv2,
 * ring.c through io_uring.
 */
#ifndef FINF_LOAD_PRIV_H
#define FINF_LOAD_PRIV_H

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "load/load.h"

#define LOAD_ALIGN 4096u
/* The kernel takes no larger registered buffer. */
#define LOAD_BUFFER_MAX (1u << 30)
#define LOAD_ENDED (1u << 31)

struct finf_load {
	/* Segments published, and LOAD_ENDED: the word that waiters sleep on. */
	atomic_uint progress;
	atomic_uint waiters, refs;
	atomic_bool cancel;
	int result; /* valid once LOAD_ENDED is seen */

	int fd; /* owned */
	finf_load_done_fn done;
	void *ctx;
	uint64_t start_ns;
	struct finf_load_report report;
	struct finf_diag diag;
	struct finf_load *next; /* in the loader's queue */
	const char *name;	/* behind the segments */
	uint64_t bytes;		/* of all segments */
	uint32_t n_segments;
	uint32_t upto;	       /* segments to read in this turn: the urgent ones, then all */
	uint32_t overtaken;    /* loads that went before the rest of this one */
	uint64_t cached_bytes; /* of earlier turns */
	struct finf_load_segment segments[];
};

struct load_ring {
	struct io_uring uring;
	bool on, deferred;     /* there is a ring; with DEFER_TASKRUN */
	bool fixed_file;       /* slot 0 of its file table is ours to set */
	bool fixed_buffers;    /* staging, or the pool for DIRECT, is registered */
	uint8_t *staging;      /* owned mapping; NULL for DIRECT */
	uint64_t staging_bytes;
	uint64_t registered_bytes;
	const char *pages; /* of staging: "huge", "thp", "4k" */
};

typedef void (*load_copy_fn)(void *to, const void *from, size_t bytes);

struct finf_loader {
	struct finf_loader_opts opts; /* with the defaults filled in, mode never AUTO */
	uint8_t *pool;
	uint64_t pool_bytes;
	struct load_ring ring; /* touched by the loader thread only */
	struct load_block *window; /* owned; n_window entries, of blocks in flight or not yet in turn */
	uint32_t n_window;
	XXH3_state_t *hash; /* owned */
	load_copy_fn copy;

	pthread_t thread;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t wake;  /* the queue, stop or ready changed */
	struct finf_load *head, **tail, *running;
	struct finf_load *rest, **rest_tail; /* loads whose urgent part is there */
	bool stop, ready;
	char why[192];	     /* not a better mode, empty when it is the best */
	char no_direct[192]; /* the first file that refused O_DIRECT, and why */
};

/*
 * One load under way. Bytes are retired strictly in order: hashed, brought to
 * their place, and published with the last one of their segment.
 */
struct load_stream {
	struct finf_loader *loader;
	struct finf_load *load;
	uint32_t segment; /* the next byte to retire: */
	uint64_t at;	  /* of segments[segment] */
	int direct_fd;	  /* owned, -1 = none */
	uint32_t align;	  /* what O_DIRECT asks for on this file */
	uint64_t cached_bytes;
	bool direct;
};

/* A piece of one segment; the segment's last piece completes it. */
struct load_block {
	uint64_t file_offset;
	uint8_t *into; /* where the read puts it: a staging slot or the pool */
	uint32_t bytes, done;
	uint32_t tries;
	int err;      /* for good; told in its turn */
	bool arrived; /* all of it, or err */
};

/* load.c */
struct finf_load *finf_load_make(const char *name, const struct finf_load_segment *segments,
				 uint32_t n_segments);
void finf_load_publish(struct finf_load *load, uint32_t n);
void finf_load_end(struct finf_load *load, int result);

/* stream.c */
int finf_load_run(struct finf_loader *loader, struct finf_load *load);
bool finf_stream_done(const struct load_stream *st);
bool finf_stream_canceled(const struct load_stream *st);
int finf_stream_retire(struct load_stream *st, const uint8_t *data, uint32_t bytes);
int finf_stream_ended_early(struct load_stream *st, uint64_t file_offset);
void finf_stream_before_read(const struct load_stream *st, uint64_t file_offset);
int finf_stream_read_failed(struct load_stream *st, uint64_t file_offset, int err);

/* read.c: each goes as far as it can; 0 also when something is left for the next. */
int finf_read_cached(struct load_stream *st);
int finf_read_plain(struct load_stream *st, int fd);

/* ring.c */
void finf_ring_init(struct finf_loader *loader);
void finf_ring_fini(struct finf_loader *loader);
int finf_ring_read(struct load_stream *st);

/* copy.c */
load_copy_fn finf_load_copy_pick(void);

#endif
