/* SPDX-License-Identifier: MIT */
/*
 * fictl/group - the members of a group that is being fused: where they come
 * from, and what fusing them is worth. For fuse, plan and run.
 */
#ifndef FICTL_GROUP_H
#define FICTL_GROUP_H

#include "fuse/fuse.h"
#include "pack/pack.h"
#include "tools/fictl/fictl.h"

struct member {
	char name[160];		/* in the group */
	const char *source;	/* as given: a file, or a model of fid's */
	struct finf_pack *pack; /* owned; portable, verified, its constants mapped */
};

struct group {
	struct member members[FINF_MEMBERS_MAX];
	uint32_t n;
	struct finf_graph *graph; /* owned; borrows the members' constants */
	struct finf_merge_report report;
};

/** is_file - does this name a file rather than a model, or GROUP/MEMBER, of fid's? */
bool is_file(const char *text);

/**
 * pack_open - a model as a pack, whatever it is: .onnx (imported and packed
 * here), .fim, or a name, which @client exports.
 * @param client  NULL = files only
 */
int pack_open(struct finf_client *client, const char *source, struct finf_pack **ret_pack,
	      struct finf_diag *diag);

/** file_open - .onnx or .fim as a portable pack: all here, for fid parses no ONNX. */
int file_open(const char *path, int *ret_fd, struct finf_diag *diag);

/** pack_graph - a graph as a portable pack in an unnamed temporary file. */
int pack_graph(const struct finf_graph *graph, int *ret_fd, struct finf_diag *diag);

/**
 * pack_graph_in - the same with a name: PACK_FILE in a new folder; pack_drop() removes both.
 * @param ret_dir  PATH_MAX bytes
 */
#define PACK_FILE "model.fim"
int pack_graph_in(const struct finf_graph *graph, char *ret_dir, struct finf_diag *diag);
void pack_drop(const char *dir);

/**
 * group_open - "NAME", "FILE" or "MEMBER=..." each, merged.
 * Return: 0; -EEXIST, -EINVAL two that cannot be told apart, or -EEXIST the group from a member;
 * errors of opening and merging.
 * group_close() in every case.
 */
int group_open(struct group *group, struct finf_client *client, const char *name,
	       const char *const *sources, uint32_t n, const struct finf_merge_opts *opts,
	       struct finf_diag *diag);
void group_close(struct group *group);

/** group_alike - what finf_fuse_batch() would do to the group, with 1 where shapes may vary. */
int group_alike(const struct group *group, struct finf_batch_report *ret, struct finf_diag *diag);

#endif
