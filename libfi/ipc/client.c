/* SPDX-License-Identifier: MIT */
/* ipc: a client of fid: connecting, waiting, commands, imports, events. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/client.h"

#define OPEN_TIMEOUT_NS 5000000000u
#define TIMEOUT_NS 60000000000u

/* ---- waiting --------------------------------------------------------------- */

uint64_t finf_client_deadline(const struct finf_client *client)
{
	return finf_now_ns() + client->timeout_ns;
}

int finf_client_broken(struct finf_client *client, int err, struct finf_diag *diag)
{
	if (err == -ETIME)
		return finf_diag_set(diag, err, "no answer in %llu ms",
				     (unsigned long long)client->timeout_ns / 1000000);
	if (err == -EMSGSIZE)
		return finf_diag_set(diag, err, "too much for one frame");
	if (err == -EPIPE)
		err = -ECONNRESET;
	finf_conn_free(client->conn);
	client->conn = NULL;
	if (err == -ECONNRESET)
		return finf_diag_set(diag, err, "fid closed the connection");
	return finf_diag_set(diag, err, "connection to fid: %s", strerror(-err));
}

/* Until the socket is ready or the time is up. 0; -ETIME; -errno. */
static int wait_ready(struct finf_client *client, short events, uint64_t deadline_ns)
{
	struct pollfd pfd = {.fd = finf_conn_fd(client->conn), .events = events};

	for (;;) {
		uint64_t now = finf_now_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
		struct timespec ts = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
		int n = ppoll(&pfd, 1, &ts, NULL);

		if (n > 0)
			return 0;
		if (!n)
			return -ETIME;
		if (errno != EINTR)
			return -errno;
	}
}

int finf_client_flush(struct finf_client *client, uint64_t deadline_ns)
{
	int rc;

	while ((rc = finf_conn_flush(client->conn)) == 1) {
		rc = wait_ready(client, POLLOUT, deadline_ns);
		if (rc)
			return rc;
	}
	return rc;
}

int finf_client_send(struct finf_client *client, struct finf_wire_header *head,
		     const struct iovec *iov, int n_iov, int fd, uint64_t deadline_ns)
{
	int err;

	if (!client->conn)
		return -ECONNRESET;
	head->id = ++client->last_id;
	err = finf_conn_send(client->conn, head, iov, n_iov, fd);
	return err ? err : finf_client_flush(client, deadline_ns);
}

int finf_client_wait(struct finf_client *client, enum finf_wire_type type, uint64_t id,
		     uint64_t deadline_ns, struct finf_frame **ret_frame)
{
	for (;;) {
		struct finf_frame *frame;
		int rc;

		if (!client->conn)
			return -ECONNRESET;
		rc = finf_conn_receive(client->conn, &frame);
		if (rc < 0)
			return rc;
		if (!rc) {
			rc = wait_ready(client, POLLIN, deadline_ns);
			if (rc)
				return rc;
		} else if (frame->head.type == type && frame->head.id == id) {
			*ret_frame = frame;
			return 0;
		}
	}
}

/* ---- opening and closing ----------------------------------------------------- */

static int connect_to(const char *path, int *ret_fd, struct finf_diag *diag)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = OPEN_TIMEOUT_NS / 1000000000u};
	int fd, err = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return finf_diag_set(diag, -ENAMETOOLONG, "%s: longer than a socket path may be",
				     path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "socket: %s", strerror(errno));
	/* A full backlog makes connect() wait as long as sending may. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		err = errno == EAGAIN ? -ETIME : -errno;
	if (err) {
		close(fd);
		return finf_diag_set(diag, err, "%s: %s", path, strerror(-err));
	}
	*ret_fd = fd;
	return 0;
}

static int greet(struct finf_client *client)
{
	uint64_t deadline = finf_now_ns() + OPEN_TIMEOUT_NS;
	struct finf_wire_hello hello;
	struct finf_frame *frame;
	int err = finf_wire_send_hello(client->conn, FINF_WIRE_FEATURE_ARENA);

	if (!err)
		err = finf_client_flush(client, deadline);
	if (!err)
		err = finf_client_wait(client, FINF_WIRE_HELLO, 0, deadline, &frame);
	return err ? err : finf_wire_parse_hello(frame, &hello);
}

int finf_client_open(const char *path, struct finf_client **ret_client, struct finf_diag *diag)
{
	char buf[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct finf_client *client;
	int fd = -1, err;

	if (!path) {
		if (finf_wire_socket_path(buf, sizeof(buf)))
			return finf_diag_set(diag, -ENAMETOOLONG, "socket path too long");
		path = buf;
	}
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->timeout_ns = TIMEOUT_NS;
	client->output_room = FINF_WIRE_INLINE_MAX;
	err = connect_to(path, &fd, diag);
	if (!err) {
		err = finf_conn_new(fd, &client->conn);
		if (err)
			close(fd);
	}
	if (!err) {
		err = greet(client);
		if (err)
			finf_diag_set(diag, err, "%s: no greeting: %s", path, strerror(-err));
	}
	if (err) {
		finf_client_close(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

void finf_client_close(struct finf_client *client)
{
	if (!client)
		return;
	finf_conn_free(client->conn);
	finf_shared_detach(&client->arena);
	free(client);
}

void finf_client_timeout(struct finf_client *client, uint32_t timeout_ms)
{
	client->timeout_ns = timeout_ms ? timeout_ms * (uint64_t)1000000 : TIMEOUT_NS;
}

/* ---- commands ----------------------------------------------------------------- */

/* What a refusal says: {"error": "text"}, or whatever else it is. */
static void explain(const char *text, int status, struct finf_diag *diag)
{
	json_t *doc = json_loads(text, 0, NULL);
	const char *error = json_string_value(json_object_get(doc, "error"));

	finf_diag_set(diag, status, "%s", error ? error : *text ? text : strerror(-status));
	json_decref(doc);
}

static int take_reply(struct finf_frame *frame, char **ret_json, struct finf_diag *diag)
{
	char *text;
	int err = finf_wire_parse_text(frame, &text);

	if (err)
		return finf_diag_set(diag, err, "an answer that is no text");
	if (frame->head.status)
		explain(text, frame->head.status, diag);
	if (frame->head.status || !ret_json)
		free(text);
	else
		*ret_json = text;
	return FINF_MIN(frame->head.status, 0);
}

/* One text there, one text back; @ret_fd takes the descriptor that came with it. */
static int ask(struct finf_client *client, enum finf_wire_type type, const char *text, int fd,
	       char **ret_json, int *ret_fd, struct finf_diag *diag)
{
	uint64_t deadline = finf_client_deadline(client);
	struct finf_wire_header head = {.type = (uint16_t)type, .deadline_ns = deadline};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct finf_frame *frame;
	int err = finf_client_send(client, &head, &iov, 1, fd, deadline);

	if (!err)
		err = finf_client_wait(client, FINF_WIRE_REPLY, head.id, deadline, &frame);
	if (err)
		return finf_client_broken(client, err, diag);
	err = take_reply(frame, ret_json, diag);
	if (!err && ret_fd) {
		*ret_fd = frame->fd;
		frame->fd = -1;
	}
	return err;
}

int finf_client_import(struct finf_client *client, const char *name, int fd, char **ret_json,
		       struct finf_diag *diag)
{
	if (fd < 0)
		return finf_diag_set(diag, -EBADF, "no file to import");
	return ask(client, FINF_WIRE_IMPORT, name, fd, ret_json, NULL, diag);
}

int finf_client_control(struct finf_client *client, const char *request, char **ret_json,
			struct finf_diag *diag)
{
	return ask(client, FINF_WIRE_CONTROL, request, -1, ret_json, NULL, diag);
}

int finf_client_export(struct finf_client *client, const char *name, int *ret_fd,
		       struct finf_diag *diag)
{
	json_t *doc = json_pack("{s:s, s:s}", "command", "export", "model", name);
	char *request = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	int fd = -1, err;

	json_decref(doc);
	if (!request)
		return finf_diag_set(diag, -ENOMEM, "no memory for the request");
	err = ask(client, FINF_WIRE_CONTROL, request, -1, NULL, &fd, diag);
	free(request);
	if (!err && fd < 0)
		err = finf_diag_set(diag, -EPROTO, "an answer without the file");
	if (!err)
		*ret_fd = fd;
	return err;
}

int finf_client_event(struct finf_client *client, uint32_t timeout_ms, char **ret_json)
{
	uint64_t deadline = finf_now_ns() + timeout_ms * (uint64_t)1000000;
	struct finf_frame *frame;
	int err = finf_client_wait(client, FINF_WIRE_EVENT, 0, deadline, &frame);

	if (err)
		return finf_client_broken(client, err, NULL);
	return finf_wire_parse_text(frame, ret_json);
}
