/* SPDX-License-Identifier: MIT */
/* tests/bpf: see bpf.h. */
#include "tests/bpf/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/usdt.h"
#include "tests/support/fid.h"

#define FOLDER "bpf"

static pid_t mounter;

static void unmount(void)
{
	if (mounter == getpid())
		umount2(scratch_path(FOLDER), MNT_DETACH);
}

const char *bpf_begin(void)
{
	const char *at = scratch_path(FOLDER);
	static char dir[PATH_MAX];
	char *why;
	int status;

	if (geteuid()) {
		skip_test("bpf", "not root");
		return NULL;
	}
	ck_assert_int_eq(mkdir(at, 0755), 0);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", at, "bpf", 0, NULL)) {
		skip_test("bpf", "no BPF file system of its own");
		return NULL;
	}
	mounter = getpid();
	atexit(unmount);
	snprintf(dir, sizeof(dir), "%.3000s/fusedinf/v1", at);
	status = probe_run(dir, &why, (const char *[]){"check", NULL});
	ck_assert_msg(!status || status == 77, "fid-probe check ended with %d: %s", status, why);
	if (status) {
		skip_test("bpf", why);
		return NULL;
	}
	free(why);
	return dir;
}

/* ---- fid-probe ---------------------------------------------------------------- */

static const char **probe_argv(const char *dir, const char *const *args)
{
	static const char *argv[24];
	static char program[PATH_MAX];
	int n = 0;

	snprintf(program, sizeof(program), "%.3000s/fid-probe", build_dir());
	argv[n++] = program;
	argv[n++] = "--pin";
	argv[n++] = dir;
	while (*args)
		argv[n++] = *args++;
	argv[n] = NULL;
	ck_assert_int_lt(n, 24);
	return argv;
}

int probe_run(const char *dir, char **ret_stderr, const char *const *args)
{
	struct test_output output;
	int status;

	run_program(&output, probe_argv(dir, args));
	status = output.status;
	if (ret_stderr && asprintf(ret_stderr, "%s%s", output.out, output.err) < 0)
		*ret_stderr = NULL;
	test_output_free(&output);
	return status;
}

pid_t probe_start(const char *dir, int *ret_sock, const char *const *args)
{
	const char **argv = probe_argv(dir, args);
	int pair[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(pair[1], 3) == 3)
			execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(pair[1]);
	*ret_sock = pair[0];
	return pid;
}

void probe_stop(pid_t pid, int sock)
{
	int status;

	close(sock);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void send_request(int sock, const struct fi_probe_request *request, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)request, sizeof(*request)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	ck_assert_int_eq(sendmsg(sock, &msg, MSG_NOSIGNAL), sizeof(*request));
}

int probe_ask(int sock, const struct fi_probe_request *request, int fd, int *ret_fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FI_PROBE_FDS * sizeof(int))];
	} control;
	struct fi_probe_answer reply;
	struct iovec iov = {&reply, sizeof(reply)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	send_request(sock, request, fd);
	ck_assert_int_eq(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC), sizeof(reply));
	ck_assert_uint_eq(reply.type, request->type);
	ck_assert_uint_eq(reply.bytes, sizeof(reply));
	ck_assert_uint_eq(reply.n_fds, ret_fds ? FI_PROBE_FDS : 0);
	if (ret_fds) {
		ck_assert_uint_eq(CMSG_FIRSTHDR(&msg)->cmsg_len,
				  CMSG_LEN(FI_PROBE_FDS * sizeof(int)));
		memcpy(ret_fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), FI_PROBE_FDS * sizeof(int));
	}
	return reply.status;
}

/* ---- maps ------------------------------------------------------------------------ */

int map_open(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%.3000s/%s", dir, name);
	fd = bpf_obj_get(path);
	ck_assert_int_ge(fd, 0);
	return fd;
}

struct fi_model read_model(int models, const char *name)
{
	uint64_t key = finf_ipc_name_hash(name);
	struct fi_model model;

	ck_assert_int_eq(bpf_map_lookup_elem(models, &key, &model), 0);
	ck_assert_uint_eq(model.type, FI_MODEL);
	ck_assert_uint_eq(model.bytes, sizeof(model));
	return model;
}

struct fi_counts read_counts(const char *dir)
{
	struct fi_counts each[256], sum = {0};
	int fd = map_open(dir, "counts"), n = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	ck_assert_int_le(n, 256);
	ck_assert_int_eq(bpf_map_lookup_elem(fd, &zero, each), 0);
	close(fd);
	for (int i = 0; i < n; i++) {
		sum.sent += each[i].sent;
		sum.lost += each[i].lost;
		sum.woken += each[i].woken;
		sum.unknown += each[i].unknown;
	}
	return sum;
}

/* ---- the ring ---------------------------------------------------------------------- */

struct ring {
	struct ring_buffer *from;
	struct fi_arrival *events;
	unsigned n, cap;
};

static int take(void *ctx, void *data, size_t bytes)
{
	struct ring *ring = ctx;
	const struct fi_arrival *event = data;

	ck_assert_uint_eq(bytes, sizeof(*event));
	ck_assert_uint_eq(event->type, FI_ARRIVAL);
	ck_assert_uint_eq(event->bytes, sizeof(*event));
	if (ring->n == ring->cap) {
		ring->cap = ring->cap ? 2 * ring->cap : 256;
		ring->events = reallocarray(ring->events, ring->cap, sizeof(*event));
		ck_assert_ptr_nonnull(ring->events);
	}
	ring->events[ring->n++] = *event;
	return 0;
}

struct ring *ring_open(int fd)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	ck_assert_ptr_nonnull(ring);
	ring->from = ring_buffer__new(fd, take, ring, NULL);
	ck_assert_ptr_nonnull(ring->from);
	return ring;
}

void ring_close(struct ring *ring)
{
	ring_buffer__free(ring->from);
	free(ring->events);
	free(ring);
}

unsigned ring_read(struct ring *ring)
{
	ck_assert_int_ge(ring_buffer__consume(ring->from), 0);
	return ring->n;
}

/* Nobody wakes us: look again every millisecond, 30 s at most. */
void ring_expect(struct ring *ring, unsigned n)
{
	for (int i = 0; i < 30000 && ring_read(ring) < n; i++)
		usleep(1000);
	ck_assert_uint_eq(ring->n, n);
}

const struct fi_arrival *ring_event(const struct ring *ring, unsigned i)
{
	ck_assert_uint_lt(i, ring->n);
	return &ring->events[i];
}
