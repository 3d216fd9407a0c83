/* SPDX-License-Identifier: MIT */
/* engine/place: a model of the in-process engine into the pool and out of it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/inproc.h"

struct finf_entry *finf_entry_find(struct finf_engine *engine, const char *name)
{
	struct finf_entry *entry = engine->entries;

	while (entry && strcmp(entry->name, name))
		entry = entry->next;
	return entry;
}

/* ---- room --------------------------------------------------------------------- */

/* The arena zone is shared, since runs happen one after the other: the largest decides. */
static uint64_t zone_bytes(const struct finf_engine *engine)
{
	uint64_t bytes = 0;

	for (const struct finf_entry *entry = engine->entries; entry; entry = entry->next)
		if (entry->loaded)
			bytes = FINF_MAX(bytes, entry->arena_bytes);
	return bytes;
}

static int no_room(const struct finf_engine *engine, const struct finf_entry *entry,
		   uint64_t weight_bytes, uint64_t zone, struct finf_diag *diag)
{
	struct finf_mem_stats stats;
	uint64_t need;

	finf_mem_stats(engine->mem, &stats);
	need = finf_align_up(weight_bytes, FINF_EXTENT_ALIGN) + finf_align_up(zone, 4096) +
	       stats.extent_bytes;
	return finf_diag_set(diag, -ENOBUFS,
			     "no room for '%s': %" PRIu64 " bytes of weights and %" PRIu64
			     " of activations beside %" PRIu64 " in use; the pool of %" PRIu64
			     " is %" PRIu64 " bytes too small",
			     entry->name, weight_bytes, zone, stats.extent_bytes, stats.pool_bytes,
			     need > stats.pool_bytes ? need - stats.pool_bytes : 0);
}

/* Nothing runs while the lock is held, so what is in the way may be moved. */
static int reserve_zone(struct finf_engine *engine, uint64_t zone)
{
	int err = finf_mem_arena_reserve(engine->mem, zone);

	if (err != -ENOBUFS)
		return err;
	err = finf_mem_compact(engine->mem, 0);
	return err ? err : finf_mem_arena_reserve(engine->mem, zone);
}

static int take_extent(struct finf_engine *engine, struct finf_entry *entry, uint64_t bytes)
{
	int err = finf_mem_extent_take(engine->mem, bytes, (uintptr_t)entry, entry->last_offset,
				       &entry->extent);

	if (err != -ENOBUFS)
		return err;
	err = finf_mem_compact(engine->mem, bytes);
	if (err)
		return err;
	return finf_mem_extent_take(engine->mem, bytes, (uintptr_t)entry, entry->last_offset,
				    &entry->extent);
}

static int make_room(struct finf_engine *engine, struct finf_entry *entry, uint64_t arena_bytes,
		     struct finf_diag *diag)
{
	uint64_t weight_bytes = entry->loaded ? 0 : finf_model_weight_bytes(entry->model);
	uint64_t zone = FINF_MAX(zone_bytes(engine), arena_bytes);
	int err = reserve_zone(engine, zone);

	if (!err && weight_bytes) {
		err = take_extent(engine, entry, weight_bytes);
		if (err)
			reserve_zone(engine, zone_bytes(engine)); /* shrinks: cannot fail */
	}
	if (err == -ENOBUFS)
		return no_room(engine, entry, weight_bytes, zone, diag);
	if (err == -EREMOTEIO)
		finf_engine_drop_all(engine); /* what was being moved is nowhere whole */
	if (err)
		return finf_diag_set(diag, err, "no place for '%s' in the pool", entry->name);
	entry->arena_bytes = FINF_MAX(entry->arena_bytes, arena_bytes);
	return 0;
}

/* ---- loading ------------------------------------------------------------------ */

static void load_ended(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	struct finf_load_end *end = ctx;

	(void)load;
	pthread_mutex_lock(&end->lock);
	end->result = result;
	if (diag)
		end->diag = *diag;
	end->done = true;
	pthread_cond_signal(&end->ended);
	pthread_mutex_unlock(&end->lock);
}

int finf_entry_load_start(struct finf_engine *engine, struct finf_entry *entry,
			  uint64_t arena_bytes, struct finf_diag *diag)
{
	int err;

	if (entry->loaded && arena_bytes <= entry->arena_bytes)
		return 0;
	err = make_room(engine, entry, arena_bytes, diag);
	if (err || entry->loaded)
		return err;
	entry->end.done = false;
	entry->end.diag.text[0] = 0;
	entry->load_start_ns = finf_now_ns();
	entry->loaded = true;
	err = finf_model_load(entry->model, engine->loader,
			      entry->extent ? finf_mem_address(engine->mem, entry->extent) : NULL,
			      NULL, load_ended, &entry->end, &entry->load);
	if (!err && !entry->load) /* done already */
		return finf_entry_load_end(engine, entry, diag);
	if (err) {
		finf_entry_unload(engine, entry);
		return finf_diag_set(diag, err, "loading '%s' could not be started", entry->name);
	}
	return 0;
}

static void note_load(struct finf_entry *entry)
{
	struct finf_load_report report;

	if (entry->load) {
		finf_load_report(entry->load, &report);
		entry->load_bytes = report.bytes;
		entry->load_ns = report.ns;
	} else {
		entry->load_bytes = finf_model_weight_bytes(entry->model);
		entry->load_ns = finf_now_ns() - entry->load_start_ns;
	}
}

int finf_entry_load_end(struct finf_engine *engine, struct finf_entry *entry,
			struct finf_diag *diag)
{
	struct finf_load_end *end = &entry->end;
	int err;

	pthread_mutex_lock(&end->lock);
	while (!end->done)
		pthread_cond_wait(&end->ended, &end->lock);
	err = end->result;
	pthread_mutex_unlock(&end->lock);
	if (!err)
		note_load(entry);
	finf_load_unref(entry->load);
	entry->load = NULL;
	if (err) {
		if (diag)
			*diag = end->diag;
		finf_diag_prefix(diag, "loading '%s'", entry->name);
		finf_entry_unload(engine, entry);
		return err;
	}
	if (entry->extent)
		entry->extent->movable = true;
	return 0;
}

void finf_entry_unload(struct finf_engine *engine, struct finf_entry *entry)
{
	if (!entry->loaded)
		return;
	if (entry->extent) {
		entry->last_offset = entry->extent->offset;
		finf_mem_extent_give(engine->mem, entry->extent);
		entry->extent = NULL;
	}
	entry->loaded = false;
	entry->arena_bytes = 0;
	finf_mem_arena_reserve(engine->mem, zone_bytes(engine)); /* shrinks: cannot fail */
}
