/* SPDX-License-Identifier: MIT */
/* fictl apps, fictl app: programs under libfi-preload.so. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fictl/fictl.h"

#define LIBRARY "libfi-preload.so"

static int cmd_apps(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const json_t *app;
	json_t *reply;
	size_t i;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	rc = control(ctl, json_pack("{s:s}", "command", "apps"), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("%8s  %-16s %-9s %10s %10s %10s %8s\n", "PID", "NAME", "STATE", "MEMORY", "PAUSABLE",
	       "QUOTA", "ARRIVALS");
	json_array_foreach(json_object_get(reply, "apps"), i, app)
		printf("%8" PRIu64 "  %-16s %-9s %10s %10s %10s %8" PRIu64 "%s%s\n", json_number(app, "pid"),
		       json_text(app, "name"), json_text(app, "state"),
		       bytes_text(json_number(app, "bytes")),
		       bytes_text(json_number(app, "pausable_bytes")),
		       json_number(app, "quota") ? bytes_text(json_number(app, "quota")) : "-",
		       json_number(app, "arrivals"),
		       json_is_true(json_object_get(app, "waits_for_memory")) ? "  (waiting for memory)" : "",
		       json_is_false(json_object_get(app, "vmm")) ? "  (its driver maps no memory)" : "");
	json_decref(reply);
	return EXIT_DONE;
}

bool preload_library(char *path)
{
	static const char *const places[] = {"", "../lib/", NULL};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = 0;
	for (int i = 0; slash && places[i]; i++)
		if (snprintf(path, PATH_MAX, "%s%s" LIBRARY, self, places[i]) < PATH_MAX &&
		    !access(path, R_OK))
			return true;
	snprintf(path, PATH_MAX, "%s", FI_LIBDIR "/" LIBRARY);
	return !access(path, R_OK);
}

static int app_run(struct fictl *ctl, int argc, char **argv)
{
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX], both[2 * PATH_MAX];

	if (argc > 1 && !strcmp(argv[1], "--")) {
		argc--;
		argv++;
	}
	if (argc < 2)
		return usage(ctl, "app run needs a command");
	if (!preload_library(path))
		return failed(ctl, -ENOENT, LIBRARY " is neither beside fictl nor in ../lib nor in " FI_LIBDIR);
	if (snprintf(both, sizeof(both), "%s%s%s", path, before && *before ? ":" : "",
		     before ? before : "") >= (int)sizeof(both))
		return failed(ctl, -ENAMETOOLONG, "LD_PRELOAD is too long");
	if (setenv("LD_PRELOAD", both, 1) ||
	    (ctl->socket && setenv("FUSEDINF_SOCKET", ctl->socket, 1)))
		return failed(ctl, -ENOMEM, "out of memory");
	execvp(argv[1], argv + 1);
	return failed(ctl, -errno, "%s: %s", argv[1], strerror(errno));
}

static int order(struct fictl *ctl, json_t *request, const char *done)
{
	json_t *reply;
	int rc = control(ctl, request, &reply);

	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	json_decref(reply);
	puts(done);
	return EXIT_DONE;
}

static int one_pid(struct fictl *ctl, int argc, char **argv, const char *command, const char *done)
{
	const struct option_spec specs[] = {{0}};
	const char *arg;
	uint64_t pid;
	int n = parse(ctl, argc, argv, specs, &arg, 1);

	if (n < 0)
		return EXIT_USAGE;
	if (n != 1)
		return usage(ctl, "app %s needs a PID", argv[0]);
	if (!parse_number(ctl, "PID", arg, 1, INT32_MAX, &pid))
		return EXIT_USAGE;
	return order(ctl, json_pack("{s:s, s:I}", "command", command, "pid", (json_int_t)pid), done);
}

static int app_pause(struct fictl *ctl, int argc, char **argv)
{
	return one_pid(ctl, argc, argv, "app-pause", "paused: its device memory is free");
}

static int app_resume(struct fictl *ctl, int argc, char **argv)
{
	return one_pid(ctl, argc, argv, "app-resume", "running");
}

static int app_quota(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const char *args[2];
	uint64_t pid, bytes;
	int n = parse(ctl, argc, argv, specs, args, 2);

	if (n < 0)
		return EXIT_USAGE;
	if (n != 2)
		return usage(ctl, "app quota needs PID and BYTES (0: none)");
	if (!parse_number(ctl, "PID", args[0], 1, INT32_MAX, &pid) ||
	    !parse_number(ctl, "BYTES", args[1], 0, INT64_MAX, &bytes))
		return EXIT_USAGE;
	return order(ctl, json_pack("{s:s, s:I, s:I}", "command", "app-quota", "pid", (json_int_t)pid,
				    "bytes", (json_int_t)bytes), "quota set");
}

static int cmd_app(struct fictl *ctl, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct fictl *ctl, int argc, char **argv);
	} verbs[] = {{"run", app_run}, {"pause", app_pause}, {"resume", app_resume}, {"quota", app_quota}};

	for (size_t i = 0; argc > 1 && i < FINF_ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, argv[1]))
			return verbs[i].run(ctl, argc - 1, argv + 1);
	return usage(ctl, argc > 1 ? "app: run, pause, resume or quota, not %s"
				   : "app: run, pause, resume or quota", argv[1]);
}

const struct command commands_app[] = {
	{"apps", "", "list programs that run under libfi-preload.so", NULL, cmd_apps},
	{"app", "run -- COMMAND... | pause PID | resume PID | quota PID BYTES",
	 "run a CUDA program so that it can be paused, and pause it",
	 "A paused program gives its device memory back and keeps its addresses; when it next uses\n"
	 "the device it is resumed. A quota bounds what it may allocate, 0 takes the bound away.\n"
	 "FUSEDINF_PRELOAD=off in its environment keeps all of this out of it.\n",
	 cmd_app},
	{0},
};
