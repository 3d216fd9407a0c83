/* SPDX-License-Identifier: MIT */
/* tests/support: see optest.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "graph/op.h"
#include "tests/support/optest.h"

/* ---- elements --------------------------------------------------------------- */

static void store(enum finf_dtype dtype, void *data, size_t i, double x)
{
	switch (dtype) {
	case FINF_F32:
		((float *)data)[i] = (float)x;
		break;
	case FINF_F64:
		((double *)data)[i] = x;
		break;
	case FINF_I64:
		((int64_t *)data)[i] = (int64_t)x;
		break;
	case FINF_I32:
		((int32_t *)data)[i] = (int32_t)x;
		break;
	case FINF_I8:
		((int8_t *)data)[i] = (int8_t)x;
		break;
	case FINF_U8:
	case FINF_BOOL:
		((uint8_t *)data)[i] = (uint8_t)x;
		break;
	case FINF_F16:
		((uint16_t *)data)[i] = finf_half_bits((float)x);
		break;
	case FINF_BF16:
		((uint16_t *)data)[i] = finf_brain_bits((float)x);
		break;
	case FINF_DTYPE_NONE:
		ck_abort_msg("no dtype");
	}
}

static double load(enum finf_dtype dtype, const void *data, size_t i)
{
	switch (dtype) {
	case FINF_F32:
		return ((const float *)data)[i];
	case FINF_F64:
		return ((const double *)data)[i];
	case FINF_I64:
		return (double)((const int64_t *)data)[i];
	case FINF_I32:
		return ((const int32_t *)data)[i];
	case FINF_I8:
		return ((const int8_t *)data)[i];
	case FINF_U8:
	case FINF_BOOL:
		return ((const uint8_t *)data)[i];
	case FINF_F16:
		return finf_half_value(((const uint16_t *)data)[i]);
	case FINF_BF16:
		return finf_brain_value(((const uint16_t *)data)[i]);
	case FINF_DTYPE_NONE:
		break;
	}
	ck_abort_msg("no dtype");
	return 0;
}

static bool near(double got, double want, double tolerance)
{
	if (isnan(want) || isinf(want))
		return isnan(want) ? isnan(got) : got == want;
	return fabs(got - want) <= tolerance + tolerance * fabs(want);
}

/* A heap copy of exactly its bytes: a sanitizer sees the first one beyond. */
static void *elements(const struct optest_value *v, size_t *ret_bytes)
{
	size_t n;
	void *data;

	ck_assert_int_eq(finf_shape_count(&v->shape, &n), 0);
	*ret_bytes = n * finf_dtype_bytes(v->dtype);
	data = calloc(*ret_bytes ? *ret_bytes : 1, 1);
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; v->v && i < n; i++)
		store(v->dtype, data, i, v->v[i]);
	return data;
}

/* ---- the graph of a row -------------------------------------------------------- */

static uint32_t last_present(const struct optest_value *v, uint32_t n)
{
	while (n && v[n - 1].dtype == FINF_DTYPE_NONE)
		n--;
	return n;
}

static uint32_t n_outputs(const struct optest_row *row)
{
	uint32_t n = last_present(row->out, OPTEST_OUT);

	return n ? n : 1;
}

static uint32_t build_input(struct finf_graph *graph, const struct optest_value *v, uint32_t i,
			    bool dynamic, bool all_const)
{
	bool is_const = v->is_const || (all_const && !v->no_bytes);
	struct finf_shape shape = v->shape;
	char name[16];
	uint32_t value;
	size_t bytes;
	void *data;

	if (v->dtype == FINF_DTYPE_NONE)
		return FINF_NONE;
	for (uint32_t k = 0; dynamic && !is_const && k < shape.rank; k++)
		shape.dim[k] = FINF_DIM_ANY;
	snprintf(name, sizeof(name), "in%u", i);
	ck_assert_int_eq(finf_graph_value(graph, name, v->dtype, &shape, &value), 0);
	if (!is_const) {
		ck_assert_int_eq(finf_graph_input(graph, value), 0);
		return value;
	}
	data = elements(v, &bytes);
	ck_assert_int_eq(finf_graph_set_const(graph, value, data, bytes, true), 0);
	free(data);
	return value;
}

struct finf_graph *optest_build(const struct optest_row *row, bool dynamic, bool all_const)
{
	uint32_t in[OPTEST_IN], out[OPTEST_OUT], n_attrs = 0, index;
	uint32_t n_in = last_present(row->in, OPTEST_IN), n_out = n_outputs(row);
	const struct finf_op *op = finf_op_find(row->op);
	struct finf_graph *graph;
	char name[16];

	ck_assert_msg(op, "operator %s is not in the table", row->op);
	ck_assert_int_eq(finf_graph_new(row->name, &graph), 0);
	for (uint32_t i = 0; i < n_in; i++)
		in[i] = build_input(graph, &row->in[i], i, dynamic, all_const);
	for (uint32_t i = 0; i < n_out; i++) {
		out[i] = FINF_NONE;
		if (row->out[i].dtype == FINF_DTYPE_NONE && last_present(row->out, OPTEST_OUT))
			continue;
		snprintf(name, sizeof(name), "out%u", i);
		ck_assert_int_eq(finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &out[i]), 0);
	}
	while (n_attrs < OPTEST_ATTRS && row->attrs[n_attrs].name)
		n_attrs++;
	if (finf_graph_node(graph, op, row->opset ? row->opset : 13, "node", in, n_in, out, n_out,
			    row->attrs, n_attrs, &index)) {
		finf_graph_free(graph);
		return NULL;
	}
	graph->nodes[index].act = row->act;
	graph->nodes[index].act_a = row->act_a;
	graph->nodes[index].act_b = row->act_b;
	for (uint32_t i = 0; i < n_out; i++)
		if (out[i] != FINF_NONE)
			ck_assert_int_eq(finf_graph_output(graph, out[i]), 0);
	return graph;
}

/* ---- comparing -------------------------------------------------------------------- */

static void compare(const struct optest_row *row, const char *run, uint32_t i,
		    const struct finf_value *got, const void *data)
{
	const struct optest_value *want = &row->out[i];
	double tolerance = row->tolerance > 0 ? row->tolerance : 1e-6;
	char a[128], b[128];
	size_t n;

	ck_assert_msg(got->dtype == want->dtype, "%s (%s): output %u is %s, not %s", row->name, run,
		      i, finf_dtype_name(got->dtype), finf_dtype_name(want->dtype));
	ck_assert_msg(got->has_shape && finf_shape_equal(&got->shape, &want->shape),
		      "%s (%s): output %u is %s, not %s", row->name, run, i,
		      got->has_shape ? finf_shape_text(&got->shape, a, sizeof(a)) : "of any shape",
		      finf_shape_text(&want->shape, b, sizeof(b)));
	ck_assert_int_eq(finf_shape_count(&want->shape, &n), 0);
	for (size_t k = 0; data && want->v && k < n; k++) {
		double x = load(want->dtype, data, k);

		ck_assert_msg(near(x, want->v[k], tolerance),
			      "%s (%s): output %u, element %zu is %.9g, not %.9g", row->name, run,
			      i, k, x, want->v[k]);
	}
}

struct buffers {
	struct finf_tensor t[OPTEST_IN + OPTEST_OUT];
	const struct finf_tensor *in[OPTEST_IN];
	struct finf_tensor *out[OPTEST_OUT];
};

static void buffers_free(struct buffers *b)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(b->t); i++)
		free(b->t[i].data);
}

static void buffers_fill(struct buffers *b, const struct finf_graph *graph,
			 const struct finf_node *node, const struct optest_row *row)
{
	*b = (struct buffers){0};
	for (uint32_t i = 0; i < node->n_in; i++) {
		struct finf_tensor *t = &b->t[i];

		if (row->in[i].dtype == FINF_DTYPE_NONE)
			continue;
		t->dtype = row->in[i].dtype;
		t->shape = row->in[i].shape;
		t->data = elements(&row->in[i], &t->bytes);
		b->in[i] = t;
	}
	for (uint32_t i = 0; i < node->n_out; i++) {
		struct finf_tensor *t = &b->t[OPTEST_IN + i];
		const struct finf_value *v;

		if (node->out[i] == FINF_NONE)
			continue;
		v = &graph->values[node->out[i]];
		t->dtype = v->dtype;
		t->shape = v->shape;
		ck_assert_int_eq(finf_tensor_bytes(t->dtype, &t->shape, &t->bytes), 0);
		t->data = malloc(t->bytes ? t->bytes : 1);
		ck_assert_ptr_nonnull(t->data);
		memset(t->data, 0xa5, t->bytes); /* what eval forgets to write shows */
		b->out[i] = t;
	}
}

/* The same in parts of @each units, the last first, gives the same bits. */
static void check_parts(const struct finf_graph *graph, const struct optest_row *row,
			const struct buffers *whole, size_t each)
{
	const struct finf_node *node = &graph->nodes[0];
	struct buffers b;
	size_t units;

	buffers_fill(&b, graph, node, row);
	units = finf_op_units(node, b.in, b.out);
	for (size_t to = units, from; to; to = from) {
		from = to > each ? to - each : 0;
		ck_assert_int_eq(
			finf_op_eval_span(node, b.in, b.out, (struct finf_span){from, to}), 0);
	}
	if (units && node->act != FINF_ACT_NONE)
		finf_act_apply(node->act, node->act_a, node->act_b, b.out[0]->data,
			       b.out[0]->bytes / sizeof(float));
	for (uint32_t i = 0; units && i < node->n_out; i++)
		if (b.out[i])
			ck_assert_msg(!memcmp(b.out[i]->data, whole->out[i]->data, b.out[i]->bytes),
				      "%s: output %u in parts of %zu", row->name, i, each);
	buffers_free(&b);
}

static int evaluate(const struct finf_graph *graph, const struct optest_row *row, const char *run)
{
	const struct finf_node *node = &graph->nodes[0];
	struct buffers b;
	int err;

	buffers_fill(&b, graph, node, row);
	err = finf_op_eval(node, b.in, b.out);
	for (uint32_t i = 0; !err && !row->err && i < node->n_out; i++)
		if (b.out[i])
			compare(row, run, i, &graph->values[node->out[i]], b.out[i]->data);
	for (size_t each = 1; !err && each <= 5; each += 2)
		check_parts(graph, row, &b, each);
	buffers_free(&b);
	return err;
}

/* ---- the runs ------------------------------------------------------------------------ */

/* As an importer and an engine would: with @dynamic, every extent is unknown until bind. */
static int run_graph(const struct optest_row *row, bool dynamic, struct finf_diag *diag)
{
	struct finf_graph *graph = optest_build(row, dynamic, false), *bound = NULL;
	struct finf_shape shapes[OPTEST_IN];
	uint32_t n = 0;
	int err;

	if (!graph)
		return finf_diag_set(diag, -EINVAL, "%s: arity", row->op);
	for (uint32_t i = 0; i < OPTEST_IN; i++)
		if (row->in[i].dtype != FINF_DTYPE_NONE && !row->in[i].is_const)
			shapes[n++] = row->in[i].shape;
	err = finf_graph_sort(graph, diag);
	if (!err)
		err = finf_graph_verify(graph, diag);
	if (!err)
		err = finf_graph_infer(graph, diag);
	if (!err)
		err = finf_graph_bind(graph, shapes, &bound, diag);
	if (!err)
		err = finf_graph_verify(bound, diag);
	if (!err)
		err = evaluate(bound, row, dynamic ? "dynamic" : "static");
	finf_graph_free(bound);
	finf_graph_free(graph);
	return err;
}

static void check_round_trip(const struct optest_row *row)
{
	struct finf_graph *graph = optest_build(row, false, false), *back = NULL;
	struct finf_diag diag = {0};
	struct finf_buf buf;

	finf_buf_init(&buf);
	finf_graph_write(graph, &buf);
	ck_assert_int_eq(buf.err, 0);
	ck_assert_msg(!finf_graph_read(buf.data, buf.len, &back, &diag), "%s (read back): %s",
		      row->name, diag.text);
	for (uint32_t i = 0; i < back->n_values; i++) /* larger constants travel by name */
		if (back->values[i].is_const && !back->values[i].data)
			back->values[i].data = graph->values[i].data;
	ck_assert_msg(!finf_graph_infer(back, &diag), "%s (read back): %s", row->name, diag.text);
	ck_assert_int_eq(evaluate(back, row, "read back"), 0);
	finf_graph_free(back);
	finf_graph_free(graph);
	finf_buf_fini(&buf);
}

/* All inputs constant: where infer() computes the outputs they must be right. */
static void check_constant(const struct optest_row *row)
{
	struct finf_graph *graph = optest_build(row, false, true);
	struct finf_diag diag = {0};

	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s (constant): %s", row->name, diag.text);
	for (uint32_t i = 0; i < graph->nodes[0].n_out; i++)
		if (graph->nodes[0].out[i] != FINF_NONE)
			compare(row, "constant", i, &graph->values[graph->nodes[0].out[i]],
				graph->values[graph->nodes[0].out[i]].data);
	finf_graph_free(graph);
}

void optest_run(const struct optest_row *row)
{
	struct finf_diag diag = {0};
	int err = run_graph(row, false, &diag);

	ck_assert_msg(err == row->err, "%s: error %d, not %d: %s", row->name, err, row->err,
		      diag.text);
	if (!err) {
		check_round_trip(row);
		check_constant(row);
		if (!row->static_only)
			ck_assert_msg(!run_graph(row, true, &diag), "%s (dynamic): %s", row->name,
				      diag.text);
		return;
	}
	if (diag.text[0])
		ck_assert_msg(strstr(diag.text, row->op), "%s: \"%s\" does not name the operator",
			      row->name, diag.text);
	if (row->says)
		ck_assert_msg(strstr(diag.text, row->says), "%s: \"%s\" does not say \"%s\"",
			      row->name, diag.text, row->says);
}
