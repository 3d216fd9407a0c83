/* SPDX-License-Identifier: MIT */
/* engine: the public in-process API - opening, models by name, what they are. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/inproc.h"
#include "fuse/fuse.h"
#include "import/import.h"

#define DEFAULT_POOL_MAX_BYTES ((uint64_t)1 << 30)

/* ---- opening -------------------------------------------------------------------- */

static uint64_t available_bytes(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib ? kib << 10
		   : (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A device that counts its own memory does not take the host's. */
static uint64_t default_pool_bytes(struct finf_device *dev)
{
	uint64_t bytes;

	if (finf_device_free_bytes(dev, &bytes))
		bytes = available_bytes();
	return FINF_MIN(bytes / 2, DEFAULT_POOL_MAX_BYTES) & ~(uint64_t)4095;
}

static uint32_t default_threads(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return 1;
	return (uint32_t)CPU_COUNT(&cpus);
}

/* Older and newer callers: what they do not know is 0, what we do not know must be 0. */
static int take_opts(const struct finf_engine_opts *given, struct finf_engine_opts *ret,
		     struct finf_diag *diag)
{
	const char *bytes = (const char *)given;

	*ret = (struct finf_engine_opts){.size = sizeof(*ret)};
	if (given) {
		for (size_t i = sizeof(*ret); i < given->size; i++)
			if (bytes[i])
				return finf_diag_set(diag, -EINVAL,
						     "an option this library does not know is set");
		memcpy(ret, given, FINF_MIN(given->size, sizeof(*ret)));
		if (given->size < sizeof(given->size))
			return finf_diag_set(diag, -EINVAL, "opts.size is not set");
	}
	if (ret->optimize != FINF_OPTIMIZE_MEMORY && ret->optimize != FINF_OPTIMIZE_LATENCY)
		return finf_diag_set(diag, -EINVAL, "opts.optimize is %d", (int)ret->optimize);
	if (!ret->device)
		ret->device = "host";
	if (!ret->threads)
		ret->threads = default_threads();
	return 0;
}

static int open_parts(struct finf_engine *engine, const struct finf_engine_opts *opts,
		      struct finf_diag *diag)
{
	int err = finf_device_open(opts->device, &engine->dev, diag);
	uint64_t pool_bytes = opts->pool_bytes;

	if (err)
		return err;
	if (!pool_bytes)
		pool_bytes = default_pool_bytes(engine->dev);
	err = finf_device_pool_new(engine->dev, pool_bytes, NULL, &engine->pool, diag);
	if (err)
		return err;
	err = finf_mem_new(engine->dev, &engine->pool, &engine->mem);
	if (err)
		return finf_diag_set(diag, err, "no memory for the pool's tables");
	return finf_loader_new(engine->dev, &engine->pool, NULL, &engine->loader, diag);
}

int finf_engine_open(const struct finf_engine_opts *opts, struct finf_engine **ret_engine,
		     struct finf_diag *diag)
{
	struct finf_engine *engine;
	struct finf_engine_opts all;
	int err;

	finf_words_begin(diag);
	err = take_opts(opts, &all, diag);
	if (err)
		return err;
	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return finf_diag_set(diag, -ENOMEM, "no memory for an engine");
	pthread_mutex_init(&engine->lock, NULL);
	engine->threads = all.threads;
	engine->how = (all.exact ? FINF_PLAN_EXACT : 0) |
		      (all.optimize == FINF_OPTIMIZE_LATENCY ? FINF_PLAN_FAST : 0);
	err = open_parts(engine, &all, diag);
	if (err) {
		finf_engine_close(engine);
		return finf_words_end(diag, err);
	}
	*ret_engine = engine;
	return 0;
}

static void entry_free(struct finf_entry *entry)
{
	if (!entry)
		return;
	finf_model_close(entry->model);
	pthread_cond_destroy(&entry->end.ended);
	pthread_mutex_destroy(&entry->end.lock);
	free(entry->inputs);
	free(entry->outputs);
	free(entry);
}

void finf_engine_close(struct finf_engine *engine)
{
	if (!engine)
		return;
	while (engine->entries) {
		struct finf_entry *entry = engine->entries;

		engine->entries = entry->next;
		finf_entry_unload(engine, entry);
		entry_free(entry);
	}
	finf_loader_free(engine->loader);
	finf_mem_free(engine->mem);
	if (engine->pool.base)
		finf_device_pool_free(engine->dev, &engine->pool);
	finf_device_close(engine->dev);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

/* ---- models by name ---------------------------------------------------------------- */

static int open_onnx(const struct finf_engine *engine, const char *path,
		     struct finf_model **ret_model, struct finf_diag *diag)
{
	struct finf_fuse_report report;
	struct finf_graph *graph = NULL;
	int err = finf_import_file(path, &graph, diag);

	if (err)
		return err; /* names the file itself */
	err = finf_fuse_run(graph, &report, diag);
	if (!err)
		err = finf_model_open_graph(engine->dev, graph, engine->threads, engine->pool.bytes,
					    engine->how, ret_model, diag);
	if (err) {
		finf_diag_prefix(diag, "%s", path);
		finf_graph_free(graph);
	}
	return err;
}

static int open_tuned(const struct finf_engine *engine, struct finf_pack *pack,
		      struct finf_model **ret_model, struct finf_diag *diag)
{
	if (engine->how & FINF_PLAN_EXACT)
		return finf_diag_set(
			diag, -EOPNOTSUPP,
			"a tuned pack has no reference layouts: take the portable one");
	return finf_model_open(engine->dev, pack, engine->threads, engine->pool.bytes, ret_model,
			       diag);
}

static int open_pack(const struct finf_engine *engine, const char *path,
		     struct finf_model **ret_model, struct finf_diag *diag)
{
	struct finf_pack *pack = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %m", path);
	err = finf_pack_open(fd, path, &pack, diag);
	close(fd);
	if (err)
		return err;
	if (pack->plan)
		err = open_tuned(engine, pack, ret_model, diag);
	else
		err = finf_model_open_portable(engine->dev, pack, engine->threads,
					       engine->pool.bytes, engine->how, ret_model, diag);
	if (err) {
		finf_diag_prefix(diag, "%s", path);
		finf_pack_close(pack);
	}
	return err;
}

static bool is_pack(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, ".fim");
}

static int entry_init(struct finf_entry *entry, const struct finf_engine *engine, const char *path,
		      struct finf_diag *diag)
{
	const struct finf_graph *graph;
	int err = is_pack(path) ? open_pack(engine, path, &entry->model, diag)
				: open_onnx(engine, path, &entry->model, diag);

	if (err)
		return err;
	graph = finf_model_graph(entry->model);
	entry->inputs = calloc(graph->n_inputs + 1, sizeof(*entry->inputs));
	entry->outputs = calloc(graph->n_outputs + 1, sizeof(*entry->outputs));
	if (!entry->inputs || !entry->outputs)
		return finf_diag_set(diag, -ENOMEM, "no memory for '%s'", entry->name);
	return 0;
}

static int add_locked(struct finf_engine *engine, const char *path, const char *name,
		      struct finf_diag *diag)
{
	struct finf_entry *entry;
	int err;

	if (finf_entry_find(engine, name))
		return finf_diag_set(diag, -EEXIST, "there is a model '%s' already", name);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return finf_diag_set(diag, -ENOMEM, "no memory for '%s'", name);
	pthread_mutex_init(&entry->end.lock, NULL);
	pthread_cond_init(&entry->end.ended, NULL);
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->last_offset = UINT64_MAX;
	err = entry_init(entry, engine, path, diag);
	if (err) {
		entry_free(entry);
		return err;
	}
	entry->next = engine->entries;
	engine->entries = entry;
	return 0;
}

int finf_engine_add(struct finf_engine *engine, const char *path, const char *name,
		    struct finf_diag *diag)
{
	int err;

	finf_words_begin(diag);
	if (!finf_name_ok(name, NULL, NULL) || strlen(name) >= sizeof(engine->entries->name))
		return finf_diag_set(diag, -EINVAL, "'%s' is no model name", name);
	pthread_mutex_lock(&engine->lock);
	err = add_locked(engine, path, name, diag);
	pthread_mutex_unlock(&engine->lock);
	return finf_words_end(diag, err);
}

int finf_engine_remove(struct finf_engine *engine, const char *name)
{
	struct finf_entry *entry, **link;

	pthread_mutex_lock(&engine->lock);
	for (link = &engine->entries; *link && strcmp((*link)->name, name); link = &(*link)->next)
		;
	entry = *link;
	if (entry) {
		*link = entry->next;
		finf_entry_unload(engine, entry);
	}
	pthread_mutex_unlock(&engine->lock);
	entry_free(entry);
	return entry ? 0 : -ENOENT;
}

/* ---- what a model is ----------------------------------------------------------------- */

static void fill_ports(const struct finf_graph *graph, const uint32_t *values, uint32_t n,
		       struct finf_port *ret, uint32_t *n_ret)
{
	for (uint32_t i = 0; i < n && i < *n_ret; i++) {
		const struct finf_value *value = &graph->values[values[i]];

		ret[i] = (struct finf_port){value->name, value->dtype, value->shape};
	}
	*n_ret = n;
}

int finf_engine_ports(struct finf_engine *engine, const char *name, struct finf_port *inputs,
		      uint32_t *n_inputs, struct finf_port *outputs, uint32_t *n_outputs)
{
	struct finf_entry *entry;

	pthread_mutex_lock(&engine->lock);
	entry = finf_entry_find(engine, name);
	if (entry) {
		const struct finf_graph *graph = finf_model_graph(entry->model);

		fill_ports(graph, graph->inputs, graph->n_inputs, inputs, n_inputs);
		fill_ports(graph, graph->outputs, graph->n_outputs, outputs, n_outputs);
	}
	pthread_mutex_unlock(&engine->lock);
	return entry ? 0 : -ENOENT;
}

int finf_engine_stats(struct finf_engine *engine, const char *name, struct finf_model_stats *ret)
{
	struct finf_entry *entry;

	if (ret->size < sizeof(*ret))
		return -EINVAL;
	pthread_mutex_lock(&engine->lock);
	entry = finf_entry_find(engine, name);
	if (entry)
		*ret = (struct finf_model_stats){
			.size = ret->size,
			.weight_bytes = finf_model_weight_bytes(entry->model),
			.arena_bytes = finf_model_arena_bytes(entry->model),
			.loaded = entry->loaded,
			.load_bytes = entry->load_bytes,
			.load_ns = entry->load_ns,
			.runs = entry->runs,
			.last_run_ns = entry->last_run_ns,
		};
	pthread_mutex_unlock(&engine->lock);
	return entry ? 0 : -ENOENT;
}
