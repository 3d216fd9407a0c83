/* SPDX-License-Identifier: MIT */
/* daemon/ipc: clients of the Unix socket, their frames, and who may do what. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/apps.h"
#include "daemon/control.h"
#include "daemon/ipc.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "ipc/ipc.h"

#define CLIENTS_MAX 1024
#define IN_FLIGHT_MAX 256  /* requests of one client at a time */
#define CONTROLS_MAX 64	   /* commands and imports of one client at a time */
#define FRAMES_PER_TURN 64 /* then others have their turn */
#define CALLS_KEPT 64	   /* idle request objects, so that warm requests allocate nothing */

/* Shared memory of a client; requests in flight keep it mapped. */
struct arena {
	struct finf_shared shared;
	uint32_t refs;
};

struct client {
	struct client *prev, *next;
	struct fid_ipc *ipc;
	struct finf_conn *conn; /* owned; NULL once the client is gone */
	sd_event_source *io;
	struct fid_job more; /* frames left in the buffer when a turn ended */
	bool more_posted;
	bool admin, greeted, follow, wants_out;
	pid_t pid;
	uid_t uid;
	struct fid_app *app; /* a program under the preload library */
	struct arena *arena;
	struct call *calls;
	uint32_t n_calls, n_controls;
};

/* One inference of a client. */
struct call {
	struct fid_request request;
	struct call *prev, *next;
	struct client *client;
	uint64_t id; /* the client's */
	struct arena *arena;
	struct finf_wire_request parsed;
	uint8_t *payload, *out; /* owned, kept for the next call */
	size_t payload_cap, out_cap;
};

/* One command or import of a client. */
struct control_call {
	struct fid_control control;
	struct client *client;
	uint64_t id;
};

struct fid_ipc {
	struct fid_core *core;
	struct fid_observe *observe;
	struct fid_apps *apps; /* owned */
	struct fid_metrics *metrics; /* outlives the core */
	struct fid_loop *loop;
	sd_event_source *listener;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool unlink_path;
	struct client *clients;
	uint32_t n_clients;
	struct call *idle; /* by next */
	uint32_t n_idle;
	gid_t group_infer, group_admin;
	bool has_infer, has_admin;
};

/* ---- clients ---------------------------------------------------------------------- */

static void arena_unref(struct arena *arena)
{
	if (!arena || --arena->refs)
		return;
	finf_shared_detach(&arena->shared);
	free(arena);
}

/* A client that is gone stays until everything it asked for has ended. */
static void client_release(struct client *client)
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

static struct call *not_cancelled(const struct client *client)
{
	struct call *call = client->calls;

	while (call && call->request.cancelled)
		call = call->next;
	return call;
}

static void client_drop(struct client *client, const char *reason)
{
	struct call *call;

	if (!client->conn)
		return;
	fid_log(FID_DEBUG, "client fd=%d gone=\"%s\" in_flight=%u", finf_conn_fd(client->conn), reason,
		client->n_calls);
	sd_event_source_disable_unref(client->io);
	client->io = NULL;
	finf_conn_free(client->conn);
	client->conn = NULL;
	client->follow = false;
	arena_unref(client->arena);
	client->arena = NULL;
	client->n_controls++; /* ours: cancelling may end the last call */
	fid_app_leave(client->app);
	client->app = NULL;
	/* One cancellation may end others of this client: start over each time. */
	while ((call = not_cancelled(client)))
		fid_core_cancel(client->ipc->core, &call->request);
	client->n_controls--;
	client_release(client);
}

static void client_sent(struct client *client, int err)
{
	int left;

	if (err) {
		client_drop(client, err == -EAGAIN ? "does not read" : strerror(-err));
		return;
	}
	left = finf_conn_flush(client->conn);
	if (left < 0) {
		client_drop(client, strerror(-left));
	} else if ((left == 1) != client->wants_out) {
		client->wants_out = left == 1;
		sd_event_source_set_io_events(client->io,
					      EPOLLIN | (client->wants_out ? EPOLLOUT : 0));
	}
}

static void reply_with(struct client *client, uint64_t id, int status, const char *json, int fd)
{
	if (client->conn)
		client_sent(client, finf_wire_send_reply(client->conn, id, status, json, fd));
}

static void reply(struct client *client, uint64_t id, int status, const char *json)
{
	reply_with(client, id, status, json, -1);
}

/* ---- inference -------------------------------------------------------------------------- */

static struct call *call_take(struct client *client)
{
	struct fid_ipc *ipc = client->ipc;
	struct call *call = ipc->idle;

	if (call) {
		ipc->idle = call->next;
		ipc->n_idle--;
	} else {
		call = calloc(1, sizeof(*call));
		if (!call)
			return NULL;
	}
	call->client = client;
	call->prev = NULL;
	call->next = client->calls;
	if (call->next)
		call->next->prev = call;
	client->calls = call;
	client->n_calls++;
	return call;
}

static void call_free(struct call *call)
{
	free(call->payload);
	free(call->out);
	free(call);
}

static void call_give(struct call *call)
{
	struct client *client = call->client;
	struct fid_ipc *ipc = client->ipc;

	if (call->prev)
		call->prev->next = call->next;
	else
		client->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	client->n_calls--;
	arena_unref(call->arena);
	call->arena = NULL;
	if (ipc->n_idle < CALLS_KEPT) {
		call->next = ipc->idle;
		ipc->idle = call;
		ipc->n_idle++;
	} else {
		call_free(call);
	}
	client_release(client);
}

static int room(uint8_t **buf, size_t *cap, size_t bytes)
{
	uint8_t *grown;

	if (bytes <= *cap)
		return 0;
	grown = realloc(*buf, bytes);
	if (!grown)
		return -ENOMEM;
	*buf = grown;
	*cap = bytes;
	return 0;
}

static void send_result(struct call *call)
{
	struct fid_request *request = &call->request;
	struct finf_tensor outputs[FINF_WIRE_TENSORS_MAX];
	struct finf_wire_answer answer = {
		.status = request->result,
		.text = request->diag.text,
		.times = {
			.queue_ns = (request->run_ns ? request->run_ns : request->done_ns) -
				    request->arrived_ns,
			.load_ns = request->load_ns,
			.run_ns = request->run_ns ? request->done_ns - request->run_ns : 0,
			.cold = request->cold,
		},
		.outputs = outputs,
		.in_arena = call->parsed.in_arena + call->parsed.n_inputs,
		.offset = call->parsed.offset + call->parsed.n_inputs,
	};

	for (uint32_t i = 0; !request->result && i < request->n_wanted; i++)
		outputs[answer.n_outputs++] = request->outputs[request->output_at[i]];
	client_sent(call->client, finf_wire_send_result(call->client->conn, call->id, &answer));
}

static void call_done(struct fid_request *request)
{
	struct call *call = (struct call *)((char *)request - offsetof(struct call, request));

	if (request->result && !request->diag.text[0])
		finf_diag_set(&request->diag, request->result, "%s", strerror(-request->result));
	request->cancelled = true; /* ended: dropping its client while sending ends it no second time */
	if (call->client->conn)
		send_result(call);
	call_give(call);
}

/* Inline outputs get a place of ours, the others lie in the client's arena. */
static int place_tensors(struct call *call)
{
	struct finf_wire_request *parsed = &call->parsed;
	struct fid_request *request = &call->request;
	size_t out_bytes = 0, at = 0;

	for (uint32_t i = 0; i < parsed->n_outputs; i++)
		if (!parsed->in_arena[parsed->n_inputs + i])
			out_bytes += finf_align_up(parsed->tensors[parsed->n_inputs + i].bytes, 16);
	if (room(&call->out, &call->out_cap, FINF_MAX(out_bytes, (size_t)16)))
		return -ENOMEM;
	for (uint32_t i = 0; i < parsed->n_inputs + parsed->n_outputs; i++) {
		struct finf_tensor *tensor = &parsed->tensors[i];

		if (parsed->in_arena[i]) {
			tensor->data = (uint8_t *)call->arena->shared.base + parsed->offset[i];
		} else if (i >= parsed->n_inputs) {
			tensor->data = call->out + at;
			at += finf_align_up(tensor->bytes, 16);
		}
	}
	request->n_inputs = parsed->n_inputs;
	request->n_outputs = parsed->n_outputs;
	memcpy(request->inputs, parsed->tensors, parsed->n_inputs * sizeof(request->inputs[0]));
	memcpy(request->outputs, parsed->tensors + parsed->n_inputs,
	       parsed->n_outputs * sizeof(request->outputs[0]));
	return 0;
}

static void refuse_infer(struct client *client, uint64_t id, int status, const char *text)
{
	struct finf_wire_answer answer = {.status = status, .text = text};

	client_sent(client, finf_wire_send_result(client->conn, id, &answer));
}

static int on_infer(struct client *client, const struct finf_frame *frame)
{
	struct finf_frame copy = *frame;
	struct finf_diag diag = {{0}};
	struct call *call;
	int err;

	if (client->n_calls == IN_FLIGHT_MAX) {
		refuse_infer(client, frame->head.id, -EAGAIN, "too many requests of this client at a time");
		return 0;
	}
	call = call_take(client);
	if (!call)
		return -ENOMEM;
	call->id = frame->head.id;
	call->arena = client->arena;
	if (call->arena)
		call->arena->refs++;
	err = room(&call->payload, &call->payload_cap, FINF_MAX(frame->head.payload_bytes, 1u));
	if (!err) {
		memcpy(call->payload, frame->payload, frame->head.payload_bytes);
		copy.payload = call->payload;
		err = finf_wire_parse_infer(&copy, call->arena ? call->arena->shared.bytes : 0,
					    &call->parsed, &diag);
	}
	if (!err)
		err = place_tensors(call);
	if (err) {
		call_give(call);
		refuse_infer(client, frame->head.id, err, diag.text[0] ? diag.text : strerror(-err));
		return 0;
	}
	call->request.deadline_ns = frame->head.deadline_ns;
	call->request.done = call_done;
	fid_core_request(client->ipc->core, call->parsed.model, &call->request);
	return 0;
}

static void on_cancel(struct client *client, uint64_t id)
{
	for (struct call *call = client->calls; call; call = call->next)
		if (call->id == id && !call->request.cancelled) {
			fid_core_cancel(client->ipc->core, &call->request);
			return;
		}
}

/* ---- commands and imports ------------------------------------------------------------------- */

static struct control_call *control_take(struct client *client, uint64_t id)
{
	struct control_call *call;

	if (client->n_controls == CONTROLS_MAX)
		return NULL;
	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->client = client;
	call->id = id;
	call->control.core = client->ipc->core;
	call->control.observe = client->ipc->observe;
	call->control.apps = client->ipc->apps;
	call->control.admin = client->admin;
	call->control.fd = -1;
	call->control.clients = client->ipc->n_clients;
	client->n_controls++;
	return call;
}

static void control_end(struct control_call *call, int status, const char *json)
{
	struct client *client = call->client;

	reply_with(client, call->id, status, json, call->control.fd);
	client->n_controls--;
	free(call);
	client_release(client);
}

static void on_answer(struct fid_control *control, int status, const char *json)
{
	struct control_call *call =
		(struct control_call *)((char *)control - offsetof(struct control_call, control));

	call->client->follow |= control->follow && call->client->conn;
	control_end(call, status, json);
}

static int on_control(struct client *client, const struct finf_frame *frame)
{
	struct control_call *call = control_take(client, frame->head.id);

	if (!call) {
		reply(client, frame->head.id, -EAGAIN,
		      "{\"error\":\"too many commands at a time\"}");
		return 0;
	}
	call->control.answer = on_answer;
	fid_control(&call->control, (const char *)frame->payload, frame->head.payload_bytes);
	return 0;
}

static void on_imported(void *ctx, int result, const char *model, const char *text)
{
	struct control_call *call = ctx;
	char *json = fid_control_imported(call->client->ipc->core, result, model, text);

	control_end(call, json ? result : -ENOMEM, json ? json : "{\"error\":\"out of memory\"}");
	free(json);
}

static int on_import(struct client *client, struct finf_frame *frame)
{
	char name[256] = "";
	struct control_call *call;

	if (!client->admin) {
		reply(client, frame->head.id, -EPERM,
		      "{\"error\":\"import is for fid's user, root and group fusedinf-admin\"}");
		return 0;
	}
	if (frame->fd < 0 || frame->head.payload_bytes >= sizeof(name))
		return -EPROTO;
	memcpy(name, frame->payload, frame->head.payload_bytes);
	call = control_take(client, frame->head.id);
	if (!call) {
		reply(client, frame->head.id, -EAGAIN,
		      "{\"error\":\"too many imports at a time\"}");
		return 0;
	}
	fid_core_import(client->ipc->core, name, frame->fd, on_imported, call);
	frame->fd = -1; /* taken */
	return 0;
}

static void on_decision(void *ctx, const struct fid_decision *decision)
{
	struct fid_ipc *ipc = ctx;
	char *json = NULL;

	for (struct client *client = ipc->clients; client; client = client->next) {
		if (!client->follow)
			continue;
		if (!json)
			json = fid_control_event(decision);
		/* Decisions come from anywhere, also while a client is being dropped: whoever
		 * does not read is only hung up here, and dropped when the loop sees it. */
		if (!json || finf_wire_send_event(client->conn, json)) {
			client->follow = false;
			shutdown(finf_conn_fd(client->conn), SHUT_RDWR);
		}
	}
	free(json);
}

/* ---- frames ----------------------------------------------------------------------------------- */

static int on_hello(struct client *client, const struct finf_frame *frame)
{
	struct finf_wire_hello hello;
	int err = client->greeted ? -EPROTO : finf_wire_parse_hello(frame, &hello);

	if (err)
		return err;
	client->greeted = true;
	client_sent(client, finf_wire_send_hello(client->conn, FINF_WIRE_FEATURE_ARENA |
							       FINF_WIRE_FEATURE_APP));
	return 0;
}

static int on_arena(struct client *client, struct finf_frame *frame)
{
	struct arena *arena;
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
		reply(client, frame->head.id, err,
		      "{\"error\":\"the arena must be a memfd of the stated size, sealed against "
		      "shrinking and growing\"}");
		return 0;
	}
	arena->refs = 1;
	arena_unref(client->arena); /* requests in flight keep the old one */
	client->arena = arena;
	reply(client, frame->head.id, 0, "{}");
	return 0;
}

/* Called from anywhere: a program that does not listen is only hung up here. */
static bool send_command(void *ctx, uint64_t id, const struct finf_wire_app_command *command)
{
	struct finf_wire_header head = {.type = FINF_WIRE_APP_COMMAND, .id = id};
	struct iovec iov = {(void *)(uintptr_t)command, sizeof(*command)};
	struct client *client = ctx;
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

static int on_app(struct client *client, struct finf_frame *frame)
{
	struct finf_wire_app said;
	int err = 0;

	if (frame->head.payload_bytes != sizeof(said))
		return -EPROTO;
	memcpy(&said, frame->payload, sizeof(said));
	if (!client->app)
		err = fid_app_join(client->ipc->apps, client->pid, client->uid, send_command, client,
				   &client->app);
	return err ? err : fid_app_report(client->app, &said, &frame->fd);
}

static int on_frame(struct client *client, struct finf_frame *frame)
{
	if (!client->greeted && frame->head.type != FINF_WIRE_HELLO)
		return -EPROTO;
	switch ((enum finf_wire_type)frame->head.type) {
	case FINF_WIRE_HELLO:
		return on_hello(client, frame);
	case FINF_WIRE_ARENA:
		return on_arena(client, frame);
	case FINF_WIRE_INFER:
		return on_infer(client, frame);
	case FINF_WIRE_CANCEL:
		on_cancel(client, frame->head.id);
		return 0;
	case FINF_WIRE_IMPORT:
		return on_import(client, frame);
	case FINF_WIRE_CONTROL:
		return on_control(client, frame);
	case FINF_WIRE_APP:
		return on_app(client, frame);
	default:
		return -EPROTO;
	}
}

static void client_read(struct client *client)
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
			client_drop(client, strerror(-n));
			return;
		}
	}
}

static void read_more(struct fid_job *job)
{
	struct client *client = (struct client *)((char *)job - offsetof(struct client, more));

	client->more_posted = false;
	client->n_controls++; /* stays while it reads */
	client_read(client);
	client->n_controls--;
	client_release(client);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct client *client = ctx;

	(void)source, (void)fd;
	client->n_controls++;
	if (revents & EPOLLOUT)
		client_sent(client, 0);
	if (client->conn && revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && !client->more_posted)
		client_read(client);
	client->n_controls--;
	client_release(client);
	return 0;
}

/* ---- who may connect ------------------------------------------------------------------------------ */

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

static int client_new(struct fid_ipc *ipc, int fd)
{
	struct client *client;
	struct ucred peer;
	bool admin;
	int err = ipc->n_clients == CLIENTS_MAX ? -EMFILE : check_peer(ipc, fd, &peer, &admin);

	if (err)
		return err;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	err = finf_conn_new(fd, &client->conn);
	if (err) {
		free(client);
		return err;
	}
	client->ipc = ipc;
	client->admin = admin;
	client->pid = peer.pid;
	client->uid = peer.uid;
	client->more.finish = read_more;
	err = sd_event_add_io(fid_loop_event(ipc->loop), &client->io, fd, EPOLLIN, on_client, client);
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

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err;

	(void)source, (void)revents;
	if (conn < 0) {
		/* Out of descriptors: the connection waits; do not spin on it meanwhile. */
		if (errno == EMFILE || errno == ENFILE)
			usleep(1000);
		return 0;
	}
	err = client_new(ctx, conn);
	if (err) {
		fid_log(FID_WARNING, "connection refused=\"%s\"", strerror(-err));
		close(conn);
	}
	return 0;
}

/* ---- listening ---------------------------------------------------------------------------------------- */

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
		const char *path,
		struct fid_ipc **ret_ipc, struct finf_diag *diag)
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
		err = sd_event_add_io(fid_loop_event(loop), &ipc->listener, ipc->fd, EPOLLIN, on_connect,
				      ipc);
	if (err < 0) {
		fid_ipc_free(ipc);
		return err;
	}
	fid_core_follow(core, on_decision, ipc);
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
		struct client *client = ipc->clients;

		client->more_posted = false;
		finf_conn_flush(client->conn);
		client_drop(client, "fid ends");
	}
	while (ipc->idle) {
		struct call *call = ipc->idle;

		ipc->idle = call->next;
		call_free(call);
	}
	fid_apps_free(ipc->apps);
	free(ipc);
}
