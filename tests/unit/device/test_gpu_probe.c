/* SPDX-License-Identifier: MIT */
/* tests/gpu/probe runs to its end on the fake driver, and each of its steps works. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

/* Steps that need more of the machine than a driver. */
static bool about_uring(const char *line)
{
	return strstr(line, "step=uring") == line || strstr(line, "step=managed_uring") == line ||
	       strstr(line, "step=managed result=error") == line;
}

/* Text of the folder that lies beside the fake's. */
static void probe_command(char *command, size_t len)
{
	char folder[2048];

	snprintf(folder, sizeof(folder), "%s", fakedriver_use());
	*strrchr(folder, '/') = 0;
	snprintf(command, len, "LD_LIBRARY_PATH=%s FAKECUDA_DELAY_US=0 %s/../gpu/probe %s 2>&1",
		 folder, folder, scratch_dir());
}

START_TEST(every_step_works)
{
	char command[8192], line[1024];
	bool returned = false;
	FILE *out;
	int status;

	probe_command(command, sizeof(command));
	out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	while (fgets(line, sizeof(line), out)) {
		ck_assert_msg(!strstr(line, "result=error") || about_uring(line), "%s", line);
		ck_assert_msg(!strstr(line, "same=0") && !strstr(line, "exact=0"), "%s", line);
		if (strstr(line, "step=returned result=ok"))
			returned = true;
	}
	status = pclose(out);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	ck_assert(returned);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("gpu_probe");
	TCase *tc = tcase_create("on fakecuda");

	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, every_step_works);
	suite_add_tcase(suite, tc);
	return suite;
}
