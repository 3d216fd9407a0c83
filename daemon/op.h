/* SPDX-License-Identifier: MIT */
/* daemon/core: a command, import or preparation under way. Nobody else includes this. */
#ifndef FID_OP_H
#define FID_OP_H

#include "daemon/core_priv.h"

struct fid_op {
	struct fid_job job;
	struct fid_op *next;
	struct fid_core *core;
	uint64_t id; /* policy's, 0 when it does not know of it */
	enum fid_command command;
	struct fid_model *model;
	fid_command_fn done; /* NULL for preparing at start */
	void *ctx;
	int fd;	     /* owned: import, export */
	int *ret_fd; /* export: where the owner of ctx looks for it */
	int result;
	struct finf_diag diag;
	struct finf_model *opened; /* owned: what a background job made */
	bool lean; /* FID_OPTIMIZE's wish; or what a preparation found */
	uint64_t file_bytes;
	uint32_t resets;	  /* of the device, when the preparation began */
	struct fid_remove *group; /* removal of several versions */
};

/* models.c */

/** fid_op_new - NULL: out of memory. It ends with fid_op_end(), which calls @done. */
struct fid_op *fid_op_new(struct fid_core *core, struct fid_model *model, fid_command_fn done,
			  void *ctx);
/** fid_op_end - answer and free; its model may be gone already when @op->model is NULL. */
void fid_op_end(struct fid_op *op, int result, const char *text);
struct fid_op *fid_op_of_job(struct fid_job *job);
/** fid_op_stopped - is fid ending? Then @op has ended, whatever its job did or did not do. */
bool fid_op_stopped(struct fid_op *op);
/** fid_prepare_again - after a fault of the device. */
void fid_prepare_again(struct fid_op *op);
/** fid_bucket_of - models whose names share a hash, by next_in_bucket. */
struct fid_model **fid_bucket_of(struct fid_core *core, const char *name, size_t len);
/** fid_model_drop - forget and free a model that nobody uses. */
void fid_model_drop(struct fid_core *core, struct fid_model *model);

/* commands.c */

/** fid_command_issue - begin: its model is ready or failed by now. */
void fid_command_issue(struct fid_op *op);

#endif
