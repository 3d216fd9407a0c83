/* SPDX-License-Identifier: MIT */
/*
 * fusedinf/client.h - ask a running fid: infer, import, control.
 *
 *   struct finf_client *client;
 *   finf_client_open(NULL, &client, &diag);
 *   finf_client_infer(client, "resnet18", &image, 1, &scores, 1, NULL, &diag);
 *   finf_client_close(client);
 */
#ifndef FUSEDINF_CLIENT_H
#define FUSEDINF_CLIENT_H

#include <fusedinf/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct finf_client;

/**
 * finf_client_open - connect and negotiate.
 * @param path  socket; NULL = $FUSEDINF_SOCKET, else /run/fusedinf/fid.sock for
 *              root and $XDG_RUNTIME_DIR/fusedinf/fid.sock for others
 * Return: 0; -ENOENT or -ECONNREFUSED no daemon there; -EPROTO; -EACCES;
 * -ETIME no answer in 5 s; -ENOMEM. Since: 0.1.
 */
FINF_API int finf_client_open(const char *path, struct finf_client **ret_client,
			      struct finf_diag *diag);
FINF_API void finf_client_close(struct finf_client *client);

/**
 * finf_client_timeout - bound on every later call, ms; 0 = 60 s (the default).
 */
FINF_API void finf_client_timeout(struct finf_client *client, uint32_t timeout_ms);

/* Where the time of one request went. */
struct finf_client_times {
	uint64_t queue_ns, load_ns, run_ns, total_ns;
	bool cold; /* this request waited for its model to load */
};

/**
 * finf_client_infer - one request, one answer.
 * @param inputs   names may be NULL: by position; data is copied into the
 *                 connection's shared arena (inline when 64 KiB or less)
 * @param outputs  data NULL: malloc'd, yours to free(); else yours with capacity bytes.
 *                 dtype, shape, bytes and, where it was NULL, name are filled; a filled
 *                 name is borrowed until the next call. n_outputs may be less than the model's.
 * @param times    may be NULL
 * Context: one thread per client. Return: 0; what fid answered, with its
 * message in @diag (-ENOENT, -EINVAL, -ENOBUFS, -ETIME, -EBADMSG, ...);
 * -ECONNRESET fid went away; -ETIME. Since: 0.1.
 */
FINF_API int finf_client_infer(struct finf_client *client, const char *model,
			       const struct finf_tensor *inputs, uint32_t n_inputs,
			       struct finf_tensor *outputs, uint32_t n_outputs,
			       struct finf_client_times *times, struct finf_diag *diag);

/**
 * finf_client_import - hand fid a portable pack.
 * @param fd    open for reading; fid copies and verifies its own copy
 * @param name  model name; importing again makes the next version
 * @param ret_json  malloc'd answer {"name", "version", ...}; may be NULL
 */
FINF_API int finf_client_import(struct finf_client *client, const char *name, int fd,
				char **ret_json, struct finf_diag *diag);

/**
 * finf_client_control - one command as JSON, answer as JSON (Documentation/formats/control.md).
 * @param request   {"command": "status"} ...
 * @param ret_json  malloc'd, yours to free(); may be NULL
 */
FINF_API int finf_client_control(struct finf_client *client, const char *request, char **ret_json,
				 struct finf_diag *diag);

/**
 * finf_client_export - a model's portable pack, as fid keeps it. For who may also import.
 * @param name    "NAME" or "NAME:VERSION"
 * @param ret_fd  open for reading, yours to close()
 */
FINF_API int finf_client_export(struct finf_client *client, const char *name, int *ret_fd,
				struct finf_diag *diag);

/**
 * finf_client_event - the next event after a control command {"command": "events", "follow": true}.
 * @param timeout_ms  how long to wait. Return: 0; -ETIME; -ECONNRESET.
 */
FINF_API int finf_client_event(struct finf_client *client, uint32_t timeout_ms, char **ret_json);

#ifdef __cplusplus
}
#endif
#endif
