/* SPDX-License-Identifier: MIT */
/*
 * daemon/kserve - the Open Inference Protocol v2 in bytes: a body to a request
 * of the core, its result to a body, models to JSON. The binary tensor data
 * extension included. Must not know: HTTP servers, sockets.
 */
#ifndef FID_KSERVE_H
#define FID_KSERVE_H

#include <jansson.h>

#include "daemon/core.h"

/* JSON takes ten times its bytes while it is read, and the loop's time: tensors
 * that are larger belong into the binary extension. */
#define FID_KSERVE_JSON_MAX (8u << 20)

struct fid_infer {
	struct fid_request request;
	json_t *doc;   /* owned: names live here */
	const json_t *id; /* borrowed from doc; NULL without one */
	void *values[FID_TENSORS_MAX]; /* owned: inputs that came as JSON */
	bool binary[FID_TENSORS_MAX];  /* of wanted outputs: answer as binary data? */
};

/**
 * fid_kserve_parse - a body to infer->request: inputs, wanted outputs, deadline.
 * @param body        borrowed until fid_infer_fini(): binary inputs stay in it
 * @param json_bytes  Inference-Header-Content-Length, or SIZE_MAX without that header
 * Return: 0; -EINVAL what is wrong and where; -EFBIG too much JSON; -ENOMEM.
 * fid_infer_fini() in any case.
 */
int fid_kserve_parse(struct fid_infer *infer, const void *body, size_t bytes, size_t json_bytes,
		     struct finf_diag *diag);

/**
 * fid_kserve_answer - the result of a request that succeeded, as a body.
 * @param ret_body  malloc'd
 * @param ret_json  bytes of JSON in front of the binary data; 0 when all is JSON
 * Return: 0; -ENOMEM.
 */
int fid_kserve_answer(const struct fid_infer *infer, const char *model, uint32_t version,
		      uint8_t **ret_body, size_t *ret_bytes, size_t *ret_json);

/** fid_infer_fini - frees what it owns, and the outputs of its request. */
void fid_infer_fini(struct fid_infer *infer);

/* Documents; NULL when out of memory. */
json_t *fid_kserve_server(void);
/* Of a model that is ready; of one member of a group, FINF_NONE for the whole. */
json_t *fid_kserve_model(struct fid_core *core, const struct fid_model_info *info, uint32_t member);
json_t *fid_kserve_index(struct fid_core *core);

#endif
