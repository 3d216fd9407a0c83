/* SPDX-License-Identifier: MIT */
/* daemon/control - what its files share: answers, models by name, and the commands. */
#ifndef FID_CONTROL_PRIV_H
#define FID_CONTROL_PRIV_H

#include <jansson.h>

#include "daemon/control.h"

#define NUMBER(x) ((json_int_t)(x))

/* ---- control.c ------------------------------------------------------------------- */

/** fid_answer - @status and @doc, taken; NULL: out of memory. The command ends. */
void fid_answer(struct fid_control *control, int status, json_t *doc);
/** fid_refuse - {"error": text}. The command ends. */
void fid_refuse(struct fid_control *control, int status, const char *fmt, ...) FINF_PRINTF(3, 4);

/** fid_named - the model of that name. Return: found; else the command is refused. */
bool fid_named(struct fid_control *control, const char *name, struct fid_model_info *ret);
/** fid_asked - the model that @request names. Return: found; else the command is refused. */
bool fid_asked(struct fid_control *control, const json_t *request, struct fid_model_info *ret);

/* ---- control_look.c ------------------------------------------------------------------ */

extern const char *const fid_residencies[];
/** fid_model_json - one row of `models`; the caller's, NULL when out of memory. */
json_t *fid_model_json(const struct fid_model_info *info);

void fid_cmd_models(struct fid_control *control, const json_t *request);
void fid_cmd_inspect(struct fid_control *control, const json_t *request);
void fid_cmd_status(struct fid_control *control, const json_t *request);

/* ---- control_why.c --------------------------------------------------------------------- */

void fid_cmd_events(struct fid_control *control, const json_t *request);
void fid_cmd_why(struct fid_control *control, const json_t *request);

/* ---- control_apps.c ---------------------------------------------------------------------- */

void fid_cmd_probes(struct fid_control *control, const json_t *request);
void fid_cmd_probe_add(struct fid_control *control, const json_t *request);
void fid_cmd_probe_rm(struct fid_control *control, const json_t *request);
void fid_cmd_apps(struct fid_control *control, const json_t *request);
void fid_cmd_app_pause(struct fid_control *control, const json_t *request);
void fid_cmd_app_resume(struct fid_control *control, const json_t *request);
void fid_cmd_app_quota(struct fid_control *control, const json_t *request);

#endif
