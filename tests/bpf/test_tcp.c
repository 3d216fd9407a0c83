/* SPDX-License-Identifier: MIT */
/* TCP connections: only to the registered port, only in its network namespace, IPv4 and IPv6. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/usdt.h"
#include "tests/bpf/bpf.h"

#define PORT  18080
#define OTHER 18081

/* A network namespace of its own in which loopback is up. */
static void fresh_network(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static socklen_t loopback(int family, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	v6->sin6_addr = in6addr_loopback;
	return sizeof(*v6);
}

static int serve_on(int family, uint16_t port)
{
	struct sockaddr_storage addr;
	socklen_t len = loopback(family, port, &addr);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

/* @n connections, accepted: the server's side is established. */
static void connect_to(int family, uint16_t port, int n)
{
	int server = serve_on(family, port);
	struct sockaddr_storage addr;
	socklen_t len = loopback(family, port, &addr);

	while (n--) {
		int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;

		ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
		peer = accept(server, NULL, NULL);
		ck_assert_int_ge(peer, 0);
		close(peer);
		close(client);
	}
	close(server);
}

static uint32_t netns_inode(void)
{
	struct stat st;

	ck_assert_int_eq(stat("/proc/self/ns/net", &st), 0);
	return (uint32_t)st.st_ino;
}

START_TEST(test_ports)
{
	static const int families[] = {AF_INET, AF_INET6};
	int family = families[_i], models, status;
	const char *dir = bpf_begin();
	struct ring *ring;
	pid_t elsewhere;

	if (!dir)
		return;
	fresh_network();
	connect_to(family, PORT, 2); /* before anybody listens */
	ck_assert_int_eq(
		probe_run(dir, NULL, (const char *[]){"run", "--once", "--tcp", "net=18080", NULL}),
		0);
	models = map_open(dir, "models");
	ring = ring_open(map_open(dir, "arrivals"));
	connect_to(family, OTHER, 5);
	elsewhere = fork();
	if (!elsewhere) {
		fresh_network();
		connect_to(family, PORT, 3);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(elsewhere, &status, 0), elsewhere);
	ck_assert_int_eq(status, 0);
	connect_to(family, PORT, 10);
	ring_expect(ring, 10);
	for (unsigned i = 0; i < 10; i++) {
		const struct fi_arrival *event = ring_event(ring, i);

		ck_assert_uint_eq(event->model, finf_ipc_name_hash("net"));
		ck_assert_uint_eq(event->source, FI_SOURCE_TCP);
		ck_assert_uint_eq(event->netns, netns_inode());
		ck_assert_uint_eq(event->port, PORT);
		ck_assert_int_eq(event->family, family);
		ck_assert_uint_eq(event->pid, 0);
	}
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_TCP], 10);
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_CALL], 0);
	ring_close(ring);
	close(models);
}
END_TEST

/* A port of a namespace that fid-probe is not in, by its descriptor; then taken away. */
START_TEST(test_other_namespace)
{
	const char *dir = bpf_begin();
	struct fi_probe_request request = {.bytes = sizeof(request), .port = PORT};
	int sock, netns, file, models;
	pid_t probe;

	if (!dir)
		return;
	probe = probe_start(dir, &sock, (const char *[]){"run", "--fd", "3", NULL});
	request.model = finf_ipc_name_hash("net");
	request.type = FI_PROBE_PORT_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -ENOENT); /* no such model */
	request.type = FI_PROBE_MODEL_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), 0);
	fresh_network();
	netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	file = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	request.type = FI_PROBE_PORT_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, file, NULL), -EINVAL);
	ck_assert_int_eq(probe_ask(sock, &request, netns, NULL), 0);
	models = map_open(dir, "models");
	connect_to(AF_INET, PORT, 4);
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_TCP], 4);
	request.type = FI_PROBE_PORT_RM;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -ENOENT); /* not in its own */
	ck_assert_int_eq(probe_ask(sock, &request, netns, NULL), 0);
	connect_to(AF_INET, PORT, 4);
	ck_assert_uint_eq(read_model(models, "net").arrivals[FI_SOURCE_TCP], 4);
	/* Removing the model removes its ports. */
	request.type = FI_PROBE_PORT_ADD;
	ck_assert_int_eq(probe_ask(sock, &request, netns, NULL), 0);
	request.type = FI_PROBE_MODEL_RM;
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), 0);
	ck_assert_int_eq(probe_ask(sock, &request, -1, NULL), -ENOENT);
	request.type = FI_PROBE_PORT_RM;
	ck_assert_int_eq(probe_ask(sock, &request, netns, NULL), -ENOENT);
	probe_stop(probe, sock);
	close(netns);
	close(file);
	close(models);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("bpf tcp");
	TCase *tcase = tcase_create("tcp");

	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase, test_ports, 0, 2);
	tcase_add_test(tcase, test_other_namespace);
	suite_add_tcase(suite, tcase);
	return suite;
}
