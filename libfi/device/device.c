/* SPDX-License-Identifier: MIT */
/* device: the registry, the check of a table, and the wrappers that alone call its members. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/capture.h"
#include "device/device.h"
#include "device/cuda/cuda.h"
#include "device/host/host.h"
#include "graph/op.h"

static const struct finf_device_ops *const tables[] = {&finf_host_ops, &finf_ref_ops,
						       &finf_cuda_ops};

const struct finf_device_ops *finf_device_at(uint32_t index)
{
	return index < FINF_ARRAY_LEN(tables) ? tables[index] : NULL;
}

int finf_device_check(const struct finf_device_ops *ops)
{
	if (ops->abi != FINF_DEVICE_ABI || !ops->name || !ops->name[0])
		return -EINVAL;
	if (!ops->probe || !ops->open || !ops->close || !ops->target || !ops->pool_new ||
	    !ops->pool_free || !ops->read || !ops->write || !ops->move || !ops->describe ||
	    !ops->layout_bytes || !ops->reorder_ns || !ops->pack_weight || !ops->kernel_new ||
	    !ops->reorder_new || !ops->kernel_run || !ops->kernel_free)
		return -EINVAL;
	if (!ops->upload_new != !ops->upload_start || !ops->upload_new != !ops->upload_wait ||
	    !ops->upload_new != !ops->upload_free)
		return -EINVAL;
	if (!ops->capture_begin != !ops->capture_end || !ops->capture_begin != !ops->captured_run ||
	    !ops->capture_begin != !ops->captured_free)
		return -EINVAL;
	if (!ops->capture_branch != !ops->capture_mark ||
	    !ops->capture_branch != !ops->capture_await ||
	    (ops->capture_branch && !ops->capture_begin))
		return -EINVAL;
	return !ops->faulted != !ops->reset ? -EINVAL : 0;
}

/* "NAME" or "NAME:ORDINAL" */
static int split_name(const char *full, char *name, size_t len, uint32_t *ret_ordinal)
{
	const char *colon = strchrnul(full, ':');
	unsigned ordinal = 0;
	int used = 0;

	if ((size_t)(colon - full) >= len)
		return -EINVAL;
	if (*colon && (colon[1] < '0' || colon[1] > '9' ||
		       sscanf(colon + 1, "%3u%n", &ordinal, &used) != 1 || colon[1 + used]))
		return -EINVAL;
	memcpy(name, full, (size_t)(colon - full));
	name[colon - full] = 0;
	*ret_ordinal = ordinal;
	return 0;
}

int finf_device_open(const char *name, struct finf_device **ret_dev, struct finf_diag *diag)
{
	const struct finf_device_ops *ops = NULL;
	uint32_t ordinal = 0;
	char kind[16];
	int err = split_name(name, kind, sizeof(kind), &ordinal);

	if (err)
		return finf_diag_set(diag, err, "'%s' is no device: NAME or NAME:NUMBER", name);
	for (size_t i = 0; i < FINF_ARRAY_LEN(tables) && !ops; i++)
		if (!strcmp(tables[i]->name, kind))
			ops = tables[i];
	if (!ops)
		return finf_diag_set(diag, -ENODEV, "no device is called %s", name);
	if (finf_device_check(ops))
		return finf_diag_set(diag, -ENODEV, "device %s has an incomplete table", name);
	err = ops->probe(diag);
	return err ? err : ops->open(ordinal, ret_dev, diag);
}

void finf_device_close(struct finf_device *dev)
{
	if (dev)
		dev->ops->close(dev);
}

int finf_device_target(struct finf_device *dev, uint32_t threads, char *key, size_t len)
{
	return dev->ops->target(dev, threads, key, len);
}

int finf_device_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
			 struct finf_pool_memory *ret, struct finf_diag *diag)
{
	return dev->ops->pool_new(dev, bytes, mode, ret, diag);
}

void finf_device_pool_free(struct finf_device *dev, struct finf_pool_memory *pool)
{
	dev->ops->pool_free(dev, pool);
}

int finf_device_read(struct finf_device *dev, void *host, const void *device, uint64_t bytes)
{
	return dev->ops->read(dev, host, device, bytes);
}

int finf_device_write(struct finf_device *dev, void *device, const void *host, uint64_t bytes)
{
	return dev->ops->write(dev, device, host, bytes);
}

int finf_device_move(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	return dev->ops->move(dev, to, from, bytes);
}

/* ---- the form table of a graph -------------------------------------------------- */

static struct finf_device *table_device(const void *ctx)
{
	return (struct finf_device *)(uintptr_t)ctx; /* ctx is const for pure callers only */
}

static int table_layout_bytes(const void *ctx, uint16_t layout, enum finf_dtype dtype,
			      const struct finf_shape *shape, uint64_t *ret_bytes)
{
	struct finf_device *dev = table_device(ctx);

	return dev->ops->layout_bytes(dev, layout, dtype, shape, ret_bytes);
}

static uint64_t table_reorder_ns(const void *ctx, uint16_t from, uint16_t to, uint64_t bytes)
{
	struct finf_device *dev = table_device(ctx);

	return dev->ops->reorder_ns(dev, from, to, bytes);
}

int finf_device_forms(struct finf_device *dev, const struct finf_graph *graph, uint32_t threads,
		      const struct finf_fixed_weights *fixed, struct finf_form_table *ret,
		      struct finf_diag *diag)
{
	struct finf_form_table table = {
		.n_nodes = graph->n_nodes,
		.ctx = dev,
		.layout_bytes = table_layout_bytes,
		.reorder_ns = table_reorder_ns,
	};
	int err = 0;

	finf_arena_init(&table.arena);
	table.nodes = finf_arena_array(&table.arena, graph->n_nodes, sizeof(*table.nodes));
	if (!table.nodes)
		err = finf_diag_set(diag, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < graph->n_nodes && !err; i++)
		err = dev->ops->describe(dev, graph, i, threads, fixed ? fixed[i].forms : NULL,
					 fixed ? fixed[i].n : 0, &table.arena, &table.nodes[i],
					 diag);
	if (err)
		finf_form_table_fini(&table);
	else
		*ret = table;
	return err;
}

void finf_form_table_fini(struct finf_form_table *table)
{
	finf_arena_fini(&table->arena);
	table->nodes = NULL;
	table->n_nodes = 0;
}

/* ---- kernels ----------------------------------------------------------------------- */

int finf_device_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			     const struct finf_shape *shape, uint64_t *ret_bytes)
{
	return dev->ops->layout_bytes(dev, layout, dtype, shape, ret_bytes);
}

int finf_device_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			    const struct finf_tensor *plain, void *to)
{
	return dev->ops->pack_weight(dev, form, plain, to);
}

int finf_device_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			   const struct finf_form *form, uint32_t threads,
			   struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	return dev->ops->kernel_new(dev, graph, node, form, threads, ret_kernel, diag);
}

int finf_device_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint16_t from, uint16_t to,
			    uint32_t threads, struct finf_kernel **ret_kernel,
			    struct finf_diag *diag)
{
	return dev->ops->reorder_new(dev, dtype, shape, from, to, threads, ret_kernel, diag);
}

int finf_device_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			   const struct finf_launch *launch)
{
	return dev->ops->kernel_run(dev, kernel, launch);
}

void finf_device_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	if (kernel)
		dev->ops->kernel_free(dev, kernel);
}

int finf_device_describe_self(struct finf_device *dev, char *text, size_t len)
{
	return dev->ops->describe_self ? dev->ops->describe_self(dev, text, len) : -EOPNOTSUPP;
}

/* ---- what a device may lack -------------------------------------------------------- */

int finf_device_sync(struct finf_device *dev)
{
	return dev->ops->sync ? dev->ops->sync(dev) : 0;
}

int finf_device_upload_new(struct finf_device *dev, void *staging, uint64_t bytes, uint32_t slots,
			   struct finf_upload **ret_upload, struct finf_diag *diag)
{
	if (!dev->ops->upload_new)
		return finf_diag_set(diag, -EOPNOTSUPP, "device %s has no uploads", dev->ops->name);
	return dev->ops->upload_new(dev, staging, bytes, slots, ret_upload, diag);
}

int finf_device_upload_start(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			     void *to, const void *from, uint64_t bytes)
{
	return dev->ops->upload_start(dev, upload, slot, to, from, bytes);
}

int finf_device_upload_wait(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			    bool block)
{
	return dev->ops->upload_wait(dev, upload, slot, block);
}

void finf_device_upload_free(struct finf_device *dev, struct finf_upload *upload)
{
	if (upload)
		dev->ops->upload_free(dev, upload);
}

bool finf_device_spreads(const struct finf_device *dev)
{
	return dev->ops->spread;
}

int finf_device_spread(struct finf_device *dev, uint32_t n, finf_spread_fn fn, void *ctx)
{
	return dev->ops->spread(dev, n, fn, ctx);
}

bool finf_device_captures(const struct finf_device *dev)
{
	return dev->ops->capture_begin;
}

bool finf_device_captures_branches(const struct finf_device *dev)
{
	return dev->ops->capture_branch;
}

int finf_device_capture_begin(struct finf_device *dev, uint32_t branches, uint32_t marks,
			      struct finf_diag *diag)
{
	return dev->ops->capture_begin ? dev->ops->capture_begin(dev, branches, marks, diag)
				       : -EOPNOTSUPP;
}

int finf_device_capture_branch(struct finf_device *dev, uint32_t branch)
{
	return dev->ops->capture_branch(dev, branch);
}

int finf_device_capture_mark(struct finf_device *dev, uint32_t mark)
{
	return dev->ops->capture_mark(dev, mark);
}

int finf_device_capture_await(struct finf_device *dev, uint32_t mark)
{
	return dev->ops->capture_await(dev, mark);
}

int finf_device_capture_end(struct finf_device *dev, struct finf_captured **io_captured,
			    struct finf_diag *diag)
{
	return dev->ops->capture_end(dev, io_captured, diag);
}

int finf_device_captured_run(struct finf_device *dev, struct finf_captured *captured)
{
	return dev->ops->captured_run(dev, captured);
}

void finf_device_captured_free(struct finf_device *dev, struct finf_captured *captured)
{
	if (captured)
		dev->ops->captured_free(dev, captured);
}

bool finf_device_faulted(struct finf_device *dev)
{
	return dev->ops->faulted && dev->ops->faulted(dev);
}

int finf_device_reset(struct finf_device *dev, struct finf_pool_memory *pool,
		      struct finf_diag *diag)
{
	if (!dev->ops->reset)
		return finf_diag_set(diag, -EOPNOTSUPP, "device %s needs no reset", dev->ops->name);
	return dev->ops->reset(dev, pool, diag);
}

int finf_device_free_bytes(struct finf_device *dev, uint64_t *ret_bytes)
{
	return dev->ops->free_bytes ? dev->ops->free_bytes(dev, ret_bytes) : -EOPNOTSUPP;
}
