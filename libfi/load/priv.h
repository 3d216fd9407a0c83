/* SPDX-License-Identifier: MIT */
/*
 * load: what its files share. loader.c owns the thread and the queue, load.c
 * what others see of one load, stream.c runs one load: read.c through preadv2,
 * ring.c through io_uring, by way of staging.c, and upload.c where the pool is
 * a device's own.
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
	uint64_t registered_bytes;
};

/* Slots of opts.block_bytes that reads go to; none for DIRECT, nor for PREAD into a visible pool. */
struct load_staging {
	uint8_t *base; /* owned mapping */
	uint64_t bytes;
	const char *pages; /* "huge", "thp", "4k" */
};

typedef void (*load_copy_fn)(void *to, const void *from, size_t bytes);

struct finf_loader {
	struct finf_loader_opts opts; /* with the defaults filled in, mode never AUTO */
	uint8_t *pool;
	uint64_t pool_bytes;
	bool visible; /* the CPU may write to the pool; else all goes through staging and the device */
	struct finf_device *dev; /* borrowed */
	/* Touched by the loader thread only: */
	struct finf_upload *upload; /* owned; NULL: the pool is visible, or staging was refused */
	struct load_ring ring;
	struct load_staging staging;
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
	int init_err; /* valid once ready */
	char why[256];	     /* not a better mode, empty when it is the best */
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
	/*
	 * Blocks in file order since the load began; those whose copy to the device is
	 * under way lie between. Block i has entry i % n_window of the window.
	 */
	uint64_t retired, landed;
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
	uint32_t publishes; /* segments that are whole once it has landed; 0: none more */
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
void finf_stream_publish(struct load_stream *st, uint32_t n);
void finf_stream_before_read(const struct load_stream *st, uint64_t file_offset);
int finf_stream_read_failed(struct load_stream *st, uint64_t file_offset, int err);

/* read.c: each goes as far as it can; 0 also when something is left for the next. */
int finf_read_cached(struct load_stream *st);
int finf_read_plain(struct load_stream *st, int fd);

/* ring.c */
int finf_ring_init(struct finf_loader *loader);
void finf_ring_fini(struct finf_loader *loader);
int finf_ring_register_pool(struct finf_loader *loader, uint64_t lockable);
void finf_ring_register_staging(struct finf_loader *loader);
int finf_ring_read(struct load_stream *st);

/* staging.c. A failure only where no memory could be had for a pool that needs staging. */
int finf_buffers_init(struct finf_loader *loader);
void finf_buffers_fini(struct finf_loader *loader);
void finf_load_because(struct finf_loader *loader, const char *fmt, ...) FINF_PRINTF(2, 3);
uint8_t *finf_staging_slot(const struct finf_loader *loader, uint64_t i);

/*
 * upload.c: for pools that are not visible. Slots are free again, and segments
 * published, as copies land, in the order in which they were sent.
 */
int finf_upload_send(struct load_stream *st, void *to, const uint8_t *data, uint32_t bytes);
int finf_upload_land(struct load_stream *st, bool wait_for_one);
int finf_upload_finish(struct load_stream *st);

/* copy.c */
load_copy_fn finf_load_copy_pick(void);

#endif
