/* SPDX-License-Identifier: MIT */
/*
 * cuda: uploads. A stream of their own, and an event per slot of the staging
 * memory, which is registered as one piece: no copy crosses a border.
 */
#include <errno.h>
#include <stdlib.h>

#include "device/cuda/cuda.h"

struct finf_upload {
	struct finf_cu_stream *stream; /* owned */
	void *staging;		       /* the caller's; registered */
	uint32_t n_slots;
	struct finf_cu_event *landed[]; /* owned; of the last copy of each slot */
};

/* Also half-built; after a fault the calls fail, and the context takes all of it along. */
static void upload_drop(const struct finf_cuda_api *api, struct finf_upload *upload)
{
	if (upload->stream)
		api->cuStreamSynchronize(upload->stream);
	for (uint32_t i = 0; i < upload->n_slots; i++)
		if (upload->landed[i])
			api->cuEventDestroy(upload->landed[i]);
	if (upload->stream)
		api->cuStreamDestroy(upload->stream);
	if (upload->staging)
		api->cuMemHostUnregister(upload->staging);
	free(upload);
}

/* A waiting loader sleeps instead of spinning: it has a core to share. */
static enum finf_cu_result make_queue(const struct finf_cuda_api *api, struct finf_upload *upload,
				      uint32_t slots)
{
	enum finf_cu_result result = api->cuStreamCreateWithPriority(
		&upload->stream, FINF_CU_STREAM_NON_BLOCKING, 0);

	for (; result == FINF_CU_SUCCESS && upload->n_slots < slots; upload->n_slots++)
		result = api->cuEventCreate(&upload->landed[upload->n_slots],
					    FINF_CU_EVENT_BLOCKING | FINF_CU_EVENT_DISABLE_TIMING);
	return result;
}

int finf_cuda_upload_new(struct finf_device *dev, void *staging, uint64_t bytes, uint32_t slots,
			 struct finf_upload **ret_upload, struct finf_diag *diag)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	struct finf_upload *upload = calloc(1, sizeof(*upload) + slots * sizeof(upload->landed[0]));
	enum finf_cu_result result;
	int err;

	if (!upload)
		return finf_diag_set(diag, -ENOMEM, "no memory for uploads");
	err = finf_cuda_begin(cd, diag);
	if (err) {
		free(upload);
		return err;
	}
	result = cd->api->cuMemHostRegister(staging, bytes, 0);
	if (result == FINF_CU_SUCCESS) {
		upload->staging = staging;
		result = make_queue(cd->api, upload, slots);
		if (result != FINF_CU_SUCCESS)
			err = finf_cuda_fail(diag, "stream and events of uploads", result);
	} else {
		err = finf_cuda_fail(diag, "cuMemHostRegister", result);
		err = err == -EREMOTEIO ? err : -EOPNOTSUPP;
	}
	if (err)
		upload_drop(cd->api, upload);
	else
		*ret_upload = upload;
	finf_cuda_end(cd);
	return err;
}

int finf_cuda_upload_start(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			   void *to, const void *from, uint64_t bytes)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = cd->api->cuMemcpyHtoDAsync(finf_cuda_address(to), from, bytes, upload->stream);
	if (result == FINF_CU_SUCCESS) {
		result = cd->api->cuEventRecord(upload->landed[slot], upload->stream);
		if (result != FINF_CU_SUCCESS) /* nobody could wait for the copy later */
			cd->api->cuStreamSynchronize(upload->stream);
	}
	finf_cuda_end(cd);
	return finf_cuda_told("upload", result);
}

int finf_cuda_upload_wait(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			  bool block)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = block ? cd->api->cuEventSynchronize(upload->landed[slot]) :
			 cd->api->cuEventQuery(upload->landed[slot]);
	finf_cuda_end(cd);
	return result == FINF_CU_ERROR_NOT_READY ? -EAGAIN : finf_cuda_told("upload", result);
}

void finf_cuda_upload_free(struct finf_device *dev, struct finf_upload *upload)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);

	if (finf_cuda_begin(cd, NULL)) {
		free(upload); /* there is no context any more, and nothing in it */
		return;
	}
	upload_drop(cd->api, upload);
	finf_cuda_end(cd);
}
