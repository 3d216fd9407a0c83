/* SPDX-License-Identifier: MIT */
/*
 * What cuGetProcAddress and dlsym answer: for each line "VERSION FLAGS NAME",
 * or "dlsym 0 NAME", is it the driver's own function or another's? Built as a
 * program; the answers are compared by test_preload.c.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned (*proc2_fn)(const char *, void **, int, uint64_t, int *);

static const char *owner(void *at)
{
	const char *base;
	Dl_info info;

	if (!at || !dladdr(at, &info))
		return "none";
	base = strrchr(info.dli_fname, '/');
	base = base ? base + 1 : info.dli_fname;
	return !strncmp(base, "libcuda", 7) ? "driver" : !strncmp(base, "libfi-preload", 13) ? "ours" : "other";
}

int main(int argc, char **argv)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	proc2_fn get = lib ? (proc2_fn)dlsym(lib, "cuGetProcAddress_v2") : NULL;

	if (!get)
		return 1;
	for (int i = 1; i + 2 < argc; i += 3) {
		void *at = NULL;
		int found;

		if (!strcmp(argv[i], "dlsym"))
			at = dlsym(strcmp(argv[i + 1], "next") ? lib : RTLD_NEXT, argv[i + 2]);
		else
			get(argv[i + 2], &at, atoi(argv[i]), strtoull(argv[i + 1], NULL, 0), &found);
		puts(owner(at));
	}
	return 0;
}
