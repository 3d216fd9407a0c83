/* SPDX-License-Identifier: MIT */
/*
 * preload: how programs come to our functions: dlsym, and the driver's own
 * cuGetProcAddress. Both ask the real one first and compare its answer: only
 * what is exactly the function we stand in front of is replaced.
 */
#include <string.h>

#include "preload/preload.h"

static __attribute__((noinline)) const struct fip_call *find(const char *symbol)
{
	for (unsigned i = 0; i < FIP_CALLS; i++)
		if (!strcmp(fip_calls[i].symbol, symbol))
			return &fip_calls[i];
	return NULL;
}

static __attribute__((noinline)) void *look_up(void *(*real)(void *, const char *),
					       const struct fip_call *call, void *handle)
{
	void *at = real(handle, call->symbol);

	if (!at || !fip_bind() || at != atomic_load(&fip_real[call - fip_calls]))
		return at; /* not there, ours already, or of somebody else's library */
	return call->wrapper;
}

FIP_EXPORT void *dlsym(void *handle, const char *name);

/*
 * Names that are not the driver's must cost nothing and, for RTLD_NEXT, look as
 * if their caller had called the real function: the last call is a jump.
 */
void *dlsym(void *handle, const char *name)
{
	void *(*real)(void *, const char *) = fip_dlsym();

	if (!real)
		return NULL;
	if (name && name[0] == 'c' && name[1] == 'u' && name[2] >= 'A' && name[2] <= 'Z' && !fip_off()) {
		const struct fip_call *call = find(name);

		if (call)
			return look_up(real, call, handle);
	}
	return real(handle, name);
}

/* ---- cuGetProcAddress ----------------------------------------------------------------- */

/* What the driver answers for the version and streams of one of our calls. */
static void *driver_answer(const struct fip_call *call)
{
	uint64_t flags = call->per_thread ? 2 : 0;
	void *at = NULL;
	int found;

	if (FIP_REAL(cuGetProcAddress_v2))
		return FIP_REAL(cuGetProcAddress_v2)(call->base, &at, call->version, flags, &found)
			       ? NULL : at;
	return FIP_REAL(cuGetProcAddress)(call->base, &at, call->version, flags) ? NULL : at;
}

/*
 * The same name stands for other functions in other versions. What the driver
 * chose is ours to replace if it gives the same for the version we know.
 */
static void *replace(const char *base, void *at)
{
	for (unsigned i = 0; i < FIP_CALLS; i++) {
		const struct fip_call *call = &fip_calls[i];

		if (strcmp(call->base, base))
			continue;
		if (at != atomic_load(&fip_real[i]) && at != driver_answer(call))
			continue;
		if (!atomic_load(&fip_real[i]))
			atomic_store(&fip_real[i], at); /* reachable, but not exported */
		return call->wrapper;
	}
	return at;
}

unsigned cuGetProcAddress(const char *name, void **ret, int version, uint64_t flags)
{
	unsigned result;

	if (!fip_bind() || !FIP_REAL(cuGetProcAddress))
		return FIP_ERROR_NOT_FOUND;
	result = FIP_REAL(cuGetProcAddress)(name, ret, version, flags);
	if (!result && name && ret && *ret && !fip_off())
		*ret = replace(name, *ret);
	return result;
}

unsigned cuGetProcAddress_v2(const char *name, void **ret, int version, uint64_t flags, int *found)
{
	unsigned result;

	if (!fip_bind() || !FIP_REAL(cuGetProcAddress_v2))
		return FIP_ERROR_NOT_FOUND;
	result = FIP_REAL(cuGetProcAddress_v2)(name, ret, version, flags, found);
	if (!result && name && ret && *ret && !fip_off())
		*ret = replace(name, *ret);
	return result;
}
