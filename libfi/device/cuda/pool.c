/* SPDX-License-Identifier: MIT */
/*
 * cuda: the pool. An attribute of a device is a claim; a mode is offered when a
 * small allocation in it was made, written, read and given back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda.h"

/* The unit in which a pool of mode vmm gets its memory, and could give it back. */
#define CHUNK_BYTES (32ull << 20)
#define TRIAL_BYTES (4ull << 20)
#define TRIAL_WORDS 4096

struct cuda_pool {
	const struct pool_mode *mode;
	unsigned long long at;
	uint64_t bytes;	       /* reserved or allocated: what was asked for, rounded up */
	uint64_t mapped_bytes; /* vmm: from the start, in chunks */
	uint64_t chunk_bytes;  /* vmm */
};

struct pool_mode {
	const char *name;
	bool automatic; /* taken, in the order of the table, when none was asked for */
	/* @pool has mode and bytes; what was made is left in it also on failure. */
	int (*make)(struct finf_cuda_device *cd, struct cuda_pool *pool, struct finf_diag *diag);
	/* Again later when something is left. Return: whether all of it is gone. */
	bool (*drop)(struct finf_cuda_device *cd, struct cuda_pool *pool);
	bool outlives_context;
};

/* ---- vmm: one range of addresses, memory behind it in chunks -------------------- */

static struct finf_cu_allocation chunk_kind(const struct finf_cuda_device *cd)
{
	const struct finf_cuda_info *info = finf_cuda_info(cd->cuda);

	return (struct finf_cu_allocation){
		.type = FINF_CU_ALLOCATION_PINNED,
		.handle_types = info->posix_handles ? FINF_CU_HANDLE_POSIX : FINF_CU_HANDLE_NONE,
		.location = {FINF_CU_LOCATION_DEVICE, info->device},
	};
}

/* The mapping keeps the memory: its handle is not needed any longer. */
static int map_chunk(struct finf_cuda_device *cd, struct cuda_pool *pool,
		     const struct finf_cu_allocation *kind, struct finf_diag *diag)
{
	uint64_t bytes = FINF_MIN(pool->chunk_bytes, pool->bytes - pool->mapped_bytes);
	const char *step = "cuMemCreate";
	unsigned long long handle;
	enum finf_cu_result result = cd->api->cuMemCreate(&handle, bytes, kind, 0);

	if (result == FINF_CU_SUCCESS) {
		step = "cuMemMap";
		result = cd->api->cuMemMap(pool->at + pool->mapped_bytes, bytes, 0, handle, 0);
		if (result == FINF_CU_SUCCESS)
			pool->mapped_bytes += bytes;
		cd->api->cuMemRelease(handle);
	}
	if (result == FINF_CU_SUCCESS)
		return 0;
	return finf_cuda_fail(diag, step, result);
}

static int vmm_make(struct finf_cuda_device *cd, struct cuda_pool *pool, struct finf_diag *diag)
{
	const struct finf_cu_allocation kind = chunk_kind(cd);
	const struct finf_cu_access access = {kind.location, FINF_CU_ACCESS_READ_WRITE};
	const char *step = "cuMemGetAllocationGranularity";
	enum finf_cu_result result;
	size_t granule = 0;
	int err = 0;

	if (!finf_cuda_info(cd->cuda)->vmm)
		return finf_diag_set(diag, -EOPNOTSUPP, "the device or its driver has none");
	result = cd->api->cuMemGetAllocationGranularity(&granule, &kind,
							FINF_CU_GRANULARITY_RECOMMENDED);
	if (result == FINF_CU_SUCCESS) {
		pool->bytes = finf_align_up(pool->bytes, granule);
		pool->chunk_bytes = finf_align_up(CHUNK_BYTES, granule);
		step = "cuMemAddressReserve";
		result = cd->api->cuMemAddressReserve(&pool->at, pool->bytes, 0, 0, 0);
	}
	while (result == FINF_CU_SUCCESS && !err && pool->mapped_bytes < pool->bytes)
		err = map_chunk(cd, pool, &kind, diag);
	if (result == FINF_CU_SUCCESS && !err) {
		step = "cuMemSetAccess";
		result = cd->api->cuMemSetAccess(pool->at, pool->bytes, &access, 1);
	}
	return err || result == FINF_CU_SUCCESS ? err : finf_cuda_fail(diag, step, result);
}

/* Exactly what was mapped, from the end: the last chunk is the one that may be shorter. */
static bool vmm_drop(struct finf_cuda_device *cd, struct cuda_pool *pool)
{
	while (pool->mapped_bytes) {
		uint64_t start = (pool->mapped_bytes - 1) / pool->chunk_bytes * pool->chunk_bytes;

		if (cd->api->cuMemUnmap(pool->at + start, pool->mapped_bytes - start))
			return false;
		pool->mapped_bytes = start;
	}
	if (pool->at && cd->api->cuMemAddressFree(pool->at, pool->bytes))
		return false;
	pool->at = 0;
	return true;
}

/* ---- plain: one allocation ---------------------------------------------------------- */

static int plain_make(struct finf_cuda_device *cd, struct cuda_pool *pool, struct finf_diag *diag)
{
	enum finf_cu_result result = cd->api->cuMemAlloc(&pool->at, pool->bytes);

	return result == FINF_CU_SUCCESS ? 0 : finf_cuda_fail(diag, "cuMemAlloc", result);
}

static bool plain_drop(struct finf_cuda_device *cd, struct cuda_pool *pool)
{
	if (pool->at && cd->api->cuMemFree(pool->at))
		return false;
	pool->at = 0;
	return true;
}

/* ---- managed: unified memory, told to stay on the device -------------------------------- */

/* Where pages do not move one by one there is neither advice nor prefetch. */
static int keep_on_device(struct finf_cuda_device *cd, const struct cuda_pool *pool,
			  struct finf_diag *diag)
{
	const struct finf_cuda_info *info = finf_cuda_info(cd->cuda);
	const struct finf_cuda_api *api = cd->api;
	const char *step = "cuMemAdvise";
	enum finf_cu_result result;

	if (!info->concurrent_managed || !api->cuMemAdvise || !api->cuMemPrefetchAsync)
		return 0;
	result = api->cuMemAdvise(pool->at, pool->bytes, FINF_CU_ADVISE_PREFERRED, info->device);
	if (result == FINF_CU_SUCCESS)
		result = api->cuMemAdvise(pool->at, pool->bytes, FINF_CU_ADVISE_ACCESSED_BY,
					  info->device);
	if (result == FINF_CU_SUCCESS) {
		step = "cuMemPrefetchAsync";
		result = api->cuMemPrefetchAsync(pool->at, pool->bytes, info->device, cd->compute);
	}
	if (result == FINF_CU_SUCCESS)
		result = api->cuStreamSynchronize(cd->compute);
	return result == FINF_CU_SUCCESS ? 0 : finf_cuda_fail(diag, step, result);
}

/* More than is free would be taken, and then moved to and fro without end. */
static int managed_make(struct finf_cuda_device *cd, struct cuda_pool *pool, struct finf_diag *diag)
{
	enum finf_cu_result result;
	size_t now = 0, total;

	if (!finf_cuda_info(cd->cuda)->managed)
		return finf_diag_set(diag, -EOPNOTSUPP, "the device or its driver has none");
	result = cd->api->cuMemGetInfo(&now, &total);
	if (result != FINF_CU_SUCCESS)
		return finf_cuda_fail(diag, "cuMemGetInfo", result);
	if (pool->bytes > now)
		return finf_diag_set(diag, -ENOBUFS,
				     "%" PRIu64 " bytes of device memory asked for, %zu are free",
				     pool->bytes, now);
	result = cd->api->cuMemAllocManaged(&pool->at, pool->bytes, FINF_CU_ATTACH_GLOBAL);
	if (result != FINF_CU_SUCCESS)
		return finf_cuda_fail(diag, "cuMemAllocManaged", result);
	return keep_on_device(cd, pool, diag);
}

static const struct pool_mode modes[] = {
	{"vmm", true, vmm_make, vmm_drop, true},
	{"plain", true, plain_make, plain_drop, false},
	{"managed", false, managed_make, plain_drop, false},
};

/* ---- making one ---------------------------------------------------------------------- */

static int make(struct finf_cuda_device *cd, const struct pool_mode *mode, uint64_t bytes,
		struct cuda_pool *ret, struct finf_diag *diag)
{
	struct cuda_pool pool = {.mode = mode, .bytes = bytes};
	int err = finf_cuda_begin(cd, diag);

	if (err)
		return err;
	err = mode->make(cd, &pool, diag);
	if (err)
		mode->drop(cd, &pool);
	else
		*ret = pool;
	finf_cuda_end(cd);
	return err;
}

static void drop(struct finf_cuda_device *cd, struct cuda_pool *pool)
{
	if (finf_cuda_begin(cd, NULL))
		return;
	pool->mode->drop(cd, pool);
	finf_cuda_end(cd);
}

/* What is written at both ends comes back. */
static int write_and_read(struct finf_cuda_device *cd, const struct cuda_pool *pool,
			  struct finf_diag *diag)
{
	uint64_t out[TRIAL_WORDS], back[TRIAL_WORDS];
	const uint64_t ends[] = {0, pool->bytes - sizeof(out)};

	for (size_t i = 0; i < FINF_ARRAY_LEN(ends); i++) {
		void *at = (void *)(uintptr_t)(pool->at + ends[i]);
		int err;

		for (uint64_t k = 0; k < TRIAL_WORDS; k++)
			out[k] = (k + i) * 0x9e3779b97f4a7c15u;
		memset(back, 0, sizeof(back));
		err = finf_device_write(&cd->base, at, out, sizeof(out));
		if (!err)
			err = finf_device_read(&cd->base, back, at, sizeof(back));
		if (err)
			return finf_diag_set(diag, err, "trial copy: %s", strerror(-err));
		if (memcmp(out, back, sizeof(out)))
			return finf_diag_set(diag, -EREMOTEIO, "trial read back other bytes");
	}
	return 0;
}

static int prove(struct finf_cuda_device *cd, const struct pool_mode *mode, struct finf_diag *diag)
{
	struct cuda_pool pool;
	int err = make(cd, mode, TRIAL_BYTES, &pool, diag);

	if (err)
		return err;
	err = write_and_read(cd, &pool, diag);
	drop(cd, &pool);
	if (!err && pool.at)
		err = finf_diag_set(diag, -EREMOTEIO, "trial memory could not be given back");
	return err;
}

static int pool_in_mode(struct finf_cuda_device *cd, const struct pool_mode *mode, uint64_t bytes,
			struct finf_pool_memory *ret, struct finf_diag *diag)
{
	struct cuda_pool *pool = calloc(1, sizeof(*pool));
	int err = pool ? 0 : finf_diag_set(diag, -ENOMEM, "no memory for a pool");

	if (!err)
		err = prove(cd, mode, diag);
	if (!err)
		err = make(cd, mode, bytes, pool, diag);
	if (err) {
		free(pool);
		return err;
	}
	*ret = (struct finf_pool_memory){
		.base = (void *)(uintptr_t)pool->at,
		.bytes = bytes,
		.mode = mode->name,
		.pages = "device",
		.priv = pool,
	};
	return 0;
}

int finf_cuda_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
		       struct finf_pool_memory *ret, struct finf_diag *diag)
{
	bool automatic = !mode || !strcmp(mode, "auto");
	char said[sizeof(diag->text)] = "";
	int err = -EINVAL;

	if (!bytes || bytes > INT64_MAX)
		return finf_diag_set(diag, -EINVAL, "a pool of %" PRIu64 " bytes", bytes);
	for (size_t i = 0; err && i < FINF_ARRAY_LEN(modes); i++) {
		struct finf_diag why = {""};
		size_t len = strlen(said);

		if (automatic ? !modes[i].automatic : strcmp(mode, modes[i].name))
			continue;
		err = pool_in_mode(finf_cuda_of(dev), &modes[i], bytes, ret, &why);
		snprintf(said + len, sizeof(said) - len, "%spool mode %s: %.200s", len ? "; " : "",
			 modes[i].name, why.text);
		if (err)
			finf_log("cuda: pool mode %s: %s", modes[i].name, why.text);
	}
	if (err && !said[0])
		return finf_diag_set(diag, err, "pool mode %s: there are vmm, plain and managed",
				     mode);
	return err ? finf_diag_set(diag, err, "%s", said) : 0;
}

void finf_cuda_pool_drop(struct finf_cuda_device *cd, struct finf_pool_memory *pool)
{
	if (pool->priv)
		drop(cd, pool->priv);
}

void finf_cuda_pool_forget(struct finf_cuda_device *cd, struct finf_pool_memory *pool)
{
	struct cuda_pool *inner = pool->priv;

	if (inner && inner->mode->outlives_context)
		drop(cd, inner);
	free(inner);
	pool->priv = NULL;
	pool->base = NULL;
}

void finf_cuda_pool_free(struct finf_device *dev, struct finf_pool_memory *pool)
{
	finf_cuda_pool_drop(finf_cuda_of(dev), pool);
	free(pool->priv);
	memset(pool, 0, sizeof(*pool));
}

void finf_cuda_pool_modes(struct finf_cuda_device *cd, char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < FINF_ARRAY_LEN(modes) && at < len; i++) {
		struct finf_diag why = {""};
		int err = prove(cd, &modes[i], &why);

		at += (size_t)snprintf(text + at, len - at, "%s%s:%s%s%.100s%s", i ? " " : "",
				       modes[i].name, err ? "no" : "yes", err ? " (" : "",
				       err ? why.text : "", err ? ")" : "");
	}
}
