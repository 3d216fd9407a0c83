/* SPDX-License-Identifier: MIT */
/* daemon/control: JSON in, core calls, JSON out. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_priv.h"

/* ---- answering ------------------------------------------------------------------- */

void fid_answer(struct fid_control *control, int status, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	if (text)
		control->answer(control, status, text);
	else
		control->answer(control, -ENOMEM, "{\"error\":\"out of memory\"}");
	free(text);
}

void fid_refuse(struct fid_control *control, int status, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fid_answer(control, status, json_pack("{s:s}", "error", text));
}

/* ---- which model ------------------------------------------------------------------- */

bool fid_named(struct fid_control *control, const char *name, struct fid_model_info *ret)
{
	int err = fid_core_find(control->core, name, ret);

	if (err)
		fid_refuse(control, err,
			   err == -ENOENT ? "no model named %s" : "not a model name: %s", name);
	return !err;
}

bool fid_asked(struct fid_control *control, const json_t *request, struct fid_model_info *ret)
{
	const char *name = json_string_value(json_object_get(request, "model"));

	if (!name)
		fid_refuse(control, -EINVAL, "the command needs \"model\"");
	return name && fid_named(control, name, ret);
}

/* ---- commands that end later -------------------------------------------------------------- */

/* Most reasons name the model themselves. */
static void refuse_model(struct fid_control *control, int result, const char *model,
			 const char *text)
{
	if (!text || !*text)
		text = strerror(-result);
	if (!strncmp(text, model, strlen(model)))
		fid_refuse(control, result, "%s", text);
	else
		fid_refuse(control, result, "%s: %s", model, text);
}

static void command_done(void *ctx, int result, const char *model, const char *text)
{
	struct fid_control *control = ctx;

	if (result)
		refuse_model(control, result, model, text);
	else
		fid_answer(control, 0, json_pack("{s:s}", "model", model));
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
	for (char *at = copy ? strtok_r(copy, ",", &save) : NULL; at;
	     at = strtok_r(NULL, ",", &save))
		json_array_append_new(removed, json_string(at));
	free(copy);
	fid_answer(control, 0, json_pack("{s:s, s:o}", "model", model, "removed", removed));
}

static void issue(struct fid_control *control, const json_t *request, enum fid_command command)
{
	const char *name = json_string_value(json_object_get(request, "model"));

	if (!name)
		fid_refuse(control, -EINVAL, "the command needs \"model\"");
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
		fid_refuse(control, -EINVAL, "the command needs \"model\"");
	else if (!lean && (!what || strcmp(what, "latency")))
		fid_refuse(control, -EINVAL, "\"for\" is memory or latency");
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
		fid_refuse(control, -EINVAL, "the command needs \"model\"");
	else
		fid_core_export(control->core, name, &control->fd, command_done, control);
}

/* ---- the commands --------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool admin;
	void (*run)(struct fid_control *control, const json_t *request);
} commands[] = {
	{"models", false, fid_cmd_models},
	{"status", false, fid_cmd_status},
	{"inspect", false, fid_cmd_inspect},
	{"events", false, fid_cmd_events},
	{"why", false, fid_cmd_why},
	{"load", true, cmd_load},
	{"unload", true, cmd_unload},
	{"pin", true, cmd_pin},
	{"unpin", true, cmd_unpin},
	{"remove", true, cmd_remove},
	{"optimize", true, cmd_optimize},
	{"export", true, cmd_export},
	{"probes", false, fid_cmd_probes},
	{"probe-add", true, fid_cmd_probe_add},
	{"probe-rm", true, fid_cmd_probe_rm},
	{"apps", false, fid_cmd_apps},
	{"app-pause", true, fid_cmd_app_pause},
	{"app-resume", true, fid_cmd_app_resume},
	{"app-quota", true, fid_cmd_app_quota},
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
		fid_refuse(control, -EINVAL,
			   "not a command: a JSON object with \"command\" is expected");
	else if (i == FINF_ARRAY_LEN(commands))
		fid_refuse(control, -EINVAL, "no such command");
	else if (commands[i].admin && !control->admin)
		fid_refuse(control, -EPERM, "%s is for fid's user, root and group fusedinf-admin",
			   name);
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
		doc = fid_model_json(&info);
	json = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	return json;
}
