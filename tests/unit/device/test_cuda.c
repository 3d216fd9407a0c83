/* SPDX-License-Identifier: MIT */
/* Opening the driver and a device; results as errno. Each test is a process of its own. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

START_TEST(reads_what_the_device_is)
{
	struct fakedriver f = fakedriver_start();
	const struct finf_cuda_info *info = finf_cuda_info(f.cuda);
	struct finf_diag diag = {""};
	uint64_t now = 0;

	ck_assert_str_eq(info->name, "fakecuda 0");
	ck_assert_uint_eq(info->total_bytes, (uint64_t)1 << 30);
	ck_assert_uint_eq(info->driver_version, 11080);
	ck_assert_uint_eq(info->compute_major * 10 + info->compute_minor, 75);
	ck_assert(info->vmm && info->posix_handles && info->managed && info->concurrent_managed);
	ck_assert_int_eq(info->device, 0);
	ck_assert(info->registered_host_pointer && !info->integrated);
	ck_assert_int_eq(finf_cuda_free_bytes(f.cuda, &now, &diag), 0);
	ck_assert_uint_eq(now, info->total_bytes);
	fakedriver_stop(&f);
}
END_TEST

/* The whole list is there, so the fake is whole as well. */
START_TEST(every_entry_point_is_resolved)
{
	struct fakedriver f = fakedriver_start();

#define FINF_CU(name, symbol, version, need, args) ck_assert_ptr_nonnull(f.api->name);
#include "device/cuda/cu.def"
	fakedriver_stop(&f);
}
END_TEST

/* All that lay in the context is gone, and a reset that failed is made good by the next. */
START_TEST(a_reset_gives_an_empty_context)
{
	struct fakedriver f = fakedriver_start();
	struct finf_diag diag = {""};
	unsigned long long at;
	size_t now, total;

	for (int i = 0; i < 3; i++) {
		CU(f.api->cuMemAlloc(&at, 1 << 20));
		f.inject("cuMemFree_v2", 1, 700); /* sticks */
		FAILS(ILLEGAL_ADDRESS, f.api->cuMemFree(at));
		FAILS(ILLEGAL_ADDRESS, f.api->cuMemFree(at));
		finf_cuda_leave(f.cuda);
		if (i) {
			f.inject(i == 1 ? "cuDevicePrimaryCtxReset_v2" : "cuDevicePrimaryCtxRetain", 1,
				 46);
			ck_assert_int_eq(finf_cuda_reset(f.cuda, &diag), -ENODEV);
			ck_assert_ptr_nonnull(strstr(diag.text, "cuDevicePrimaryCtx"));
			ck_assert_int_lt(finf_cuda_enter(f.cuda, &diag), 0);
		}
		ck_assert_int_eq(finf_cuda_reset(f.cuda, &diag), 0);
		ck_assert_int_eq(finf_cuda_enter(f.cuda, &diag), 0);
		CU(f.api->cuMemGetInfo(&now, &total));
		ck_assert_uint_eq(now, total);
	}
	fakedriver_stop(&f);
}
END_TEST

/* The caller's context is his again after every call of ours. */
START_TEST(leaves_the_callers_context_alone)
{
	struct fakedriver f = fakedriver_start();
	struct finf_cu_ctx *before, *after;
	struct finf_cuda *second;
	struct finf_diag diag = {""};
	uint64_t now;

	CU(f.api->cuCtxGetCurrent(&before));
	ck_assert_ptr_nonnull(before);
	ck_assert_int_eq(finf_cuda_open(0, &second, &diag), 0);
	finf_cuda_close(second);
	finf_cuda_leave(f.cuda);
	CU(f.api->cuCtxGetCurrent(&after));
	ck_assert_ptr_null(after);
	ck_assert_int_eq(finf_cuda_free_bytes(f.cuda, &now, &diag), 0);
	CU(f.api->cuCtxGetCurrent(&after));
	ck_assert_ptr_null(after);
	ck_assert_int_eq(finf_cuda_enter(f.cuda, &diag), 0);
	fakedriver_stop(&f);
}
END_TEST

static const struct {
	const char *variable, *value;
	int err;
	const char *says;
} refusals[] = {
	{"FUSEDINF_LIBCUDA", "/nonexistent/libcuda.so.1", -ENODEV, "no driver"},
	{"FUSEDINF_LIBCUDA", "libm.so.6", -ENODEV, "cuInit"},
	{"FAKECUDA_DEVICES", "0", -ENODEV, "CUDA_ERROR_NO_DEVICE"},
	{"FAKECUDA_FAIL", "cuInit:1:803", -ENODEV, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
	{"FAKECUDA_FAIL", "cuInit:1:4711", -ENODEV, "4711"},
	{"FAKECUDA_FAIL", "cuDeviceGetName:1:999", -EREMOTEIO, "properties"},
	{"FAKECUDA_FAIL", "cuDeviceTotalMem_v2:1:101", -ENODEV, "properties"},
	{"FAKECUDA_FAIL", "cuDevicePrimaryCtxRetain:1:2", -ENOBUFS, "cuDevicePrimaryCtxRetain"},
};

START_TEST(refuses_with_the_reason)
{
	struct finf_cuda *cuda = NULL;
	struct finf_diag diag = {""};

	fakedriver_use();
	ck_assert_int_eq(setenv(refusals[_i].variable, refusals[_i].value, 1), 0);
	ck_assert_int_eq(finf_cuda_open(0, &cuda, &diag), refusals[_i].err);
	ck_assert_ptr_null(cuda);
	ck_assert_msg(strstr(diag.text, refusals[_i].says) != NULL, "%s", diag.text);
	finf_cuda_close(cuda);
}
END_TEST

START_TEST(no_device_of_that_number)
{
	struct finf_cuda *cuda = NULL;
	struct finf_diag diag = {""};

	fakedriver_use();
	ck_assert_int_eq(finf_cuda_open(7, &cuda, &diag), -ENODEV);
	ck_assert_int_eq(finf_cuda_open(-1, &cuda, &diag), -ENODEV);
	ck_assert_ptr_null(cuda);
}
END_TEST

static void *open_and_close(void *arg)
{
	struct finf_diag diag = {""};
	struct finf_cuda *cuda;
	int err = finf_cuda_open(0, &cuda, &diag);

	if (!err)
		finf_cuda_close(cuda);
	*(int *)arg = err;
	return NULL;
}

START_TEST(many_threads_open_at_once)
{
	pthread_t threads[8];
	int err[8];

	fakedriver_use();
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, &err[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(err[i], 0);
	}
}
END_TEST

static const struct {
	enum finf_cu_result result;
	int err;
} mappings[] = {
	{FINF_CU_SUCCESS, 0},
	{FINF_CU_ERROR_OUT_OF_MEMORY, -ENOBUFS},
	{FINF_CU_ERROR_INVALID_VALUE, -EINVAL},
	{FINF_CU_ERROR_NOT_READY, -EAGAIN},
	{FINF_CU_ERROR_NO_DEVICE, -ENODEV},
	{FINF_CU_ERROR_NOT_SUPPORTED, -EOPNOTSUPP},
	{FINF_CU_ERROR_ILLEGAL_ADDRESS, -EREMOTEIO},
	{FINF_CU_ERROR_LAUNCH_FAILED, -EREMOTEIO},
	{(enum finf_cu_result)4711, -EREMOTEIO},
};

START_TEST(results_become_errnos)
{
	struct finf_diag diag = {""};

	for (size_t i = 0; i < FINF_ARRAY_LEN(mappings); i++) {
		ck_assert_int_eq(finf_cuda_errno(mappings[i].result), mappings[i].err);
		ck_assert_uint_gt(strlen(finf_cuda_words(mappings[i].result)), 0);
	}
	ck_assert_int_eq(finf_cuda_fail(&diag, "cuMemCreate", FINF_CU_ERROR_OUT_OF_MEMORY),
			 -ENOBUFS);
	ck_assert_str_eq(diag.text,
			 "cuMemCreate: device memory ran out (CUDA_ERROR_OUT_OF_MEMORY, 2)");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda");
	TCase *tc = tcase_create("driver");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, reads_what_the_device_is);
	tcase_add_test(tc, every_entry_point_is_resolved);
	tcase_add_test(tc, leaves_the_callers_context_alone);
	tcase_add_test(tc, a_reset_gives_an_empty_context);
	tcase_add_loop_test(tc, refuses_with_the_reason, 0, FINF_ARRAY_LEN(refusals));
	tcase_add_test(tc, no_device_of_that_number);
	tcase_add_test(tc, many_threads_open_at_once);
	tcase_add_test(tc, results_become_errnos);
	suite_add_tcase(suite, tc);
	return suite;
}
