/* SPDX-License-Identifier: MIT */
/*
 * What standing in front of a call costs: nanoseconds per call of the driver
 * in programs with libfi-preload.so at work and switched off, in turns. Run it by
 * `fictl app run -- cost`, with a driver on the loader's path. A measurement, not a test.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 61
#define CALLS  50000

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A fill of nothing, and a look-up that is none of the driver's. */
static int measure(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW), *ctx;
	unsigned (*init)(unsigned) = lib ? (unsigned (*)(unsigned))dlsym(lib, "cuInit") : NULL;
	unsigned (*retain)(void **, int), (*enter)(void *), (*fill)(uint64_t, unsigned char, size_t, void *);
	double start, middle;

	if (!init || init(0))
		return 1;
	retain = (unsigned (*)(void **, int))dlsym(lib, "cuDevicePrimaryCtxRetain");
	enter = (unsigned (*)(void *))dlsym(lib, "cuCtxSetCurrent");
	fill = (unsigned (*)(uint64_t, unsigned char, size_t, void *))dlsym(lib, "cuMemsetD8Async");
	if (retain(&ctx, 0) || enter(ctx))
		return 1;
	start = now_ns();
	for (int i = 0; i < CALLS; i++)
		fill(0, 0, 0, NULL);
	middle = now_ns();
	for (int i = 0; i < CALLS; i++)
		dlsym(RTLD_DEFAULT, "malloc");
	printf("%f %f\n", (middle - start) / CALLS, (now_ns() - middle) / CALLS);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run(const char *self, const char *set, double *ret_call, double *ret_lookup)
{
	char command[4200];
	FILE *pipe;
	int n;

	snprintf(command, sizeof(command), "%s exec '%s' one", set, self);
	pipe = popen(command, "r");
	n = pipe ? fscanf(pipe, "%lf %lf", ret_call, ret_lookup) : 0;
	return pipe && !pclose(pipe) && n == 2 ? 0 : -1;
}

int main(int argc, char **argv)
{
	double call[2][ROUNDS], lookup[2][ROUNDS];

	if (argc == 2 && !strcmp(argv[1], "one"))
		return measure();
	for (int i = 0; i < ROUNDS; i++)
		if (run(argv[0], "FUSEDINF_PRELOAD=off", &call[0][i], &lookup[0][i]) ||
		    run(argv[0], "FUSEDINF_PRELOAD=on", &call[1][i], &lookup[1][i]))
			return 1;
	for (int on = 0; on < 2; on++) {
		qsort(call[on], ROUNDS, sizeof(double), by_value);
		qsort(lookup[on], ROUNDS, sizeof(double), by_value);
	}
	printf("%-26s %8s %8s %8s\n", "best of 61 rounds, ns", "off", "on", "added");
	printf("%-26s %8.1f %8.1f %8.1f\n", "fill of no bytes", call[0][0],
	       call[1][0], call[1][0] - call[0][0]);
	printf("%-26s %8.1f %8.1f %8.1f\n", "dlsym, not the driver's", lookup[0][0],
	       lookup[1][0], lookup[1][0] - lookup[0][0]);
	return 0;
}
