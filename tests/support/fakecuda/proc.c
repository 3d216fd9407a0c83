/* SPDX-License-Identifier: MIT */
/*
 * fakecuda: what programs of others use beside our own device's calls: copies
 * that end before they return, forms for the per-thread stream, and
 * cuGetProcAddress with a function per name, version and stream.
 */
#include <string.h>

#include "tests/support/fakecuda/fake.h"

/* A driver of the future gives an old name another meaning from this version on. */
#define FUTURE 99000

#define CALL(symbol, params) EXPORT enum finf_cu_result symbol params; \
	enum finf_cu_result symbol params

static enum finf_cu_result now(const char *name, struct work work, uint64_t device)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT | UNSAFE);
	struct finf_cu_stream *stream;

	if (result)
		return result;
	stream = stream_find(NULL);
	result = stream_check_legacy(stream);
	if (!result && !device_reachable(device, work.bytes))
		result = FINF_CU_ERROR_INVALID_VALUE;
	if (result || !work.bytes)
		return fake_leave(result);
	result = stream_do(stream, work);
	if (!result) {
		mark_wait(stream->ctx, stream->tail);
		result = stream->ctx->sticky;
	}
	return fake_leave(result);
}

CALL(cuMemcpyHtoD_v2, (unsigned long long to, const void *from, size_t bytes))
{
	return now(__func__, (struct work){.kind = COPY_IN, .to = to, .from = (uintptr_t)from,
					   .bytes = bytes}, to);
}

CALL(cuMemcpyDtoH_v2, (void *to, unsigned long long from, size_t bytes))
{
	return now(__func__, (struct work){.kind = COPY_OUT, .to = (uintptr_t)to, .from = from,
					   .bytes = bytes}, from);
}

CALL(cuMemsetD8_v2, (unsigned long long to, unsigned char value, size_t bytes))
{
	return now(__func__, (struct work){.kind = FILL, .to = to, .bytes = bytes, .value = value,
					   .value_bytes = 1}, to);
}

CALL(cuCtxGetDevice, (int *ret))
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	*ret = (int)fake_current()->device;
	return fake_leave(FINF_CU_SUCCESS);
}

/* The per-thread stream is the legacy one here: stricter. */
CALL(cuMemcpyHtoD_v2_ptds, (unsigned long long to, const void *from, size_t bytes))
{
	return cuMemcpyHtoD_v2(to, from, bytes);
}

CALL(cuLaunchKernel_ptsz,
     (struct finf_cu_function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
      unsigned by, unsigned bz, unsigned shared, struct finf_cu_stream *stream, void **params,
      void **extra))
{
	return cuLaunchKernel(function, gx, gy, gz, bx, by, bz, shared, stream, params, extra);
}

CALL(cuMemGetInfo_v99, (size_t *ret_free, size_t *ret_total))
{
	*ret_free = *ret_total = FUTURE;
	return FINF_CU_SUCCESS;
}

/* ---- cuGetProcAddress ------------------------------------------------------------------ */

CALL(cuGetProcAddress, (const char *name, void **ret, int version, unsigned long long flags));
CALL(cuGetProcAddress_v2,
     (const char *name, void **ret, int version, unsigned long long flags, int *found));

static const struct {
	const char *name;
	int version, per_thread;
	void *at;
} procs[] = {
#define FINF_CU(name, symbol, version, need, args) {#name, version, 0, (void *)symbol},
#include "device/cuda/cu.def"
#undef FINF_CU
	{"cuMemcpyHtoD", 3020, 0, (void *)cuMemcpyHtoD_v2},
	{"cuMemcpyHtoD", 7000, 1, (void *)cuMemcpyHtoD_v2_ptds},
	{"cuMemcpyDtoH", 3020, 0, (void *)cuMemcpyDtoH_v2},
	{"cuMemsetD8", 3020, 0, (void *)cuMemsetD8_v2},
	{"cuCtxGetDevice", 2000, 0, (void *)cuCtxGetDevice},
	{"cuLaunchKernel", 7000, 1, (void *)cuLaunchKernel_ptsz},
	{"cuMemGetInfo", FUTURE, 0, (void *)cuMemGetInfo_v99},
	{"cuGetProcAddress", 11030, 0, (void *)cuGetProcAddress},
	{"cuGetProcAddress", 12000, 0, (void *)cuGetProcAddress_v2},
};

static void *newest(const char *name, int version, int per_thread)
{
	void *at = NULL;
	int best = -1;

	for (unsigned i = 0; i < sizeof(procs) / sizeof(procs[0]); i++)
		if (!strcmp(procs[i].name, name) && procs[i].per_thread == per_thread &&
		    procs[i].version <= version && procs[i].version > best) {
			best = procs[i].version;
			at = procs[i].at;
		}
	return at;
}

enum finf_cu_result cuGetProcAddress(const char *name, void **ret, int version,
				     unsigned long long flags)
{
	if (!name || !ret || flags > 2)
		return FINF_CU_ERROR_INVALID_VALUE;
	*ret = flags == 2 ? newest(name, version, 1) : NULL;
	if (!*ret)
		*ret = newest(name, version, 0);
	return *ret ? FINF_CU_SUCCESS : FINF_CU_ERROR_NOT_FOUND;
}

enum finf_cu_result cuGetProcAddress_v2(const char *name, void **ret, int version,
					unsigned long long flags, int *found)
{
	enum finf_cu_result result = cuGetProcAddress(name, ret, version, flags);

	if (found)
		*found = result ? 1 : 0;
	return result;
}
