/* SPDX-License-Identifier: MIT */
/* fictl: fuse (many models into one group) and export. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "tools/fictl/group.h"
#include "tools/fictl/verdict.h"

#define GROUP_PORTS_MAX 64 /* of a request: fid takes no more tensors each way */

/* What members do alike, as one. */
enum batched { BATCHED_AUTO, BATCHED_ALWAYS, BATCHED_NEVER };

struct fuse_opts {
	const char *sources[FINF_MEMBERS_MAX];
	const char *name, *output;
	struct finf_merge_opts merge;
	uint32_t n, threads;
	enum batched batched;
	bool dry_run, verdict;
};

/* ---- does it fit? ------------------------------------------------------------------ */

/* Weights and activations in a pool of @bytes, planned as fid will plan them. */
static int price(const struct finf_graph *graph, const struct fuse_opts *opts, uint64_t bytes,
		 uint64_t *ret_weights, uint64_t *ret_arena, uint32_t *ret_branches,
		 struct finf_diag *diag)
{
	struct finf_device *dev = NULL;
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	int err = finf_device_open("host", &dev, diag);

	if (!err)
		err = finf_engine_plan(dev, graph, NULL, opts->threads, bytes, 0, NULL, &bound,
				       &plan, diag);
	if (!err) {
		*ret_weights = plan->weight_bytes;
		*ret_arena = plan->arena_bytes;
		*ret_branches = plan->n_branches;
	}
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_device_close(dev);
	return err;
}

/* In the order given, each that still has room beside those before it, one run at a time. */
static int name_fitting(const struct group *group, const struct fuse_opts *opts, uint64_t pool,
			char *text, size_t len, struct finf_diag *diag)
{
	uint64_t weights = 0, arena = 0;
	uint32_t branches, n = 0;
	size_t at = 0;

	text[0] = 0;
	for (uint32_t i = 0; i < group->n; i++) {
		const struct member *member = &group->members[i];
		uint64_t w, a;
		int err = price(member->pack->graph, opts, 0, &w, &a, &branches, diag);

		if (err)
			return err;
		if (weights + w + FINF_MAX(arena, a) > pool)
			continue;
		weights += w;
		arena = FINF_MAX(arena, a);
		at += (size_t)snprintf(text + at, at < len ? len - at : 0, "%s%s", n++ ? ", " : "",
				       member->name);
		at = FINF_MIN(at, len);
	}
	return 0;
}

static int check_fits(const struct group *group, const struct fuse_opts *opts, uint64_t pool,
		      struct finf_diag *diag)
{
	uint64_t weights, arena;
	uint32_t branches;
	char fitting[1024];
	int err = price(group->graph, opts, pool, &weights, &arena, &branches, diag);

	if (err || !pool || weights + arena <= pool)
		return err;
	err = name_fitting(group, opts, pool, fitting, sizeof(fitting), diag);
	if (err)
		return err;
	return finf_diag_set(
		diag, -ENOBUFS,
		"the group takes %s of weights and %s of activations, the pool has %s: "
		"%" PRIu64 " bytes too much; %s%s",
		bytes_text(weights), bytes_text(arena), bytes_text(pool), weights + arena - pool,
		*fitting ? "these fit: " : "no member fits", fitting);
}

static int check_ports(const struct finf_graph *graph, struct finf_diag *diag)
{
	if (graph->n_inputs <= GROUP_PORTS_MAX && graph->n_outputs <= GROUP_PORTS_MAX)
		return 0;
	return finf_diag_set(diag, -EOPNOTSUPP,
			     "%u inputs and %u outputs: a group can have %d of each",
			     graph->n_inputs, graph->n_outputs, GROUP_PORTS_MAX);
}

/* ---- making it ----------------------------------------------------------------------- */

static int write_file(const struct group *group, const char *path, struct finf_diag *diag)
{
	char dir[4096], name[4096];
	int fd, err;

	snprintf(dir, sizeof(dir), "%s", path);
	snprintf(name, sizeof(name), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = finf_pack_write_portable(fd, basename(name), group->graph, diag);
	close(fd);
	return err;
}

static int give_fid(struct finf_client *client, const struct group *group, const char *name,
		    json_t *doc, struct finf_diag *diag)
{
	char *answer = NULL;
	int fd, err = pack_graph(group->graph, &fd, diag);

	if (err)
		return err;
	err = finf_client_import(client, name, fd, &answer, diag);
	close(fd);
	if (!err) {
		json_t *about = json_loads(answer, 0, NULL);

		json_object_set_new(doc, "version",
				    json_integer((json_int_t)json_number(about, "version")));
		json_decref(about);
	}
	free(answer);
	return err;
}

static json_t *report_json(const struct group *group, const char *name)
{
	const struct finf_merge_report *r = &group->report;
	json_t *members = json_array();

	for (uint32_t i = 0; i < group->n; i++)
		json_array_append_new(members, json_string(group->members[i].name));
	return json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:i}", "name", name, "members",
			 members, "nodes_before", (int)r->nodes_before, "nodes",
			 (int)r->nodes_after, "constants_before", (int)r->constants_before,
			 "constants", (int)r->constants_after, "constant_bytes_before",
			 (json_int_t)r->bytes_before, "constant_bytes", (json_int_t)r->bytes_after,
			 "inputs_shared", (int)r->inputs_shared);
}

static void print_report(const struct group *group, const json_t *doc)
{
	const struct finf_merge_report *r = &group->report;
	const json_t *line;
	size_t i;

	for (uint32_t m = 0; m < group->n; m++)
		printf("%s%s", m ? " + " : "", group->members[m].name);
	printf(": %u nodes, %u of them once instead of twice or more; %s of weights, %s saved; "
	       "%u shared inputs\n",
	       r->nodes_after,
	       r->nodes_before > r->nodes_after ? r->nodes_before - r->nodes_after : 0,
	       bytes_text(r->bytes_after), bytes_text(r->bytes_before - r->bytes_after),
	       r->inputs_shared);
	json_array_foreach(json_object_get(json_object_get(doc, "verdict"), "text"), i, line)
		puts(json_string_value(line));
	if (json_number(doc, "version"))
		printf("%s:%" PRIu64 " is there\n", json_text(doc, "name"),
		       json_number(doc, "version"));
	else if (*json_text(doc, "file"))
		printf("written to %s\n", json_text(doc, "file"));
	else
		puts("nothing was made");
}

/* Measuring takes room for group and members together: where there is none, the group is
 * made unmeasured. */
static int judge(const struct group *group, const struct fuse_opts *opts,
		 const struct finf_batch_report *alike, json_t *doc, struct finf_diag *diag)
{
	bool try = alike->nodes && opts->batched == BATCHED_AUTO;
	int err = verdict_add(group, opts->threads, alike, try, doc, diag);
	char text[600];

	if (!err || opts->dry_run)
		return err;
	snprintf(text, sizeof(text), "not measured: %.500s", diag->text);
	diag->text[0] = 0;
	json_object_set_new(doc, "verdict", json_pack("{s:s, s:[s]}", "words", text, "text", text));
	return 0;
}

static int make_group(struct finf_client *client, const struct group *group,
		      const struct fuse_opts *opts, json_t *doc, struct finf_diag *diag)
{
	struct finf_batch_report alike;
	int err = check_ports(group->graph, diag);

	if (!err)
		err = group_alike(group, &alike, diag);
	if (!err && opts->batched == BATCHED_ALWAYS && !alike.nodes)
		err = finf_diag_set(diag, -EINVAL,
				    "there is nothing to batch: no members do the same with the "
				    "same weights on inputs of their own");
	if (!err && opts->verdict)
		err = judge(group, opts, &alike, doc, diag);
	if (err || opts->dry_run)
		return err;
	if (!opts->output)
		return give_fid(client, group, opts->name, doc, diag);
	json_object_set_new(doc, "file", json_string(opts->output));
	return write_file(group, opts->output, diag);
}

/* 0 = there is no daemon to ask. */
static int pool_bytes(struct finf_client *client, uint64_t *ret, struct finf_diag *diag)
{
	char *answer = NULL;
	json_t *doc;
	int err;

	*ret = 0;
	if (!client)
		return 0;
	err = finf_client_control(client, "{\"command\": \"status\"}", &answer, diag);
	if (err)
		return err;
	doc = json_loads(answer, 0, NULL);
	*ret = json_number(json_object_get(doc, "pool"), "bytes");
	json_decref(doc);
	free(answer);
	return 0;
}

static int fuse(struct fictl *ctl, struct finf_client *client, const struct fuse_opts *opts)
{
	struct group *group = malloc(sizeof(*group));
	struct finf_diag diag = {{0}};
	json_t *doc = NULL;
	uint64_t pool;
	int err;

	if (!group)
		return failed(ctl, -ENOMEM, "out of memory");
	err = group_open(group, client, opts->name, opts->sources, opts->n, &opts->merge, &diag);
	if (!err)
		group->graph->batched = opts->batched == BATCHED_ALWAYS;
	if (!err)
		err = pool_bytes(client, &pool, &diag);
	if (!err)
		err = check_fits(group, opts, pool, &diag);
	if (!err) {
		doc = report_json(group, opts->name);
		err = make_group(client, group, opts, doc, &diag);
	}
	if (err) {
		json_decref(doc);
		failed(ctl, err, "fuse: %s", diag.text[0] ? diag.text : strerror(-err));
	} else if (ctl->json) {
		print_json(doc);
	} else {
		print_report(group, doc);
		json_decref(doc);
	}
	group_close(group);
	free(group);
	return err ? EXIT_FAILED : EXIT_DONE;
}

/* ---- options ---------------------------------------------------------------------------- */

static int parse_fuse(struct fictl *ctl, int argc, char **argv, struct fuse_opts *opts)
{
	const char *share = NULL, *optimize = "latency", *dry = NULL, *no_verdict = NULL;
	const char *threads = NULL, *batched = NULL;
	const struct option_spec specs[] = {
		{"--name", false, &opts->name},	  {"--share-input", true, &share},
		{"--batched", false, &batched},
		{"--optimize", false, &optimize}, {"-o", false, &opts->output},
		{"--dry-run", true, &dry},	  {"--no-verdict", true, &no_verdict},
		{"--threads", false, &threads},	  {0}};
	uint64_t number = (uint64_t)FINF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	int n = parse(ctl, argc, argv, specs, opts->sources, FINF_MEMBERS_MAX);

	if (n < 0)
		return EXIT_USAGE;
	if (n < 2)
		return usage(ctl, "a group needs two members or more");
	if (strcmp(optimize, "latency") && strcmp(optimize, "memory"))
		return usage(ctl, "--optimize is memory or latency, not %s", optimize);
	if (batched && strcmp(batched, "auto") && strcmp(batched, "always") &&
	    strcmp(batched, "never"))
		return usage(ctl, "--batched is auto, always or never, not %s", batched);
	if (threads && !parse_number(ctl, "--threads", threads, 1, 1024, &number))
		return EXIT_USAGE;
	if (!opts->name && !opts->output && !dry)
		return usage(ctl, "the group needs a --name");
	if (opts->name && (!finf_name_ok(opts->name, NULL, NULL) || strchr(opts->name, ':')))
		return usage(ctl, "\"%s\" is not a model name: [A-Za-z0-9][A-Za-z0-9._-]{0,127}",
			     opts->name);
	opts->n = (uint32_t)n;
	opts->threads = (uint32_t)number;
	opts->dry_run = dry != NULL;
	opts->verdict = !no_verdict;
	opts->name = opts->name ? opts->name : "group";
	/* Rows of all members at once take more bytes: to save them is to do without. */
	if (!batched || !strcmp(batched, "auto"))
		opts->batched = strcmp(optimize, "memory") ? BATCHED_AUTO : BATCHED_NEVER;
	else
		opts->batched = strcmp(batched, "never") ? BATCHED_ALWAYS : BATCHED_NEVER;
	opts->merge.size = sizeof(opts->merge);
	opts->merge.share_inputs = share != NULL;
	opts->merge.schedule =
		strcmp(optimize, "memory") ? FINF_SIDE_BY_SIDE : FINF_ONE_BY_ONE;
	return EXIT_DONE;
}

/* Files alone, into a file or to be measured only: no daemon is needed. */
static bool needs_fid(const struct fuse_opts *opts)
{
	bool needs = !opts->output && !opts->dry_run;

	for (uint32_t i = 0; i < opts->n; i++) {
		const char *equals = strchr(opts->sources[i], '=');

		needs |= !is_file(equals ? equals + 1 : opts->sources[i]);
	}
	return needs;
}

static int cmd_fuse(struct fictl *ctl, int argc, char **argv)
{
	struct finf_client *client = NULL;
	struct fuse_opts opts = {.n = 0};
	int rc = parse_fuse(ctl, argc, argv, &opts);

	if (rc == EXIT_DONE && needs_fid(&opts))
		rc = connect_fid(ctl, &client);
	if (rc == EXIT_DONE)
		rc = fuse(ctl, client, &opts);
	finf_client_close(client);
	return rc;
}

/* ---- export ------------------------------------------------------------------------------- */

static int copy_file(int from, const char *path, uint64_t *ret_bytes, struct finf_diag *diag)
{
	const void *data = NULL;
	size_t bytes = 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), err;

	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = finf_file_map(from, &data, &bytes);
	if (!err)
		err = finf_write_full(fd, data, bytes);
	if (!err && fsync(fd))
		err = -errno;
	finf_file_unmap(data, bytes);
	close(fd);
	if (err) {
		unlink(path);
		return finf_diag_set(diag, err, "%s: %s", path, strerror(-err));
	}
	*ret_bytes = bytes;
	return 0;
}

static int cmd_export(struct fictl *ctl, int argc, char **argv)
{
	const char *name, *path = NULL;
	const struct option_spec specs[] = {{"-o", false, &path}, {0}};
	int n = parse(ctl, argc, argv, specs, &name, 1), fd = -1, rc, err;
	struct finf_diag diag = {{0}};
	struct finf_client *client;
	uint64_t bytes = 0;

	if (n < 0)
		return EXIT_USAGE;
	if (!n || !path)
		return usage(ctl, n ? "into which file? -o FILE.fim" : "which model?");
	rc = connect_fid(ctl, &client);
	if (rc != EXIT_DONE)
		return rc;
	err = finf_client_export(client, name, &fd, &diag);
	finf_client_close(client);
	if (!err) {
		err = copy_file(fd, path, &bytes, &diag);
		close(fd);
	}
	if (err)
		return failed(ctl, err, "export of %s: %s", name,
			      diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json)
		return print_json(json_pack("{s:s, s:s, s:I}", "model", name, "file", path, "bytes",
					    (json_int_t)bytes));
	printf("%s written to %s, %s\n", name, path, bytes_text(bytes));
	return EXIT_DONE;
}

const struct command commands_fuse[] = {
	{"fuse",
	 "[MEMBER=]NAME|FILE... --name G [--share-input] [--optimize latency|memory]\n"
	 "                  [--batched auto|always|never] [-o FILE.fim] [--dry-run]\n"
	 "                  [--no-verdict] [--threads N]",
	 "make one group of two models or more",
	 "Members are models of fid's or files (.onnx, .fim); MEMBER= names one in the group. "
	 "Equal\n"
	 "weights are kept once, equal work is done once. --share-input makes one input of those\n"
	 "that are alike. --optimize memory runs members one after the other in the same bytes,\n"
	 "latency side by side where the pool has room. What members do alike, with the same weights\n"
	 "on inputs of their own, is done once for all of them where that was measured to be faster;\n"
	 "--batched always or never asks for it or forbids it. Fused and separate are measured first;\n"
	 "--no-verdict leaves that out, --dry-run makes nothing, -o writes a file instead of\n"
	 "giving the group to fid. A group holds copies: its members may be removed.\n",
	 cmd_fuse},
	{"export", "NAME[:VERSION] -o FILE.fim", "write a model's portable pack into a file", NULL,
	 cmd_export},
	{0},
};
