/* SPDX-License-Identifier: MIT */
/* fid-probe: privileges, descriptors for those who have none, wrong requests, its death. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/usdt.h"
#include "tests/bpf/bpf.h"
#include "tools/probe/probe.h"

#define NOBODY 65534

static const char *self(void)
{
	static char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	ck_assert_int_gt(n, 0);
	exe[n] = 0;
	return exe;
}

/* Of all privileges, what a later exec as root gets are @a and @b. */
static void keep_only(int a, int b)
{
	for (int cap = 0; cap < 64; cap++)
		if (cap != a && cap != b && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL)
			_exit(120);
}

static int run_with(const char *dir, int a, int b)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		keep_only(a, b);
		_exit(probe_run(dir, NULL,
				(const char *[]){"run", "--once", "--file", self(), "--tcp",
						 "net=18090", NULL}));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(test_capabilities)
{
	const char *dir = bpf_begin();
	int models;

	if (!dir)
		return;
	ck_assert_int_eq(run_with(dir, CAP_NET_ADMIN, CAP_SYS_RESOURCE), 77);
	ck_assert_int_eq(run_with(dir, CAP_BPF, CAP_PERFMON), 0);
	models = map_open(dir, "models");
	finf_ipc_arrival("net");
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_CALL], 1);
	close(models);
}
END_TEST

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(121);
}

/* What fid does with its descriptors: no capability, another user. */
static void use_as_nobody(const int *fds)
{
	uint64_t key = finf_ipc_name_hash("net");
	struct fi_model model;
	uint32_t one = 1;
	struct ring *ring;

	become_nobody();
	ck_assert_int_eq(bpf_map_lookup_elem(fds[FI_PROBE_FD_MODELS], &key, &model), 0);
	ck_assert_uint_eq(model.arrivals[FI_SOURCE_CALL], 3);
	ck_assert_int_ne(bpf_map_update_elem(fds[FI_PROBE_FD_MODELS], &key, &model, BPF_ANY), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_ne(bpf_map_delete_elem(fds[FI_PROBE_FD_PORTS], &key), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(bpf_map_update_elem(fds[FI_PROBE_FD_COLD], &key, &one, BPF_ANY), 0);
	ring = ring_open(fds[FI_PROBE_FD_RING]);
	ring_expect(ring, 3);
	ck_assert_uint_eq(ring_event(ring, 0)->model, key);
	ring_close(ring);
}

START_TEST(test_descriptors)
{
	const char *dir = bpf_begin();
	struct fi_probe_request request = {.type = FI_PROBE_MODEL_ADD, .bytes = sizeof(request)};
	int sock, file, status, fds[FI_PROBE_FDS];
	pid_t probe, reader;

	if (!dir)
		return;
	probe = probe_start(dir, &sock, (const char *[]){"run", "--fd", "3", NULL});
	request.model = finf_ipc_name_hash("net");
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), 0);
	file = open(self(), O_RDONLY | O_CLOEXEC);
	request.type = FI_PROBE_FILE_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, file, NULL), 0);
	ck_assert_int_eq(probe_ask(sock, &request, file, NULL), 0); /* still one link */
	for (int i = 0; i < 3; i++)
		finf_ipc_arrival("net");
	request.type = FI_PROBE_OPEN;
	ck_assert_int_eq(probe_ask(sock, &request, -1, fds), 0);
	/* Dead without a word: its links and the descriptors stay what they are. */
	ck_assert_int_eq(kill(probe, SIGKILL), 0);
	ck_assert_int_eq(waitpid(probe, &status, 0), probe);
	reader = fork();
	if (!reader) {
		use_as_nobody(fds);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
	finf_ipc_arrival("net");
	ck_assert_uint_eq(read_model(fds[FI_PROBE_FD_MODELS], "net").arrivals[FI_SOURCE_CALL], 4);
	for (int i = 0; i < FI_PROBE_FDS; i++)
		close(fds[i]);
	close(sock);
	close(file);
}
END_TEST

START_TEST(test_requests)
{
	const char *dir = bpf_begin();
	struct fi_probe_request request = {.type = 99, .bytes = sizeof(request)};
	int sock, text;
	pid_t probe;
	char byte;

	if (!dir)
		return;
	probe = probe_start(dir, &sock, (const char *[]){"run", "--fd", "3", NULL});
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -EOPNOTSUPP);
	request.type = FI_PROBE_MODEL_RM;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -ENOENT);
	request.type = FI_PROBE_FILE_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -EBADF);
	text = open(scratch_path("text"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(text, "#!/bin/sh\n", 10), 10);
	ck_assert_int_eq(probe_ask(sock, &request, text, NULL), -ENOEXEC);
	close(text);
	text = open("/bin/true", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(probe_ask(sock, &request, text, NULL), -ENOENT);
	close(text);
	request.type = FI_PROBE_PORT_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -EINVAL); /* port 0 */
	/* No request at all ends it. */
	ck_assert_int_eq(send(sock, &request, 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(recv(sock, &byte, 1, 0), 0);
	close(sock);
	ck_assert_int_eq(waitpid(probe, &text, 0), probe);
	ck_assert(WIFEXITED(text) && WEXITSTATUS(text) == 1);
}
END_TEST

/* Two descriptors: refused, and none of them is left in fid-probe. */
START_TEST(test_two_descriptors)
{
	const char *dir = bpf_begin();
	struct fi_probe_request request = {.type = FI_PROBE_MODEL_ADD, .bytes = sizeof(request)};
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {&request, sizeof(request)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int pipe_ends[2], both[2], sock, status;
	pid_t probe;
	char byte;

	if (!dir)
		return;
	probe = probe_start(dir, &sock, (const char *[]){"run", "--fd", "3", NULL});
	ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
	both[0] = both[1] = pipe_ends[1];
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(both));
	memcpy(CMSG_DATA(&control.align), both, sizeof(both));
	ck_assert_int_eq(sendmsg(sock, &msg, MSG_NOSIGNAL), sizeof(request));
	ck_assert_int_eq(recv(sock, &byte, 1, 0), 0);
	close(pipe_ends[1]);
	ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 0);
	close(pipe_ends[0]);
	close(sock);
	ck_assert_int_eq(waitpid(probe, &status, 0), probe);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

/* ---- a socket by path ------------------------------------------------------------- */

/* Connected once the other side listens. */
static int reach(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	for (int i = 0; i < 30000; i++) {
		if (!connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
			return sock;
		usleep(1000);
	}
	return -1;
}

static int ask_as(uid_t uid, const char *path)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct fi_probe_request request = {.type = 99, .bytes = sizeof(request)};
		struct fi_probe_answer reply;
		int sock;

		if (uid && setuid(uid))
			_exit(121);
		sock = reach(path);
		if (sock < 0)
			_exit(122);
		/* Refused is closed, before or after it is written to. */
		if (send(sock, &request, sizeof(request), MSG_NOSIGNAL) < 0)
			_exit(1);
		_exit(recv(sock, &reply, sizeof(reply), 0) == sizeof(reply) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(test_socket)
{
	const char *dir = bpf_begin();
	char path[108];
	pid_t probe;
	int unused, status;

	if (!dir)
		return;
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	snprintf(path, sizeof(path), "%.90s", scratch_path("probe.sock"));
	for (int round = 0; round < 2; round++) { /* the second finds a stale socket */
		probe = probe_start(
			dir, &unused,
			(const char *[]){"run", "--socket", path, "--uid", "1234", NULL});
		ck_assert_int_eq(ask_as(0, path), 0);
		ck_assert_int_eq(ask_as(1234, path), 0);
		ck_assert_int_eq(ask_as(NOBODY, path), 1);
		ck_assert_int_eq(ask_as(1234, path), 0);
		kill(probe, SIGKILL);
		ck_assert_int_eq(waitpid(probe, &status, 0), probe);
		close(unused);
	}
}
END_TEST

/* ---- the command line ---------------------------------------------------------------- */

START_TEST(test_refusals)
{
	static const struct {
		int status;
		const char *args[6], *says;
	} rows[] = {
		{2, {"run"}, "usage"},
		{2, {"run", "--once", "--fd", "3"}, "usage"},
		{2, {"run", "--fd", "x"}, "usage"},
		{2, {"run", "--socket", "/tmp/s", "--uid", "no such user"}, "usage"},
		{2, {"run", "--fd", "99999999999"}, "usage"},
		{2, {"nonsense"}, "usage"},
		{1, {"run", "--once", "--model", "no/name"}, "no/name: not a model name"},
		{1, {"run", "--once", "--tcp", "net"}, "net: not NAME=PORT"},
		{1, {"run", "--once", "--tcp", "net=70000"}, "not NAME=PORT"},
		{1, {"run", "--once", "--file", "/nowhere"}, "/nowhere: No such file"},
		{1, {"run", "--once", "--file", "/bin/true"}, "no site fusedinf:request"},
	};
	const char *dir = bpf_begin();
	char *says;

	if (!dir)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(probe_run(dir, &says, rows[i].args), rows[i].status);
		ck_assert_msg(strstr(says, rows[i].says), "%s", says);
		free(says);
	}
}
END_TEST

START_TEST(test_no_bpffs)
{
	const char *dir = scratch_path("plain/fusedinf/v1");
	char *says;

	ck_assert_int_eq(probe_run(dir, &says, (const char *[]){"run", "--once", NULL}), 77);
	ck_assert_ptr_nonnull(strstr(says, "on no BPF file system"));
	free(says);
	ck_assert_int_ne(access(scratch_path("plain"), F_OK), 0); /* nothing was made */
	ck_assert_int_eq(probe_run(dir, NULL, (const char *[]){"rm", NULL}), 1);
	ck_assert_int_eq(probe_run(dir, NULL, (const char *[]){"list", NULL}), 1);
}
END_TEST

/* ---- sites in files ------------------------------------------------------------------- */

static void *read_self(size_t *ret_bytes)
{
	int fd = open(self(), O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	ck_assert_int_eq(fstat(fd, &st), 0);
	*ret_bytes = (size_t)st.st_size;
	data = malloc(*ret_bytes);
	ck_assert_int_eq(pread(fd, data, *ret_bytes, 0), st.st_size);
	close(fd);
	return data;
}

static int sites_of(const void *data, size_t bytes, struct probe_site *ret)
{
	int fd = open(scratch_path("elf"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc;

	ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
	rc = probe_sites(fd, "request", ret, NULL);
	close(fd);
	return rc;
}

START_TEST(test_site)
{
	struct probe_site sites[PROBE_SITES_MAX];
	size_t bytes;
	uint8_t *data = read_self(&bytes);

	ck_assert_int_eq(sites_of(data, bytes, sites), 1);
	ck_assert_uint_ne(sites[0].semaphore, 0);
#if defined(__x86_64__)
	/* The one instruction that the kernel can turn into a call. */
	ck_assert_mem_eq(data + sites[0].offset, "\x0f\x1f\x44\x00\x00", 5);
#endif
	ck_assert_int_eq(sites_of(data, 0, sites), -ENOEXEC);
	ck_assert_int_eq(sites_of(data, 63, sites), -ENOEXEC);
	ck_assert_int_eq(sites_of(data, bytes / 2, sites), -ENOEXEC); /* section headers cut off */
	free(data);
}
END_TEST

START_TEST(test_hostile_site)
{
	struct probe_site sites[PROBE_SITES_MAX];
	size_t bytes, headers, notes = 0;
	uint8_t *data = read_self(&bytes), *note;
	uint64_t seed = 1, shoff;
	uint8_t *copy;

	/* Only what is looked at: headers in front and behind, and the notes. */
	memcpy(&shoff, data + 40, sizeof(shoff));
	headers = bytes - (size_t)shoff;
	note = memmem(data, bytes, "stapsdt", 8);
	ck_assert_ptr_nonnull(note);
	notes = (size_t)(note - data) - 12;
	copy = malloc(bytes);
	for (int round = 0; round < 300; round++) {
		memcpy(copy, data, bytes);
		for (int i = 0; i < 6; i++) {
			uint64_t r = test_random(&seed);

			copy[r % 64] ^= (uint8_t)(r >> 56 & (r >> 48));
			copy[shoff + r / 64 % headers] = (uint8_t)(r >> 40);
			copy[notes + (r >> 20) % 80] = (uint8_t)(r >> 32);
		}
		ck_assert_int_le(sites_of(copy, bytes, sites), PROBE_SITES_MAX);
	}
	free(copy);
	free(data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("bpf probe");
	TCase *tcase = tcase_create("probe");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, test_capabilities);
	tcase_add_test(tcase, test_descriptors);
	tcase_add_test(tcase, test_requests);
	tcase_add_test(tcase, test_two_descriptors);
	tcase_add_test(tcase, test_socket);
	tcase_add_test(tcase, test_refusals);
	tcase_add_test(tcase, test_no_bpffs);
	tcase_add_test(tcase, test_site);
	tcase_add_test(tcase, test_hostile_site);
	suite_add_tcase(suite, tcase);
	return suite;
}
