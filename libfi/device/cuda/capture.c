/* SPDX-License-Identifier: MIT */
/*
 * cuda: a run as one piece. Launches of the thread that captures go to a stream
 * of their own, so that other threads work on undisturbed meanwhile; the graph
 * is then launched in the order of all others. Each further branch is a stream
 * that joins the capture when it begins and is waited for at its end: work that
 * streams do not order, the driver may do side by side.
 */
#include <errno.h>
#include <stdlib.h>

#include "device/cuda/cuda.h"

struct finf_captured {
	struct finf_cu_graph_exec *exec; /* owned by the context of this generation */
	uint32_t generation;
};

#define BRANCHES_MAX 16 /* more share streams: no card does so many kernels at once */

struct finf_cuda_branches {
	struct finf_cu_stream *streams[BRANCHES_MAX]; /* owned but the first, the capture's own */
	uint32_t n;				      /* of this capture */
	struct finf_cu_event **marks;		      /* owned; the last is for forks and joins */
	uint32_t n_marks, cap_marks, n_events;
};

static bool has_graphs(const struct finf_cuda_api *api)
{
	return api->cuStreamBeginCapture && api->cuStreamEndCapture &&
	       api->cuGraphInstantiateWithFlags && api->cuGraphExecUpdate &&
	       api->cuGraphExecDestroy && api->cuGraphDestroy && api->cuGraphLaunch;
}

/* ---- branches ----------------------------------------------------------------------- */

void finf_cuda_branches_drop(struct finf_cuda_device *cd, bool lost)
{
	struct finf_cuda_branches *branches = cd->branches;

	cd->branches = NULL;
	if (!branches)
		return;
	for (uint32_t i = 1; i < BRANCHES_MAX && !lost; i++)
		if (branches->streams[i])
			cd->api->cuStreamDestroy(branches->streams[i]);
	for (uint32_t i = 0; i < branches->n_events && !lost; i++)
		cd->api->cuEventDestroy(branches->marks[i]);
	free(branches->marks);
	free(branches);
}

/* What there is not yet; before the capture begins, while nothing forbids to make it. */
static int branches_make(struct finf_cuda_device *cd, uint32_t n, uint32_t marks,
			 struct finf_diag *diag)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;
	struct finf_cuda_branches *b = cd->branches;

	if (!b)
		b = cd->branches = calloc(1, sizeof(*b));
	if (!b)
		return finf_diag_set(diag, -ENOMEM, "no memory for branches");
	b->n = FINF_MIN(n, BRANCHES_MAX);
	b->n_marks = marks;
	b->streams[0] = cd->capture;
	for (uint32_t i = 1; i < b->n && !result; i++)
		if (!b->streams[i])
			result = cd->api->cuStreamCreateWithPriority(
				&b->streams[i], FINF_CU_STREAM_NON_BLOCKING, 0);
	while (b->n_events <= marks && !result) {
		if (finf_grow(&b->marks, &b->cap_marks, b->n_events, sizeof(*b->marks)))
			return finf_diag_set(diag, -ENOMEM, "no memory for branches");
		result = cd->api->cuEventCreate(&b->marks[b->n_events],
						FINF_CU_EVENT_DISABLE_TIMING);
		b->n_events += result == FINF_CU_SUCCESS;
	}
	return result ? finf_cuda_fail(diag, "streams of branches", result) : 0;
}

/* @to follows what @from has so far. */
static enum finf_cu_result follow(struct finf_cuda_device *cd, struct finf_cu_stream *from,
				  struct finf_cu_stream *to)
{
	struct finf_cu_event *event = cd->branches->marks[cd->branches->n_marks];
	enum finf_cu_result result = cd->api->cuEventRecord(event, from);

	return result ? result : cd->api->cuStreamWaitEvent(to, event, 0);
}

static enum finf_cu_result fork_branches(struct finf_cuda_device *cd)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;

	for (uint32_t i = 1; cd->branches && i < cd->branches->n && !result; i++)
		result = follow(cd, cd->capture, cd->branches->streams[i]);
	return result;
}

static enum finf_cu_result join_branches(struct finf_cuda_device *cd)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;

	for (uint32_t i = 1; cd->branches && i < cd->branches->n && !result; i++)
		result = follow(cd, cd->branches->streams[i], cd->capture);
	return result;
}

int finf_cuda_capture_branch(struct finf_device *dev, uint32_t branch)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);

	cd->noting = cd->branches->streams[branch % cd->branches->n];
	return 0;
}

int finf_cuda_capture_mark(struct finf_device *dev, uint32_t mark)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = cd->api->cuEventRecord(cd->branches->marks[mark], cd->noting);
	finf_cuda_end(cd);
	return finf_cuda_told("mark", result);
}

int finf_cuda_capture_await(struct finf_device *dev, uint32_t mark)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	enum finf_cu_result result;
	int err = finf_cuda_begin(cd, NULL);

	if (err)
		return err;
	result = cd->api->cuStreamWaitEvent(cd->noting, cd->branches->marks[mark], 0);
	finf_cuda_end(cd);
	return finf_cuda_told("await", result);
}

/* ---- from begin to end --------------------------------------------------------------- */

/* Thread-local: what other threads allocate meanwhile is no business of the capture. */
static int begin(struct finf_cuda_device *cd, struct finf_diag *diag)
{
	enum finf_cu_result result =
		cd->api->cuStreamBeginCapture(cd->capture, FINF_CU_CAPTURE_THREAD_LOCAL);
	struct finf_cu_graph *graph = NULL;

	if (result)
		return finf_cuda_fail(diag, "cuStreamBeginCapture", result);
	result = fork_branches(cd);
	if (!result)
		return 0;
	cd->api->cuStreamEndCapture(cd->capture, &graph);
	if (graph)
		cd->api->cuGraphDestroy(graph);
	return finf_cuda_fail(diag, "capturing branches", result);
}

int finf_cuda_capture_begin(struct finf_device *dev, uint32_t branches, uint32_t marks,
			    struct finf_diag *diag)
{
	struct finf_cuda_device *cd = finf_cuda_of(dev);
	int err;

	if (!has_graphs(cd->api))
		return finf_diag_set(diag, -EOPNOTSUPP, "the driver has no graphs");
	pthread_mutex_lock(&cd->capture_lock);
	cd->noting = cd->capture;
	err = finf_cuda_begin(cd, diag);
	if (!err) {
		if (cd->branches || branches > 1)
			err = branches_make(cd, branches, marks, diag);
		if (!err)
			err = begin(cd, diag);
		finf_cuda_end(cd);
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
	enum finf_cu_result result, joined;
	int err = finf_cuda_begin(cd, diag);

	if (!err) {
		joined = io_captured ? join_branches(cd) : FINF_CU_SUCCESS;
		result = cd->api->cuStreamEndCapture(cd->capture, &graph);
		if (io_captured && joined != FINF_CU_SUCCESS)
			err = finf_cuda_fail(diag, "joining branches", joined);
		else if (io_captured && result != FINF_CU_SUCCESS)
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
