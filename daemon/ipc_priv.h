/* SPDX-License-Identifier: MIT */
/* daemon/ipc - what its files share: a client, and what a frame of it does. */
#ifndef FID_IPC_PRIV_H
#define FID_IPC_PRIV_H

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include "daemon/apps.h"
#include "daemon/ipc.h"
#include "ipc/ipc.h"

/* Shared memory of a client; requests in flight keep it mapped. */
struct fid_arena {
	struct finf_shared shared;
	uint32_t refs;
};

struct fid_client {
	struct fid_client *prev, *next;
	struct fid_ipc *ipc;
	struct finf_conn *conn; /* owned; NULL once the client is gone */
	sd_event_source *io;
	struct fid_job more; /* frames left in the buffer when a turn ended */
	bool more_posted;
	bool admin, greeted, follow, wants_out;
	pid_t pid;
	uid_t uid;
	struct fid_app *app; /* a program under the preload library */
	struct fid_arena *arena;
	struct fid_call *calls;
	uint32_t n_calls, n_controls;
};

struct fid_ipc {
	struct fid_core *core;
	struct fid_observe *observe;
	struct fid_apps *apps;	     /* owned */
	struct fid_metrics *metrics; /* outlives the core */
	struct fid_loop *loop;
	sd_event_source *listener;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool unlink_path;
	struct fid_client *clients;
	uint32_t n_clients;
	struct fid_call *idle; /* by next */
	uint32_t n_idle;
	gid_t group_infer, group_admin;
	bool has_infer, has_admin;
};

/* ---- ipc_client.c ------------------------------------------------------------------ */

/** fid_client_new - a client at @fd, which is its own where this returns 0. */
int fid_client_new(struct fid_ipc *ipc, int fd, const struct ucred *peer, bool admin);
/** fid_client_drop - hang up and cancel what it asked for; freed with the last of that. */
void fid_client_drop(struct fid_client *client, const char *reason);
/** fid_client_release - free a client that is gone, once nothing of it is left. */
void fid_client_release(struct fid_client *client);
/** fid_client_sent - a frame was queued, or was not (@err): flush it, or drop the client. */
void fid_client_sent(struct fid_client *client, int err);
/** fid_client_reply - a reply, unless the client is gone. @param fd  borrowed, or -1 */
void fid_client_reply(struct fid_client *client, uint64_t id, int status, const char *json, int fd);
void fid_arena_unref(struct fid_arena *arena);

/* ---- ipc_infer.c ------------------------------------------------------------------- */

/** fid_client_infer - Return: 0, also when it was refused; an error drops the client. */
int fid_client_infer(struct fid_client *client, const struct finf_frame *frame);
/** fid_client_cancel - the inference of that number, if there is one. */
void fid_client_cancel(struct fid_client *client, uint64_t id);
void fid_client_cancel_all(struct fid_client *client);
/** fid_ipc_forget_calls - free the requests kept for later. */
void fid_ipc_forget_calls(struct fid_ipc *ipc);

/* ---- ipc_control.c ----------------------------------------------------------------- */

/** fid_client_control - as fid_client_infer(). */
int fid_client_control(struct fid_client *client, const struct finf_frame *frame);
/** fid_client_import - as fid_client_infer(); takes the frame's descriptor. */
int fid_client_import(struct fid_client *client, struct finf_frame *frame);
/** fid_ipc_decided - to whoever follows decisions. @param ctx  the struct fid_ipc */
void fid_ipc_decided(void *ctx, const struct fid_decision *decision);

#endif
