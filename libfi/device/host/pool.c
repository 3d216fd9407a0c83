/* SPDX-License-Identifier: MIT */
/* host: the pool - one anonymous mapping on the largest pages to be had, touched once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/host/host.h"

#define HUGE_BYTES (2ull << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uint64_t mapped_bytes(uint64_t bytes)
{
	return finf_align_up(bytes, HUGE_BYTES);
}

/* Every page is there afterwards: no fault, and no surprise, while serving. */
static int touch(void *base, uint64_t bytes)
{
	volatile char *at = base;

	if (!madvise(base, bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL) /* EINVAL: an older kernel */
		return -ENOBUFS;
	for (uint64_t i = 0; i < bytes; i += 4096)
		at[i] = 0;
	return 0;
}

/* A mapping that starts on a huge page: map more, give back both ends. */
static void *map_aligned(uint64_t bytes)
{
	char *raw = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t head;

	if (raw == MAP_FAILED)
		return NULL;
	head = finf_align_up((uintptr_t)raw, HUGE_BYTES) - (uintptr_t)raw;
	if (head)
		munmap(raw, head);
	if (HUGE_BYTES - head)
		munmap(raw + head + bytes, HUGE_BYTES - head);
	return raw + head;
}

static void *map_pages(enum finf_host_pages pages, uint64_t bytes)
{
	void *base;

	if (pages == FINF_PAGES_HUGE) {
		base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		return base == MAP_FAILED ? NULL : base;
	}
	base = map_aligned(bytes);
	if (base &&
	    madvise(base, bytes, pages == FINF_PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    pages == FINF_PAGES_THP) {
		munmap(base, bytes);
		return NULL;
	}
	return base;
}

/* The advice may be ignored: what the kernel really did stands in smaps. */
static bool has_huge_pages(const void *base)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uint64_t from, to, kib = 0;
	bool ours = false;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
			ours = from <= (uintptr_t)base && (uintptr_t)base < to;
		else if (ours && sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib > 0;
}

int finf_host_pool_map(enum finf_host_pages pages, uint64_t bytes, struct finf_pool_memory *ret)
{
	static const char *const names[] = {"huge", "thp", "4k"};
	uint64_t whole = mapped_bytes(bytes);
	void *base;

	if (!bytes || whole < bytes)
		return -EINVAL;
	base = map_pages(pages, whole);
	if (!base)
		return -ENOBUFS;
	/* Pages under registered buffers must not be copied for a child. */
	madvise(base, whole, MADV_DONTFORK);
	if (touch(base, whole)) {
		munmap(base, whole);
		return -ENOBUFS;
	}
	if (pages == FINF_PAGES_THP && !has_huge_pages(base))
		pages = FINF_PAGES_4K;
	*ret = (struct finf_pool_memory){
		.base = base,
		.bytes = bytes,
		.host_visible = true,
		.mode = "host",
		.pages = names[pages],
	};
	return 0;
}

/* Touching more than there is would call the OOM killer instead of failing. */
static bool fits_in_memory(uint64_t bytes, uint64_t *ret_available)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib = UINT64_MAX / 1024, huge = 0, huge_kib = 2048;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "MemAvailable: %" SCNu64, &kib);
		sscanf(line, "HugePages_Free: %" SCNu64, &huge);
		sscanf(line, "Hugepagesize: %" SCNu64, &huge_kib);
	}
	if (file)
		fclose(file);
	*ret_available = FINF_MAX(kib, huge * huge_kib) * 1024;
	return bytes <= *ret_available;
}

int finf_host_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
		       struct finf_pool_memory *ret, struct finf_diag *diag)
{
	uint64_t available;
	int err = -ENOBUFS;

	(void)dev;
	if (mode && strcmp(mode, "host") && strcmp(mode, "auto"))
		return finf_diag_set(diag, -EINVAL,
				     "pool mode %s: the host device has only \"host\"", mode);
	if (!bytes)
		return finf_diag_set(diag, -EINVAL, "a pool of 0 bytes");
	if (!fits_in_memory(bytes, &available))
		return finf_diag_set(diag, -ENOBUFS,
				     "pool of %" PRIu64 " bytes: only %" PRIu64 " are available",
				     bytes, available);
	for (int pages = FINF_PAGES_HUGE; err && pages <= FINF_PAGES_4K; pages++)
		err = finf_host_pool_map((enum finf_host_pages)pages, bytes, ret);
	if (err)
		return finf_diag_set(diag, err, "pool of %" PRIu64 " bytes: cannot be mapped",
				     bytes);
	return 0;
}

void finf_host_pool_free(struct finf_device *dev, struct finf_pool_memory *pool)
{
	(void)dev;
	if (!pool->base)
		return;
	munmap(pool->base, mapped_bytes(pool->bytes));
	memset(pool, 0, sizeof(*pool));
}
