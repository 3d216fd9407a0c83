/* SPDX-License-Identifier: MIT */
/*
 * fakecuda: stream capture and graphs. A graph runs its nodes one after the
 * other in a random order that its edges allow, so that a missing edge shows.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/fakecuda/fake.h"

static _Thread_local enum finf_cu_capture_mode thread_mode = FINF_CU_CAPTURE_GLOBAL;

/* ---- sets of nodes --------------------------------------------------------- */

static struct node_set *set_new(unsigned n)
{
	struct node_set *set = fake_alloc(sizeof(*set) + n * sizeof(set->nodes[0]));

	set->n = n;
	return set;
}

struct node_set *set_copy(const struct node_set *set)
{
	struct node_set *copy = set_new(set ? set->n : 0);

	for (unsigned i = 0; i < copy->n; i++)
		copy->nodes[i] = set->nodes[i];
	return copy;
}

static bool set_has(const struct node_set *set, const struct finf_cu_graph_node *node)
{
	for (unsigned i = 0; set && i < set->n; i++)
		if (set->nodes[i] == node)
			return true;
	return false;
}

struct node_set *set_join(struct node_set *a, const struct node_set *b)
{
	unsigned n = a ? a->n : 0;
	struct node_set *both = set_new(n + (b ? b->n : 0));

	for (unsigned i = 0; i < n; i++)
		both->nodes[i] = a->nodes[i];
	for (unsigned i = 0; b && i < b->n; i++)
		if (!set_has(a, b->nodes[i]))
			both->nodes[n++] = b->nodes[i];
	both->n = n;
	free(a);
	return both;
}

/* ---- graphs ---------------------------------------------------------------- */

static void graph_free(struct finf_cu_graph *graph)
{
	for (unsigned i = 0; i < graph->n; i++) {
		free(graph->nodes[i]->work.param);
		free(graph->nodes[i]->deps);
		free(graph->nodes[i]);
	}
	free(graph->nodes);
	free(graph);
}

/* Takes work->param and @deps over. */
static struct finf_cu_graph_node *graph_add(struct finf_cu_graph *graph, struct work *work,
					    struct node_set *deps)
{
	struct finf_cu_graph_node **nodes =
		reallocarray(graph->nodes, graph->n + 1, sizeof(struct finf_cu_graph_node *));
	struct finf_cu_graph_node *node = fake_alloc(sizeof(*node));

	if (!nodes)
		abort();
	node->work = *work;
	node->index = graph->n;
	node->deps = deps;
	work->param = NULL;
	graph->nodes = nodes;
	graph->nodes[graph->n++] = node;
	return node;
}

static size_t param_bytes(const struct work *work)
{
	return work->kind == KERNEL ? work->bytes : 0;
}

static struct finf_cu_graph *graph_copy(const struct finf_cu_graph *from)
{
	struct finf_cu_graph *graph = fake_alloc(sizeof(*graph));

	for (unsigned i = 0; i < from->n; i++) {
		struct work work = from->nodes[i]->work;
		struct node_set *deps = set_copy(from->nodes[i]->deps);

		for (unsigned k = 0; k < deps->n; k++)
			deps->nodes[k] = graph->nodes[deps->nodes[k]->index];
		if (work.param) {
			work.param = fake_alloc(param_bytes(&work));
			memcpy(work.param, from->nodes[i]->work.param, param_bytes(&work));
		}
		graph_add(graph, &work, deps);
	}
	return graph;
}

static bool is_ready(const struct finf_cu_graph_node *node, const bool *ran)
{
	for (unsigned i = 0; i < node->deps->n; i++)
		if (!ran[node->deps->nodes[i]->index])
			return false;
	return !ran[node->index];
}

/* The nth of those that may run now; ~0u when there are fewer. */
static unsigned ready_at(const struct finf_cu_graph *graph, const bool *ran, unsigned n)
{
	for (unsigned i = 0; i < graph->n; i++)
		if (is_ready(graph->nodes[i], ran) && !n--)
			return i;
	return ~0u;
}

enum finf_cu_result graph_run(struct finf_cu_ctx *ctx, const struct finf_cu_graph *graph)
{
	bool *ran = fake_alloc(graph->n);
	enum finf_cu_result result = FINF_CU_SUCCESS;

	for (unsigned done = 0; done < graph->n && !result; done++) {
		unsigned ready = 0, pick;

		while (ready_at(graph, ran, ready) != ~0u)
			ready++;
		pthread_mutex_lock(&fake.lock);
		pick = ready_at(graph, ran, (unsigned)(fake_random() % ready));
		pthread_mutex_unlock(&fake.lock);
		result = work_run(ctx, &graph->nodes[pick]->work);
		ran[pick] = true;
	}
	free(ran);
	return result;
}

/* ---- capture --------------------------------------------------------------- */

void capture_break(struct finf_cu_ctx *ctx)
{
	for (struct capture *c = ctx->captures; c; c = c->next)
		c->broken = true;
}

/* cuThreadExchangeStreamCaptureMode: who may make calls that could break a capture. */
enum finf_cu_result capture_forbids(struct finf_cu_ctx *ctx)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;

	if (thread_mode == FINF_CU_CAPTURE_RELAXED)
		return result;
	for (struct capture *c = ctx->captures; c; c = c->next) {
		bool mine = pthread_equal(c->thread, pthread_self());

		if (mine ? c->mode != FINF_CU_CAPTURE_RELAXED
			 : c->mode == FINF_CU_CAPTURE_GLOBAL &&
				    thread_mode == FINF_CU_CAPTURE_GLOBAL) {
			c->broken = true;
			result = FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		}
	}
	return result;
}

enum finf_cu_result capture_add(struct finf_cu_stream *stream, struct work *work)
{
	struct capture *capture = stream->capture;
	struct finf_cu_graph_node *node;

	if (capture->broken)
		return FINF_CU_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (work->kind == GRAPH || work->kind == PREFETCH) {
		capture->broken = true;
		return FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	node = graph_add(capture->graph, work, stream->ends);
	stream->ends = set_new(1);
	stream->ends->nodes[0] = node;
	return FINF_CU_SUCCESS;
}

enum finf_cu_result cuThreadExchangeStreamCaptureMode(enum finf_cu_capture_mode *mode)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);
	enum finf_cu_capture_mode old = thread_mode;

	if (result)
		return result;
	if (*mode > FINF_CU_CAPTURE_RELAXED)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	thread_mode = *mode;
	*mode = old;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuStreamBeginCapture_v2(struct finf_cu_stream *stream,
					    enum finf_cu_capture_mode mode)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct capture *capture;

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (mode > FINF_CU_CAPTURE_RELAXED)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (stream == stream->ctx->legacy)
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	if (stream->capture) {
		stream->capture->broken = true;
		return fake_leave(FINF_CU_ERROR_ILLEGAL_STATE);
	}
	capture = fake_alloc(sizeof(*capture));
	capture->graph = fake_alloc(sizeof(*capture->graph));
	capture->origin = stream;
	capture->mode = mode;
	capture->thread = pthread_self();
	capture->next = stream->ctx->captures;
	stream->ctx->captures = capture;
	stream->capture = capture;
	stream->ends = set_new(0);
	return fake_leave(FINF_CU_SUCCESS);
}

static void mark_ancestors(const struct finf_cu_graph_node *node, bool *seen)
{
	if (seen[node->index])
		return;
	seen[node->index] = true;
	for (unsigned i = 0; i < node->deps->n; i++)
		mark_ancestors(node->deps->nodes[i], seen);
}

/* Everything that was captured must come before the end of the stream that began. */
static bool is_joined(const struct capture *capture)
{
	bool *seen = fake_alloc(capture->graph->n), all = true;

	for (unsigned i = 0; i < capture->origin->ends->n; i++)
		mark_ancestors(capture->origin->ends->nodes[i], seen);
	for (unsigned i = 0; i < capture->graph->n; i++)
		all &= seen[i];
	free(seen);
	return all;
}

/* Streams and events forget it; its graph is the caller's now. */
static void capture_end(struct finf_cu_ctx *ctx, struct capture *capture)
{
	struct capture **at = &ctx->captures;

	for (struct finf_cu_stream *s = ctx->streams; s; s = s->next)
		if (s->capture == capture) {
			s->capture = NULL;
			free(s->ends);
			s->ends = NULL;
		}
	for (struct finf_cu_event *e = ctx->events; e; e = e->next)
		if (e->capture == capture) {
			e->capture = NULL;
			free(e->ends);
			e->ends = NULL;
		}
	while (*at != capture)
		at = &(*at)->next;
	*at = capture->next;
	free(capture);
}

void capture_drop(struct finf_cu_stream *stream)
{
	struct finf_cu_graph *graph = stream->capture->graph;

	capture_end(stream->ctx, stream->capture);
	graph_free(graph);
}

enum finf_cu_result cuStreamEndCapture(struct finf_cu_stream *stream, struct finf_cu_graph **ret)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct finf_cu_graph *graph;
	struct capture *capture;

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	capture = stream->capture;
	if (!capture)
		return fake_leave(FINF_CU_ERROR_ILLEGAL_STATE);
	if (capture->origin != stream) {
		capture->broken = true;
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_UNMATCHED);
	}
	if (capture->mode != FINF_CU_CAPTURE_RELAXED &&
	    !pthread_equal(capture->thread, pthread_self()))
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_WRONG_THREAD);
	if (capture->broken)
		result = FINF_CU_ERROR_STREAM_CAPTURE_INVALIDATED;
	else if (!is_joined(capture))
		result = FINF_CU_ERROR_STREAM_CAPTURE_UNJOINED;
	graph = capture->graph;
	capture_end(stream->ctx, capture);
	*ret = NULL;
	if (result) {
		graph_free(graph);
		return fake_leave(result);
	}
	graph->next = fake_current()->graphs;
	fake_current()->graphs = graph;
	*ret = graph;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuStreamIsCapturing(struct finf_cu_stream *stream,
					enum finf_cu_capture_status *ret)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	*ret = FINF_CU_CAPTURE_NONE;
	if (stream->capture)
		*ret = stream->capture->broken ? FINF_CU_CAPTURE_INVALIDATED
					       : FINF_CU_CAPTURE_ACTIVE;
	return fake_leave(FINF_CU_SUCCESS);
}

/* ---- graphs made runnable -------------------------------------------------- */

static bool is_graph(const struct finf_cu_graph *graph)
{
	for (struct finf_cu_graph *g = fake_current()->graphs; g; g = g->next)
		if (g == graph)
			return true;
	return false;
}

static enum finf_cu_result enter_graph(const char *name, const struct finf_cu_graph *graph)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);

	if (result || is_graph(graph))
		return result;
	return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
}

static enum finf_cu_result enter_exec(const char *name, const struct finf_cu_graph_exec *exec)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);
	struct finf_cu_graph_exec *e;

	if (result)
		return result;
	for (e = fake_current()->execs; e && e != exec;)
		e = e->next;
	return e ? FINF_CU_SUCCESS : fake_leave(FINF_CU_ERROR_INVALID_VALUE);
}

enum finf_cu_result cuGraphInstantiateWithFlags(struct finf_cu_graph_exec **ret,
						struct finf_cu_graph *graph,
						unsigned long long flags)
{
	enum finf_cu_result result = enter_graph(__func__, graph);
	struct finf_cu_graph_exec *exec;

	if (result)
		return result;
	if (flags)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	exec = fake_alloc(sizeof(*exec));
	exec->graph = graph_copy(graph);
	exec->next = fake_current()->execs;
	fake_current()->execs = exec;
	*ret = exec;
	return fake_leave(FINF_CU_SUCCESS);
}

static enum finf_cu_update_result compare(const struct finf_cu_graph *a,
					  const struct finf_cu_graph *b)
{
	if (a->n != b->n)
		return FINF_CU_UPDATE_TOPOLOGY_CHANGED;
	for (unsigned i = 0; i < a->n; i++) {
		const struct finf_cu_graph_node *x = a->nodes[i], *y = b->nodes[i];

		if (x->work.kind != y->work.kind)
			return FINF_CU_UPDATE_NODE_TYPE_CHANGED;
		if (x->deps->n != y->deps->n)
			return FINF_CU_UPDATE_TOPOLOGY_CHANGED;
		for (unsigned k = 0; k < x->deps->n; k++)
			if (x->deps->nodes[k]->index != y->deps->nodes[k]->index)
				return FINF_CU_UPDATE_TOPOLOGY_CHANGED;
	}
	return FINF_CU_UPDATE_SUCCESS;
}

enum finf_cu_result cuGraphExecUpdate(struct finf_cu_graph_exec *exec, struct finf_cu_graph *graph,
				      struct finf_cu_graph_node **ret_node,
				      enum finf_cu_update_result *ret)
{
	enum finf_cu_result result = enter_exec(__func__, exec);

	if (result)
		return result;
	if (!is_graph(graph))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	*ret_node = NULL;
	*ret = compare(exec->graph, graph);
	if (*ret != FINF_CU_UPDATE_SUCCESS)
		return fake_leave(FINF_CU_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	/* A launch under way keeps what it was launched with. */
	mark_wait(fake_current(), exec->last);
	graph_free(exec->graph);
	exec->graph = graph_copy(graph);
	return fake_leave(FINF_CU_SUCCESS);
}

static void exec_free(struct finf_cu_graph_exec *exec)
{
	mark_unref(exec->last);
	graph_free(exec->graph);
	free(exec);
}

enum finf_cu_result cuGraphExecDestroy(struct finf_cu_graph_exec *exec)
{
	enum finf_cu_result result = enter_exec(__func__, exec);
	struct finf_cu_graph_exec **at;

	if (result)
		return result;
	mark_wait(fake_current(), exec->last);
	for (at = &fake_current()->execs; *at != exec;)
		at = &(*at)->next;
	*at = exec->next;
	exec_free(exec);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuGraphDestroy(struct finf_cu_graph *graph)
{
	enum finf_cu_result result = enter_graph(__func__, graph);
	struct finf_cu_graph **at;

	if (result)
		return result;
	for (at = &fake_current()->graphs; *at != graph;)
		at = &(*at)->next;
	*at = graph->next;
	graph_free(graph);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuGraphLaunch(struct finf_cu_graph_exec *exec, struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_exec(__func__, exec);

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	return fake_leave(stream_do(stream, (struct work){.kind = GRAPH, .exec = exec}));
}

enum finf_cu_result cuGraphGetNodes(struct finf_cu_graph *graph, struct finf_cu_graph_node **nodes,
				    size_t *n)
{
	enum finf_cu_result result = enter_graph(__func__, graph);

	if (result)
		return result;
	for (unsigned i = 0; nodes && i < *n; i++)
		nodes[i] = i < graph->n ? graph->nodes[i] : NULL;
	if (!nodes || *n > graph->n)
		*n = graph->n;
	return fake_leave(FINF_CU_SUCCESS);
}

void graphs_destroy(struct finf_cu_ctx *ctx)
{
	while (ctx->captures) {
		struct capture *capture = ctx->captures;

		ctx->captures = capture->next;
		graph_free(capture->graph);
		free(capture);
	}
	while (ctx->execs) {
		struct finf_cu_graph_exec *exec = ctx->execs;

		ctx->execs = exec->next;
		exec_free(exec);
	}
	while (ctx->graphs) {
		struct finf_cu_graph *graph = ctx->graphs;

		ctx->graphs = graph->next;
		graph_free(graph);
	}
}
