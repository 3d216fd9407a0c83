/* SPDX-License-Identifier: MIT */
/* fictl: commands that change what fid has: import, remove, load, unload, pin, unpin. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fictl/group.h"

/* ---- import -------------------------------------------------------------------- */

/* "models/resnet18.onnx" -> "resnet18" */
static void default_name(const char *path, char *name, size_t len)
{
	const char *base = strrchr(path, '/');
	char *dot;

	snprintf(name, len, "%s", base ? base + 1 : path);
	dot = strrchr(name, '.');
	if (dot && dot != name)
		*dot = 0;
}

static int optimize(struct fictl *ctl, const char *name, const char *what, json_t **ret_reply)
{
	return control(ctl,
		       json_pack("{s:s, s:s, s:s}", "command", "optimize", "model", name, "for", what),
		       ret_reply);
}

static int optimize_imported(struct fictl *ctl, const char *answer, const char *what)
{
	json_t *doc = json_loads(answer, 0, NULL), *reply;
	char label[160];
	int rc;

	snprintf(label, sizeof(label), "%s:%llu", json_text(doc, "name"),
		 (unsigned long long)json_number(doc, "version"));
	json_decref(doc);
	rc = optimize(ctl, label, what, &reply);
	if (rc == EXIT_DONE)
		json_decref(reply);
	return rc;
}

static int cmd_import(struct fictl *ctl, int argc, char **argv)
{
	const char *path, *name = NULL, *optimize = NULL;
	const struct option_spec specs[] = {
		{"--name", false, &name}, {"--optimize", false, &optimize}, {0}};
	struct finf_client *client;
	struct finf_diag diag = {{0}};
	char made_up[PATH_MAX], *answer = NULL;
	int n = parse(ctl, argc, argv, specs, &path, 1), rc, fd = -1, err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which file?");
	if (optimize && strcmp(optimize, "memory") && strcmp(optimize, "latency"))
		return usage(ctl, "--optimize takes memory or latency");
	default_name(path, made_up, sizeof(made_up));
	if (!name)
		name = made_up;
	if (!finf_name_ok(name, NULL, NULL) || strchr(name, ':'))
		return usage(ctl, "\"%s\" is not a model name: [A-Za-z0-9][A-Za-z0-9._-]{0,127}", name);
	rc = connect_fid(ctl, &client);
	if (rc != EXIT_DONE)
		return rc;
	err = file_open(path, &fd, &diag);
	if (!err) {
		err = finf_client_import(client, name, fd, &answer, &diag);
		close(fd);
	}
	finf_client_close(client);
	if (!err && optimize)
		rc = optimize_imported(ctl, answer, optimize);
	if (rc != EXIT_DONE) {
		free(answer);
		return rc;
	}
	if (err)
		return failed(ctl, err, "import of %s: %s", path,
			      diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json) {
		puts(answer);
	} else {
		json_t *doc = json_loads(answer, 0, NULL);

		printf("%s:%llu imported from %s, %s of weights\n", json_text(doc, "name"),
		       (unsigned long long)json_number(doc, "version"), path,
		       bytes_text(json_number(doc, "weight_bytes")));
		json_decref(doc);
	}
	free(answer);
	return EXIT_DONE;
}

/* ---- commands that name a model and say it is done -------------------------------- */

static int simple(struct fictl *ctl, int argc, char **argv, const char *done)
{
	const struct option_spec specs[] = {{0}};
	const char *name;
	json_t *reply;
	int n = parse(ctl, argc, argv, specs, &name, 1), rc;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which model?");
	rc = control(ctl, json_pack("{s:s, s:s}", "command", argv[0], "model", name), &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("%s %s\n", json_text(reply, "model")[0] ? json_text(reply, "model") : name, done);
	json_decref(reply);
	return EXIT_DONE;
}

static int cmd_remove(struct fictl *ctl, int argc, char **argv)
{
	return simple(ctl, argc, argv, "removed");
}

static int cmd_load(struct fictl *ctl, int argc, char **argv)
{
	return simple(ctl, argc, argv, "is resident");
}

static int cmd_unload(struct fictl *ctl, int argc, char **argv)
{
	return simple(ctl, argc, argv, "unloaded, its bytes are free");
}

static int cmd_pin(struct fictl *ctl, int argc, char **argv)
{
	return simple(ctl, argc, argv, "is resident and stays");
}

static int cmd_unpin(struct fictl *ctl, int argc, char **argv)
{
	return simple(ctl, argc, argv, "may be evicted again");
}

static int cmd_optimize(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const char *args[2];
	json_t *reply;
	int n = parse(ctl, argc, argv, specs, args, 2), rc;

	if (n < 0)
		return EXIT_USAGE;
	if (n != 2 || (strcmp(args[1], "memory") && strcmp(args[1], "latency")))
		return usage(ctl, "which model, and for memory or latency?");
	rc = optimize(ctl, args[0], args[1], &reply);
	if (rc != EXIT_DONE)
		return rc;
	if (ctl->json)
		return print_json(reply);
	printf("%s %s\n", json_text(reply, "model"),
	       strcmp(args[1], "memory") ? "may earn faster weights when it is busy"
					 : "keeps its weights lean");
	json_decref(reply);
	return EXIT_DONE;
}

const struct command commands_model[] = {
	{"import", "FILE.onnx|FILE.fim [--name N] [--optimize memory|latency]", "give fid a model",
	 "The model is read, fused and packed here; fid copies and verifies the pack. The name\n"
	 "is the file's without its ending unless --name says otherwise. Importing a name again\n"
	 "makes its next version; requests that are running keep theirs.\n"
	 "--optimize memory: its weights stay as small as they are, see optimize.\n",
	 cmd_import},
	{"remove", "NAME[:VERSION]", "delete a model (every version of a bare NAME)", NULL, cmd_remove},
	{"load", "NAME", "bring a model into the pool now", NULL, cmd_load},
	{"unload", "NAME", "evict a model that is not in use", NULL, cmd_unload},
	{"pin", "NAME", "load a model and never evict it", NULL, cmd_pin},
	{"optimize", "NAME[:VERSION] memory|latency", "may a busy model take larger, faster weights?",
	 "latency, the default: a model that is asked often earns a larger, faster form of its\n"
	 "weights where this machine has one and bytes of the pool are free; it gives them back\n"
	 "before any model is evicted. memory: never. The choice is kept with the version.\n",
	 cmd_optimize},
	{"unpin", "NAME", "let a pinned model be evicted again", NULL, cmd_unpin},
	{0},
};
