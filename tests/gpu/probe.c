/* SPDX-License-Identifier: MIT */
/*
 * gpu/probe - what a real GPU and its driver do, measured before the CUDA
 * device is written. Opens the driver by dlopen and needs no toolkit. Every
 * step prints one line "step=NAME result=... key=value ..." and a failed step
 * does not stop the next one. Exits 77 where there is no device.
 *
 *   probe [FOLDER]     FOLDER lies on the disk to read from (default ".")
 *
 * It never takes more than a quarter of the free memory, and of managed
 * memory never more than 64 MiB: some cards hang when they are over-committed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB	       ((size_t)1 << 20)
#define FILE_BYTES     (64 * MIB)
#define BLOCK_BYTES    MIB
#define DEPTH	       8
#define POOL_MAX_BYTES (1024 * MIB)
#define TIME_LIMIT_S   300
#define EXIT_SKIP      77

/* ---- the driver's ABI, as far as it is used here ------------------------- */

typedef unsigned cu_result;
typedef int cu_device;
typedef unsigned long long cu_address, cu_handle;
typedef struct cu_context *cu_context;
typedef struct cu_stream *cu_stream;

enum { CU_SUCCESS = 0, CU_NOT_FOUND = 500 };

struct cu_location {
	unsigned type; /* 1 = device */
	int id;
};

struct cu_allocation {
	unsigned type;	       /* 1 = pinned */
	unsigned handle_types; /* 1 = POSIX descriptor */
	struct cu_location location;
	void *windows;
	struct {
		unsigned char compression, rdma;
		unsigned short usage;
		unsigned char reserved[4];
	} flags;
};

struct cu_access {
	struct cu_location location;
	unsigned flags; /* 3 = read and write */
};

_Static_assert(sizeof(struct cu_allocation) == 32, "layout of the driver's ABI");
_Static_assert(sizeof(struct cu_access) == 12, "layout of the driver's ABI");

enum group { CORE, VMM, MANAGED, N_GROUPS };

/* group, our name, exported name, arguments */
#define CU_FUNCTIONS(X)                                                                            \
	X(CORE, init, cuInit, (unsigned))                                                          \
	X(CORE, driver_version, cuDriverGetVersion, (int *))                                       \
	X(CORE, error_name, cuGetErrorName, (cu_result, const char **))                            \
	X(CORE, device, cuDeviceGet, (cu_device *, int))                                           \
	X(CORE, device_count, cuDeviceGetCount, (int *))                                           \
	X(CORE, device_name, cuDeviceGetName, (char *, int, cu_device))                            \
	X(CORE, device_total, cuDeviceTotalMem_v2, (size_t *, cu_device))                          \
	X(CORE, attribute, cuDeviceGetAttribute, (int *, unsigned, cu_device))                     \
	X(CORE, context_retain, cuDevicePrimaryCtxRetain, (cu_context *, cu_device))               \
	X(CORE, context_release, cuDevicePrimaryCtxRelease_v2, (cu_device))                        \
	X(CORE, context_set, cuCtxSetCurrent, (cu_context))                                        \
	X(CORE, synchronize, cuCtxSynchronize, (void))                                             \
	X(CORE, memory_info, cuMemGetInfo_v2, (size_t *, size_t *))                                \
	X(CORE, alloc, cuMemAlloc_v2, (cu_address *, size_t))                                      \
	X(CORE, free, cuMemFree_v2, (cu_address))                                                  \
	X(CORE, host_register, cuMemHostRegister_v2, (void *, size_t, unsigned))                   \
	X(CORE, host_unregister, cuMemHostUnregister, (void *))                                    \
	X(CORE, host_address, cuMemHostGetDevicePointer_v2, (cu_address *, void *, unsigned))      \
	X(CORE, to_device, cuMemcpyHtoDAsync_v2, (cu_address, const void *, size_t, cu_stream))    \
	X(CORE, to_host, cuMemcpyDtoHAsync_v2, (void *, cu_address, size_t, cu_stream))            \
	X(CORE, fill, cuMemsetD8Async, (cu_address, unsigned char, size_t, cu_stream))             \
	X(CORE, stream_new, cuStreamCreateWithPriority, (cu_stream *, unsigned, int))              \
	X(CORE, stream_free, cuStreamDestroy_v2, (cu_stream))                                      \
	X(CORE, stream_wait, cuStreamSynchronize, (cu_stream))                                     \
	X(VMM, granularity, cuMemGetAllocationGranularity,                                         \
	  (size_t *, const struct cu_allocation *, unsigned))                                      \
	X(VMM, reserve, cuMemAddressReserve,                                                       \
	  (cu_address *, size_t, size_t, cu_address, unsigned long long))                          \
	X(VMM, unreserve, cuMemAddressFree, (cu_address, size_t))                                  \
	X(VMM, create, cuMemCreate,                                                                \
	  (cu_handle *, size_t, const struct cu_allocation *, unsigned long long))                 \
	X(VMM, release, cuMemRelease, (cu_handle))                                                 \
	X(VMM, map, cuMemMap, (cu_address, size_t, size_t, cu_handle, unsigned long long))         \
	X(VMM, unmap, cuMemUnmap, (cu_address, size_t))                                            \
	X(VMM, access, cuMemSetAccess, (cu_address, size_t, const struct cu_access *, size_t))     \
	X(MANAGED, alloc_managed, cuMemAllocManaged, (cu_address *, size_t, unsigned))             \
	X(MANAGED, prefetch, cuMemPrefetchAsync, (cu_address, size_t, cu_device, cu_stream))

#define X(group, field, symbol, args) cu_result(*field) args;
static struct {
	CU_FUNCTIONS(X)
} cu;
#undef X

static const struct {
	enum group group;
	size_t slot;
	const char *symbol;
} functions[] = {
#define X(group, field, symbol, args) {group, __builtin_offsetof(__typeof__(cu), field), #symbol},
	CU_FUNCTIONS(X)
#undef X
};

static const struct {
	unsigned number;
	const char *name;
} attributes[] = {
	{75, "compute_major"},
	{76, "compute_minor"},
	{16, "multiprocessors"},
	{38, "l2_bytes"},
	{40, "async_engines"},
	{18, "integrated"},
	{19, "can_map_host_memory"},
	{41, "unified_addressing"},
	{83, "managed_memory"},
	{89, "concurrent_managed_access"},
	{88, "pageable_memory_access"},
	{100, "pageable_uses_host_page_tables"},
	{101, "direct_managed_access_from_host"},
	{99, "host_register_supported"},
	{91, "can_use_host_pointer_for_registered"},
	{102, "vmm_supported"},
	{103, "posix_handles_supported"},
	{110, "rdma_with_vmm_supported"},
	{115, "memory_pools_supported"},
};

enum { ATTRIBUTE_CONCURRENT_MANAGED = 89, ATTRIBUTE_VMM = 102 };

/* ---- what the steps share ------------------------------------------------ */

static struct {
	cu_device device;
	cu_stream stream;
	unsigned missing[N_GROUPS]; /* entry points this driver does not export */
	uint8_t *staging;	    /* FILE_BYTES, anonymous */
	uint8_t *back;		    /* FILE_BYTES, what was copied back */
	struct io_uring ring;
	bool ring_up, staging_fixed, staging_pinned;
	int file; /* FILE_BYTES, O_DIRECT where it works; -1 = none */
	uint64_t file_hash;
} probe = {.file = -1};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double us_since(uint64_t start_ns)
{
	return (double)(now_ns() - start_ns) / 1e3;
}

/* bytes per nanosecond is GB/s */
static double gb_per_s(size_t bytes, double us)
{
	return us > 0 ? (double)bytes / us / 1e3 : 0;
}

static void say(const char *step, const char *result, const char *fmt, va_list args)
{
	printf("step=%s result=%s", step, result);
	if (*fmt)
		putchar(' ');
	vprintf(fmt, args);
	putchar('\n');
	fflush(stdout); /* what was found must survive a card that hangs */
}

/* One line about a driver call; true when it succeeded. */
__attribute__((format(printf, 3, 4))) static bool cu_say(const char *step, cu_result err,
							 const char *fmt, ...)
{
	const char *name = "?";
	char result[96] = "ok";
	va_list args;

	if (err != CU_SUCCESS) {
		cu.error_name(err, &name);
		snprintf(result, sizeof(result), "error code=%u name=%s", err, name ? name : "?");
	}
	va_start(args, fmt);
	say(step, result, fmt, args);
	va_end(args);
	return err == CU_SUCCESS;
}

/* The same about a system call; @err is a negative errno or 0. */
__attribute__((format(printf, 3, 4))) static bool sys_say(const char *step, int err,
							  const char *fmt, ...)
{
	char result[96] = "ok";
	va_list args;

	if (err < 0)
		snprintf(result, sizeof(result), "error code=%d name=%s", -err,
			 strerrorname_np(-err) ? strerrorname_np(-err) : "?");
	va_start(args, fmt);
	say(step, result, fmt, args);
	va_end(args);
	return err >= 0;
}

static size_t free_bytes(void)
{
	size_t free_now = 0, total = 0;

	cu.synchronize();
	if (cu.memory_info(&free_now, &total) != CU_SUCCESS)
		return 0;
	return free_now;
}

/* Contents of the test file: a function of the place, so that a block that
 * landed elsewhere shows. splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static void fill_pattern(void *to, size_t bytes)
{
	uint64_t *word = to;

	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		word[i] = z ^ (z >> 31);
	}
}

/* FNV-1a by 64-bit words: enough to tell right bytes from wrong ones. */
static uint64_t hash(const void *data, size_t bytes)
{
	const uint64_t *word = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes / 8; i++)
		h = (h ^ word[i]) * 0x100000001b3u;
	return h;
}

/* ---- opening ------------------------------------------------------------- */

/* 0, or why there is no device. */
static const char *driver_open(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	int count = 0;

	if (!lib)
		return "libcuda.so.1 cannot be opened";
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *entry = dlsym(lib, functions[i].symbol);

		memcpy((char *)&cu + functions[i].slot, &entry, sizeof(entry));
		if (entry)
			continue;
		printf("step=symbols result=error name=missing symbol=%s\n", functions[i].symbol);
		probe.missing[functions[i].group]++;
	}
	if (probe.missing[CORE])
		return "the driver lacks entry points";
	if (cu.init(0) != CU_SUCCESS)
		return "cuInit failed";
	if (cu.device_count(&count) != CU_SUCCESS || !count)
		return "the driver knows no device";
	return NULL;
}

static void show_device(void)
{
	char name[256] = "";
	int version = 0;
	size_t total = 0;
	cu_result err = cu.device_name(name, sizeof(name), probe.device);

	cu_say("device", err, "name=\"%s\"", name);
	err = cu.driver_version(&version);
	cu_say("driver", err, "version=%d.%d", version / 1000, version % 1000 / 10);
	err = cu.device_total(&total, probe.device);
	cu_say("memory", err, "total_bytes=%zu free_bytes=%zu", total, free_bytes());
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		int value = -1;

		err = cu.attribute(&value, attributes[i].number, probe.device);
		cu_say("attribute", err, "name=%s value=%d", attributes[i].name, value);
	}
}

static int attribute(unsigned number)
{
	int value = 0;

	return cu.attribute(&value, number, probe.device) == CU_SUCCESS ? value : 0;
}

/* ---- VMM: a pool that grows by chunks ------------------------------------- */

struct cost {
	double sum_us, max_us;
};

static void cost_add(struct cost *cost, uint64_t start_ns)
{
	double us = us_since(start_ns);

	cost->sum_us += us;
	if (us > cost->max_us)
		cost->max_us = us;
}

struct grown {
	cu_address base;
	size_t bytes, chunk_bytes;
	unsigned n; /* chunks that are mapped */
	cu_handle handles[POOL_MAX_BYTES / (32 * MIB)];
	struct cost create, map, access;
};

static struct cu_allocation vmm_kind(void)
{
	return (struct cu_allocation){.type = 1, .handle_types = 1, .location = {1, probe.device}};
}

static cu_result grow_one(struct grown *pool)
{
	struct cu_access access = {{1, probe.device}, 3};
	struct cu_allocation kind = vmm_kind();
	cu_address at = pool->base + pool->n * pool->chunk_bytes;
	cu_handle handle;
	uint64_t start = now_ns();
	cu_result err = cu.create(&handle, pool->chunk_bytes, &kind, 0);

	if (err != CU_SUCCESS)
		return err;
	cost_add(&pool->create, start);
	start = now_ns();
	err = cu.map(at, pool->chunk_bytes, 0, handle, 0);
	if (err != CU_SUCCESS) {
		cu.release(handle);
		return err;
	}
	cost_add(&pool->map, start);
	pool->handles[pool->n++] = handle;
	start = now_ns();
	err = cu.access(at, pool->chunk_bytes, &access, 1);
	cost_add(&pool->access, start);
	return err;
}

/* A copy over the border of two chunks must work: the pool relies on it. */
static void vmm_copy_across(const struct grown *pool)
{
	cu_address at = pool->base + pool->chunk_bytes - MIB;
	cu_result err;

	if (pool->n < 2)
		return;
	fill_pattern(probe.staging, 2 * MIB);
	memset(probe.back, 0, 2 * MIB);
	err = cu.to_device(at, probe.staging, 2 * MIB, probe.stream);
	if (err == CU_SUCCESS)
		err = cu.to_host(probe.back, at, 2 * MIB, probe.stream);
	if (err == CU_SUCCESS)
		err = cu.stream_wait(probe.stream);
	cu_say("vmm_copy_across_chunks", err, "same=%d",
	       !memcmp(probe.back, probe.staging, 2 * MIB));
}

static void vmm_shrink(struct grown *pool)
{
	struct cost unmap = {0, 0}, release = {0, 0};
	cu_result err = CU_SUCCESS, first = CU_SUCCESS;
	unsigned n = pool->n;

	while (pool->n) {
		uint64_t start = now_ns();

		pool->n--;
		err = cu.unmap(pool->base + pool->n * pool->chunk_bytes, pool->chunk_bytes);
		cost_add(&unmap, start);
		first = first ? first : err;
		start = now_ns();
		err = cu.release(pool->handles[pool->n]);
		cost_add(&release, start);
		first = first ? first : err;
	}
	cu_say("vmm_shrink", first,
	       "chunk_bytes=%zu n=%u unmap_us=%.1f unmap_max_us=%.1f release_us=%.1f "
	       "release_max_us=%.1f",
	       pool->chunk_bytes, n, unmap.sum_us / (n ? n : 1), unmap.max_us,
	       release.sum_us / (n ? n : 1), release.max_us);
}

static void vmm_grow(size_t chunk_bytes)
{
	struct grown pool = {.chunk_bytes = chunk_bytes};
	size_t before = free_bytes(), full;
	uint64_t start = now_ns();
	cu_result err;
	double div;

	pool.bytes = before / 4 < POOL_MAX_BYTES ? before / 4 : POOL_MAX_BYTES;
	pool.bytes -= pool.bytes % chunk_bytes;
	err = cu.reserve(&pool.base, pool.bytes, 0, 0, 0);
	if (!cu_say("vmm_reserve", err, "bytes=%zu us=%.1f", pool.bytes, us_since(start)))
		return;
	while (err == CU_SUCCESS && pool.n < pool.bytes / chunk_bytes)
		err = grow_one(&pool);
	div = pool.n ? pool.n : 1;
	full = free_bytes();
	cu_say("vmm_grow", err,
	       "chunk_bytes=%zu n=%u create_us=%.1f create_max_us=%.1f map_us=%.1f map_max_us=%.1f "
	       "access_us=%.1f access_max_us=%.1f taken_bytes=%zd",
	       chunk_bytes, pool.n, pool.create.sum_us / div, pool.create.max_us,
	       pool.map.sum_us / div, pool.map.max_us, pool.access.sum_us / div, pool.access.max_us,
	       (ssize_t)(before - full));
	if (err == CU_SUCCESS)
		vmm_copy_across(&pool);
	vmm_shrink(&pool);
	start = now_ns();
	err = cu.unreserve(pool.base, pool.bytes);
	cu_say("vmm_unreserve", err, "us=%.1f", us_since(start));
	full = free_bytes();
	cu_say("vmm_returned", CU_SUCCESS, "free_before_bytes=%zu free_after_bytes=%zu exact=%d",
	       before, full, before == full);
}

static void try_vmm(void)
{
	struct cu_allocation kind = vmm_kind();
	size_t minimum = 0, recommended = 0;
	cu_result err;

	if (probe.missing[VMM] || !attribute(ATTRIBUTE_VMM)) {
		cu_say("vmm", CU_NOT_FOUND, "reason=\"not supported by device or driver\"");
		return;
	}
	err = cu.granularity(&minimum, &kind, 0);
	cu_say("vmm_granularity", err, "minimum_bytes=%zu", minimum);
	err = cu.granularity(&recommended, &kind, 1);
	cu_say("vmm_granularity", err, "recommended_bytes=%zu", recommended);
	vmm_grow(32 * MIB);
	vmm_grow(64 * MIB);
}

/* ---- plain allocation: does its memory come back? -------------------------- */

static void try_plain(void)
{
	size_t before = free_bytes(), bytes = before / 4 < 256 * MIB ? before / 4 : 256 * MIB;
	uint64_t start = now_ns();
	cu_address at = 0;
	cu_result err = cu.alloc(&at, bytes);
	double us = us_since(start);

	if (!cu_say("plain_alloc", err, "bytes=%zu us=%.1f", bytes, us))
		return;
	start = now_ns();
	err = cu.fill(at, 0x5a, bytes, probe.stream);
	if (err == CU_SUCCESS)
		err = cu.stream_wait(probe.stream);
	us = us_since(start);
	cu_say("plain_fill", err, "us=%.1f gb_per_s=%.2f", us, gb_per_s(bytes, us));
	start = now_ns();
	err = cu.free(at);
	us = us_since(start);
	cu_say("plain_free", err, "us=%.1f free_before_bytes=%zu free_after_bytes=%zu", us, before,
	       free_bytes());
}

/* ---- staging: the same pages pinned by io_uring and by the driver ----------- */

static void *anonymous(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE);
	madvise(at, bytes, MADV_DONTFORK);
	memset(at, 0, bytes);
	return at;
}

static void pin_staging(void)
{
	struct iovec staging = {probe.staging, FILE_BYTES};
	struct rlimit limit = {0, 0};
	uint64_t start = now_ns();
	cu_address seen = 0;
	int ret = io_uring_queue_init(2 * DEPTH, &probe.ring, 0);
	cu_result err;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	probe.ring_up = sys_say("uring_new", ret, "us=%.1f memlock_bytes=%" PRIu64, us_since(start),
				(uint64_t)limit.rlim_cur);
	if (probe.ring_up) {
		start = now_ns();
		ret = io_uring_register_buffers(&probe.ring, &staging, 1);
		probe.staging_fixed = sys_say("uring_register", ret, "bytes=%zu us=%.1f",
					      FILE_BYTES, us_since(start));
	}
	start = now_ns();
	err = cu.host_register(probe.staging, FILE_BYTES, 0);
	probe.staging_pinned = cu_say("host_register", err, "bytes=%zu us=%.1f also_in_uring=%d",
				      FILE_BYTES, us_since(start), probe.staging_fixed);
	if (!probe.staging_pinned)
		return;
	err = cu.host_address(&seen, probe.staging, 0);
	cu_say("host_device_pointer", err, "same_as_host=%d", seen == (uintptr_t)probe.staging);
}

static void copy_rate(const char *step, cu_address to, const void *from)
{
	static const size_t sizes[] = {64 << 10, 256 << 10, MIB, 4 * MIB, 16 * MIB, FILE_BYTES};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = 256 * MIB / sizes[i] < 200 ? 256 * MIB / sizes[i] : 200;
		uint64_t start = now_ns();
		cu_result err = CU_SUCCESS;
		double us;

		for (size_t k = 0; k < n && err == CU_SUCCESS; k++)
			err = cu.to_device(to, from, sizes[i], probe.stream);
		if (err == CU_SUCCESS)
			err = cu.stream_wait(probe.stream);
		us = us_since(start);
		cu_say(step, err, "bytes=%zu n=%zu us_each=%.1f gb_per_s=%.2f", sizes[i], n,
		       us / (double)n, gb_per_s(sizes[i] * n, us));
	}
}

/* ---- file -> staging -> device ---------------------------------------------- */

static void make_file(const char *folder)
{
	char path[4096];
	int fd, direct, err = 0;

	snprintf(path, sizeof(path), "%s/gpu-probe-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd < 0) {
		sys_say("file_new", -errno, "folder=%s", folder);
		return;
	}
	fill_pattern(probe.staging, FILE_BYTES);
	probe.file_hash = hash(probe.staging, FILE_BYTES);
	for (size_t done = 0; done < FILE_BYTES && !err;) {
		ssize_t n = write(fd, probe.staging + done, FILE_BYTES - done);

		if (n < 0 && errno != EINTR)
			err = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (!err && fsync(fd))
		err = -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path);
	sys_say("file_new", err, "bytes=%zu folder=%s direct=%d", FILE_BYTES, folder, direct >= 0);
	if (!err)
		probe.file = direct >= 0 ? direct : dup(fd);
	else if (direct >= 0)
		close(direct);
	close(fd);
}

/* Reads the first @bytes of the file; each block that has landed goes on to
 * @onward when that is not 0. Return: 0, negative errno; -EREMOTEIO = the copy. */
static int read_blocks(void *to, size_t bytes, bool fixed, cu_address onward)
{
	size_t next = 0, landed = 0;
	unsigned in_flight = 0;
	int err = 0;

	while ((landed < bytes && !err) || in_flight) {
		struct io_uring_cqe *cqe;

		for (; next < bytes && in_flight < DEPTH && !err;
		     next += BLOCK_BYTES, in_flight++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&probe.ring);

			if (fixed)
				io_uring_prep_read_fixed(sqe, probe.file, (char *)to + next,
							 BLOCK_BYTES, next, 0);
			else
				io_uring_prep_read(sqe, probe.file, (char *)to + next, BLOCK_BYTES,
						   next);
			io_uring_sqe_set_data64(sqe, next);
		}
		io_uring_submit(&probe.ring);
		if (io_uring_wait_cqe(&probe.ring, &cqe))
			continue; /* EINTR */
		if (cqe->res != (int)BLOCK_BYTES && !err)
			err = cqe->res < 0 ? cqe->res : -EIO;
		if (!err && onward &&
		    cu.to_device(onward + cqe->user_data, (char *)to + cqe->user_data, BLOCK_BYTES,
				 probe.stream) != CU_SUCCESS)
			err = -EREMOTEIO;
		io_uring_cqe_seen(&probe.ring, cqe);
		in_flight--;
		landed += BLOCK_BYTES;
	}
	return err;
}

/* Is what lies on the device what lies in the file? */
static void check_back(const char *step, cu_address from, size_t bytes, uint64_t want)
{
	cu_result err;

	memset(probe.back, 0, bytes);
	err = cu.to_host(probe.back, from, bytes, probe.stream);
	if (err == CU_SUCCESS)
		err = cu.stream_wait(probe.stream);
	cu_say(step, err, "bytes=%zu same=%d", bytes, hash(probe.back, bytes) == want);
}

static void try_stream(cu_address to)
{
	uint64_t start;
	double us;
	int err;

	if (!probe.ring_up || probe.file < 0)
		return;
	memset(probe.staging, 0, FILE_BYTES);
	start = now_ns();
	err = read_blocks(probe.staging, FILE_BYTES, probe.staging_fixed, 0);
	us = us_since(start);
	sys_say("read_to_staging", err, "bytes=%zu fixed=%d gb_per_s=%.2f same=%d", FILE_BYTES,
		probe.staging_fixed, gb_per_s(FILE_BYTES, us),
		hash(probe.staging, FILE_BYTES) == probe.file_hash);
	memset(probe.staging, 0, FILE_BYTES);
	start = now_ns();
	err = read_blocks(probe.staging, FILE_BYTES, probe.staging_fixed, to);
	if (cu.stream_wait(probe.stream) != CU_SUCCESS && !err)
		err = -EREMOTEIO;
	us = us_since(start);
	sys_say("read_to_device", err, "bytes=%zu fixed=%d pinned=%d gb_per_s=%.2f", FILE_BYTES,
		probe.staging_fixed, probe.staging_pinned, gb_per_s(FILE_BYTES, us));
	check_back("read_to_device_check", to, FILE_BYTES, probe.file_hash);
}

static void try_copies(const char *folder)
{
	cu_address to = 0;
	cu_result err = cu.alloc(&to, FILE_BYTES);

	if (!cu_say("copy_target", err, "bytes=%zu", FILE_BYTES))
		return;
	if (probe.staging_pinned)
		copy_rate("copy_pinned", to, probe.staging);
	copy_rate("copy_pageable", to, probe.back);
	make_file(folder);
	try_stream(to);
	cu.free(to);
}

/* ---- managed memory ---------------------------------------------------------- */

static void managed_read(cu_address at, size_t bytes)
{
	void *host = (void *)(uintptr_t)at;
	struct iovec iov = {host, bytes};
	uint64_t want, start;
	cu_result err;
	double us;
	int ret;

	fill_pattern(probe.staging, bytes);
	want = hash(probe.staging, bytes);
	memset(host, 0, bytes); /* its pages are on the CPU's side now */
	start = now_ns();
	ret = read_blocks(host, bytes, false, 0);
	us = us_since(start);
	sys_say("managed_read", ret, "bytes=%zu gb_per_s=%.2f same=%d", bytes, gb_per_s(bytes, us),
		hash(host, bytes) == want);
	if (probe.staging_fixed)
		io_uring_unregister_buffers(&probe.ring);
	ret = io_uring_register_buffers(&probe.ring, &iov, 1);
	if (sys_say("managed_uring_register", ret, "bytes=%zu", bytes)) {
		memset(host, 0, bytes);
		ret = read_blocks(host, bytes, true, 0);
		sys_say("managed_read_fixed", ret, "same=%d", hash(host, bytes) == want);
		io_uring_unregister_buffers(&probe.ring);
	}
	probe.staging_fixed = false;
	start = now_ns();
	err = cu.prefetch(at, bytes, probe.device, probe.stream);
	if (err == CU_SUCCESS)
		err = cu.stream_wait(probe.stream);
	us = us_since(start);
	cu_say("managed_prefetch", err, "us=%.1f gb_per_s=%.2f", us, gb_per_s(bytes, us));
	check_back("managed_check", at, bytes, want);
	/* Prefetched pages live on the device: does a read still land in them? */
	start = now_ns();
	ret = read_blocks(host, bytes, false, 0);
	us = us_since(start);
	sys_say("managed_read_when_on_device", ret, "gb_per_s=%.2f", gb_per_s(bytes, us));
	check_back("managed_read_when_on_device_check", at, bytes, want);
}

static void try_managed(void)
{
	size_t before = free_bytes(), bytes = FILE_BYTES;
	cu_address at = 0;
	cu_result err;

	if (probe.missing[MANAGED] || before / 4 < bytes || !probe.ring_up || probe.file < 0) {
		cu_say("managed", CU_NOT_FOUND, "reason=\"no entry points, memory, ring or file\"");
		return;
	}
	err = cu.alloc_managed(&at, bytes, 1);
	if (!cu_say("managed_alloc", err, "bytes=%zu concurrent_access=%d", bytes,
		    attribute(ATTRIBUTE_CONCURRENT_MANAGED)))
		return;
	cu.synchronize(); /* without concurrent access the CPU may touch it only now */
	managed_read(at, bytes);
	err = cu.free(at);
	cu_say("managed_free", err, "free_before_bytes=%zu free_after_bytes=%zu", before,
	       free_bytes());
}

/* ---- all of it --------------------------------------------------------------- */

static void unpin_staging(void)
{
	if (probe.staging_pinned)
		cu_say("host_unregister", cu.host_unregister(probe.staging), "bytes=%zu",
		       FILE_BYTES);
	if (probe.ring_up)
		io_uring_queue_exit(&probe.ring); /* unregisters its buffers as well */
	if (probe.file >= 0)
		close(probe.file);
	munmap(probe.staging, FILE_BYTES);
	munmap(probe.back, FILE_BYTES);
}

static void run_steps(const char *folder)
{
	size_t before = free_bytes();

	try_vmm();
	try_plain();
	pin_staging();
	try_copies(folder);
	try_managed();
	unpin_staging();
	cu_say("returned", CU_SUCCESS, "free_before_bytes=%zu free_after_bytes=%zu", before,
	       free_bytes());
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";
	const char *why = driver_open();
	cu_context context = NULL;
	int ret = EXIT_FAILURE;

	if (why) {
		printf("SKIP gpu-probe: no CUDA device: %s\n", why);
		return EXIT_SKIP;
	}
	alarm(TIME_LIMIT_S); /* whatever a driver does, this program ends */
	if (!cu_say("device_get", cu.device(&probe.device, 0), "ordinal=0") ||
	    !cu_say("context", cu.context_retain(&context, probe.device), "kind=primary"))
		return EXIT_FAILURE;
	if (!cu_say("context_set", cu.context_set(context), "%s", "") ||
	    !cu_say("stream", cu.stream_new(&probe.stream, 1, 0), "blocking=0"))
		goto out_context;
	probe.staging = anonymous(FILE_BYTES);
	probe.back = anonymous(FILE_BYTES);
	if (!sys_say("staging", probe.staging && probe.back ? 0 : -ENOMEM, "bytes=%zu", FILE_BYTES))
		goto out_stream;
	show_device();
	run_steps(folder);
	ret = EXIT_SUCCESS;
out_stream:
	cu.stream_free(probe.stream);
out_context:
	cu.context_set(NULL);
	cu.context_release(probe.device);
	return ret;
}
