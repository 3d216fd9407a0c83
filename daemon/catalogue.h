/* SPDX-License-Identifier: MIT */
/*
 * daemon/catalogue - the models on disk. Everything here blocks and runs on
 * the background thread, but for fid_catalogue_packs(); the loop only sees what comes out.
 *
 *   ROOT/lock                                 one fid per folder
 *   ROOT/models/NAME/VERSION/portable.fim     the master, as imported and verified
 *   ROOT/models/NAME/VERSION/tuned-HASH.fim   for one target; disposable
 *   ROOT/models/NAME/VERSION/lean             there: this model takes no larger forms of weights
 *   ROOT/tmp/                                 imports in progress; emptied at start
 *
 * Must not know: the pool, policy, sockets.
 */
#ifndef FID_CATALOGUE_H
#define FID_CATALOGUE_H

#include "base/base.h"
#include "device/device.h"
#include "engine/engine.h"

struct fid_catalogue;

/** fid_catalogue_open - make or take the folder. 0; -EBUSY another fid has it; -errno. */
int fid_catalogue_open(const char *root, struct fid_catalogue **ret_cat, struct finf_diag *diag);
void fid_catalogue_close(struct fid_catalogue *cat);

/** fid_catalogue_scan - call @found for each model and version on disk, in no order. */
int fid_catalogue_scan(struct fid_catalogue *cat,
		       int (*found)(void *ctx, const char *name, uint32_t version), void *ctx,
		       struct finf_diag *diag);

/**
 * fid_catalogue_import - copy a client's pack, verify the copy, tune it, publish both.
 * @param fd       regular file of a client; only read from, never mapped
 * @param version  chosen by the loop, not in use
 * @param bytes    of the pool, which plans of groups keep to
 * Return: 0; -EBADMSG not a portable pack or damaged; -ENOSPC; -EIO; what
 * planning says. Nothing is left behind on failure.
 */
int fid_catalogue_import(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			 uint64_t bytes, int fd, const char *name, uint32_t version,
			 struct finf_diag *diag);

/**
 * fid_catalogue_prepare - open a model, tuning it first when no tuned pack fits
 * this target (other CPU, library or threads) or the cache is damaged.
 * @param fresh  the cache is known to be damaged: make it again, from a verified master
 */
int fid_catalogue_prepare(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			  uint64_t bytes, const char *name, uint32_t version, bool fresh,
			  struct finf_model **ret_model, uint64_t *ret_file_bytes,
			  struct finf_diag *diag);

/** fid_catalogue_packs - open the packs of a version once more, those whose pointer is given.
 * Any thread. Yours: finf_pack_close(). Return: 0; errors of opening. */
int fid_catalogue_packs(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			const char *name, uint32_t version, struct finf_pack **ret_tuned,
			struct finf_pack **ret_portable, struct finf_diag *diag);

/** fid_catalogue_lean - is a version marked as lean? And set or remove that mark. 0; -errno. */
bool fid_catalogue_lean(struct fid_catalogue *cat, const char *name, uint32_t version);
int fid_catalogue_set_lean(struct fid_catalogue *cat, const char *name, uint32_t version,
			   bool lean, struct finf_diag *diag);

/** fid_catalogue_export - the master of a version, open for reading. 0; -errno. */
int fid_catalogue_export(struct fid_catalogue *cat, const char *name, uint32_t version, int *ret_fd,
			 struct finf_diag *diag);

/** fid_catalogue_remove - delete one version, and NAME's folder with the last one. */
int fid_catalogue_remove(struct fid_catalogue *cat, const char *name, uint32_t version,
			 struct finf_diag *diag);

#endif
