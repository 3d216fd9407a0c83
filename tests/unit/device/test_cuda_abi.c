/* SPDX-License-Identifier: MIT */
/*
 * Our declarations of the driver's interface against the vendor's header,
 * where a toolkit is installed. All of it is proven when this file compiles.
 */
#include <string.h>

#include "tests/support/support.h"

#include "device/cuda/cu.h"

#if FI_HAVE_CUDA_H
#include <cuda.h>
#include <cudaTypedefs.h>

#define SAME(ours, theirs)                                                                         \
	_Static_assert((long long)(ours) == (long long)(theirs), #ours " is not " #theirs)

/* ---- numbers --------------------------------------------------------------- */

#define FINF_CU_RESULT(name, number, err, words) SAME(FINF_CU_##name, CUDA_##name);
#include "device/cuda/result.def"
#undef FINF_CU_RESULT
SAME(FINF_CU_SUCCESS, CUDA_SUCCESS);

SAME(FINF_CU_MAX_THREADS_PER_BLOCK, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
SAME(FINF_CU_MULTIPROCESSOR_COUNT, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(FINF_CU_INTEGRATED, CU_DEVICE_ATTRIBUTE_INTEGRATED);
SAME(FINF_CU_UNIFIED_ADDRESSING, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING);
SAME(FINF_CU_COMPUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(FINF_CU_COMPUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(FINF_CU_MANAGED_MEMORY, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY);
SAME(FINF_CU_CONCURRENT_MANAGED, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS);
SAME(FINF_CU_REGISTERED_HOST_POINTER, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM);
SAME(FINF_CU_SHARED_PER_BLOCK_OPTIN, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME(FINF_CU_VMM_SUPPORTED, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
SAME(FINF_CU_POSIX_HANDLE_SUPPORTED,
     CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
SAME(FINF_CU_FUNC_MAX_DYNAMIC_SHARED, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(FINF_CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BUFFER);
SAME(FINF_CU_JIT_ERROR_LOG_BYTES, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME(FINF_CU_GRANULARITY_MINIMUM, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
SAME(FINF_CU_GRANULARITY_RECOMMENDED, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
SAME(FINF_CU_ADVISE_READ_MOSTLY, CU_MEM_ADVISE_SET_READ_MOSTLY);
SAME(FINF_CU_ADVISE_PREFERRED, CU_MEM_ADVISE_SET_PREFERRED_LOCATION);
SAME(FINF_CU_ADVISE_ACCESSED_BY, CU_MEM_ADVISE_SET_ACCESSED_BY);
SAME(FINF_CU_CAPTURE_GLOBAL, CU_STREAM_CAPTURE_MODE_GLOBAL);
SAME(FINF_CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
SAME(FINF_CU_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME(FINF_CU_CAPTURE_NONE, CU_STREAM_CAPTURE_STATUS_NONE);
SAME(FINF_CU_CAPTURE_ACTIVE, CU_STREAM_CAPTURE_STATUS_ACTIVE);
SAME(FINF_CU_CAPTURE_INVALIDATED, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
SAME(FINF_CU_UPDATE_SUCCESS, CU_GRAPH_EXEC_UPDATE_SUCCESS);
SAME(FINF_CU_UPDATE_ERROR, CU_GRAPH_EXEC_UPDATE_ERROR);
SAME(FINF_CU_UPDATE_TOPOLOGY_CHANGED, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
SAME(FINF_CU_UPDATE_NODE_TYPE_CHANGED, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
SAME(FINF_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(FINF_CU_EVENT_BLOCKING, CU_EVENT_BLOCKING_SYNC);
SAME(FINF_CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING);
SAME(FINF_CU_ATTACH_GLOBAL, CU_MEM_ATTACH_GLOBAL);
SAME(FINF_CU_HOST_DEVICEMAP, CU_MEMHOSTREGISTER_DEVICEMAP);
SAME(FINF_CU_HOST_DEVICEMAP, CU_MEMHOSTALLOC_DEVICEMAP);
SAME(FINF_CU_DEVICE_CPU, CU_DEVICE_CPU);
SAME(FINF_CU_LOCATION_DEVICE, CU_MEM_LOCATION_TYPE_DEVICE);
SAME(FINF_CU_ALLOCATION_PINNED, CU_MEM_ALLOCATION_TYPE_PINNED);
SAME(FINF_CU_HANDLE_NONE, CU_MEM_HANDLE_TYPE_NONE);
SAME(FINF_CU_HANDLE_POSIX, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
SAME(FINF_CU_ACCESS_NONE, CU_MEM_ACCESS_FLAGS_PROT_NONE);
SAME(FINF_CU_ACCESS_READ_WRITE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);

/* ---- layouts --------------------------------------------------------------- */

#define SIZE(ours, theirs)                                                                         \
	SAME(sizeof(ours), sizeof(theirs));                                                        \
	SAME(_Alignof(ours), _Alignof(theirs))
#define PLACE(ours, a, theirs, b)                                                                  \
	SAME(offsetof(ours, a), offsetof(theirs, b));                                              \
	SAME(sizeof(((ours *)0)->a), sizeof(((theirs *)0)->b))

SIZE(int, CUdevice);
SIZE(unsigned long long, CUdeviceptr);
SIZE(unsigned long long, CUmemGenericAllocationHandle);
SIZE(enum finf_cu_result, CUresult);
SIZE(struct finf_cu_uuid, CUuuid);
SIZE(struct finf_cu_location, CUmemLocation);
PLACE(struct finf_cu_location, type, CUmemLocation, type);
PLACE(struct finf_cu_location, id, CUmemLocation, id);
SIZE(struct finf_cu_allocation, CUmemAllocationProp);
PLACE(struct finf_cu_allocation, type, CUmemAllocationProp, type);
PLACE(struct finf_cu_allocation, handle_types, CUmemAllocationProp, requestedHandleTypes);
PLACE(struct finf_cu_allocation, location, CUmemAllocationProp, location);
PLACE(struct finf_cu_allocation, windows, CUmemAllocationProp, win32HandleMetaData);
PLACE(struct finf_cu_allocation, flags.compression, CUmemAllocationProp,
      allocFlags.compressionType);
PLACE(struct finf_cu_allocation, flags.rdma, CUmemAllocationProp, allocFlags.gpuDirectRDMACapable);
PLACE(struct finf_cu_allocation, flags.usage, CUmemAllocationProp, allocFlags.usage);
PLACE(struct finf_cu_allocation, flags.reserved, CUmemAllocationProp, allocFlags.reserved);
SIZE(struct finf_cu_access, CUmemAccessDesc);
PLACE(struct finf_cu_access, location, CUmemAccessDesc, location);
PLACE(struct finf_cu_access, flags, CUmemAccessDesc, flags);

/* ---- signatures: the list again, with the vendor's tags in place of ours ---- */

#define finf_cu_result		   cudaError_enum
#define finf_cu_attribute	   CUdevice_attribute_enum
#define finf_cu_function_attribute CUfunction_attribute_enum
#define finf_cu_jit_option	   CUjit_option_enum
#define finf_cu_granularity	   CUmemAllocationGranularity_flags_enum
#define finf_cu_advise		   CUmem_advise_enum
#define finf_cu_capture_mode	   CUstreamCaptureMode_enum
#define finf_cu_capture_status	   CUstreamCaptureStatus_enum
#define finf_cu_update_result	   CUgraphExecUpdateResult_enum
#define finf_cu_allocation	   CUmemAllocationProp_st
#define finf_cu_access		   CUmemAccessDesc_st
#define finf_cu_uuid		   CUuuid_st
#define finf_cu_ctx		   CUctx_st
#define finf_cu_stream		   CUstream_st
#define finf_cu_event		   CUevent_st
#define finf_cu_module		   CUmod_st
#define finf_cu_function	   CUfunc_st
#define finf_cu_graph		   CUgraph_st
#define finf_cu_graph_node	   CUgraphNode_st
#define finf_cu_graph_exec	   CUgraphExec_st

#define FINF_CU(name, symbol, version, need, args)                                                 \
	_Static_assert(__builtin_types_compatible_p(enum finf_cu_result(*) args,                   \
						    PFN_##name##_v##version),                      \
		       #name " has another signature");
#include "device/cuda/cu.def"
#undef FINF_CU
#endif

/* A symbol without suffix is the base name: nothing else is ever exported. */
START_TEST(symbols_are_the_names_with_a_version)
{
	static const struct {
		const char *name, *symbol;
	} list[] = {
#define FINF_CU(name, symbol, version, need, args) {#name, #symbol},
#include "device/cuda/cu.def"
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		size_t len = strlen(list[i].name);

		ck_assert_msg(!strncmp(list[i].name, list[i].symbol, len), "%s", list[i].symbol);
		ck_assert_msg(!list[i].symbol[len] || !strcmp(list[i].symbol + len, "_v2"), "%s",
			      list[i].symbol);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(list[i].symbol, list[k].symbol);
	}
}
END_TEST

START_TEST(compared_with_the_vendors_header)
{
#if !FI_HAVE_CUDA_H
	skip_test("cuda.h", "no CUDA toolkit: the driver's ABI was not compared with its header");
#endif
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda_abi");
	TCase *tc = tcase_create("abi");

	tcase_add_test(tc, symbols_are_the_names_with_a_version);
	tcase_add_test(tc, compared_with_the_vendors_header);
	suite_add_tcase(suite, tc);
	return suite;
}
