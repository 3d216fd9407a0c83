/* SPDX-License-Identifier: MIT */
/* Client calls seen through the USDT site: counted, timed, reported, lost when nobody reads. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "ipc/usdt.h"
#include "tests/bpf/bpf.h"
#include "tests/support/fid.h"

/* ---- real clients of a real fid ------------------------------------------------ */

struct caller {
	pid_t pid;
	FILE *in, *out;
};

static struct caller caller_start(const struct test_fid *fid, const char *model)
{
	char program[4096];
	struct caller caller;
	int in[2], out[2];

	snprintf(program, sizeof(program), "%.3000s/tests/bpf/caller", build_dir());
	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	caller.pid = fork();
	if (!caller.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1)
			execl(program, program, fid->socket, model, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	caller.in = fdopen(in[1], "w");
	caller.out = fdopen(out[0], "r");
	return caller;
}

static void caller_ask(struct caller *caller, int n)
{
	char line[16];

	fprintf(caller->in, "%d\n", n);
	fflush(caller->in);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), caller->out));
	ck_assert_str_eq(line, "done\n");
}

static void caller_end(struct caller *caller)
{
	int status;

	fclose(caller->in);
	fclose(caller->out);
	ck_assert_int_eq(waitpid(caller->pid, &status, 0), caller->pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(test_clients)
{
	const char *dir = bpf_begin();
	char library[4096];
	struct test_fid fid;
	struct caller early, late;
	struct ring *ring;
	int models;

	if (!dir)
		return;
	fid_start(&fid, "fid", "16M", NULL);
	early = caller_start(&fid, "net");
	caller_ask(&early, 5); /* nobody is attached: not seen */
	snprintf(library, sizeof(library), "%.3000s/libfi.so", build_dir());
	ck_assert_int_eq(probe_run(dir, NULL,
				   (const char *[]){"run", "--once", "--file", library, "--model",
						    "net", NULL}),
			 0);
	late = caller_start(&fid, "net:3");
	models = map_open(dir, "models");
	ring = ring_open(map_open(dir, "arrivals"));
	caller_ask(&early, 40);
	caller_ask(&late, 60);
	ring_expect(ring, 100);
	for (unsigned i = 0; i < 100; i++) {
		const struct fi_arrival *event = ring_event(ring, i);

		ck_assert_uint_eq(event->model, finf_ipc_name_hash("net"));
		ck_assert_uint_eq(event->source, FI_SOURCE_CALL);
		ck_assert_int_eq((pid_t)event->pid, i < 40 ? early.pid : late.pid);
		ck_assert_uint_eq(event->port, 0);
	}
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_CALL], 100);
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_TCP], 0);
	ck_assert_uint_eq(read_model(models, "net").last_ns, ring_event(ring, 99)->time_ns);
	ck_assert_uint_eq(read_counts(dir).sent, 100);
	caller_end(&early);
	caller_end(&late);
	fid_stop(&fid);
	ring_close(ring);
	close(models);
}
END_TEST

/* ---- this program as the client --------------------------------------------------- */

/* Loaded and pinned, its loader gone; the site of this program attached. */
static void attach_self(const char *dir)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	ck_assert_int_gt(n, 0);
	exe[n] = 0;
	ck_assert_int_eq(
		probe_run(dir, NULL,
			  (const char *[]){"run", "--once", "--file", exe, "--model", "net", NULL}),
		0);
}

static unsigned expected_bucket(uint64_t gap)
{
	unsigned k = 0;

	while (gap >>= 1)
		k++;
	return k;
}

START_TEST(test_gaps)
{
	const char *dir = bpf_begin();
	uint64_t want[FI_GAPS] = {0}, used = 0;
	struct fi_model model;
	struct ring *ring;
	int models;

	if (!dir)
		return;
	attach_self(dir);
	ring = ring_open(map_open(dir, "arrivals"));
	models = map_open(dir, "models");
	for (unsigned i = 0; i < 200; i++) {
		uint64_t until = finf_now_ns() + (100u << (i % 14));

		while (finf_now_ns() < until)
			;
		finf_ipc_arrival("net");
	}
	ring_expect(ring, 200);
	for (unsigned i = 1; i < 200; i++)
		want[expected_bucket(ring_event(ring, i)->time_ns -
				     ring_event(ring, i - 1)->time_ns)]++;
	model = read_model(models, "net");
	for (unsigned k = 0; k < FI_GAPS; k++) {
		ck_assert_uint_eq(model.gaps[k], want[k]);
		used += want[k] > 0;
	}
	ck_assert_uint_ge(used, 5); /* spread over decades, or nothing was shown */
	ring_close(ring);
	close(models);
}
END_TEST

START_TEST(test_lost)
{
	const unsigned n = 30000; /* more than the ring holds */
	const char *dir = bpf_begin();
	struct fi_counts counts;
	struct ring *ring;
	int models;

	if (!dir)
		return;
	attach_self(dir);
	for (unsigned i = 0; i < n; i++)
		finf_ipc_arrival("net");
	models = map_open(dir, "models");
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_CALL], n);
	counts = read_counts(dir);
	ck_assert_uint_gt(counts.lost, 0);
	ck_assert_uint_eq(counts.sent + counts.lost, n);
	ck_assert_uint_gt(counts.woken, 0); /* past the mark */
	ck_assert_uint_lt(counts.woken, counts.sent);
	ring = ring_open(map_open(dir, "arrivals"));
	ck_assert_uint_eq(ring_read(ring), counts.sent);
	/* Room again: the next one comes through. */
	finf_ipc_arrival("net");
	ring_expect(ring, (unsigned)counts.sent + 1);
	ring_close(ring);
	close(models);
}
END_TEST

static void mark_cold(const char *dir, uint32_t value)
{
	uint64_t key = finf_ipc_name_hash("net");
	int cold = map_open(dir, "cold");

	ck_assert_int_eq(bpf_map_update_elem(cold, &key, &value, BPF_ANY), 0);
	close(cold);
}

START_TEST(test_wakeup)
{
	const char *dir = bpf_begin();
	struct ring *ring;
	int fd, status;
	pid_t reader;

	if (!dir)
		return;
	attach_self(dir);
	fd = map_open(dir, "arrivals");
	ring = ring_open(fd);
	finf_ipc_arrival("net");
	mark_cold(dir, 0);
	finf_ipc_arrival("net");
	ck_assert_uint_eq(read_counts(dir).woken, 0);
	ck_assert_uint_eq(ring_read(ring), 2);
	mark_cold(dir, 1);
	reader = fork();
	if (!reader) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		/* The descriptor of a ring map waits only once it is mapped: it is, by the parent.
		 */
		_exit(poll(&pfd, 1, 30000) == 1 ? 0 : 1);
	}
	finf_ipc_arrival("net");
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(read_counts(dir).woken, 1);
	ck_assert_uint_eq(read_counts(dir).sent, 3);
	ring_close(ring);
}
END_TEST

START_TEST(test_unknown)
{
	const char *dir = bpf_begin();
	struct ring *ring;

	if (!dir)
		return;
	attach_self(dir);
	ring = ring_open(map_open(dir, "arrivals"));
	for (int i = 0; i < 7; i++)
		finf_ipc_arrival("other");
	finf_ipc_arrival("net:12");
	ring_expect(ring, 1);
	ck_assert_uint_eq(read_counts(dir).unknown, 7);
	ck_assert_uint_eq(ring_event(ring, 0)->model, finf_ipc_name_hash("net"));
	ring_close(ring);
}
END_TEST

/* Twice the same file and model: one link, and counts go on. After rm nothing counts. */
START_TEST(test_again)
{
	const char *dir = bpf_begin();
	char *text;
	int models;

	if (!dir)
		return;
	attach_self(dir);
	models = map_open(dir, "models");
	finf_ipc_arrival("net");
	attach_self(dir);
	finf_ipc_arrival("net");
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_CALL], 2);
	ck_assert_int_eq(probe_run(dir, &text, (const char *[]){"list", "net", NULL}), 0);
	ck_assert_ptr_nonnull(strstr(text, "\nnet "));
	free(text);
	ck_assert_int_eq(probe_run(dir, NULL, (const char *[]){"rm", NULL}), 0);
	ck_assert_int_ne(access(dir, F_OK), 0);
	ck_assert_int_eq(probe_run(dir, NULL, (const char *[]){"list", NULL}), 1);
	close(models);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("bpf call");
	TCase *tcase = tcase_create("call");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, test_clients);
	tcase_add_test(tcase, test_gaps);
	tcase_add_test(tcase, test_lost);
	tcase_add_test(tcase, test_wakeup);
	tcase_add_test(tcase, test_unknown);
	tcase_add_test(tcase, test_again);
	suite_add_tcase(suite, tcase);
	return suite;
}
