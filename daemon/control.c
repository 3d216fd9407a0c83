/* SPDX-License-Identifier: MIT */
/* daemon/control: JSON in, core calls, JSON out. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <fusedinf/version.h>

#include "daemon/control.h"
#include "graph/member.h"

#define NUMBER(x) ((json_int_t)(x))

static const char *const residencies[] = {"cold", "loading", "resident", "running", "evicting"};
static const char *const states[] = {"preparing", "ready", "failed", "gone"};

/* ---- answering ------------------------------------------------------------------- */

static void answer_json(struct fid_control *control, int status, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	if (text)
		control->answer(control, status, text);
	else
		control->answer(control, -ENOMEM, "{\"error\":\"out of memory\"}");
	free(text);
}

static void refuse(struct fid_control *control, int status, const char *fmt, ...)
	FINF_PRINTF(3, 4);
static void refuse(struct fid_control *control, int status, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	answer_json(control, status, json_pack("{s:s}", "error", text));
}

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

static json_t *model_json(const struct fid_model_info *info)
{
	const struct finf_policy_model *p = &info->policy;
	json_t *doc = json_pack("{s:s, s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				"name", info->name, "version", NUMBER(info->version), "state",
				states[info->state], "residency", residencies[p->residency], "pinned",
				(int)p->pinned, "weight_bytes", NUMBER(p->weight_bytes), "arena_bytes",
				NUMBER(p->arena_bytes), "file_bytes", NUMBER(info->file_bytes), "queued",
				NUMBER(p->queued), "running", NUMBER(p->running), "requests",
				NUMBER(p->requests), "loads", NUMBER(p->loads), "evictions",
				NUMBER(p->evictions));

	json_object_set_new(doc, "prefetch",
			    json_pack("{s:I, s:I, s:I}", "hits", NUMBER(p->prefetch_hits), "late",
				      NUMBER(p->prefetch_late), "wasted", NUMBER(p->prefetch_wasted)));
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
	list->items[list->n++] = model_json(info);
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

static void cmd_models(struct fid_control *control, const json_t *request)
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
	answer_json(control, 0, array ? json_pack("{s:o}", "models", array) : NULL);
}

static json_t *ports_json(const struct finf_graph *graph, const uint32_t *values, uint32_t n)
{
	json_t *ports = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct finf_value *value = &graph->values[values[i]];
		json_t *shape = json_array();

		for (uint32_t d = 0; d < value->shape.rank; d++)
			json_array_append_new(shape, json_integer(value->shape.dim[d]));
		json_array_append_new(ports, json_pack("{s:s, s:s, s:o}", "name", value->name, "dtype",
						       finf_dtype_name(value->dtype), "shape", shape));
	}
	return ports;
}

static bool find_named(struct fid_control *control, const char *name, struct fid_model_info *ret)
{
	int err = fid_core_find(control->core, name, ret);

	if (err)
		refuse(control, err, err == -ENOENT ? "no model named %s" : "not a model name: %s",
		       name);
	return !err;
}

static bool exists(struct fid_control *control, const char *name)
{
	struct fid_model_info info;

	return find_named(control, name, &info);
}

static bool find(struct fid_control *control, const json_t *request, struct fid_model_info *ret)
{
	const char *name = json_string_value(json_object_get(request, "model"));

	if (!name)
		refuse(control, -EINVAL, "the command needs \"model\"");
	return name && find_named(control, name, ret);
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
		refuse(control, -ENOENT, "%s has no member %s", info->name, control->member);
		return;
	}
	member = &graph->members[at];
	answer_json(
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
	json_t *doc = model_json(info);
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
	json_object_set_new(doc, "kept", json_pack("{s:I, s:I}", "shapes", NUMBER(shapes), "bytes",
						   NUMBER(bytes)));
	stats = malloc(sizeof(*stats));
	if (stats) {
		fid_core_stats(control->core, stats);
		json_object_set_new(doc, "target", json_string(stats->target));
		free(stats);
	}
	answer_json(control, 0, doc);
}

static void inspect_prepared(void *ctx, int result, const char *model, const char *text)
{
	struct fid_control *control = ctx;
	struct fid_model_info info;

	if (!result)
		result = fid_core_find(control->core, model, &info);
	if (result)
		refuse(control, result, "%s: %s", model, text && *text ? text : strerror(-result));
	else if (*control->member)
		inspect_member(control, &info);
	else
		inspect(control, &info);
}

/* At start-up a model may still be on its way: who asks for it waits. */
static void cmd_inspect(struct fid_control *control, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "model"));
	char model[160];
	size_t len;

	if (!name || !finf_target_ok(name, &len) || len >= sizeof(model)) {
		refuse(control, -EINVAL,
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
	json_t *pool = json_pack(
		"{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "bytes",
		NUMBER(s->mem.pool_bytes), "mode", s->pool_mode, "pages", s->pool_pages, "weights",
		NUMBER(s->mem.extent_bytes), "arena", NUMBER(s->mem.arena_bytes), "free",
		NUMBER(s->mem.free_bytes), "largest_hole", NUMBER(s->mem.largest_hole_bytes),
		"extents", NUMBER(s->mem.n_extents), "moves", NUMBER(s->mem.moves), "moved_bytes",
		NUMBER(s->mem.moved_bytes));

	json_object_set_new(pool, "fast", json_integer((json_int_t)s->fast_bytes));
	if (s->device_free_bytes != UINT64_MAX)
		json_object_set_new(pool, "device_free", json_integer((json_int_t)s->device_free_bytes));
	return pool;
}

static json_t *prefetch_json(const struct fid_core_stats *s)
{
	const struct finf_policy_prefetch *p = &s->prefetch;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "budget",
			 NUMBER(s->prefetch_budget_bytes), "bytes", NUMBER(p->bytes), "loads",
			 NUMBER(p->loads), "hits", NUMBER(p->hits), "late", NUMBER(p->late), "wasted",
			 NUMBER(p->wasted), "load_bytes", NUMBER(p->load_bytes), "wasted_bytes",
			 NUMBER(p->wasted_bytes), "refaults", NUMBER(p->refaults), "stopped",
			 (int)p->stopped);
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
				NUMBER(finf_now_ns() - s->started_ns), "device", s->device, "threads",
				NUMBER(s->threads), "target", s->target, "draining", (int)s->draining,
				"pool", pool_json(s));

	json_object_set_new(doc, "device_state", json_string(device_states[s->device_state]));
	json_object_set_new(doc, "device_resets", json_integer(s->device_resets));
	if (s->device_error[0])
		json_object_set_new(doc, "device_error", json_string(s->device_error));
	json_object_set_new(doc, "models",
			    json_pack("{s:I, s:I, s:I}", "known", NUMBER(s->known), "resident",
				      NUMBER(s->resident), "loading", NUMBER(s->loading)));
	json_object_set_new(doc, "requests",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "done", NUMBER(s->done), "failed",
				      NUMBER(s->failed), "cold", NUMBER(s->cold), "queued",
				      NUMBER(s->queued), "running", NUMBER(s->running)));
	json_object_set_new(doc, "swap",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "loads", NUMBER(s->loads), "bytes",
				      NUMBER(s->load_bytes), "ns", NUMBER(s->load_ns), "evictions",
				      NUMBER(s->evictions), "evicted_bytes", NUMBER(s->evicted_bytes)));
	json_object_set_new(doc, "prefetch", prefetch_json(s));
	json_object_set_new(doc, "fast_forms", json_string(s->fast_forms ? "auto" : "off"));
	json_object_set_new(doc, "loader", json_string(s->loader));
	json_object_set_new(doc, "clients", json_integer(clients));
	if (s->http[0])
		json_object_set_new(doc, "http", json_string(s->http));
	return doc;
}

static void cmd_status(struct fid_control *control, const json_t *request)
{
	struct fid_core_stats *stats = malloc(sizeof(*stats));

	(void)request;
	if (!stats) {
		answer_json(control, -ENOMEM, NULL);
		return;
	}
	fid_core_stats(control->core, stats);
	answer_json(control, 0, status_json(stats, control->clients));
	free(stats);
}

/* ---- events and why ---------------------------------------------------------------------- */

static json_t *decision_json(const struct fid_decision *d)
{
	const struct finf_action *a = &d->action;
	bool reply = a->kind == FINF_DO_REPLY;
	bool adds = a->kind == FINF_DO_LOAD || a->kind == FINF_DO_GROW;
	uint64_t bytes = adds ? a->b : reply ? 0 : a->a;
	json_t *doc = json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:s}", "seq", NUMBER(d->seq), "ns",
				NUMBER(d->ns), "action",
				finf_action_kind_text((enum finf_action_kind)a->kind), "model", d->model,
				"id", NUMBER(a->id), "bytes", NUMBER(bytes), "status",
				NUMBER(reply ? a->a : 0), "reason",
				finf_reason_text((enum finf_reason)a->reason));

	if (d->other[0])
		json_object_set_new(doc, "other", json_string(d->other));
	return doc;
}

char *fid_control_event(const struct fid_decision *decision)
{
	json_t *doc = decision_json(decision);
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	return text;
}

static void append_decision(void *ctx, const struct fid_decision *decision)
{
	json_array_append_new(ctx, decision_json(decision));
}

static void cmd_events(struct fid_control *control, const json_t *request)
{
	const json_t *count = json_object_get(request, "count");
	json_int_t n = count ? json_integer_value(count) : 100;
	json_t *events;

	if (n < 0 || n > FID_EVENTS_KEPT)
		n = FID_EVENTS_KEPT;
	events = json_array();
	fid_core_decisions(control->core, "", (uint32_t)n, append_decision, events);
	control->follow = json_is_true(json_object_get(request, "follow"));
	answer_json(control, 0, json_pack("{s:o}", "events", events));
}

static void FINF_PRINTF(2, 3) say(json_t *lines, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_array_append_new(lines, json_string(text));
}

static void explain_residency(json_t *lines, const struct fid_model_info *info, const char *label,
			      uint64_t pool_bytes)
{
	const struct finf_policy_model *p = &info->policy;

	say(lines, "%s is %s%s: %" PRIu64 " bytes of weights, %" PRIu64 " of activations, pool %" PRIu64,
	    label, residencies[p->residency], p->pinned ? " and pinned" : "", p->weight_bytes,
	    p->arena_bytes, pool_bytes);
	if (p->weight_bytes + p->arena_bytes > pool_bytes)
		say(lines, "it can never be loaded: the pool is smaller than its weights and activations");
	say(lines, "%" PRIu64 " requests (%" PRIu32 " queued, %" PRIu32 " running), %" PRIu64
		   " loads, %" PRIu64 " evictions", p->requests, p->queued, p->running, p->loads,
	    p->evictions);
	if (p->last_used_ns)
		say(lines, "last used %.3f s ago", (double)(finf_now_ns() - p->last_used_ns) / 1e9);
	if (p->residency == FINF_RESIDENT)
		say(lines, p->pinned ? "it stays until it is unpinned"
			   : p->queued ? "it stays while requests are queued for it"
				       : "it stays until another model needs the room and it is the "
					 "least recently used of those idle");
}

/* Of a group: side by side or not, what was measured, and what its own runs said since. */
static void explain_way(json_t *lines, const struct fid_model_info *info)
{
	const struct finf_plan *plan = finf_model_plan(info->model);
	const struct finf_plan_side *side = &plan->side;
	struct finf_way way;

	if (plan->side_arena_bytes)
		say(lines, "its members run one after the other: side by side would take %" PRIu64
			   " bytes of activations", plan->side_arena_bytes);
	if (plan->n_branches < 2)
		return;
	if (!finf_model_way(info->model, &way)) {
		say(lines, "its members run one step at a time on all cores: side by side was %s",
		    side->list_ns ? "measured to be no faster" : "not predicted to be faster");
		return;
	}
	say(lines, "its members run %s; when it was prepared side by side took %.3f ms and one step at a "
		   "time %.3f ms, runs %" PRIu32 " %% longer than the fastest of their steps",
	    way.side_by_side ? "side by side" : "one step at a time", (double)side->side_ns / 1e6,
	    (double)side->list_ns / 1e6, side->noise_pct);
	if (way.trials)
		say(lines, "%" PRIu32 " trials of the other way since, the latest: side by side %.3f ms, "
			   "one step at a time %.3f ms; changed %" PRIu32 " times",
		    way.trials, (double)way.side_ns / 1e6, (double)way.alone_ns / 1e6, way.changes);
}

/* In seconds from now; past ones are negative. */
static double from_now(uint64_t ns)
{
	return ((double)ns - (double)finf_now_ns()) / 1e9;
}

static void explain_prediction(json_t *lines, const struct fid_model_info *info)
{
	const struct finf_policy_model *p = &info->policy;
	const struct finf_policy_why *why = &info->why;

	if (p->prefetch_hits || p->prefetch_wasted)
		say(lines, "loaded ahead: %" PRIu64 " hits (%" PRIu64 " late), %" PRIu64 " wasted",
		    p->prefetch_hits, p->prefetch_late, p->prefetch_wasted);
	if (why->forecast == FINF_FORECAST_NONE)
		return;
	say(lines, "a request is expected in %.3f to %.3f s, %" PRIu32 " %% sure: %s%s%s",
	    from_now(why->from_ns), from_now(why->until_ns), why->confidence_pct,
	    finf_reason_text(why->reason), info->why_other[0] ? ": " : "", info->why_other);
	if (why->forecast == FINF_FORECAST_AHEAD)
		say(lines, "its load is due in %.3f s", from_now(why->load_ns));
	else if (why->forecast == FINF_FORECAST_HELD)
		say(lines, "it was loaded ahead of that request");
	else if (why->forecast == FINF_FORECAST_SKIPPED)
		say(lines, "it is not loaded ahead: %s",
		    why->trusted ? "larger than the budget, failed before, or prefetch is stopped"
				 : "too many predictions about it were wrong");
	else if (p->residency == FINF_COLD)
		say(lines, "its load is due, as soon as there is room");
}

static void explain_fast(json_t *lines, const struct fid_model_info *info, bool possible)
{
	const struct finf_policy_fast *fast = &info->fast;
	const char *late = from_now(fast->next_ns) > 0 ? "; it was given back or failed a moment ago" : "";

	if (!possible || info->lean) {
		say(lines, "its weights stay lean: %s", info->lean ? "so it was asked for"
								   : "fid runs without faster forms");
	} else if (fast->state == FINF_FAST_READY) {
		say(lines, "it runs on a faster form of %" PRIu64 " bytes: %.3f ms a run, %.3f ms lean; "
			   "they are given back before any model is evicted",
		    info->policy.fast_bytes, (double)info->fast_run_ns / 1e6,
		    (double)info->lean_run_ns / 1e6);
	} else if (fast->state == FINF_FAST_GROWING) {
		say(lines, "a faster form of %" PRIu64 " bytes is being made", info->policy.fast_bytes);
	} else if (fast->state == FINF_FAST_PRICING) {
		say(lines, "what a faster form of its weights takes and saves is being measured");
	} else if (fast->slower) {
		say(lines, "it had a faster form of its weights, on which runs were no faster: %.3f ms, "
			   "%.3f ms lean; not again until `optimize` forbids and allows it",
		    (double)info->fast_run_ns / 1e6, (double)info->lean_run_ns / 1e6);
	} else if (!fast->priced) {
		say(lines, "whether there is a faster form is measured after %" PRIu64
			   " runs; there were %" PRIu32 " lately%s", fast->runs_needed, fast->runs, late);
	} else if (!fast->bytes) {
		say(lines, "there is no faster form of its weights");
	} else {
		say(lines, "a faster form takes %" PRIu64 " bytes and saves %.3f ms a run: made after "
			   "%" PRIu64 " runs, of which there were %" PRIu32 " lately%s%s",
		    fast->bytes, (double)fast->gain_ns / 1e6, fast->runs_needed, fast->runs,
		    fast->fits ? "" : "; there is no room for it now", late);
	}
}

static void cmd_why(struct fid_control *control, const json_t *request)
{
	struct fid_core_stats *stats;
	struct fid_model_info info;
	json_t *lines, *events;
	char label[160];

	if (!find(control, request, &info))
		return;
	stats = malloc(sizeof(*stats));
	if (!stats) {
		answer_json(control, -ENOMEM, NULL);
		return;
	}
	fid_core_stats(control->core, stats);
	lines = json_array();
	events = json_array();
	snprintf(label, sizeof(label), "%s:%" PRIu32, info.name, info.version);
	if (info.state == FID_MODEL_READY)
		explain_residency(lines, &info, label, stats->mem.pool_bytes);
	else
		say(lines, "%s is %s%s%s", label,
		    info.state == FID_MODEL_FAILED ? "not usable: " : "still being prepared", info.error, "");
	if (info.state == FID_MODEL_READY) {
		explain_way(lines, &info);
		explain_fast(lines, &info, stats->fast_forms);
		explain_prediction(lines, &info);
	}
	fid_core_decisions(control->core, label, 20, append_decision, events);
	answer_json(control, 0, json_pack("{s:s, s:s, s:o, s:o}", "model", label, "residency",
					  residencies[info.policy.residency], "text", lines, "events",
					  events));
	free(stats);
}

/* ---- commands that end later -------------------------------------------------------------- */

/* Most reasons name the model themselves. */
static void refuse_model(struct fid_control *control, int result, const char *model,
			 const char *text)
{
	if (!text || !*text)
		text = strerror(-result);
	if (!strncmp(text, model, strlen(model)))
		refuse(control, result, "%s", text);
	else
		refuse(control, result, "%s: %s", model, text);
}

static void command_done(void *ctx, int result, const char *model, const char *text)
{
	struct fid_control *control = ctx;

	if (result)
		refuse_model(control, result, model, text);
	else
		answer_json(control, 0, json_pack("{s:s}", "model", model));
}

static void remove_done(void *ctx, int result, const char *model, const char *text)
{
	struct fid_control *control = ctx;
	json_t *removed = json_array();
	char *copy, *save = NULL;

	if (result) {
		json_decref(removed);
		refuse_model(control, result, model, text);
		return;
	}
	copy = strdup(text);
	for (char *at = copy ? strtok_r(copy, ",", &save) : NULL; at; at = strtok_r(NULL, ",", &save))
		json_array_append_new(removed, json_string(at));
	free(copy);
	answer_json(control, 0, json_pack("{s:s, s:o}", "model", model, "removed", removed));
}

static void issue(struct fid_control *control, const json_t *request, enum fid_command command)
{
	const char *name = json_string_value(json_object_get(request, "model"));

	if (!name)
		refuse(control, -EINVAL, "the command needs \"model\"");
	else
		fid_core_command(control->core, command, name,
				 command == FID_REMOVE ? remove_done : command_done, control);
}

static void cmd_load(struct fid_control *control, const json_t *request)
{
	issue(control, request, FID_LOAD);
}

static void cmd_unload(struct fid_control *control, const json_t *request)
{
	issue(control, request, FID_UNLOAD);
}

static void cmd_pin(struct fid_control *control, const json_t *request)
{
	issue(control, request, FID_PIN);
}

static void cmd_unpin(struct fid_control *control, const json_t *request)
{
	issue(control, request, FID_UNPIN);
}

static void cmd_optimize(struct fid_control *control, const json_t *request)
{
	const char *model = json_string_value(json_object_get(request, "model"));
	const char *what = json_string_value(json_object_get(request, "for"));
	bool lean = what && !strcmp(what, "memory");

	if (!model)
		refuse(control, -EINVAL, "the command needs \"model\"");
	else if (!lean && (!what || strcmp(what, "latency")))
		refuse(control, -EINVAL, "\"for\" is memory or latency");
	else
		fid_core_optimize(control->core, model, lean, command_done, control);
}

static void cmd_remove(struct fid_control *control, const json_t *request)
{
	issue(control, request, FID_REMOVE);
}

/* The descriptor travels with the answer. */
static void cmd_export(struct fid_control *control, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "model"));

	if (!name)
		refuse(control, -EINVAL, "the command needs \"model\"");
	else
		fid_core_export(control->core, name, &control->fd, command_done, control);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static bool port_of(struct fid_control *control, const json_t *request, uint16_t *ret)
{
	json_int_t port = json_integer_value(json_object_get(request, "port"));

	if (port < 1 || port > UINT16_MAX)
		refuse(control, -EINVAL, "the command needs \"port\", 1 to 65535");
	else
		*ret = (uint16_t)port;
	return port >= 1 && port <= UINT16_MAX;
}

/* Which program the command is about, if it is. */
static bool pid_of(struct fid_control *control, const json_t *request, pid_t *ret)
{
	json_int_t pid = json_integer_value(json_object_get(request, "pid"));

	if (pid < 1 || pid > INT32_MAX)
		refuse(control, -EINVAL, "the command needs \"pid\"");
	else
		*ret = (pid_t)pid;
	return pid >= 1 && pid <= INT32_MAX;
}

static void answer_probe(struct fid_control *control, int err, uint16_t port)
{
	if (err == -ENODEV)
		refuse(control, err, "arrivals are not observed: %s", fid_observe_state(control->observe));
	else if (err)
		refuse(control, err, "port %u: %s", port, strerror(-err));
	else
		answer_json(control, 0, json_pack("{s:i}", "port", port));
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
		refuse(control, -ENOENT, "%s", app_error(-ENOENT));
	else if (err)
		answer_probe(control, err, port);
	else
		answer_json(control, 0, json_pack("{s:i, s:I, s:s}", "port", port, "pid", NUMBER(pid),
						  "namespace", theirs ? "program" : "fid-probe"));
}

static void cmd_probe_add(struct fid_control *control, const json_t *request)
{
	struct fid_model_info info;
	uint16_t port;

	if (!port_of(control, request, &port))
		return;
	if (json_object_get(request, "pid"))
		probe_app(control, request, port, fid_app_port_add);
	else if (find(control, request, &info))
		answer_probe(control, fid_observe_port_add(control->observe, info.name, port), port);
}

static void cmd_probe_rm(struct fid_control *control, const json_t *request)
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

static void cmd_probes(struct fid_control *control, const json_t *request)
{
	struct probe_list list = {.core = control->core, .apps = control->apps, .ports = json_array()};
	struct fid_observe_counts counts;

	(void)request;
	fid_observe_ports(control->observe, append_port, &list);
	fid_observe_counts(control->observe, &counts);
	answer_json(control, 0,
		    json_pack("{s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "observing",
			      fid_observe_state(control->observe), "ports", list.ports, "arrivals",
			      "calls", NUMBER(counts.calls), "connections", NUMBER(counts.connections),
			      "apps", NUMBER(counts.apps), "unknown", NUMBER(counts.unknown), "lost", NUMBER(counts.lost),
			      "last_load_after_ns", NUMBER(counts.last_load_after_ns)));
}

/* ---- programs under the preload library ---------------------------------------------------------- */

static void append_app(void *ctx, const struct fid_app_info *info)
{
	static const char *const names[] = {"new", "running", "pausing", "paused", "resuming"};
	const struct finf_wire_app *said = &info->said;

	json_array_append_new(ctx, json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:I}", "pid",
					     NUMBER(info->pid), "uid", NUMBER(info->uid), "name",
					     said->name, "state", names[said->state], "bytes",
					     NUMBER(said->bytes), "pausable_bytes",
					     NUMBER(said->pausable_bytes), "quota",
					     NUMBER(said->quota_bytes), "vmm",
					     !(said->flags & FINF_WIRE_APP_NO_VMM), "waits_for_memory",
					     !!(said->flags & FINF_WIRE_APP_NO_MEMORY), "arrivals",
					     NUMBER(info->arrivals)));
}

static void cmd_apps(struct fid_control *control, const json_t *request)
{
	json_t *apps = json_array();

	(void)request;
	fid_apps_list(control->apps, append_app, apps);
	answer_json(control, 0, json_pack("{s:o}", "apps", apps));
}

static void app_done(void *ctx, int result)
{
	struct fid_control *control = ctx;

	if (result)
		refuse(control, result, "%s", app_error(result));
	else
		answer_json(control, 0, json_object());
}

static void order_app(struct fid_control *control, const json_t *request,
		      enum finf_wire_app_order order, uint64_t bytes)
{
	pid_t pid;

	if (pid_of(control, request, &pid))
		fid_app_order(control->apps, pid, order, bytes, app_done, control);
}

static void cmd_app_pause(struct fid_control *control, const json_t *request)
{
	order_app(control, request, FINF_WIRE_APP_PAUSE, 0);
}

static void cmd_app_resume(struct fid_control *control, const json_t *request)
{
	order_app(control, request, FINF_WIRE_APP_RESUME, 0);
}

static void cmd_app_quota(struct fid_control *control, const json_t *request)
{
	const json_t *bytes = json_object_get(request, "bytes");

	if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
		refuse(control, -EINVAL, "the command needs \"bytes\", 0 for no quota");
	else
		order_app(control, request, FINF_WIRE_APP_QUOTA, (uint64_t)json_integer_value(bytes));
}

static const struct {
	const char *name;
	bool admin;
	void (*run)(struct fid_control *control, const json_t *request);
} commands[] = {
	{"models", false, cmd_models},	  {"status", false, cmd_status},
	{"inspect", false, cmd_inspect},  {"events", false, cmd_events},
	{"why", false, cmd_why},	  {"load", true, cmd_load},
	{"unload", true, cmd_unload},	  {"pin", true, cmd_pin},
	{"unpin", true, cmd_unpin},	  {"remove", true, cmd_remove},
	{"optimize", true, cmd_optimize},
	{"probes", false, cmd_probes},	  {"probe-add", true, cmd_probe_add},
	{"probe-rm", true, cmd_probe_rm}, {"export", true, cmd_export},
	{"apps", false, cmd_apps},	  {"app-pause", true, cmd_app_pause},
	{"app-resume", true, cmd_app_resume}, {"app-quota", true, cmd_app_quota},
};

void fid_control(struct fid_control *control, const char *text, size_t len)
{
	json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "command"));
	size_t i;

	for (i = 0; name && i < FINF_ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i].name, name))
			break;
	if (!request || !name)
		refuse(control, -EINVAL, "not a command: a JSON object with \"command\" is expected");
	else if (i == FINF_ARRAY_LEN(commands))
		refuse(control, -EINVAL, "no such command");
	else if (commands[i].admin && !control->admin)
		refuse(control, -EPERM, "%s is for fid's user, root and group fusedinf-admin", name);
	else
		commands[i].run(control, request);
	json_decref(request);
}

char *fid_control_imported(struct fid_core *core, int result, const char *model, const char *text)
{
	struct fid_model_info info;
	json_t *doc;
	char *json;

	if (!result)
		result = fid_core_find(core, model, &info);
	if (result)
		doc = json_pack("{s:s}", "error", text && *text ? text : strerror(-result));
	else
		doc = model_json(&info);
	json = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	return json;
}
