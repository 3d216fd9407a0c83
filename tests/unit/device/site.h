/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/site - one node described by a table row: its graph, the
 * reference's answer, and any form of it run on a device between guards.
 */
#ifndef FI_TESTS_DEVICE_SITE_H
#define FI_TESTS_DEVICE_SITE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "device/host/host.h"
#include "graph/op.h"
#include "tests/support/support.h"

#define CASE_IN 6

enum fill { FILL_RANDOM = 0, FILL_POSITIVE };

/* An input: .rank 0 and no const = scalar activation; left out when .skip. */
struct case_in {
	uint32_t rank;
	int64_t dim[8];
	bool is_const, skip, ints;
	enum finf_dtype dtype; /* 0: float32, or int64 when .ints; else .ivalues over and over */
	enum fill fill;
	float values[8];    /* of a constant with n_values > 0 */
	int64_t ivalues[6]; /* of integers */
	uint32_t n_values;
};

#define ACT(...)                                                                                   \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = { __VA_ARGS__ }         \
	}
#define WEIGHT(...)                                                                                \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = {__VA_ARGS__},          \
		.is_const = true                                                                   \
	}
#define VARIANCE(n)                                                                                \
	{                                                                                          \
		.rank = 1, .dim = {n}, .is_const = true, .fill = FILL_POSITIVE                     \
	}
#define SCALAR(v)                                                                                  \
	{                                                                                          \
		.is_const = true, .values = {v}, .n_values = 1                                     \
	}
#define INTS_IN(...)                                                                               \
	{                                                                                          \
		.rank = 1, .dim = {FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__}))}, .is_const = true,  \
		.ints = true, .ivalues = {__VA_ARGS__},                                            \
		.n_values = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__}))                             \
	}
#define LEFT_OUT                                                                                   \
	{                                                                                          \
		.skip = true                                                                       \
	}

#define ATTR_INT(k, v)                                                                             \
	{                                                                                          \
		.name = k, .type = FINF_ATTR_INT, .i = v                                           \
	}
#define ATTR_FLOAT(k, v)                                                                           \
	{                                                                                          \
		.name = k, .type = FINF_ATTR_FLOAT, .f = v                                         \
	}
#define ATTR_STR(k, v)                                                                             \
	{                                                                                          \
		.name = k, .type = FINF_ATTR_STRING, .n = sizeof(v) - 1, .s = v                    \
	}
#define ATTR_FLOATS(k, ...)                                                                        \
	{                                                                                          \
		.name = k, .type = FINF_ATTR_FLOATS,                                               \
		.n = FINF_ARRAY_LEN(((float[]){__VA_ARGS__})), .floats = (const float[])           \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define ATTR_INTS(k, ...)                                                                          \
	{                                                                                          \
		.name = k, .type = FINF_ATTR_INTS,                                                 \
		.n = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .ints = (const int64_t[])         \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* Forms that must be among those offered. */
enum {
	WANT_ANY = 0,
	WANT_PLAIN = 1,
	WANT_BLOCKED = 2,
	WANT_MIXED = 4,
	WANT_ALIAS = 8,
	WANT_REF_ONLY = 16,
	WANT_JOIN = 32,
	WANT_JOIN_BLOCKED = 64,
	WANT_COLUMNS = 128 /* where blocks are of 16 channels */
};

struct node_case {
	const char *what, *op;
	uint32_t opset;
	struct case_in in[CASE_IN];
	uint32_t n_in;
	struct finf_attr attrs[8];
	enum finf_act act;
	float act_a, act_b;
	uint32_t want;
};

/* A case made into a graph of one node, with data and the reference's answer. */
struct site {
	struct finf_graph *graph;
	struct finf_tensor in[CASE_IN], out; /* data owned; out by finf_op_eval() */
	struct finf_tensor second;	     /* of an operator that must have two outputs */
	bool left_out[CASE_IN];
	uint32_t n_in;
};

/* ---- buffers between guards ------------------------------------------------- */

#define GUARD_BYTES 256
#define GUARD_FILL  0xa5

/* 64-byte aligned, NaN all over, guards before and after. */
struct guarded {
	uint8_t *raw; /* owned */
	void *at;
	size_t bytes;
};

static inline void guarded_init(struct guarded *g, size_t bytes)
{
	size_t whole = finf_align_up(bytes + 2 * GUARD_BYTES, 64);

	g->raw = aligned_alloc(64, whole);
	ck_assert_ptr_nonnull(g->raw);
	memset(g->raw, GUARD_FILL, whole);
	g->at = g->raw + GUARD_BYTES;
	g->bytes = bytes;
	memset(g->at, 0xff, bytes);
}

static inline void guarded_check(const struct guarded *g, const char *what)
{
	for (size_t i = 0; i < GUARD_BYTES; i++)
		if (g->raw[i] != GUARD_FILL || ((uint8_t *)g->at)[g->bytes + i] != GUARD_FILL)
			ck_abort_msg("%s: written outside a buffer of %zu bytes", what, g->bytes);
}

static inline void guarded_fini(struct guarded *g)
{
	free(g->raw);
}

/* ---- a row as a graph ----------------------------------------------------------- */

static inline void fill_other(struct finf_tensor *t, const struct case_in *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t v = in->ivalues[i % FINF_ARRAY_LEN(in->ivalues)];

		if (t->dtype == FINF_F64)
			((double *)t->data)[i] = (double)v + 0.5;
		else if (t->dtype == FINF_I64)
			((int64_t *)t->data)[i] = v;
		else if (t->dtype == FINF_I32)
			((int32_t *)t->data)[i] = (int32_t)v;
		else if (finf_dtype_is_half(t->dtype)) /* any bits but those of NaN */
			((uint16_t *)t->data)[i] = (uint16_t)((v + (int64_t)i) * 40503 & 0xbbff);
		else
			((uint8_t *)t->data)[i] = (uint8_t)(t->dtype == FINF_BOOL ? v & 1 : v);
	}
}

static inline void fill_in(struct finf_tensor *t, const struct case_in *in, uint64_t seed)
{
	size_t n = t->bytes / finf_dtype_bytes(t->dtype);
	float *x = t->data;

	if (in->dtype && in->dtype != FINF_F32) {
		fill_other(t, in, n);
		return;
	}
	if (in->ints) {
		memcpy(t->data, in->ivalues, n * sizeof(in->ivalues[0]));
		return;
	}
	test_fill_f32(x, n, seed);
	for (size_t i = 0; i < n; i++) {
		if (in->fill == FILL_POSITIVE)
			x[i] = 0.5f + x[i] * x[i];
		if (i < in->n_values)
			x[i] = in->values[i];
	}
}

static inline void make_tensor(struct finf_tensor *t, enum finf_dtype dtype,
			       const struct finf_shape *shape)
{
	*t = (struct finf_tensor){.dtype = dtype, .shape = *shape};
	ck_assert_int_eq(finf_tensor_bytes(dtype, shape, &t->bytes), 0);
	t->data = calloc(1, t->bytes + 1);
	ck_assert_ptr_nonnull(t->data);
}

static inline uint32_t add_input(struct site *site, const struct case_in *in, uint32_t i,
				 int64_t batch)
{
	struct finf_shape shape = {.rank = in->rank};
	struct finf_tensor *t = &site->in[i];
	char name[16];
	uint32_t value;

	memcpy(shape.dim, in->dim, sizeof(in->dim));
	if (batch && !in->is_const)
		shape.dim[0] = batch;
	snprintf(name, sizeof(name), "x%u", i);
	make_tensor(t, in->dtype ? in->dtype : in->ints ? FINF_I64 : FINF_F32, &shape);
	fill_in(t, in, 17 + i);
	ck_assert_int_eq(finf_graph_value(site->graph, name, t->dtype, &shape, &value), 0);
	if (in->is_const)
		ck_assert_int_eq(finf_graph_set_const(site->graph, value, t->data, t->bytes, false),
				 0);
	else
		ck_assert_int_eq(finf_graph_input(site->graph, value), 0);
	return value;
}

static inline void evaluate(struct site *site)
{
	const struct finf_node *node = &site->graph->nodes[0];
	const struct finf_value *y = &site->graph->values[node->out[0]];
	const struct finf_tensor *in[CASE_IN];
	struct finf_tensor *out[2] = {&site->out, &site->second};

	ck_assert(y->has_shape);
	make_tensor(out[0], y->dtype, &y->shape);
	if (node->n_out == 2) {
		y = &site->graph->values[node->out[1]];
		make_tensor(out[1], y->dtype, &y->shape);
	}
	for (uint32_t i = 0; i < site->n_in; i++)
		in[i] = site->left_out[i] ? NULL : &site->in[i];
	ck_assert_int_eq(finf_op_eval(node, in, out), 0);
}

/* @batch replaces dimension 0 of every activation; 0 = as in the row. */
static inline void site_init(struct site *site, const struct node_case *row, int64_t batch)
{
	uint32_t in[CASE_IN], out[2], node, n_attrs = 0;
	struct finf_diag diag = {""};
	const struct finf_op *op = finf_op_find(row->op);

	memset(site, 0, sizeof(*site));
	ck_assert_msg(op, "no operator %s", row->op);
	ck_assert_int_eq(finf_graph_new("case", &site->graph), 0);
	site->n_in = row->n_in;
	for (uint32_t i = 0; i < row->n_in; i++) {
		site->left_out[i] = row->in[i].skip;
		in[i] = row->in[i].skip ? FINF_NONE : add_input(site, &row->in[i], i, batch);
	}
	while (n_attrs < FINF_ARRAY_LEN(row->attrs) && row->attrs[n_attrs].name)
		n_attrs++;
	ck_assert_uint_le(op->min_out, FINF_ARRAY_LEN(out));
	for (uint32_t i = 0; i < op->min_out; i++)
		ck_assert_int_eq(finf_graph_value(site->graph, i ? "z" : "y", FINF_DTYPE_NONE, NULL,
						  &out[i]),
				 0);
	ck_assert_int_eq(finf_graph_node(site->graph, op, row->opset, row->what, in, row->n_in, out,
					 op->min_out, row->attrs, n_attrs, &node),
			 0);
	for (uint32_t i = 0; i < op->min_out; i++)
		ck_assert_int_eq(finf_graph_output(site->graph, out[i]), 0);
	site->graph->nodes[node].act = row->act;
	site->graph->nodes[node].act_a = row->act_a;
	site->graph->nodes[node].act_b = row->act_b;
	ck_assert_msg(!finf_graph_infer(site->graph, &diag), "%s: %s", row->what, diag.text);
	evaluate(site);
}

static inline void site_fini(struct site *site)
{
	for (uint32_t i = 0; i < site->n_in; i++)
		free(site->in[i].data);
	free(site->out.data);
	free(site->second.data);
	finf_graph_free(site->graph);
}

static inline int site_forms(struct site *site, struct finf_device *dev, uint32_t threads,
			     const struct finf_fixed_weights *fixed, struct finf_form_table *ret)
{
	struct finf_diag diag = {""};
	int err = finf_device_forms(dev, site->graph, threads, fixed, ret, &diag);

	ck_assert_msg(!err || diag.text[0], "an error without a reason");
	return err;
}

/* ---- running a form ---------------------------------------------------------------- */

static inline void convert(struct finf_device *dev, const struct finf_tensor *t, uint16_t from,
			   uint16_t to, const void *src, void *dst)
{
	const void *in[1] = {src};
	void *out[1] = {dst};
	struct finf_launch launch = {.in = in, .out = out};
	struct finf_kernel *kernel;
	struct finf_diag diag;

	ck_assert_int_eq(
		finf_device_reorder_new(dev, t->dtype, &t->shape, from, to, 1, &kernel, &diag), 0);
	ck_assert_int_eq(finf_device_kernel_run(dev, kernel, &launch), 0);
	finf_device_kernel_free(dev, kernel);
}

static inline void activation_init(struct guarded *g, struct finf_device *dev, uint16_t layout,
				   const struct finf_tensor *t)
{
	uint64_t bytes;

	ck_assert_int_eq(finf_device_layout_bytes(dev, layout, t->dtype, &t->shape, &bytes), 0);
	guarded_init(g, bytes);
	if (t->data)
		convert(dev, t, FINF_LAYOUT_PLAIN, layout, t->data, g->at);
}

static inline const struct finf_weight_form *weight_of(const struct finf_form *form, uint32_t i)
{
	for (uint32_t k = 0; k < form->n_weights; k++)
		if (form->weights[k].input == i)
			return &form->weights[k];
	return NULL;
}

/* Fills @ret with the bytes of input @i as the form wants it; false: a NULL pointer. */
static inline bool operand_init(struct site *site, struct finf_device *dev,
				const struct finf_form *form, uint32_t i, struct guarded *ret)
{
	const struct finf_weight_form *weight = weight_of(form, i);
	uint32_t value = site->graph->nodes[0].in[i];

	if (value == FINF_NONE)
		return false;
	if (!site->graph->values[value].is_const) {
		activation_init(ret, dev, form->in_layout, &site->in[i]);
		return true;
	}
	if (!weight)
		return false;
	guarded_init(ret, weight->bytes);
	ck_assert_int_eq(finf_device_pack_weight(dev, weight, &site->in[i], ret->at), 0);
	return true;
}

/* What lies between the channels and the end of their block must stay zero. */
static inline void check_padding(const struct finf_shape *shape, uint16_t layout, const float *x,
				 const char *what)
{
	uint32_t block = finf_host_block(layout);
	int64_t blocks, plane;

	if (!block)
		return;
	blocks = (shape->dim[1] + block - 1) / block;
	plane = 1;
	for (uint32_t i = 2; i < shape->rank; i++)
		plane *= shape->dim[i];
	for (int64_t i = 0; i < shape->dim[0] * blocks * plane * block; i++) {
		int64_t c = i / (plane * block) % blocks * block + i % block;

		if (c >= shape->dim[1] && x[i] != 0.0f)
			ck_abort_msg("%s: padding of channel %d is %g", what, (int)c, (double)x[i]);
	}
}

/* Curves that go towards 0 keep the error of what they are applied to. */
static inline bool is_close(const struct site *site, const float *got, size_t n)
{
	const float *want = site->out.data;
	float worst = 0;

	for (size_t i = 0; i < n; i++)
		worst = isnan(got[i]) ? INFINITY : fmaxf(worst, fabsf(got[i] - want[i]));
	return relative_l2(got, want, n) <= 1e-5 ||
	       (site->graph->nodes[0].act >= FINF_ACT_ELU && worst <= 1e-6f);
}

static inline void check_answer(struct site *site, struct finf_device *dev, uint16_t layout,
				const struct guarded *out, const char *what)
{
	size_t n = site->out.bytes / finf_dtype_bytes(site->out.dtype);
	float *plain = calloc(1, site->out.bytes + 1);

	check_padding(&site->out.shape, layout, out->at, what);
	convert(dev, &site->out, layout, FINF_LAYOUT_PLAIN, out->at, plain);
	if (site->out.dtype == FINF_F32)
		ck_assert_msg(is_close(site, plain, n), "%s: relative L2 %g", what,
			      relative_l2(plain, site->out.data, n));
	else
		ck_assert_mem_eq(plain, site->out.data, site->out.bytes);
	free(plain);
}

/* Inputs brought into the form's layout one behind the other must be the answer. */
static inline void site_join(struct site *site, struct finf_device *dev,
			     const struct finf_form *form, const char *what)
{
	struct finf_tensor shape_only = site->out;
	struct guarded in, out;
	uint64_t at = 0;

	ck_assert_uint_eq(form->in_layout, form->out_layout);
	ck_assert_uint_eq(form->n_weights, 0);
	shape_only.data = NULL;
	activation_init(&out, dev, form->out_layout, &shape_only);
	for (uint32_t i = 0; i < site->n_in; i++) {
		activation_init(&in, dev, form->in_layout, &site->in[i]);
		ck_assert_uint_le(at + in.bytes, out.bytes);
		memcpy((uint8_t *)out.at + at, in.at, in.bytes);
		at += in.bytes;
		guarded_fini(&in);
	}
	ck_assert_uint_eq(at, out.bytes);
	check_answer(site, dev, form->out_layout, &out, what);
	guarded_check(&out, what);
	guarded_fini(&out);
}

/*
 * Pack the weights, bring activations into the form's layouts, run, compare
 * with the reference within 1e-5 (relative L2). @inplace: output 0 where it may lie.
 */
static inline void site_run(struct site *site, struct finf_device *dev,
			    const struct finf_form *form, uint32_t threads, bool inplace,
			    const char *what)
{
	struct finf_tensor shape_only = site->out;
	struct guarded in[CASE_IN] = {{0}}, out, second, workspace;
	const void *addresses[CASE_IN] = {NULL};
	void *results[2];
	struct finf_launch launch = {.in = addresses, .out = results};
	struct finf_kernel *kernel;
	struct finf_diag diag = {""};
	uint32_t over;
	int err = finf_device_kernel_new(dev, site->graph, 0, form, threads, &kernel, &diag);

	ck_assert_msg(!err, "%s: %s", what, diag.text);
	for (uint32_t i = 0; i < site->n_in; i++)
		if (operand_init(site, dev, form, i, &in[i]))
			addresses[i] = in[i].at;
	shape_only.data = NULL;
	activation_init(&out, dev, form->out_layout, &shape_only);
	guarded_init(&workspace, form->workspace_bytes);
	launch.workspace = form->workspace_bytes ? workspace.at : NULL;
	guarded_init(&second, site->second.bytes);
	over = finf_form_over(form, site->n_in);
	ck_assert(!inplace || over < site->n_in);
	results[0] = inplace ? in[over].at : out.at;
	results[1] = second.at;
	ck_assert_int_eq(finf_device_kernel_run(dev, kernel, &launch), 0);
	check_answer(site, dev, form->out_layout, inplace ? &in[over] : &out, what);
	if (site->second.bytes)
		ck_assert_mem_eq(second.at, site->second.data, site->second.bytes);
	guarded_check(&second, what);
	for (uint32_t i = 0; i < site->n_in; i++) {
		if (in[i].raw)
			guarded_check(&in[i], what);
		guarded_fini(&in[i]);
	}
	guarded_check(&out, what);
	guarded_check(&workspace, what);
	guarded_fini(&out);
	guarded_fini(&second);
	guarded_fini(&workspace);
	finf_device_kernel_free(dev, kernel);
}

#endif
