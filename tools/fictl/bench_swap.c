/* SPDX-License-Identifier: MIT */
/*
 * fictl bench swap: cold swap-in of a zoo network's tuned pack into the pool,
 * from the request to the last published segment, checksums on, page cache
 * dropped, against fio reading the same file; both alternate in one run.
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

#include "engine/engine.h"
#include "fuse/fuse.h"
#include "import/import.h"
#include "tools/fictl/bench.h"
#include "tools/fictl/zoo/zoo.h"

#define SWEEP_RUNS 3

struct swap {
	char dir[64], onnx[96], tuned[96];
	struct finf_device *dev;
	struct finf_pool_memory pool;
	struct finf_loader_opts opts;
	struct finf_loader *loader; /* owned; NULL while fio has the lockable memory */
	struct finf_pack *pack;
	struct finf_load_segment *segments; /* owned */
	uint64_t at; /* the next place in the pool: loads do not hit hot cache lines */
	const char *buffers; /* fio's --iomem, NULL = its default */
	uint32_t block_kib, depth;
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

static int open_swap(struct swap *s, const char *network, struct finf_diag *diag)
{
	const char *base = getenv("TMPDIR");
	uint64_t pool_bytes;
	int err;

	snprintf(s->dir, sizeof(s->dir), "%.40s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(s->dir)) {
		s->dir[0] = 0;
		return -errno;
	}
	err = finf_device_open("host", &s->dev, diag);
	if (!err)
		err = make_pack(s, network, diag);
	if (!err)
		err = open_tuned(s, diag);
	if (err)
		return err;
	pool_bytes = FINF_MAX(finf_align_up(s->pack->weight_bytes, FINF_EXTENT_ALIGN) * 2, 1ull << 30);
	return finf_device_pool_new(s->dev, pool_bytes, NULL, &s->pool, diag);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void close_swap(struct swap *s)
{
	finf_loader_free(s->loader);
	if (s->pool.base)
		finf_device_pool_free(s->dev, &s->pool);
	finf_pack_close(s->pack);
	finf_device_close(s->dev);
	free(s->segments);
	if (s->dir[0])
		nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the two sides, in GB/s ---------------------------------------------------------- */

static int drop_pages(const struct swap *s)
{
	if (fdatasync(s->pack->fd) < 0)
		return -errno;
	return -posix_fadvise(s->pack->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int load_once(struct swap *s, double *ret_rate, struct finf_diag *diag)
{
	uint64_t bytes = s->pack->weight_bytes, start;
	struct finf_load *load;
	int err = drop_pages(s);

	if (err)
		return finf_diag_set(diag, err, "the page cache cannot be dropped");
	if (!s->loader) {
		err = finf_loader_new(s->dev, &s->pool, &s->opts, &s->loader, diag);
		if (err)
			return err;
	}
	if (s->at + bytes > s->pool.bytes)
		s->at = 0;
	for (uint32_t i = 0; i < s->pack->n_segments; i++)
		s->segments[i].to = (uint8_t *)s->pool.base + s->at + s->pack->segments[i].offset;
	s->at += finf_align_up(bytes, FINF_EXTENT_ALIGN);
	start = finf_now_ns();
	err = finf_load_start(s->loader, s->pack->fd, "bench", s->segments, s->pack->n_segments, 0,
			      NULL, NULL, &load);
	if (err)
		return err;
	err = finf_load_wait(load, s->pack->n_segments, 0);
	*ret_rate = (double)bytes / (double)(finf_now_ns() - start);
	finf_load_unref(load);
	return err;
}

/* 0 when fio is not there or cannot do it. Small files are read several times: fio counts in ms. */
static double fio_once(struct swap *s, uint32_t block_kib, uint32_t depth)
{
	uint64_t loops = FINF_MAX((uint64_t)1, (256u << 20) / s->pack->file_bytes);
	bool read_part = false;
	char line[1024];
	double rate = 0;
	FILE *pipe;

	/* What a user may lock is counted per user: fio gets all of it. */
	if (geteuid() != 0) {
		finf_loader_free(s->loader);
		s->loader = NULL;
	}
	drop_pages(s);
	snprintf(line, sizeof(line),
		 "fio --name=swap --filename='%s' --size=%" PRIu64 " --rw=read --ioengine=io_uring "
		 "--direct=1 --fixedbufs=1 --registerfiles=1 --bs=%" PRIu32 "k --iodepth=%" PRIu32
		 " --loops=%" PRIu64 " %s%s --output-format=json 2>/dev/null",
		 s->tuned, s->pack->file_bytes / 4096 * 4096, block_kib, depth, loops,
		 s->buffers ? "--iomem=" : "", s->buffers ? s->buffers : "");
	pipe = popen(line, "r");
	if (!pipe)
		return 0;
	while (fgets(line, sizeof(line), pipe)) {
		read_part |= strstr(line, "\"read\" :") != NULL;
		if (read_part && sscanf(line, " \"bw_bytes\" : %lf", &rate) == 1)
			read_part = false;
	}
	return pclose(pipe) ? 0 : rate * 1e-9;
}

/* fio's best block size and depth for this file. */
static bool sweep(struct swap *s)
{
	double best = 0;

	for (uint32_t block = 256; block <= 4096; block *= 2)
		for (uint32_t depth = 4; depth <= 32; depth *= 2) {
			struct bench_samples rates = {.n = 0};

			for (int i = 0; i < SWEEP_RUNS; i++)
				bench_sample(&rates, fio_once(s, block, depth));
			if (bench_quantile(&rates, 0.5) <= best)
				continue;
			best = bench_quantile(&rates, 0.5);
			s->block_kib = block;
			s->depth = depth;
		}
	return best > 0;
}

static int compare_with(struct swap *s, struct bench_report *report, const char *network,
			const char *buffers, double goal, uint64_t repeat, struct finf_diag *diag)
{
	static struct bench_samples ours, theirs;
	char what[96], baseline[96];
	double rate = 0;
	int err = 0;

	s->buffers = buffers;
	snprintf(what, sizeof(what), "cold swap-in of %s, %s", network,
		 bytes_text(s->pack->weight_bytes));
	if (!sweep(s)) {
		bench_skip(report, what, buffers ? "fio cannot get huge pages here" : "fio is not installed");
		return 0;
	}
	ours.n = theirs.n = 0;
	for (uint64_t i = 0; !err && i < repeat; i++) {
		/* The first load of a loader touches what stays warm in a daemon. */
		if (!s->loader)
			err = load_once(s, &rate, diag);
		if (!err)
			err = load_once(s, &rate, diag);
		bench_sample(&ours, rate);
		bench_sample(&theirs, fio_once(s, s->block_kib, s->depth));
	}
	if (err)
		return err;
	snprintf(baseline, sizeof(baseline), "fio direct, %s, %" PRIu32 " KiB x %" PRIu32,
		 buffers ? buffers : "default buffers", s->block_kib, s->depth);
	bench_add(report, &(struct bench_row){.what = what, .unit = "GB/s", .ours = &ours,
					      .quantile = 0.5, .baseline = baseline, .theirs = &theirs,
					      .goal = goal, .rate = true});
	return 0;
}

static int run(struct fictl *ctl, struct swap *s, const char *network, uint64_t repeat, bool huge)
{
	struct bench_report report;
	struct finf_diag diag = {{0}};
	char text[1024];
	int err = open_swap(s, network, &diag);

	if (err)
		return failed(ctl, err, "bench swap: %s", diag.text[0] ? diag.text : strerror(-err));
	bench_begin(&report, ctl->json);
	err = compare_with(s, &report, network, NULL, 0.8, repeat, &diag);
	if (!err && huge)
		err = compare_with(s, &report, network, "mmaphuge", 0.9, repeat, &diag);
	if (!err && !ctl->json && s->loader) {
		finf_loader_describe(s->loader, text, sizeof(text));
		printf("\n%s", text);
	}
	if (err) {
		json_decref(report.rows);
		return failed(ctl, err, "bench swap: %s", diag.text[0] ? diag.text : strerror(-err));
	}
	return bench_end(&report);
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

int bench_swap(struct fictl *ctl, int argc, char **argv)
{
	const char *network = "vgg16", *repeat_text = NULL, *memlock = NULL, *huge = NULL;
	const char *mode = "auto";
	const struct option_spec specs[] = {{"--model", false, &network},
					    {"--mode", false, &mode},
					    {"--repeat", false, &repeat_text},
					    {"--memlock", false, &memlock},
					    {"--huge", true, &huge},
					    {0}};
	struct swap s = {.opts.size = sizeof(s.opts)};
	struct rlimit limit;
	uint64_t repeat = 9;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (repeat_text && !parse_number(ctl, "--repeat", repeat_text, 1, 1000, &repeat))
		return EXIT_USAGE;
	if (!parse_mode(mode, &s.opts.mode))
		return usage(ctl, "--mode: auto, staging, direct or pread");
	if (memlock) {
		uint64_t bytes;

		if (finf_size_parse(memlock, 0, &bytes))
			return usage(ctl, "--memlock: \"%s\" is not a size", memlock);
		limit.rlim_cur = limit.rlim_max = bytes;
		if (geteuid() == 0)
			return usage(ctl, "--memlock does not bind root: run as another user");
		if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
			return failed(ctl, -errno, "--memlock: %s", strerror(errno));
	}
	rc = run(ctl, &s, network, repeat, huge != NULL);
	close_swap(&s);
	return rc;
}
