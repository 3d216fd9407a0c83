/* SPDX-License-Identifier: MIT */
/*
 * fictl: is the group better than its members one by one? All of them are
 * tuned into a temporary folder and run by one engine, fused and separate in
 * turn, so that what disturbs the machine disturbs both.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "tools/fictl/verdict.h"

#define ROUNDS_MIN  5u
#define ROUNDS_NS   2000000000u
#define PORTS_MAX   64
#define SLACK_BYTES (64u << 20) /* of the pool: alignment of what lies in it */
/* Below this a difference is noise. */
#define MATTERS 1.02

/* One thing that is run: a member, or at last the group, in one way or two. */
struct subject {
	char file[32], name[32];
	uint64_t weight_bytes, arena_bytes, bound_ns;
	bool side_by_side;
	struct tensor_file inputs;
	struct finf_tensor outputs[PORTS_MAX]; /* data owned */
	uint32_t n_outputs;
};

struct trial {
	const struct group *group;
	struct finf_device *dev;
	struct finf_engine *engine;
	char dir[PATH_MAX];
	int dirfd;
	uint32_t threads, n;	  /* n members; subjects[n] is the group, and the next too */
	uint32_t n_subjects;
	struct subject *subjects; /* owned */
	struct trial_figures *figures; /* the caller's */
};

/* ---- files -------------------------------------------------------------------------- */

/* How the group is to run, and what would be as good as can be. */
static int note_plan(struct subject *s, const struct finf_plan *plan)
{
	struct finf_plan again = *plan;
	struct finf_side_times times = {.bound_ns = 0};
	int err = 0;

	finf_arena_init(&again.arena);
	if (plan->side.costs)
		err = finf_plan_side(&again, &times);
	finf_arena_fini(&again.arena);
	s->side_by_side = plan->side.n_lanes && !plan->side.off;
	s->bound_ns = times.bound_ns;
	return err;
}

static int tune(struct trial *t, uint32_t k, struct finf_pack *portable, struct finf_diag *diag)
{
	struct subject *s = &t->subjects[k];
	struct finf_pack *tuned;
	int fd, err;

	snprintf(s->name, sizeof(s->name), "m%u", k);
	snprintf(s->file, sizeof(s->file), "m%u.fim", k);
	err = finf_engine_tune(t->dev, portable, t->threads, 0, t->dirfd, s->file, diag);
	if (err)
		return err;
	fd = openat(t->dirfd, s->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s/%s: %s", t->dir, s->file, strerror(errno));
	err = finf_pack_open(fd, s->file, &tuned, diag);
	close(fd);
	if (err)
		return err;
	s->weight_bytes = tuned->plan->weight_bytes;
	s->arena_bytes = tuned->plan->arena_bytes;
	err = k >= t->n ? note_plan(s, tuned->plan) : 0;
	finf_pack_close(tuned);
	return err;
}

/* As it is, and then the other way. */
static int tune_group(struct trial *t, struct finf_diag *diag)
{
	struct finf_pack *pack;
	int fd, err = pack_graph(t->group->graph, &fd, diag);

	if (err)
		return err;
	err = finf_pack_open(fd, "the group", &pack, diag);
	close(fd);
	if (err)
		return err;
	for (uint32_t k = t->n; !err && k < t->n_subjects; k++) {
		pack->graph->batched = t->group->graph->batched != (k > t->n);
		err = tune(t, k, pack, diag);
	}
	finf_pack_close(pack);
	return err;
}

static int make_files(struct trial *t, struct finf_diag *diag)
{
	const char *base = getenv("TMPDIR");
	int err = 0;

	snprintf(t->dir, sizeof(t->dir), "%s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(t->dir)) {
		err = finf_diag_set(diag, -errno, "%s: %s", t->dir, strerror(errno));
		t->dir[0] = 0;
		return err;
	}
	t->dirfd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dirfd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", t->dir, strerror(errno));
	for (uint32_t i = 0; !err && i < t->n; i++)
		err = tune(t, i, t->group->members[i].pack, diag);
	return err ? err : tune_group(t, diag);
}

/* ---- an engine that has them all ----------------------------------------------------- */

static int add(struct trial *t, struct subject *s, struct finf_diag *diag)
{
	struct finf_port in[PORTS_MAX], out[PORTS_MAX];
	uint32_t n_in = PORTS_MAX, n_out = PORTS_MAX;
	char path[PATH_MAX + 40];
	int err;

	snprintf(path, sizeof(path), "%s/%s", t->dir, s->file);
	err = finf_engine_add(t->engine, path, s->name, diag);
	if (!err)
		err = finf_engine_ports(t->engine, s->name, in, &n_in, out, &n_out);
	if (!err && (n_in > PORTS_MAX || n_out > PORTS_MAX))
		err = finf_diag_set(diag, -EOPNOTSUPP, "more than %d inputs or outputs", PORTS_MAX);
	if (!err)
		err = tensors_make_up(in, n_in, 1, &s->inputs);
	s->n_outputs = err ? 0 : n_out;
	return err;
}

static int start(struct trial *t, struct finf_diag *diag)
{
	struct finf_engine_opts opts = {
		.size = sizeof(opts), .threads = t->threads, .pool_bytes = SLACK_BYTES};
	int err;

	for (uint32_t i = 0; i < t->n_subjects; i++)
		opts.pool_bytes += t->subjects[i].weight_bytes + t->subjects[i].arena_bytes;
	err = finf_engine_open(&opts, &t->engine, diag);
	for (uint32_t i = 0; !err && i < t->n_subjects; i++)
		err = add(t, &t->subjects[i], diag);
	return err;
}

static void finish(struct trial *t)
{
	finf_engine_close(t->engine);
	finf_device_close(t->dev);
	for (uint32_t i = 0; t->subjects && i < t->n_subjects; i++) {
		struct subject *s = &t->subjects[i];

		tensors_free(&s->inputs);
		for (uint32_t k = 0; k < s->n_outputs; k++)
			free(s->outputs[k].data);
		if (t->dirfd >= 0 && s->file[0])
			unlinkat(t->dirfd, s->file, 0);
	}
	if (t->dirfd >= 0)
		close(t->dirfd);
	if (t->dir[0])
		rmdir(t->dir);
	free(t->subjects);
}

/* ---- measuring --------------------------------------------------------------------------- */

static int run(struct trial *t, uint32_t from, uint32_t to, uint64_t *ret_ns,
	       struct finf_diag *diag)
{
	uint64_t start_ns = finf_now_ns();

	for (uint32_t i = from; i < to; i++) {
		struct subject *s = &t->subjects[i];
		int err = finf_engine_infer(t->engine, s->name, s->inputs.tensors, s->inputs.n,
					    s->outputs, s->n_outputs, diag);

		if (err)
			return err;
	}
	*ret_ns = finf_now_ns() - start_ns;
	return 0;
}

/* The second of two: the first finds the caches full of another way's weights. */
static int settled(struct trial *t, uint32_t from, uint32_t to, uint64_t *ret_ns,
		   struct finf_diag *diag)
{
	int err = run(t, from, to, ret_ns, diag);

	return err ? err : run(t, from, to, ret_ns, diag);
}

/* Out of the page cache, where the file system lets go of it: loads come from the drive. */
static void make_cold(const struct trial *t, const struct subject *s)
{
	int fd = openat(t->dirfd, s->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int load(struct trial *t, uint32_t from, uint32_t to, uint64_t *ret_ns,
		struct finf_diag *diag)
{
	*ret_ns = 0;
	for (uint32_t i = from; i < to; i++) {
		struct finf_model_stats stats = {.size = sizeof(stats)};
		const char *name = t->subjects[i].name;
		int err = finf_engine_unload(t->engine, name);

		make_cold(t, &t->subjects[i]);
		if (!err)
			err = finf_engine_load(t->engine, name, diag);
		if (!err)
			err = finf_engine_stats(t->engine, name, &stats);
		if (err)
			return err;
		*ret_ns += stats.load_ns;
	}
	return 0;
}

static int measure(struct trial *t, struct finf_diag *diag)
{
	struct trial_figures *f = t->figures;
	uint64_t begin_ns;
	int err = 0;

	for (uint32_t i = 0; !err && i < TRIAL_LOADS; i++) {
		err = load(t, t->n, t->n + 1, &f->fused.load_ns[i], diag);
		if (!err && f->tried)
			err = load(t, t->n + 1, t->n + 2, &f->other.load_ns[i], diag);
		if (!err)
			err = load(t, 0, t->n, &f->separate.load_ns[i], diag);
	}
	begin_ns = finf_now_ns();
	while (!err && f->rounds < TRIAL_ROUNDS_MAX &&
	       (f->rounds < ROUNDS_MIN || finf_now_ns() - begin_ns < ROUNDS_NS)) {
		err = settled(t, t->n, t->n + 1, &f->fused.ns[f->rounds], diag);
		if (!err && f->tried)
			err = settled(t, t->n + 1, t->n + 2, &f->other.ns[f->rounds], diag);
		if (!err)
			err = settled(t, 0, t->n, &f->separate.ns[f->rounds], diag);
		f->rounds++;
	}
	return err;
}

static void describe(const struct subject *s, bool batched, struct trial_way *way)
{
	way->bytes = s->weight_bytes + s->arena_bytes;
	way->weight_bytes = s->weight_bytes;
	way->bound_ns = s->bound_ns;
	way->side_by_side = s->side_by_side;
	way->batched = batched;
}

static void describe_all(struct trial *t)
{
	struct trial_figures *f = t->figures;
	bool batched = t->group->graph->batched;
	uint64_t weights = 0, arena = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		weights += t->subjects[i].weight_bytes;
		arena = FINF_MAX(arena, t->subjects[i].arena_bytes);
	}
	f->separate.bytes = weights + arena;
	f->separate.weight_bytes = weights;
	f->largest_arena_bytes = arena;
	describe(&t->subjects[t->n], batched, &f->fused);
	if (f->tried)
		describe(&t->subjects[t->n + 1], !batched, &f->other);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *ns, uint32_t n)
{
	qsort(ns, n, sizeof(*ns), by_value);
	return ns[n / 2];
}

/* The group is made the faster way, unless that is in doubt. */
static void choose(struct trial_figures *f, struct finf_graph *graph)
{
	struct trial_way fused = f->fused;
	uint64_t ours = median(f->fused.ns, f->rounds), other = median(f->other.ns, f->rounds);

	if (!f->tried || (double)ours < MATTERS * (double)other)
		return;
	f->fused = f->other;
	f->other = fused;
	graph->batched = f->fused.batched;
}

/* What --optimize memory would take: members one after the other. */
static int plan_serial(struct trial *t, struct finf_diag *diag)
{
	struct finf_graph *graph = t->group->graph, *bound;
	enum finf_schedule schedule = graph->schedule;
	bool batched = graph->batched;
	struct finf_plan *plan;
	int err;

	graph->schedule = FINF_ONE_BY_ONE;
	graph->batched = false;
	err = finf_engine_plan(t->dev, graph, NULL, t->threads, 0, 0, NULL, &bound, &plan, diag);
	graph->schedule = schedule;
	graph->batched = batched;
	if (err)
		return err;
	t->figures->serial_arena_bytes = plan->arena_bytes;
	finf_plan_free(plan);
	finf_graph_free(bound);
	return 0;
}

int trial_run(const struct group *group, uint32_t threads, bool try, struct trial_figures *ret,
	      struct finf_diag *diag)
{
	struct trial t = {.group = group,
			  .threads = threads,
			  .n = group->n,
			  .n_subjects = group->n + (try ? 2 : 1),
			  .dirfd = -1,
			  .figures = ret};
	int err;

	*ret = (struct trial_figures){.tried = try};
	t.subjects = calloc(t.n_subjects, sizeof(*t.subjects));
	err = t.subjects ? finf_device_open("host", &t.dev, diag) : -ENOMEM;
	if (!err)
		err = make_files(&t, diag);
	if (!err)
		err = start(&t, diag);
	if (!err)
		err = measure(&t, diag);
	if (!err)
		err = plan_serial(&t, diag);
	if (!err) {
		describe_all(&t);
		choose(ret, group->graph);
	}
	finish(&t);
	return err;
}

/* ---- what it means -------------------------------------------------------------------------- */

static void FINF_PRINTF(2, 3) say(json_t *lines, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_array_append_new(lines, json_string(text));
}

static const char *judge(double faster, double lighter)
{
	if (faster < 1 / MATTERS)
		return "do not fuse: a request for the whole group is slower than its members one "
		       "after the other";
	if (faster >= MATTERS && lighter >= 1 / MATTERS)
		return "fuse: it is faster";
	if (lighter >= MATTERS)
		return "fuse: it takes fewer bytes and is not slower";
	if (faster >= MATTERS)
		return "fuse where time matters more than bytes: it is faster and takes more of "
		       "them";
	if (lighter < 1 / MATTERS)
		return "do not fuse: it is not faster and takes more bytes";
	return "do not fuse: the members share too little, neither time nor bytes are saved";
}

/* What members do alike, and whether it is done once. */
static void say_batched(struct trial_figures *f, const struct finf_batch_report *alike,
			json_t *lines)
{
	uint64_t other = f->tried ? median(f->other.ns, f->rounds) : 0;

	if (!alike->nodes)
		say(lines, "batched    nothing: no members do the same with the same weights on "
			   "inputs of their own");
	else if (!f->tried)
		say(lines, "batched    %s: %u nodes of %d members %s %u",
		    f->fused.batched ? "as asked" : "not asked for", alike->nodes,
		    __builtin_popcountll(alike->members),
		    f->fused.batched ? "are" : "could be", alike->batched);
	else
		say(lines, "batched    %s: %u nodes of %d members as %u take %s, apart %s",
		    f->fused.batched ? "yes" : "no", alike->nodes,
		    __builtin_popcountll(alike->members), alike->batched,
		    ns_text(f->fused.batched ? median(f->fused.ns, f->rounds) : other),
		    ns_text(f->fused.batched ? other : median(f->fused.ns, f->rounds)));
}

static void add_verdict(struct trial_figures *f, const struct finf_batch_report *alike, json_t *doc)
{
	uint64_t fused = median(f->fused.ns, f->rounds), apart = median(f->separate.ns, f->rounds);
	uint64_t fused_load = median(f->fused.load_ns, TRIAL_LOADS);
	uint64_t apart_load = median(f->separate.load_ns, TRIAL_LOADS);
	double faster = (double)apart / (double)FINF_MAX(fused, 1u);
	double lighter = (double)f->separate.bytes / (double)FINF_MAX(f->fused.bytes, 1u);
	const char *words = judge(faster, lighter);
	json_t *lines = json_array();

	say(lines, "time       fused %s, one after the other %s: %.2f x (median of %u)",
	    ns_text(fused), ns_text(apart), faster, f->rounds);
	say(lines, "cores      %s",
	    f->fused.side_by_side
		    ? "members run side by side"
		    : "one step at a time: side by side was not measured to be faster");
	say_batched(f, alike, lines);
	say(lines, "peak bytes fused %s, separate %s: %+.1f %%", bytes_text(f->fused.bytes),
	    bytes_text(f->separate.bytes), 100 * (1 / lighter - 1));
	say(lines, "load       fused %s, separate %s", ns_text(fused_load), ns_text(apart_load));
	say(lines, "%s", words);
	json_object_set_new(
		doc, "verdict",
		json_pack("{s:b, s:s, s:b, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o}",
			  "fuse", !strncmp(words, "fuse", 4), "words", words, "side_by_side",
			  f->fused.side_by_side, "batched", f->fused.batched, "nodes_alike",
			  (int)alike->nodes, "nodes_batched", (int)alike->batched, "fused_ns",
			  (json_int_t)fused, "separate_ns", (json_int_t)apart, "bound_ns",
			  (json_int_t)f->fused.bound_ns, "fused_bytes",
			  (json_int_t)f->fused.bytes, "separate_bytes",
			  (json_int_t)f->separate.bytes, "fused_load_ns", (json_int_t)fused_load,
			  "separate_load_ns", (json_int_t)apart_load, "rounds", (int)f->rounds,
			  "text", lines));
}

int verdict_add(const struct group *group, uint32_t threads, const struct finf_batch_report *alike,
		bool try, json_t *doc, struct finf_diag *diag)
{
	struct trial_figures *figures = malloc(sizeof(*figures));
	int err;

	if (!figures)
		return finf_diag_set(diag, -ENOMEM, "no memory for measuring");
	err = trial_run(group, threads, try, figures, diag);
	if (!err)
		add_verdict(figures, alike, doc);
	free(figures);
	return err;
}
