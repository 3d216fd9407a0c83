/* SPDX-License-Identifier: MIT */
/* daemon/control: models, one model, and fid itself, as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/version.h>

#include "daemon/control_priv.h"
#include "graph/member.h"

const char *const fid_residencies[] = {"cold", "loading", "resident", "running", "evicting"};
static const char *const states[] = {"preparing", "ready", "failed", "gone"};

/* ---- models ------------------------------------------------------------------------ */

static json_t *load_json(const struct finf_load_report *load)
{
	return json_pack("{s:I, s:I, s:I, s:b}", "bytes", NUMBER(load->bytes), "ns",
			 NUMBER(load->ns), "cached_bytes", NUMBER(load->cached_bytes), "direct",
			 (int)load->direct);
}

static json_t *members_json(const struct finf_graph *graph)
{
	json_t *names = json_array();

	for (uint32_t i = 0; i < graph->n_members; i++)
		json_array_append_new(names, json_string(graph->members[i].name));
	return names;
}

static json_t *fast_json(const struct fid_model_info *info)
{
	static const char *const names[] = {"lean", "pricing", "growing", "ready"};
	const struct finf_policy_fast *fast = &info->fast;

	return json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
			 names[fast->state], "allowed", (int)fast->allowed, "slower",
			 (int)fast->slower, "bytes", NUMBER(info->policy.fast_bytes),
			 "gain_ns", NUMBER(fast->gain_ns), "made", NUMBER(fast->made), "given_back",
			 NUMBER(fast->given_back), "lean_run_ns", NUMBER(info->lean_run_ns),
			 "fast_run_ns", NUMBER(info->fast_run_ns));
}

json_t *fid_model_json(const struct fid_model_info *info)
{
	const struct finf_policy_model *p = &info->policy;
	json_t *doc = json_pack("{s:s, s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				"name", info->name, "version", NUMBER(info->version), "state",
				states[info->state], "residency", fid_residencies[p->residency],
				"pinned", (int)p->pinned, "weight_bytes", NUMBER(p->weight_bytes),
				"arena_bytes", NUMBER(p->arena_bytes), "file_bytes",
				NUMBER(info->file_bytes), "queued", NUMBER(p->queued), "running",
				NUMBER(p->running), "requests", NUMBER(p->requests), "loads",
				NUMBER(p->loads), "evictions", NUMBER(p->evictions));

	json_object_set_new(doc, "prefetch",
			    json_pack("{s:I, s:I, s:I}", "hits", NUMBER(p->prefetch_hits), "late",
				      NUMBER(p->prefetch_late), "wasted",
				      NUMBER(p->prefetch_wasted)));
	json_object_set_new(doc, "fast", fast_json(info));
	if (info->model && finf_model_graph(info->model)->n_members)
		json_object_set_new(doc, "members", members_json(finf_model_graph(info->model)));
	if (info->state == FID_MODEL_FAILED)
		json_object_set_new(doc, "error", json_string(info->error));
	if (info->last_load.ns)
		json_object_set_new(doc, "last_load", load_json(&info->last_load));
	return doc;
}

/* By name, then version: an insertion into a sorted array of at most thousands. */
struct sorted {
	json_t **items; /* owned */
	uint32_t n, cap;
	bool failed;
};

static void collect(void *ctx, const struct fid_model_info *info)
{
	struct sorted *list = ctx;

	if (finf_grow(&list->items, &list->cap, list->n, sizeof(*list->items))) {
		list->failed = true;
		return;
	}
	list->items[list->n++] = fid_model_json(info);
}

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(json_string_value(json_object_get(x, "name")),
			   json_string_value(json_object_get(y, "name")));
	json_int_t v = json_integer_value(json_object_get(x, "version"));
	json_int_t w = json_integer_value(json_object_get(y, "version"));

	return order ? order : (v > w) - (v < w);
}

void fid_cmd_models(struct fid_control *control, const json_t *request)
{
	struct sorted list = {0};
	json_t *array = json_array();

	(void)request;
	fid_core_list(control->core, collect, &list);
	if (list.n)
		qsort(list.items, list.n, sizeof(*list.items), by_name);
	for (uint32_t i = 0; i < list.n; i++)
		json_array_append_new(array, list.items[i]);
	free(list.items);
	if (list.failed) {
		json_decref(array);
		array = NULL;
	}
	fid_answer(control, 0, array ? json_pack("{s:o}", "models", array) : NULL);
}

static json_t *ports_json(const struct finf_graph *graph, const uint32_t *values, uint32_t n)
{
	json_t *ports = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct finf_value *value = &graph->values[values[i]];
		json_t *shape = json_array();

		for (uint32_t d = 0; d < value->shape.rank; d++)
			json_array_append_new(shape, json_integer(value->shape.dim[d]));
		json_array_append_new(ports,
				      json_pack("{s:s, s:s, s:o}", "name", value->name, "dtype",
						finf_dtype_name(value->dtype), "shape", shape));
	}
	return ports;
}

static bool exists(struct fid_control *control, const char *name)
{
	struct fid_model_info info;

	return fid_named(control, name, &info);
}

/* One member's interface, by the names it has for it. */
static json_t *member_ports_json(const struct finf_graph *graph, const uint32_t *values,
				 const struct finf_member_port *ports, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *port = ports_json(graph, &values[ports[i].index], 1);

		json_object_set_new(json_array_get(port, 0), "name", json_string(ports[i].name));
		json_array_extend(list, port);
		json_decref(port);
	}
	return list;
}

static void inspect_member(struct fid_control *control, const struct fid_model_info *info)
{
	const struct finf_graph *graph = finf_model_graph(info->model);
	uint32_t at = finf_graph_member_find(graph, control->member);
	const struct finf_member *member;

	if (at == FINF_NONE) {
		fid_refuse(control, -ENOENT, "%s has no member %s", info->name, control->member);
		return;
	}
	member = &graph->members[at];
	fid_answer(
		control, 0,
		json_pack("{s:s, s:I, s:s, s:o, s:o}", "name", info->name, "version",
			  NUMBER(info->version), "member", member->name, "inputs",
			  member_ports_json(graph, graph->inputs, member->inputs, member->n_inputs),
			  "outputs",
			  member_ports_json(graph, graph->outputs, member->outputs,
					    member->n_outputs)));
}

static void inspect(struct fid_control *control, const struct fid_model_info *info)
{
	const struct finf_graph *graph = finf_model_graph(info->model);
	const struct finf_plan *plan = finf_model_plan(info->model);
	json_t *doc = fid_model_json(info);
	struct fid_core_stats *stats;
	uint32_t shapes;
	uint64_t bytes;

	json_object_set_new(doc, "inputs", ports_json(graph, graph->inputs, graph->n_inputs));
	json_object_set_new(doc, "outputs", ports_json(graph, graph->outputs, graph->n_outputs));
	json_object_set_new(doc, "nodes", json_integer(graph->n_nodes));
	json_object_set_new(doc, "steps", json_integer(plan->n_steps));
	json_object_set_new(doc, "weights", json_integer(plan->n_weights));
	json_object_set_new(doc, "segments", json_integer(plan->n_segments));
	json_object_set_new(doc, "threads", json_integer(plan->threads));
	finf_model_kept(info->model, &shapes, &bytes);
	json_object_set_new(
		doc, "kept",
		json_pack("{s:I, s:I}", "shapes", NUMBER(shapes), "bytes", NUMBER(bytes)));
	stats = malloc(sizeof(*stats));
	if (stats) {
		fid_core_stats(control->core, stats);
		json_object_set_new(doc, "target", json_string(stats->target));
		free(stats);
	}
	fid_answer(control, 0, doc);
}

static void inspect_prepared(void *ctx, int result, const char *model, const char *text)
{
	struct fid_control *control = ctx;
	struct fid_model_info info;

	if (!result)
		result = fid_core_find(control->core, model, &info);
	if (result)
		fid_refuse(control, result, "%s: %s", model,
			   text && *text ? text : strerror(-result));
	else if (*control->member)
		inspect_member(control, &info);
	else
		inspect(control, &info);
}

/* At start-up a model may still be on its way: who asks for it waits. */
void fid_cmd_inspect(struct fid_control *control, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "model"));
	char model[160];
	size_t len;

	if (!name || !finf_target_ok(name, &len) || len >= sizeof(model)) {
		fid_refuse(control, -EINVAL,
			   name ? "not a model name: %s" : "the command needs \"model\"", name);
		return;
	}
	snprintf(model, sizeof(model), "%.*s", (int)len, name);
	snprintf(control->member, sizeof(control->member), "%s", name[len] ? name + len + 1 : "");
	if (exists(control, model))
		fid_core_command(control->core, FID_AWAIT, model, inspect_prepared, control);
}

/* ---- status -------------------------------------------------------------------------- */

static json_t *pool_json(const struct fid_core_stats *s)
{
	json_t *pool = json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "bytes",
				 NUMBER(s->mem.pool_bytes), "mode", s->pool_mode, "pages",
				 s->pool_pages, "weights", NUMBER(s->mem.extent_bytes), "arena",
				 NUMBER(s->mem.arena_bytes), "free", NUMBER(s->mem.free_bytes),
				 "largest_hole", NUMBER(s->mem.largest_hole_bytes), "extents",
				 NUMBER(s->mem.n_extents), "moves", NUMBER(s->mem.moves),
				 "moved_bytes", NUMBER(s->mem.moved_bytes));

	json_object_set_new(pool, "fast", json_integer((json_int_t)s->fast_bytes));
	if (s->device_free_bytes != UINT64_MAX)
		json_object_set_new(pool, "device_free",
				    json_integer((json_int_t)s->device_free_bytes));
	return pool;
}

static json_t *prefetch_json(const struct fid_core_stats *s)
{
	const struct finf_policy_prefetch *p = &s->prefetch;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "budget",
			 NUMBER(s->prefetch_budget_bytes), "bytes", NUMBER(p->bytes), "loads",
			 NUMBER(p->loads), "hits", NUMBER(p->hits), "late", NUMBER(p->late),
			 "wasted", NUMBER(p->wasted), "load_bytes", NUMBER(p->load_bytes),
			 "wasted_bytes", NUMBER(p->wasted_bytes), "refaults", NUMBER(p->refaults),
			 "stopped", (int)p->stopped);
}

static const char *const device_states[] = {
	[FID_DEVICE_OK] = "ok",
	[FID_DEVICE_LOST] = "faulted",
	[FID_DEVICE_RESETTING] = "resetting",
	[FID_DEVICE_GONE] = "lost",
};

static json_t *status_json(const struct fid_core_stats *s, uint32_t clients)
{
	json_t *doc = json_pack("{s:s, s:I, s:I, s:s, s:I, s:s, s:b, s:o}", "version",
				FUSEDINF_VERSION, "pid", NUMBER(getpid()), "uptime_ns",
				NUMBER(finf_now_ns() - s->started_ns), "device", s->device,
				"threads", NUMBER(s->threads), "target", s->target, "draining",
				(int)s->draining, "pool", pool_json(s));

	json_object_set_new(doc, "device_state", json_string(device_states[s->device_state]));
	json_object_set_new(doc, "device_resets", json_integer(s->device_resets));
	if (s->device_error[0])
		json_object_set_new(doc, "device_error", json_string(s->device_error));
	json_object_set_new(doc, "models",
			    json_pack("{s:I, s:I, s:I}", "known", NUMBER(s->known), "resident",
				      NUMBER(s->resident), "loading", NUMBER(s->loading)));
	json_object_set_new(doc, "requests",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "done", NUMBER(s->done),
				      "failed", NUMBER(s->failed), "cold", NUMBER(s->cold),
				      "queued", NUMBER(s->queued), "running", NUMBER(s->running)));
	json_object_set_new(doc, "swap",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "loads", NUMBER(s->loads),
				      "bytes", NUMBER(s->load_bytes), "ns", NUMBER(s->load_ns),
				      "evictions", NUMBER(s->evictions), "evicted_bytes",
				      NUMBER(s->evicted_bytes)));
	json_object_set_new(doc, "prefetch", prefetch_json(s));
	json_object_set_new(doc, "fast_forms", json_string(s->fast_forms ? "auto" : "off"));
	json_object_set_new(doc, "loader", json_string(s->loader));
	json_object_set_new(doc, "clients", json_integer(clients));
	if (s->http[0])
		json_object_set_new(doc, "http", json_string(s->http));
	return doc;
}

void fid_cmd_status(struct fid_control *control, const json_t *request)
{
	struct fid_core_stats *stats = malloc(sizeof(*stats));

	(void)request;
	if (!stats) {
		fid_answer(control, -ENOMEM, NULL);
		return;
	}
	fid_core_stats(control->core, stats);
	fid_answer(control, 0, status_json(stats, control->clients));
	free(stats);
}
