/* SPDX-License-Identifier: MIT */
/* load: the loader thread, its queue and its description. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/priv.h"

static const char *mode_name(enum finf_load_mode mode)
{
	static const char *const names[] = {"auto", "direct", "staging", "pread"};

	return names[mode];
}

static void log_load(const struct finf_load *load)
{
	const struct finf_load_report *r = &load->report;

	finf_log("load name=%s bytes=%llu seconds=%.6f GB/s=%.2f mode=%s direct=%d cached_bytes=%llu%s%s",
		 load->name, (unsigned long long)r->bytes, (double)r->ns * 1e-9,
		 r->ns ? (double)r->bytes / (double)r->ns : 0.0, mode_name(r->mode), r->direct,
		 (unsigned long long)r->cached_bytes, load->result < 0 ? " failed=" : "",
		 load->result < 0 ? load->diag.text : "");
}

static void finish(struct finf_load *load, int result)
{
	if (result == -ECANCELED)
		finf_diag_set(&load->diag, result, "%s: load canceled after %u of %u segments",
			      load->name, finf_load_published(load), load->n_segments);
	finf_load_end(load, result);
	log_load(load);
	if (load->done)
		load->done(load->ctx, load, result, &load->diag);
	finf_load_unref(load);
}

static struct finf_load *take(struct finf_load **head, struct finf_load ***tail)
{
	struct finf_load *load = *head;

	*head = load->next;
	if (!*head)
		*tail = head;
	load->next = NULL;
	return load;
}

/* What is urgent goes first, but not for ever. */
static struct finf_load *choose(struct finf_loader *loader)
{
	if (!loader->head && !loader->rest)
		return NULL;
	if (!loader->head || (loader->rest && loader->rest->overtaken >= FINF_LOAD_OVERTAKE))
		return take(&loader->rest, &loader->rest_tail);
	if (loader->rest)
		loader->rest->overtaken++;
	return take(&loader->head, &loader->tail);
}

/* The next load, or NULL when the loader is to end; what is queued then is canceled. */
static struct finf_load *next_load(struct finf_loader *loader)
{
	struct finf_load *load;

	pthread_mutex_lock(&loader->lock);
	while (!(load = choose(loader)) && !loader->stop)
		pthread_cond_wait(&loader->wake, &loader->lock);
	loader->running = load;
	pthread_mutex_unlock(&loader->lock);
	return load;
}

/* Its urgent part is there: the rest waits for its turn. False when nothing is left. */
static bool put_back(struct finf_loader *loader, struct finf_load *load)
{
	if (load->upto == load->n_segments)
		return false;
	load->upto = load->n_segments;
	pthread_mutex_lock(&loader->lock);
	loader->running = NULL;
	*loader->rest_tail = load;
	loader->rest_tail = &load->next;
	if (loader->stop)
		finf_load_cancel(load);
	pthread_mutex_unlock(&loader->lock);
	return true;
}

/* From here on nobody can reach the load through the loader. */
static void forget_running(struct finf_loader *loader)
{
	pthread_mutex_lock(&loader->lock);
	loader->running = NULL;
	pthread_mutex_unlock(&loader->lock);
}

static void *loader_main(void *ctx)
{
	struct finf_loader *loader = ctx;
	struct finf_load *load;
	int err = finf_buffers_init(loader);

	pthread_mutex_lock(&loader->lock);
	loader->init_err = err;
	loader->ready = true;
	pthread_cond_broadcast(&loader->wake);
	pthread_mutex_unlock(&loader->lock);

	while (!err && (load = next_load(loader))) {
		int result = finf_load_run(loader, load);

		if (!result && put_back(loader, load))
			continue;
		forget_running(loader);
		finish(load, result);
	}
	finf_buffers_fini(loader);
	return NULL;
}

static void fill_opts(struct finf_loader *loader, const struct finf_loader_opts *opts)
{
	struct finf_loader_opts *o = &loader->opts;

	if (opts)
		memcpy(o, opts, FINF_MIN(opts->size, sizeof(*o)));
	if (!o->block_bytes)
		o->block_bytes = 1u << 20;
	o->block_bytes = (uint32_t)finf_align_up(FINF_MIN(o->block_bytes, 64u << 20), LOAD_ALIGN);
	o->depth = o->depth ? FINF_MIN(o->depth, 256u) : 8;
}

static int start_thread(struct finf_loader *loader)
{
	int err = -pthread_create(&loader->thread, NULL, loader_main, loader);

	if (err)
		return err;
	pthread_setname_np(loader->thread, "fi-load");
	pthread_mutex_lock(&loader->lock);
	while (!loader->ready)
		pthread_cond_wait(&loader->wake, &loader->lock);
	err = loader->init_err;
	pthread_mutex_unlock(&loader->lock);
	if (err)
		pthread_join(loader->thread, NULL);
	return err;
}

static void loader_drop(struct finf_loader *loader)
{
	pthread_cond_destroy(&loader->wake);
	pthread_mutex_destroy(&loader->lock);
	XXH3_freeState(loader->hash);
	free(loader);
}

int finf_loader_new(struct finf_device *dev, const struct finf_pool_memory *pool,
		    const struct finf_loader_opts *opts, struct finf_loader **ret_loader,
		    struct finf_diag *diag)
{
	struct finf_loader *loader = calloc(1, sizeof(*loader));
	int err;

	if (!loader)
		return finf_diag_set(diag, -ENOMEM, "loader: out of memory");
	pthread_mutex_init(&loader->lock, NULL);
	pthread_cond_init(&loader->wake, NULL);
	loader->pool = pool->base;
	loader->pool_bytes = pool->bytes;
	loader->visible = pool->host_visible;
	loader->dev = dev;
	loader->tail = &loader->head;
	loader->rest_tail = &loader->rest;
	loader->copy = finf_load_copy_pick();
	fill_opts(loader, opts);
	loader->hash = XXH3_createState();
	err = loader->hash ? start_thread(loader) : -ENOMEM;
	if (err) {
		finf_diag_set(diag, err, "loader: %s", loader->why[0] ? loader->why : strerror(-err));
		loader_drop(loader);
		return err;
	}
	*ret_loader = loader;
	return 0;
}

void finf_loader_free(struct finf_loader *loader)
{
	if (!loader)
		return;
	pthread_mutex_lock(&loader->lock);
	loader->stop = true;
	if (loader->running)
		finf_load_cancel(loader->running);
	for (struct finf_load *load = loader->head; load; load = load->next)
		finf_load_cancel(load);
	for (struct finf_load *load = loader->rest; load; load = load->next)
		finf_load_cancel(load);
	pthread_cond_broadcast(&loader->wake);
	pthread_mutex_unlock(&loader->lock);
	pthread_join(loader->thread, NULL);
	loader_drop(loader);
}

static bool segment_ok(const struct finf_loader *loader, const struct finf_load_segment *segment)
{
	/* A wild address wraps to a huge offset. */
	uint64_t at = (uint64_t)((uintptr_t)segment->to - (uintptr_t)loader->pool);

	return segment->bytes && segment->bytes % LOAD_ALIGN == 0 &&
	       segment->file_offset % LOAD_ALIGN == 0 && at % LOAD_ALIGN == 0 &&
	       segment->bytes <= INT64_MAX && segment->file_offset <= INT64_MAX - segment->bytes &&
	       at <= loader->pool_bytes && segment->bytes <= loader->pool_bytes - at;
}

int finf_load_start(struct finf_loader *loader, int fd, const char *name,
		    const struct finf_load_segment *segments, uint32_t n_segments, uint32_t urgent,
		    finf_load_done_fn done, void *ctx, struct finf_load **ret_load)
{
	struct finf_load *load;

	if (n_segments >= LOAD_ENDED)
		return -EINVAL;
	for (uint32_t i = 0; i < n_segments; i++)
		if (!segment_ok(loader, &segments[i]))
			return -EINVAL;
	load = finf_load_make(name, segments, n_segments);
	if (!load)
		return -ENOMEM;
	load->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (load->fd < 0) {
		int err = -errno;

		finf_load_unref(load);
		return err;
	}
	load->upto = urgent ? FINF_MIN(urgent, n_segments) : n_segments;
	load->done = done;
	load->ctx = ctx;
	load->start_ns = finf_now_ns();
	finf_load_ref(load); /* the loader's, until done was called */

	*ret_load = load;
	pthread_mutex_lock(&loader->lock);
	*loader->tail = load;
	loader->tail = &load->next;
	pthread_cond_signal(&loader->wake);
	pthread_mutex_unlock(&loader->lock);
	return 0;
}

void finf_loader_describe(const struct finf_loader *loader, char *text, size_t len)
{
	struct finf_loader *unlocked = (struct finf_loader *)(uintptr_t)loader;
	/* Constant once the loader is there: */
	const struct load_staging *staging = &loader->staging;
	const struct load_ring *ring = &loader->ring;
	const char *uploads = loader->upload ? "queued" : "written";

	pthread_mutex_lock(&unlocked->lock);
	snprintf(text, len,
		 "mode=%s\nring=%s\nblock_bytes=%u\ndepth=%u\nstaging_bytes=%llu\n"
		 "staging_pages=%s\nuploads=%s\nregistered_bytes=%llu\nregistered_file=%s\nwhy=%s\n"
		 "no_direct=%s\n",
		 mode_name(loader->opts.mode),
		 !ring->on ? "none" : ring->deferred ? "defer-taskrun" : "plain",
		 loader->opts.block_bytes, loader->opts.depth,
		 (unsigned long long)staging->bytes, staging->pages ? staging->pages : "none",
		 loader->visible ? "none" : uploads,
		 (unsigned long long)ring->registered_bytes, ring->fixed_file ? "yes" : "no",
		 loader->why, loader->no_direct);
	pthread_mutex_unlock(&unlocked->lock);
}
