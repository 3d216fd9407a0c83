/* SPDX-License-Identifier: MIT */
/* engine/infer: load, unload and run in process. A warm call allocates nothing of ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/inproc.h"

static int not_found(const char *name, struct finf_diag *diag)
{
	return finf_diag_set(diag, -ENOENT, "there is no model '%s'", name);
}

int finf_engine_load(struct finf_engine *engine, const char *name, struct finf_diag *diag)
{
	struct finf_entry *entry;
	int err;

	finf_words_begin(diag);
	pthread_mutex_lock(&engine->lock);
	entry = finf_entry_find(engine, name);
	err = entry ? finf_engine_mend(engine, diag) : not_found(name, diag);
	if (!err)
		err = finf_entry_load_start(engine, entry, finf_model_arena_bytes(entry->model),
					    diag);
	if (!err && entry->load)
		err = finf_entry_load_end(engine, entry, diag);
	if (err == -EREMOTEIO)
		finf_engine_mend(engine, NULL); /* else the next call does, or says why not */
	pthread_mutex_unlock(&engine->lock);
	return finf_words_end(diag, err);
}

int finf_engine_unload(struct finf_engine *engine, const char *name)
{
	struct finf_entry *entry;

	pthread_mutex_lock(&engine->lock);
	entry = finf_entry_find(engine, name);
	if (entry)
		finf_entry_unload(engine, entry);
	pthread_mutex_unlock(&engine->lock);
	return entry ? 0 : -ENOENT;
}

/* ---- the caller's tensors ------------------------------------------------------------ */

/* Outputs without a buffer get one; the tensors given are changed only when all went well. */
static int make_buffers(const struct finf_entry *entry, const struct finf_binding *binding,
			uint32_t n, struct finf_diag *diag)
{
	for (uint32_t k = 0; k < n; k++) {
		struct finf_tensor *to = &entry->outputs[k];
		struct finf_port port;
		int err;

		if (!to->name || to->data)
			continue;
		finf_binding_output(binding, k, &port);
		err = finf_tensor_bytes(port.dtype, &port.shape, &to->bytes);
		if (err)
			return finf_diag_set(diag, err, "output '%s' has no size", port.name);
		to->data = malloc(to->bytes ? to->bytes : 1);
		if (!to->data)
			return finf_diag_set(diag, -ENOMEM, "no memory for output '%s'", port.name);
	}
	return 0;
}

/* The port a caller's output was matched to; names in entry->outputs are the graph's. */
static struct finf_tensor *matched(const struct finf_entry *entry, const struct finf_tensor *given,
				   uint32_t position)
{
	uint32_t k = position;

	if (given->name)
		for (k = 0; !entry->outputs[k].name || strcmp(entry->outputs[k].name, given->name);)
			k++;
	return &entry->outputs[k];
}

static void give_back(const struct finf_entry *entry, struct finf_tensor *given, uint32_t n_given,
		      bool ok)
{
	for (uint32_t i = 0; i < n_given; i++) {
		const struct finf_tensor *from = matched(entry, &given[i], i);

		if (ok)
			given[i] = *from;
		else if (!given[i].data)
			free(from->data);
	}
}

/* ---- one run --------------------------------------------------------------------------- */

static int run_loaded(struct finf_engine *engine, struct finf_entry *entry,
		      const struct finf_binding *binding, struct finf_diag *diag)
{
	const struct finf_graph *graph = finf_model_graph(entry->model);
	struct finf_run run = {
		.size = sizeof(run),
		.weights = entry->extent ? finf_mem_address(engine->mem, entry->extent) : NULL,
		.arena = finf_mem_arena(engine->mem, finf_binding_arena_bytes(binding)),
		.load = entry->load,
		.inputs = entry->inputs,
		.outputs = entry->outputs,
		.n_inputs = graph->n_inputs,
		.n_outputs = graph->n_outputs,
	};
	uint64_t start_ns = finf_now_ns();
	int err = finf_binding_run(binding, &run, diag);

	/* While it streams the extent must stay where it is: the lock is held until then. */
	if (entry->load) {
		int load_err = finf_entry_load_end(engine, entry, diag);

		err = load_err ? load_err : err;
	}
	if (!err) {
		entry->runs++;
		entry->last_run_ns = finf_now_ns() - start_ns;
	}
	return err;
}

static int infer_locked(struct finf_engine *engine, struct finf_entry *entry,
			const struct finf_tensor *inputs, uint32_t n_inputs,
			struct finf_tensor *outputs, uint32_t n_outputs, struct finf_diag *diag)
{
	uint32_t n = finf_model_graph(entry->model)->n_outputs;
	const struct finf_binding *binding;
	int err = finf_model_match(entry->model, false, inputs, n_inputs, entry->inputs, diag);

	if (!err)
		err = finf_model_bind(entry->model, entry->inputs,
				      finf_model_graph(entry->model)->n_inputs, &binding, diag);
	if (!err)
		err = finf_model_match(entry->model, true, outputs, n_outputs, entry->outputs,
				       diag);
	if (err)
		return err;
	err = make_buffers(entry, binding, n, diag);
	if (!err)
		err = finf_entry_load_start(engine, entry, finf_binding_arena_bytes(binding), diag);
	if (!err)
		err = run_loaded(engine, entry, binding, diag);
	give_back(entry, outputs, n_outputs, !err);
	return err;
}

int finf_engine_infer(struct finf_engine *engine, const char *name,
		      const struct finf_tensor *inputs, uint32_t n_inputs,
		      struct finf_tensor *outputs, uint32_t n_outputs, struct finf_diag *diag)
{
	struct finf_entry *entry;
	int err;

	finf_words_begin(diag);
	pthread_mutex_lock(&engine->lock);
	entry = finf_entry_find(engine, name);
	err = entry ? finf_engine_mend(engine, diag) : not_found(name, diag);
	if (!err)
		err = infer_locked(engine, entry, inputs, n_inputs, outputs, n_outputs, diag);
	if (err == -EREMOTEIO)
		finf_engine_mend(engine, NULL); /* else the next call does, or says why not */
	pthread_mutex_unlock(&engine->lock);
	return finf_words_end(diag, err);
}
