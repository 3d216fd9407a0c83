/* SPDX-License-Identifier: MIT */
/* cuda: what is offered for a node, in plain layouts only. */
#include <errno.h>
#include <string.h>

#include "device/cuda/kernels.h"
#include "device/cuda/node.h"
#include "device/join.h"

/*
 * Prices of a small card (T4: 300 GB/s, 8 TFLOP/s of which these kernels reach
 * a third). Forms are compared with each other only, so the ratios matter.
 */
#define START_NS    3000
#define GBYTES	    250
#define GFLOPS	    2500
#define COPY_GBYTES 200

static uint64_t bytes_of(const struct finf_value *value)
{
	size_t bytes;

	return value && !finf_tensor_bytes(value->dtype, &value->shape, &bytes) ? bytes : 0;
}

static uint64_t price(const struct finf_k_build *b)
{
	uint64_t bytes = 2 * b->workspace_bytes;

	for (uint32_t i = 0; i < b->node->n_in; i++)
		bytes += bytes_of(finf_k_in(b, i));
	for (uint32_t i = 0; i < b->node->n_out; i++)
		bytes += bytes_of(finf_k_out(b, i));
	return START_NS * FINF_MAX(b->n_calls, 1u) + FINF_MAX(bytes / GBYTES, b->flops / GFLOPS);
}

/* Does any launch read this input? */
static bool reads(const struct finf_k_build *b, uint32_t input)
{
	for (uint32_t i = 0; i < b->n_calls; i++)
		for (uint32_t k = 0; k < b->calls[i].n_pointers; k++)
			if (b->calls[i].pointers[k].source == FINF_K_IN &&
			    b->calls[i].pointers[k].index == input)
				return true;
	return false;
}

static int check_given(const struct finf_k_build *b, const struct finf_weight_form *weight,
		       const struct finf_weight_form *fixed, uint32_t n_fixed)
{
	for (uint32_t i = 0; i < n_fixed; i++)
		if (fixed[i].input == weight->input &&
		    (fixed[i].desc_bytes || fixed[i].bytes != weight->bytes))
			return finf_diag_set(b->diag, -EOPNOTSUPP,
					     "weight %u is not row-major: the CUDA device has "
					     "no other layout",
					     weight->input);
	return 0;
}

static int kernel_form(const struct finf_k_build *b, const struct finf_weight_form *fixed,
		       uint32_t n_fixed, struct finf_arena *arena, struct finf_form *ret)
{
	struct finf_form form = {
		.algo = FINF_K_KERNEL,
		.flags = (b->inplace ? FINF_FORM_INPLACE : 0) |
			 (b->inplace_last ? FINF_FORM_INPLACE_LAST : 0),
		.name = b->n_calls ? finf_cuda_kernel_name(b->calls[b->n_fills].function)
				   : "nothing",
		.workspace_bytes = b->workspace_bytes,
		.est_ns = price(b),
	};
	int err = 0;

	form.weights = finf_arena_array(arena, FINF_MAX(b->node->n_in, 1u), sizeof(*form.weights));
	if (!form.weights)
		return finf_diag_set(b->diag, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < b->node->n_in && !err; i++) {
		const struct finf_value *value = finf_k_in(b, i);
		struct finf_weight_form *weight = &form.weights[form.n_weights];

		if (!value || !value->is_const || !reads(b, i))
			continue;
		form.n_weights++;
		*weight = (struct finf_weight_form){.input = i, .bytes = bytes_of(value)};
		err = check_given(b, weight, fixed, n_fixed);
	}
	if (!err)
		*ret = form;
	return err;
}

/* Same bytes under another name or shape. */
static bool only_names_differ(const struct finf_k_build *b)
{
	const struct finf_value *x = finf_k_in(b, 0), *y = finf_k_out(b, 0);
	finf_k_builder build = finf_k_find(b->node->op->name);

	return (build == finf_k_build_copy || build == finf_k_build_cast) && !x->is_const &&
	       x->dtype == y->dtype && b->node->act == FINF_ACT_NONE;
}

static int describe(struct finf_k_build *b, const struct finf_weight_form *fixed, uint32_t n_fixed,
		    struct finf_arena *arena, struct finf_form_list *ret)
{
	struct finf_form forms[2], *kept; /* no node can be both alias and join */
	uint32_t n = 0, axis;
	int err = finf_k_build_node(b);

	if (!err)
		err = kernel_form(b, fixed, n_fixed, arena, &forms[n++]);
	if (err)
		return err;
	if (only_names_differ(b))
		forms[n++] = (struct finf_form){
			.algo = FINF_K_ALIAS, .flags = FINF_FORM_ALIAS, .name = "alias"};
	if (finf_device_join_axis(b->graph, b->node, &axis))
		forms[n++] = (struct finf_form){
			.algo = FINF_K_JOIN, .flags = FINF_FORM_JOIN, .name = "join"};
	kept = finf_arena_dup(arena, forms, n * sizeof(forms[0]));
	if (!kept)
		return finf_diag_set(b->diag, -ENOMEM, "out of memory");
	ret->forms = kept;
	ret->n = n;
	return 0;
}

static void name_node(const struct finf_node *node, struct finf_diag *diag)
{
	finf_diag_prefix(diag, "node %s, operator %s", node->name, node->op->name);
}

int finf_cuda_describe(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		       uint32_t threads, const struct finf_weight_form *fixed, uint32_t n_fixed,
		       struct finf_arena *arena, struct finf_form_list *ret, struct finf_diag *diag)
{
	struct finf_k_build b = {.graph = graph, .node = &graph->nodes[node], .diag = diag};
	int err = describe(&b, fixed, n_fixed, arena, ret);

	(void)dev, (void)threads;
	if (err)
		name_node(b.node, diag);
	finf_k_build_fini(&b);
	return err;
}

int finf_cuda_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			   const struct finf_shape *shape, uint64_t *ret_bytes)
{
	size_t bytes;
	int err;

	(void)dev;
	if (layout != FINF_LAYOUT_PLAIN)
		return -EOPNOTSUPP;
	err = finf_tensor_bytes(dtype, shape, &bytes);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t finf_cuda_reorder_ns(struct finf_device *dev, uint16_t from, uint16_t to, uint64_t bytes)
{
	(void)dev, (void)from, (void)to;
	return START_NS + bytes / COPY_GBYTES;
}

int finf_cuda_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			  const struct finf_tensor *plain, void *to)
{
	(void)dev;
	if (form->desc_bytes || form->bytes > plain->bytes)
		return -EINVAL;
	memcpy(to, plain->data, form->bytes);
	return 0;
}

/* ---- a form made runnable ----------------------------------------------------------- */

/* Forms come from files: this one must be what we would offer. */
static int check_form(const struct finf_k_build *b, const struct finf_form *form)
{
	uint32_t n = 0;

	if (form->algo != FINF_K_KERNEL || form->in_layout || form->out_layout ||
	    form->workspace_bytes != b->workspace_bytes)
		return -EINVAL;
	for (uint32_t i = 0; i < b->node->n_in; i++) {
		const struct finf_value *value = finf_k_in(b, i);
		const struct finf_weight_form *weight = &form->weights[n];

		if (!value || !value->is_const || !reads(b, i))
			continue;
		if (n++ == form->n_weights || weight->input != i || weight->desc_bytes ||
		    weight->bytes != bytes_of(value))
			return -EINVAL;
	}
	return n == form->n_weights ? 0 : -EINVAL;
}

int finf_cuda_kernel_new(const struct finf_graph *graph, uint32_t node,
			 const struct finf_form *form, struct finf_kernel **ret_kernel,
			 struct finf_diag *diag)
{
	struct finf_k_build b = {.graph = graph, .node = &graph->nodes[node], .diag = diag};
	int err = finf_k_build_node(&b);

	if (!err && check_form(&b, form))
		err = finf_diag_set(diag, -EINVAL, "its form is not one of this device");
	if (!err)
		err = finf_k_kernel_new(&b, ret_kernel);
	if (err)
		name_node(b.node, diag);
	finf_k_build_fini(&b);
	return err;
}

int finf_cuda_reorder_new(enum finf_dtype dtype, const struct finf_shape *shape, uint16_t from,
			  uint16_t to, struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	uint32_t in = 0, out = 1;
	struct finf_value values[2] = {
		{.name = "from", .dtype = dtype, .has_shape = true, .shape = *shape},
		{.name = "to", .dtype = dtype, .has_shape = true, .shape = *shape},
	};
	struct finf_graph graph = {.values = values, .n_values = 2};
	struct finf_node node = {.name = "reorder",
				 .op = finf_op_find("Identity"),
				 .n_in = 1,
				 .n_out = 1,
				 .in = &in,
				 .out = &out};
	struct finf_k_build b = {.graph = &graph, .node = &node, .diag = diag};
	int err;

	if (from != FINF_LAYOUT_PLAIN || to != FINF_LAYOUT_PLAIN)
		return finf_diag_set(diag, -EOPNOTSUPP, "the CUDA device has plain layouts only");
	err = finf_k_build_node(&b);
	if (!err)
		err = finf_k_kernel_new(&b, ret_kernel);
	finf_k_build_fini(&b);
	return err;
}
