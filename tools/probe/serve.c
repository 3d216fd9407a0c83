/* SPDX-License-Identifier: MIT */
/*
 * probe: requests of fid. Each is one message of known size; whatever else comes
 * ends the connection. A peer can make fid-probe count, and nothing more.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "tools/probe/probe.h"

/* 1: a request, *@ret_fd owned by the caller or -1; 0: closed; -EPROTO; -errno. */
static int receive(int sock, struct fi_probe_request *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)), /* padding would hold a second one */
	};
	struct cmsghdr *head;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_fd = -1;
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	if (!n && *ret_fd < 0)
		return 0;
	if (n == sizeof(*ret) && ret->bytes == sizeof(*ret) &&
	    !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	if (*ret_fd >= 0)
		close(*ret_fd);
	return -EPROTO;
}

static int answer(int sock, const struct fi_probe_answer *what, const int *fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FI_PROBE_FDS * sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)what, sizeof(*what)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (what->n_fds) {
		struct cmsghdr *head = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(FI_PROBE_FDS * sizeof(int));
		memcpy(CMSG_DATA(head), fds, FI_PROBE_FDS * sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void close_all(int *fds, int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* What counts is only read by fid: changes go through requests. */
static int open_maps(const struct probe *probe, int fds[FI_PROBE_FDS])
{
	static const struct {
		enum probe_map map;
		bool write;
	} wanted[FI_PROBE_FDS] = {
		[FI_PROBE_FD_RING] = {PROBE_ARRIVALS, true},
		[FI_PROBE_FD_COLD] = {PROBE_COLD, true},
		[FI_PROBE_FD_MODELS] = {PROBE_MODELS, false},
		[FI_PROBE_FD_PORTS] = {PROBE_PORTS, false},
		[FI_PROBE_FD_COUNTS] = {PROBE_COUNTS, false},
	};

	for (int i = 0; i < FI_PROBE_FDS; i++) {
		fds[i] = probe_map_open(probe->dir, wanted[i].map, wanted[i].write);
		if (fds[i] < 0) {
			int err = fds[i];

			close_all(fds, i);
			return err;
		}
	}
	return 0;
}

static int carry_out(struct probe *probe, const struct fi_probe_request *request, int fd)
{
	switch (request->type) {
	case FI_PROBE_MODEL_ADD:
		return probe_model_add(probe, request->model);
	case FI_PROBE_MODEL_RM:
		return probe_model_rm(probe, request->model);
	case FI_PROBE_PORT_ADD:
		return probe_port_add(probe, request->model, request->port, fd);
	case FI_PROBE_PORT_RM:
		return probe_port_rm(probe, request->port, fd);
	case FI_PROBE_FILE_ADD:
		return fd < 0 ? -EBADF : probe_attach_file(probe, fd, "request", NULL, NULL);
	default:
		return -EOPNOTSUPP;
	}
}

int probe_serve(struct probe *probe, int sock)
{
	struct fi_probe_request request;
	int fds[FI_PROBE_FDS], fd, rc;

	while ((rc = receive(sock, &request, &fd)) > 0) {
		struct fi_probe_answer reply = {.type = request.type, .bytes = sizeof(reply)};

		if (request.type == FI_PROBE_OPEN) {
			reply.status = open_maps(probe, fds);
			reply.n_fds = reply.status ? 0 : FI_PROBE_FDS;
		} else {
			reply.status = carry_out(probe, &request, fd);
		}
		if (fd >= 0)
			close(fd);
		rc = answer(sock, &reply, fds);
		close_all(fds, (int)reply.n_fds);
		if (rc)
			break;
	}
	return rc;
}

/* ---- a socket by path ---------------------------------------------------------- */

static bool may_ask(int sock, uid_t uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return !peer.uid || peer.uid == uid || peer.uid == geteuid();
}

/* A socket that nobody listens on any more was left behind by a predecessor. */
static void remove_stale(int sock, const struct sockaddr_un *addr)
{
	if (connect(sock, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED)
		unlink(addr->sun_path);
}

static int bind_to(const char *path, bool foreign, struct finf_diag *diag)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock, err = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return finf_diag_set(diag, -ENAMETOOLONG, "%s: longer than a socket path may be",
				     path);
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return finf_diag_set(diag, -errno, "socket: %s", strerror(errno));
	remove_stale(sock, &addr);
	/* Who may connect is decided by its credentials; the mode only keeps others away. */
	if (bind(sock, (const struct sockaddr *)&addr, sizeof(addr)) ||
	    chmod(path, foreign ? 0666 : 0600) || listen(sock, 4))
		err = -errno;
	if (!err)
		return sock;
	close(sock);
	return finf_diag_set(diag, err, "%s: %s", path, strerror(-err));
}

int probe_listen(struct probe *probe, const char *path, uid_t uid, struct finf_diag *diag)
{
	int sock = bind_to(path, uid != geteuid(), diag), peer;

	if (sock < 0)
		return sock;
	while ((peer = accept4(sock, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR ||
	       errno == ECONNABORTED) {
		if (peer < 0)
			continue;
		if (may_ask(peer, uid))
			probe_serve(probe, peer);
		close(peer);
	}
	close(sock);
	return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
}
