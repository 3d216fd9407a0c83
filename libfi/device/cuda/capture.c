/* SPDX-License-Identifier: MIT */
/*
 * cuda: a run as one piece. Launches of the thread that captures go to a stream
 * of their own, so that other threads work on undisturbed meanwhile; the graph
 * is then launched in the order of all others.
 */
#include <errno.h>
#include <stdlib.h>

#include "device/cuda/cuda.h"

struct finf_captured {
	struct finf_cu_graph_exec *exec; /* owned by the context of this generation */
	uint32_t generation;
};

static bool has_graphs(const struct finf_cuda_api *api)
{
	return api->cuStreamBeginCapture && api->cuStreamEndCapture &&
	       api->cuGraphInstantiateWithFlags && api->cuGraphExecUpdate &&
	       api->cuGraphExecDestroy && api->cuGraphDestroy && api->cuGraphLaunch;
}

/* Thread-local: what other threads allocate meanwhile is no business of the capture. */
int finf_cuda_capture_begin(struct finf_device *dev, struct finf_diag *diag)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err;

	if (!has_graphs(cd->api))
		return finf_diag_set(diag, -EOPNOTSUPP, "the driver has no graphs");
	pthread_mutex_lock(&cd->capture_lock);
	err = finf_cuda_begin(cd, diag);
	if (!err) {
		result = cd->api->cuStreamBeginCapture(cd->capture, FINF_CU_CAPTURE_THREAD_LOCAL);
		finf_cuda_end(cd);
		err = result == FINF_CU_SUCCESS
			      ? 0
			      : finf_cuda_fail(diag, "cuStreamBeginCapture", result);
	}
	if (err)
		pthread_mutex_unlock(&cd->capture_lock);
	else
		atomic_store_explicit(&cd->capturer, pthread_self(), memory_order_relaxed);
	return err;
}

/* The same launches at other addresses: quicker than making it anew. */
static bool update(const struct finf_cuda_device *cd, struct finf_captured *captured,
		   struct finf_cu_graph *graph)
{
	struct finf_cu_graph_node *node;
	enum finf_cu_update_result why;

	return captured->generation == cd->generation &&
	       cd->api->cuGraphExecUpdate(captured->exec, graph, &node, &why) == FINF_CU_SUCCESS;
}

static int instantiate(struct finf_cuda_device *cd, struct finf_cu_graph *graph,
		       struct finf_captured **io_captured, struct finf_diag *diag)
{
	struct finf_captured *captured = *io_captured ? *io_captured : calloc(1, sizeof(*captured));
	struct finf_cu_graph_exec *exec;
	enum finf_cu_result result;

	if (!captured)
		return finf_diag_set(diag, -ENOMEM, "no memory for a captured run");
	result = cd->api->cuGraphInstantiateWithFlags(&exec, graph, 0);
	if (result != FINF_CU_SUCCESS) {
		if (!*io_captured)
			free(captured);
		return finf_cuda_fail(diag, "cuGraphInstantiateWithFlags", result);
	}
	if (*io_captured && captured->generation == cd->generation)
		cd->api->cuGraphExecDestroy(captured->exec);
	*captured = (struct finf_captured){exec, cd->generation};
	*io_captured = captured;
	return 0;
}

int finf_cuda_capture_end(struct finf_device *dev, struct finf_captured **io_captured,
			  struct finf_diag *diag)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	struct finf_cu_graph *graph = NULL;
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, diag);

	if (!err) {
		result = cd->api->cuStreamEndCapture(cd->capture, &graph);
		if (io_captured && result != FINF_CU_SUCCESS)
			err = finf_cuda_fail(diag, "cuStreamEndCapture", result);
		else if (io_captured && !(*io_captured && update(cd, *io_captured, graph)))
			err = instantiate(cd, graph, io_captured, diag);
		if (graph)
			cd->api->cuGraphDestroy(graph);
		finf_cuda_end(cd);
	}
	atomic_store_explicit(&cd->capturer, (pthread_t)0, memory_order_relaxed);
	pthread_mutex_unlock(&cd->capture_lock);
	return err;
}

int finf_cuda_captured_run(struct finf_device *dev, struct finf_captured *captured)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err;

	if (captured->generation != cd->generation)
		return -ESTALE;
	err = finf_cuda_begin(cd, NULL);
	if (err)
		return err;
	result = cd->api->cuGraphLaunch(captured->exec, cd->compute);
	finf_cuda_end(cd);
	return finf_cuda_told("captured run", result);
}

void finf_cuda_captured_free(struct finf_device *dev, struct finf_captured *captured)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);

	if (captured->generation == cd->generation && !finf_cuda_begin(cd, NULL)) {
		cd->api->cuGraphExecDestroy(captured->exec);
		finf_cuda_end(cd);
	}
	free(captured);
}
