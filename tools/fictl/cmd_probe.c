/* SPDX-License-Identifier: MIT */
/* fictl probe: which TCP ports tell of requests that are coming. */
#include <inttypes.h>
#include <string.h>

#include "tools/fictl/fictl.h"

/* NULL: what is wrong was said. */
static json_t *request_of(struct fictl *ctl, const char *command, const char *app, const char *tcp,
			  uint64_t *ret_port)
{
	json_t *request;
	uint64_t pid = 0;

	if (!parse_number(ctl, "--tcp", tcp, 1, UINT16_MAX, ret_port) ||
	    (app && !parse_number(ctl, "--app", app, 1, INT32_MAX, &pid)))
		return NULL;
	request = json_pack("{s:s, s:I}", "command", command, "port", (json_int_t)*ret_port);
	if (app)
		json_object_set_new(request, "pid", json_integer((json_int_t)pid));
	return request;
}

static void say_added(const json_t *reply, const char *model, uint64_t port)
{
	if (model)
		printf("connections to port %" PRIu64 " count as arrivals of %s\n", port, model);
	else
		printf("connections to port %" PRIu64 " of the %s's network namespace resume %" PRIu64 "\n",
		       port, json_text(reply, "namespace"), json_number(reply, "pid"));
}

static int probe_add(struct fictl *ctl, int argc, char **argv)
{
	const char *model = NULL, *app = NULL, *tcp = NULL;
	const struct option_spec specs[] = {{"--model", false, &model}, {"--app", false, &app},
					    {"--tcp", false, &tcp}, {0}};
	json_t *reply, *request;
	uint64_t port;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (!model == !app || !tcp)
		return usage(ctl, "probe add needs --tcp PORT and either --model NAME or --app PID");
	request = request_of(ctl, "probe-add", app, tcp, &port);
	if (!request)
		return EXIT_USAGE;
	if (model)
		json_object_set_new(request, "model", json_string(model));
	rc = control(ctl, request, &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	say_added(reply, model, port);
	json_decref(reply);
	return EXIT_DONE;
}

static int probe_rm(struct fictl *ctl, int argc, char **argv)
{
	const char *app = NULL, *tcp = NULL;
	const struct option_spec specs[] = {{"--app", false, &app}, {"--tcp", false, &tcp}, {0}};
	json_t *reply, *request;
	uint64_t port;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (!tcp)
		return usage(ctl, "probe rm needs --tcp PORT");
	request = request_of(ctl, "probe-rm", app, tcp, &port);
	if (!request)
		return EXIT_USAGE;
	rc = control(ctl, request, &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("port %" PRIu64 " is not watched any more\n", port);
	json_decref(reply);
	return EXIT_DONE;
}

static int probe_list(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const json_t *arrivals, *port;
	json_t *reply;
	size_t i;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s}", "command", "probes"), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	arrivals = json_object_get(reply, "arrivals");
	printf("observing: %s\n", json_text(reply, "observing"));
	printf("arrivals: %" PRIu64 " calls, %" PRIu64 " connections, %" PRIu64 " to programs; %" PRIu64
	       " of unknown models, %" PRIu64 " lost\n", json_number(arrivals, "calls"),
	       json_number(arrivals, "connections"), json_number(arrivals, "apps"),
	       json_number(arrivals, "unknown"),
	       json_number(arrivals, "lost"));
	json_array_foreach(json_object_get(reply, "ports"), i, port) {
		if (json_object_get(port, "pid"))
			printf("tcp %5" PRIu64 "  program %" PRIu64 "\n", json_number(port, "tcp"),
			       json_number(port, "pid"));
		else
			printf("tcp %5" PRIu64 "  %s\n", json_number(port, "tcp"), json_text(port, "model"));
	}
	json_decref(reply);
	return EXIT_DONE;
}

static int cmd_probe(struct fictl *ctl, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct fictl *ctl, int argc, char **argv);
	} verbs[] = {{"add", probe_add}, {"list", probe_list}, {"rm", probe_rm}};

	for (size_t i = 0; argc > 1 && i < FINF_ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, argv[1]))
			return verbs[i].run(ctl, argc - 1, argv + 1);
	return usage(ctl, argc > 1 ? "probe: add, list or rm, not %s" : "probe: add, list or rm", argv[1]);
}

const struct command commands_probe[] = {
	{"probe", "add (--model NAME | --app PID) --tcp PORT | list | rm [--app PID] --tcp PORT",
	 "let connections to a port announce requests",
	 "A connection announces requests for a model, or resumes a program that runs under\n"
	 "libfi-preload.so and is paused; the latter's port is one of its own network namespace.\n"
	 "Needs fid-probe running and `fid --probe PATH`. A model's port is one of fid-probe's\n"
	 "network namespace; whoever owns it need not know. Calls of libfi's client are seen as well, in\n"
	 "every program that was named to fid-probe.\n",
	 cmd_probe},
	{0},
};
