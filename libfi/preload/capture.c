/* SPDX-License-Identifier: MIT */
/*
 * preload: streams that are being captured. A capture forbids what a pause does, so
 * while there is one nobody pauses: each that began must be seen to end, also
 * one that ends because its stream or context is destroyed.
 */
#include <pthread.h>
#include <stdlib.h>

#include "preload/preload.h"

/* Streams forked into a capture are not in the list: they end with its origin. */
struct capture {
	struct capture *next;
	void *stream, *ctx;
};

atomic_uint fip_captures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture *captures;

static void begun(void *stream)
{
	struct capture *c = malloc(sizeof(*c));
	void *ctx = NULL;

	if (!c)
		return; /* a pause then fails in the driver, and is given up */
	if (fip_driver.cuCtxGetCurrent)
		fip_driver.cuCtxGetCurrent(&ctx);
	*c = (struct capture){.stream = stream, .ctx = ctx};
	pthread_mutex_lock(&lock);
	c->next = captures;
	captures = c;
	atomic_fetch_add(&fip_captures, 1);
	pthread_mutex_unlock(&lock);
}

/* Those of the stream, or else all of the context. */
static void ended(const void *stream, const void *ctx)
{
	struct capture **link = &captures, *c;

	pthread_mutex_lock(&lock);
	while ((c = *link)) {
		if (ctx ? c->ctx != ctx : c->stream != stream) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		free(c);
		atomic_fetch_sub(&fip_captures, 1);
		if (!ctx)
			break; /* another thread's default stream has the same name */
	}
	pthread_mutex_unlock(&lock);
}

void fip_captures_forget(const void *ctx)
{
	ended(NULL, ctx);
}

#define BEGIN(symbol, params, args) \
	unsigned symbol params \
	{ \
		unsigned result; \
\
		fip_enter(); \
		result = FIP_PASS(symbol, args); \
		if (!result) \
			begun(stream); \
		fip_leave(); \
		return result; \
	}
#define TO_GRAPH \
	(void *stream, void *graph, const void *nodes, const void *edges, size_t n, int mode)
BEGIN(cuStreamBeginCapture, (void *stream), (stream))
BEGIN(cuStreamBeginCapture_ptsz, (void *stream), (stream))
BEGIN(cuStreamBeginCapture_v2, (void *stream, int mode), (stream, mode))
BEGIN(cuStreamBeginCapture_v2_ptsz, (void *stream, int mode), (stream, mode))
BEGIN(cuStreamBeginCaptureToGraph, TO_GRAPH, (stream, graph, nodes, edges, n, mode))
BEGIN(cuStreamBeginCaptureToGraph_ptsz, TO_GRAPH, (stream, graph, nodes, edges, n, mode))

static bool is_capturing(void *stream)
{
	int status = 0;

	return fip_driver.cuStreamIsCapturing &&
	       !fip_driver.cuStreamIsCapturing(stream, &status) && status;
}

/* Also a failed end may be one: the stream tells. */
#define END(symbol) \
	unsigned symbol(void *stream, void **ret) \
	{ \
		bool before = fip_bind() && is_capturing(stream); \
		unsigned result = FIP_PASS(symbol, (stream, ret)); \
\
		if (before && !is_capturing(stream)) \
			ended(stream, NULL); \
		return result; \
	}
END(cuStreamEndCapture)
END(cuStreamEndCapture_ptsz)

/* Gone with its capture; where the driver refuses, the program still has to end that. */
unsigned cuStreamDestroy_v2(void *stream)
{
	unsigned result = FIP_PASS(cuStreamDestroy_v2, (stream));

	if (!result && atomic_load(&fip_captures))
		ended(stream, NULL);
	return result;
}
