/* SPDX-License-Identifier: MIT */
/* probe: fid-probe check. What works is found by doing it, on maps that nobody else sees. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "ipc/usdt.h"
#include "tools/probe/probe.h"

#define CHECK_NAME "fid-probe-check"

static uint64_t arrivals(const struct probe *probe, uint64_t model, int source)
{
	struct fi_model seen;

	if (bpf_map_lookup_elem(probe_map_fd(probe, PROBE_MODELS), &model, &seen))
		return 0;
	return seen.arrivals[source];
}

/* One client call in this process, through the site that every program with libfi has. */
static int try_call(struct probe *probe, uint64_t model, struct finf_diag *diag)
{
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), link = -1, err;

	if (exe < 0)
		return finf_diag_set(diag, -errno, "/proc/self/exe: %s", strerror(errno));
	err = probe_attach_file(probe, exe, "request", &link, diag);
	close(exe);
	if (err)
		return err;
	finf_ipc_arrival(CHECK_NAME);
	close(link);
	if (arrivals(probe, model, FI_SOURCE_CALL) != 1)
		return finf_diag_set(diag, -EIO, "attached, but a call was not seen");
	return 0;
}

/* A connection to a port of our own that nobody else knows. */
static int connect_once(struct probe *probe, uint64_t model, struct finf_diag *diag)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&addr, len) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&addr, &len))
		err = -errno;
	if (!err)
		err = probe_port_add(probe, model, ntohs(addr.sin_port), -1);
	if (!err && connect(client, (struct sockaddr *)&addr, len))
		err = -errno;
	if (client >= 0)
		close(client);
	if (listener >= 0)
		close(listener);
	return err ? finf_diag_set(diag, err, "loopback: %s", strerror(-err)) : 0;
}

static int try_tcp(struct probe *probe, uint64_t model, struct finf_diag *diag)
{
	int link = -1, err = probe_attach_tcp(probe, &link, diag);

	if (err)
		return err;
	err = connect_once(probe, model, diag);
	close(link);
	if (!err && arrivals(probe, model, FI_SOURCE_TCP) != 1)
		return finf_diag_set(diag, -EIO, "attached, but a connection was not seen");
	return err;
}

static bool say(const char *what, int err, const struct finf_diag *diag)
{
	printf("%-8s %s%s%s\n", what, err ? "no" : "yes", err ? ": " : "", err ? diag->text : "");
	return !err;
}

int probe_check(const char *dir)
{
	uint64_t model = finf_ipc_name_hash(CHECK_NAME);
	struct finf_diag diag = {0};
	struct probe probe;
	bool all;
	int err = 0;

	if (!probe_on_bpffs(dir))
		err = finf_diag_set(&diag, -ENODEV, "%s is on no BPF file system", dir);
	all = say("bpffs", err, &diag);
	err = probe_load(&probe, NULL, &diag);
	if (!err)
		err = probe_model_add(&probe, model);
	if (!say("load", err, &diag))
		return 77;
	all &= say("calls", try_call(&probe, model, &diag), &diag);
	all &= say("tcp", try_tcp(&probe, model, &diag), &diag);
	probe_unload(&probe);
	return all ? 0 : 77;
}
