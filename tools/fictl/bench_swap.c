/* SPDX-License-Identifier: MIT */
/*
 * fictl bench swap: swap-in of a zoo network's tuned pack into the pool of a
 * device, from the request to the last published segment, checksums on, with the
 * page cache dropped and with all of it there, against others that move the same
 * bytes; the sides alternate in one run.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/fuse.h"
#include "import/import.h"
#include "tools/fictl/bench_swap.h"
#include "tools/fictl/zoo/zoo.h"

#define SMALL_BYTES (64ull << 20) /* here fio, which reads again and again, says little */

struct swap_opts {
	const char *network, *device, *pool_mode;
	uint64_t repeat;
	bool huge;
};

/* ---- a tuned pack to load ------------------------------------------------------- */

static int tune(struct swap *s, int dir, struct finf_diag *diag)
{
	uint32_t threads = (uint32_t)FINF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	struct finf_pack *portable;
	int fd = openat(dir, "portable.fim", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = finf_pack_open(fd, "portable.fim", &portable, diag);
	close(fd);
	if (err)
		return err;
	err = finf_engine_tune(s->dev, portable, threads, 0, dir, "tuned.fim", diag);
	finf_pack_close(portable);
	return err;
}

static int make_pack(struct swap *s, const char *network, struct finf_diag *diag)
{
	struct finf_graph *graph;
	int dir, err;

	snprintf(s->onnx, sizeof(s->onnx), "%s/model.onnx", s->dir);
	snprintf(s->tuned, sizeof(s->tuned), "%s/tuned.fim", s->dir);
	err = zoo_write(network, 0, s->onnx, diag);
	if (!err)
		err = finf_import_file(s->onnx, &graph, diag);
	if (err)
		return err;
	dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = dir < 0 ? -errno : finf_fuse_run(graph, NULL, diag);
	if (!err)
		err = finf_pack_write_portable(dir, "portable.fim", graph, diag);
	finf_graph_free(graph);
	if (!err)
		err = tune(s, dir, diag);
	if (dir >= 0)
		close(dir);
	return err;
}

static int open_tuned(struct swap *s, struct finf_diag *diag)
{
	int fd = open(s->tuned, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = finf_pack_open(fd, s->tuned, &s->pack, diag);
	close(fd);
	if (err)
		return err;
	s->segments = calloc(s->pack->n_segments, sizeof(*s->segments));
	if (!s->segments)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->pack->n_segments; i++)
		s->segments[i] = (struct finf_load_segment){
			.file_offset = s->pack->segments[i].file_offset,
			.bytes = s->pack->segments[i].bytes,
			.xxh3 = s->pack->segments[i].xxh3,
		};
	return 0;
}

/* A pool the CPU writes to is larger than its caches, so that no load finds its place there. */
static int make_pool(struct swap *s, const char *mode, struct finf_diag *diag)
{
	uint64_t bytes = finf_align_up(s->pack->weight_bytes, FINF_EXTENT_ALIGN);

	if (!strcmp(s->dev->ops->name, "host"))
		bytes = FINF_MAX(bytes * 2, 1ull << 30);
	return finf_device_pool_new(s->dev, bytes, mode, &s->pool, diag);
}

static int open_swap(struct swap *s, const struct swap_opts *opts, struct finf_diag *diag)
{
	const char *base = getenv("TMPDIR");
	int err;

	snprintf(s->dir, sizeof(s->dir), "%.40s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(s->dir)) {
		s->dir[0] = 0;
		return -errno;
	}
	err = finf_device_open(opts->device, &s->dev, diag);
	if (!err)
		err = make_pack(s, opts->network, diag);
	if (!err)
		err = open_tuned(s, diag);
	return err ? err : make_pool(s, opts->pool_mode, diag);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void close_swap(struct swap *s)
{
	finf_loader_free(s->loader);
	swap_rivals_fini(s);
	if (s->pool.base)
		finf_device_pool_free(s->dev, &s->pool);
	finf_pack_close(s->pack);
	finf_device_close(s->dev);
	free(s->segments);
	if (s->dir[0])
		nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the sides, in GB/s ------------------------------------------------------------ */

/* @warm: of the page cache; a load that was not all of the kind asked for gives 0. */
static int load_once(struct swap *s, bool warm, double *ret_rate, struct finf_diag *diag)
{
	uint64_t bytes = s->pack->weight_bytes, start, ns;
	struct finf_load_report report;
	struct finf_load *load;
	uint8_t *place;
	int err = 0;

	if (!s->loader)
		err = finf_loader_new(s->dev, &s->pool, &s->opts, &s->loader, diag);
	if (!err)
		err = warm ? swap_read_pages(s) : swap_drop_pages(s);
	if (err)
		return err;
	place = swap_place(s);
	for (uint32_t i = 0; i < s->pack->n_segments; i++)
		s->segments[i].to = place + s->pack->segments[i].offset;
	start = finf_now_ns();
	err = finf_load_start(s->loader, s->pack->fd, "bench", s->segments, s->pack->n_segments, 0,
			      NULL, NULL, &load);
	if (err)
		return err;
	err = finf_load_wait(load, s->pack->n_segments, 0);
	ns = finf_now_ns() - start;
	if (err) {
		finf_load_why(load, diag);
	} else {
		finf_load_report(load, &report);
		*ret_rate = report.cached_bytes == (warm ? bytes : 0) ? (double)bytes / (double)ns : 0;
	}
	finf_load_unref(load);
	return err;
}

static struct bench_samples rates[SWAP_SIDES];

/* All of @sides (bits), one after the other, @repeat times over. */
static int measure(struct swap *s, unsigned sides, bool warm, uint64_t repeat,
		   struct finf_diag *diag)
{
	double rate = 0;
	int err = 0;

	for (int side = 0; side < SWAP_SIDES; side++)
		rates[side].n = 0;
	for (uint64_t i = 0; !err && i < repeat; i++) {
		/* The first load of a loader touches what stays warm in a daemon. */
		if (!s->loader)
			err = load_once(s, warm, &rate, diag);
		rate = 0;
		for (int tries = 0; !err && !rate && tries < 4; tries++)
			err = load_once(s, warm, &rate, diag);
		bench_sample(&rates[SWAP_OURS], rate);
		for (int side = SWAP_OURS + 1; side < SWAP_SIDES; side++)
			if (sides & 1u << side)
				bench_sample(&rates[side], swap_rival(s, (enum swap_side)side));
	}
	return err;
}

/* ---- rows --------------------------------------------------------------------------- */

struct lines {
	struct bench_report report;
	const struct swap *s;
	char of[96]; /* "vgg16 on cuda (vmm), 553.4 MB" */
};

/* Ours against @side, or why there is no such row. */
static void add_row(struct lines *l, bool warm, enum swap_side side, const char *baseline, double goal)
{
	char what[128];

	snprintf(what, sizeof(what), "%s swap-in of %s", warm ? "warm" : "cold", l->of);
	if (bench_quantile(&rates[SWAP_OURS], 0) <= 0)
		bench_skip(&l->report, what,
			   warm ? "the page cache does not keep the file" :
				  "the page cache of this file system cannot be dropped");
	else if (!rates[side].n || bench_quantile(&rates[side], 0) <= 0)
		bench_skip(&l->report, what, swap_rival_why(side));
	else
		bench_add(&l->report,
			  &(struct bench_row){.what = what, .unit = "GB/s", .ours = &rates[SWAP_OURS],
					      .quantile = 0.5, .baseline = baseline,
					      .theirs = &rates[side], .goal = goal, .rate = true});
}

static double median(enum swap_side side)
{
	return bench_quantile(&rates[side], 0.5);
}

static void name_fio(const struct swap *s, char *text, size_t len)
{
	snprintf(text, len, "fio direct, %s, %" PRIu32 " KiB x %" PRIu32,
		 s->buffers ? s->buffers : "default buffers", s->block_kib, s->depth);
}

/* A device of its own is at the end of two ways, of which the slower is the bound. */
static void add_slower_row(struct lines *l, enum swap_side reader)
{
	enum swap_side slower = median(reader) < median(SWAP_PINNED) ? reader : SWAP_PINNED;
	char name[64] = "a one-shot io_uring reader", baseline[192];

	if (reader == SWAP_FIO)
		name_fio(l->s, name, sizeof(name));
	snprintf(baseline, sizeof(baseline), "the slower of %s (%.3f) and a pinned copy (%.3f)", name,
		 median(reader), median(SWAP_PINNED));
	add_row(l, false, slower, baseline, 0.9);
}

/* Without fio the one-shot reader says what the drive gives, however large the file is. */
static int compare_cold(struct lines *l, struct swap *s, const struct swap_opts *opts,
			struct finf_diag *diag)
{
	bool fio = s->depth ? swap_rival(s, SWAP_FIO) > 0 : swap_sweep(s);
	bool device = !s->pool.host_visible;
	bool one_shot = !fio || s->pack->file_bytes < SMALL_BYTES;
	char name[64];
	int err = measure(s, (fio ? 1u << SWAP_FIO : 0) | (one_shot ? 1u << SWAP_ONE_SHOT : 0) |
				     (device ? 1u << SWAP_PINNED : 0), false, opts->repeat, diag);

	if (err)
		return err;
	name_fio(s, name, sizeof(name));
	if (!device || !fio)
		add_row(l, false, SWAP_FIO, name, s->buffers ? 0.9 : 1.0);
	if (device)
		add_slower_row(l, fio ? SWAP_FIO : SWAP_ONE_SHOT);
	if (one_shot)
		add_row(l, false, SWAP_ONE_SHOT, "a one-shot io_uring reader", 0.95);
	return 0;
}

static int compare_warm(struct lines *l, struct swap *s, const struct swap_opts *opts,
			struct finf_diag *diag)
{
	unsigned device = s->pool.host_visible ? 0 : 1u << SWAP_PINNED;
	int err = measure(s, 1u << SWAP_PREADV2 | device, true, opts->repeat, diag);

	if (err)
		return err;
	add_row(l, true, SWAP_PREADV2, "preadv2 of the same bytes", 0.9);
	if (device)
		add_row(l, true, SWAP_PINNED, "a pinned copy of the same bytes", 0.9);
	return 0;
}

static int compare(struct swap *s, struct lines *l, const struct swap_opts *opts,
		   struct finf_diag *diag)
{
	uint32_t depth = s->depth;
	int err = 0;

	/* Two sets of fio's buffers: for the pool of a device the better one is enough. */
	if (!opts->huge || s->pool.host_visible)
		err = compare_cold(l, s, opts, diag);
	if (!err && opts->huge) {
		s->buffers = "mmaphuge";
		s->depth = depth;
		err = compare_cold(l, s, opts, diag);
	}
	return err ? err : compare_warm(l, s, opts, diag);
}

static int run(struct fictl *ctl, struct swap *s, const struct swap_opts *opts)
{
	struct lines l = {.s = s};
	struct finf_diag diag = {{0}};
	char text[1024];
	int err = open_swap(s, opts, &diag);

	if (err) {
		failed(ctl, err, "bench swap: %s", diag.text[0] ? diag.text : strerror(-err));
		return err == -ENODEV ? EXIT_CANNOT : EXIT_FAILED;
	}
	snprintf(l.of, sizeof(l.of), "%s on %s (%s), %s", opts->network, opts->device, s->pool.mode,
		 bytes_text(s->pack->weight_bytes));
	bench_begin(&l.report, ctl->json);
	err = compare(s, &l, opts, &diag);
	if (!err && !ctl->json && s->loader) {
		finf_loader_describe(s->loader, text, sizeof(text));
		printf("\n%s", text);
	}
	if (err) {
		json_decref(l.report.rows);
		return failed(ctl, err, "bench swap: %s", diag.text[0] ? diag.text : strerror(-err));
	}
	return bench_end(&l.report);
}

static bool parse_mode(const char *text, enum finf_load_mode *ret)
{
	static const char *const names[] = {
		[FINF_LOAD_AUTO] = "auto", [FINF_LOAD_DIRECT] = "direct",
		[FINF_LOAD_STAGING] = "staging", [FINF_LOAD_PREAD] = "pread"};

	for (size_t i = 0; i < FINF_ARRAY_LEN(names); i++)
		if (!strcmp(names[i], text)) {
			*ret = (enum finf_load_mode)i;
			return true;
		}
	return false;
}

/* --memlock: what an ordinary user may lock; it binds nobody else. */
static int limit_memlock(struct fictl *ctl, const char *text)
{
	struct rlimit limit;
	uint64_t bytes;

	if (finf_size_parse(text, 0, &bytes))
		return usage(ctl, "--memlock: \"%s\" is not a size", text);
	if (geteuid() == 0)
		return usage(ctl, "--memlock does not bind root: run as another user");
	limit.rlim_cur = limit.rlim_max = bytes;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return failed(ctl, -errno, "--memlock: %s", strerror(errno));
	return EXIT_DONE;
}

int bench_swap(struct fictl *ctl, int argc, char **argv)
{
	const char *repeat = NULL, *memlock = NULL, *huge = NULL, *fio = NULL, *mode = "auto";
	struct swap_opts opts = {.network = "vgg16", .device = "host", .repeat = 9};
	const struct option_spec specs[] = {{"--model", false, &opts.network},
					    {"--device", false, &opts.device},
					    {"--pool-mode", false, &opts.pool_mode},
					    {"--mode", false, &mode},
					    {"--repeat", false, &repeat},
					    {"--memlock", false, &memlock},
					    {"--fio", false, &fio},
					    {"--huge", true, &huge},
					    {0}};
	struct swap s = {.opts.size = sizeof(s.opts)};
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (repeat && !parse_number(ctl, "--repeat", repeat, 1, 1000, &opts.repeat))
		return EXIT_USAGE;
	if (!parse_mode(mode, &s.opts.mode))
		return usage(ctl, "--mode: auto, staging, direct or pread");
	if (fio && (sscanf(fio, "%" SCNu32 "x%" SCNu32, &s.block_kib, &s.depth) != 2 || !s.depth))
		return usage(ctl, "--fio: KIBxDEPTH is expected, like 1024x8");
	rc = memlock ? limit_memlock(ctl, memlock) : EXIT_DONE;
	if (rc != EXIT_DONE)
		return rc;
	opts.huge = huge != NULL;
	rc = run(ctl, &s, &opts);
	close_swap(&s);
	return rc;
}
