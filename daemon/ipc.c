/* SPDX-License-Identifier: MIT */
/* daemon/ipc: the Unix socket and who may connect. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/ipc_priv.h"
#include "daemon/listen.h"
#include "daemon/log.h"

#define CLIENTS_MAX 1024

/* ---- who may connect ------------------------------------------------------------------- */

static bool in_group(const struct ucred *peer, const gid_t *groups, size_t n, gid_t wanted)
{
	for (size_t i = 0; i < n; i++)
		if (groups[i] == wanted)
			return true;
	return peer->gid == wanted;
}

/* The kernel's word about the peer, not the peer's own. */
static int check_peer(const struct fid_ipc *ipc, int fd, struct ucred *ret_peer, bool *ret_admin)
{
	struct ucred peer;
	gid_t groups[1024];
	socklen_t len = sizeof(peer), groups_len = sizeof(groups);
	size_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len) < 0)
		groups_len = 0;
	n = groups_len / sizeof(groups[0]);
	*ret_peer = peer;
	*ret_admin = peer.uid == 0 || peer.uid == geteuid() ||
		     (ipc->has_admin && in_group(&peer, groups, n, ipc->group_admin));
	if (*ret_admin || (ipc->has_infer && in_group(&peer, groups, n, ipc->group_infer)))
		return 0;
	return -EACCES;
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct fid_ipc *ipc = ctx;
	struct ucred peer;
	bool admin;
	int err;

	(void)source, (void)revents;
	if (conn < 0) {
		/* Out of descriptors: the connection waits; do not spin on it meanwhile. */
		if (errno == EMFILE || errno == ENFILE)
			usleep(1000);
		return 0;
	}
	err = ipc->n_clients == CLIENTS_MAX ? -EMFILE : check_peer(ipc, conn, &peer, &admin);
	if (!err)
		err = fid_client_new(ipc, conn, &peer, admin);
	if (err) {
		fid_log(FID_WARNING, "connection refused=\"%s\"", strerror(-err));
		close(conn);
	}
	return 0;
}

/* ---- listening ------------------------------------------------------------------------- */

static int listen_at(struct fid_ipc *ipc, const char *path, struct finf_diag *diag)
{
	int err = fid_listen_unix(path, ipc->has_infer ? &ipc->group_infer : NULL, &ipc->fd, diag);

	if (!err) {
		snprintf(ipc->path, sizeof(ipc->path), "%s", path);
		ipc->unlink_path = true;
	}
	return err;
}

static bool find_group(const char *name, gid_t *ret)
{
	const struct group *group = getgrnam(name);

	if (group)
		*ret = group->gr_gid;
	return group != NULL;
}

int fid_ipc_new(struct fid_core *core, struct fid_observe *observe, struct fid_loop *loop,
		const char *path, struct fid_ipc **ret_ipc, struct finf_diag *diag)
{
	struct fid_ipc *ipc = calloc(1, sizeof(*ipc));
	int err = 0;

	if (!ipc)
		return -ENOMEM;
	ipc->core = core;
	ipc->observe = observe;
	ipc->metrics = fid_core_metrics(core);
	ipc->loop = loop;
	ipc->fd = -1;
	ipc->has_infer = find_group("fusedinf", &ipc->group_infer);
	ipc->has_admin = find_group("fusedinf-admin", &ipc->group_admin);
	err = fid_apps_new(loop, observe, &ipc->apps);
	if (!err && sd_listen_fds(1) == 1)
		ipc->fd = SD_LISTEN_FDS_START;
	else if (!err)
		err = listen_at(ipc, path, diag);
	if (!err)
		err = sd_event_add_io(fid_loop_event(loop), &ipc->listener, ipc->fd, EPOLLIN,
				      on_connect, ipc);
	if (err < 0) {
		fid_ipc_free(ipc);
		return err;
	}
	fid_core_follow(core, fid_ipc_decided, ipc);
	*ret_ipc = ipc;
	return 0;
}

void fid_ipc_close(struct fid_ipc *ipc)
{
	sd_event_source_disable_unref(ipc->listener);
	ipc->listener = NULL;
	if (ipc->fd >= 0)
		close(ipc->fd);
	ipc->fd = -1;
	if (ipc->unlink_path)
		unlink(ipc->path);
	ipc->unlink_path = false;
	if (ipc->apps)
		fid_apps_unwatch(ipc->apps);
}

void fid_ipc_free(struct fid_ipc *ipc)
{
	if (!ipc)
		return;
	fid_ipc_close(ipc);
	if (ipc->apps)
		fid_apps_stop(ipc->apps);
	while (ipc->clients) {
		struct fid_client *client = ipc->clients;

		client->more_posted = false;
		finf_conn_flush(client->conn);
		fid_client_drop(client, "fid ends");
	}
	fid_ipc_forget_calls(ipc);
	fid_apps_free(ipc->apps);
	free(ipc);
}
