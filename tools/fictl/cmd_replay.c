/* SPDX-License-Identifier: MIT */
/* fictl: what fid recorded, again: the same decisions, or those of other options. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/trace.h"
#include "tools/fictl/fictl.h"

static int read_file(const char *path, void **ret_data, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stat st;
	void *data;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
	data = err ? NULL : malloc((size_t)st.st_size + 1);
	if (!err && !data)
		err = -ENOMEM;
	if (!err)
		err = finf_pread_full(fd, data, (size_t)st.st_size, 0);
	close(fd);
	if (err) {
		free(data);
		return err;
	}
	*ret_data = data;
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

/* ---- the figures ------------------------------------------------------------------ */

static json_t *resim_json(const struct finf_resim *r)
{
	const struct finf_policy_prefetch *p = &r->prefetch;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
			 "requests", (json_int_t)r->requests, "failed", (json_int_t)r->failed, "cold",
			 (json_int_t)r->cold, "loads", (json_int_t)r->loads, "load_bytes",
			 (json_int_t)r->load_bytes, "evictions", (json_int_t)r->evictions, "prefetch",
			 "loads", (json_int_t)p->loads, "hits", (json_int_t)p->hits, "late",
			 (json_int_t)p->late, "wasted", (json_int_t)p->wasted, "load_bytes",
			 (json_int_t)p->load_bytes, "wasted_bytes", (json_int_t)p->wasted_bytes,
			 "refaults", (json_int_t)p->refaults);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_row(const char *name, const struct finf_resim *r)
{
	printf("%-8s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %10s %7" PRIu64
	       " %6" PRIu64 " %7" PRIu64 " %9.1f\n",
	       name, r->requests, r->failed, r->cold, r->evictions, bytes_text(r->load_bytes),
	       r->prefetch.hits, r->prefetch.late, r->prefetch.wasted,
	       percent(r->prefetch.wasted_bytes, r->prefetch.load_bytes));
}

static int print_resim(struct fictl *ctl, const struct finf_policy_opts *opts,
		       const struct finf_resim *with, const struct finf_resim *lru)
{
	if (ctl->json)
		return print_json(json_pack("{s:I, s:I, s:o, s:o}", "pool_bytes",
					    (json_int_t)opts->pool_bytes, "prefetch_bytes",
					    (json_int_t)opts->prefetch_bytes, "policy",
					    resim_json(with), "lru", resim_json(lru)));
	printf("pool %s, eviction %s, prefetch %s\n\n", bytes_text(opts->pool_bytes),
	       opts->evict ? opts->evict : "lru",
	       opts->prefetch_bytes ? bytes_text(opts->prefetch_bytes) : "off");
	printf("%-8s %9s %9s %9s %9s %10s %7s %6s %7s %9s\n", "", "requests", "failed", "cold",
	       "evictions", "swapped", "hits", "late", "wasted", "wasted %");
	print_row("policy", with);
	print_row("lru", lru);
	if (lru->cold)
		printf("\ncold starts: %+.1f %%\n",
		       100.0 * ((double)with->cold / (double)lru->cold - 1));
	return EXIT_DONE;
}

/* ---- replay -------------------------------------------------------------------------- */

static int check_same(struct fictl *ctl, const char *path, const void *data, size_t bytes)
{
	struct finf_record_totals totals;
	struct finf_diag diag = {{0}};
	int err = finf_record_replay(data, bytes, &totals, &diag);

	if (err)
		return failed(ctl, err, "%s: %s", path, diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json)
		return print_json(json_pack("{s:I, s:I}", "steps", (json_int_t)totals.steps,
					    "actions", (json_int_t)totals.actions));
	printf("%s: %" PRIu64 " events led to the same %" PRIu64 " actions\n", path, totals.steps,
	       totals.actions);
	return EXIT_DONE;
}

struct replay_args {
	const char *pool, *evict, *prefetch;
};

/* The record's own options, changed by @args. EXIT_DONE, or an exit code after a message. */
static int change_opts(struct fictl *ctl, const struct replay_args *args,
		       struct finf_policy_opts *opts)
{
	if (args->pool && finf_size_parse(args->pool, opts->pool_bytes, &opts->pool_bytes))
		return usage(ctl, "--pool %s: a size is expected, like 512M, or 50%% of the record's",
			     args->pool);
	if (args->evict)
		opts->evict = args->evict;
	if (args->prefetch && !strcmp(args->prefetch, "off"))
		opts->prefetch_bytes = 0;
	else if (args->prefetch &&
		 finf_size_parse(args->prefetch, opts->pool_bytes, &opts->prefetch_bytes))
		return usage(ctl, "--prefetch %s: off, or a size, like 512M or 25%% of the pool",
			     args->prefetch);
	return EXIT_DONE;
}

static int simulate(struct fictl *ctl, const char *path, const void *data, size_t bytes,
		    const struct replay_args *args)
{
	struct finf_policy_opts opts, plain;
	struct finf_resim with, lru;
	struct finf_diag diag = {{0}};
	struct finf_trace trace;
	char evict[17];
	int err = finf_trace_read(data, bytes, &trace, &diag), rc;

	if (err)
		return failed(ctl, err, "%s: %s", path, diag.text[0] ? diag.text : strerror(-err));
	finf_record_opts(&trace.head, evict, &opts);
	rc = change_opts(ctl, args, &opts);
	if (rc == EXIT_DONE) {
		plain = opts;
		plain.evict = "lru";
		plain.prefetch_bytes = 0;
		err = finf_trace_resim(&trace, &opts, NULL, NULL, &with, &diag);
		if (!err)
			err = finf_trace_resim(&trace, &plain, NULL, NULL, &lru, &diag);
		rc = err ? failed(ctl, err, "%s: %s", path, diag.text)
			 : print_resim(ctl, &opts, &with, &lru);
	}
	finf_trace_free(&trace);
	return rc;
}

static int cmd_replay(struct fictl *ctl, int argc, char **argv)
{
	struct replay_args args = {0};
	const struct option_spec specs[] = {{"--pool", false, &args.pool},
		{"--evict", false, &args.evict}, {"--prefetch", false, &args.prefetch}, {0}};
	const char *path;
	size_t bytes = 0;
	void *data = NULL;
	int n = parse(ctl, argc, argv, specs, &path, 1), err, rc;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which record?");
	err = read_file(path, &data, &bytes);
	if (err)
		return failed(ctl, err, "%s: %s", path, strerror(-err));
	if (args.pool || args.evict || args.prefetch)
		rc = simulate(ctl, path, data, bytes, &args);
	else
		rc = check_same(ctl, path, data, bytes);
	free(data);
	return rc;
}

/* ---- trace make ---------------------------------------------------------------------- */

static void put_step(void *ctx, const struct finf_record_step *step,
		     const struct finf_action *actions)
{
	finf_buf_put(ctx, step, sizeof(*step));
	finf_buf_put(ctx, actions, step->n_actions * sizeof(*actions));
}

static int write_trace(const struct finf_trace *trace, const char *path, struct finf_diag *diag)
{
	struct finf_policy_opts opts;
	struct finf_resim figures;
	struct finf_buf buf;
	char evict[17];
	int fd, err;

	finf_buf_init(&buf);
	finf_buf_put(&buf, &trace->head, sizeof(trace->head));
	finf_record_opts(&trace->head, evict, &opts);
	err = finf_trace_resim(trace, &opts, put_step, &buf, &figures, diag);
	if (!err)
		err = buf.err;
	if (!err) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		err = fd < 0 ? -errno : finf_write_full(fd, buf.data, buf.len);
		if (fd >= 0 && close(fd) && !err)
			err = -errno;
	}
	finf_buf_fini(&buf);
	return err;
}

static int list_patterns(struct fictl *ctl)
{
	json_t *names = json_array();

	for (uint32_t i = 0; finf_trace_pattern(i); i++) {
		if (!ctl->json)
			puts(finf_trace_pattern(i));
		json_array_append_new(names, json_string(finf_trace_pattern(i)));
	}
	if (ctl->json)
		return print_json(json_pack("{s:o}", "patterns", names));
	json_decref(names);
	return EXIT_DONE;
}

static int cmd_trace(struct fictl *ctl, int argc, char **argv)
{
	const char *args[2], *output = NULL, *seed_text = NULL;
	const struct option_spec specs[] = {
		{"-o", false, &output}, {"--output", false, &output}, {"--seed", false, &seed_text}, {0}};
	struct finf_diag diag = {{0}};
	struct finf_trace trace;
	uint64_t seed = 1, requests;
	int n = parse(ctl, argc, argv, specs, args, 2), err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n || strcmp(args[0], "make"))
		return usage(ctl, "make is all it can do");
	if (n == 1)
		return list_patterns(ctl);
	if (seed_text && !parse_number(ctl, "--seed", seed_text, 0, UINT64_MAX, &seed))
		return EXIT_USAGE;
	if (!output)
		return usage(ctl, "where to? -o FILE");
	err = finf_trace_make(args[1], seed, &trace);
	if (err == -ENOENT)
		return usage(ctl, "no pattern %s; fictl trace make lists them", args[1]);
	if (err)
		return failed(ctl, err, "trace %s: %s", args[1], strerror(-err));
	requests = trace.n_requests;
	err = write_trace(&trace, output, &diag);
	finf_trace_free(&trace);
	if (err)
		return failed(ctl, err, "%s: %s", output, diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json)
		return print_json(json_pack("{s:s, s:s, s:I}", "pattern", args[1], "file", output,
					    "requests", (json_int_t)requests));
	printf("%s: %" PRIu64 " requests\n", output, requests);
	return EXIT_DONE;
}

const struct command commands_replay[] = {
	{"replay", "FILE [--pool BYTES|%] [--evict NAME] [--prefetch BYTES|%|off]",
	 "feed what fid recorded to the scheduler again",
	 "Without options: are the decisions the same? With options: what would the same requests\n"
	 "have met under them, in virtual time, beside plain LRU without prefetch?\n", cmd_replay},
	{"trace", "make [PATTERN -o FILE [--seed N]]", "write a record of made-up requests",
	 "Without PATTERN: the list. The same seed gives the same file everywhere.\n", cmd_trace},
	{0},
};
