/* SPDX-License-Identifier: MIT */
/* Tests of load: a file of random segments, a pool, and one load of it. */
#ifndef FI_TESTS_LOAD_FIXTURE_H
#define FI_TESTS_LOAD_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/load.h"
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

static inline void make_pool(struct fixture *f)
{
	f->pool = (struct finf_pool_memory){.bytes = POOL_BYTES, .host_visible = true};
	f->pool.base = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	ck_assert_ptr_ne(f->pool.base, MAP_FAILED);
}

/*
 * Segments of the given lengths, in the pool one after the other with a page
 * between them, in the file in the opposite order.
 */
static inline void make_file(struct fixture *f, const char *path, const uint64_t *bytes, uint32_t n)
{
	uint64_t at = 4 * KIB, seed = n; /* as behind a header */
	uint8_t *to;

	make_pool(f);
	to = (uint8_t *)f->pool.base + 4 * KIB;
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
	for (uint32_t i = 0; i < n; i++, to += 4 * KIB) {
		f->segments[i].to = to;
		f->segments[i].xxh3 = finf_hash64(f->content + f->segments[i].file_offset, bytes[i]);
		to += bytes[i];
	}
	ck_assert(to <= (uint8_t *)f->pool.base + POOL_BYTES);
	f->fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
	ck_assert_int_ge(f->fd, 0);
	ck_assert_int_eq(finf_pwrite_full(f->fd, f->content, at, 0), 0);
	ck_assert_int_eq(fsync(f->fd), 0);
}

static inline void drop_file(struct fixture *f)
{
	close(f->fd);
	free(f->content);
	munmap(f->pool.base, POOL_BYTES);
}

static inline void forget_cached(const struct fixture *f)
{
	ck_assert_int_eq(fdatasync(f->fd), 0);
	ck_assert_int_eq(posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* One assertion for all: Check reports each one through a file. */
static inline bool untouched(const uint8_t *from, const uint8_t *to)
{
	while (from < to && *from == CANARY)
		from++;
	return from >= to;
}

/* The first @published segments are in place; nothing lies where nothing belongs. */
static inline void check_pool(const struct fixture *f, uint32_t published)
{
	const uint8_t *base = f->pool.base, *end = base;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct finf_load_segment *s = &f->segments[i];

		ck_assert(untouched(end, s->to));
		if (i < published)
			ck_assert(!memcmp(s->to, f->content + s->file_offset, s->bytes));
		end = (uint8_t *)s->to + s->bytes;
	}
	ck_assert(untouched(end, end + 4 * KIB));
}

static inline void wipe_pool(struct fixture *f)
{
	uint64_t bytes = (uint64_t)((uint8_t *)f->segments[f->n - 1].to - (uint8_t *)f->pool.base) +
			 f->segments[f->n - 1].bytes + 8 * KIB;

	memset(f->pool.base, CANARY, FINF_MIN(bytes, POOL_BYTES));
}

static inline void make_loader(struct fixture *f, const struct finf_loader_opts *opts)
{
	struct finf_diag diag;

	ck_assert_int_eq(finf_loader_new(NULL, &f->pool, opts, &f->loader, &diag), 0);
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
