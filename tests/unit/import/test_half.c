/* SPDX-License-Identifier: MIT */
/*
 * import: inputs and outputs of 16 bits. What the graph's edges are, what the
 * inside is, and which values are rounded on the way.
 */
#include <errno.h>

#include "base/half.h"
#include "graph/op.h"
#include "import/import.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

/* clang-format off */
#define CHANGE(name) static void name(struct onnx_build *b)
#define DIMS(...) (const int64_t[]){__VA_ARGS__}
#define THIRD 0x3555 /* nearest to 1/3 */

/* x[4] float16 -> Mul by w = 1/3 -> y float16 */
static void build_half(struct onnx_build *b)
{
	Onnx__TensorProto *t;

	build_init(b, 13);
	build_input(b, "x", FINF_F16, 1, DIMS(4));
	t = build_tensor(b, "w", FINF_F16, 1, DIMS(1));
	build_raw(b, t, (const uint16_t[]){THIRD}, 2);
	build_initialiser(b, t);
	build_node(b, "Mul", "mul", "x,w", "y");
	BUILD_PUSH(b, b->graph.n_output, b->graph.output, build_info(b, "y", FINF_F16, 1, DIMS(4)));
}

static void add_output(struct onnx_build *b, const char *name, int32_t type)
{
	BUILD_PUSH(b, b->graph.n_output, b->graph.output, build_info(b, name, type, 1, DIMS(4)));
}

static void cast(struct onnx_build *b, const char *from, const char *to, int32_t type)
{
	Onnx__AttributeProto *a = build_attr(b, build_node(b, "Cast", "", from, to), "to",
					     ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	a->has_i = 1;
	a->i = type;
}

CHANGE(as_it_is) { (void)b; }
CHANGE(input_goes_out) { b->graph.output[0]->name = build_str(b, "x"); }
CHANGE(edges_read_inside) { build_node(b, "Neg", "", "y", "z"); add_output(b, "z", FINF_F32); }
CHANGE(names_taken) { build_node(b, "Neg", "", "x", "x/float32"); add_output(b, "x/float32", FINF_F16); }
CHANGE(cast_rounds) { cast(b, "y", "z", FINF_F16); add_output(b, "z", FINF_F32); }
CHANGE(cast_to_an_output) { cast(b, "y", "z", FINF_BF16); add_output(b, "z", FINF_BF16); }
CHANGE(output_undeclared) { b->graph.output[0]->type = NULL; }
CHANGE(weight_goes_out) { add_output(b, "w", FINF_F16); }
CHANGE(integers_go_out) { build_node(b, "Shape", "", "x", "s"); add_output(b, "s", FINF_F16); }
CHANGE(cast_of_two) { cast(b, "y", "z", FINF_F16); build_names(b, "q", &b->graph.node[1]->n_output, &b->graph.node[1]->output); }
/* clang-format on */

static const struct row {
	const char *what;
	void (*change)(struct onnx_build *);
	uint32_t n_nodes;
	enum finf_dtype last; /* dtype of the last output */
	double want[2];	      /* of it, for x = 1 and 3 */
	int err;
	const char *needle;
} rows[] = {
#define ROW(f, ...)                                                                                \
	{                                                                                          \
#f, f, __VA_ARGS__                                                                 \
	}
#define H(x) ((x) == 1 ? 0x1.554p-2 : 0x1.ffep-1) /* times w; 3 w is halfway below 1 in float16 */
	ROW(as_it_is, 3, FINF_F16, {H(1), 1}, 0, ""),
	ROW(input_goes_out, 2, FINF_F16, {1, 3}, 0, ""),
	ROW(edges_read_inside, 4, FINF_F32, {-H(1), -H(3)}, 0, ""),
	ROW(names_taken, 5, FINF_F16, {-1, -3}, 0, ""),
	ROW(cast_rounds, 5, FINF_F32, {H(1), 1}, 0, ""),
	ROW(cast_to_an_output, 6, FINF_BF16, {0x1.56p-2, 1}, 0, ""),
	ROW(output_undeclared, 2, FINF_F32, {H(1), H(3)}, 0, ""),
	ROW(weight_goes_out, 0, 0, {0}, -EOPNOTSUPP, "output 'w' is an initialiser and float16"),
	ROW(integers_go_out, 0, 0, {0}, -EINVAL, "comes out as int64"),
	ROW(cast_of_two, 0, 0, {0}, -EINVAL, "2 outputs"),
};

static double at(const struct finf_tensor *t, size_t i)
{
	uint16_t bits;

	if (t->dtype == FINF_F32)
		return (double)((const float *)t->data)[i];
	memcpy(&bits, (const uint16_t *)t->data + i, sizeof(bits));
	return (double)(t->dtype == FINF_F16 ? finf_half_value(bits) : finf_brain_value(bits));
}

static void check_graph(const struct finf_graph *graph, const struct row *r)
{
	uint16_t x[] = {0x3c00, 0x4200, 0, 0};
	struct finf_tensor out[4], in = {.dtype = FINF_F16,
					 .shape = {.rank = 1, .dim = {4}},
					 .data = x,
					 .bytes = sizeof(x)};
	const struct finf_tensor *last = &out[graph->n_outputs - 1];
	uint32_t w;

	ck_assert_uint_le(graph->n_outputs, 4);
	ck_assert_int_eq(graph->values[graph->inputs[0]].dtype, FINF_F16);
	ck_assert_str_eq(graph->values[graph->inputs[0]].name, "x");
	ck_assert_msg(graph->n_nodes == r->n_nodes, "%s: %u nodes", r->what, graph->n_nodes);
	ck_assert(finf_graph_find(graph, "w", &w));
	ck_assert_int_eq(graph->values[w].dtype, FINF_F32);
	ck_assert_int_eq(interp_run(graph, &in, out), 0);
	ck_assert_int_eq(last->dtype, r->last);
	for (size_t i = 0; i < 2; i++)
		ck_assert_msg(at(last, i) == r->want[i], "%s: %g, not %g", r->what, at(last, i),
			      r->want[i]);
	interp_free(out, graph->n_outputs);
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

	build_half(&b);
	r->change(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	err = finf_import_onnx(data, bytes, &graph, &diag);
	free(data);
	ck_assert_msg(err == r->err, "%s: %d, %s", r->what, err, diag.text);
	ck_assert_msg(strstr(diag.text, r->needle) != NULL, "%s: '%s' lacks '%s'", r->what,
		      diag.text, r->needle);
	if (!err)
		check_graph(graph, r);
	finf_graph_free(graph);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/half");
	TCase *tc = tcase_create("half");

	tcase_add_loop_test(tc, row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tc);
	return suite;
}
