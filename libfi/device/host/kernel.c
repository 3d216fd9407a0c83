/* SPDX-License-Identifier: MIT */
/* host: kernels - a form of a node made runnable, and reorders between layouts. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/tiles.h"

/* ---- oneDNN ------------------------------------------------------------------------ */

struct dnn_kernel {
	struct finf_kernel base;
	struct finf_dnn_prim *prim, *tail; /* owned; tail runs on output 0, may be NULL */
	uint32_t threads, n_args, n_tail;
	uint32_t addend; /* input to whose copy in output 0 prim adds; FINF_NONE = none */
	uint64_t addend_bytes;
	struct dnn_operand {
		uint32_t index;
		bool out;
		uint64_t offset_bytes;
	} from[FINF_BUILD_ARGS];
};

/* The addend lies where the result will, or is brought there. */
static void place_addend(const struct dnn_kernel *kernel, const struct finf_launch *launch)
{
	if (kernel->addend != FINF_NONE && launch->out[0] != launch->in[kernel->addend])
		memcpy(launch->out[0], launch->in[kernel->addend], kernel->addend_bytes);
}

static int dnn_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct dnn_kernel *kernel = (struct dnn_kernel *)base;
	uint32_t old = finf_dnn_threads(kernel->threads);
	void *addresses[FINF_BUILD_ARGS];
	int err;

	for (uint32_t i = 0; i < kernel->n_args; i++) {
		const struct dnn_operand *from = &kernel->from[i];

		const void *at = from->out ? launch->out[from->index] : launch->in[from->index];

		addresses[i] = (char *)(uintptr_t)at + from->offset_bytes;
	}
	place_addend(kernel, launch);
	err = finf_dnn_prim_run(kernel->prim, addresses, launch->workspace);
	if (!err && kernel->tail)
		err = finf_dnn_prim_run(kernel->tail, addresses + kernel->n_args - kernel->n_tail,
					launch->workspace);
	finf_dnn_threads(old);
	return err;
}

static void dnn_free(struct finf_kernel *base)
{
	struct dnn_kernel *kernel = (struct dnn_kernel *)base;

	finf_dnn_prim_free(kernel->prim);
	finf_dnn_prim_free(kernel->tail);
	free(kernel);
}

/*
 * A plan may come from a file: what its form promises is compared with what
 * this build needs before a kernel writes anywhere.
 */
static int check_form(const struct finf_site *site, const struct finf_build *b,
		      const struct finf_form *form)
{
	if (form->workspace_bytes < finf_build_scratch_bytes(b))
		return finf_diag_set(site->diag, -EBADMSG,
				     "workspace of %" PRIu64 " bytes, %" PRIu64 " are needed",
				     form->workspace_bytes, finf_build_scratch_bytes(b));
	for (uint32_t k = 0; k < b->n_args; k++)
		if (!b->from[k].out && finf_site_in(site, b->from[k].index)->is_const &&
		    !finf_site_given(site, b->from[k].index))
			return finf_diag_set(site->diag, -EBADMSG, "the form lacks weight %" PRIu32,
					     b->from[k].index);
	return 0;
}

static int find_addend(const struct finf_site *site, const struct finf_build *b,
		       struct dnn_kernel *kernel)
{
	struct finf_dnn_md md;
	int err;

	kernel->addend = FINF_NONE;
	if (!b->sums)
		return 0;
	err = finf_site_out_md(site, &md);
	if (!err)
		err = finf_dnn_md_bytes(&md, &kernel->addend_bytes);
	if (!err)
		kernel->addend = site->node->n_in - 1;
	return err;
}

static int new_dnn(const struct finf_site *site, const struct finf_build *b, uint32_t threads,
		   struct finf_kernel **ret_kernel)
{
	struct dnn_kernel *kernel = calloc(1, sizeof(*kernel));
	uint32_t n_main = b->n_args - b->n_tail;
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->base.run = dnn_run;
	kernel->base.free = dnn_free;
	kernel->threads = threads;
	kernel->n_args = b->n_args;
	kernel->n_tail = b->n_tail;
	for (uint32_t k = 0; k < b->n_args; k++)
		kernel->from[k] = (struct dnn_operand){b->from[k].index, b->from[k].out,
						       b->from[k].offset_bytes};
	err = find_addend(site, b, kernel);
	if (!err)
		err = finf_dnn_prim_new(site->dnn, b->pd, b->args, n_main, &kernel->prim);
	if (!err && b->tail)
		err = finf_dnn_prim_new(site->dnn, b->tail, b->args + n_main, b->n_tail,
					&kernel->tail);
	if (err)
		dnn_free(&kernel->base);
	else
		*ret_kernel = &kernel->base;
	return err;
}

static int dnn_kernel_new(struct finf_site *site, const struct finf_form *form, uint32_t threads,
			  struct finf_kernel **ret_kernel)
{
	struct finf_build b;
	uint32_t old = finf_dnn_threads(threads);
	int err;

	site->in_layout = form->in_layout;
	site->out_layout = form->out_layout;
	err = finf_build_site(site, &b);
	if (err == -EOPNOTSUPP)
		finf_diag_set(site->diag, err, "oneDNN cannot run this form");
	if (!err)
		err = check_form(site, &b, form);
	if (!err)
		err = new_dnn(site, &b, threads, ret_kernel);
	finf_build_fini(&b);
	finf_dnn_threads(old);
	return err;
}

/* ---- from a form ---------------------------------------------------------------------- */

static int check_plain_weights(const struct finf_site *site)
{
	size_t bytes;

	for (uint32_t i = 0; i < site->node->n_in; i++) {
		const struct finf_value *value = finf_site_in(site, i);
		const struct finf_weight_form *given = finf_site_given(site, i);

		if (!value || !value->is_const || finf_ref_keeps(value))
			continue;
		if (!given || given->desc_bytes ||
		    finf_tensor_bytes(value->dtype, &value->shape, &bytes) || given->bytes != bytes)
			return finf_diag_set(site->diag, -EBADMSG,
					     "weight %" PRIu32 " must be plain", i);
	}
	return 0;
}

static int check_plain_form(const struct finf_site *site, const struct finf_form *form)
{
	if (form->in_layout != FINF_LAYOUT_PLAIN || form->out_layout != FINF_LAYOUT_PLAIN)
		return finf_diag_set(site->diag, -EBADMSG,
				     "the algorithm knows plain layouts only");
	return check_plain_weights(site);
}

static int tiles_kernel_new(struct finf_site *site, const struct finf_form *form, uint32_t threads,
			    struct finf_kernel **ret_kernel)
{
	int err = check_plain_weights(site);

	site->in_layout = form->in_layout;
	site->out_layout = form->out_layout;
	return err ? err : finf_host_tiles_new(site, form, threads, ret_kernel);
}

static int kernel_of_form(struct finf_site *site, const struct finf_form *form, uint32_t threads,
			  struct finf_kernel **ret_kernel)
{
	int err;

	if (!threads || threads > FINF_HOST_THREADS_MAX)
		return finf_diag_set(site->diag, -EINVAL, "%" PRIu32 " threads", threads);
	if (form->algo == FINF_HOST_REF) {
		err = check_plain_form(site, form);
		/* The device "ref" stays what it is compared with: one thread. */
		return err ? err
			   : finf_ref_kernel_new(site->graph, site->node, site->dnn ? threads : 1,
						 ret_kernel);
	}
	if (form->algo == FINF_HOST_ATTENTION && site->dnn) {
		err = check_plain_form(site, form);
		return err ? err
			   : finf_host_attention_new(site, form->workspace_bytes, threads,
						     ret_kernel);
	}
	if (form->algo == FINF_HOST_COLUMNS && site->dnn) {
		site->in_layout = form->in_layout;
		site->out_layout = form->out_layout;
		err = finf_host_columns_new(site, form, threads, ret_kernel);
		return err == -EOPNOTSUPP
			       ? finf_diag_set(site->diag, err, "no product runs this form")
			       : err;
	}
	if (form->algo == FINF_HOST_TILES && site->dnn)
		return tiles_kernel_new(site, form, threads, ret_kernel);
	site->winograd = form->algo == FINF_HOST_WINOGRAD;
	if ((form->algo == FINF_HOST_ONEDNN || site->winograd) && site->dnn)
		return dnn_kernel_new(site, form, threads, ret_kernel);
	return finf_diag_set(site->diag, -EBADMSG, "algorithm %" PRIu32 " has no kernel here",
			     form->algo);
}

int finf_host_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			 const struct finf_form *form, uint32_t threads,
			 struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	struct finf_site site = {
		.dnn = ((struct finf_host *)dev)->dnn,
		.graph = graph,
		.node = &graph->nodes[node],
		.given = form->weights,
		.n_given = form->n_weights,
		.diag = diag,
	};
	int err;

	if (diag)
		diag->text[0] = 0;
	err = kernel_of_form(&site, form, threads, ret_kernel);
	if (err && diag && !diag->text[0])
		finf_diag_set(diag, err, "%s", strerror(-err));
	if (err)
		finf_diag_prefix(diag, "node %s, operator %s", site.node->name,
				 site.node->op->name);
	return err;
}

/* ---- reorders --------------------------------------------------------------------------- */

struct copy_kernel {
	struct finf_kernel base;
	uint64_t bytes;
};

static int copy_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	memcpy(launch->out[0], launch->in[0], ((struct copy_kernel *)base)->bytes);
	return 0;
}

static void copy_free(struct finf_kernel *base)
{
	free(base);
}

static int new_copy(uint64_t bytes, struct finf_kernel **ret_kernel)
{
	struct copy_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return -ENOMEM;
	kernel->base.run = copy_run;
	kernel->base.free = copy_free;
	kernel->bytes = bytes;
	*ret_kernel = &kernel->base;
	return 0;
}

static int new_reorder(struct finf_dnn *dnn, const struct finf_dnn_md *from,
		       const struct finf_dnn_md *to, uint32_t threads,
		       struct finf_kernel **ret_kernel)
{
	const struct finf_site site = {.dnn = dnn};
	struct finf_build b = {.n_args = 0};
	uint32_t old = finf_dnn_threads(threads);
	int err = finf_dnn_reorder(dnn, from, to, &b.pd);

	if (!err) {
		finf_build_in(&b, DNNL_ARG_FROM, 0, from);
		finf_build_out(&b, DNNL_ARG_TO, to);
		err = new_dnn(&site, &b, threads, ret_kernel);
	}
	finf_build_fini(&b);
	finf_dnn_threads(old);
	return err;
}

int finf_host_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			  const struct finf_shape *shape, uint16_t from, uint16_t to,
			  uint32_t threads, struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	struct finf_host *host = (struct finf_host *)dev;
	struct finf_dnn_md md_from, md_to;
	uint64_t bytes;
	int err = finf_host_layout_bytes(dev, from, dtype, shape, &bytes);

	if (!err && from == to)
		err = new_copy(bytes, ret_kernel);
	else if (!err && !host->dnn)
		err = -EOPNOTSUPP;
	else if (!err)
		err = finf_host_layout_md(from, dtype, shape, &md_from);
	if (!err && from != to)
		err = finf_host_layout_md(to, dtype, shape, &md_to);
	if (!err && from != to)
		err = new_reorder(host->dnn, &md_from, &md_to, threads, ret_kernel);
	if (err)
		finf_diag_set(diag, err, "layout %u to %u: %s", from, to, strerror(-err));
	return err;
}

/* ---- running ------------------------------------------------------------------------------ */

int finf_host_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			 const struct finf_launch *launch)
{
	(void)dev;
	return kernel->run(kernel, launch);
}

void finf_host_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	(void)dev;
	if (kernel)
		kernel->free(kernel);
}
