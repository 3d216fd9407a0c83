/* SPDX-License-Identifier: MIT */
/* preload: the functions that programs call instead of the driver's. */
#include <errno.h>

#include "preload/preload.h"

#define FIP_OWN(symbol, base, version, threads, params, args)
#define FIP_GATE(symbol, base, version, threads, params, args) \
	unsigned symbol params \
	{ \
		unsigned result; \
\
		fip_enter(); \
		result = FIP_PASS(symbol, args); \
		fip_leave(); \
		return result; \
	}
#include "preload/calls.def"

/* ---- starting and contexts ------------------------------------------------------------ */

/* Primary contexts are counted, to free what is ours before the driver ends one. */
static struct {
	_Atomic unsigned refs;
	void *_Atomic ctx;
} primary[FIP_DEVICES_MAX];

unsigned cuInit(unsigned flags)
{
	unsigned result = FIP_PASS(cuInit, (flags));

	if (!result && !fip_off())
		fip_session_start();
	return result;
}

static void forget(const void *ctx)
{
	if (!ctx || fip_off())
		return;
	fip_memory_forget(ctx);
	fip_captures_forget(ctx);
	fip_session_wake();
}

unsigned cuCtxDestroy_v2(void *ctx)
{
	unsigned result;

	fip_enter();
	forget(ctx);
	result = FIP_PASS(cuCtxDestroy_v2, (ctx));
	fip_leave();
	return result;
}

unsigned cuDevicePrimaryCtxRetain(void **ret, int device)
{
	unsigned result = FIP_PASS(cuDevicePrimaryCtxRetain, (ret, device));

	if (!result && device >= 0 && device < FIP_DEVICES_MAX) {
		primary[device].ctx = *ret;
		primary[device].refs++;
	}
	return result;
}

static void primary_leave(int device, bool reset)
{
	if (device < 0 || device >= FIP_DEVICES_MAX || !primary[device].refs)
		return;
	if (reset || primary[device].refs == 1)
		forget(primary[device].ctx);
	if (!reset)
		primary[device].refs--;
}

#define PRIMARY(symbol, reset) \
	unsigned symbol(int device) \
	{ \
		unsigned result; \
\
		fip_enter(); \
		primary_leave(device, reset); \
		result = FIP_PASS(symbol, (device)); \
		fip_leave(); \
		return result; \
	}
PRIMARY(cuDevicePrimaryCtxRelease, false)
PRIMARY(cuDevicePrimaryCtxRelease_v2, false)
PRIMARY(cuDevicePrimaryCtxReset, true)
PRIMARY(cuDevicePrimaryCtxReset_v2, true)

/* ---- allocating ------------------------------------------------------------------------- */

/* Counting around a call of the driver that allocates @bytes at *@ret. */
#define COUNTED(ret, bytes, call) \
	({ \
		unsigned result_ = FIP_ERROR_OUT_OF_MEMORY; \
\
		if (fip_off() || !(ret)) { \
			result_ = call; \
		} else if (fip_take(bytes)) { \
			result_ = call; \
			if (result_) \
				fip_give(bytes); \
			else \
				fip_memory_note(*(ret), bytes); \
			fip_session_wake(); \
		} \
		result_; \
	})

/* Ours, when it is large and can be: what is not is for the driver to judge. */
static bool large(uint64_t *ret, size_t bytes)
{
	if (bytes < FIP_LARGE_BYTES || fip_off() || !ret || !fip_bind())
		return false;
	fip_session_start();
	if (!fip_memory_new(ret, bytes))
		return false;
	fip_session_wake();
	return true;
}

unsigned cuMemAlloc_v2(uint64_t *ret, size_t bytes)
{
	unsigned result = FIP_SUCCESS;

	fip_enter();
	if (!large(ret, bytes))
		result = COUNTED(ret, bytes, FIP_PASS(cuMemAlloc_v2, (ret, bytes)));
	fip_leave();
	return result;
}

/* 512 bytes are a multiple of every alignment that rows need. */
static bool large_rows(uint64_t *ret, size_t *ret_pitch, size_t width, size_t height)
{
	size_t pitch = (width + 511) & ~(size_t)511, bytes;

	if (!ret_pitch || pitch < width || __builtin_mul_overflow(pitch, height, &bytes) ||
	    !large(ret, bytes))
		return false;
	*ret_pitch = pitch;
	return true;
}

static size_t row_bytes(const size_t *pitch, size_t height)
{
	size_t bytes;

	return __builtin_mul_overflow(*pitch, height, &bytes) ? SIZE_MAX : bytes;
}

/* The pitch is known only afterwards: what does not fit the quota is given back. */
static unsigned counted_rows(uint64_t *ret, size_t *pitch, size_t width, size_t height,
			     unsigned element)
{
	unsigned result = FIP_PASS(cuMemAllocPitch_v2, (ret, pitch, width, height, element));

	if (result || fip_off())
		return result;
	if (!fip_take(row_bytes(pitch, height))) {
		FIP_REAL(cuMemFree_v2)(*ret);
		return FIP_ERROR_OUT_OF_MEMORY;
	}
	fip_memory_note(*ret, row_bytes(pitch, height));
	fip_session_wake();
	return result;
}

unsigned cuMemAllocPitch_v2(uint64_t *ret, size_t *pitch, size_t width, size_t height,
			    unsigned element)
{
	bool odd = element != 4 && element != 8 && element != 16; /* for the driver to refuse */
	unsigned result = FIP_SUCCESS;

	fip_enter();
	if (odd || !large_rows(ret, pitch, width, height))
		result = counted_rows(ret, pitch, width, height, element);
	fip_leave();
	return result;
}

unsigned cuMemAllocManaged(uint64_t *ret, size_t bytes, unsigned flags)
{
	unsigned result;

	fip_enter();
	result = COUNTED(ret, bytes, FIP_PASS(cuMemAllocManaged, (ret, bytes, flags)));
	fip_leave();
	return result;
}

#define ALLOC_ASYNC(symbol) \
	unsigned symbol(uint64_t *ret, size_t bytes, void *stream) \
	{ \
		unsigned result; \
\
		fip_enter(); \
		result = COUNTED(ret, bytes, FIP_PASS(symbol, (ret, bytes, stream))); \
		fip_leave(); \
		return result; \
	}
ALLOC_ASYNC(cuMemAllocAsync)
ALLOC_ASYNC(cuMemAllocAsync_ptsz)

#define ALLOC_POOL(symbol) \
	unsigned symbol(uint64_t *ret, size_t bytes, void *pool, void *stream) \
	{ \
		unsigned result; \
\
		fip_enter(); \
		result = COUNTED(ret, bytes, FIP_PASS(symbol, (ret, bytes, pool, stream))); \
		fip_leave(); \
		return result; \
	}
ALLOC_POOL(cuMemAllocFromPoolAsync)
ALLOC_POOL(cuMemAllocFromPoolAsync_ptsz)

unsigned cuMemFree_v2(uint64_t at)
{
	unsigned result = FIP_SUCCESS;
	uint64_t bytes = 0;

	fip_enter();
	if (fip_off() || !at || !fip_memory_free(at, &bytes))
		result = FIP_PASS(cuMemFree_v2, (at));
	fip_give(bytes);
	fip_leave();
	if (bytes)
		fip_session_wake();
	return result;
}

#define FREE_ASYNC(symbol) \
	unsigned symbol(uint64_t at, void *stream) \
	{ \
		unsigned result = FIP_SUCCESS; \
		uint64_t bytes = 0; \
\
		fip_enter(); \
		if (fip_off() || !at || !fip_memory_free(at, &bytes)) \
			result = FIP_PASS(symbol, (at, stream)); \
		fip_give(bytes); \
		fip_leave(); \
		if (bytes) \
			fip_session_wake(); \
		return result; \
	}
FREE_ASYNC(cuMemFreeAsync)
FREE_ASYNC(cuMemFreeAsync_ptsz)

/* ---- how much there is --------------------------------------------------------------------- */

unsigned cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total)
{
	uint64_t quota = atomic_load(&fip_quota_bytes), used = atomic_load(&fip_used_bytes), left;
	size_t free_bytes, total_bytes;
	unsigned result = FIP_PASS(cuMemGetInfo_v2, (&free_bytes, &total_bytes));

	if (result)
		return result;
	left = used < quota ? quota - used : 0;
	if (quota && free_bytes > left)
		free_bytes = left;
	if (quota && total_bytes > quota)
		total_bytes = quota;
	if (ret_free)
		*ret_free = free_bytes;
	if (ret_total)
		*ret_total = total_bytes;
	return result;
}

unsigned cuDeviceTotalMem_v2(size_t *ret, int device)
{
	uint64_t quota = atomic_load(&fip_quota_bytes);
	unsigned result = FIP_PASS(cuDeviceTotalMem_v2, (ret, device));

	if (!result && quota && *ret > quota)
		*ret = quota;
	return result;
}
