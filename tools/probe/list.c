/* SPDX-License-Identifier: MIT */
/* probe: what lies pinned: fid-probe list shows it, fid-probe rm takes it away. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "ipc/usdt.h"
#include "tools/probe/probe.h"

/* The name among @names that has this hash, else its digits. */
static const char *name_of(uint64_t model, char **names, int n, char buf[20])
{
	for (int i = 0; i < n; i++)
		if (finf_ipc_name_hash(names[i]) == model)
			return names[i];
	snprintf(buf, 20, "%016llx", (unsigned long long)model);
	return buf;
}

/* The fullest bucket: the usual time between two arrivals. */
static void print_gap(const struct fi_model *model)
{
	int best = 0;

	for (int k = 1; k < FI_GAPS; k++)
		if (model->gaps[k] > model->gaps[best])
			best = k;
	if (model->gaps[best])
		printf("%12.3g\n", (double)(1ull << best) / 1e9);
	else
		printf("%12s\n", "-");
}

static void print_models(int fd, char **names, int n_names)
{
	uint64_t at, next, now = finf_now_ns();
	bool more = !bpf_map_get_next_key(fd, NULL, &next);
	struct fi_model model;
	char buf[20];

	printf("%-32s %10s %10s %12s %12s\n", "model", "calls", "tcp", "seen s ago", "gap s");
	while (more) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		if (bpf_map_lookup_elem(fd, &at, &model))
			continue;
		printf("%-32s %10llu %10llu ", name_of(at, names, n_names, buf),
		       (unsigned long long)model.arrivals[FI_SOURCE_CALL],
		       (unsigned long long)model.arrivals[FI_SOURCE_TCP]);
		if (model.last_ns && now >= model.last_ns)
			printf("%12.3f ", (double)(now - model.last_ns) / 1e9);
		else
			printf("%12s ", "-");
		print_gap(&model);
	}
}

static void print_ports(int fd, char **names, int n_names)
{
	struct fi_port_key at, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);
	struct fi_port port;
	char buf[20];

	while (more) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		if (!bpf_map_lookup_elem(fd, &at, &port))
			printf("port %u of network namespace %u: %s\n", at.port, at.netns,
			       name_of(port.model, names, n_names, buf));
	}
}

static int print_counts(int fd)
{
	struct fi_counts sum = {0}, *each;
	int cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	each = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*each));
	if (!each)
		return -ENOMEM;
	if (cpus > 0 && !bpf_map_lookup_elem(fd, &zero, each)) {
		for (int i = 0; i < cpus; i++) {
			sum.sent += each[i].sent;
			sum.lost += each[i].lost;
			sum.woken += each[i].woken;
			sum.unknown += each[i].unknown;
		}
		printf("events sent %llu, with a wakeup %llu, lost %llu; calls of unknown models "
		       "%llu\n",
		       (unsigned long long)sum.sent, (unsigned long long)sum.woken,
		       (unsigned long long)sum.lost, (unsigned long long)sum.unknown);
	}
	free(each);
	return 0;
}

int probe_list(const char *dir, char **names, int n_names)
{
	static const enum probe_map wanted[] = {PROBE_MODELS, PROBE_PORTS, PROBE_COUNTS};
	int fds[FINF_ARRAY_LEN(wanted)], n = 0, status = 0;

	for (; n < (int)FINF_ARRAY_LEN(wanted); n++) {
		fds[n] = probe_map_open(dir, wanted[n], false);
		if (fds[n] < 0) {
			fprintf(stderr, "fid-probe: %s: %s\n", dir, strerror(-fds[n]));
			status = 1;
			goto out;
		}
	}
	print_models(fds[0], names, n_names);
	print_ports(fds[1], names, n_names);
	if (print_counts(fds[2]))
		status = 1;
out:
	while (n)
		close(fds[--n]);
	return status;
}

/* Only what fid-probe pins lies in the folder, and only on a BPF file system is it looked for. */
int probe_rm(const char *dir)
{
	DIR *folder = probe_on_bpffs(dir) ? opendir(dir) : NULL;
	struct dirent *entry;
	int status = 0;

	if (!folder) {
		fprintf(stderr, "fid-probe: nothing is pinned in %s\n", dir);
		return 1;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0)) {
			fprintf(stderr, "fid-probe: %s/%s: %s\n", dir, entry->d_name,
				strerror(errno));
			status = 1;
		}
	}
	closedir(folder);
	if (!status && rmdir(dir)) {
		fprintf(stderr, "fid-probe: %s: %s\n", dir, strerror(errno));
		status = 1;
	}
	return status;
}
