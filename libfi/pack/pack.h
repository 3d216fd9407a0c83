/* SPDX-License-Identifier: MIT */
/*
 * pack - the packed model file (.fim): a valid safetensors file that holds
 * the graph, and for tuned packs the plan, before the weights in execution
 * order, cut into checksummed segments. Documentation/formats/pack.md.
 * Must not know: devices (weights arrive in final layout), rings, pools.
 */
#ifndef FINF_PACK_H
#define FINF_PACK_H

#include "plan/plan.h"

#define FINF_PACK_FORMAT 1
#define FINF_PACK_HEADER_MAX (8u << 20)

struct finf_pack_segment {
	uint64_t file_offset; /* multiple of FINF_SEGMENT_ALIGN */
	uint64_t offset;      /* in the extent */
	uint64_t bytes;	      /* multiple of FINF_SEGMENT_ALIGN */
	uint64_t xxh3;
};

struct finf_pack_weight {
	const char *name; /* in the file: the graph's; tuned: "NAME" or "NAME@K", as plan->weights */
	uint64_t offset;  /* in the extent */
	uint64_t bytes;
};

struct finf_pack {
	char *name;		  /* owned; for messages */
	struct finf_graph *graph; /* owned; large constants have no data */
	struct finf_plan *plan;	  /* owned; NULL in a portable pack */
	char *target;		  /* owned; "portable" or the device's target key */
	char *source;		  /* owned; tuned: hash of the portable pack's header, else "" */
	struct finf_pack_segment *segments; /* owned */
	uint32_t n_segments;
	struct finf_pack_weight *weights; /* owned; by offset */
	uint32_t n_weights;
	struct finf_map weight_by_name;
	uint64_t weight_bytes; /* extent bytes = sum of segments */
	uint64_t file_bytes;
	uint64_t header_hash;
	int fd; /* owned duplicate, O_RDONLY */
	const void *map; /* owned; of the whole file after finf_pack_map(), else NULL */
	size_t map_bytes;
};

/**
 * finf_pack_open - read and check header, graph, plan and tables; no weights.
 * Everything of the file is treated as hostile: sizes, offsets, overlaps,
 * names, JSON depth and duplicate keys are checked before use.
 * @param fd    regular file; duplicated, the caller's stays the caller's
 * @param name  for messages
 * Return: 0; -EBADMSG damaged or foreign, with file, offset and reason;
 * -EOPNOTSUPP newer format; -EINVAL not a regular file; -EIO; -ENOMEM.
 */
int finf_pack_open(int fd, const char *name, struct finf_pack **ret_pack, struct finf_diag *diag);
void finf_pack_close(struct finf_pack *pack);

/**
 * finf_pack_verify - read every segment and compare checksums, 1 MiB at a time.
 * Return: 0; -EBADMSG naming segment, offset and tensor; -EIO.
 */
int finf_pack_verify(struct finf_pack *pack, struct finf_diag *diag);

/** finf_pack_read_weight - part of a weight's bytes by its name in the file. 0; -ENOENT; -ERANGE; -EIO. */
int finf_pack_read_weight(struct finf_pack *pack, const char *name, uint64_t offset, void *to,
			  uint64_t bytes);

/**
 * finf_pack_map - give the graph's constants their bytes, in the mapped file,
 * for as long as the pack is open. Nobody may shorten the file meanwhile.
 * @param pack  portable
 * Return: 0; -EINVAL a tuned pack; -errno of mapping.
 */
int finf_pack_map(struct finf_pack *pack, struct finf_diag *diag);

/**
 * Where the writer takes weight bytes from: called in extent order, chunk by
 * chunk, at most 4 MiB each, so that no whole model is ever in memory; never
 * for a weight without bytes. Its errors become the writer's.
 */
struct finf_pack_source {
	void *ctx;
	int (*read)(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
		    struct finf_diag *diag);
};

/**
 * finf_pack_write_portable - write graph and plain constants (value->data), first use first.
 * @param dirfd, name  final place; written as a temporary file in the same
 *                     folder, fsynced, renamed; nothing is left behind on error
 * Return: 0; -ENOSPC, -EIO, ...; -EINVAL a constant without bytes, or with a
 * name that a pack cannot hold; -ENOMEM. A process with a file size limit
 * must ignore SIGXFSZ to get -EFBIG.
 */
int finf_pack_write_portable(int dirfd, const char *name, const struct finf_graph *graph,
			     struct finf_diag *diag);

/**
 * finf_pack_write_tuned - write graph, plan and weights in the plan's layouts.
 * @param graph   the unbound graph (dynamic dims kept), for later plans
 * @param plan    its weights and segments say what goes where; it passed finf_plan_check()
 * @param target  the device's key; @param portable_hash  header hash of the master
 */
int finf_pack_write_tuned(int dirfd, const char *name, const struct finf_graph *graph,
			  const struct finf_plan *plan, const char *target,
			  uint64_t portable_hash, const struct finf_pack_source *source,
			  struct finf_diag *diag);

#endif
