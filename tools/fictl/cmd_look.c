/* SPDX-License-Identifier: MIT */
/* fictl: commands that look at fid: models, status, events, why. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/fictl/fictl.h"

/* ---- models and status ----------------------------------------------------------- */

static int cmd_models(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	json_t *reply, *model, *member;
	size_t i, k;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s}", "command", "models"), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("%-28s %-10s %10s %10s %9s %6s %9s %10s\n", "MODEL", "STATE", "WEIGHTS", "ARENA",
	       "REQUESTS", "LOADS", "EVICTIONS", "LAST LOAD");
	json_array_foreach(json_object_get(reply, "models"), i, model) {
		const json_t *load = json_object_get(model, "last_load");
		const char *state = json_text(model, "state");
		char label[160];

		snprintf(label, sizeof(label), "%s:%" PRIu64 "%s", json_text(model, "name"),
			 json_number(model, "version"),
			 json_is_true(json_object_get(model, "pinned")) ? " *" : "");
		if (!strcmp(state, "ready"))
			state = json_text(model, "residency");
		printf("%-28s %-10s %10s %10s %9" PRIu64 " %6" PRIu64 " %9" PRIu64, label, state,
		       bytes_text(json_number(model, "weight_bytes")),
		       bytes_text(json_number(model, "arena_bytes")), json_number(model, "requests"),
		       json_number(model, "loads"), json_number(model, "evictions"));
		if (json_number(json_object_get(model, "fast"), "bytes"))
			printf(" +%s fast", bytes_text(json_number(json_object_get(model, "fast"),
								   "bytes")));
		if (load)
			printf(" %5.2f GB/s", (double)json_number(load, "bytes") /
						      (double)FINF_MAX(json_number(load, "ns"), 1u));
		json_array_foreach(json_object_get(model, "members"), k, member)
			printf("%s%s", k ? " + " : "  = ", json_string_value(member));
		printf("%s%s\n", *json_text(model, "error") ? "  " : "", json_text(model, "error"));
	}
	json_decref(reply);
	return EXIT_DONE;
}

static void print_status(const json_t *s)
{
	const json_t *pool = json_object_get(s, "pool"), *models = json_object_get(s, "models");
	const json_t *requests = json_object_get(s, "requests"), *swap = json_object_get(s, "swap");
	const json_t *prefetch = json_object_get(s, "prefetch");
	uint64_t loads = json_number(swap, "loads");

	printf("fid %s, pid %" PRIu64 ", up %s%s\n", json_text(s, "version"), json_number(s, "pid"),
	       ns_text(json_number(s, "uptime_ns")),
	       json_is_true(json_object_get(s, "draining")) ? ", draining" : "");
	printf("device    %s, %" PRIu64 " threads, %s", json_text(s, "device"),
	       json_number(s, "threads"), json_text(s, "target"));
	if (json_object_get(pool, "device_free"))
		printf(", %s free", bytes_text(json_number(pool, "device_free")));
	putchar('\n');
	if (json_number(s, "device_resets") || strcmp(json_text(s, "device_state"), "ok"))
		printf("          %s after %" PRIu64 " resets%s%s\n", json_text(s, "device_state"),
		       json_number(s, "device_resets"),
		       json_object_get(s, "device_error") ? ": " : "",
		       json_text(s, "device_error"));
	printf("pool      %s (%s, %s%s): weights %s, activations %s, free %s, largest hole %s\n",
	       bytes_text(json_number(pool, "bytes")), json_text(pool, "mode"),
	       json_text(pool, "pages"),
	       strcmp(json_text(pool, "pages"), "device") ? " pages" : " memory",
	       bytes_text(json_number(pool, "weights")),
	       bytes_text(json_number(pool, "arena")), bytes_text(json_number(pool, "free")),
	       bytes_text(json_number(pool, "largest_hole")));
	printf("fast      %s of the weights are faster forms of busy models (%s)\n",
	       bytes_text(json_number(pool, "fast")), json_text(s, "fast_forms"));
	printf("models    %" PRIu64 " known, %" PRIu64 " resident, %" PRIu64 " loading\n",
	       json_number(models, "known"), json_number(models, "resident"),
	       json_number(models, "loading"));
	printf("requests  %" PRIu64 " done (%" PRIu64 " cold), %" PRIu64 " failed, %" PRIu64
	       " queued, %" PRIu64 " running; %" PRIu64 " clients\n",
	       json_number(requests, "done"), json_number(requests, "cold"),
	       json_number(requests, "failed"), json_number(requests, "queued"),
	       json_number(requests, "running"), json_number(s, "clients"));
	printf("swaps     %" PRIu64 " loads, %s", loads, bytes_text(json_number(swap, "bytes")));
	if (loads)
		printf(" at %.2f GB/s", (double)json_number(swap, "bytes") /
						(double)FINF_MAX(json_number(swap, "ns"), 1u));
	printf("; %" PRIu64 " evictions, %s\n", json_number(swap, "evictions"),
	       bytes_text(json_number(swap, "evicted_bytes")));
	printf("prefetch  %" PRIu64 " loads, %" PRIu64 " hits (%" PRIu64 " late), %" PRIu64
	       " wasted (%s); %s of %s in use%s\n",
	       json_number(prefetch, "loads"), json_number(prefetch, "hits"),
	       json_number(prefetch, "late"), json_number(prefetch, "wasted"),
	       bytes_text(json_number(prefetch, "wasted_bytes")),
	       bytes_text(json_number(prefetch, "bytes")),
	       bytes_text(json_number(prefetch, "budget")),
	       json_is_true(json_object_get(prefetch, "stopped")) ? ", stopped" : "");
	if (*json_text(s, "http"))
		printf("http      %s\n", json_text(s, "http"));
	printf("loader    ");
	for (const char *c = json_text(s, "loader"); *c; c++)
		fputs(*c == '\n' ? (c[1] ? ", " : "") : (char[]){*c, 0}, stdout);
	putchar('\n');
}

static int cmd_status(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	json_t *reply;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s}", "command", "status"), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	print_status(reply);
	json_decref(reply);
	return EXIT_DONE;
}

/* ---- events and why ------------------------------------------------------------------ */

static void print_event(const json_t *event)
{
	printf("%8" PRIu64 " %14.6f s  %-11s %-24s", json_number(event, "seq"),
	       (double)json_number(event, "ns") / 1e9, json_text(event, "action"),
	       json_text(event, "model"));
	if (json_number(event, "bytes"))
		printf(" %10s", bytes_text(json_number(event, "bytes")));
	printf("  %s", json_text(event, "reason"));
	if (*json_text(event, "other"))
		printf(" (for %s)", json_text(event, "other"));
	if (json_number(event, "status"))
		printf(": %s", strerror((int)json_number(event, "status")));
	putchar('\n');
}

static int follow_events(struct fictl *ctl)
{
	struct finf_client *client;
	char *text = NULL;
	int rc = connect_fid(ctl, &client), err;

	if (rc != EXIT_DONE)
		return rc;
	err = finf_client_control(client, "{\"command\": \"events\", \"count\": 10, \"follow\": true}",
				  &text, NULL);
	for (bool first = true; !err || err == -ETIME; first = false) {
		json_t *doc = err ? NULL : json_loads(text, 0, NULL), *event;
		size_t i;

		free(text);
		text = NULL;
		if (first)
			json_array_foreach(json_object_get(doc, "events"), i, event)
				print_event(event);
		else if (doc)
			print_event(doc);
		json_decref(doc);
		if (fflush(stdout))
			break;
		err = finf_client_event(client, 1000, &text);
	}
	free(text);
	finf_client_close(client);
	return err ? failed(ctl, err, "events: %s", strerror(-err)) : EXIT_DONE;
}

static int cmd_events(struct fictl *ctl, int argc, char **argv)
{
	const char *count = NULL, *follow = NULL;
	const struct option_spec specs[] = {
		{"--count", false, &count}, {"-f", true, &follow}, {"--follow", true, &follow}, {0}};
	json_t *reply, *event;
	uint64_t n = 100;
	size_t i;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (count && !parse_number(ctl, "--count", count, 1, 100000, &n))
		return EXIT_USAGE;
	if (follow && ctl->json)
		return usage(ctl, "-f prints lines as they come, --json one document: choose one");
	if (follow)
		return follow_events(ctl);
	rc = control(ctl, json_pack("{s:s, s:I}", "command", "events", "count", (json_int_t)n), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	json_array_foreach(json_object_get(reply, "events"), i, event)
		print_event(event);
	json_decref(reply);
	return EXIT_DONE;
}

static int cmd_why(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	json_t *reply, *item;
	const char *name;
	size_t i;
	int n = parse(ctl, argc, argv, specs, &name, 1), rc;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which model?");
	rc = control(ctl, json_pack("{s:s, s:s}", "command", "why", "model", name), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	json_array_foreach(json_object_get(reply, "text"), i, item)
		puts(json_string_value(item));
	json_array_foreach(json_object_get(reply, "events"), i, item)
		print_event(item);
	json_decref(reply);
	return EXIT_DONE;
}

const struct command commands_look[] = {
	{"models", "", "the models fid knows, and where they are", NULL, cmd_models},
	{"status", "", "the daemon, its pool, and what it has done", NULL, cmd_status},
	{"events", "[-f] [--count N]", "the scheduler's decisions, each with its reason",
	 "-f goes on with each decision as it is made.\n", cmd_events},
	{"why", "NAME", "why a model is where it is", NULL, cmd_why},
	{0},
};
