/* SPDX-License-Identifier: MIT */
/*
 * probe - fid-probe, the small program that holds the privileges for BPF: it
 * loads, attaches, pins, and hands descriptors to fid after checking what fid
 * asks. It needs CAP_BPF and CAP_PERFMON, mounts nothing and decides nothing.
 * Must not know: models beyond the hashes of their names, or policy.
 */
#ifndef FI_PROBE_H
#define FI_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fi_events.h"

struct finf_diag;
struct fi_arrival_bpf;

/* ---- site.c: where a USDT site lies in a file --------------------------- */

struct probe_site {
	uint64_t offset, semaphore; /* in the file; semaphore 0 = none */
};

#define PROBE_SITES_MAX 8
/**
 * probe_sites - the sites fusedinf:@name of an ELF file of this machine.
 * Return: how many (at least 1); -ENOENT none; -ENOEXEC no such ELF file, or a
 * site whose argument is not where the program looks; -E2BIG; -errno.
 */
int probe_sites(int fd, const char *name, struct probe_site ret[PROBE_SITES_MAX],
		struct finf_diag *diag);

/* ---- kernel.c: programs and maps ---------------------------------------- */

enum probe_map { PROBE_ARRIVALS, PROBE_COLD, PROBE_MODELS, PROBE_PORTS, PROBE_COUNTS, PROBE_MAPS };

struct probe {
	const char *dir;	     /* borrowed; NULL: nothing is pinned */
	struct fi_arrival_bpf *skel; /* owned */
};

/** probe_on_bpffs - is @dir, or the nearest folder above that exists, on a BPF file system? */
bool probe_on_bpffs(const char *dir);
/**
 * probe_load - load the programs; with @dir, pin the maps there or use those that are pinned.
 * Return: 0; -ENODEV no bpffs at @dir; -EPERM; -EINVAL pinned maps of another layout; -errno.
 */
int probe_load(struct probe *probe, const char *dir, struct finf_diag *diag);
void probe_unload(struct probe *probe); /* pinned maps and links stay */
int probe_map_fd(const struct probe *probe, enum probe_map map);
/** A pinned map of @dir, for reading only. Return: descriptor; -errno. */
int probe_map_open(const char *dir, enum probe_map map, bool write);

/**
 * probe_attach_tcp, probe_attach_file - start counting; pinned when there is a folder, and
 * then nothing happens where a link is pinned already.
 * @param ret_link  without a folder: the link, whose end ends counting
 */
int probe_attach_tcp(struct probe *probe, int *ret_link, struct finf_diag *diag);
int probe_attach_file(struct probe *probe, int fd, const char *site, int *ret_link,
		      struct finf_diag *diag);

/** Models and ports. Return: 0; -ENOENT; -E2BIG the map is full; -errno. */
int probe_model_add(struct probe *probe, uint64_t model);
int probe_model_rm(struct probe *probe, uint64_t model);
/** @param netns  descriptor of a network namespace; -1: that of fid-probe */
int probe_port_add(struct probe *probe, uint64_t model, uint16_t port, int netns);
int probe_port_rm(struct probe *probe, uint16_t port, int netns);

/* ---- serve.c, check.c, list.c ------------------------------------------- */

/** Answer requests on a connected socket until it is closed. Return: 0; -errno. */
int probe_serve(struct probe *probe, int sock);
/** Bind @path and serve one peer after the other; only of @uid, of our own, or root. */
int probe_listen(struct probe *probe, const char *path, uid_t uid, struct finf_diag *diag);

int probe_check(const char *dir); /* exit status */
int probe_list(const char *dir, char **names, int n_names);
int probe_rm(const char *dir);

#endif
