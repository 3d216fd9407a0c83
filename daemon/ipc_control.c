/* SPDX-License-Identifier: MIT */
/* daemon/ipc: commands and imports of a client, and decisions for those that follow them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/control.h"
#include "daemon/ipc_priv.h"

#define CONTROLS_MAX 64 /* commands and imports of one client at a time */

/* One command or import of a client. */
struct control_call {
	struct fid_control control;
	struct fid_client *client;
	uint64_t id;
};

static struct control_call *control_take(struct fid_client *client, uint64_t id)
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
	struct fid_client *client = call->client;

	fid_client_reply(client, call->id, status, json, call->control.fd);
	client->n_controls--;
	free(call);
	fid_client_release(client);
}

static void on_answer(struct fid_control *control, int status, const char *json)
{
	struct control_call *call =
		(struct control_call *)((char *)control - offsetof(struct control_call, control));

	call->client->follow |= control->follow && call->client->conn;
	control_end(call, status, json);
}

int fid_client_control(struct fid_client *client, const struct finf_frame *frame)
{
	struct control_call *call = control_take(client, frame->head.id);

	if (!call) {
		fid_client_reply(client, frame->head.id, -EAGAIN,
				 "{\"error\":\"too many commands at a time\"}", -1);
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

int fid_client_import(struct fid_client *client, struct finf_frame *frame)
{
	char name[256] = "";
	struct control_call *call;

	if (!client->admin) {
		fid_client_reply(client, frame->head.id, -EPERM,
				 "{\"error\":\"import is for fid's user, root and group "
				 "fusedinf-admin\"}",
				 -1);
		return 0;
	}
	if (frame->fd < 0 || frame->head.payload_bytes >= sizeof(name))
		return -EPROTO;
	memcpy(name, frame->payload, frame->head.payload_bytes);
	call = control_take(client, frame->head.id);
	if (!call) {
		fid_client_reply(client, frame->head.id, -EAGAIN,
				 "{\"error\":\"too many imports at a time\"}", -1);
		return 0;
	}
	fid_core_import(client->ipc->core, name, frame->fd, on_imported, call);
	frame->fd = -1; /* taken */
	return 0;
}

void fid_ipc_decided(void *ctx, const struct fid_decision *decision)
{
	struct fid_ipc *ipc = ctx;
	char *json = NULL;

	for (struct fid_client *client = ipc->clients; client; client = client->next) {
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
