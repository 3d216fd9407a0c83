/* SPDX-License-Identifier: MIT */
/*
 * What this machine's cores and memory can do at most, for tests/bench/fused.py:
 * multiply-adds of float32 in registers, and reading 512 MiB once. One JSON line.
 * Usage: roofline THREADS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define THREADS_MAX 256
#define TRIALS	    7
#define CHAINS	    16 /* independent, to hide the latency of one multiply-add */
#define STEPS	    2000000
#define READ_BYTES  ((size_t)512 << 20)

/* As wide as the compiler's target has registers; -march=native in build.mk. */
#ifdef __AVX512F__
#define WIDTH 16
#else
#define WIDTH 8
#endif
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float))));
typedef uint64_t words __attribute__((vector_size(WIDTH * sizeof(float))));

struct share {
	pthread_t thread;
	pthread_barrier_t *start;
	const char *from;
	size_t bytes;
	uint64_t begin_ns, end_ns;
	double kept; /* so that no work can be left out */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *multiply_add(void *ctx)
{
	struct share *share = ctx;
	vector chain[CHAINS], a, b;

	for (int w = 0; w < WIDTH; w++) {
		a[w] = 0.999f;
		b[w] = 0.001f * (float)(w + 1);
	}
	for (int c = 0; c < CHAINS; c++)
		chain[c] = b * (float)c;
	pthread_barrier_wait(share->start);
	share->begin_ns = now_ns();
	for (int i = 0; i < STEPS; i++)
		for (int c = 0; c < CHAINS; c++)
			chain[c] = chain[c] * a + b;
	share->end_ns = now_ns();
	share->kept = 0;
	for (int c = 0; c < CHAINS; c++)
		for (int w = 0; w < WIDTH; w++)
			share->kept += (double)chain[c][w];
	return NULL;
}

static void *read_once(void *ctx)
{
	struct share *share = ctx;
	const words *from = (const words *)(const void *)share->from;
	words sum[4] = {0};

	pthread_barrier_wait(share->start);
	share->begin_ns = now_ns();
	for (size_t i = 0; i + 4 <= share->bytes / sizeof(words); i += 4)
		for (int k = 0; k < 4; k++)
			sum[k] += from[i + (size_t)k];
	share->end_ns = now_ns();
	share->kept = 0;
	for (int k = 0; k < 4; k++)
		share->kept += (double)sum[k][0];
	return NULL;
}

/* Seconds from the first start to the last end, the best of some trials. */
static double best_seconds(void *(*work)(void *), unsigned n, const char *data)
{
	struct share shares[THREADS_MAX] = {0};
	double best = 1e9;

	for (int trial = 0; trial < TRIALS; trial++) {
		uint64_t begin = UINT64_MAX, end = 0;
		pthread_barrier_t start;

		pthread_barrier_init(&start, NULL, n);
		for (unsigned i = 0; i < n; i++) {
			shares[i].start = &start;
			shares[i].bytes = READ_BYTES / n / 4096 * 4096;
			shares[i].from = data + i * shares[i].bytes;
			if (pthread_create(&shares[i].thread, NULL, work, &shares[i]))
				exit(1);
		}
		for (unsigned i = 0; i < n; i++) {
			pthread_join(shares[i].thread, NULL);
			begin = shares[i].begin_ns < begin ? shares[i].begin_ns : begin;
			end = shares[i].end_ns > end ? shares[i].end_ns : end;
		}
		pthread_barrier_destroy(&start);
		if ((double)(end - begin) * 1e-9 < best)
			best = (double)(end - begin) * 1e-9;
	}
	return best;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	char *data;

	if (!n || n > THREADS_MAX) {
		fprintf(stderr, "usage: roofline THREADS\n");
		return 2;
	}
	data = mmap(NULL, READ_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return 1;
	madvise(data, READ_BYTES, MADV_HUGEPAGE);
	memset(data, 1, READ_BYTES);
	printf("{\"threads\": %u, \"gflops\": %.1f, \"read_gb_s\": %.2f}\n", n,
	       2.0 * WIDTH * CHAINS * STEPS * n / best_seconds(multiply_add, n, data) * 1e-9,
	       (double)READ_BYTES / best_seconds(read_once, n, data) * 1e-9);
	munmap(data, READ_BYTES);
	return 0;
}
