/* SPDX-License-Identifier: MIT */
/* What stands for a model in the kernel. That the site fires is shown by tests/bpf. */
#include "ipc/usdt.h"
#include "tests/support/support.h"

/* Counters are pinned under these numbers: they stay what they are for ever. */
START_TEST(test_name_hash)
{
	ck_assert_uint_eq(finf_ipc_name_hash("net"), 0x96ae6e055e8d9fdcu);
	ck_assert_uint_eq(finf_ipc_name_hash("net:3"), 0x96ae6e055e8d9fdcu);
	ck_assert_uint_ne(finf_ipc_name_hash("nets"), finf_ipc_name_hash("net"));
	ck_assert_uint_ne(finf_ipc_name_hash("Net"), finf_ipc_name_hash("net"));
}
END_TEST

/* Nobody is attached: a call has no effect that anyone could see, and returns. */
START_TEST(test_nobody_attached)
{
	int before = open_descriptors();

	finf_ipc_arrival("net");
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ipc usdt");
	TCase *tcase = tcase_create("usdt");

	tcase_add_test(tcase, test_name_hash);
	tcase_add_test(tcase, test_nobody_attached);
	suite_add_tcase(suite, tcase);
	return suite;
}
