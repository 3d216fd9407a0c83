/* SPDX-License-Identifier: MIT */
/*
 * fictl bench fused: groups of zoo networks run as one, against the same networks
 * one after the other in the same engine, in turn. Networks of one name differ in
 * their weights, variants in those of the last layer only.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fictl/bench.h"
#include "tools/fictl/verdict.h"
#include "tools/fictl/zoo/zoo.h"

#define SET_MAX 16u

/* Pairs, variants of one backbone, a triple, five, and many tiny layers. */
static const struct {
	const char *models;
	bool variants;
	double goal; /* how much faster than separate */
} sets[] = {
	{"mobilenet_v2,mobilenet_v2", false, 1.15},
	{"squeezenet1_1,mobilenet_v2", false, 1.0},
	{"cifar_resnet18,cifar_vgg16", false, 1.0},
	{"resnet18,squeezenet1_1", false, 1.0},
	{"squeezenet1_1,squeezenet1_1,squeezenet1_1", false, 1.0},
	{"mobilenet_v2,squeezenet1_1,cifar_resnet18,text_cnn,bert_mini", false, 1.0},
	{"text_cnn,text_cnn,text_cnn,text_cnn", false, 1.4},
	{"bert_mini,bert_mini,bert_mini,bert_mini", false, 1.4},
	{"cifar_resnet18,cifar_resnet18,cifar_resnet18,cifar_resnet18", true, 1.4},
};

/* Beyond this a group may not be slower: 2 %. */
#define NEVER_SLOWER 0.98

struct set {
	char dir[64];
	char sources[SET_MAX][160]; /* NAME=FILE */
	const char *list[SET_MAX];
	uint32_t n;
};

static const char *file_of(const struct set *set, uint32_t i)
{
	return strchr(set->sources[i], '=') + 1;
}

static int write_network(struct set *set, const char *name, bool variants, struct finf_diag *diag)
{
	uint32_t i = set->n;
	char dir[sizeof(set->dir)];

	if (i == SET_MAX)
		return finf_diag_set(diag, -EINVAL, "more than %u networks", SET_MAX);
	memcpy(dir, set->dir, sizeof(dir)); /* the compiler takes one member for the other */
	snprintf(set->sources[i], sizeof(set->sources[i]), "m%u=%s/m%u.onnx", i, dir, i);
	set->list[i] = set->sources[i];
	set->n++;
	return zoo_write_variant(name, variants ? 0 : i, variants ? i + 1 : 0, file_of(set, i), diag);
}

static int write_set(struct set *set, const char *models, bool variants, struct finf_diag *diag)
{
	const char *base = getenv("TMPDIR");
	char names[512], *rest = names, *name;
	int err = 0;

	*set = (struct set){.n = 0};
	snprintf(set->dir, sizeof(set->dir), "%.40s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(set->dir)) {
		set->dir[0] = 0;
		return finf_diag_set(diag, -errno, "no scratch folder");
	}
	if ((size_t)snprintf(names, sizeof(names), "%s", models) >= sizeof(names))
		return finf_diag_set(diag, -EINVAL, "too many names");
	while (!err && (name = strsep(&rest, ",")))
		err = write_network(set, name, variants, diag);
	return err;
}

static void drop_set(struct set *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		unlink(file_of(set, i));
	if (set->dir[0])
		rmdir(set->dir);
}

/* ---- rows ------------------------------------------------------------------------------ */

static void fill(struct bench_samples *to, const uint64_t *ns, uint32_t n)
{
	to->n = 0;
	for (uint32_t i = 0; i < n; i++)
		bench_sample(to, (double)ns[i] * 1e-6);
}

static void add_bytes(struct bench_report *report, const char *what, const char *baseline,
		      uint64_t ours_bytes, uint64_t theirs_bytes, double goal)
{
	static struct bench_samples ours, theirs;

	ours.n = theirs.n = 0;
	bench_sample(&ours, (double)ours_bytes * 1e-6);
	bench_sample(&theirs, (double)theirs_bytes * 1e-6);
	bench_add(report, &(struct bench_row){.what = what,
					      .unit = "MB",
					      .ours = &ours,
					      .quantile = 0.5,
					      .baseline = baseline,
					      .theirs = &theirs,
					      .goal = goal});
}

/* Equal weights are there once, in the group as among its members' bytes. */
static void add_weights(struct bench_report *report, const struct group *group,
			const struct trial_figures *f)
{
	add_bytes(report, "  weights in the pool", "unique bytes of the models", f->fused.weight_bytes,
		  group->report.bytes_after, 0.99);
}

/* Both cold: one file at a stretch, and one file per member. */
static void add_load(struct bench_report *report, const struct trial_figures *f)
{
	static struct bench_samples ours, theirs;

	ours.n = theirs.n = 0;
	for (uint32_t i = 0; i < TRIAL_LOADS; i++) {
		bench_sample(&ours, (double)f->fused.weight_bytes / (double)f->fused.load_ns[i]);
		bench_sample(&theirs, (double)f->separate.weight_bytes /
					      (double)f->separate.load_ns[i]);
	}
	bench_add(report, &(struct bench_row){.what = "  load, cold",
					      .unit = "GB/s",
					      .ours = &ours,
					      .quantile = 0.5,
					      .baseline = "members one after the other",
					      .theirs = &theirs,
					      .goal = 1,
					      .rate = true});
}

static void add_rows(struct bench_report *report, const char *models, uint32_t threads, double goal,
		     const struct trial_figures *f)
{
	static struct bench_samples ours, theirs;
	char what[600];

	snprintf(what, sizeof(what), "%s, %u thread%s%s", models, threads, threads > 1 ? "s" : "",
		 f->fused.batched ? ", batched" : f->fused.side_by_side ? ", side by side" : "");
	fill(&ours, f->fused.ns, f->rounds);
	fill(&theirs, f->separate.ns, f->rounds);
	bench_add(report,
		  &(struct bench_row){.what = what,
				      .unit = "ms",
				      .ours = &ours,
				      .quantile = 0.5,
				      .baseline = "one after the other",
				      .theirs = &theirs,
				      .goal = threads > 1 && goal > 1 ? goal : NEVER_SLOWER});
	if (f->fused.bound_ns) {
		theirs.n = 0;
		bench_sample(&theirs, (double)f->fused.bound_ns * 1e-6);
		bench_add(report, &(struct bench_row){.what = "  of what no schedule beats",
						      .unit = "ms",
						      .ours = &ours,
						      .quantile = 0.5,
						      .baseline = "longest path or one-thread work spread",
						      .theirs = &theirs,
						      .goal = 0.95});
	}
	add_bytes(report, "  peak, weights and arena", "weights of all, largest arena",
		  f->fused.bytes, f->separate.bytes, 0.9);
	if (threads == 1)
		return;
	add_bytes(report, "  arena of --optimize memory", "the largest member's",
		  f->serial_arena_bytes, f->largest_arena_bytes, 1 / 1.05);
	add_load(report, f);
}

static int run_set(struct bench_report *report, const char *models, bool variants, uint32_t threads,
		   double goal, struct finf_diag *diag)
{
	struct finf_merge_opts opts = {.size = sizeof(opts), .schedule = FINF_SIDE_BY_SIDE};
	static struct trial_figures figures;
	struct finf_batch_report alike;
	struct group group = {.n = 0};
	struct set set;
	int err = write_set(&set, models, variants, diag);

	if (!err)
		err = group_open(&group, NULL, "bench", set.list, set.n, &opts, diag);
	if (!err)
		err = group_alike(&group, &alike, diag);
	if (!err)
		err = trial_run(&group, threads, alike.nodes, &figures, diag);
	if (!err)
		add_rows(report, models, threads, goal, &figures);
	if (!err && variants)
		add_weights(report, &group, &figures);
	if (err == -EOPNOTSUPP) {
		bench_skip(report, models, diag->text);
		err = 0;
	}
	group_close(&group);
	drop_set(&set);
	return err;
}

int bench_fused(struct fictl *ctl, int argc, char **argv)
{
	const char *models = NULL, *threads_text = NULL, *variants = NULL;
	const struct option_spec specs[] = {{"--models", false, &models},
					    {"--variants", true, &variants},
					    {"--threads", false, &threads_text},
					    {0}};
	uint64_t most = (uint64_t)FINF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), least = 1;
	struct bench_report report;
	struct finf_diag diag = {""};
	int err = 0;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (threads_text) {
		if (!parse_number(ctl, "--threads", threads_text, 1, 1024, &most))
			return EXIT_USAGE;
		least = most;
	}
	bench_begin(&report, ctl->json);
	for (size_t i = 0; !err && i < (models ? 1 : FINF_ARRAY_LEN(sets)); i++)
		for (uint64_t t = least; !err && t <= most; t = t == most ? t + 1 : most)
			err = run_set(&report, models ? models : sets[i].models,
				      models ? variants != NULL : sets[i].variants, (uint32_t)t,
				      models ? 1 : sets[i].goal, &diag);
	if (err) {
		json_decref(report.rows);
		return failed(ctl, err, "bench fused: %s",
			      diag.text[0] ? diag.text : strerror(-err));
	}
	return bench_end(&report);
}
