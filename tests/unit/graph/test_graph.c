/* SPDX-License-Identifier: MIT */
/* graph: building, sorting, verifying, inferring, folding, binding, pruning. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "tests/support/support.h"

static struct finf_graph *graph;
static struct finf_diag diag;

static void setup(void)
{
	diag.text[0] = 0;
	ck_assert_int_eq(finf_graph_new("test", &graph), 0);
}

static void teardown(void)
{
	finf_graph_free(graph);
	graph = NULL;
}

#define SHAPE(...)                                                                                 \
	((struct finf_shape){.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),           \
			     .dim = {__VA_ARGS__}})

static uint32_t value(const char *name)
{
	uint32_t v;

	if (!finf_graph_find(graph, name, &v))
		ck_assert_int_eq(finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &v), 0);
	return v;
}

static uint32_t input(const char *name, enum finf_dtype dtype, struct finf_shape shape)
{
	uint32_t v;

	ck_assert_int_eq(finf_graph_value(graph, name, dtype, &shape, &v), 0);
	ck_assert_int_eq(finf_graph_input(graph, v), 0);
	return v;
}

static uint32_t constant(const char *name, enum finf_dtype dtype, struct finf_shape shape,
			 const void *data)
{
	uint32_t v;
	size_t bytes;

	ck_assert_int_eq(finf_graph_value(graph, name, dtype, &shape, &v), 0);
	ck_assert_int_eq(finf_tensor_bytes(dtype, &shape, &bytes), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, v, data, bytes, true), 0);
	return v;
}

/* One node; names separated by spaces, made when they are new. */
static uint32_t node(const char *op, const char *ins, const char *outs,
		     const struct finf_attr *attr)
{
	uint32_t ids[2][8], n[2] = {0}, index;
	const char *lists[2] = {ins, outs};
	char text[128], *at, *name;

	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s", lists[i]);
		for (at = text; (name = strsep(&at, " "));)
			if (*name)
				ids[i][n[i]++] = value(name);
	}
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find(op), 13, outs, ids[0], n[0], ids[1],
					 n[1], attr, attr ? 1 : 0, &index),
			 0);
	return index;
}

static void output(const char *name)
{
	ck_assert_int_eq(finf_graph_output(graph, value(name)), 0);
}

static void prepare(void)
{
	ck_assert_msg(!finf_graph_sort(graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_graph_verify(graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s", diag.text);
}

static void says(int err, int want, const char *text)
{
	ck_assert_msg(err == want, "error %d, not %d: %s", err, want, diag.text);
	ck_assert_msg(strstr(diag.text, text), "\"%s\" does not say \"%s\"", diag.text, text);
}

/* ---- building -------------------------------------------------------------------- */

START_TEST(test_names_are_unique)
{
	uint32_t v = 77;

	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, NULL, &v), 0);
	v = 77;
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, NULL, &v), -EEXIST);
	ck_assert_uint_eq(v, 77);
	ck_assert_uint_eq(graph->n_values, 1);
	ck_assert(finf_graph_find(graph, "x", &v));
	ck_assert_uint_eq(v, 0);
	ck_assert(!finf_graph_find(graph, "y", &v));
}
END_TEST

START_TEST(test_a_value_has_one_source)
{
	uint32_t x = input("x", FINF_F32, SHAPE(2));
	uint32_t c = constant("c", FINF_F32, SHAPE(1), (float[]){1});
	uint32_t y = value("y"), index;
	const struct finf_op *relu = finf_op_find("Relu");

	node("Relu", "x", "z", NULL);
	ck_assert_int_eq(finf_graph_input(graph, c), -EEXIST);
	ck_assert_int_eq(finf_graph_input(graph, x), -EEXIST);
	ck_assert_int_eq(finf_graph_input(graph, value("z")), -EEXIST);
	ck_assert_int_eq(finf_graph_set_const(graph, x, "12345678", 8, true), -EEXIST);
	ck_assert_int_eq(finf_graph_set_const(graph, value("z"), "1234", 4, true), -EEXIST);
	for (int i = 0; i < 3; i++) {
		uint32_t taken = (uint32_t[]){x, c, value("z")}[i];

		ck_assert_int_eq(
			finf_graph_node(graph, relu, 13, NULL, &x, 1, &taken, 1, NULL, 0, &index),
			-EEXIST);
	}
	ck_assert_uint_eq(graph->n_nodes, 1);
	ck_assert_int_eq(finf_graph_node(graph, relu, 13, NULL, &x, 1, (uint32_t[]){y, y}, 2, NULL,
					 0, &index),
			 -EINVAL);
}
END_TEST

START_TEST(test_numbers_are_checked)
{
	uint32_t x = input("x", FINF_F32, SHAPE(2)), y = value("y"), beyond = 9, index;
	const struct finf_op *relu = finf_op_find("Relu"), *dropout = finf_op_find("Dropout");

	ck_assert_int_eq(finf_graph_input(graph, beyond), -EINVAL);
	ck_assert_int_eq(finf_graph_output(graph, beyond), -EINVAL);
	ck_assert_int_eq(finf_graph_set_const(graph, beyond, "", 0, true), -EINVAL);
	ck_assert_int_eq(finf_graph_node(graph, relu, 13, NULL, &beyond, 1, &y, 1, NULL, 0, &index),
			 -EINVAL);
	ck_assert_int_eq(finf_graph_node(graph, relu, 13, NULL, &x, 1, &beyond, 1, NULL, 0, &index),
			 -EINVAL);
	ck_assert_int_eq(finf_graph_node(graph, relu, 13, NULL, &x, 0, &y, 1, NULL, 0, &index),
			 -EINVAL);
	ck_assert_int_eq(finf_graph_node(graph, dropout, 13, NULL, &x, 1, (uint32_t[]){y, y}, 2,
					 NULL, 0, &index),
			 -EEXIST);
	ck_assert_uint_eq(graph->n_nodes, 0);
	ck_assert_uint_eq(graph->values[y].producer, FINF_NONE);
}
END_TEST

START_TEST(test_constants_have_their_bytes)
{
	struct finf_shape shape = SHAPE(2);
	struct finf_shape any = SHAPE(FINF_DIM_ANY);
	uint32_t v, open;
	float data[3] = {1, 2, 3};

	ck_assert_int_eq(finf_graph_value(graph, "c", FINF_F32, &shape, &v), 0);
	ck_assert_int_eq(finf_graph_value(graph, "open", FINF_F32, &any, &open), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, v, data, 12, true), -EINVAL);
	ck_assert_int_eq(finf_graph_set_const(graph, open, data, 4, true), -EINVAL);
	ck_assert(!graph->values[v].is_const);
	ck_assert_int_eq(finf_graph_set_const(graph, v, data, 8, false), 0);
	ck_assert_ptr_eq(graph->values[v].data, data);
}
END_TEST

START_TEST(test_unaligned_constants_are_copied)
{
	struct finf_shape shape = SHAPE(1);
	_Alignas(8) char data[16] = {0};
	float one = 1;
	uint32_t v;

	memcpy(data + 1, &one, sizeof(one));
	ck_assert_int_eq(finf_graph_value(graph, "c", FINF_F32, &shape, &v), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, v, data + 1, 4, false), 0);
	ck_assert_ptr_ne(graph->values[v].data, data + 1);
	ck_assert_float_eq(*(const float *)graph->values[v].data, 1);
}
END_TEST

START_TEST(test_nodes_get_names_and_copies)
{
	int64_t axes[] = {1};
	char key[] = "axes";
	struct finf_attr attr = {.name = key, .type = FINF_ATTR_INTS, .n = 1, .ints = axes};
	uint32_t x = input("x", FINF_F32, SHAPE(2)), y = value("y"), index;

	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Squeeze"), 11, NULL, &x, 1, &y, 1,
					 &attr, 1, &index),
			 0);
	axes[0] = 9;
	key[0] = 'X';
	x = y = 99;
	ck_assert_str_eq(graph->nodes[index].name, "Squeeze_0");
	ck_assert_uint_eq(graph->nodes[index].in[0], 0);
	ck_assert_int_eq(finf_node_ints(&graph->nodes[index], "axes", &x)[0], 1);
	ck_assert_uint_eq(x, 1);
	ck_assert_int_eq(finf_node_int(&graph->nodes[index], "axes", 5), 5);
	ck_assert_ptr_null(finf_node_attr(&graph->nodes[index], "Xxes"));
}
END_TEST

/* ---- sorting ------------------------------------------------------------------------ */

START_TEST(test_sort_orders_and_is_stable)
{
	static const char *const want[] = {"a", "b", "c", "d", "e"};

	input("x", FINF_F32, SHAPE(2));
	node("Relu", "x", "a", NULL);
	node("Relu", "b", "c", NULL); /* before what it needs */
	node("Relu", "x", "b", NULL);
	node("Add", "a c", "d", NULL);
	node("Relu", "x", "e", NULL);
	output("d");
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(finf_graph_sort(graph, &diag), 0);
		for (uint32_t i = 0; i < 5; i++) {
			ck_assert_str_eq(graph->nodes[i].name, want[i]);
			ck_assert_uint_eq(graph->values[graph->nodes[i].out[0]].producer, i);
		}
	}
	prepare();
}
END_TEST

START_TEST(test_sort_names_a_cycle)
{
	input("x", FINF_F32, SHAPE(2));
	node("Add", "x c", "a", NULL);
	node("Relu", "a", "b", NULL);
	node("Relu", "b", "c", NULL);
	output("c");
	says(finf_graph_sort(graph, &diag), -ELOOP, "operator Add");
	ck_assert_str_eq(graph->nodes[0].name, "a");
}
END_TEST

START_TEST(test_sort_names_a_node_that_eats_itself)
{
	uint32_t x = value("x");

	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Relu"), 13, "snake", &x, 1, &x, 1,
					 NULL, 0, NULL),
			 0);
	says(finf_graph_sort(graph, &diag), -ELOOP, "snake");
}
END_TEST

START_TEST(test_sort_a_chain_too_deep_for_a_stack)
{
	enum { N = 200000 };
	const struct finf_op *relu = finf_op_find("Relu");
	uint32_t v[2];
	char name[32];

	input("x", FINF_F32, SHAPE(1));
	for (uint32_t i = 0; i <= N; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		value(name);
	}
	for (uint32_t i = 0; i < N; i++) { /* from the end */
		v[0] = N - i;
		v[1] = N - i + 1;
		ck_assert_int_eq(
			finf_graph_node(graph, relu, 13, "n", &v[0], 1, &v[1], 1, NULL, 0, NULL),
			0);
	}
	ck_assert_int_eq(finf_graph_sort(graph, &diag), 0);
	ck_assert_uint_eq(graph->nodes[0].in[0], 1);
	ck_assert_uint_eq(graph->nodes[N - 1].out[0], N + 1);
}
END_TEST

/* ---- verifying ------------------------------------------------------------------------- */

static void small_graph(void)
{
	input("x", FINF_F32, SHAPE(2));
	constant("c", FINF_F32, SHAPE(2), (float[]){1, 2});
	node("Add", "x c", "a", NULL);
	node("Relu", "a", "y", NULL);
	output("y");
}

static void undefined_input(void)
{
	graph->nodes[0].in[0] = value("ghost");
}

static void not_sorted(void)
{
	graph->nodes[0].in[0] = value("y");
}

static void output_never_computed(void)
{
	output("ghost");
}

static void constant_too_long(void)
{
	graph->values[value("c")].bytes = 12;
}

static void constant_without_shape(void)
{
	graph->values[value("c")].has_shape = false;
}

static void defined_twice(void)
{
	graph->values[value("a")].is_input = true;
}

static void foreign_output(void)
{
	graph->nodes[1].out[0] = value("a");
}

static void number_out_of_range(void)
{
	graph->nodes[1].in[0] = 1000;
}

static void opset_too_new(void)
{
	graph->nodes[1].opset = 99;
}

static void too_many_inputs(void)
{
	graph->nodes[1].n_in = 2;
	graph->nodes[1].in = graph->nodes[0].in;
}

static void required_input_left_out(void)
{
	graph->nodes[0].in[1] = FINF_NONE;
}

static void not_an_input(void)
{
	graph->values[value("x")].is_input = false;
	graph->values[value("x")].is_const = true;
	graph->values[value("x")].bytes = 8;
}

static void attribute_unknown(void)
{
	static struct finf_attr attr = {.name = "alpha", .type = FINF_ATTR_FLOAT};

	graph->nodes[1].attrs = &attr;
	graph->nodes[1].n_attrs = 1;
}

static const struct {
	void (*spoil)(void);
	int err;
	const char *says;
} spoils[] = {
	{undefined_input, -EINVAL, "input ghost is not defined"},
	{not_sorted, -EINVAL, "input y is not defined before"},
	{output_never_computed, -EINVAL, "output ghost is never computed"},
	{constant_too_long, -EINVAL, "constant c: 12 bytes"},
	{constant_without_shape, -EINVAL, "constant c"},
	{defined_twice, -EINVAL, "value a is defined twice"},
	{foreign_output, -EINVAL, "operator Relu: output a belongs to another"},
	{number_out_of_range, -EINVAL, "out of range"},
	{opset_too_new, -EOPNOTSUPP, "node y, operator Relu, opset 99"},
	{too_many_inputs, -EINVAL, "2 inputs"},
	{required_input_left_out, -EINVAL, "input 1 is missing"},
	{not_an_input, -EINVAL, "input 0 is not an input value"},
	{attribute_unknown, -EOPNOTSUPP, "attribute alpha"},
};

START_TEST(test_verify)
{
	small_graph();
	prepare();
	spoils[_i].spoil();
	says(finf_graph_verify(graph, &diag), spoils[_i].err, spoils[_i].says);
}
END_TEST

/* ---- inferring ---------------------------------------------------------------------------- */

START_TEST(test_infer_refuses_what_contradicts_a_declaration)
{
	struct finf_value *y;

	small_graph();
	y = &graph->values[value("y")];
	y->has_shape = true;
	y->shape = SHAPE(3);
	says(finf_graph_infer(graph, &diag), -EINVAL, "node y, operator Relu, opset 13");
	says(finf_graph_infer(graph, &diag), -EINVAL, "y is declared 3 but comes out as 2");
	y->shape = SHAPE(2, 1);
	says(finf_graph_infer(graph, &diag), -EINVAL, "declared 2x1");
	y->shape = SHAPE(FINF_DIM_ANY);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
	ck_assert_int_eq(y->shape.dim[0], 2);
	y->dtype = FINF_I64;
	says(finf_graph_infer(graph, &diag), -EINVAL, "declared int64 but comes out as float32");
}
END_TEST

START_TEST(test_infer_keeps_what_only_the_declaration_knows)
{
	struct finf_value *y;

	input("x", FINF_F32, SHAPE(FINF_DIM_ANY, 4));
	node("Relu", "x", "y", NULL);
	output("y");
	y = &graph->values[value("y")];
	y->has_shape = true;
	y->shape = SHAPE(8, FINF_DIM_ANY);
	prepare();
	ck_assert_int_eq(y->shape.dim[0], 8);
	ck_assert_int_eq(y->shape.dim[1], 4);
}
END_TEST

START_TEST(test_infer_computes_within_bounds)
{
	/* bytes of the constant, dtype, is the sum known afterwards? */
	static const struct {
		enum finf_dtype dtype;
		const char *op;
		int64_t n;
		bool known;
	} rows[] = {
		{FINF_F32, "Relu", 1024, true},	      {FINF_F32, "Relu", 1025, false},
		{FINF_I64, "Transpose", 8192, true},  {FINF_I64, "Transpose", 8193, false},
		{FINF_I64, "Identity", 8193, true}, /* handed on, not computed */
		{FINF_F32, "Flatten", 1 << 20, true},
	};
	void *data = calloc(1 << 20, 8);

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		if (i) {
			teardown();
			setup();
		}
		constant("c", rows[i].dtype, SHAPE(rows[i].n), data);
		node(rows[i].op, "c", "y", NULL);
		output("y");
		prepare();
		ck_assert_msg(!!graph->values[value("y")].data == rows[i].known, "row %zu", i);
		ck_assert(!graph->values[value("y")].is_const);
	}
	free(data);
}
END_TEST

/* The rank of the result is all that Reshape knows; the declaration must not invent bytes. */
START_TEST(test_infer_hands_on_only_bytes_that_exist)
{
	struct finf_shape declared[] = {SHAPE(1 << 20), SHAPE(2)};

	constant("c", FINF_F32, SHAPE(2), (float[]){1, 2});
	input("s", FINF_I64, SHAPE(1));
	node("Reshape", "c s", "y", NULL);
	output("y");
	for (int i = 0; i < 2; i++) {
		struct finf_value *y = &graph->values[value("y")];

		y->has_shape = true;
		y->shape = declared[i];
		prepare();
		ck_assert_int_eq(y->data != NULL, i);
	}
}
END_TEST

/* A model of nothing but constants: what is evaluated in all is bounded too. */
START_TEST(test_infer_computes_only_so_much)
{
	enum { N = 1000 };
	static const int64_t zeros[4096];
	uint32_t known = 0;
	char from[16] = "c", to[16];

	constant("c", FINF_I64, SHAPE(4096), zeros);
	for (int i = 0; i < N; i++) { /* 64 KiB each, in and out */
		snprintf(to, sizeof(to), "t%d", i);
		node("Transpose", from, to, NULL);
		memcpy(from, to, sizeof(to));
	}
	output(to);
	prepare();
	for (uint32_t i = 0; i < graph->n_values; i++)
		known += graph->values[i].data && !graph->values[i].is_const;
	ck_assert_uint_gt(known, 0);
	ck_assert_uint_le(known, (16 << 20) / (64 << 10));
	ck_assert_uint_lt(graph->arena.total_bytes, 20 << 20);
}
END_TEST

START_TEST(test_infer_again_costs_no_memory)
{
	size_t bytes;

	input("x", FINF_F32, SHAPE(4, 5));
	node("Shape", "x", "s", NULL);
	node("Transpose", "s", "t", NULL);
	output("t");
	prepare();
	bytes = graph->arena.total_bytes;
	ck_assert_ptr_nonnull(graph->values[value("t")].data);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
	ck_assert_uint_eq(graph->arena.total_bytes, bytes);
	graph->values[value("x")].shape = SHAPE(FINF_DIM_ANY, 5);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
	ck_assert_ptr_null(graph->values[value("t")].data);
	ck_assert_uint_eq(graph->values[value("t")].bytes, 0);
}
END_TEST

/* ---- folding, pruning, cloning --------------------------------------------------------------- */

START_TEST(test_fold_shares_renamed_constants)
{
	const struct finf_value *c;

	input("x", FINF_F32, SHAPE(2));
	constant("c", FINF_F32, SHAPE(2), (float[]){3, 4});
	node("Identity", "c", "same", NULL);
	node("Flatten", "same", "other", NULL); /* 2x1: a constant of its own */
	node("Add", "x same", "a", NULL);
	node("Mul", "a other", "y", NULL);
	output("y");
	prepare();
	ck_assert_int_eq(finf_graph_fold(graph, NULL), 0);
	ck_assert_int_eq(finf_graph_verify(graph, &diag), 0);
	ck_assert_uint_eq(graph->n_nodes, 2);
	ck_assert(!finf_graph_find(graph, "same", NULL));
	c = &graph->values[value("c")];
	ck_assert_uint_eq(graph->nodes[0].in[1], value("c"));
	ck_assert(graph->values[value("other")].is_const);
	ck_assert_ptr_eq(graph->values[value("other")].data, c->data);
}
END_TEST

START_TEST(test_fold_leaves_outputs_computed)
{
	uint32_t folded = 99;

	input("x", FINF_F32, SHAPE(2, 7));
	node("Shape", "x", "s", NULL);
	node("Identity", "s", "y", NULL);
	output("y");
	prepare();
	ck_assert_int_eq(finf_graph_fold(graph, &folded), 0);
	ck_assert_uint_eq(folded, 1);
	ck_assert_uint_eq(graph->n_nodes, 1);
	ck_assert_str_eq(graph->nodes[0].op->name, "Identity");
	ck_assert_uint_eq(graph->values[value("y")].producer, 0);
	ck_assert(!graph->values[value("y")].is_const);
	ck_assert_int_eq(finf_graph_verify(graph, &diag), 0);
	ck_assert_int_eq(finf_graph_fold(graph, &folded), 0);
	ck_assert_uint_eq(folded, 0);
}
END_TEST

START_TEST(test_prune_drops_what_no_output_needs)
{
	input("x", FINF_F32, SHAPE(2));
	input("unused", FINF_F32, SHAPE(2));
	constant("dead", FINF_F32, SHAPE(2), (float[]){1, 2});
	node("Add", "x dead", "d", NULL);
	node("Dropout", "x", "a mask", NULL);
	node("Relu", "a", "y", NULL);
	output("y");
	prepare();
	ck_assert_int_eq(finf_graph_prune(graph, NULL), 0);
	ck_assert_int_eq(finf_graph_verify(graph, &diag), 0);
	ck_assert_uint_eq(graph->n_nodes, 2);
	ck_assert_uint_eq(graph->n_values, 4); /* x, unused, a, y */
	ck_assert_uint_eq(graph->n_inputs, 2);
	ck_assert_str_eq(graph->values[graph->inputs[1]].name, "unused");
	ck_assert_str_eq(graph->values[graph->outputs[0]].name, "y");
	ck_assert(!finf_graph_find(graph, "mask", NULL));
	ck_assert_uint_eq(graph->nodes[0].out[1], FINF_NONE);
	ck_assert_uint_eq(graph->values[value("y")].producer, 1);
}
END_TEST

START_TEST(test_prune_keeps_what_it_is_told)
{
	bool keep[] = {true, false, true};

	input("x", FINF_F32, SHAPE(2));
	node("Relu", "x", "a", NULL);
	node("Relu", "x", "b", NULL);
	node("Relu", "x", "c", NULL);
	output("a");
	ck_assert_int_eq(finf_graph_prune(graph, keep), 0);
	ck_assert_uint_eq(graph->n_nodes, 2);
	ck_assert_str_eq(graph->nodes[1].name, "c");
	ck_assert(finf_graph_find(graph, "c", NULL));
	ck_assert(!finf_graph_find(graph, "b", NULL));
}
END_TEST

START_TEST(test_prune_an_empty_graph)
{
	ck_assert_int_eq(finf_graph_prune(graph, NULL), 0);
	ck_assert_int_eq(finf_graph_sort(graph, &diag), 0);
	ck_assert_int_eq(finf_graph_verify(graph, &diag), 0);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
}
END_TEST

START_TEST(test_clone_is_its_own)
{
	struct finf_graph *copy;
	const struct finf_attr axis = {.name = "axis", .type = FINF_ATTR_INT, .i = 1};
	uint32_t v;

	small_graph();
	node("Softmax", "y", "z", &axis);
	ck_assert_int_eq(finf_graph_clone(graph, &copy), 0);
	ck_assert_uint_eq(copy->n_values, graph->n_values);
	ck_assert_uint_eq(copy->n_nodes, graph->n_nodes);
	ck_assert(finf_graph_find(copy, "c", &v));
	ck_assert_ptr_eq(copy->values[v].data, graph->values[v].data); /* borrowed */
	ck_assert_ptr_ne(copy->values[v].name, graph->values[v].name);
	graph->nodes[0].in[0] = FINF_NONE;
	graph->nodes[2].attrs[0].i = 7;
	graph->values[v].dtype = FINF_I64;
	ck_assert_uint_ne(copy->nodes[0].in[0], FINF_NONE);
	ck_assert_int_eq(finf_node_int(&copy->nodes[2], "axis", 0), 1);
	ck_assert_int_eq(copy->values[v].dtype, FINF_F32);
	ck_assert_int_eq(finf_graph_value(copy, "new", FINF_F32, NULL, &v), 0);
	ck_assert(!finf_graph_find(graph, "new", NULL));
	finf_graph_free(copy);
}
END_TEST

static unsigned released;

static void release(void *foreign)
{
	ck_assert_ptr_eq(foreign, &released);
	released++;
}

START_TEST(test_free_releases_foreign_memory_once)
{
	struct finf_graph *copy;

	graph->release = release;
	graph->foreign = &released;
	ck_assert_int_eq(finf_graph_clone(graph, &copy), 0);
	finf_graph_free(copy);
	ck_assert_uint_eq(released, 0);
	teardown();
	ck_assert_uint_eq(released, 1);
	finf_graph_free(NULL);
}
END_TEST

/* ---- binding -----------------------------------------------------------------------------------
 */

/* x.view(x.size(0), -1), as an exporter writes it for a dynamic batch. */
static void dynamic_graph(void)
{
	static const struct finf_attr axis0 = {.name = "axis", .type = FINF_ATTR_INT, .i = 0};

	input("x", FINF_F32, SHAPE(FINF_DIM_ANY, 2, 3));
	constant("zero", FINF_I64, SHAPE(), (int64_t[]){0});
	constant("axes", FINF_I64, SHAPE(1), (int64_t[]){0});
	constant("rest", FINF_I64, SHAPE(1), (int64_t[]){-1});
	node("Shape", "x", "shape", NULL);
	node("Gather", "shape zero", "batch", &axis0);
	node("Unsqueeze", "batch axes", "batch1", NULL);
	node("Concat", "batch1 rest", "want", &axis0);
	node("Reshape", "x want", "flat", NULL);
	node("Relu", "flat", "y", NULL);
	output("y");
	prepare();
}

START_TEST(test_bind_resolves_shape_arithmetic)
{
	int64_t batch = (int64_t[]){1, 3, 1000}[_i];
	struct finf_shape shape = SHAPE(batch, 2, 3), want = SHAPE(batch, 6);
	struct finf_graph *bound;
	uint32_t y;

	dynamic_graph();
	ck_assert_uint_eq(graph->values[value("y")].shape.rank, 2);
	ck_assert_int_eq(graph->values[value("y")].shape.dim[0], FINF_DIM_ANY);
	ck_assert_msg(!finf_graph_bind(graph, &shape, &bound, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_graph_verify(bound, &diag), 0);
	ck_assert_uint_eq(bound->n_nodes, 2);
	ck_assert_str_eq(bound->nodes[0].op->name, "Reshape");
	ck_assert_str_eq(bound->nodes[1].op->name, "Relu");
	ck_assert(finf_graph_find(bound, "y", &y));
	ck_assert(finf_shape_equal(&bound->values[y].shape, &want));
	finf_graph_free(bound);
	ck_assert_uint_eq(graph->n_nodes, 6); /* the model itself is as before */
	ck_assert_int_eq(graph->values[graph->inputs[0]].shape.dim[0], FINF_DIM_ANY);
}
END_TEST

START_TEST(test_bind_refuses)
{
	static const struct {
		struct finf_shape shape;
		int err;
		const char *says;
	} rows[] = {
		{{.rank = 3, .dim = {1, 2, 4}}, -EINVAL, "input x: ?x2x3 was expected, not 1x2x4"},
		{{.rank = 2, .dim = {1, 2}}, -EINVAL, "not 1x2"},
		{{.rank = 3, .dim = {FINF_DIM_ANY, 2, 3}}, -EINVAL, "not ?x2x3"},
		{{.rank = 3, .dim = {-5, 2, 3}}, -EINVAL, "expected"},
		{{.rank = 99}, -EINVAL, "too many dimensions"},
		{{.rank = 3, .dim = {INT64_MAX, 2, 3}}, -EOVERFLOW, "too large"},
		{{.rank = 3, .dim = {1ll << 60, 2, 3}}, -EOVERFLOW, "too large"},
	};
	struct finf_graph *bound = NULL;

	dynamic_graph();
	says(finf_graph_bind(graph, &rows[_i].shape, &bound, &diag), rows[_i].err, rows[_i].says);
	ck_assert_ptr_null(bound);
}
END_TEST

START_TEST(test_bind_refuses_shapes_from_data)
{
	struct finf_shape shapes[] = {SHAPE(4), SHAPE(2)};
	struct finf_graph *bound;

	input("x", FINF_F32, SHAPE(4));
	input("s", FINF_I64, SHAPE(2));
	node("Reshape", "x s", "y", NULL);
	output("y");
	prepare();
	says(finf_graph_bind(graph, shapes, &bound, &diag), -EOPNOTSUPP,
	     "node y, operator Reshape: the shape of y depends on data");
}
END_TEST

START_TEST(test_fix_input_settles_shapes_from_data)
{
	struct finf_shape shape = SHAPE(4), want = SHAPE(2, 2);
	struct finf_graph *bound;
	uint32_t s, x;

	s = input("s", FINF_I64, SHAPE(2));
	x = input("x", FINF_F32, SHAPE(FINF_DIM_ANY));
	node("Reshape", "x s", "y", NULL);
	output("y");
	ck_assert_int_eq(finf_graph_fix_input(graph, x, "any extent"), -EINVAL);
	ck_assert_int_eq(finf_graph_fix_input(graph, value("y"), "not an input"), -EINVAL);
	ck_assert_int_eq(finf_graph_fix_input(graph, 99, "no value"), -EINVAL);
	ck_assert_uint_eq(graph->n_inputs, 2);
	ck_assert_int_eq(finf_graph_fix_input(graph, s, (int64_t[]){2, -1}), 0);
	ck_assert_uint_eq(graph->n_inputs, 1);
	ck_assert_uint_eq(graph->inputs[0], x);
	prepare();
	ck_assert_msg(!finf_graph_bind(graph, &shape, &bound, &diag), "%s", diag.text);
	ck_assert(finf_shape_equal(&bound->values[bound->outputs[0]].shape, &want));
	finf_graph_free(bound);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("graph");
	TCase *tcase = tcase_create("graph");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_names_are_unique);
	tcase_add_test(tcase, test_a_value_has_one_source);
	tcase_add_test(tcase, test_numbers_are_checked);
	tcase_add_test(tcase, test_constants_have_their_bytes);
	tcase_add_test(tcase, test_unaligned_constants_are_copied);
	tcase_add_test(tcase, test_nodes_get_names_and_copies);
	tcase_add_test(tcase, test_sort_orders_and_is_stable);
	tcase_add_test(tcase, test_sort_names_a_cycle);
	tcase_add_test(tcase, test_sort_names_a_node_that_eats_itself);
	tcase_add_test(tcase, test_sort_a_chain_too_deep_for_a_stack);
	tcase_add_loop_test(tcase, test_verify, 0, (int)FINF_ARRAY_LEN(spoils));
	tcase_add_test(tcase, test_infer_refuses_what_contradicts_a_declaration);
	tcase_add_test(tcase, test_infer_keeps_what_only_the_declaration_knows);
	tcase_add_test(tcase, test_infer_computes_within_bounds);
	tcase_add_test(tcase, test_infer_hands_on_only_bytes_that_exist);
	tcase_add_test(tcase, test_infer_computes_only_so_much);
	tcase_add_test(tcase, test_infer_again_costs_no_memory);
	tcase_add_test(tcase, test_fold_shares_renamed_constants);
	tcase_add_test(tcase, test_fold_leaves_outputs_computed);
	tcase_add_test(tcase, test_prune_drops_what_no_output_needs);
	tcase_add_test(tcase, test_prune_keeps_what_it_is_told);
	tcase_add_test(tcase, test_prune_an_empty_graph);
	tcase_add_test(tcase, test_clone_is_its_own);
	tcase_add_test(tcase, test_free_releases_foreign_memory_once);
	tcase_add_loop_test(tcase, test_bind_resolves_shape_arithmetic, 0, 3);
	tcase_add_loop_test(tcase, test_bind_refuses, 0, 7);
	tcase_add_test(tcase, test_bind_refuses_shapes_from_data);
	tcase_add_test(tcase, test_fix_input_settles_shapes_from_data);
	suite_add_tcase(suite, tcase);
	return suite;
}
