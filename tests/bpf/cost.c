/* SPDX-License-Identifier: MIT */
/*
 * What the USDT site costs: cost FID-PROBE DIR, DIR on a BPF file system. Prints
 * nanoseconds per call with nobody attached, attached to a model that is not
 * counted, and counted; the best of seven rounds each. Beside it fid's site of a
 * load that ended, with nobody attached. A measurement, not a test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "daemon/usdt.h"
#include "ipc/usdt.h"

#define ROUNDS 7

static double best_ns(const char *model, unsigned n)
{
	double best = 1e30;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = finf_now_ns();
		double ns;

		for (unsigned i = 0; i < n; i++)
			finf_ipc_arrival(model);
		ns = (double)(finf_now_ns() - start) / n;
		best = FINF_MIN(best, ns);
	}
	return best;
}

static double load_site_ns(void)
{
	const unsigned n = 10000000;
	double best = 1e30;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = finf_now_ns();
		double ns;

		for (unsigned i = 0; i < n; i++)
			fid_usdt_load_done("net:1", i, i, 0);
		ns = (double)(finf_now_ns() - start) / n;
		best = FINF_MIN(best, ns);
	}
	return best;
}

static int probe(const char *program, const char *dir, const char *const *args)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	pid_t pid;
	int status;

	if (n < 0)
		return -1;
	exe[n] = 0;
	pid = fork();
	if (!pid) {
		execl(program, program, "--pin", dir, args[0], args[1], args[2],
		      args[2] ? exe : NULL, args[3], args[4], NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	printf("load_done         %7.2f ns\n", load_site_ns());
	printf("nobody attached   %7.2f ns\n", best_ns("net", 10000000));
	if (probe(argv[1], argv[2],
		  (const char *[]){"run", "--once", "--file", "--model", "net", NULL}))
		return 1;
	printf("not counted       %7.2f ns\n", best_ns("other", 100000));
	printf("counted, ring     %7.2f ns\n", best_ns("net", 2000));
	printf("counted, lost     %7.2f ns\n", best_ns("net", 100000));
	return probe(argv[1], argv[2], (const char *[]){"rm", NULL, NULL, NULL, NULL}) ? 1 : 0;
}
