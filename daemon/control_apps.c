/* SPDX-License-Identifier: MIT */
/* daemon/control: probes, and programs under the preload library. */
#include <errno.h>
#include <string.h>

#include "daemon/control_priv.h"

/* ---- probes ---------------------------------------------------------------------------------- */

static bool port_of(struct fid_control *control, const json_t *request, uint16_t *ret)
{
	json_int_t port = json_integer_value(json_object_get(request, "port"));

	if (port < 1 || port > UINT16_MAX)
		fid_refuse(control, -EINVAL, "the command needs \"port\", 1 to 65535");
	else
		*ret = (uint16_t)port;
	return port >= 1 && port <= UINT16_MAX;
}

/* Which program the command is about, if it is. */
static bool pid_of(struct fid_control *control, const json_t *request, pid_t *ret)
{
	json_int_t pid = json_integer_value(json_object_get(request, "pid"));

	if (pid < 1 || pid > INT32_MAX)
		fid_refuse(control, -EINVAL, "the command needs \"pid\"");
	else
		*ret = (pid_t)pid;
	return pid >= 1 && pid <= INT32_MAX;
}

static void answer_probe(struct fid_control *control, int err, uint16_t port)
{
	if (err == -ENODEV)
		fid_refuse(control, err, "arrivals are not observed: %s",
			   fid_observe_state(control->observe));
	else if (err)
		fid_refuse(control, err, "port %u: %s", port, strerror(-err));
	else
		fid_answer(control, 0, json_pack("{s:i}", "port", port));
}

static const char *app_error(int result)
{
	switch (result) {
	case -ENOENT:
		return "no program with that pid is under libfi-preload.so";
	case -ESRCH:
		return "the program has ended";
	case -ETIME:
		return "the program has not finished in time; it goes on trying";
	case -EBUSY:
		return "the program does not come to rest: a call or a stream capture goes on";
	case -EOPNOTSUPP:
		return "nothing of the program's memory can be taken away";
	case -ECANCELED:
		return "given up: the program needed its memory, or another command came";
	default:
		return strerror(-result);
	}
}

static void probe_app(struct fid_control *control, const json_t *request, uint16_t port,
		      int (*change)(struct fid_apps *, pid_t, uint16_t, bool *))
{
	bool theirs = false;
	pid_t pid;
	int err;

	if (!pid_of(control, request, &pid))
		return;
	err = change(control->apps, pid, port, &theirs);
	if (err == -ESRCH)
		fid_refuse(control, -ENOENT, "%s", app_error(-ENOENT));
	else if (err)
		answer_probe(control, err, port);
	else
		fid_answer(control, 0,
			   json_pack("{s:i, s:I, s:s}", "port", port, "pid", NUMBER(pid),
				     "namespace", theirs ? "program" : "fid-probe"));
}

void fid_cmd_probe_add(struct fid_control *control, const json_t *request)
{
	struct fid_model_info info;
	uint16_t port;

	if (!port_of(control, request, &port))
		return;
	if (json_object_get(request, "pid"))
		probe_app(control, request, port, fid_app_port_add);
	else if (fid_asked(control, request, &info))
		answer_probe(control, fid_observe_port_add(control->observe, info.name, port),
			     port);
}

void fid_cmd_probe_rm(struct fid_control *control, const json_t *request)
{
	uint16_t port;

	if (!port_of(control, request, &port))
		return;
	if (json_object_get(request, "pid"))
		probe_app(control, request, port, fid_app_port_rm);
	else
		answer_probe(control, fid_observe_port_rm(control->observe, port, -1), port);
}

struct probe_list {
	struct fid_core *core;
	struct fid_apps *apps;
	json_t *ports;
	uint64_t hash;
	char name[132]; /* of the model with that hash, "" = none */
	pid_t pid;	/* of the program with that key, 0 = none */
};

static void match_hash(void *ctx, const struct fid_model_info *info)
{
	struct probe_list *list = ctx;

	if (finf_hash64(info->name, strlen(info->name)) == list->hash)
		memcpy(list->name, info->name, sizeof(list->name));
}

static void match_key(void *ctx, const struct fid_app_info *info)
{
	struct probe_list *list = ctx;

	if (info->key == list->hash)
		list->pid = info->pid;
}

static void append_port(void *ctx, const struct fid_observed *port)
{
	struct probe_list *list = ctx;
	json_t *doc = json_pack("{s:i, s:I}", "tcp", (int)port->port, "netns", NUMBER(port->netns));

	list->hash = port->hash;
	list->name[0] = 0;
	list->pid = 0;
	fid_core_list(list->core, match_hash, list);
	fid_apps_list(list->apps, match_key, list);
	if (list->pid)
		json_object_set_new(doc, "pid", json_integer(list->pid));
	else
		json_object_set_new(doc, "model", json_string(list->name));
	json_array_append_new(list->ports, doc);
}

void fid_cmd_probes(struct fid_control *control, const json_t *request)
{
	struct probe_list list = {
		.core = control->core, .apps = control->apps, .ports = json_array()};
	struct fid_observe_counts counts;

	(void)request;
	fid_observe_ports(control->observe, append_port, &list);
	fid_observe_counts(control->observe, &counts);
	fid_answer(control, 0,
		   json_pack("{s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "observing",
			     fid_observe_state(control->observe), "ports", list.ports, "arrivals",
			     "calls", NUMBER(counts.calls), "connections",
			     NUMBER(counts.connections), "apps", NUMBER(counts.apps), "unknown",
			     NUMBER(counts.unknown), "lost", NUMBER(counts.lost),
			     "last_load_after_ns", NUMBER(counts.last_load_after_ns)));
}

/* ---- programs under the preload library
 * ---------------------------------------------------------- */

static void append_app(void *ctx, const struct fid_app_info *info)
{
	static const char *const names[] = {"new", "running", "pausing", "paused", "resuming"};
	const struct finf_wire_app *said = &info->said;

	json_array_append_new(
		ctx,
		json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:I}", "pid",
			  NUMBER(info->pid), "uid", NUMBER(info->uid), "name", said->name, "state",
			  names[said->state], "bytes", NUMBER(said->bytes), "pausable_bytes",
			  NUMBER(said->pausable_bytes), "quota", NUMBER(said->quota_bytes), "vmm",
			  !(said->flags & FINF_WIRE_APP_NO_VMM), "waits_for_memory",
			  !!(said->flags & FINF_WIRE_APP_NO_MEMORY), "arrivals",
			  NUMBER(info->arrivals)));
}

void fid_cmd_apps(struct fid_control *control, const json_t *request)
{
	json_t *apps = json_array();

	(void)request;
	fid_apps_list(control->apps, append_app, apps);
	fid_answer(control, 0, json_pack("{s:o}", "apps", apps));
}

static void app_done(void *ctx, int result)
{
	struct fid_control *control = ctx;

	if (result)
		fid_refuse(control, result, "%s", app_error(result));
	else
		fid_answer(control, 0, json_object());
}

static void order_app(struct fid_control *control, const json_t *request,
		      enum finf_wire_app_order order, uint64_t bytes)
{
	pid_t pid;

	if (pid_of(control, request, &pid))
		fid_app_order(control->apps, pid, order, bytes, app_done, control);
}

void fid_cmd_app_pause(struct fid_control *control, const json_t *request)
{
	order_app(control, request, FINF_WIRE_APP_PAUSE, 0);
}

void fid_cmd_app_resume(struct fid_control *control, const json_t *request)
{
	order_app(control, request, FINF_WIRE_APP_RESUME, 0);
}

void fid_cmd_app_quota(struct fid_control *control, const json_t *request)
{
	const json_t *bytes = json_object_get(request, "bytes");

	if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
		fid_refuse(control, -EINVAL, "the command needs \"bytes\", 0 for no quota");
	else
		order_app(control, request, FINF_WIRE_APP_QUOTA,
			  (uint64_t)json_integer_value(bytes));
}
