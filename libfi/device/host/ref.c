/* SPDX-License-Identifier: MIT */
/* host: the reference kernel - the graph room's evaluator on a copy of the node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"

struct ref_kernel {
	struct finf_kernel base;
	struct finf_arena arena; /* owned: all below points into it */
	struct finf_node node;	 /* deep copy; value numbers have lost their meaning */
	struct finf_tensor *in, *out;
	const struct finf_tensor **in_given; /* NULL where left out */
	struct finf_tensor **out_wanted;
	const void **kept; /* bytes of constants that stay here; else NULL */
};

bool finf_ref_keeps(const struct finf_value *value)
{
	return value->is_const && value->data && !finf_dtype_is_float(value->dtype);
}

/* ---- a copy of the node ----------------------------------------------------------- */

static int copy_tensor(struct finf_arena *arena, const struct finf_tensor *from,
		       const struct finf_tensor **ret)
{
	struct finf_tensor *to = finf_arena_dup(arena, from, sizeof(*from));

	if (!to)
		return -ENOMEM;
	to->name = NULL;
	to->data = finf_arena_dup(arena, from->data, from->bytes);
	if (!to->data)
		return -ENOMEM;
	*ret = to;
	return 0;
}

static int copy_attr(struct finf_arena *arena, const struct finf_attr *from, struct finf_attr *to)
{
	const void *copied = to; /* numbers are copied with the struct */

	*to = *from;
	to->name = finf_arena_str(arena, from->name);
	if (!to->name)
		return -ENOMEM;
	switch (from->type) {
	case FINF_ATTR_STRING:
		copied = to->s = finf_arena_strn(arena, from->s, from->n);
		break;
	case FINF_ATTR_INTS:
		copied = to->ints =
			finf_arena_dup(arena, from->ints, from->n * sizeof(*from->ints));
		break;
	case FINF_ATTR_FLOATS:
		copied = to->floats =
			finf_arena_dup(arena, from->floats, from->n * sizeof(*from->floats));
		break;
	case FINF_ATTR_TENSOR:
		return copy_tensor(arena, from->t, &to->t);
	default:
		break;
	}
	return copied ? 0 : -ENOMEM;
}

static int copy_node(struct ref_kernel *kernel, const struct finf_node *from)
{
	struct finf_node *to = &kernel->node;
	struct finf_arena *arena = &kernel->arena;
	int err = 0;

	*to = *from;
	to->name = finf_arena_str(arena, from->name);
	to->in = finf_arena_dup(arena, from->in, from->n_in * sizeof(*from->in));
	to->out = finf_arena_dup(arena, from->out, from->n_out * sizeof(*from->out));
	to->attrs = finf_arena_array(arena, from->n_attrs, sizeof(*from->attrs));
	if (!to->name || !to->in || !to->out || !to->attrs)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->n_attrs && !err; i++)
		err = copy_attr(arena, &from->attrs[i], &to->attrs[i]);
	return err;
}

/* ---- operands ------------------------------------------------------------------------ */

static int tensor_of(const struct finf_value *value, struct finf_tensor *ret)
{
	*ret = (struct finf_tensor){.dtype = value->dtype, .shape = value->shape};
	return finf_tensor_bytes(value->dtype, &value->shape, &ret->bytes);
}

static int copy_operands(struct ref_kernel *kernel, const struct finf_graph *graph,
			 const struct finf_node *node)
{
	struct finf_arena *arena = &kernel->arena;
	int err = 0;

	kernel->in = finf_arena_array(arena, node->n_in, sizeof(*kernel->in));
	kernel->in_given = finf_arena_array(arena, node->n_in, sizeof(*kernel->in_given));
	kernel->kept = finf_arena_array(arena, node->n_in, sizeof(*kernel->kept));
	kernel->out = finf_arena_array(arena, node->n_out, sizeof(*kernel->out));
	kernel->out_wanted = finf_arena_array(arena, node->n_out, sizeof(*kernel->out_wanted));
	if (!kernel->in || !kernel->in_given || !kernel->kept || !kernel->out ||
	    !kernel->out_wanted)
		return -ENOMEM;
	for (uint32_t i = 0; i < node->n_in && !err; i++) {
		const struct finf_value *value;

		if (node->in[i] == FINF_NONE)
			continue;
		value = &graph->values[node->in[i]];
		kernel->in_given[i] = &kernel->in[i];
		err = tensor_of(value, &kernel->in[i]);
		if (!err && finf_ref_keeps(value)) {
			kernel->kept[i] = finf_arena_dup(arena, value->data, value->bytes);
			err = kernel->kept[i] ? 0 : -ENOMEM;
		}
	}
	for (uint32_t i = 0; i < node->n_out && !err; i++) {
		if (node->out[i] == FINF_NONE)
			continue;
		kernel->out_wanted[i] = &kernel->out[i];
		err = tensor_of(&graph->values[node->out[i]], &kernel->out[i]);
	}
	return err;
}

static int ref_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct ref_kernel *kernel = (struct ref_kernel *)base;

	for (uint32_t i = 0; i < kernel->node.n_in; i++)
		kernel->in[i].data =
			(void *)(uintptr_t)(kernel->kept[i] ? kernel->kept[i] : launch->in[i]);
	for (uint32_t i = 0; i < kernel->node.n_out; i++)
		kernel->out[i].data = launch->out[i];
	/* Data that contradicts (an index out of range) fails this run only. */
	return finf_op_eval(&kernel->node, kernel->in_given, kernel->out_wanted) ? -EREMOTEIO : 0;
}

static void ref_free(struct finf_kernel *base)
{
	struct ref_kernel *kernel = (struct ref_kernel *)base;

	finf_arena_fini(&kernel->arena);
	free(kernel);
}

int finf_ref_kernel_new(const struct finf_graph *graph, const struct finf_node *node,
			struct finf_kernel **ret_kernel)
{
	struct ref_kernel *kernel = calloc(1, sizeof(*kernel));
	int err;

	if (!kernel)
		return -ENOMEM;
	finf_arena_init(&kernel->arena);
	kernel->base.run = ref_run;
	kernel->base.free = ref_free;
	err = copy_node(kernel, node);
	if (!err)
		err = copy_operands(kernel, graph, node);
	if (err)
		ref_free(&kernel->base);
	else
		*ret_kernel = &kernel->base;
	return err;
}
