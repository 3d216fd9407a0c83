/* SPDX-License-Identifier: MIT */
/*
 * fictl bench preload: what standing in front of the driver costs per call.
 * fictl starts itself again with libfi-preload.so at work and switched off, in
 * turns; each of these processes calls the driver that the loader finds.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/fictl/bench.h"

#define CALLS	   50000
#define CALLS_WORD "calls" /* argument of the processes that call */

/* Nanoseconds per call. */
struct cost {
	double call, look_up;
};

/* ---- a process that calls ------------------------------------------------------------ */

typedef unsigned (*fill_fn)(uint64_t, unsigned char, size_t, void *);

/* A fill of nothing: the shortest call that the library has to see. */
static int open_driver(fill_fn *ret_fill)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW), *ctx;
	unsigned (*init)(unsigned) = lib ? (unsigned (*)(unsigned))dlsym(lib, "cuInit") : NULL;
	unsigned (*retain)(void **, int), (*enter)(void *);

	if (!init || init(0))
		return -ENODEV;
	retain = (unsigned (*)(void **, int))dlsym(lib, "cuDevicePrimaryCtxRetain");
	enter = (unsigned (*)(void *))dlsym(lib, "cuCtxSetCurrent");
	*ret_fill = (fill_fn)dlsym(lib, "cuMemsetD8Async");
	return !retain || !enter || !*ret_fill || retain(&ctx, 0) || enter(ctx) ? -ENODEV : 0;
}

static int call_driver(void)
{
	uint64_t begin, middle;
	fill_fn fill;

	if (open_driver(&fill))
		return EXIT_CANNOT;
	begin = finf_now_ns();
	for (int i = 0; i < CALLS; i++)
		fill(0, 0, 0, NULL);
	middle = finf_now_ns();
	for (int i = 0; i < CALLS; i++)
		dlsym(RTLD_DEFAULT, "malloc");
	printf("%f %f\n", (double)(middle - begin) / CALLS, (double)(finf_now_ns() - middle) / CALLS);
	return EXIT_DONE;
}

/* ---- many of them, in turns ------------------------------------------------------------- */

static pid_t spawn(bool on, int out)
{
	char self[PATH_MAX], library[PATH_MAX];
	pid_t pid;

	if (!bench_program("fictl", self, sizeof(self)) || !preload_library(library))
		return -1;
	pid = fork();
	if (pid)
		return pid;
	setenv("LD_PRELOAD", library, 1);
	setenv("FUSEDINF_PRELOAD", on ? "on" : "off", 1);
	dup2(out, STDOUT_FILENO);
	execl(self, "fictl", "bench", "preload", CALLS_WORD, (char *)NULL);
	_exit(127);
}

/* Return: 0; -ENODEV no driver; -ENOENT no library; -EIO. */
static int cost_of(bool on, struct cost *ret)
{
	int fds[2], status = 0, n = 0;
	FILE *in;
	pid_t pid;

	if (pipe(fds))
		return -errno;
	pid = spawn(on, fds[1]);
	close(fds[1]);
	in = fdopen(fds[0], "r");
	if (in && pid > 0)
		n = fscanf(in, "%lf %lf", &ret->call, &ret->look_up);
	if (in)
		fclose(in);
	if (pid < 0)
		return -ENOENT;
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -EIO;
	if (WEXITSTATUS(status) == EXIT_CANNOT)
		return -ENODEV;
	return n == 2 && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int measure(uint64_t rounds, struct bench_samples *call, struct bench_samples *look_up)
{
	struct cost off, on;
	int err = 0;

	for (uint64_t i = 0; !err && i < rounds; i++) {
		err = cost_of(false, &off);
		if (!err)
			err = cost_of(true, &on);
		if (err)
			break;
		bench_sample(call, on.call - off.call);
		bench_sample(look_up, on.look_up - off.look_up);
	}
	return err;
}

int bench_preload(struct fictl *ctl, int argc, char **argv)
{
	static struct bench_samples call, look_up;
	const char *count = NULL, *word = NULL;
	const struct option_spec specs[] = {{"--count", false, &count}, {0}};
	struct bench_report report;
	uint64_t rounds = 61;
	int n = parse(ctl, argc, argv, specs, &word, 1), err;

	if (n < 0 || (count && !parse_number(ctl, "--count", count, 1, BENCH_SAMPLES_MAX, &rounds)))
		return EXIT_USAGE;
	if (n)
		return strcmp(word, CALLS_WORD) ? usage(ctl, "what is %s?", word) : call_driver();
	err = measure(rounds, &call, &look_up);
	if (err == -ENODEV) {
		failed(ctl, err, "bench preload: no driver: libcuda.so.1 is not found or has no device");
		return EXIT_CANNOT;
	}
	if (err)
		return failed(ctl, err, "bench preload: %s",
			      err == -ENOENT ? "no libfi-preload.so" : strerror(-err));
	bench_begin(&report, ctl->json);
	bench_add(&report, &(struct bench_row){.what = "added to a call of the driver",
					       .unit = "ns",
					       .ours = &call,
					       .quantile = 0.5,
					       .goal = 50});
	bench_add(&report, &(struct bench_row){.what = "added to a look-up of somebody else's",
					       .unit = "ns",
					       .ours = &look_up,
					       .quantile = 0.5,
					       .goal = 50});
	return bench_end(&report);
}
