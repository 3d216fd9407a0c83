/* SPDX-License-Identifier: MIT */
/*
 * daemon/ipc - the Unix socket: who may connect, one state per client, frames
 * to core calls and back. The connection is the lease: when a client goes,
 * what it held is free. Must not know: the pool, policy, files of models.
 */
#ifndef FID_IPC_H
#define FID_IPC_H

#include "daemon/core.h"
#include "daemon/observe.h"

struct fid_ipc;

/**
 * fid_ipc_new - listen.
 * @param path  a stale socket there is replaced; a live one is -EADDRINUSE;
 *              anything else there is -EEXIST
 * A socket passed by systemd is used instead.
 */
int fid_ipc_new(struct fid_core *core, struct fid_observe *observe, struct fid_loop *loop,
		const char *path,
		struct fid_ipc **ret_ipc, struct finf_diag *diag);
/** fid_ipc_close - stop listening, remove the socket; clients stay until fid_ipc_free(). */
void fid_ipc_close(struct fid_ipc *ipc);
/** fid_ipc_free - after the core is gone: every request has been answered. */
void fid_ipc_free(struct fid_ipc *ipc);

#endif
