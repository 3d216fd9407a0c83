/* SPDX-License-Identifier: MIT */
/*
 * daemon/http - the HTTP door: KServe v2 (daemon/kserve) and /metrics, served
 * by libmicrohttpd inside fid's loop, without a thread of its own. A connection
 * sleeps while its inference runs. Must not know: the pool, policy, files of
 * models, what a body means.
 */
#ifndef FID_HTTP_H
#define FID_HTTP_H

#include "daemon/core.h"

struct fid_http;

struct fid_http_opts {
	const char *address; /* as fid_listen_address() reads it */
	uint64_t body_bytes; /* more is refused with 413 */
	uint32_t timeout_s;  /* of silence, then the connection is closed */
};

/** fid_http_new - listen, and say where in the log. 0; -EADDRINUSE, -errno of bind; -ENOMEM. */
int fid_http_new(struct fid_core *core, struct fid_loop *loop, const struct fid_http_opts *opts,
		 struct fid_http **ret_http, struct finf_diag *diag);
/** fid_http_close - stop listening; requests under way go on. NULL is fine. */
void fid_http_close(struct fid_http *http);
/** fid_http_free - after the core is gone: sends what has been answered, for a second at most. */
void fid_http_free(struct fid_http *http);

#endif
