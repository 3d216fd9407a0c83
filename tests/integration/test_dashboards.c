/* SPDX-License-Identifier: MIT */
/* tools/dashboards: what they ask for is what a live fid exports. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define PREFIX "fusedinf_"

static const char *dashboards(const char *file)
{
	static char path[1100];

	snprintf(path, sizeof(path), "%s/tools/dashboards/%s", source_dir(), file);
	return path;
}

static char *metrics_of(const struct test_fid *fid)
{
	json_t *status = json_loads(fictl_ok(fid, "status", "--json", NULL), 0, NULL);
	const char *argv[] = {"/usr/bin/curl", "-sS", "--max-time", "60", NULL, NULL};
	struct test_output output;
	char url[128];

	snprintf(url, sizeof(url), "http://%s/metrics", json_string_value(json_object_get(status, "http")));
	json_decref(status);
	argv[4] = url;
	run_program(&output, argv);
	ck_assert_msg(!output.status, "%s", output.err);
	free(output.err);
	return output.out;
}

static bool has_type(const char *metrics, const char *name, size_t len, const char *type)
{
	char line[160];

	snprintf(line, sizeof(line), "# TYPE %.*s %s", (int)len, name, type);
	return strstr(metrics, line) != NULL;
}

/* A metric, or one of the three series of a histogram. */
static bool exported(const char *metrics, const char *name, size_t len)
{
	static const char *const parts[] = {"_bucket", "_sum", "_count"};

	if (has_type(metrics, name, len, ""))
		return !has_type(metrics, name, len, "histogram");
	for (int i = 0; i < 3; i++) {
		size_t tail = strlen(parts[i]);

		if (len > tail && !memcmp(name + len - tail, parts[i], tail) &&
		    has_type(metrics, name, len - tail, "histogram"))
			return true;
	}
	return false;
}

/* Every fusedinf_... of an expression; how many there were. */
static unsigned check_expression(const char *metrics, const char *expr)
{
	unsigned n = 0;

	for (const char *at = expr; (at = strstr(at, PREFIX)); n++) {
		size_t len = strlen(PREFIX);

		while (islower((unsigned char)at[len]) || at[len] == '_')
			len++;
		ck_assert_msg(exported(metrics, at, len), "fid exports no %.*s", (int)len, at);
		at += len;
	}
	return n;
}

static void check_panel(const char *metrics, const json_t *panel)
{
	const json_t *targets = json_object_get(panel, "targets"), *target;
	size_t i;

	ck_assert_uint_gt(json_array_size(targets), 0);
	json_array_foreach(targets, i, target)
		ck_assert_msg(check_expression(metrics, json_string_value(json_object_get(target, "expr"))),
			      "panel %s asks for nothing of ours",
			      json_string_value(json_object_get(panel, "title")));
}

START_TEST(every_metric_asked_for_is_exported)
{
	const char *extra[] = {"--http", "0", NULL};
	json_t *doc = json_load_file(dashboards("fusedinf.json"), 0, NULL);
	const json_t *panels = json_object_get(doc, "panels"), *panel;
	char line[512], *metrics;
	unsigned asked = 0;
	struct test_fid fid;
	FILE *rules;
	size_t i;

	fid_start(&fid, "fid", "16M", extra);
	metrics = metrics_of(&fid);
	ck_assert_uint_ge(json_array_size(panels), 10);
	json_array_foreach(panels, i, panel)
		check_panel(metrics, panel);
	rules = fopen(dashboards("alerts.yml"), "re");
	ck_assert_ptr_nonnull(rules);
	while (fgets(line, sizeof(line), rules))
		asked += check_expression(metrics, line);
	ck_assert_uint_ge(asked, 6);
	fclose(rules);
	json_decref(doc);
	free(metrics);
	fid_stop(&fid);
}
END_TEST

START_TEST(the_rules_are_rules)
{
	const char *const argv[] = {"/usr/bin/promtool", "check", "rules", dashboards("alerts.yml"), NULL};
	struct test_output output;

	if (access(argv[0], X_OK)) {
		skip_test("promtool", "promtool is not installed");
		return;
	}
	run_program(&output, argv);
	ck_assert_msg(!output.status, "%s%s", output.out, output.err);
	test_output_free(&output);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("dashboards");
	TCase *tc = tcase_create("metrics");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, every_metric_asked_for_is_exported);
	tcase_add_test(tc, the_rules_are_rules);
	suite_add_tcase(suite, tc);
	return suite;
}
