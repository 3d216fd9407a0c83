/* SPDX-License-Identifier: MIT */
/* fictl: the daemon's end of a command, and how replies are shown. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/fictl/fictl.h"

int connect_fid(struct fictl *ctl, struct finf_client **ret_client)
{
	struct finf_diag diag = {{0}};
	int err = finf_client_open(ctl->socket, ret_client, &diag);

	if (!err) {
		/* Importing and loading large models takes its time; fid bounds its own work. */
		finf_client_timeout(*ret_client, 600000);
		return EXIT_DONE;
	}
	failed(ctl, err, "no daemon: %s (start one: fid --root DIR --socket PATH)",
	       diag.text[0] ? diag.text : strerror(-err));
	return EXIT_NO_DAEMON;
}

static int ask(struct fictl *ctl, struct finf_client *client, const char *text, json_t **ret_reply)
{
	struct finf_diag diag = {{0}};
	json_error_t error;
	char *answer = NULL;
	int err = finf_client_control(client, text, &answer, &diag);

	if (!err) {
		*ret_reply = json_loads(answer, 0, &error);
		if (!*ret_reply)
			err = finf_diag_set(&diag, -EPROTO, "the answer is not JSON: %s", error.text);
	}
	free(answer);
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	return EXIT_DONE;
}

int control(struct fictl *ctl, json_t *request, json_t **ret_reply)
{
	struct finf_client *client;
	char *text = json_dumps(request, JSON_COMPACT);
	int rc = EXIT_FAILED;

	json_decref(request);
	if (!text)
		return failed(ctl, -ENOMEM, "out of memory");
	rc = connect_fid(ctl, &client);
	if (rc == EXIT_DONE) {
		rc = ask(ctl, client, text, ret_reply);
		finf_client_close(client);
	}
	free(text);
	return rc;
}

int print_json(json_t *doc)
{
	json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(doc);
	return EXIT_DONE;
}

uint64_t json_number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static char *ring(void)
{
	static char texts[16][32];
	static unsigned at;

	return texts[at++ % FINF_ARRAY_LEN(texts)];
}

const char *bytes_text(uint64_t bytes)
{
	char *text = ring();

	if (bytes >= 1000000000)
		snprintf(text, 32, "%.2f GB", (double)bytes / 1e9);
	else if (bytes >= 1000000)
		snprintf(text, 32, "%.1f MB", (double)bytes / 1e6);
	else if (bytes >= 1000)
		snprintf(text, 32, "%.1f kB", (double)bytes / 1e3);
	else
		snprintf(text, 32, "%" PRIu64 " B", bytes);
	return text;
}

const char *ns_text(uint64_t ns)
{
	char *text = ring();

	if (ns >= 10000000000u)
		snprintf(text, 32, "%.1f s", (double)ns / 1e9);
	else if (ns >= 1000000)
		snprintf(text, 32, "%.2f ms", (double)ns / 1e6);
	else
		snprintf(text, 32, "%.1f us", (double)ns / 1e3);
	return text;
}
