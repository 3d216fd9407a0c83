/* SPDX-License-Identifier: MIT */
/* daemon/ipc: one client, from its connection to its last answer, and its frames. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/ipc_priv.h"
#include "daemon/log.h"

#define FRAMES_PER_TURN 64 /* then others have their turn */

void fid_arena_unref(struct fid_arena *arena)
{
	if (!arena || --arena->refs)
		return;
	finf_shared_detach(&arena->shared);
	free(arena);
}

/* A client that is gone stays until everything it asked for has ended. */
void fid_client_release(struct fid_client *client)
{
	struct fid_ipc *ipc = client->ipc;

	if (client->conn || client->n_calls || client->n_controls || client->more_posted)
		return;
	if (client->prev)
		client->prev->next = client->next;
	else
		ipc->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	ipc->n_clients--;
	fid_metrics_connected(ipc->metrics, FID_DOOR_UNIX, -1);
	free(client);
}

void fid_client_drop(struct fid_client *client, const char *reason)
{
	if (!client->conn)
		return;
	fid_log(FID_DEBUG, "client fd=%d gone=\"%s\" in_flight=%u", finf_conn_fd(client->conn),
		reason, client->n_calls);
	sd_event_source_disable_unref(client->io);
	client->io = NULL;
	finf_conn_free(client->conn);
	client->conn = NULL;
	client->follow = false;
	fid_arena_unref(client->arena);
	client->arena = NULL;
	client->n_controls++; /* ours: cancelling may end the last call */
	fid_app_leave(client->app);
	client->app = NULL;
	fid_client_cancel_all(client);
	client->n_controls--;
	fid_client_release(client);
}

void fid_client_sent(struct fid_client *client, int err)
{
	int left;

	if (err) {
		fid_client_drop(client, err == -EAGAIN ? "does not read" : strerror(-err));
		return;
	}
	left = finf_conn_flush(client->conn);
	if (left < 0) {
		fid_client_drop(client, strerror(-left));
	} else if ((left == 1) != client->wants_out) {
		client->wants_out = left == 1;
		sd_event_source_set_io_events(client->io,
					      EPOLLIN | (client->wants_out ? EPOLLOUT : 0));
	}
}

void fid_client_reply(struct fid_client *client, uint64_t id, int status, const char *json, int fd)
{
	if (client->conn)
		fid_client_sent(client, finf_wire_send_reply(client->conn, id, status, json, fd));
}

/* ---- frames ------------------------------------------------------------------------ */

static int on_hello(struct fid_client *client, const struct finf_frame *frame)
{
	struct finf_wire_hello hello;
	int err = client->greeted ? -EPROTO : finf_wire_parse_hello(frame, &hello);

	if (err)
		return err;
	client->greeted = true;
	fid_client_sent(client,
			finf_wire_send_hello(client->conn,
					     FINF_WIRE_FEATURE_ARENA | FINF_WIRE_FEATURE_APP));
	return 0;
}

static int on_arena(struct fid_client *client, struct finf_frame *frame)
{
	struct fid_arena *arena;
	uint64_t bytes;
	int err = finf_wire_parse_arena(frame, &bytes);

	if (err)
		return err;
	arena = calloc(1, sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	err = finf_arena_attach(frame->fd, bytes, &arena->shared);
	if (err) {
		free(arena);
		fid_client_reply(client, frame->head.id, err,
				 "{\"error\":\"the arena must be a memfd of the stated size, "
				 "sealed against shrinking and growing\"}",
				 -1);
		return 0;
	}
	arena->refs = 1;
	fid_arena_unref(client->arena); /* requests in flight keep the old one */
	client->arena = arena;
	fid_client_reply(client, frame->head.id, 0, "{}", -1);
	return 0;
}

/* Called from anywhere: a program that does not listen is only hung up here. */
static bool send_command(void *ctx, uint64_t id, const struct finf_wire_app_command *command)
{
	struct finf_wire_header head = {.type = FINF_WIRE_APP_COMMAND, .id = id};
	struct iovec iov = {(void *)(uintptr_t)command, sizeof(*command)};
	struct fid_client *client = ctx;
	int err = finf_conn_send(client->conn, &head, &iov, 1, -1);

	if (!err)
		err = finf_conn_flush(client->conn);
	if (err == 1) {
		client->wants_out = true;
		sd_event_source_set_io_events(client->io, EPOLLIN | EPOLLOUT);
	} else if (err) {
		shutdown(finf_conn_fd(client->conn), SHUT_RDWR);
	}
	return err >= 0;
}

static int on_app(struct fid_client *client, struct finf_frame *frame)
{
	struct finf_wire_app said;
	int err = 0;

	if (frame->head.payload_bytes != sizeof(said))
		return -EPROTO;
	memcpy(&said, frame->payload, sizeof(said));
	if (!client->app)
		err = fid_app_join(client->ipc->apps, client->pid, client->uid, send_command,
				   client, &client->app);
	return err ? err : fid_app_report(client->app, &said, &frame->fd);
}

static int on_frame(struct fid_client *client, struct finf_frame *frame)
{
	if (!client->greeted && frame->head.type != FINF_WIRE_HELLO)
		return -EPROTO;
	switch ((enum finf_wire_type)frame->head.type) {
	case FINF_WIRE_HELLO:
		return on_hello(client, frame);
	case FINF_WIRE_ARENA:
		return on_arena(client, frame);
	case FINF_WIRE_INFER:
		return fid_client_infer(client, frame);
	case FINF_WIRE_CANCEL:
		fid_client_cancel(client, frame->head.id);
		return 0;
	case FINF_WIRE_IMPORT:
		return fid_client_import(client, frame);
	case FINF_WIRE_CONTROL:
		return fid_client_control(client, frame);
	case FINF_WIRE_APP:
		return on_app(client, frame);
	default:
		return -EPROTO;
	}
}

static void client_read(struct fid_client *client)
{
	struct finf_frame *frame;
	int n = 1;

	for (int turn = 0; client->conn; turn++) {
		if (turn == FRAMES_PER_TURN) {
			client->more_posted = true;
			fid_loop_post(client->ipc->loop, &client->more);
			return;
		}
		n = finf_conn_receive(client->conn, &frame);
		if (n == 1)
			n = on_frame(client, frame);
		else if (!n)
			return;
		if (n < 0) {
			fid_client_drop(client, strerror(-n));
			return;
		}
	}
}

static void read_more(struct fid_job *job)
{
	struct fid_client *client =
		(struct fid_client *)((char *)job - offsetof(struct fid_client, more));

	client->more_posted = false;
	client->n_controls++; /* stays while it reads */
	client_read(client);
	client->n_controls--;
	fid_client_release(client);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct fid_client *client = ctx;

	(void)source, (void)fd;
	client->n_controls++;
	if (revents & EPOLLOUT)
		fid_client_sent(client, 0);
	if (client->conn && revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && !client->more_posted)
		client_read(client);
	client->n_controls--;
	fid_client_release(client);
	return 0;
}

int fid_client_new(struct fid_ipc *ipc, int fd, const struct ucred *peer, bool admin)
{
	struct fid_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	err = finf_conn_new(fd, &client->conn);
	if (err) {
		free(client);
		return err;
	}
	client->ipc = ipc;
	client->admin = admin;
	client->pid = peer->pid;
	client->uid = peer->uid;
	client->more.finish = read_more;
	err = sd_event_add_io(fid_loop_event(ipc->loop), &client->io, fd, EPOLLIN, on_client,
			      client);
	if (err < 0) {
		finf_conn_free(client->conn);
		free(client);
		return 0; /* fd is closed */
	}
	client->next = ipc->clients;
	if (client->next)
		client->next->prev = client;
	ipc->clients = client;
	ipc->n_clients++;
	fid_metrics_connected(ipc->metrics, FID_DOOR_UNIX, 1);
	return 0;
}
