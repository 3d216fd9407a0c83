/* SPDX-License-Identifier: MIT */
/*
 * tests/support/fakedriver - a test's way to the driver on host memory
 * (tests/support/fakecuda): opened through libfi's own code, with a context
 * current on the calling thread.
 */
#ifndef FI_TESTS_FAKEDRIVER_H
#define FI_TESTS_FAKEDRIVER_H

#include "device/cuda/driver.h"
#include "tests/support/fakecuda/fakecuda.h"

/* Filled by fakedriver_start(). */
struct fakedriver {
	const struct finf_cuda_api *api;
	struct finf_cuda *cuda; /* device 0, entered */
	__typeof__(fakecuda_kernel) *kernel;
	__typeof__(fakecuda_fail) *inject;
	__typeof__(fakecuda_violations) *violations;
	__typeof__(fakecuda_forgive) *forgive;
	__typeof__(fakecuda_thread_order) *thread_order;
};

/** The library's path, beside the running test; makes libfi open it. */
const char *fakedriver_use(void);
/** Fails the test when anything is not there. A driver does not survive fork: call it in a test. */
struct fakedriver fakedriver_start(void);
/** Releases the context; fails the test when bytes are missing or anything was violated. */
void fakedriver_stop(struct fakedriver *fake);

/** CU(f.api->cuX(...)): the call succeeds. FAILS(code, call): it returns exactly that. */
#define CU(call)	  ck_assert_uint_eq((unsigned)(call), FINF_CU_SUCCESS)
#define FAILS(code, call) ck_assert_uint_eq((unsigned)(call), FINF_CU_ERROR_##code)

#endif
