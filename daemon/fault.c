/* SPDX-License-Identifier: MIT */
/*
 * daemon/core: a device that failed for more than one request. The policy gives up
 * what was in the pool, the exec thread resets the device behind whatever runs,
 * and an empty pool goes on. Nothing waits for it but those who need the device.
 *
 *   fault seen -> DEVICE_LOST -> [exec: free the loader, reset] -> new loader -> DEVICE_BACK
 */
#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/op.h"

static struct fid_core *core_of_reset(struct fid_job *job)
{
	return (struct fid_core *)((char *)job - offsetof(struct fid_core, fault.job));
}

/* On the exec thread: no run is under way. The lock keeps the background thread out. */
static void reset_work(struct fid_job *job)
{
	struct fid_core *core = core_of_reset(job);
	struct fid_fault *fault = &core->fault;

	finf_loader_free(fault->loader);
	fault->loader = NULL;
	pthread_mutex_lock(&fault->device_lock);
	/* A copy that failed half way leaves a device that works. */
	pthread_mutex_lock(&fault->close_lock);
	if (finf_device_faulted(core->dev))
		fault->result = finf_device_reset(core->dev, &fault->pool, &fault->diag);
	pthread_mutex_unlock(&fault->close_lock);
	pthread_mutex_unlock(&fault->device_lock);
}

void fid_model_close(struct fid_core *core, struct finf_model *model)
{
	pthread_mutex_lock(&core->fault.close_lock);
	finf_model_close(model);
	pthread_mutex_unlock(&core->fault.close_lock);
}

void fid_fault_release(struct fid_core *core)
{
	struct fid_op *op = core->fault.held;

	core->fault.held = NULL;
	while (op) {
		struct fid_op *next = op->next;

		op->next = NULL;
		fid_prepare_again(op);
		op = next;
	}
}

static void reset_finish(struct fid_job *job)
{
	struct fid_core *core = core_of_reset(job);
	struct fid_fault *fault = &core->fault;

	core->pool = fault->pool;
	if (core->stopping) {
		finf_loader_free(fault->loader); /* when the job was never worked on */
		fault->loader = NULL;
		return;
	}
	if (!fault->result)
		fault->result = fid_loader_new(core, &fault->diag);
	if (fault->result) {
		fault->state = FID_DEVICE_GONE;
		fid_log(FID_ERROR, "device=%s state=lost reason=\"%s\"", core->dev->ops->name,
			fault->diag.text);
	} else {
		fault->state = FID_DEVICE_OK;
		fault->resets++;
		fid_metrics_device_reset(core->metrics);
		fid_log(FID_WARNING, "device=%s state=ok resets=%u", core->dev->ops->name,
			fault->resets);
	}
	fid_step(core, (struct finf_event){.kind = FINF_EV_DEVICE_BACK,
					   .model = FINF_MODEL_NONE,
					   .a = (uint64_t)-fault->result});
	fid_fault_release(core);
}

void fid_fault_begin(struct fid_core *core)
{
	struct fid_fault *fault = &core->fault;

	if (core->stopping)
		return;
	if (fault->state == FID_DEVICE_OK) {
		fault->state = FID_DEVICE_LOST;
		fid_log(FID_ERROR, "device=%s state=faulted", core->dev->ops->name);
		fid_step(core, (struct finf_event){.kind = FINF_EV_DEVICE_LOST,
						   .model = FINF_MODEL_NONE});
	}
	/* Extents that are being moved are the background thread's: it ends first. */
	if (fault->state != FID_DEVICE_LOST || core->compacting)
		return;
	fault->state = FID_DEVICE_RESETTING;
	fault->loader = core->loader;
	core->loader = NULL;
	fault->pool = core->pool;
	fault->result = 0;
	fault->diag.text[0] = 0;
	fault->job.work = reset_work;
	fault->job.finish = reset_finish;
	fid_worker_add(core->exec, &fault->job);
}

void fid_fault_check(struct fid_core *core, int result)
{
	/* Known already: then the device is not asked, it may be in the middle of its reset. */
	if (result == -EREMOTEIO &&
	    (core->fault.state != FID_DEVICE_OK || finf_device_faulted(core->dev)))
		fid_fault_begin(core);
}

bool fid_fault_hold(struct fid_core *core, struct fid_op *op)
{
	struct fid_fault *fault = &core->fault;

	fid_fault_check(core, op->result);
	if (op->result != -EREMOTEIO || core->stopping)
		return false;
	if (fault->state == FID_DEVICE_LOST || fault->state == FID_DEVICE_RESETTING) {
		op->next = fault->held;
		fault->held = op;
		return true;
	}
	if (op->resets == fault->resets)
		return false;
	fid_prepare_again(op); /* it met a fault that was repaired meanwhile */
	return true;
}
