/* SPDX-License-Identifier: MIT */
/* fictl probe: which TCP ports tell of requests that are coming. */
#include <inttypes.h>
#include <string.h>

#include "tools/fictl/fictl.h"

static int probe_add(struct fictl *ctl, int argc, char **argv)
{
	const char *model = NULL, *tcp = NULL;
	const struct option_spec specs[] = {{"--model", false, &model}, {"--tcp", false, &tcp}, {0}};
	json_t *reply;
	uint64_t port;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (!model || !tcp)
		return usage(ctl, "probe add needs --model NAME and --tcp PORT");
	if (!parse_number(ctl, "--tcp", tcp, 1, UINT16_MAX, &port))
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s, s:s, s:I}", "command", "probe-add", "model", model, "port",
				    (json_int_t)port), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("connections to port %" PRIu64 " count as arrivals of %s\n", port, model);
	json_decref(reply);
	return EXIT_DONE;
}

static int probe_rm(struct fictl *ctl, int argc, char **argv)
{
	const char *tcp = NULL;
	const struct option_spec specs[] = {{"--tcp", false, &tcp}, {0}};
	json_t *reply;
	uint64_t port;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (!tcp)
		return usage(ctl, "probe rm needs --tcp PORT");
	if (!parse_number(ctl, "--tcp", tcp, 1, UINT16_MAX, &port))
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s, s:I}", "command", "probe-rm", "port", (json_int_t)port),
		     &reply);
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
	printf("arrivals: %" PRIu64 " calls, %" PRIu64 " connections; %" PRIu64
	       " of unknown models, %" PRIu64 " lost\n", json_number(arrivals, "calls"),
	       json_number(arrivals, "connections"), json_number(arrivals, "unknown"),
	       json_number(arrivals, "lost"));
	json_array_foreach(json_object_get(reply, "ports"), i, port)
		printf("tcp %5" PRIu64 "  %s\n", json_number(port, "tcp"), json_text(port, "model"));
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
	{"probe", "add --model NAME --tcp PORT | list | rm --tcp PORT",
	 "let connections to a port announce requests for a model",
	 "Needs fid-probe running and `fid --probe PATH`. The port is one of fid's own network\n"
	 "namespace; whoever owns it need not know. Calls of libfi's client are seen as well, in\n"
	 "every program that was named to fid-probe.\n",
	 cmd_probe},
	{0},
};
