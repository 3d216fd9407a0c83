/* SPDX-License-Identifier: MIT */
/*
 * A CUDA program that knows nothing of us: does what its standard input says, a
 * line at a time, and answers each with a line. Started as
 *   app linked | dlsym | proc FLAGS | proc2 VERSION FLAGS
 * which is the way in which it finds the driver; "linked" is another build.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fakecuda/fakecuda.h"

#define GRID unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned
#define CALLS(X) \
	X(cuInit, cuInit, (unsigned)) \
	X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (void **, int)) \
	X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (int)) \
	X(cuCtxSetCurrent, cuCtxSetCurrent, (void *)) \
	X(cuCtxSynchronize, cuCtxSynchronize, (void)) \
	X(cuMemAlloc, cuMemAlloc_v2, (uint64_t *, size_t)) \
	X(cuMemFree, cuMemFree_v2, (uint64_t)) \
	X(cuMemGetInfo, cuMemGetInfo_v2, (size_t *, size_t *)) \
	X(cuDeviceTotalMem, cuDeviceTotalMem_v2, (size_t *, int)) \
	X(cuMemcpyHtoD, cuMemcpyHtoD_v2, (uint64_t, const void *, size_t)) \
	X(cuMemcpyDtoH, cuMemcpyDtoH_v2, (void *, uint64_t, size_t)) \
	X(cuModuleLoadDataEx, cuModuleLoadDataEx, (void **, const void *, unsigned, int *, void **)) \
	X(cuModuleGetFunction, cuModuleGetFunction, (void **, void *, const char *)) \
	X(cuModuleUnload, cuModuleUnload, (void *)) \
	X(cuStreamCreateWithPriority, cuStreamCreateWithPriority, (void **, unsigned, int)) \
	X(cuStreamDestroy, cuStreamDestroy_v2, (void *)) \
	X(cuStreamBeginCapture, cuStreamBeginCapture_v2, (void *, int)) \
	X(cuStreamEndCapture, cuStreamEndCapture, (void *, void **)) \
	X(cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags, (void **, void *, uint64_t)) \
	X(cuGraphLaunch, cuGraphLaunch, (void *, void *)) \
	X(cuGraphExecDestroy, cuGraphExecDestroy, (void *)) \
	X(cuGraphDestroy, cuGraphDestroy, (void *)) \
	X(cuLaunchKernel, cuLaunchKernel, (void *, GRID, void *, void **, void **))

static struct {
#define FIELD(name, symbol, args) unsigned (*name) args;
	CALLS(FIELD)
} cu;

#define STORM_MAX 8

static struct {
	void *lib, *ctx, *module, *store, *bump, *stream, *graph, *exec;
	atomic_bool storming;
	atomic_ulong launches, refused;
	uint64_t target;
	pthread_t threads[STORM_MAX];
	unsigned n_threads;
} app;

static void answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* ---- finding the driver ----------------------------------------------------------- */

#ifdef LINKED
#define DECLARE(name, symbol, args) extern unsigned symbol args;
CALLS(DECLARE)

static bool find_calls(int argc, char **argv)
{
	(void)argc, (void)argv;
#define TAKE(name, symbol, args) cu.name = symbol;
	CALLS(TAKE)
	return true;
}
#else
typedef unsigned (*proc_fn)(const char *, void **, int, uint64_t);
typedef unsigned (*proc2_fn)(const char *, void **, int, uint64_t, int *);

static bool by_dlsym(void)
{
#define TAKE(name, symbol, args) cu.name = (__typeof__(cu.name))dlsym(app.lib, #symbol);
	CALLS(TAKE)
	return true;
}

static bool by_proc(uint64_t flags)
{
	proc_fn get = (proc_fn)dlsym(app.lib, "cuGetProcAddress"), self;

	/* The runtime asks for the function through itself and goes on with that one. */
	if (!get || get("cuGetProcAddress", (void **)&self, 11030, flags))
		return false;
#define ASK(name, symbol, args) \
	if (self(#name, (void **)&cu.name, 11080, flags)) \
		return false;
	CALLS(ASK)
	return true;
}

static bool by_proc2(int version, uint64_t flags)
{
	proc2_fn get = (proc2_fn)dlsym(app.lib, "cuGetProcAddress_v2"), self;
	int found;

	if (!get || get("cuGetProcAddress", (void **)&self, 12000, flags, &found))
		return false;
#define ASK2(name, symbol, args) \
	if (self(#name, (void **)&cu.name, version, flags, &found)) \
		return false;
	CALLS(ASK2)
	return true;
}

static bool find_calls(int argc, char **argv)
{
	app.lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!app.lib || argc < 2)
		return false;
	if (!strcmp(argv[1], "dlsym"))
		return by_dlsym();
	if (!strcmp(argv[1], "proc") && argc == 3)
		return by_proc(strtoull(argv[2], NULL, 0));
	if (!strcmp(argv[1], "proc2") && argc == 4)
		return by_proc2(atoi(argv[2]), strtoull(argv[3], NULL, 0));
	return false;
}
#endif

/* ---- kernels ------------------------------------------------------------------------ */

struct job {
	uint64_t at, words, seed;
};

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void store(const void *param, const struct fakecuda_grid *grid)
{
	const struct job *job = param;
	uint64_t *to = (uint64_t *)(uintptr_t)job->at;

	(void)grid;
	for (uint64_t i = 0; i < job->words; i++)
		to[i] = mix(job->seed + i);
}

/* Reads and writes one word: a storm leaves behind how often it ran. */
static void bump(const void *param, const struct fakecuda_grid *grid)
{
	const struct job *job = param;

	(void)grid;
	++*(uint64_t *)(uintptr_t)job->at;
}

static unsigned launch(void *function, struct job job, void *stream)
{
	void *params[] = {&job};

	return cu.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
}

static void *control(const char *name)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);

	return lib ? dlsym(lib, name) : NULL;
}

static bool begin(int argc, char **argv)
{
	__typeof__(&fakecuda_kernel) kernel;

	if (!find_calls(argc, argv))
		return false;
	kernel = (__typeof__(kernel))control("fakecuda_kernel");
	if (cu.cuInit(0) || cu.cuDevicePrimaryCtxRetain(&app.ctx, 0) || cu.cuCtxSetCurrent(app.ctx))
		return false;
	kernel("store", store, sizeof(struct job), 0);
	kernel("bump", bump, sizeof(struct job), 0);
	return !cu.cuModuleLoadDataEx(&app.module, "fakecuda\nstore\nbump\n", 0, NULL, NULL) &&
	       !cu.cuModuleGetFunction(&app.store, app.module, "store") &&
	       !cu.cuModuleGetFunction(&app.bump, app.module, "bump") &&
	       !cu.cuStreamCreateWithPriority(&app.stream, 1, 0);
}

/* ---- commands -------------------------------------------------------------------------- */

static void do_sum(uint64_t at, size_t bytes)
{
	uint64_t *words = malloc(bytes), sum = 0;
	unsigned result = cu.cuMemcpyDtoH(words, at, bytes);

	for (size_t i = 0; i < bytes / 8; i++)
		sum = mix(sum ^ words[i]);
	free(words);
	answer("%u %" PRIx64, result, sum);
}

static void do_info(void)
{
	size_t left = 0, total = 0, device = 0;
	unsigned result = cu.cuMemGetInfo(&left, &total);

	cu.cuDeviceTotalMem(&device, 0);
	answer("%u %zu %zu %zu", result, left, total, device);
}

static void *storm(void *unused)
{
	cu.cuCtxSetCurrent(app.ctx);
	for (; app.storming; app.launches++)
		if (launch(app.bump, (struct job){app.target, 1, 0}, NULL) || cu.cuCtxSynchronize())
			app.refused++;
	return unused;
}

static void do_storm(uint64_t at, unsigned n)
{
	app.target = at;
	app.launches = app.refused = 0;
	app.storming = true;
	for (app.n_threads = 0; app.n_threads < n && app.n_threads < STORM_MAX; app.n_threads++)
		pthread_create(&app.threads[app.n_threads], NULL, storm, NULL);
	answer("0");
}

static void do_calm(void)
{
	app.storming = false;
	for (unsigned i = 0; i < app.n_threads; i++)
		pthread_join(app.threads[i], NULL);
	answer("%lu %lu", app.launches, app.refused);
}

static void do_capture(uint64_t at, uint64_t words, uint64_t seed)
{
	unsigned result = cu.cuStreamBeginCapture(app.stream, 1);

	if (!result)
		result = launch(app.store, (struct job){at, words, seed}, app.stream);
	answer("%u", result);
}

static void do_capture_end(void)
{
	unsigned result = cu.cuStreamEndCapture(app.stream, &app.graph);

	if (!result)
		result = cu.cuGraphInstantiateWithFlags(&app.exec, app.graph, 0);
	answer("%u", result);
}

/* The child must neither hang nor disturb its parent's session. */
static void do_fork(uint64_t at)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		uint64_t ret;
		bool refused = launch(app.bump, (struct job){at, 1, 0}, NULL) &&
			       cu.cuMemAlloc(&ret, (size_t)4 << 20) && cu.cuMemFree(at);

		_exit(refused ? 42 : 1);
	}
	waitpid(pid, &status, 0);
	answer("%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void do_end(void)
{
	__typeof__(&fakecuda_violations) violations;
	const char *last = "";
	unsigned n, left;

	violations = (__typeof__(violations))control("fakecuda_violations");
	if (app.exec)
		cu.cuGraphExecDestroy(app.exec);
	if (app.graph)
		cu.cuGraphDestroy(app.graph);
	cu.cuStreamDestroy(app.stream);
	cu.cuModuleUnload(app.module);
	left = cu.cuDevicePrimaryCtxRelease(0);
	n = violations(&last);
	answer("%u %u %s", left, n, last);
}

static bool obey(const char *line)
{
	uint64_t a = 0, b = 0, c = 0, at = 0;
	char verb[32] = "";
	unsigned result;

	sscanf(line, "%31s %" SCNx64 " %" SCNu64 " %" SCNu64, verb, &a, &b, &c);
	if (!strcmp(verb, "alloc")) {
		result = cu.cuMemAlloc(&at, b);
		answer("%u %" PRIx64, result, at);
	} else if (!strcmp(verb, "free")) {
		answer("%u", cu.cuMemFree(a));
	} else if (!strcmp(verb, "store")) {
		answer("%u", launch(app.store, (struct job){a, b, c}, NULL));
	} else if (!strcmp(verb, "sum")) {
		do_sum(a, b);
	} else if (!strcmp(verb, "sync")) {
		answer("%u", cu.cuCtxSynchronize());
	} else if (!strcmp(verb, "info")) {
		do_info();
	} else if (!strcmp(verb, "null-info")) {
		answer("%u", cu.cuMemGetInfo(NULL, NULL));
	} else if (!strcmp(verb, "storm")) {
		do_storm(a, (unsigned)b);
	} else if (!strcmp(verb, "calm")) {
		do_calm();
	} else if (!strcmp(verb, "capture")) {
		do_capture(a, b, c);
	} else if (!strcmp(verb, "captured")) {
		do_capture_end();
	} else if (!strcmp(verb, "renew")) {
		result = cu.cuStreamDestroy(app.stream);
		answer("%u", result ? result : cu.cuStreamCreateWithPriority(&app.stream, 1, 0));
	} else if (!strcmp(verb, "replay")) {
		answer("%u", cu.cuGraphLaunch(app.exec, app.stream));
	} else if (!strcmp(verb, "fork")) {
		do_fork(a);
	} else if (!strcmp(verb, "launches")) {
		answer("%lu", app.launches);
	} else {
		do_end();
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	char line[256];

	if (!begin(argc, argv)) {
		answer("no driver");
		return 1;
	}
	answer("ready");
	while (fgets(line, sizeof(line), stdin) && obey(line))
		;
	return 0;
}
