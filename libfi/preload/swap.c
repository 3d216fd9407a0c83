/* SPDX-License-Identifier: MIT */
/*
 * preload: contents to a memfd and device memory given back; and the other way
 * round. Nothing is taken away before all of it has been copied, and nothing is
 * put back before there is memory for all of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/preload.h"

static struct {
	int fd;
	uint8_t *at;
	size_t bytes;
} store = {.fd = -1};

/* One walk over the blocks; stops at the first error. */
struct walk {
	size_t bytes;
	unsigned result;
};

int fip_swap_fd(void)
{
	return store.fd;
}

static void store_close(void)
{
	if (store.at)
		munmap(store.at, store.bytes);
	if (store.fd >= 0)
		close(store.fd);
	store.at = NULL;
	store.fd = -1;
}

/* All of it now: memory that is missing later would be a signal. */
static int store_open(size_t bytes)
{
	int err;

	store.bytes = bytes;
	store.fd = memfd_create("fusedinf-app", MFD_CLOEXEC);
	if (store.fd < 0)
		return -errno;
	do
		err = -posix_fallocate(store.fd, 0, (off_t)bytes);
	while (err == -EINTR);
	if (!err) {
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, store.fd, 0);

		if (at == MAP_FAILED)
			err = -errno;
		else
			store.at = at;
	}
	if (err)
		store_close();
	else
		madvise(store.at, bytes, MADV_DONTFORK);
	return err;
}

static void place(void *ctx, struct fip_block *block)
{
	struct walk *walk = ctx;

	if (!block->mapped)
		return;
	block->offset = walk->bytes;
	walk->bytes += block->bytes;
}

static void save(void *ctx, struct fip_block *block)
{
	struct walk *walk = ctx;

	if (!block->mapped || walk->result)
		return;
	walk->result = fip_driver.cuCtxSetCurrent(block->ctx);
	if (!walk->result)
		walk->result = FIP_REAL(cuMemcpyDtoH_v2)(store.at + block->offset, block->at,
							 block->bytes);
}

/* One that the driver does not let go stays where it is, contents and all. */
static void take_away(void *ctx, struct fip_block *block)
{
	struct walk *walk = ctx;

	if (!block->mapped)
		return;
	block->away = !fip_driver.cuCtxSetCurrent(block->ctx) && !fip_block_unmap(block);
	walk->bytes += block->away ? block->bytes : 0;
}

int fip_swap_out(void)
{
	struct walk walk = {0};
	int err;

	fip_memory_each(place, &walk);
	if (!walk.bytes)
		return 0;
	err = store_open(walk.bytes);
	if (err)
		return err;
	fip_memory_each(save, &walk);
	if (walk.result) {
		fip_debug("contents not saved: driver error %u", walk.result);
		store_close();
		return -EREMOTEIO;
	}
	walk.bytes = 0;
	fip_memory_each(take_away, &walk);
	fip_debug("paused: %zu bytes given back", walk.bytes);
	return 0;
}

/* ---- back ------------------------------------------------------------------------------ */

static void create(void *ctx, struct fip_block *block)
{
	struct walk *walk = ctx;

	if (!block->away)
		return;
	block->handle = 0;
	if (!walk->result)
		walk->result = fip_driver.cuCtxSetCurrent(block->ctx);
	if (!walk->result)
		walk->result = fip_block_create(block);
	if (walk->result)
		block->handle = 0;
}

static void release(void *ctx, struct fip_block *block)
{
	(void)ctx;
	if (block->away && block->handle)
		fip_driver.cuMemRelease(block->handle);
}

static void restore(void *ctx, struct fip_block *block)
{
	struct walk *walk = ctx;

	if (!block->away || walk->result)
		return;
	walk->result = fip_driver.cuCtxSetCurrent(block->ctx);
	if (!walk->result)
		walk->result = fip_block_map(block);
	if (walk->result)
		return;
	walk->result = FIP_REAL(cuMemcpyHtoD_v2)(block->at, store.at + block->offset, block->bytes);
	if (walk->result)
		fip_driver.cuMemUnmap(block->at, block->bytes);
	else
		block->away = false;
}

/* Blocks that are back already stay; the rest is tried again later. */
int fip_swap_in(void)
{
	struct walk walk = {0};

	if (store.fd < 0)
		return 0;
	fip_memory_each(create, &walk);
	if (walk.result) {
		fip_memory_each(release, NULL);
		fip_debug("no memory to resume: driver error %u", walk.result);
		return walk.result == FIP_ERROR_OUT_OF_MEMORY ? -ENOBUFS : -EREMOTEIO;
	}
	fip_memory_each(restore, &walk);
	if (walk.result) {
		fip_memory_each(release, NULL);
		fip_debug("contents not restored: driver error %u", walk.result);
		return -EREMOTEIO;
	}
	store_close();
	fip_debug("resumed");
	return 0;
}
