/* SPDX-License-Identifier: MIT */
/* host: the reference kernel - the graph room's evaluator on a copy of the node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"

struct ref_kernel {
	struct finf_kernel base;
	uint32_t threads; /* 1 where more are not worth it */
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

/*
 * Elements of the largest operand from which all threads are worth their start. Measured between
 * kernels of the same threads: at 4096 the cheapest operators are even (Greater 6.7 and 6.8 us,
 * ArgMax 7.1 and 7.3), at 8192 every one gains (13.9 to 11.2, 14.3 to 10.0, Erf 38.8 to 20.7).
 */
#define SHARE_ELEMENTS 8192

static size_t elements(const struct finf_tensor *t)
{
	size_t n;

	return t && !finf_shape_count(&t->shape, &n) ? n : 0;
}

static bool is_large(const struct ref_kernel *kernel)
{
	size_t largest = 0;

	for (uint32_t i = 0; i < kernel->node.n_in; i++)
		largest = FINF_MAX(largest, elements(kernel->in_given[i]));
	for (uint32_t i = 0; i < kernel->node.n_out; i++)
		largest = FINF_MAX(largest, elements(kernel->out_wanted[i]));
	return largest >= SHARE_ELEMENTS;
}

/* ---- running ----------------------------------------------------------------------- */

/* One run, each thread with its share of the units and then of the activation. */
struct run {
	struct ref_kernel *kernel;
	size_t units, elements; /* of the work; of output 0 */
	_Atomic int err;
};

static struct finf_span share(size_t n, uint32_t k, uint32_t threads)
{
	size_t each = n / threads, more = n % threads; /* the first ones do one more */

	return (struct finf_span){k * each + FINF_MIN(k, more),
				  (k + 1) * each + FINF_MIN(k + 1, more)};
}

static void run_share(void *ctx, uint32_t k)
{
	struct run *run = ctx;
	struct ref_kernel *kernel = run->kernel;
	struct finf_span span = share(run->units, k, kernel->threads);

	if (span.from < span.to &&
	    finf_op_eval_span(&kernel->node, kernel->in_given, kernel->out_wanted, span))
		run->err = -EREMOTEIO;
}

static void activate_share(void *ctx, uint32_t k)
{
	const struct run *run = ctx;
	const struct finf_node *node = &run->kernel->node;
	struct finf_span span = share(run->elements, k, run->kernel->threads);

	finf_act_apply(node->act, node->act_a, node->act_b,
		       (float *)run->kernel->out_wanted[0]->data + span.from, span.to - span.from);
}

/* By all threads; -EAGAIN when this cannot be divided, or there are fewer. */
static int run_spread(struct ref_kernel *kernel)
{
	const struct finf_node *node = &kernel->node;
	struct run run = {
		.kernel = kernel,
		.units = finf_op_units(node, kernel->in_given, kernel->out_wanted),
		.elements = elements(kernel->out_wanted[0]),
	};
	int err;

	if (run.units < 2 || (node->act != FINF_ACT_NONE && kernel->out[0].dtype != FINF_F32))
		return -EAGAIN;
	err = finf_dnn_spread(kernel->threads, run_share, &run);
	if (!err && !run.err && node->act != FINF_ACT_NONE)
		err = finf_dnn_spread(kernel->threads, activate_share, &run);
	return err ? err : run.err;
}

static int ref_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct ref_kernel *kernel = (struct ref_kernel *)base;
	int err;

	for (uint32_t i = 0; i < kernel->node.n_in; i++)
		kernel->in[i].data =
			(void *)(uintptr_t)(kernel->kept[i] ? kernel->kept[i] : launch->in[i]);
	for (uint32_t i = 0; i < kernel->node.n_out; i++)
		kernel->out[i].data = launch->out[i];
	/* Data that contradicts (an index out of range) fails this run only. */
	err = kernel->threads > 1 ? run_spread(kernel) : -EAGAIN;
	if (err == -EAGAIN)
		err = finf_op_eval(&kernel->node, kernel->in_given, kernel->out_wanted)
			      ? -EREMOTEIO
			      : 0;
	return err;
}

static void ref_free(struct finf_kernel *base)
{
	struct ref_kernel *kernel = (struct ref_kernel *)base;

	finf_arena_fini(&kernel->arena);
	free(kernel);
}

int finf_ref_kernel_new(const struct finf_graph *graph, const struct finf_node *node,
			uint32_t threads, struct finf_kernel **ret_kernel)
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
	kernel->threads = !err && is_large(kernel) ? threads : 1;
	if (err)
		ref_free(&kernel->base);
	else
		*ret_kernel = &kernel->base;
	return err;
}
