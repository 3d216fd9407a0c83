/* SPDX-License-Identifier: MIT */
/* cuda: the device - opening, copies, launches, and the way back after a fault. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda.h"
#include "device/cuda/kernels.h"

#define BOUNCE_BYTES (1ull << 20)

/* ---- around the driver ------------------------------------------------------------ */

int finf_cuda_begin(struct finf_cuda_device *cd, struct finf_diag *diag)
{
	if (cd->unusable)
		return finf_diag_set(diag, -ENODEV, "the device could not be reset");
	return finf_cuda_enter(cd->cuda, diag);
}

void finf_cuda_end(struct finf_cuda_device *cd)
{
	finf_cuda_leave(cd->cuda);
}

int finf_cuda_told(const char *what, enum finf_cu_result result)
{
	struct finf_diag diag = {""};

	if (result == FINF_CU_SUCCESS)
		return 0;
	finf_cuda_fail(&diag, what, result);
	finf_log("cuda: %s", diag.text);
	return finf_cuda_errno(result);
}

/* ---- open and close ----------------------------------------------------------------- */

/* What lies in the context; again after each reset. */
static int context_fill(struct finf_cuda_device *cd, struct finf_diag *diag)
{
	const struct finf_cuda_info *info = finf_cuda_info(cd->cuda);
	const struct finf_cuda_api *api = cd->api;
	const char *step = "cuStreamCreateWithPriority";
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, diag);

	if (err)
		return err;
	result = api->cuStreamCreateWithPriority(&cd->compute, FINF_CU_STREAM_NON_BLOCKING, 0);
	if (result == FINF_CU_SUCCESS)
		result = api->cuStreamCreateWithPriority(&cd->capture, FINF_CU_STREAM_NON_BLOCKING,
							 0);
	if (result == FINF_CU_SUCCESS) {
		step = "cuMemHostAlloc";
		result = api->cuMemHostAlloc(&cd->bounce, BOUNCE_BYTES, 0);
	}
	if (result == FINF_CU_SUCCESS)
		err = finf_cuda_kernels_load(api, 10 * info->compute_major + info->compute_minor,
					     &cd->kernels, diag);
	else
		err = finf_cuda_fail(diag, step, result);
	finf_cuda_end(cd);
	return err;
}

/* After a fault these calls fail, and the context takes all of it along. */
static void context_empty(struct finf_cuda_device *cd)
{
	int err = finf_cuda_begin(cd, NULL);

	finf_cuda_kernels_unload(cd->api, cd->kernels, err);
	finf_cuda_branches_drop(cd, err);
	if (!err && cd->compute)
		cd->api->cuStreamDestroy(cd->compute);
	if (!err && cd->capture)
		cd->api->cuStreamDestroy(cd->capture);
	if (!err && cd->bounce)
		cd->api->cuMemFreeHost(cd->bounce);
	if (!err)
		finf_cuda_end(cd);
	cd->kernels = NULL;
	cd->compute = cd->capture = NULL;
	cd->bounce = NULL;
}

static int cuda_probe(struct finf_diag *diag)
{
	const struct finf_cuda_api *api;

	return finf_cuda_api(&api, diag);
}

static void cuda_close(struct finf_device *dev)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);

	context_empty(cd);
	finf_cuda_close(cd->cuda);
	pthread_mutex_destroy(&cd->capture_lock);
	pthread_mutex_destroy(&cd->bounce_lock);
	free(cd);
}

static int cuda_open(uint32_t ordinal, struct finf_device **ret_dev, struct finf_diag *diag)
{
	struct finf_cuda_device *cd = calloc(1, sizeof(*cd));
	int err;

	if (!cd)
		return finf_diag_set(diag, -ENOMEM, "no memory for a device");
	err = finf_cuda_api(&cd->api, diag);
	if (!err)
		err = finf_cuda_open((int)ordinal, &cd->cuda, diag);
	if (err) {
		free(cd);
		return err;
	}
	cd->base.ops = &finf_cuda_ops;
	pthread_mutex_init(&cd->bounce_lock, NULL);
	pthread_mutex_init(&cd->capture_lock, NULL);
	err = context_fill(cd, diag);
	if (err)
		cuda_close(&cd->base);
	else
		*ret_dev = &cd->base;
	return err;
}

/* ---- copies: through page-locked memory, in the order of the launches ------------------- */

static int cuda_read(struct finf_device *dev, void *host, const void *device, uint64_t bytes)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result = FINF_CU_SUCCESS;
	uint64_t n;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	pthread_mutex_lock(&cd->bounce_lock);
	for (uint64_t at = 0; at < bytes && result == FINF_CU_SUCCESS; at += n) {
		n = FINF_MIN(BOUNCE_BYTES, bytes - at);
		result = cd->api->cuMemcpyDtoHAsync(cd->bounce, finf_cuda_address(device) + at, n,
						    cd->compute);
		if (result == FINF_CU_SUCCESS)
			result = cd->api->cuStreamSynchronize(cd->compute);
		if (result == FINF_CU_SUCCESS)
			memcpy((uint8_t *)host + at, cd->bounce, n);
	}
	pthread_mutex_unlock(&cd->bounce_lock);
	finf_cuda_end(cd);
	return finf_cuda_told("read", result);
}

static int cuda_write(struct finf_device *dev, void *device, const void *host, uint64_t bytes)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result = FINF_CU_SUCCESS;
	uint64_t n;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	pthread_mutex_lock(&cd->bounce_lock);
	for (uint64_t at = 0; at < bytes && result == FINF_CU_SUCCESS; at += n) {
		n = FINF_MIN(BOUNCE_BYTES, bytes - at);
		memcpy(cd->bounce, (const uint8_t *)host + at, n);
		result = cd->api->cuMemcpyHtoDAsync(finf_cuda_address(device) + at, cd->bounce, n,
						    cd->compute);
		if (result == FINF_CU_SUCCESS)
			result = cd->api->cuStreamSynchronize(cd->compute);
	}
	pthread_mutex_unlock(&cd->bounce_lock);
	finf_cuda_end(cd);
	return finf_cuda_told("write", result);
}

/* Over when it returns: an upload, on another stream, may be what comes next to either place. */
static int cuda_move(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = cd->api->cuMemcpyDtoDAsync(finf_cuda_address(to), finf_cuda_address(from), bytes,
					    cd->compute);
	if (result == FINF_CU_SUCCESS)
		result = cd->api->cuStreamSynchronize(cd->compute);
	finf_cuda_end(cd);
	return finf_cuda_told("move", result);
}

static int cuda_sync(struct finf_device *dev)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = cd->api->cuStreamSynchronize(cd->compute);
	finf_cuda_end(cd);
	return finf_cuda_told("sync", result);
}

/* ---- kernels ------------------------------------------------------------------------------ */

static int cuda_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			   const struct finf_form *form, uint32_t threads,
			   struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_kernel_new(graph, node, form, ret_kernel, diag);
}

static int cuda_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint16_t from, uint16_t to,
			    uint32_t threads, struct finf_kernel **ret_kernel,
			    struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_reorder_new(dtype, shape, from, to, ret_kernel, diag);
}

static void cuda_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	(void)dev;
	finf_cuda_kernel_free(kernel);
}

static int cuda_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			   const struct finf_launch *launch)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	bool noted = atomic_load_explicit(&cd->capturer, memory_order_relaxed) == pthread_self();
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	err = finf_cuda_kernel_launch(cd->kernels, cd->api, noted ? cd->noting : cd->compute,
				      kernel, launch);
	finf_cuda_end(cd);
	return err;
}

/* ---- faults ------------------------------------------------------------------------------- */

/* Asked of the driver: which of its results stick is its business. */
static bool cuda_faulted(struct finf_device *dev)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;

	if (finf_cuda_begin(cd, NULL))
		return true;
	result = cd->api->cuStreamQuery(cd->compute);
	finf_cuda_end(cd);
	return result != FINF_CU_SUCCESS && result != FINF_CU_ERROR_NOT_READY;
}

static int cuda_reset(struct finf_device *dev, struct finf_pool_memory *pool,
		      struct finf_diag *diag)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	int err;

	finf_cuda_pool_drop(cd, pool);
	context_empty(cd);
	cd->generation++;
	err = finf_cuda_reset(cd->cuda, diag);
	cd->unusable = err;
	if (!err) {
		finf_cuda_pool_forget(cd, pool);
		err = context_fill(cd, diag);
	}
	if (!err)
		err = finf_cuda_pool_new(dev, pool->bytes, pool->mode, pool, diag);
	if (!err)
		return 0;
	context_empty(cd);
	cd->unusable = true;
	return err == -ENOBUFS ? err : -ENODEV;
}

/* ---- about itself --------------------------------------------------------------------------- */

/* Weights lie as the network has them, in the first way our kernels want them. */
static int cuda_target(struct finf_device *dev, uint32_t threads, char *key, size_t len)
{
	const struct finf_cuda_info *info = finf_cuda_info(finf_cuda_of(dev)->cuda);
	int n = snprintf(key, len, "cuda:sm_%u%u:plain-1", info->compute_major, info->compute_minor);

	(void)threads;
	return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

static int cuda_free_bytes(struct finf_device *dev, uint64_t *ret_bytes)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);

	return cd->unusable ? -ENODEV : finf_cuda_free_bytes(cd->cuda, ret_bytes, NULL);
}

static int cuda_describe_self(struct finf_device *dev, char *text, size_t len)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	const struct finf_cuda_info *info = finf_cuda_info(cd->cuda);
	uint64_t free_bytes = 0;
	char modes[384];
	int n, err = cuda_free_bytes(dev, &free_bytes);

	if (err)
		return err;
	finf_cuda_pool_modes(cd, modes, sizeof(modes));
	n = snprintf(text, len,
		     "device=%s\ndriver=%u.%u\ncompute=%u.%u\ntotal_bytes=%" PRIu64
		     "\nfree_bytes=%" PRIu64 "\nshares_host_memory=%s\npool_modes=%s\nkernels=%s\n",
		     info->name, info->driver_version / 1000, info->driver_version % 1000 / 10,
		     info->compute_major, info->compute_minor, info->total_bytes, free_bytes,
		     info->integrated ? "yes" : "no", modes,
		     finf_cuda_kernels_kind(cd->kernels));
	return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

const struct finf_device_ops finf_cuda_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "cuda",
	.probe = cuda_probe,
	.open = cuda_open,
	.close = cuda_close,
	.target = cuda_target,
	.pool_new = finf_cuda_pool_new,
	.pool_free = finf_cuda_pool_free,
	.read = cuda_read,
	.write = cuda_write,
	.move = cuda_move,
	.describe = finf_cuda_describe,
	.layout_bytes = finf_cuda_layout_bytes,
	.reorder_ns = finf_cuda_reorder_ns,
	.pack_weight = finf_cuda_pack_weight,
	.kernel_new = cuda_kernel_new,
	.reorder_new = cuda_reorder_new,
	.kernel_run = cuda_kernel_run,
	.kernel_free = cuda_kernel_free,
	.sync = cuda_sync,
	.upload_new = finf_cuda_upload_new,
	.upload_start = finf_cuda_upload_start,
	.upload_wait = finf_cuda_upload_wait,
	.upload_free = finf_cuda_upload_free,
	.capture_begin = finf_cuda_capture_begin,
	.capture_end = finf_cuda_capture_end,
	.capture_branch = finf_cuda_capture_branch,
	.capture_mark = finf_cuda_capture_mark,
	.capture_await = finf_cuda_capture_await,
	.captured_run = finf_cuda_captured_run,
	.captured_free = finf_cuda_captured_free,
	.faulted = cuda_faulted,
	.reset = cuda_reset,
	.free_bytes = cuda_free_bytes,
	.describe_self = cuda_describe_self,
};
