/* SPDX-License-Identifier: MIT */
/*
 * load: the loader's buffers, and which way of reading they allow. Staging is
 * one mapping, registered with the ring and, where the pool is not visible,
 * with the device; each may refuse, which costs speed and nothing else.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load/priv.h"

#define HUGE_PAGE (2u << 20)
#define STAGING_BYTES (8u << 20)
#define STAGING_LEAST_BYTES (1u << 20)

/* Why nothing better is used: for finf_loader_describe(), and once in the log. */
void finf_load_because(struct finf_loader *loader, const char *fmt, ...)
{
	size_t len = strlen(loader->why);
	char text[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(loader->why + len, sizeof(loader->why) - len, "%s%s", len ? "; " : "", text);
	finf_log("loader: %s", text);
}

static bool may_lock_any_amount(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return !syscall(SYS_capget, &head, data) &&
	       data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

/* What io_uring may pin for us. The limit is shared with all programs of this user. */
static uint64_t lockable_bytes(void)
{
	struct rlimit limit;

	if (may_lock_any_amount() || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

/* ---- staging ------------------------------------------------------------------ */

/* Huge pages when there are some, else what the kernel makes of an aligned range. */
static int map_staging(struct load_staging *staging, uint64_t bytes)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *map = MAP_FAILED;

	if (bytes % HUGE_PAGE == 0)
		map = mmap(NULL, bytes, prot, flags | MAP_HUGETLB, -1, 0);
	staging->pages = "huge";
	if (map == MAP_FAILED) {
		uint8_t *aligned;

		map = mmap(NULL, bytes + HUGE_PAGE, prot, flags, -1, 0);
		if (map == MAP_FAILED)
			return -ENOMEM;
		aligned = (uint8_t *)finf_align_up((uintptr_t)map, HUGE_PAGE);
		if (aligned > map)
			munmap(map, (size_t)(aligned - map));
		munmap(aligned + bytes, (size_t)(map + HUGE_PAGE - aligned));
		map = aligned;
		staging->pages = madvise(map, bytes, MADV_HUGEPAGE) ? "4k" : "thp";
	}
	/* A child must not get copies of pages that the disk writes to. */
	madvise(map, bytes, MADV_DONTFORK);
	memset(map, 0, bytes);
	staging->base = map;
	staging->bytes = bytes;
	return 0;
}

uint8_t *finf_staging_slot(const struct finf_loader *loader, uint64_t i)
{
	return loader->staging.base + i % loader->n_window * loader->opts.block_bytes;
}

/* Half of the limit at most: the user may run other programs that lock memory. */
static uint64_t staging_bytes(struct finf_loader *loader, uint64_t lockable)
{
	uint64_t wanted = loader->opts.staging_bytes, bytes;

	if (!wanted)
		wanted = loader->visible ? STAGING_BYTES : 2 * STAGING_BYTES;
	for (bytes = wanted; bytes > lockable / 2 && bytes > STAGING_LEAST_BYTES; bytes /= 2)
		;
	if (bytes < wanted)
		finf_load_because(loader, "RLIMIT_MEMLOCK allows %llu KiB of staging",
				  (unsigned long long)(bytes >> 10));
	return bytes;
}

/* Into slots: as many as are read ahead, and as many again on their way to the device. */
static int cut_staging(struct finf_loader *loader, uint64_t bytes)
{
	struct finf_loader_opts *o = &loader->opts;
	uint32_t slots = loader->visible ? o->depth : 2 * o->depth;

	o->block_bytes = (uint32_t)FINF_MIN(o->block_bytes, bytes / slots);
	o->block_bytes = FINF_MAX(o->block_bytes / LOAD_ALIGN * LOAD_ALIGN, LOAD_ALIGN);
	loader->n_window = (uint32_t)FINF_MAX(bytes / o->block_bytes, slots);
	return map_staging(&loader->staging, (uint64_t)loader->n_window * o->block_bytes);
}

static void drop_staging(struct finf_loader *loader)
{
	if (loader->staging.base)
		munmap(loader->staging.base, loader->staging.bytes);
	loader->staging = (struct load_staging){0};
}

/*
 * Known to the device, if need be less of it. What no device registers is
 * written in the order of its launches instead.
 */
static int make_uploads(struct finf_loader *loader, uint64_t bytes)
{
	struct finf_diag diag = {""};
	int err;

	for (;; bytes /= 2) {
		err = finf_device_upload_new(loader->dev, loader->staging.base,
					     loader->staging.bytes, loader->n_window,
					     &loader->upload, &diag);
		if (!err)
			return 0;
		finf_load_because(loader, "%llu KiB of staging: %.80s",
				  (unsigned long long)(loader->staging.bytes >> 10), diag.text);
		if (err != -EOPNOTSUPP)
			return err;
		if (bytes <= STAGING_LEAST_BYTES)
			return 0;
		drop_staging(loader);
		err = cut_staging(loader, bytes / 2);
		if (err < 0)
			return err;
	}
}

static int make_staging(struct finf_loader *loader, uint64_t lockable)
{
	uint64_t bytes = staging_bytes(loader, lockable);
	int err = cut_staging(loader, bytes);

	return err || loader->visible ? err : make_uploads(loader, bytes);
}

/* ---- all of it ------------------------------------------------------------------ */

/* Also half-made. Who registered memory lets go of it before it is given back. */
void finf_buffers_fini(struct finf_loader *loader)
{
	finf_device_upload_free(loader->dev, loader->upload);
	loader->upload = NULL;
	finf_ring_fini(loader);
	drop_staging(loader);
	free(loader->window);
	loader->window = NULL;
	loader->n_window = 0;
}

/* DIRECT: the pool is the only buffer. */
static bool use_pool(struct finf_loader *loader, uint64_t lockable)
{
	int err = loader->visible ? finf_ring_register_pool(loader, lockable) : -EOPNOTSUPP;

	if (err < 0)
		finf_load_because(loader, "pool not registered: %s", strerror(-err));
	return !err;
}

/* Without a ring a visible pool needs none. */
static int use_staging(struct finf_loader *loader, uint64_t lockable)
{
	bool ring = loader->opts.mode != FINF_LOAD_PREAD;
	int err = ring || !loader->visible ? make_staging(loader, lockable) : 0;

	if (ring)
		loader->opts.mode = FINF_LOAD_STAGING;
	if (ring && !err)
		finf_ring_register_staging(loader);
	return err;
}

static int make_buffers(struct finf_loader *loader)
{
	enum finf_load_mode *mode = &loader->opts.mode;
	uint64_t lockable = lockable_bytes();
	int err = 0;

	if (*mode != FINF_LOAD_PREAD && finf_ring_init(loader) < 0)
		*mode = FINF_LOAD_PREAD;
	if (*mode != FINF_LOAD_DIRECT || !use_pool(loader, lockable))
		err = use_staging(loader, lockable);
	if (err || !loader->n_window)
		return err;
	loader->window = calloc(loader->n_window, sizeof(*loader->window));
	return loader->window ? 0 : -ENOMEM;
}

/* A visible pool can always be read into without any buffers. */
int finf_buffers_init(struct finf_loader *loader)
{
	int err = make_buffers(loader);

	if (!err)
		return 0;
	finf_load_because(loader, "no staging: %s", strerror(-err));
	finf_buffers_fini(loader);
	loader->opts.mode = FINF_LOAD_PREAD;
	return loader->visible ? 0 : err;
}
