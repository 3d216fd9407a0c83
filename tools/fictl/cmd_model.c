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

static int cmd_import(struct fictl *ctl, int argc, char **argv)
{
	const char *path, *name = NULL;
	const struct option_spec specs[] = {{"--name", false, &name}, {0}};
	struct finf_client *client;
	struct finf_diag diag = {{0}};
	char made_up[PATH_MAX], *answer = NULL;
	int n = parse(ctl, argc, argv, specs, &path, 1), rc, fd = -1, err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which file?");
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

const struct command commands_model[] = {
	{"import", "FILE.onnx|FILE.fim [--name N]", "give fid a model",
	 "The model is read, fused and packed here; fid copies and verifies the pack. The name\n"
	 "is the file's without its ending unless --name says otherwise. Importing a name again\n"
	 "makes its next version; requests that are running keep theirs.\n",
	 cmd_import},
	{"remove", "NAME[:VERSION]", "delete a model (every version of a bare NAME)", NULL, cmd_remove},
	{"load", "NAME", "bring a model into the pool now", NULL, cmd_load},
	{"unload", "NAME", "evict a model that is not in use", NULL, cmd_unload},
	{"pin", "NAME", "load a model and never evict it", NULL, cmd_pin},
	{"unpin", "NAME", "let a pinned model be evicted again", NULL, cmd_unpin},
	{0},
};
