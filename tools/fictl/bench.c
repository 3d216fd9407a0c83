/* SPDX-License-Identifier: MIT */
/* fictl bench: rows, samples, a scratch daemon, and the table of benchmarks. */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/fictl/bench.h"

void bench_sample(struct bench_samples *samples, double x)
{
	if (samples->n < BENCH_SAMPLES_MAX)
		samples->x[samples->n++] = x;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_quantile(const struct bench_samples *samples, double q)
{
	double sorted[BENCH_SAMPLES_MAX];

	if (!samples->n)
		return NAN;
	memcpy(sorted, samples->x, samples->n * sizeof(sorted[0]));
	qsort(sorted, samples->n, sizeof(sorted[0]), by_value);
	return sorted[(size_t)(q * (double)(samples->n - 1) + 0.5)];
}

void bench_begin(struct bench_report *report, bool json)
{
	*report = (struct bench_report){.rows = json_array(), .json = json};
	if (!json)
		printf("%-44s %12s %-6s %12s %7s %6s %5s  %s\n", "WHAT", "VALUE", "UNIT", "BASELINE",
		       "RATIO", "GOAL", "N", "P10 .. P90");
}

static json_t *samples_json(const struct bench_samples *samples)
{
	json_t *list = json_array();

	for (size_t i = 0; i < samples->n; i++)
		json_array_append_new(list, json_real(samples->x[i]));
	return list;
}

void bench_add(struct bench_report *report, const struct bench_row *row)
{
	double value = bench_quantile(row->ours, row->quantile);
	double low = bench_quantile(row->ours, 0.1), high = bench_quantile(row->ours, 0.9);
	double theirs = row->theirs ? bench_quantile(row->theirs, row->quantile) : NAN;
	double ratio = !row->theirs ? (row->rate ? value / row->goal : row->goal / value)
		       : row->rate  ? value / theirs
				    : theirs / value;
	double goal = row->theirs ? row->goal : 1;
	json_t *doc = json_pack("{s:s, s:f, s:s, s:f, s:f, s:I, s:f, s:f, s:o}", "what", row->what,
				"value", value, "unit", row->unit, "ratio", ratio, "goal", goal, "n",
				(json_int_t)row->ours->n, "p10", low, "p90", high, "samples",
				samples_json(row->ours));

	json_object_set_new(doc, "baseline", row->baseline ? json_string(row->baseline) : json_null());
	json_object_set_new(doc, "baseline_value", row->theirs ? json_real(theirs) : json_null());
	json_array_append_new(report->rows, doc);
	if (report->json)
		return;
	printf("%-44s %12.3f %-6s ", row->what, value, row->unit);
	if (row->theirs)
		printf("%12.3f", theirs);
	else
		printf("%12s", "-");
	printf(" %7.3f %6.2f %5zu  %.3f .. %.3f%s%s\n", ratio, goal, row->ours->n, low, high,
	       row->baseline ? "  against " : "", row->baseline ? row->baseline : "");
	fflush(stdout);
}

void bench_skip(struct bench_report *report, const char *what, const char *reason)
{
	if (!report->json)
		printf("%-44s skipped: %s\n", what, reason);
	else
		json_array_append_new(report->rows,
				      json_pack("{s:s, s:s}", "what", what, "skipped", reason));
}

int bench_end(struct bench_report *report)
{
	if (report->json)
		return print_json(report->rows);
	json_decref(report->rows);
	return EXIT_DONE;
}

/* ---- a daemon of our own --------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void bench_fid_stop(struct bench_fid *fid)
{
	finf_client_close(fid->client);
	if (fid->pid > 0) {
		kill(fid->pid, SIGTERM);
		waitpid(fid->pid, NULL, 0);
	}
	if (fid->dir[0])
		nftw(fid->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	*fid = (struct bench_fid){0};
}

bool bench_program(const char *name, char *path, size_t len)
{
	ssize_t n = readlink("/proc/self/exe", path, len - 1);
	char *slash;

	if (n < 0)
		return false;
	path[n] = 0;
	slash = strrchr(path, '/');
	n = slash ? slash + 1 - path : 0;
	return (size_t)snprintf(path + n, len - (size_t)n, "%s", name) < len - (size_t)n;
}

/* fid lies beside fictl; the socket is there when it serves. */
static pid_t spawn_fid(const struct bench_fid *fid, const char *pool, const char *const *options)
{
	char program[PATH_MAX];
	const char *argv[24] = {"fid",	    "--foreground", "--log",	 "warning",   "--root",
				fid->dir,   "--socket",	    fid->socket, "--pool",    pool};
	size_t n = 10;
	pid_t pid;

	while (options && *options && n + 1 < FINF_ARRAY_LEN(argv))
		argv[n++] = *options++;
	if (!bench_program("fid", program, sizeof(program)))
		return -1;
	pid = fork();
	if (pid)
		return pid;
	execv(program, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "fictl: %s: %s\n", program, strerror(errno));
	_exit(127);
}

json_t *bench_ask(struct bench_fid *fid, const char *request)
{
	struct finf_diag diag;
	char *text = NULL;
	json_t *reply;

	if (finf_client_control(fid->client, request, &text, &diag))
		return NULL;
	reply = json_loads(text, 0, NULL);
	free(text);
	return reply;
}

int bench_fid_start(struct fictl *ctl, const char *pool, const char *const *options,
		    struct bench_fid *ret)
{
	const char *base = getenv("TMPDIR");
	struct finf_diag diag = {{0}};
	int err = -ENOENT;

	*ret = (struct bench_fid){0};
	snprintf(ret->dir, sizeof(ret->dir), "%.40s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(ret->dir)) {
		ret->dir[0] = 0;
		return failed(ctl, -errno, "no scratch folder: %s", strerror(errno));
	}
	snprintf(ret->socket, sizeof(ret->socket), "%s/fid.sock", ret->dir);
	ret->pid = spawn_fid(ret, pool, options);
	for (int i = 0; ret->pid > 0 && i < 1000 && err; i++) {
		err = finf_client_open(ret->socket, &ret->client, &diag);
		if (err && waitpid(ret->pid, NULL, WNOHANG) == ret->pid)
			ret->pid = 0;
		if (err)
			usleep(10000);
	}
	if (err) {
		failed(ctl, err, "fid did not start: %s", diag.text);
		bench_fid_stop(ret);
		return EXIT_FAILED;
	}
	finf_client_timeout(ret->client, 600000);
	return EXIT_DONE;
}

/* ---- the table ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct fictl *ctl, int argc, char **argv);
} benches[] = {{"fused", bench_fused}, {"http", bench_http}, {"ipc", bench_ipc}, {"probe", bench_probe}, {"swap", bench_swap}};

static int cmd_bench(struct fictl *ctl, int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < FINF_ARRAY_LEN(benches); i++)
		if (!strcmp(benches[i].name, argv[1]))
			return benches[i].run(ctl, argc - 1, argv + 1);
	return usage(ctl, argc > 1 ? "no such benchmark: %s" : "which benchmark?", argv[1]);
}

const struct command commands_bench[] = {
	{"bench", "fused|http|ipc|probe|swap [options]", "measure ratios against a baseline in the same run",
	 "bench ipc [--count N]      round trip of an empty model through a daemon of our own\n"
	 "bench http [--count N]     the same over HTTP, with one connection and with eight\n"
	 "bench fused [--models A,B,.. [--variants]] [--threads N]\n"
	 "                           a group of zoo networks against its members one after the\n"
	 "                           other in the same engine; without --models: sets of small\n"
	 "                           ones; --variants: they differ in their last layer only\n"
	 "bench probe [--count N]    from a connection in the kernel to its model's swap-in\n"
	 "                           submitted, and what the USDT site costs; takes root\n"
	 "bench swap [--model NAME] [--device host|cuda] [--pool-mode MODE] [--repeat N]\n"
	 "           [--mode auto|staging|direct|pread] [--fio KIBxDEPTH] [--huge]\n"
	 "           [--memlock BYTES]\n"
	 "                           swap-in of a zoo network (vgg16): cold against fio reading the\n"
	 "                           same file directly (its best block and depth, or those of\n"
	 "                           --fio; --huge: also with its huge-page buffers), and below\n"
	 "                           64 MiB a one-shot io_uring reader; warm against preadv2; on\n"
	 "                           a GPU against a pinned copy as well\n"
	 "\n"
	 "Ratios above 1 mean that ours is better; rows without a baseline compare with the goal.\n",
	 cmd_bench},
	{0},
};
