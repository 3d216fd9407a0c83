/* SPDX-License-Identifier: MIT */
/* The driver by dlopen and dlsym of exact names, results as errno, one device. */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/driver.h"

/* ---- results --------------------------------------------------------------- */

static const struct meaning {
	enum finf_cu_result result;
	int err;
	const char *name, *words;
} meanings[] = {
#define FINF_CU_RESULT(name, number, err, words) {FINF_CU_##name, -err, "CUDA_" #name, words},
#include "device/cuda/result.def"
#undef FINF_CU_RESULT
};

static const struct meaning *meaning_of(enum finf_cu_result result)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(meanings); i++)
		if (meanings[i].result == result)
			return &meanings[i];
	return NULL;
}

int finf_cuda_errno(enum finf_cu_result result)
{
	const struct meaning *meaning = meaning_of(result);

	if (result == FINF_CU_SUCCESS)
		return 0;
	return meaning ? meaning->err : -EREMOTEIO;
}

const char *finf_cuda_words(enum finf_cu_result result)
{
	const struct meaning *meaning = meaning_of(result);

	if (result == FINF_CU_SUCCESS)
		return "done";
	return meaning ? meaning->words : "a result this version does not know";
}

int finf_cuda_fail(struct finf_diag *diag, const char *what, enum finf_cu_result result)
{
	const struct meaning *meaning = meaning_of(result);

	return finf_diag_set(diag, finf_cuda_errno(result), "%s: %s (%s, %u)", what,
			     finf_cuda_words(result), meaning ? meaning->name : "CUDA error",
			     (unsigned)result);
}

/* ---- the library ------------------------------------------------------------- */

enum need { REQUIRED, OPTIONAL };

static const struct entry {
	size_t slot;
	const char *symbol;
	enum need need;
} entries[] = {
#define FINF_CU(name, symbol, version, need, args)                                                 \
	{offsetof(struct finf_cuda_api, name), #symbol, need},
#include "device/cuda/cu.def"
#undef FINF_CU
};

static struct {
	pthread_once_t once;
	int err;
	struct finf_diag why;
	struct finf_cuda_api api;
} driver = {.once = PTHREAD_ONCE_INIT};

static int resolve(void *lib, struct finf_cuda_api *api, struct finf_diag *diag)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(entries); i++) {
		void *symbol = dlsym(lib, entries[i].symbol);

		if (!symbol && entries[i].need == REQUIRED)
			return finf_diag_set(diag, -ENODEV, "the driver has no %s (CUDA 11.8 has)",
					     entries[i].symbol);
		memcpy((char *)api + entries[i].slot, &symbol, sizeof(symbol));
	}
	return 0;
}

static int start(const struct finf_cuda_api *api, struct finf_diag *diag)
{
	enum finf_cu_result result = api->cuInit(0);
	int count = 0;

	if (result == FINF_CU_SUCCESS)
		result = api->cuDeviceGetCount(&count);
	if (result == FINF_CU_SUCCESS && count < 1)
		result = FINF_CU_ERROR_NO_DEVICE;
	if (result == FINF_CU_SUCCESS)
		return 0;
	finf_cuda_fail(diag, "cuInit", result);
	return -ENODEV; /* whatever it was, there is nothing to use */
}

static void driver_open(void)
{
	const char *given = getenv("FUSEDINF_LIBCUDA");
	const char *path = given && *given ? given : "libcuda.so.1";
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		driver.err = finf_diag_set(&driver.why, -ENODEV, "no driver: %s", dlerror());
		return;
	}
	driver.err = resolve(lib, &driver.api, &driver.why);
	if (!driver.err)
		driver.err = start(&driver.api, &driver.why);
	/* Never closed: drivers have threads and exit handlers of their own. */
}

int finf_cuda_api(const struct finf_cuda_api **ret_api, struct finf_diag *diag)
{
	pthread_once(&driver.once, driver_open);
	if (driver.err)
		return finf_diag_set(diag, driver.err, "%s", driver.why.text);
	*ret_api = &driver.api;
	return 0;
}

/* ---- one device ---------------------------------------------------------------- */

struct finf_cuda {
	const struct finf_cuda_api *api;
	int device;
	struct finf_cu_ctx *ctx; /* retained; NULL after a reset that failed */
	struct finf_cuda_info info;
};

static bool has_vmm(const struct finf_cuda_api *api)
{
	return api->cuMemAddressReserve && api->cuMemAddressFree && api->cuMemCreate &&
	       api->cuMemRelease && api->cuMemMap && api->cuMemUnmap && api->cuMemSetAccess &&
	       api->cuMemGetAllocationGranularity;
}

/* An attribute that the driver does not know is one the device does not have. */
static int attribute(const struct finf_cuda *cuda, enum finf_cu_attribute which)
{
	int value = 0;

	if (cuda->api->cuDeviceGetAttribute(&value, which, cuda->device) != FINF_CU_SUCCESS)
		return 0;
	return value;
}

static void clean_name(char *name, size_t len)
{
	name[len - 1] = 0;
	for (; *name; name++)
		if (iscntrl((unsigned char)*name))
			*name = '?';
}

static enum finf_cu_result read_info(struct finf_cuda *cuda)
{
	const struct finf_cuda_api *api = cuda->api;
	struct finf_cuda_info *info = &cuda->info;
	int version = 0;
	size_t total = 0;
	enum finf_cu_result result = api->cuDriverGetVersion(&version);

	if (result == FINF_CU_SUCCESS)
		result = api->cuDeviceGetName(info->name, sizeof(info->name), cuda->device);
	if (result == FINF_CU_SUCCESS)
		result = api->cuDeviceTotalMem(&total, cuda->device);
	clean_name(info->name, sizeof(info->name));
	info->device = cuda->device;
	info->driver_version = (uint32_t)version;
	info->total_bytes = total;
	info->compute_major = (uint32_t)attribute(cuda, FINF_CU_COMPUTE_MAJOR);
	info->compute_minor = (uint32_t)attribute(cuda, FINF_CU_COMPUTE_MINOR);
	info->vmm = has_vmm(api) && attribute(cuda, FINF_CU_VMM_SUPPORTED);
	info->posix_handles = attribute(cuda, FINF_CU_POSIX_HANDLE_SUPPORTED);
	info->managed = api->cuMemAllocManaged && attribute(cuda, FINF_CU_MANAGED_MEMORY);
	info->concurrent_managed = info->managed && attribute(cuda, FINF_CU_CONCURRENT_MANAGED);
	info->integrated = attribute(cuda, FINF_CU_INTEGRATED);
	info->registered_host_pointer = attribute(cuda, FINF_CU_REGISTERED_HOST_POINTER);
	return result;
}

int finf_cuda_open(int ordinal, struct finf_cuda **ret_cuda, struct finf_diag *diag)
{
	struct finf_cuda *cuda = calloc(1, sizeof(*cuda));
	const char *step = "cuDeviceGet";
	enum finf_cu_result result;
	int err = cuda ? 0 : finf_diag_set(diag, -ENOMEM, "no memory for a device");

	if (!err)
		err = finf_cuda_api(&cuda->api, diag);
	if (err)
		goto out;
	result = cuda->api->cuDeviceGet(&cuda->device, ordinal);
	if (result == FINF_CU_SUCCESS) {
		step = "reading the device's properties";
		result = read_info(cuda);
	}
	if (result == FINF_CU_SUCCESS) {
		step = "cuDevicePrimaryCtxRetain";
		result = cuda->api->cuDevicePrimaryCtxRetain(&cuda->ctx, cuda->device);
	}
	if (result == FINF_CU_SUCCESS) {
		*ret_cuda = cuda;
		return 0;
	}
	err = finf_cuda_fail(diag, step, result);
out:
	free(cuda);
	return err;
}

void finf_cuda_close(struct finf_cuda *cuda)
{
	if (!cuda)
		return;
	if (cuda->ctx)
		cuda->api->cuDevicePrimaryCtxRelease(cuda->device);
	free(cuda);
}

/* Released first: a driver may count those who retained it anew after a reset. */
int finf_cuda_reset(struct finf_cuda *cuda, struct finf_diag *diag)
{
	const char *step = "cuDevicePrimaryCtxReset";
	enum finf_cu_result result;

	if (cuda->ctx)
		cuda->api->cuDevicePrimaryCtxRelease(cuda->device);
	cuda->ctx = NULL;
	result = cuda->api->cuDevicePrimaryCtxReset(cuda->device);
	if (result == FINF_CU_SUCCESS) {
		step = "cuDevicePrimaryCtxRetain";
		result = cuda->api->cuDevicePrimaryCtxRetain(&cuda->ctx, cuda->device);
	}
	return result == FINF_CU_SUCCESS ? 0 : finf_cuda_fail(diag, step, result);
}

const struct finf_cuda_info *finf_cuda_info(const struct finf_cuda *cuda)
{
	return &cuda->info;
}

int finf_cuda_enter(struct finf_cuda *cuda, struct finf_diag *diag)
{
	enum finf_cu_result result = cuda->api->cuCtxPushCurrent(cuda->ctx);

	return result == FINF_CU_SUCCESS ? 0 : finf_cuda_fail(diag, "cuCtxPushCurrent", result);
}

void finf_cuda_leave(struct finf_cuda *cuda)
{
	struct finf_cu_ctx *popped;

	cuda->api->cuCtxPopCurrent(&popped);
}

int finf_cuda_free_bytes(struct finf_cuda *cuda, uint64_t *ret_bytes, struct finf_diag *diag)
{
	size_t now = 0, total;
	enum finf_cu_result result;
	int err = finf_cuda_enter(cuda, diag);

	if (err)
		return err;
	result = cuda->api->cuMemGetInfo(&now, &total);
	finf_cuda_leave(cuda);
	if (result != FINF_CU_SUCCESS)
		return finf_cuda_fail(diag, "cuMemGetInfo", result);
	*ret_bytes = now;
	return 0;
}
