/* SPDX-License-Identifier: MIT */
/*
 * cuda/cu - the driver's binary interface as far as we use it, in our own
 * words: needs no toolkit. A test compares every number, size and signature
 * with the vendor's header where that is installed.
 * Must not know: anything of ours. Only device/cuda/ and its tests include it.
 */
#ifndef FINF_DEVICE_CUDA_CU_H
#define FINF_DEVICE_CUDA_CU_H

#include <stddef.h>

/* Opaque handles. Devices are int; addresses and allocations unsigned long long. */
struct finf_cu_ctx;
struct finf_cu_stream;
struct finf_cu_event;
struct finf_cu_module;
struct finf_cu_function;
struct finf_cu_graph;
struct finf_cu_graph_node;
struct finf_cu_graph_exec;

enum finf_cu_result {
	FINF_CU_SUCCESS = 0,
#define FINF_CU_RESULT(name, number, err, words) FINF_CU_##name = number,
#include "device/cuda/result.def"
#undef FINF_CU_RESULT
};

enum finf_cu_attribute {
	FINF_CU_MAX_THREADS_PER_BLOCK = 1,
	FINF_CU_MULTIPROCESSOR_COUNT = 16,
	FINF_CU_INTEGRATED = 18,
	FINF_CU_UNIFIED_ADDRESSING = 41,
	FINF_CU_COMPUTE_MAJOR = 75,
	FINF_CU_COMPUTE_MINOR = 76,
	FINF_CU_MANAGED_MEMORY = 83,
	FINF_CU_CONCURRENT_MANAGED = 89,
	FINF_CU_REGISTERED_HOST_POINTER = 91, /* the host's address serves the device as well */
	FINF_CU_SHARED_PER_BLOCK_OPTIN = 97,
	FINF_CU_VMM_SUPPORTED = 102,
	FINF_CU_POSIX_HANDLE_SUPPORTED = 103,
};

enum finf_cu_function_attribute { FINF_CU_FUNC_MAX_DYNAMIC_SHARED = 8 };
enum finf_cu_jit_option { FINF_CU_JIT_ERROR_LOG = 5, FINF_CU_JIT_ERROR_LOG_BYTES = 6 };
enum finf_cu_granularity { FINF_CU_GRANULARITY_MINIMUM = 0, FINF_CU_GRANULARITY_RECOMMENDED = 1 };
enum finf_cu_advise {
	FINF_CU_ADVISE_READ_MOSTLY = 1,
	FINF_CU_ADVISE_PREFERRED = 3,
	FINF_CU_ADVISE_ACCESSED_BY = 5,
};
enum finf_cu_capture_mode {
	FINF_CU_CAPTURE_GLOBAL = 0,
	FINF_CU_CAPTURE_THREAD_LOCAL = 1,
	FINF_CU_CAPTURE_RELAXED = 2,
};
enum finf_cu_capture_status {
	FINF_CU_CAPTURE_NONE = 0,
	FINF_CU_CAPTURE_ACTIVE = 1,
	FINF_CU_CAPTURE_INVALIDATED = 2,
};
enum finf_cu_update_result {
	FINF_CU_UPDATE_SUCCESS = 0,
	FINF_CU_UPDATE_ERROR = 1,
	FINF_CU_UPDATE_TOPOLOGY_CHANGED = 2,
	FINF_CU_UPDATE_NODE_TYPE_CHANGED = 3,
};

enum { FINF_CU_STREAM_NON_BLOCKING = 1 };
enum { FINF_CU_EVENT_BLOCKING = 1, FINF_CU_EVENT_DISABLE_TIMING = 2 };
enum { FINF_CU_ATTACH_GLOBAL = 1 };
enum { FINF_CU_HOST_DEVICEMAP = 2 };
enum { FINF_CU_DEVICE_CPU = -1 };

enum finf_cu_location_type { FINF_CU_LOCATION_DEVICE = 1 };
enum finf_cu_allocation_type { FINF_CU_ALLOCATION_PINNED = 1 };
enum finf_cu_handle_type { FINF_CU_HANDLE_NONE = 0, FINF_CU_HANDLE_POSIX = 1 };
enum finf_cu_access_flags { FINF_CU_ACCESS_NONE = 0, FINF_CU_ACCESS_READ_WRITE = 3 };

struct finf_cu_location {
	enum finf_cu_location_type type;
	int id;
};

struct finf_cu_allocation {
	enum finf_cu_allocation_type type;
	enum finf_cu_handle_type handle_types;
	struct finf_cu_location location;
	void *windows; /* NULL */
	struct {
		unsigned char compression;
		unsigned char rdma;
		unsigned short usage;
		unsigned char reserved[4];
	} flags;
};

struct finf_cu_access {
	struct finf_cu_location location;
	enum finf_cu_access_flags flags;
};

struct finf_cu_uuid {
	char bytes[16];
};

#endif
