/* SPDX-License-Identifier: MIT */
/*
 * load - one thread, one io_uring: segments of a file -> verified bytes in
 * the pool, published in order. Falls back, says so once, and stays correct.
 * Must not know: what the bytes mean, who asked, what is evicted for them.
 */
#ifndef FINF_LOAD_H
#define FINF_LOAD_H

#include "base/base.h"
#include "device/device.h"

/*
 * How bytes travel. AUTO measures nothing: it takes the best that works here,
 * which is staging wherever there is a ring (Documentation/internals/load.md).
 */
enum finf_load_mode {
	FINF_LOAD_AUTO = 0,
	FINF_LOAD_DIRECT,  /* O_DIRECT read_fixed into the registered pool, when it is host_visible */
	FINF_LOAD_STAGING, /* O_DIRECT read_fixed into hot registered slots, then copied on */
	FINF_LOAD_PREAD,   /* no io_uring: preadv2 by the loader thread */
};

struct finf_load_segment {
	uint64_t file_offset, bytes; /* both multiples of 4096 */
	uint64_t xxh3;
	void *to; /* pool address */
};

struct finf_loader_opts {
	size_t size; /* sizeof(struct finf_loader_opts) */
	enum finf_load_mode mode;
	/* 0 = 8 MiB, 16 where the pool is not host_visible; less where RLIMIT_MEMLOCK asks for it */
	uint64_t staging_bytes;
	uint32_t block_bytes;	/* 0 = 1 MiB */
	uint32_t depth;		/* 0 = 8 blocks in flight */
	bool no_checksum;	/* benchmarks only */
	/* Tests: called on the loader thread before each block is submitted. */
	void (*slow)(void *ctx, uint64_t file_offset);
	void *slow_ctx;
};

/* What a load did; every load logs it. */
struct finf_load_report {
	uint64_t bytes, ns; /* from submit to the last segment published */
	uint64_t cached_bytes; /* of bytes: served from the page cache */
	bool direct;	       /* O_DIRECT was used */
	enum finf_load_mode mode; /* PREAD when not direct */
};

struct finf_loader;
struct finf_load;

/**
 * Called on the loader thread when a load has ended, whatever the outcome.
 * Must be short and must not call back into the loader.
 * @param result  0; -EBADMSG checksum; -EIO; -ECANCELED; -ENOMEM; -EREMOTEIO the copy to the device
 */
typedef void (*finf_load_done_fn)(void *ctx, struct finf_load *load, int result,
				  const struct finf_diag *diag);

/**
 * finf_loader_new - start the thread, make and probe the ring, register
 * staging and (when memlock allows) the pool.
 * @param dev   whose pool it is; outlives the loader, and is not reset meanwhile. May be
 *              NULL when the pool is host_visible
 * @param pool  target of all loads; outlives the loader
 * Return: 0 also when a fallback was taken; -ENOMEM; -EAGAIN (no thread); -EREMOTEIO, -ENODEV
 * (the pool is not host_visible, and its device has a fault).
 */
int finf_loader_new(struct finf_device *dev, const struct finf_pool_memory *pool,
		    const struct finf_loader_opts *opts, struct finf_loader **ret_loader,
		    struct finf_diag *diag);
/** finf_loader_free - cancels what is queued, waits for what is in flight. Also after a
 * fault of the device, and before its reset: staging is the device's until then. */
void finf_loader_free(struct finf_loader *loader);

/** finf_loader_describe - lines "key=value": mode in use, why not a better one, registered bytes. */
void finf_loader_describe(const struct finf_loader *loader, char *text, size_t len);

/**
 * finf_load_start - queue a load; loads run one after the other, in order.
 * A load of no segments is done at once, on the loader thread.
 * @param fd        regular file, duplicated; reopened with O_DIRECT through /proc/self/fd
 * @param segments  copied
 * @param urgent    so many segments come in the load's turn; the others when no other load
 *                  waits, or when FINF_LOAD_OVERTAKE loads have gone before them
 * @param ret_load  the caller's reference: finf_load_unref() it. Any thread.
 * Return: 0; -ENOMEM; -EINVAL misaligned segment, or outside the pool; -EBADF, -EMFILE.
 */
int finf_load_start(struct finf_loader *loader, int fd, const char *name,
		    const struct finf_load_segment *segments, uint32_t n_segments, uint32_t urgent,
		    finf_load_done_fn done, void *ctx, struct finf_load **ret_load);
#define FINF_LOAD_OVERTAKE 4
void finf_load_ref(struct finf_load *load);
void finf_load_unref(struct finf_load *load);

/** finf_load_cancel - stop soon; done is still called, with -ECANCELED. Any thread. */
void finf_load_cancel(struct finf_load *load);

/** finf_load_published - segments published so far, a prefix. Lock-free, any thread. */
uint32_t finf_load_published(const struct finf_load *load);

/**
 * finf_load_wait - until the first @n segments are published, or the load failed.
 * @param deadline_ns  CLOCK_MONOTONIC; 0 = none
 * Return: 0; the load's error; -ETIME. Any thread; cheap when it is so already.
 * Who waits may be back before done was called: @ctx of done must live until then.
 */
int finf_load_wait(struct finf_load *load, uint32_t n, uint64_t deadline_ns);

/** finf_load_why - what went wrong, in words. Valid once done was called, or
 * finf_load_wait() gave an error other than -ETIME. */
void finf_load_why(const struct finf_load *load, struct finf_diag *ret);

/** finf_load_report - valid once done was called, or the last segment was seen published. */
void finf_load_report(const struct finf_load *load, struct finf_load_report *ret);

#endif
