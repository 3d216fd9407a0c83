/* SPDX-License-Identifier: MIT */
/* The CUDA device as an operator meets it: doctor, run, the options of fid, status. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fakedriver.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

static void use_fake(const char *memory)
{
	fakedriver_use();
	ck_assert_int_eq(setenv("FAKECUDA_MEMORY", memory, 1), 0);
}

START_TEST(doctor_tries_the_pool_modes)
{
	use_fake("67108864");
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "doctor", NULL),
				     "pool_modes=vmm:yes plain:yes managed:yes kernels=ptx"));
	ck_assert_int_eq(setenv("FAKECUDA_FAIL", "cuMemCreate:1:801", 1), 0);
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "doctor", NULL),
				     "pool_modes=vmm:no (cuMemCreate: not supported"));
	ck_assert_int_eq(setenv("FUSEDINF_LIBCUDA", "/nonexistent", 1), 0);
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "doctor", NULL), "absent   no driver: "));
}
END_TEST

/* The same words from both devices; what is not there is not possible here (77). */
START_TEST(run_takes_a_device)
{
	char *host;

	use_fake("67108864");
	host = strdup(fictl_ok(NULL, "run", golden_path("digits/digits.onnx"), NULL));
	*strstr(host, "first ") = 0; /* the time follows */
	ck_assert_ptr_nonnull(strstr(
		fictl_ok(NULL, "run", golden_path("digits/digits.onnx"), "--device", "cuda", NULL),
		host));
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "run", golden_path("digits/digits.onnx"),
					      "--device", "cuda:0", NULL),
				     host));
	free(host);
	fictl_fails(NULL, 77, "no device of that number", "run", golden_path("digits/digits.onnx"),
		    "--device", "cuda:1", NULL);
	ck_assert_int_eq(setenv("FUSEDINF_LIBCUDA", "/nonexistent", 1), 0);
	fictl_fails(NULL, 77, "no driver", "run", golden_path("digits/digits.onnx"), "--device",
		    "cuda", NULL);
}
END_TEST

START_TEST(status_shows_device_and_pool)
{
	static const char *const modes[] = {"vmm", "plain", "managed"};
	const char *const extra[] = {"--device", "cuda", "--pool-mode", modes[_i], NULL};
	struct test_fid fid;
	const char *status;
	char want[64];

	use_fake("268435456");
	/* A device that was opened twice would compile its kernels twice. */
	ck_assert_int_eq(setenv("FAKECUDA_FAIL", "cuModuleLoadDataEx:2:222", 1), 0);
	fid_start(&fid, "fid", "25%", extra); /* of the device's memory, not of the host's */
	status = fictl_ok(&fid, "--json", "status", NULL);
	ck_assert_int_eq(json_at(status, "pool.bytes"), 64 << 20);
	ck_assert_int_eq(json_at(status, "pool.device_free"), 192 << 20);
	snprintf(want, sizeof(want), "(%s, device memory)", modes[_i]);
	status = fictl_ok(&fid, "status", NULL);
	ck_assert_ptr_nonnull(strstr(status, want));
	ck_assert_ptr_nonnull(strstr(status, "device    cuda, "));
	ck_assert_ptr_nonnull(strstr(status, "uploads=queued"));
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "digits", NULL);
	fictl_ok(&fid, "infer", "digits", NULL);
	fictl_ok(&fid, "unload", "digits", NULL);
	status = fictl_ok(&fid, "--json", "status", NULL);
	ck_assert_int_eq(json_at(status, "pool.weights"), 0);
	ck_assert_int_eq(json_at(status, "pool.device_free"), 192 << 20);
	fid_stop(&fid);
}
END_TEST

START_TEST(fid_says_why_it_does_not_start)
{
	static const struct {
		const char *device, *mode, *pool, *fail, *says;
	} rows[] = {
		{"cuda:5", "vmm", "16M", "", "no device of that number"},
		{"cuda", "huge", "16M", "", "pool mode huge: there are vmm, plain and managed"},
		{"cuda", "vmm", "1G", "", "pool mode vmm: cuMemCreate: device memory ran out"},
		{"cuda", "managed", "1G", "", "asked for, 268435456 are free"},
		{"cuda", "plain", "16M", "cuMemAlloc_v2:1:801", "cuMemAlloc: not supported"},
		{"cuda", "vmm", "16M", "cuModuleLoadDataEx:1:222",
		 "the PTX is newer than the driver"},
	};
	const char *const extra[] = {"--device", rows[_i].device, "--pool-mode", rows[_i].mode,
				     NULL};
	char log[4096] = "";
	struct test_fid fid;
	FILE *file;

	use_fake("268435456");
	ck_assert_int_eq(setenv("FAKECUDA_FAIL", rows[_i].fail, 1), 0);
	fid_spawn(&fid, "fid", rows[_i].pool, extra);
	ck_assert_int_eq(fid_wait(&fid), 1);
	file = fopen(fid.log, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(log, 1, sizeof(log) - 1, file), 0);
	fclose(file);
	ck_assert_msg(strstr(log, "start failed: ") && strstr(log, rows[_i].says), "%s", log);
}
END_TEST

/* What the machine cannot do is a row all the same, with the reason. */
START_TEST(bench_swap_compares_with_a_pinned_copy)
{
	const char *baseline;
	json_t *rows, *row;
	unsigned copies = 0;
	size_t i;

	use_fake("268435456");
	rows = json_loads(fictl_ok(NULL, "--json", "bench", "swap", "--model", "squeezenet1_1",
				   "--device", "cuda", "--pool-mode", "plain", "--fio", "1024x8",
				   "--repeat", "1", NULL),
			  0, NULL);
	ck_assert_uint_ge(json_array_size(rows), 4);
	json_array_foreach(rows, i, row)
	{
		ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(row, "what")),
					     "swap-in of squeezenet1_1 on cuda (plain), 4.9 MB"));
		baseline = json_string_value(json_object_get(row, "baseline"));
		if (!baseline) {
			ck_assert_ptr_nonnull(json_object_get(row, "skipped"));
			continue;
		}
		copies += strstr(baseline, "pinned copy") != NULL;
		ck_assert_double_gt(json_real_value(json_object_get(row, "value")), 0);
		ck_assert_double_gt(json_real_value(json_object_get(row, "baseline_value")), 0);
	}
	ck_assert_uint_ge(copies, 1);
	json_decref(rows);
	fictl_fails(NULL, 2, "KIBxDEPTH", "bench", "swap", "--fio", "1024", NULL);
	fictl_fails(NULL, 77, "no device of that number", "bench", "swap", "--device", "cuda:1",
		    NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda tools");
	TCase *tc = tcase_create("cuda tools");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, doctor_tries_the_pool_modes);
	tcase_add_test(tc, run_takes_a_device);
	tcase_add_test(tc, bench_swap_compares_with_a_pinned_copy);
	tcase_add_loop_test(tc, status_shows_device_and_pool, 0, 3);
	tcase_add_loop_test(tc, fid_says_why_it_does_not_start, 0, 6);
	suite_add_tcase(suite, tc);
	return suite;
}
