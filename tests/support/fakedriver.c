/* SPDX-License-Identifier: MIT */
/* tests/support/fakedriver: see fakedriver.h. */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

/* Programs lie in tests/unit/ROOM or tests/integration, the library in tests/fakecuda. */
const char *fakedriver_use(void)
{
	static char path[PATH_MAX + 64];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	do {
		dirname(self);
		snprintf(path, sizeof(path), "%s/fakecuda/libcuda.so.1", self);
	} while (access(path, R_OK) && strlen(self) > 1);
	ck_assert_msg(!access(path, R_OK), "no fakecuda/libcuda.so.1 above the program");
	ck_assert_int_eq(setenv("FUSEDINF_LIBCUDA", path, 1), 0);
	return path;
}

static void *control(void *lib, const char *name)
{
	void *at = dlsym(lib, name);

	ck_assert_msg(at != NULL, "the fake exports no %s", name);
	return at;
}

struct fakedriver fakedriver_start(void)
{
	void *lib = dlopen(fakedriver_use(), RTLD_NOW | RTLD_LOCAL);
	struct finf_diag diag = {""};
	struct fakedriver f = {0};

	ck_assert_ptr_nonnull(lib);
	f.kernel = (__typeof__(f.kernel))control(lib, "fakecuda_kernel");
	f.inject = (__typeof__(f.inject))control(lib, "fakecuda_fail");
	f.violations = (__typeof__(f.violations))control(lib, "fakecuda_violations");
	f.forgive = (__typeof__(f.forgive))control(lib, "fakecuda_forgive");
	f.thread_order = (__typeof__(f.thread_order))control(lib, "fakecuda_thread_order");
	ck_assert_msg(!finf_cuda_open(0, &f.cuda, &diag), "%s", diag.text);
	ck_assert_msg(!finf_cuda_api(&f.api, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_cuda_enter(f.cuda, &diag), 0);
	return f;
}

void fakedriver_stop(struct fakedriver *fake)
{
	size_t now, total;
	const char *last;

	CU(fake->api->cuMemGetInfo(&now, &total));
	ck_assert_uint_eq(now, total);
	finf_cuda_leave(fake->cuda);
	finf_cuda_close(fake->cuda);
	ck_assert_msg(fake->violations(&last) == 0, "%s", last);
}
