/* SPDX-License-Identifier: MIT */
/*
 * fid as its user sees it: import, serve more models than fit, evict with
 * reasons, restart, run without privileges, stop cleanly.
 */
#include <dirent.h>
#include <inttypes.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fusedinf/client.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define NOBODY 65534

/* What a process may grow by that returns everything: pages of the heap in use or not. */
#if defined(__SANITIZE_ADDRESS__)
#define GROWTH_BYTES (512u << 20) /* it keeps freed memory for a while */
#else
#define GROWTH_BYTES (1u << 20)
#endif

static const char *const networks[] = {"squeezenet1_1", "mobilenet_v2", "cifar_resnet18"};
#define N_NETWORKS (sizeof(networks) / sizeof(networks[0]))

/* Writes the networks once per process; their paths by number. */
static const char *network_file(size_t i)
{
	static char paths[N_NETWORKS][1024];

	if (!paths[i][0]) {
		snprintf(paths[i], sizeof(paths[i]), "%s.onnx", scratch_path(networks[i]));
		fictl_ok(NULL, "zoo", networks[i], "-o", paths[i], NULL);
	}
	return paths[i];
}

static void import_all(const struct test_fid *fid)
{
	for (size_t i = 0; i < N_NETWORKS; i++)
		fictl_ok(fid, "import", network_file(i), "--name", networks[i], NULL);
	fictl_ok(fid, "import", golden_path("digits/digits.onnx"), NULL);
}

static bool same_files(const char *a, const char *b)
{
	const char *const argv[] = {"/usr/bin/cmp", a, b, NULL};
	struct test_output output;
	bool same;

	run_program(&output, argv);
	same = output.status == 0;
	test_output_free(&output);
	return same;
}

/* Answers through fid are the very bytes that this process computes alone. */
static void check_answer(const struct test_fid *fid, const char *name, const char *file,
			 const char *inputs)
{
	const char *served = scratch_path("served.npy"), *local = scratch_path("local.npy");

	unlink(served);
	unlink(local);
	if (inputs) {
		fictl_ok(fid, "infer", name, "--inputs", inputs, "--outputs", served, NULL);
		fictl_ok(NULL, "run", file, "--inputs", inputs, "--outputs", local, NULL);
	} else {
		fictl_ok(fid, "infer", name, "--outputs", served, NULL);
		fictl_ok(NULL, "run", file, "--outputs", local, NULL);
	}
	ck_assert_msg(same_files(served, local), "%s: fid and fictl run differ", name);
}

START_TEST(more_models_than_fit)
{
	struct test_fid fid;
	const char *status, *events;

	/* mobilenet alone needs about 24 MB, all together about 90. */
	fid_start(&fid, "fit", "64M", NULL);
	import_all(&fid);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < N_NETWORKS; i++)
			check_answer(&fid, networks[i], network_file(i), NULL);
		check_answer(&fid, "digits", golden_path("digits/digits.onnx"),
			     golden_path("digits/images.npy"));
	}
	status = fictl_ok(&fid, "status", "--json", NULL);
	ck_assert_int_gt(json_at(status, "swap.evictions"), 0);
	ck_assert_int_gt(json_at(status, "swap.loads"), 4);
	ck_assert_int_eq(json_at(status, "requests.done"), 8);
	ck_assert_int_eq(json_at(status, "requests.failed"), 0);
	ck_assert_int_le(json_at(status, "pool.weights") + json_at(status, "pool.arena"), 64 << 20);
	events = fictl_ok(&fid, "events", "--json", NULL);
	ck_assert_ptr_nonnull(strstr(events, "\"action\": \"evict\""));
	ck_assert_ptr_nonnull(strstr(events, "\"other\": "));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "why", networks[0], NULL), networks[0]));
	fid_stop(&fid);
	ck_assert_int_ne(access(fid.socket, F_OK), 0);
}
END_TEST

/* The CPUs thread @tid of fid may use, when its name is @name. */
static bool cpus_of(pid_t pid, const char *tid, const char *name, cpu_set_t *ret)
{
	char path[320], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(comm, sizeof(comm), file))
		comm[0] = 0;
	fclose(file);
	comm[strcspn(comm, "\n")] = 0;
	return !strcmp(comm, name) && !sched_getaffinity(atoi(tid), sizeof(*ret), ret);
}

/* How many threads of that name there are, and whether two may use the same CPU. */
static int threads_named(pid_t pid, const char *name, bool *ret_meet)
{
	cpu_set_t all, own, both;
	struct dirent *entry;
	char path[64];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	CPU_ZERO(&all);
	*ret_meet = false;
	while ((entry = readdir(dir))) {
		if (!cpus_of(pid, entry->d_name, name, &own))
			continue;
		CPU_AND(&both, &all, &own);
		*ret_meet |= CPU_COUNT(&both) > 0;
		CPU_OR(&all, &all, &own);
		n++;
	}
	closedir(dir);
	return n;
}

/* Each of the threads of a run has CPUs of its own, and nobody else is held there; not where
 * there are more threads than CPUs, nor where the environment says how it is to be. */
static const struct {
	const char *threads, *bind;
	bool apart;
} teams[] = {{"2", NULL, true}, {"2", "false", false}, {"1000", NULL, false}};

START_TEST(threads_of_a_run_stay_apart)
{
	const char *extra[] = {"--threads", teams[_i].threads, NULL};
	cpu_set_t allowed, own;
	struct test_fid fid;
	bool meet;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	if (CPU_COUNT(&allowed) < 2 || CPU_COUNT(&allowed) >= 1000) {
		skip_test("cpus", "this program may use one CPU only, or a thousand");
		return;
	}
	unsetenv("GOMP_SPINCOUNT");
	unsetenv("OMP_PROC_BIND");
	if (teams[_i].bind)
		setenv("OMP_PROC_BIND", teams[_i].bind, 1);
	fid_start(&fid, "apart", "64M", extra);
	if (strcmp(teams[_i].threads, "1000")) {
		fictl_ok(&fid, "import", network_file(0), "--name", "a", NULL);
		fictl_ok(&fid, "infer", "a", NULL);
		ck_assert_int_eq(threads_named(fid.pid, "fid-exec", &meet), 2);
		ck_assert_int_eq(meet, !teams[_i].apart);
	}
	ck_assert_int_eq(sched_getaffinity(fid.pid, sizeof(own), &own), 0);
	ck_assert(CPU_EQUAL(&own, &allowed));
	fid_stop(&fid);
}
END_TEST

START_TEST(commands_change_what_is_resident)
{
	struct test_fid fid;
	const char *models;

	fid_start(&fid, "commands", "64M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "a", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "b", NULL);
	fictl_ok(&fid, "load", "a", NULL);
	fictl_ok(&fid, "pin", "b", NULL);
	models = fictl_ok(&fid, "models", "--json", NULL);
	ck_assert_ptr_nonnull(strstr(models, "\"residency\": \"resident\""));
	ck_assert_ptr_null(strstr(models, "\"residency\": \"cold\""));
	ck_assert_ptr_nonnull(strstr(models, "\"pinned\": true"));
	fictl_ok(&fid, "unload", "a", NULL);
	fictl_ok(&fid, "unpin", "b", NULL);
	fictl_ok(&fid, "unload", "b", NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "pool.weights"), 0);
	fictl_ok(&fid, "remove", "a", NULL);
	fictl_fails(&fid, 1, "no model named a", "infer", "a", NULL);
	fid_stop(&fid);
}
END_TEST

START_TEST(importing_again_makes_the_next_version)
{
	struct test_fid fid;

	fid_start(&fid, "versions", "64M", NULL);
	ck_assert_ptr_nonnull(strstr(
		fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL), "digits:1"));
	ck_assert_ptr_nonnull(strstr(
		fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL), "digits:2"));
	fictl_ok(&fid, "infer", "digits:1", NULL);
	fictl_ok(&fid, "infer", "digits", NULL);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "models", NULL), "digits:2"));
	fictl_ok(&fid, "remove", "digits:2", NULL);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "why", "digits", NULL), "digits:1"));
	fictl_ok(&fid, "remove", "digits", NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "models.known"), 0);
	fid_stop(&fid);
}
END_TEST

/* Overwrites bytes of the one tuned pack of a model. */
static void damage_tuned(const struct test_fid *fid, const char *name, off_t at)
{
	char command[2048];
	struct test_output output;
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};

	snprintf(command, sizeof(command),
		 "f=$(ls %s/models/%s/1/tuned-*.fim) && printf XXXXXXXX | "
		 "dd of=\"$f\" bs=1 seek=%lld conv=notrunc status=none",
		 fid->root, name, (long long)at);
	run_program(&output, argv);
	ck_assert_int_eq(output.status, 0);
	test_output_free(&output);
}

START_TEST(restart_finds_the_models_again)
{
	struct test_fid fid;

	fid_start(&fid, "restart", "64M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	fictl_ok(&fid, "import", network_file(0), "--name", "net", NULL);
	fid_stop(&fid);
	/* Strangers in the folder are left alone, a damaged cache is made again. */
	ck_assert_int_eq(
		mkdir(strcat(strcpy((char[1024]){0}, fid.root), "/models/not a name"), 0755), 0);
	damage_tuned(&fid, "digits", 16);
	fid_start(&fid, "restart", "64M", NULL);
	check_answer(&fid, "digits", golden_path("digits/digits.onnx"),
		     golden_path("digits/images.npy"));
	check_answer(&fid, "net", network_file(0), NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "models.known"), 2);
	fid_stop(&fid);
}
END_TEST

START_TEST(a_damaged_segment_fails_one_request_and_is_mended)
{
	struct test_fid fid;

	fid_start(&fid, "damage", "64M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	fictl_ok(&fid, "import", network_file(0), "--name", "net", NULL);
	/* squeezenet's weights take far more than the header before them. */
	damage_tuned(&fid, "net", 2 << 20);
	fictl_fails(&fid, 1, "checksum of segment", "infer", "net", NULL);
	check_answer(&fid, "digits", golden_path("digits/digits.onnx"),
		     golden_path("digits/images.npy"));
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "requests.failed"), 1);
	/* The tuned pack is made again from the master. */
	check_answer(&fid, "net", network_file(0), NULL);
	fid_stop(&fid);
}
END_TEST

START_TEST(serves_as_an_ordinary_user_with_little_memlock)
{
	struct test_fid fid;
	const char *status;
	long long registered;

	if (geteuid() != 0) {
		skip_test("root", "only root can become another user");
		return;
	}
	fid_start_as(&fid, "user", "64M", NOBODY, 8 << 20, NULL);
	import_all(&fid);
	check_answer(&fid, networks[0], network_file(0), NULL);
	check_answer(&fid, networks[1], network_file(1), NULL);
	status = fictl_ok(&fid, "status", "--json", NULL);
	ck_assert_ptr_nonnull(strstr(status, "registered_bytes="));
	registered = atoll(strstr(status, "registered_bytes=") + strlen("registered_bytes="));
	ck_assert_int_le(registered, 4 << 20);
	fid_stop(&fid);
}
END_TEST

/* The code of oneDNN 3.x that runs takes 4 MB (3.12) to 11 MB (3.2) more than that of 2.x. */
#define BESIDE_POOL (DNNL_VERSION_MAJOR < 3 ? 64u << 20 : 80u << 20)

START_TEST(resident_set_beside_the_pool_stays_small)
{
	/* Forms that busy models earn bring kernels of their own. */
	const char *extra[] = {"--fast-forms", "off", NULL};
	struct test_fid fid;
	uint64_t rss, warm;

#if defined(__SANITIZE_ADDRESS__)
	skip_test("rss", "the address sanitizer has memory of its own");
	return;
#endif
	fid_start(&fid, "rss", "128M", extra);
	import_all(&fid);
	for (size_t i = 0; i < N_NETWORKS; i++)
		fictl_ok(&fid, "infer", networks[i], "--repeat", "20", NULL);
	rss = proc_status_bytes(fid.pid, "VmHWM");
	ck_assert_msg(rss <= (128u << 20) + BESIDE_POOL, "high-water mark of fid: %" PRIu64, rss);
	warm = proc_status_bytes(fid.pid, "VmRSS");
	for (size_t i = 0; i < N_NETWORKS; i++)
		fictl_ok(&fid, "infer", networks[i], "--repeat", "200", NULL);
	rss = proc_status_bytes(fid.pid, "VmRSS");
	ck_assert_msg(rss <= warm + (1u << 20), "grew from %" PRIu64 " to %" PRIu64, warm, rss);
	fid_stop(&fid);
}
END_TEST

static void control(struct finf_client *client, const char *command, const char *model)
{
	char request[128];
	struct finf_diag diag = {{0}};

	snprintf(request, sizeof(request), "{\"command\": \"%s\", \"model\": \"%s\"}", command,
		 model);
	ck_assert_msg(finf_client_control(client, request, NULL, &diag) == 0, "%s", diag.text);
}

START_TEST(a_thousand_cycles_return_every_byte)
{
	struct finf_client *client;
	struct test_fid fid;
	uint64_t rss = 0, after;
	int descriptors = 0;

	fid_start(&fid, "cycles", "32M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	fictl_ok(&fid, "import", network_file(0), "--name", "net", NULL);
	ck_assert_int_eq(finf_client_open(fid.socket, &client, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		control(client, "load", i % 10 ? "digits" : "net");
		control(client, "unload", i % 10 ? "digits" : "net");
		if (i == 100) {
			rss = proc_status_bytes(fid.pid, "VmRSS");
			descriptors = settled_descriptors(fid.pid);
		}
	}
	after = proc_status_bytes(fid.pid, "VmRSS");
	wait_descriptors(fid.pid, descriptors);
	finf_client_close(client);
	ck_assert_msg(after <= rss + GROWTH_BYTES, "grew from %" PRIu64 " to %" PRIu64, rss, after);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "pool.weights"), 0);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "swap.loads"), 1000);
	fid_stop(&fid);
}
END_TEST

START_TEST(background_start_returns_when_it_serves)
{
	char root[1100], socket[1100], program[600];
	const char *const argv[] = {program, "--root", root,  "--socket",
				    socket,  "--pool", "16M", NULL};
	struct test_fid fid = {.pid = 0};
	struct test_output output;
	int pid;

	snprintf(program, sizeof(program), "%s/fid", build_dir());
	snprintf(root, sizeof(root), "%s", scratch_path("bg"));
	snprintf(socket, sizeof(socket), "%s", scratch_path("bg.sock"));
	run_program(&output, argv);
	ck_assert_msg(output.status == 0, "%s", output.err);
	test_output_free(&output);
	snprintf(fid.socket, sizeof(fid.socket), "%.500s", socket);
	pid = (int)json_at(fictl_ok(&fid, "status", "--json", NULL), "pid");
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	for (int ms = 0; ms < 30000 && !kill(pid, 0); ms++)
		usleep(1000);
	ck_assert_int_ne(kill(pid, 0), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("serve");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, more_models_than_fit);
	tcase_add_test(tc, commands_change_what_is_resident);
	tcase_add_test(tc, importing_again_makes_the_next_version);
	tcase_add_test(tc, restart_finds_the_models_again);
	tcase_add_test(tc, a_damaged_segment_fails_one_request_and_is_mended);
	tcase_add_test(tc, serves_as_an_ordinary_user_with_little_memlock);
	tcase_add_test(tc, resident_set_beside_the_pool_stays_small);
	tcase_add_test(tc, a_thousand_cycles_return_every_byte);
	tcase_add_test(tc, background_start_returns_when_it_serves);
	suite_add_tcase(suite, tc);
	tc = tcase_create("team");
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, threads_of_a_run_stay_apart, 0,
			    sizeof(teams) / sizeof(teams[0]));
	suite_add_tcase(suite, tc);
	return suite;
}
