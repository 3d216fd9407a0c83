/* SPDX-License-Identifier: MIT */
/*
 * import: model-local functions. A sound model that calls one, changed in one
 * place per row: what it computes then, or the errno and words that come out.
 */
#include <errno.h>
#include <stdio.h>

#include "graph/op.h"
#include "import/import.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

/* clang-format off */
#define CHANGE(name) static void name(struct onnx_build *b)
#define ATTR(t) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##t

/* The function under way is the last one. */
static Onnx__FunctionProto *function(struct onnx_build *b)
{
	return b->model.functions[b->model.n_functions - 1];
}

static Onnx__FunctionProto *add_function(struct onnx_build *b, const char *name, const char *in,
					 const char *out)
{
	Onnx__FunctionProto *f = BUILD_NEW(b, Onnx__FunctionProto, onnx__function_proto__init);
	Onnx__OperatorSetIdProto *set =
		BUILD_NEW(b, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);

	set->has_version = 1;
	set->version = 13;
	f->name = build_str(b, name);
	f->domain = build_str(b, "local");
	build_names(b, in, &f->n_input, &f->input);
	build_names(b, out, &f->n_output, &f->output);
	BUILD_PUSH(b, f->n_opset_import, f->opset_import, set);
	BUILD_PUSH(b, b->model.n_functions, b->model.functions, f);
	return f;
}

/* A node of the main graph that calls a function. */
static Onnx__NodeProto *call(struct onnx_build *b, const char *op, const char *in, const char *out)
{
	Onnx__NodeProto *node = build_node(b, op, "", in, out);

	node->domain = build_str(b, "local");
	return node;
}

/* A node of a body: built into the graph, then moved. */
static Onnx__NodeProto *body(struct onnx_build *b, const char *op, const char *in, const char *out)
{
	Onnx__NodeProto *node = build_node(b, op, op, in, out);

	b->graph.n_node--;
	BUILD_PUSH(b, function(b)->n_node, function(b)->node, node);
	return node;
}

static void body_call(struct onnx_build *b, const char *op, const char *in, const char *out)
{
	body(b, op, in, out)->domain = build_str(b, "local");
}

static void set_float(Onnx__AttributeProto *a, float value)
{
	a->has_f = 1;
	a->f = value;
}

/* Body of the sample, in an order that is none: r = leaky(a + b), n = -(a + b). */
static void build_call(struct onnx_build *b)
{
	static const int64_t dims[] = {1, 4};
	static const float w[] = {1, -2, 3, -4};
	Onnx__TensorProto *t;
	Onnx__NodeProto *leaky;

	build_init(b, 13);
	build_opset(b, "local", 1);
	build_input(b, "x", FINF_F32, 2, dims);
	t = build_tensor(b, "w", FINF_F32, 2, dims);
	build_raw(b, t, w, sizeof(w));
	build_initialiser(b, t);
	build_output(b, "y");
	add_function(b, "Act", "a,b", "r,n");
	BUILD_PUSH(b, function(b)->n_attribute, function(b)->attribute, build_str(b, "slope"));
	leaky = body(b, "LeakyRelu", "t", "r");
	build_attr(b, leaky, "alpha", ATTR(FLOAT))->ref_attr_name = build_str(b, "slope");
	body(b, "Add", "a,b", "t");
	body(b, "Neg", "t", "n");
	set_float(build_attr(b, call(b, "Act", "x,w", "y"), "slope", ATTR(FLOAT)), 0.5f);
}

static Onnx__NodeProto *first_call(struct onnx_build *b)
{
	return b->graph.node[0];
}

static Onnx__AttributeProto *add_default(struct onnx_build *b, const char *name, float value)
{
	Onnx__AttributeProto *a = BUILD_NEW(b, Onnx__AttributeProto, onnx__attribute_proto__init);

	a->name = build_str(b, name);
	a->has_type = 1;
	a->type = ATTR(FLOAT);
	set_float(a, value);
	BUILD_PUSH(b, function(b)->n_attribute_proto, function(b)->attribute_proto, a);
	return a;
}

/* ---- what works ------------------------------------------------------------ */

CHANGE(as_it_is) { (void)b; }
CHANGE(attribute_left_out) { first_call(b)->n_attribute = 0; }
CHANGE(second_output) { build_names(b, "m", &first_call(b)->n_output, &first_call(b)->output); b->graph.output[0]->name = build_str(b, "m"); }
CHANGE(only_second_output) { first_call(b)->output[0] = build_str(b, ""); second_output(b); }
CHANGE(name_taken) { build_node(b, "Neg", "", "x", "y/t"); }
CHANGE(other_opset) { function(b)->opset_import[0]->version = 16; }
CHANGE(unused_import) { function(b)->opset_import[0]->domain = build_str(b, "ai.onnx"); }

CHANGE(default_used)
{
	function(b)->n_attribute = 0;
	add_default(b, "slope", 0.25f);
	attribute_left_out(b);
}

CHANGE(default_overridden)
{
	function(b)->n_attribute = 0;
	add_default(b, "slope", 0.25f);
}

CHANGE(overload)
{
	add_function(b, "Act", "a,b", "r");
	function(b)->overload = build_str(b, "sub");
	body(b, "Sub", "a,b", "r");
	call(b, "Act", "x,w", "z")->overload = build_str(b, "sub");
	b->graph.output[0]->name = build_str(b, "z");
}

CHANGE(twice)
{
	set_float(build_attr(b, call(b, "Act", "y,w", "z"), "slope", ATTR(FLOAT)), 1);
	b->graph.output[0]->name = build_str(b, "z");
}

/* Attribute and names go through two calls. */
CHANGE(nested)
{
	Onnx__FunctionProto *f = add_function(b, "Outer", "a,b", "t");

	BUILD_PUSH(b, f->n_attribute, f->attribute, build_str(b, "s"));
	body_call(b, "Act", "a,b", "u");
	build_attr(b, f->node[0], "slope", ATTR(FLOAT))->ref_attr_name = build_str(b, "s");
	body(b, "Neg", "u", "t");
	set_float(build_attr(b, call(b, "Outer", "x,w", "z"), "s", ATTR(FLOAT)), 2);
	b->graph.output[0]->name = build_str(b, "z");
}

CHANGE(optional_input_left_out)
{
	add_function(b, "Clipped", "a,low,high", "r");
	body(b, "Clip", "a,low,high", "r");
	call(b, "Clipped", "x,,limit", "z");
	build_initialiser(b, build_tensor(b, "limit", FINF_F32, 0, NULL));
	build_raw(b, b->graph.initializer[1], (const float[]){1.5f}, sizeof(float));
	b->graph.output[0]->name = build_str(b, "z");
}

CHANGE(trailing_inputs_left_out)
{
	optional_input_left_out(b);
	b->graph.node[1]->n_input = 1;
}

CHANGE(output_is_input)
{
	add_function(b, "Same", "a", "a");
	call(b, "Same", "w", "z");
	b->graph.output[0]->name = build_str(b, "z");
}

CHANGE(output_listed_twice)
{
	add_function(b, "Both", "a", "r,r");
	body(b, "Neg", "a", "r");
	call(b, "Both", "x", "u,z");
	b->graph.output[0]->name = build_str(b, "z");
}

/* Nobody calls it, so what its body says does not matter. */
CHANGE(never_called)
{
	add_function(b, "Idle", "a", "r");
	body(b, "Frobnicate", "a", "r");
}

/* ---- what is refused ----------------------------------------------------------- */

CHANGE(missing) { first_call(b)->op_type = build_str(b, "Acts"); }
CHANGE(other_domain) { first_call(b)->domain = build_str(b, "other"); }
CHANGE(other_overload) { first_call(b)->overload = build_str(b, "fast"); }
CHANGE(unnamed) { function(b)->name = NULL; }
CHANGE(name_control) { function(b)->name = build_str(b, "A\nB"); }
CHANGE(domain_control) { function(b)->domain = build_str(b, "A\nB"); }
CHANGE(overload_control) { function(b)->overload = build_str(b, "A\nB"); }
CHANGE(there_twice) { add_function(b, "Act", "a", "r"); }
CHANGE(too_many_inputs) { build_names(b, "x", &first_call(b)->n_input, &first_call(b)->input); }
CHANGE(too_many_outputs) { build_names(b, "u,v", &first_call(b)->n_output, &first_call(b)->output); }
CHANGE(no_outputs) { first_call(b)->output[0] = build_str(b, ""); }
CHANGE(needed_input_left_out) { first_call(b)->n_input = 1; }
CHANGE(unknown_attribute) { first_call(b)->attribute[0]->name = build_str(b, "slop"); }
CHANGE(refers_to_nothing) { function(b)->n_attribute = 0; first_call(b)->n_attribute = 0; }
CHANGE(refers_in_main) { first_call(b)->attribute[0]->ref_attr_name = build_str(b, "slope"); }
CHANGE(wrong_type) { first_call(b)->attribute[0]->type = ATTR(INT); }
CHANGE(unknown_name) { function(b)->node[1]->input[1] = build_str(b, "w"); }
CHANGE(not_produced) { function(b)->node[0]->output[0] = build_str(b, "q"); }
CHANGE(defined_twice) { function(b)->node[2]->output[0] = build_str(b, "t"); }
CHANGE(input_defined) { function(b)->node[2]->output[0] = build_str(b, "a"); }
CHANGE(no_opset) { function(b)->n_opset_import = 0; }
CHANGE(opset_22) { function(b)->opset_import[0]->version = 22; }
CHANGE(unknown_operator) { function(b)->node[2]->op_type = build_str(b, "Frobnicate"); }
CHANGE(long_local_name) { char *n = build_alloc(b, 512); memset(n, 'n', 511); function(b)->node[1]->output[0] = function(b)->node[0]->input[0] = function(b)->node[2]->input[0] = n; }

CHANGE(name_of_operator)
{
	function(b)->name = build_str(b, "Relu");
	function(b)->domain = NULL;
}

CHANGE(required_attribute_missing)
{
	add_function(b, "Join", "a", "r");
	BUILD_PUSH(b, function(b)->n_attribute, function(b)->attribute, build_str(b, "axis"));
	body(b, "Concat", "a,a", "r");
	build_attr(b, function(b)->node[0], "axis", ATTR(INT))->ref_attr_name = build_str(b, "axis");
	call(b, "Join", "x", "z");
}

CHANGE(handed_on_but_left_out)
{
	add_function(b, "Second", "a,b", "b");
	call(b, "Second", "x", "z");
}

CHANGE(calls_itself) { body_call(b, "Act", "r,n", "more"); }

CHANGE(circle)
{
	body_call(b, "Back", "r", "more");
	add_function(b, "Back", "a", "r");
	body_call(b, "Act", "a,a", "r");
}

/* A chain of calls, one deeper than is allowed. */
CHANGE(too_deep)
{
	char name[16], callee[16];

	for (int i = 0; i < 65; i++) {
		snprintf(name, sizeof(name), "F%d", i);
		snprintf(callee, sizeof(callee), "F%d", i - 1);
		add_function(b, name, "a", "r");
		if (i)
			body_call(b, callee, "a", "r");
		else
			body(b, "Neg", "a", "r");
	}
	call(b, name, "x", "z");
}

/* Each calls the one before twice: 2^40 nodes. */
CHANGE(bomb)
{
	char name[16], callee[16];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "F%d", i);
		snprintf(callee, sizeof(callee), "F%d", i - 1);
		add_function(b, name, "a", "r");
		for (int k = 0; i && k < 2; k++)
			body_call(b, callee, k ? "u" : "a", k ? "r" : "u");
		if (!i)
			body(b, "Neg", "a", "r");
	}
	call(b, name, "x", "z");
}

CHANGE(many_attributes)
{
	for (int i = 0; i < 65; i++)
		add_default(b, "slope", 1);
}
/* clang-format on */

static const struct row {
	const char *what;
	void (*change)(struct onnx_build *);
	float want[4]; /* the output for x = 1, when it is imported */
	int err;
	const char *needle, *needle2;
} rows[] = {
#define GOOD(f, ...) {#f, f, {__VA_ARGS__}, 0, "", ""}
#define BAD(f, err, ...) {#f, f, {0}, err, __VA_ARGS__}
	GOOD(as_it_is, 2, -0.5f, 4, -1.5f),
	GOOD(attribute_left_out, 2, -0.01f, 4, -0.03f),
	GOOD(second_output, -2, 1, -4, 3),
	GOOD(only_second_output, -2, 1, -4, 3),
	GOOD(name_taken, 2, -0.5f, 4, -1.5f),
	GOOD(other_opset, 2, -0.5f, 4, -1.5f),
	GOOD(unused_import, 2, -0.5f, 4, -1.5f),
	GOOD(default_used, 2, -0.25f, 4, -0.75f),
	GOOD(default_overridden, 2, -0.5f, 4, -1.5f),
	GOOD(overload, 0, 3, -2, 5),
	GOOD(twice, 3, -2.5f, 7, -5.5f),
	GOOD(nested, -2, 2, -4, 6),
	GOOD(optional_input_left_out, 1, 1, 1, 1),
	GOOD(trailing_inputs_left_out, 1, 1, 1, 1),
	GOOD(output_is_input, 1, -2, 3, -4),
	GOOD(output_listed_twice, -1, -1, -1, -1),
	GOOD(never_called, 2, -0.5f, 4, -1.5f),

	BAD(missing, -EOPNOTSUPP, "node 'y' (Acts", "no such function"),
	BAD(other_domain, -EOPNOTSUPP, "domain 'other'", "no such function"),
	BAD(other_overload, -EOPNOTSUPP, "domain 'local'", "no such function"),
	BAD(unnamed, -EINVAL, "function without a name", ""),
	BAD(name_control, -EINVAL, "function", "control character"),
	BAD(domain_control, -EINVAL, "domain of a function", "control character"),
	BAD(overload_control, -EINVAL, "overload of a function", "control character"),
	BAD(there_twice, -EINVAL, "function 'Act'", "twice"),
	BAD(name_of_operator, -EINVAL, "function 'Relu'", "name of an operator"),
	BAD(too_many_inputs, -EINVAL, "function 'Act', called by 'y'", "3 inputs"),
	BAD(too_many_outputs, -EINVAL, "function 'Act', called by 'y'", "3 outputs"),
	BAD(no_outputs, -EINVAL, "function 'Act'", "no output of the call is used"),
	BAD(needed_input_left_out, -EINVAL, "y/Add", "1 inputs"),
	BAD(unknown_attribute, -EINVAL, "function 'Act', called by 'y'", "no attribute 'slop'"),
	BAD(refers_to_nothing, -EINVAL, "attribute 'alpha'", "refers to 'slope'"),
	BAD(refers_in_main, -EINVAL, "attribute 'slope'", "the call is in none"),
	BAD(wrong_type, -EINVAL, "attribute 'alpha'", "another type than 'slope'"),
	BAD(required_attribute_missing, -EINVAL, "z/Concat", "attribute axis is missing"),
	BAD(unknown_name, -EINVAL, "function 'Act'", "'w' is no input"),
	BAD(not_produced, -EINVAL, "function 'Act'", "its output 'r'"),
	BAD(defined_twice, -EINVAL, "function 'Act'", "'t' is defined twice"),
	BAD(input_defined, -EINVAL, "function 'Act'", "'a' is defined twice"),
	BAD(handed_on_but_left_out, -EINVAL, "function 'Second'", "that the call leaves out"),
	BAD(no_opset, -EINVAL, "LeakyRelu", "no opset of the ONNX domain"),
	BAD(opset_22, -EOPNOTSUPP, "function 'Act'", "opset 22"),
	BAD(unknown_operator, -EOPNOTSUPP, "node 'y/Neg' (Frobnicate", "not supported"),
	BAD(long_local_name, -EINVAL, "longer than 512 bytes", ""),
	BAD(calls_itself, -ELOOP, "function 'Act'", "calls itself"),
	BAD(circle, -ELOOP, "function 'Act'", "calls itself"),
	BAD(too_deep, -EOPNOTSUPP, "nested more than 64", ""),
	BAD(bomb, -EOPNOTSUPP, "expand to more than 256 MiB", ""),
	BAD(many_attributes, -EINVAL, "function 'Act'", "66 attributes"),
};

static void check_result(const struct finf_graph *graph, const float *want)
{
	float ones[] = {1, 1, 1, 1};
	struct finf_tensor in = {.dtype = FINF_F32,
				 .shape = {.rank = 2, .dim = {1, 4}},
				 .data = ones,
				 .bytes = sizeof(ones)};
	struct finf_tensor out;

	ck_assert_uint_eq(graph->n_inputs, 1);
	ck_assert_uint_eq(graph->n_outputs, 1);
	ck_assert_int_eq(interp_run(graph, &in, &out), 0);
	ck_assert_int_eq(out.dtype, FINF_F32);
	for (int i = 0; i < 4; i++)
		ck_assert_float_eq_tol(((const float *)out.data)[i], want[i], 1e-6f);
	interp_free(&out, 1);
}

START_TEST(row)
{
	const struct row *r = &rows[_i];
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;
	int err;

	build_call(&b);
	r->change(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	err = finf_import_onnx(data, bytes, &graph, &diag);
	free(data);
	ck_assert_msg(err == r->err, "%s: %d, %s", r->what, err, diag.text);
	ck_assert_msg(strstr(diag.text, r->needle) && strstr(diag.text, r->needle2),
		      "%s: '%s' lacks '%s' or '%s'", r->what, diag.text, r->needle, r->needle2);
	ck_assert_msg(!err == (graph != NULL), "%s", r->what);
	if (!err)
		check_result(graph, r->want);
	finf_graph_free(graph);
}
END_TEST

/* Local names are new to the model, and say where they come from. */
START_TEST(names)
{
	static const char *const want[] = {"y/t", "y/n", "z/u", "z/u/t", "z/u/n"};
	struct finf_graph *graph;
	struct finf_diag diag;
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;
	uint32_t v;

	build_call(&b);
	nested(&b);
	name_taken(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	ck_assert_msg(!finf_import_onnx(data, bytes, &graph, &diag), "%s", diag.text);
	free(data);
	for (size_t i = 0; i < FINF_ARRAY_LEN(want); i++)
		ck_assert_msg(finf_graph_find(graph, want[i], &v), "%s", want[i]);
	ck_assert(finf_graph_find(graph, "y/t.2", &v));
	ck_assert_uint_eq(graph->n_nodes, 8);
	finf_graph_free(graph);
}
END_TEST

/* A few bytes replaced: any answer, but an answer. */
START_TEST(damage)
{
	uint64_t seed = 3;
	struct onnx_build b;
	uint8_t *data, *bad;
	size_t bytes;

	build_call(&b);
	nested(&b);
	default_used(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	bad = malloc(bytes);
	ck_assert_ptr_nonnull(bad);
	for (unsigned round = 0; round < 10000; round++) {
		unsigned n = 1 + test_random(&seed) % 4;
		struct finf_graph *graph = NULL;
		struct finf_diag diag = {""};
		int err;

		memcpy(bad, data, bytes);
		while (n--)
			bad[test_random(&seed) % bytes] = (uint8_t)test_random(&seed);
		err = finf_import_onnx(bad, bytes, &graph, &diag);
		ck_assert_int_le(err, 0);
		ck_assert(!err == (graph != NULL));
		ck_assert(!err || diag.text[0]);
		finf_graph_free(graph);
	}
	free(bad);
	free(data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/function");
	TCase *tc = tcase_create("function");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, names);
	tcase_add_test(tc, damage);
	suite_add_tcase(suite, tc);
	return suite;
}
