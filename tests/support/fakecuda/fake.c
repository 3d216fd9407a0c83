/* SPDX-License-Identifier: MIT */
/* fakecuda: starting, devices, primary contexts, injected failures, violations. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fakecuda/fake.h"

#define N_FAILURES 32
#define STACK	   16

struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct {
	char name[64];
	unsigned nth, code; /* nth 0: free */
} failures[N_FAILURES];

static _Thread_local struct finf_cu_ctx *current[STACK];
static _Thread_local unsigned depth;

void *fake_alloc(size_t bytes)
{
	void *at = calloc(1, bytes ? bytes : 1);

	if (!at)
		abort();
	return at;
}

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
uint64_t fake_random(void)
{
	uint64_t z = fake.random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- failures and violations ----------------------------------------------- */

EXPORT void fakecuda_fail(const char *name, unsigned nth, unsigned code)
{
	pthread_mutex_lock(&fake.lock);
	for (unsigned i = 0; i < N_FAILURES; i++)
		if (!failures[i].nth) {
			snprintf(failures[i].name, sizeof(failures[i].name), "%s", name);
			failures[i].nth = nth;
			failures[i].code = code;
			break;
		}
	pthread_mutex_unlock(&fake.lock);
}

EXPORT unsigned fakecuda_violations(const char **ret_last)
{
	static char last[sizeof(fake.violation)];
	unsigned n;

	pthread_mutex_lock(&fake.lock);
	memcpy(last, fake.violation, sizeof(last));
	n = fake.violations;
	pthread_mutex_unlock(&fake.lock);
	if (ret_last)
		*ret_last = last;
	return n;
}

EXPORT void fakecuda_forgive(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.violations = 0;
	fake.violation[0] = 0;
	pthread_mutex_unlock(&fake.lock);
}

/* For who looks at another process: a line for each. */
static void tell(void)
{
	const char *path = getenv("FAKECUDA_VIOLATIONS");
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	fprintf(file, "%s\n", fake.violation);
	fclose(file);
}

void fake_violate(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake.violation, sizeof(fake.violation), fmt, args);
	va_end(args);
	fake.violations++;
	tell();
}

unsigned fake_injected(const char *name)
{
	unsigned code = 0;

	for (unsigned i = 0; i < N_FAILURES; i++)
		if (failures[i].nth && !strcmp(failures[i].name, name) && !--failures[i].nth)
			code = failures[i].code;
	return code;
}

/* Faults after which a context is of no use any more. */
static bool is_sticky(unsigned code)
{
	return code == FINF_CU_ERROR_ECC_UNCORRECTABLE || code == FINF_CU_ERROR_ILLEGAL_ADDRESS ||
	       code == FINF_CU_ERROR_LAUNCH_TIMEOUT ||
	       (code >= FINF_CU_ERROR_ASSERT && code <= FINF_CU_ERROR_LAUNCH_FAILED &&
		code != FINF_CU_ERROR_HOST_MEMORY_ALREADY_REGISTERED &&
		code != FINF_CU_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

/* A driver does not survive fork; the lock may be held for ever in the child. */
static bool forked(void)
{
	int pid = fake.pid;

	return pid && pid != getpid();
}

/* ---- every call ------------------------------------------------------------ */

struct finf_cu_ctx *fake_current(void)
{
	return depth ? current[depth - 1] : NULL;
}

static enum finf_cu_result check_context(unsigned needs)
{
	struct finf_cu_ctx *ctx = fake_current();

	if (!ctx)
		return FINF_CU_ERROR_INVALID_CONTEXT;
	if (!ctx->live)
		return FINF_CU_ERROR_CONTEXT_IS_DESTROYED;
	if (ctx->sticky)
		return ctx->sticky;
	return needs & UNSAFE ? capture_forbids(ctx) : FINF_CU_SUCCESS;
}

enum finf_cu_result fake_enter(const char *name, unsigned needs)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;
	unsigned code;

	if (forked())
		return FINF_CU_ERROR_NOT_INITIALIZED;
	pthread_mutex_lock(&fake.lock);
	code = fake_injected(name);
	if (fake_in_host_function) {
		fake_violate("%s: called by a host function", name);
		result = FINF_CU_ERROR_NOT_PERMITTED;
	} else if (needs && !fake.pid) {
		result = FINF_CU_ERROR_NOT_INITIALIZED;
	} else if (needs & NEED_CONTEXT) {
		result = check_context(needs);
	}
	if (!result && code) {
		result = code;
		if (is_sticky(code) && fake_current())
			fake_current()->sticky = code;
	}
	/* Who is told of a fault may unmap what a copy was reading: nothing runs on. */
	if (result && fake_current() && fake_current()->sticky && !fake_in_host_function)
		context_drain(fake_current());
	if (result)
		pthread_mutex_unlock(&fake.lock);
	return result;
}

enum finf_cu_result fake_leave(enum finf_cu_result result)
{
	pthread_mutex_unlock(&fake.lock);
	return result;
}

/* ---- starting -------------------------------------------------------------- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void read_failures(void)
{
	const char *text = getenv("FAKECUDA_FAIL");
	unsigned i = 0;

	for (; text && *text && i < N_FAILURES; i++) {
		if (sscanf(text, "%63[^:]:%u:%u", failures[i].name, &failures[i].nth,
			   &failures[i].code) != 3)
			failures[i].nth = 0;
		text += strcspn(text, ",");
		text += *text == ',';
	}
}

static void start(void)
{
	fake.n_devices = (unsigned)setting("FAKECUDA_DEVICES", 1);
	if (fake.n_devices > MAX_DEVICES)
		fake.n_devices = MAX_DEVICES;
	fake.memory_bytes = setting("FAKECUDA_MEMORY", (uint64_t)1 << 30);
	fake.concurrent = setting("FAKECUDA_CONCURRENT", 1);
	fake.random = setting("FAKECUDA_SEED", 1);
	fake.delay_us = setting("FAKECUDA_DELAY_US", 200);
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		fake.ctx[i].device = i;
	memory_share(getenv("FAKECUDA_SHARED"));
	read_failures();
	fake.pid = getpid();
}

enum finf_cu_result cuInit(unsigned flags)
{
	enum finf_cu_result result;

	if (flags)
		return FINF_CU_ERROR_INVALID_VALUE;
	if (forked())
		return FINF_CU_ERROR_NOT_INITIALIZED;
	pthread_mutex_lock(&fake.lock);
	if (!fake.pid)
		start();
	pthread_mutex_unlock(&fake.lock);
	result = fake_enter("cuInit", 0);
	if (result)
		return result;
	return fake_leave(fake.n_devices ? FINF_CU_SUCCESS : FINF_CU_ERROR_NO_DEVICE);
}

enum finf_cu_result cuDriverGetVersion(int *ret)
{
	*ret = 11080;
	return FINF_CU_SUCCESS;
}

static const struct {
	unsigned number;
	const char *name, *words;
} results[] = {
	{0, "CUDA_SUCCESS", "no error"},
#define FINF_CU_RESULT(name, number, err, words) {number, "CUDA_" #name, words},
#include "device/cuda/result.def"
#undef FINF_CU_RESULT
};

enum finf_cu_result cuGetErrorName(enum finf_cu_result result, const char **ret)
{
	*ret = NULL;
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].number == result)
			*ret = results[i].name;
	return *ret ? FINF_CU_SUCCESS : FINF_CU_ERROR_INVALID_VALUE;
}

enum finf_cu_result cuGetErrorString(enum finf_cu_result result, const char **ret)
{
	*ret = NULL;
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].number == result)
			*ret = results[i].words;
	return *ret ? FINF_CU_SUCCESS : FINF_CU_ERROR_INVALID_VALUE;
}

/* ---- devices --------------------------------------------------------------- */

static enum finf_cu_result enter_device(const char *name, int device)
{
	enum finf_cu_result result = fake_enter(name, NEED_INIT);

	if (!result && (device < 0 || (unsigned)device >= fake.n_devices))
		return fake_leave(FINF_CU_ERROR_INVALID_DEVICE);
	return result;
}

enum finf_cu_result cuDeviceGetCount(int *ret)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	*ret = (int)fake.n_devices;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDeviceGet(int *ret, int ordinal)
{
	enum finf_cu_result result = enter_device(__func__, ordinal);

	if (result)
		return result;
	*ret = ordinal;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDeviceGetName(char *name, int len, int device)
{
	enum finf_cu_result result = enter_device(__func__, device);

	if (result)
		return result;
	snprintf(name, (size_t)len, "fakecuda %d", device);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDeviceGetUuid_v2(struct finf_cu_uuid *ret, int device)
{
	enum finf_cu_result result = enter_device(__func__, device);

	if (result)
		return result;
	memcpy(ret->bytes, "fakecuda-device-", sizeof(ret->bytes));
	ret->bytes[15] = (char)('0' + device);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDeviceTotalMem_v2(size_t *ret, int device)
{
	enum finf_cu_result result = enter_device(__func__, device);

	if (result)
		return result;
	*ret = fake.memory_bytes;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDeviceGetAttribute(int *ret, enum finf_cu_attribute which, int device)
{
	static const struct {
		unsigned number;
		int value;
	} values[] = {
		{FINF_CU_MAX_THREADS_PER_BLOCK, 1024},
		{FINF_CU_MULTIPROCESSOR_COUNT, 4},
		{FINF_CU_UNIFIED_ADDRESSING, 1},
		{FINF_CU_COMPUTE_MAJOR, 7},
		{FINF_CU_COMPUTE_MINOR, 5},
		{FINF_CU_MANAGED_MEMORY, 1},
		{FINF_CU_REGISTERED_HOST_POINTER, 1},
		{FINF_CU_SHARED_PER_BLOCK_OPTIN, 65536},
		{FINF_CU_VMM_SUPPORTED, 1},
		{FINF_CU_POSIX_HANDLE_SUPPORTED, 1},
	};
	enum finf_cu_result result = enter_device(__func__, device);

	if (result)
		return result;
	*ret = 0;
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].number == which)
			*ret = values[i].value;
	if (which == FINF_CU_CONCURRENT_MANAGED)
		*ret = fake.concurrent;
	return fake_leave(FINF_CU_SUCCESS);
}

/* ---- primary contexts ------------------------------------------------------ */

static void context_destroy(struct finf_cu_ctx *ctx)
{
	capture_break(ctx);
	context_drain(ctx);
	streams_destroy(ctx);
	graphs_destroy(ctx);
	modules_destroy(ctx);
	memory_destroy(ctx);
	*ctx = (struct finf_cu_ctx){.device = ctx->device};
}

enum finf_cu_result cuDevicePrimaryCtxRetain(struct finf_cu_ctx **ret, int device)
{
	enum finf_cu_result result = enter_device(__func__, device);
	struct finf_cu_ctx *ctx;

	if (result)
		return result;
	ctx = &fake.ctx[device];
	if (!ctx->live) {
		ctx->live = true;
		stream_new_legacy(ctx);
	}
	ctx->retained++;
	*ret = ctx;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuDevicePrimaryCtxRelease_v2(int device)
{
	enum finf_cu_result result = enter_device(__func__, device);

	if (result)
		return result;
	if (!fake.ctx[device].retained)
		return fake_leave(FINF_CU_ERROR_INVALID_CONTEXT);
	if (!--fake.ctx[device].retained)
		context_destroy(&fake.ctx[device]);
	return fake_leave(FINF_CU_SUCCESS);
}

/* Those who retained it keep their handles; all that lay in the context is gone. */
enum finf_cu_result cuDevicePrimaryCtxReset_v2(int device)
{
	enum finf_cu_result result = enter_device(__func__, device);
	unsigned retained;

	if (result)
		return result;
	retained = fake.ctx[device].retained;
	if (fake.ctx[device].live)
		context_destroy(&fake.ctx[device]);
	if (retained) {
		fake.ctx[device].live = true;
		fake.ctx[device].retained = retained;
		stream_new_legacy(&fake.ctx[device]);
	}
	return fake_leave(FINF_CU_SUCCESS);
}

static bool is_context(const struct finf_cu_ctx *ctx)
{
	return ctx >= fake.ctx && ctx < fake.ctx + MAX_DEVICES && ctx->live;
}

enum finf_cu_result cuCtxSetCurrent(struct finf_cu_ctx *ctx)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	if (ctx && !is_context(ctx))
		return fake_leave(FINF_CU_ERROR_INVALID_CONTEXT);
	if (!depth)
		depth = 1;
	current[depth - 1] = ctx;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuCtxGetCurrent(struct finf_cu_ctx **ret)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	*ret = fake_current();
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuCtxPushCurrent_v2(struct finf_cu_ctx *ctx)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	if (!is_context(ctx) || depth == STACK)
		return fake_leave(FINF_CU_ERROR_INVALID_CONTEXT);
	current[depth++] = ctx;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuCtxPopCurrent_v2(struct finf_cu_ctx **ret)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	if (!depth)
		return fake_leave(FINF_CU_ERROR_INVALID_CONTEXT);
	*ret = current[--depth];
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuCtxSynchronize(void)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	if (fake_current()->captures) {
		capture_break(fake_current());
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	}
	context_drain(fake_current());
	return fake_leave(fake_current()->sticky);
}
