/* SPDX-License-Identifier: MIT */
/*
 * fid: what OpenMP's team, which oneDNN runs on, has to be told before main(). It spins between
 * parallel regions: for long, and it takes cores from the loop, the loader and the clients; not
 * at all, and each region waits for a wakeup. And its threads have to stay apart: beside one busy
 * program the scheduler leaves two of them on one core, where they spin against each other, and a
 * run takes 20 times as long. Documentation/measurements has figures.
 *
 * The runtime reads both from the environment before main(): so fid sets it and starts over.
 * Each member of the team gets CPUs of its own, a share of those that fid may use:
 *   8 CPUs, 2 threads: {0,1,2,3},{4,5,6,7}     2 CPUs, 2 threads: {0},{1}
 */
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "daemon/team.h"

#define SPIN "20000"

/* The share number @i of @n of these CPUs, as the runtime spells a place. */
static void put_place(struct finf_buf *buf, const cpu_set_t *cpus, uint32_t i, uint32_t n)
{
	uint32_t count = (uint32_t)CPU_COUNT(cpus), at = 0;
	const char *before = i ? ",{" : "{";

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, cpus))
			continue;
		if (at++ * n / count != i)
			continue;
		finf_buf_printf(buf, "%s%d", before, cpu);
		before = ",";
	}
	finf_buf_printf(buf, "}");
}

/* With more threads than CPUs there is nothing to share out: they go where they are sent. */
static void set_places(uint32_t threads)
{
	struct finf_buf places;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) || threads < 2 ||
	    threads > (uint32_t)CPU_COUNT(&cpus))
		return;
	finf_buf_init(&places);
	for (uint32_t i = 0; i < threads; i++)
		put_place(&places, &cpus, i, threads);
	finf_buf_u8(&places, 0);
	if (!places.err && !setenv("OMP_PLACES", (const char *)places.data, 1))
		setenv("OMP_PROC_BIND", "close", 1);
	finf_buf_fini(&places);
}

/*
 * The runtime has bound the first thread as if it led a team, and all that it starts would be where
 * it is. The thread that runs plans is bound when its first team is made.
 */
static void unbind_self(void)
{
	static int ids[CPU_SETSIZE];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (int p = 0; p < omp_get_num_places(); p++) {
		int n = omp_get_place_num_procs(p);

		if (n > CPU_SETSIZE)
			return;
		omp_get_place_proc_ids(p, ids);
		for (int i = 0; i < n; i++)
			CPU_SET(ids[i], &cpus);
	}
	if (CPU_COUNT(&cpus))
		sched_setaffinity(0, sizeof(cpus), &cpus);
}

void fid_team_settle(uint32_t threads, char **argv)
{
	static const char *const settings[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_PROC_BIND",
					       "OMP_PLACES", "GOMP_CPU_AFFINITY"};

	for (size_t i = 0; i < FINF_ARRAY_LEN(settings); i++)
		if (getenv(settings[i])) { /* the second time, or somebody knows better */
			unbind_self();
			return;
		}
	if (setenv("GOMP_SPINCOUNT", SPIN, 1))
		return;
	set_places(threads ? threads : (uint32_t)FINF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L));
	execv("/proc/self/exe", argv); /* or go on: slower, and right */
}
