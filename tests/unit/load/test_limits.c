/* SPDX-License-Identifier: MIT */
/*
 * load where the machine gives less: little lockable memory, no io_uring, no
 * O_DIRECT. Each limit is set in the test's own process (Check forks).
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/load/fixture.h"

#define NOBODY 65534

static const uint64_t sizes[] = {3 * MIB, 4 * KIB, 9 * MIB + 8 * KIB};

static atomic_int lines_about_direct;

static void count_lines(void *ctx, const char *line)
{
	(void)ctx;
	if (strstr(line, "no O_DIRECT"))
		atomic_fetch_add(&lines_about_direct, 1);
}

/* Cold, warm, cold again: the bytes are right whatever the way. */
static void check_loads(struct fixture *f)
{
	struct finf_load_report report;
	struct outcome o;

	for (int i = 0; i < 3; i++) {
		if (i != 1)
			forget_cached(f);
		ck_assert_int_eq(load_all(f, &o, &report), 0);
		ck_assert_uint_eq(report.bytes, 12 * MIB + 12 * KIB);
	}
}

static void become_nobody(void)
{
	ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
	ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

START_TEST(locks_no_more_than_half_of_what_it_may)
{
	static const struct {
		uint64_t limit, most;
	} rows[] = {
		{8 * MIB, 4 * MIB}, {5 * MIB, 2 * MIB}, {1 * MIB, 1 * MIB}, {64 * KIB, 0}, {0, 0},
	};
	enum finf_load_mode mode = _i % 2 ? FINF_LOAD_DIRECT : FINF_LOAD_AUTO;
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = mode};
	uint64_t limit = rows[_i / 2].limit;
	const struct rlimit limits = {limit, limit};
	struct fixture f = {0};

	if (geteuid()) {
		skip_test("root", "cannot change the user");
		return;
	}
	make_file(&f, scratch_path("file"), sizes, FINF_ARRAY_LEN(sizes));
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limits), 0);
	become_nobody();
	make_loader(&f, &opts);
	ck_assert_uint_le(described_number(&f, "registered_bytes"), rows[_i / 2].most);
	ck_assert(!described(&f, "why=\n")); /* says so */
	if (limit == 8 * MIB && !described(&f, "ring=none\n")) {
		ck_assert_uint_eq(described_number(&f, "registered_bytes"), 4 * MIB);
		ck_assert(described(&f, "mode=staging\n"));
	}
	check_loads(&f);
	finf_loader_free(f.loader);
	drop_file(&f);
}
END_TEST

/* A filter like that of a container: this one call is not permitted. */
static void forbid(unsigned call, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {FINF_ARRAY_LEN(code), code};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(does_without_what_is_forbidden)
{
	static const struct {
		unsigned call;
		int err;
		bool ring;
		const char *why;
	} rows[] = {
		{SYS_io_uring_setup, EPERM, false, "no io_uring"},
		{SYS_io_uring_setup, ENOSYS, false, "no io_uring"},
		{SYS_io_uring_register, EPERM, true, "not registered"},
		{SYS_preadv2, ENOSYS, true, NULL},
	};
	enum finf_load_mode mode = _i % 2 ? FINF_LOAD_DIRECT : FINF_LOAD_AUTO;
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = mode};
	struct finf_load_report report;
	struct fixture f = {0};
	char text[1024];
	struct outcome o;

	make_file(&f, scratch_path("file"), sizes, FINF_ARRAY_LEN(sizes));
	make_loader(&f, &opts);
	if (described(&f, "ring=none\n")) {
		skip_test("uring", "nothing to forbid");
		return;
	}
	finf_loader_free(f.loader);
	forbid(rows[_i / 2].call, rows[_i / 2].err);
	make_loader(&f, &opts);
	finf_loader_describe(f.loader, text, sizeof(text));
	ck_assert_msg(described(&f, "mode=pread\n") == !rows[_i / 2].ring, "%s", text);
	if (rows[_i / 2].why)
		ck_assert_msg(!!strstr(text, rows[_i / 2].why), "%s", text);
	forget_cached(&f);
	ck_assert_int_eq(load_all(&f, &o, &report), 0);
	finf_loader_free(f.loader);
	drop_file(&f);
}
END_TEST

START_TEST(reads_through_the_cache_without_o_direct)
{
	static const enum finf_load_mode modes[] = {FINF_LOAD_AUTO, FINF_LOAD_DIRECT,
						    FINF_LOAD_PREAD};
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = modes[_i]};
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;

	if (geteuid()) {
		skip_test("root", "cannot change the user");
		return;
	}
	make_file(&f, scratch_path("file"), sizes, FINF_ARRAY_LEN(sizes));
	/* Opened, but not to be opened again: the second descriptor is refused. */
	ck_assert_int_eq(fchmod(f.fd, 0), 0);
	become_nobody();
	finf_set_log(count_lines, NULL);
	make_loader(&f, &opts);
	for (int i = 0; i < 3; i++) {
		forget_cached(&f);
		ck_assert_int_eq(load_all(&f, &o, &report), 0);
		ck_assert(!report.direct);
		ck_assert_int_eq(report.mode, FINF_LOAD_PREAD);
	}
	ck_assert_int_eq(lines_about_direct, 1); /* said once */
	ck_assert(!described(&f, "no_direct=\n"));
	finf_loader_free(f.loader);
	drop_file(&f);
}
END_TEST

START_TEST(loads_from_memory_file_systems)
{
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = (enum finf_load_mode)_i};
	char path[] = "/dev/shm/fi-test-XXXXXX";
	struct fixture f = {0};
	int fd = mkstemp(path);

	if (fd < 0) {
		skip_test("shm", "no /dev/shm to write to");
		return;
	}
	make_file(&f, path, sizes, FINF_ARRAY_LEN(sizes));
	unlink(path);
	make_loader(&f, &opts);
	check_loads(&f);
	finf_loader_free(f.loader);
	drop_file(&f);
	close(fd);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("load limits");
	TCase *tc = tcase_create("limits");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, locks_no_more_than_half_of_what_it_may, 0, 10);
	tcase_add_loop_test(tc, does_without_what_is_forbidden, 0, 8);
	tcase_add_loop_test(tc, reads_through_the_cache_without_o_direct, 0, 3);
	tcase_add_loop_test(tc, loads_from_memory_file_systems, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}
