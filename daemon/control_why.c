/* SPDX-License-Identifier: MIT */
/* daemon/control: what was decided, and why. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/control_priv.h"

/* ---- events and why ---------------------------------------------------------------------- */

static json_t *decision_json(const struct fid_decision *d)
{
	const struct finf_action *a = &d->action;
	bool reply = a->kind == FINF_DO_REPLY;
	bool adds = a->kind == FINF_DO_LOAD || a->kind == FINF_DO_GROW;
	uint64_t bytes = adds ? a->b : reply ? 0 : a->a;
	json_t *doc = json_pack(
		"{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:s}", "seq", NUMBER(d->seq), "ns",
		NUMBER(d->ns), "action", finf_action_kind_text((enum finf_action_kind)a->kind),
		"model", d->model, "id", NUMBER(a->id), "bytes", NUMBER(bytes), "status",
		NUMBER(reply ? a->a : 0), "reason", finf_reason_text((enum finf_reason)a->reason));

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

void fid_cmd_events(struct fid_control *control, const json_t *request)
{
	const json_t *count = json_object_get(request, "count");
	json_int_t n = count ? json_integer_value(count) : 100;
	json_t *events;

	if (n < 0 || n > FID_EVENTS_KEPT)
		n = FID_EVENTS_KEPT;
	events = json_array();
	fid_core_decisions(control->core, "", (uint32_t)n, append_decision, events);
	control->follow = json_is_true(json_object_get(request, "follow"));
	fid_answer(control, 0, json_pack("{s:o}", "events", events));
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

	say(lines,
	    "%s is %s%s: %" PRIu64 " bytes of weights, %" PRIu64 " of activations, pool %" PRIu64,
	    label, fid_residencies[p->residency], p->pinned ? " and pinned" : "", p->weight_bytes,
	    p->arena_bytes, pool_bytes);
	if (p->weight_bytes + p->arena_bytes > pool_bytes)
		say(lines,
		    "it can never be loaded: the pool is smaller than its weights and activations");
	say(lines,
	    "%" PRIu64 " requests (%" PRIu32 " queued, %" PRIu32 " running), %" PRIu64
	    " loads, %" PRIu64 " evictions",
	    p->requests, p->queued, p->running, p->loads, p->evictions);
	if (p->last_used_ns)
		say(lines, "last used %.3f s ago", (double)(finf_now_ns() - p->last_used_ns) / 1e9);
	if (p->residency == FINF_RESIDENT)
		say(lines, p->pinned ? "it stays until it is unpinned"
			   : p->queued
				   ? "it stays while requests are queued for it"
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
		say(lines,
		    "its members run one after the other: side by side would take %" PRIu64
		    " bytes of activations",
		    plan->side_arena_bytes);
	if (plan->n_branches < 2)
		return;
	if (!finf_model_way(info->model, &way)) {
		say(lines, "its members run one step at a time on all cores: side by side was %s",
		    side->list_ns ? "measured to be no faster" : "not predicted to be faster");
		return;
	}
	say(lines,
	    "its members run %s; when it was prepared side by side took %.3f ms and one step at a "
	    "time %.3f ms, runs %" PRIu32 " %% longer than the fastest of their steps",
	    way.side_by_side ? "side by side" : "one step at a time", (double)side->side_ns / 1e6,
	    (double)side->list_ns / 1e6, side->noise_pct);
	if (way.trials)
		say(lines,
		    "%" PRIu32 " trials of the other way since, the latest: side by side %.3f ms, "
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
	const char *late =
		from_now(fast->next_ns) > 0 ? "; it was given back or failed a moment ago" : "";

	if (!possible || info->lean) {
		say(lines, "its weights stay lean: %s",
		    info->lean ? "so it was asked for" : "fid runs without faster forms");
	} else if (fast->state == FINF_FAST_READY) {
		say(lines,
		    "it runs on a faster form of %" PRIu64 " bytes: %.3f ms a run, %.3f ms lean; "
		    "they are given back before any model is evicted",
		    info->policy.fast_bytes, (double)info->fast_run_ns / 1e6,
		    (double)info->lean_run_ns / 1e6);
	} else if (fast->state == FINF_FAST_GROWING) {
		say(lines, "a faster form of %" PRIu64 " bytes is being made",
		    info->policy.fast_bytes);
	} else if (fast->state == FINF_FAST_PRICING) {
		say(lines, "what a faster form of its weights takes and saves is being measured");
	} else if (fast->slower) {
		say(lines, "it had a faster form of its weights, on which runs were no faster: %.3f ms, "
			   "%.3f ms lean; not again until `optimize` forbids and allows it",
		    (double)info->fast_run_ns / 1e6, (double)info->lean_run_ns / 1e6);
	} else if (!fast->priced) {
		say(lines,
		    "whether there is a faster form is measured after %" PRIu64
		    " runs; there were %" PRIu32 " lately%s",
		    fast->runs_needed, fast->runs, late);
	} else if (!fast->bytes) {
		say(lines, "there is no faster form of its weights");
	} else {
		say(lines,
		    "a faster form takes %" PRIu64 " bytes and saves %.3f ms a run: made after "
		    "%" PRIu64 " runs, of which there were %" PRIu32 " lately%s%s",
		    fast->bytes, (double)fast->gain_ns / 1e6, fast->runs_needed, fast->runs,
		    fast->fits ? "" : "; there is no room for it now", late);
	}
}

void fid_cmd_why(struct fid_control *control, const json_t *request)
{
	struct fid_core_stats *stats;
	struct fid_model_info info;
	json_t *lines, *events;
	char label[160];

	if (!fid_asked(control, request, &info))
		return;
	stats = malloc(sizeof(*stats));
	if (!stats) {
		fid_answer(control, -ENOMEM, NULL);
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
		    info.state == FID_MODEL_FAILED ? "not usable: " : "still being prepared",
		    info.error, "");
	if (info.state == FID_MODEL_READY) {
		explain_way(lines, &info);
		explain_fast(lines, &info, stats->fast_forms);
		explain_prediction(lines, &info);
	}
	fid_core_decisions(control->core, label, 20, append_decision, events);
	fid_answer(control, 0,
		   json_pack("{s:s, s:s, s:o, s:o}", "model", label, "residency",
			     fid_residencies[info.policy.residency], "text", lines, "events",
			     events));
	free(stats);
}
