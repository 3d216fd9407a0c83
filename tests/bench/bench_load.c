/* SPDX-License-Identifier: MIT */
/*
 * bench_load - cold loads of one file against fio, alternating in one run.
 *
 *   bench_load [--bytes N] [--file PATH] [--mode auto|direct|staging|pread]
 *              [--block N] [--depth N] [--staging N] [--pool N] [--runs N]
 *              [--uid N] [--no-fio] [--warm] [--json]
 *
 * Each load goes from a new descriptor to the last published segment, with
 * checksums, to another place of a touched pool, after the file was dropped
 * from the page cache. fio reads the same file with io_uring, O_DIRECT,
 * registered buffers and file, its default memory, and the best block size
 * and depth of a sweep; files below 256 MiB are read several times in a row
 * there, because fio counts milliseconds. --uid runs all of it as that user,
 * under its RLIMIT_MEMLOCK.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/load.h"

#define SEGMENT_BYTES (8u << 20)
#define RUNS_MAX 101
#define SWEEP_RUNS 3

struct bench {
	const char *path;
	bool made, no_fio, warm, json;
	uint64_t bytes, pool_bytes, at; /* at: the next place in the pool */
	uint32_t runs;
	uid_t uid;
	struct finf_loader_opts opts;
	struct finf_pool_memory pool;
	struct finf_load_segment *segments;
	uint32_t n_segments;
	int fd;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the file and the pool -------------------------------------------------- */

static void fill_random(uint64_t *words, size_t n, uint64_t *state)
{
	for (size_t i = 0; i < n; i++) { /* splitmix64: Steele, Lea, Flood, OOPSLA 2014 */
		uint64_t z = *state += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		words[i] = z ^ (z >> 31);
	}
}

static void make_file(struct bench *b)
{
	uint64_t *data = malloc(SEGMENT_BYTES), seed = 1;
	int fd = open(b->path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || !data)
		die(b->path);
	for (uint64_t at = 0; at < b->bytes; at += SEGMENT_BYTES) {
		uint64_t bytes = FINF_MIN(SEGMENT_BYTES, b->bytes - at);

		fill_random(data, bytes / 8, &seed);
		if (finf_pwrite_full(fd, data, bytes, at) < 0)
			die("writing");
	}
	if (fsync(fd) < 0)
		die("fsync");
	close(fd);
	free(data);
	b->made = true;
}

static void open_file(struct bench *b)
{
	uint8_t *data = malloc(SEGMENT_BYTES);
	struct stat st;

	b->fd = open(b->path, O_RDONLY | O_CLOEXEC);
	if (b->fd < 0 || fstat(b->fd, &st) < 0 || !data)
		die(b->path);
	b->bytes = (uint64_t)st.st_size / 4096 * 4096;
	b->n_segments = (uint32_t)((b->bytes + SEGMENT_BYTES - 1) / SEGMENT_BYTES);
	b->segments = calloc(b->n_segments, sizeof(*b->segments));
	for (uint32_t i = 0; i < b->n_segments; i++) {
		struct finf_load_segment *s = &b->segments[i];

		s->file_offset = i * (uint64_t)SEGMENT_BYTES;
		s->bytes = FINF_MIN(SEGMENT_BYTES, b->bytes - s->file_offset);
		if (finf_pread_full(b->fd, data, s->bytes, s->file_offset) < 0)
			die("reading");
		s->xxh3 = finf_hash64(data, s->bytes);
	}
	free(data);
}

static void make_pool(struct bench *b)
{
	const uint64_t huge = 2u << 20;
	uint64_t bytes = FINF_MAX(b->pool_bytes, finf_align_up(b->bytes, huge));
	uint8_t *map = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("pool");
	map = (uint8_t *)finf_align_up((uintptr_t)map, huge);
	madvise(map, bytes, MADV_HUGEPAGE);
	memset(map, 0, bytes);
	b->pool = (struct finf_pool_memory){.base = map, .bytes = bytes, .host_visible = true};
}

static void drop_cache(const struct bench *b)
{
	fdatasync(b->fd);
	posix_fadvise(b->fd, 0, 0, b->warm ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED);
	if (!b->warm)
		return;
	for (uint32_t i = 0; i < b->n_segments; i++) {
		static uint8_t sink[SEGMENT_BYTES];

		finf_pread_full(b->fd, sink, b->segments[i].bytes, b->segments[i].file_offset);
	}
}

/* ---- the two sides ------------------------------------------------------------- */

static double load_once(struct bench *b, struct finf_loader *loader,
			struct finf_load_report *report)
{
	struct finf_load *load;
	uint64_t start;
	int fd, err;

	if (b->at + b->bytes > b->pool.bytes)
		b->at = 0;
	for (uint32_t i = 0; i < b->n_segments; i++)
		b->segments[i].to = (uint8_t *)b->pool.base + b->at + b->segments[i].file_offset;
	b->at += finf_align_up(b->bytes, 64u << 10);
	drop_cache(b);
	start = finf_now_ns();
	fd = open(b->path, O_RDONLY | O_CLOEXEC);
	err = finf_load_start(loader, fd, "bench", b->segments, b->n_segments, NULL, NULL, &load);
	if (!err)
		err = finf_load_wait(load, b->n_segments, 0);
	if (err) {
		errno = -err;
		die("load");
	}
	start = finf_now_ns() - start;
	finf_load_report(load, report);
	finf_load_unref(load);
	close(fd);
	return (double)b->bytes / (double)start;
}

/* Bytes per nanosecond, 0 when fio cannot do it here. */
static double fio_once(const struct bench *b, uint32_t block_kib, uint32_t depth)
{
	uint64_t loops = FINF_MAX(1, (256u << 20) / b->bytes);
	double rate = 0;
	char line[1024];
	bool read_part = false;
	FILE *pipe;

	drop_cache(b);
	snprintf(line, sizeof(line),
		 "fio --name=b --filename='%s' --size=%" PRIu64 " --rw=read --ioengine=io_uring "
		 "--direct=1 --fixedbufs=1 --registerfiles=1 --bs=%uk --iodepth=%u --loops=%" PRIu64
		 " --output-format=json 2>/dev/null",
		 b->path, b->bytes, block_kib, depth, loops);
	pipe = popen(line, "r");
	if (!pipe)
		return 0;
	while (fgets(line, sizeof(line), pipe)) {
		read_part |= !!strstr(line, "\"read\" :");
		if (read_part && sscanf(line, " \"bw_bytes\" : %lf", &rate) == 1)
			read_part = false;
	}
	return pclose(pipe) ? 0 : rate * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double rank(const double *samples, uint32_t n, uint32_t pct)
{
	double sorted[RUNS_MAX];

	memcpy(sorted, samples, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted[(n - 1) * pct / 100];
}

static void fio_sweep(const struct bench *b, uint32_t *ret_block_kib, uint32_t *ret_depth)
{
	double best = 0;

	for (uint32_t block = 256; block <= 4096; block *= 2) {
		for (uint32_t depth = 4; depth <= 32; depth *= 2) {
			double rates[SWEEP_RUNS], rate;

			for (unsigned i = 0; i < SWEEP_RUNS; i++)
				rates[i] = fio_once(b, block, depth);
			rate = rank(rates, SWEEP_RUNS, 50);
			if (rate > best) {
				best = rate;
				*ret_block_kib = block;
				*ret_depth = depth;
			}
		}
	}
}

/* ---- the run -------------------------------------------------------------------- */

static void print_samples(const char *name, const double *samples, uint32_t n)
{
	printf("\"%s\": [", name);
	for (uint32_t i = 0; i < n; i++)
		printf("%s%.4f", i ? ", " : "", samples[i]);
	printf("]");
}

/*
 * A loader as it is in a daemon, with a load behind it. It does not stay while
 * fio runs: lockable memory is counted per user, and fio needs it too.
 */
static double load_with_loader(struct bench *b, struct finf_load_report *report, char *text,
			       size_t len)
{
	struct finf_loader *loader;
	struct finf_diag diag;
	double rate;

	if (finf_loader_new(NULL, &b->pool, &b->opts, &loader, &diag) < 0)
		die(diag.text);
	load_once(b, loader, report);
	rate = load_once(b, loader, report);
	finf_loader_describe(loader, text, len);
	finf_loader_free(loader);
	return rate;
}

static void run(struct bench *b)
{
	double ours[RUNS_MAX], fio[RUNS_MAX] = {0}, ratio[RUNS_MAX] = {0};
	uint32_t block_kib = 0, depth = 0;
	struct finf_load_report report;
	char text[1024];

	if (!b->no_fio)
		fio_sweep(b, &block_kib, &depth);
	for (uint32_t i = 0; i < b->runs; i++) {
		ours[i] = load_with_loader(b, &report, text, sizeof(text));
		if (!block_kib)
			continue;
		fio[i] = fio_once(b, block_kib, depth);
		if (!fio[i])
			die("fio failed");
		ratio[i] = ours[i] / fio[i];
	}
	if (b->json) {
		printf("{\"bytes\": %" PRIu64 ", \"fio_block_kib\": %u, \"fio_depth\": %u, ",
		       b->bytes, block_kib, depth);
		print_samples("load_gbps", ours, b->runs);
		printf(", ");
		print_samples("fio_gbps", fio, b->runs);
		printf("}\n");
		return;
	}
	printf("%s", text);
	printf("direct=%d cached_bytes=%" PRIu64 "\n", report.direct, report.cached_bytes);
	printf("%.1f MB: load %.2f GB/s (p10 %.2f, p90 %.2f)", (double)b->bytes / 1e6,
	       rank(ours, b->runs, 50), rank(ours, b->runs, 10), rank(ours, b->runs, 90));
	if (block_kib)
		printf(", fio %.2f GB/s (%u KiB x %u), ratio %.2f (p10 %.2f, p90 %.2f)",
		       rank(fio, b->runs, 50), block_kib, depth, rank(ratio, b->runs, 50),
		       rank(ratio, b->runs, 10), rank(ratio, b->runs, 90));
	printf(", n=%u\n", b->runs);
}

static uint64_t size_arg(const char *text)
{
	uint64_t bytes;

	if (finf_size_parse(text, 0, &bytes) < 0) {
		fprintf(stderr, "bench_load: '%s' is no size\n", text);
		exit(2);
	}
	return bytes;
}

static enum finf_load_mode mode_arg(const char *text)
{
	static const char *const names[] = {"auto", "direct", "staging", "pread"};

	for (unsigned i = 0; i < FINF_ARRAY_LEN(names); i++)
		if (!strcmp(text, names[i]))
			return (enum finf_load_mode)i;
	fprintf(stderr, "bench_load: no mode '%s'\n", text);
	exit(2);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{"bytes", 1, NULL, 'b'}, {"file", 1, NULL, 'f'},   {"mode", 1, NULL, 'm'},
		{"block", 1, NULL, 'k'}, {"depth", 1, NULL, 'd'},  {"staging", 1, NULL, 's'},
		{"pool", 1, NULL, 'p'},	 {"runs", 1, NULL, 'n'},   {"uid", 1, NULL, 'u'},
		{"no-fio", 0, NULL, 'o'}, {"warm", 0, NULL, 'w'}, {"json", 0, NULL, 'j'},
		{"no-checksum", 0, NULL, 'x'}, {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'b': b->bytes = size_arg(optarg) / 4096 * 4096; break;
		case 'f': b->path = optarg; break;
		case 'm': b->opts.mode = mode_arg(optarg); break;
		case 'k': b->opts.block_bytes = (uint32_t)size_arg(optarg); break;
		case 'd': b->opts.depth = (uint32_t)size_arg(optarg); break;
		case 's': b->opts.staging_bytes = size_arg(optarg); break;
		case 'p': b->pool_bytes = size_arg(optarg); break;
		case 'n': b->runs = (uint32_t)FINF_MIN(size_arg(optarg), RUNS_MAX); break;
		case 'u': b->uid = (uid_t)size_arg(optarg); break;
		case 'o': b->no_fio = true; break;
		case 'w': b->warm = true; break;
		case 'j': b->json = true; break;
		case 'x': b->opts.no_checksum = true; break;
		default: exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct bench b = {
		.bytes = 550u << 20,
		.pool_bytes = 1u << 30,
		.runs = 9,
		.opts.size = sizeof(b.opts),
	};
	char made[64];

	parse(&b, argc, argv);
	if (!b.path) {
		snprintf(made, sizeof(made), "/var/tmp/fi-bench-load-%d", (int)getpid());
		b.path = made;
		make_file(&b);
	}
	if (b.uid && (setgroups(0, NULL) < 0 || setresgid(b.uid, b.uid, b.uid) < 0 ||
		      setresuid(b.uid, b.uid, b.uid) < 0))
		die("--uid");
	open_file(&b);
	make_pool(&b);
	run(&b);
	if (b.made)
		unlink(b.path);
	return 0;
}
