/* SPDX-License-Identifier: MIT */
/* Tests of load: a file of random segments, a pool, and one load of it. */
#ifndef FI_TESTS_LOAD_FIXTURE_H
#define FI_TESTS_LOAD_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/load.h"
#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define POOL_BYTES (96 * MIB)
#define CANARY 0xa5
#define SEGMENTS_MAX 64

struct fixture {
	int fd;
	uint32_t n;
	struct finf_load_segment segments[SEGMENTS_MAX];
	uint8_t *content; /* of the file */
	uint64_t file_bytes;
	struct finf_pool_memory pool;
	struct finf_loader *loader;
	/* Set before make_file() for a pool on fakecuda, and one of another size: */
	const char *pool_mode;
	uint64_t pool_bytes;
	struct finf_device *dev;
	struct fakedriver fake;
	uint8_t *mirror; /* what was read back from the device */
};

/* What a done callback saw. */
struct outcome {
	atomic_int calls, result;
	struct finf_diag diag;
	uint32_t published;
};

static inline void on_done(void *ctx, struct finf_load *load, int result,
			   const struct finf_diag *diag)
{
	struct outcome *o = ctx;

	o->diag = *diag;
	o->published = finf_load_published(load);
	atomic_store(&o->result, result);
	atomic_fetch_add(&o->calls, 1);
}

/* The calling thread has no context: whoever needs one brings it. */
static inline void make_device_pool(struct fixture *f)
{
	struct finf_diag diag = {""};

	f->fake = fakedriver_start();
	finf_cuda_leave(f->fake.cuda);
	ck_assert_msg(!finf_device_open("cuda", &f->dev, &diag), "%s", diag.text);
	ck_assert_msg(!finf_device_pool_new(f->dev, f->pool_bytes, f->pool_mode, &f->pool, &diag),
		      "%s", diag.text);
	f->mirror = malloc(f->pool_bytes);
	ck_assert_ptr_nonnull(f->mirror);
}

static inline void make_pool(struct fixture *f)
{
	if (!f->pool_bytes)
		f->pool_bytes = POOL_BYTES;
	if (f->pool_mode) {
		make_device_pool(f);
		return;
	}
	f->pool = (struct finf_pool_memory){.bytes = f->pool_bytes, .host_visible = true};
	f->pool.base = mmap(NULL, f->pool_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	ck_assert_ptr_ne(f->pool.base, MAP_FAILED);
}

static inline void place_segments(struct fixture *f)
{
	uint8_t *to = (uint8_t *)f->pool.base + 4 * KIB;

	for (uint32_t i = 0; i < f->n; i++, to += 4 * KIB) {
		f->segments[i].to = to;
		to += f->segments[i].bytes;
	}
	ck_assert(to <= (uint8_t *)f->pool.base + f->pool_bytes);
}

/*
 * Segments of the given lengths, in the pool one after the other with a page
 * between them, in the file in the opposite order.
 */
static inline void make_file(struct fixture *f, const char *path, const uint64_t *bytes, uint32_t n)
{
	uint64_t at = 4 * KIB, seed = n; /* as behind a header */

	make_pool(f);
	f->n = n;
	for (uint32_t i = n; i-- > 0; at += bytes[i])
		f->segments[i] = (struct finf_load_segment){.file_offset = at, .bytes = bytes[i]};
	f->file_bytes = at;
	f->content = malloc(at);
	ck_assert_ptr_nonnull(f->content);
	for (uint64_t i = 0; i < at; i += 8) {
		uint64_t word = test_random(&seed);

		memcpy(f->content + i, &word, 8);
	}
	for (uint32_t i = 0; i < n; i++)
		f->segments[i].xxh3 = finf_hash64(f->content + f->segments[i].file_offset, bytes[i]);
	place_segments(f);
	f->fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
	ck_assert_int_ge(f->fd, 0);
	ck_assert_int_eq(finf_pwrite_full(f->fd, f->content, at, 0), 0);
	ck_assert_int_eq(fsync(f->fd), 0);
}

static inline void drop_file(struct fixture *f)
{
	close(f->fd);
	free(f->content);
	if (!f->dev) {
		munmap(f->pool.base, f->pool_bytes);
		return;
	}
	free(f->mirror);
	finf_device_pool_free(f->dev, &f->pool);
	finf_device_close(f->dev);
	ck_assert_int_eq(finf_cuda_enter(f->fake.cuda, NULL), 0);
	fakedriver_stop(&f->fake); /* nothing is left, nothing was violated */
}

/* Without a heap: who counts what is allocated asks as well. */
static inline bool any_cached(const struct fixture *f)
{
	unsigned char there[256] = {0}; /* pages */
	uint64_t step = sizeof(there) * 4096;
	bool any = false;
	char *map = mmap(NULL, f->file_bytes, PROT_READ, MAP_SHARED, f->fd, 0);

	ck_assert(map != MAP_FAILED);
	for (uint64_t at = 0; at < f->file_bytes && !any; at += step) {
		ck_assert_int_eq(mincore(map + at, FINF_MIN(step, f->file_bytes - at), there), 0);
		for (size_t i = 0; i < sizeof(there); i++)
			any |= there[i] & 1;
	}
	munmap(map, f->file_bytes);
	return any;
}

/* The kernel keeps pages that somebody has a hand on just then: asked again, it lets go. To those
 * who may not write the file it calls all of them cached. */
static inline void forget_cached(const struct fixture *f)
{
	for (int tries = 0; tries < 50; tries++) {
		ck_assert_int_eq(fdatasync(f->fd), 0);
		ck_assert_int_eq(posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		if (!any_cached(f))
			return;
		poll(NULL, 0, 2);
	}
}

/* One assertion for all: Check reports each one through a file. */
static inline bool untouched(const uint8_t *from, const uint8_t *to)
{
	while (from < to && *from == CANARY)
		from++;
	return from >= to;
}

static inline uint64_t offset_of(const struct fixture *f, uint32_t segment)
{
	return (uint64_t)((uint8_t *)f->segments[segment].to - (uint8_t *)f->pool.base);
}

static inline uint64_t used_bytes(const struct fixture *f)
{
	return FINF_MIN(offset_of(f, f->n - 1) + f->segments[f->n - 1].bytes + 8 * KIB,
			f->pool_bytes);
}

/* The first @published segments are in place; nothing lies where nothing belongs. */
static inline void check_pool(const struct fixture *f, uint32_t published)
{
	const uint8_t *base = f->dev ? f->mirror : f->pool.base, *end = base;

	if (f->dev)
		ck_assert_int_eq(finf_device_read(f->dev, f->mirror, f->pool.base, used_bytes(f)),
				 0);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct finf_load_segment *s = &f->segments[i];
		const uint8_t *at = base + offset_of(f, i);

		ck_assert(untouched(end, at));
		if (i < published)
			ck_assert(!memcmp(at, f->content + s->file_offset, s->bytes));
		end = at + s->bytes;
	}
	ck_assert(untouched(end, end + 4 * KIB));
}

static inline void wipe_pool(struct fixture *f)
{
	memset(f->dev ? f->mirror : f->pool.base, CANARY, used_bytes(f));
	if (f->dev)
		ck_assert_int_eq(finf_device_write(f->dev, f->pool.base, f->mirror, used_bytes(f)),
				 0);
}

/* From any thread, and without assertions: is this segment in its place? */
static inline bool segment_is_right(const struct fixture *f, uint32_t segment)
{
	const struct finf_load_segment *s = &f->segments[segment];
	uint8_t *copy = f->dev ? malloc(s->bytes) : s->to;
	bool ok = copy && (!f->dev || !finf_device_read(f->dev, copy, s->to, s->bytes)) &&
		  !memcmp(copy, f->content + s->file_offset, s->bytes);

	if (f->dev)
		free(copy);
	return ok;
}

static inline void make_loader(struct fixture *f, const struct finf_loader_opts *opts)
{
	struct finf_diag diag;

	ck_assert_int_eq(finf_loader_new(f->dev, &f->pool, opts, &f->loader, &diag), 0);
}

static inline struct finf_load *start_load(struct fixture *f, struct outcome *o)
{
	struct finf_load *load;

	ck_assert_int_eq(
		finf_load_start(f->loader, f->fd, "model", f->segments, f->n, 0, on_done, o, &load),
		0);
	return load;
}

/* One load from start to end; what it returned. */
static inline int load_all(struct fixture *f, struct outcome *o, struct finf_load_report *report)
{
	struct finf_load *load;
	int err;

	*o = (struct outcome){0};
	wipe_pool(f);
	load = start_load(f, o);
	err = finf_load_wait(load, f->n, 0);
	if (!err)
		check_pool(f, f->n);
	else
		check_pool(f, finf_load_published(load));
	while (!atomic_load(&o->calls)) /* who waits may be first */
		sched_yield();
	finf_load_report(load, report);
	finf_load_unref(load);
	return err;
}

static inline bool described(const struct fixture *f, const char *line)
{
	char text[1024] = "\n", want[128];

	finf_loader_describe(f->loader, text + 1, sizeof(text) - 1);
	snprintf(want, sizeof(want), "\n%s", line);
	return strstr(text, want);
}

static inline uint64_t described_number(const struct fixture *f, const char *key)
{
	char text[1024];
	const char *at;

	finf_loader_describe(f->loader, text, sizeof(text));
	at = strstr(text, key);
	ck_assert_ptr_nonnull(at);
	return strtoull(at + strlen(key) + 1, NULL, 10);
}

#endif
