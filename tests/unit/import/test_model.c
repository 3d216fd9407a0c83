/* SPDX-License-Identifier: MIT */
/*
 * import: a sound model spoiled in one place per row, and the errno and words
 * that must come out; then random damage, of which only safety is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/op.h"
#include "import/import.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

/* clang-format off */
/* One line each where one line says it: these read as a table. */
#define SPOIL(name) static void name(struct onnx_build *b)
#define ATTR(t) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##t
#define DIMS(...) (const int64_t[]){__VA_ARGS__}

static Onnx__TensorProto *w(struct onnx_build *b)
{
	return b->graph.initializer[0];
}

static Onnx__NodeProto *node(struct onnx_build *b, unsigned i)
{
	return b->graph.node[i];
}

static Onnx__TypeProto__Tensor *x_type(struct onnx_build *b)
{
	return b->graph.input[0]->type->tensor_type;
}

static char *long_name(struct onnx_build *b, size_t len)
{
	char *name = build_alloc(b, len + 1);

	memset(name, 'n', len);
	return name;
}

/* ---- sound models --------------------------------------------------------- */

SPOIL(nothing) { (void)b; }
SPOIL(ai_onnx_domain) { b->opset->domain = build_str(b, "ai.onnx"); }
SPOIL(unused_domain) { build_opset(b, "ai.onnx.ml", 3); }
SPOIL(initialiser_is_input) { build_input(b, "w", FINF_F32, 2, DIMS(1, 4)); }
SPOIL(node_without_name) { node(b, 0)->name = NULL; }
SPOIL(longest_name) { node(b, 0)->name = long_name(b, 512); }
SPOIL(dynamic_batch) { x_type(b)->shape->dim[0]->value_case = 0; }
SPOIL(trailing_optional) { BUILD_PUSH(b, node(b, 1)->n_input, node(b, 1)->input, build_str(b, "")); }
SPOIL(output_is_input) { build_output(b, "x"); }
SPOIL(utf8_name) { node(b, 0)->name = build_str(b, "größe\xe2\x82\xac"); }

SPOIL(unsorted)
{
	Onnx__NodeProto *first = node(b, 0);

	b->graph.node[0] = node(b, 1);
	b->graph.node[1] = first;
}

SPOIL(float_data)
{
	static float values[] = {1, -2, 3, -4};

	w(b)->has_raw_data = 0;
	w(b)->n_float_data = 4;
	w(b)->float_data = values;
}

SPOIL(wrong_value_info)
{
	BUILD_PUSH(b, b->graph.n_value_info, b->graph.value_info,
		   build_info(b, "s", FINF_I64, 1, DIMS(77)));
}

/* ---- the model as a whole ------------------------------------------------- */

SPOIL(ir_2) { b->model.ir_version = 2; }
SPOIL(no_ir) { b->model.has_ir_version = 0; }
SPOIL(no_graph) { b->model.graph = NULL; }
SPOIL(no_opset) { b->model.n_opset_import = 0; }
SPOIL(other_opset_only) { b->opset->domain = build_str(b, "ai.onnx.ml"); }
SPOIL(opset_6) { b->opset->version = 6; }
SPOIL(opset_22) { b->opset->version = 22; }
SPOIL(opset_negative) { b->opset->version = INT64_MIN; }
SPOIL(two_opsets) { build_opset(b, "ai.onnx", 12); }
SPOIL(no_outputs) { b->graph.n_output = 0; }
SPOIL(graph_name) { b->graph.name = build_str(b, "a\x1b[2J"); }

SPOIL(training)
{
	Onnx__TrainingInfoProto *t =
		BUILD_NEW(b, Onnx__TrainingInfoProto, onnx__training_info_proto__init);

	BUILD_PUSH(b, b->model.n_training_info, b->model.training_info, t);
}

SPOIL(sparse)
{
	Onnx__SparseTensorProto *s =
		BUILD_NEW(b, Onnx__SparseTensorProto, onnx__sparse_tensor_proto__init);

	s->values = build_tensor(b, "thin", FINF_F32, 1, DIMS(1));
	BUILD_PUSH(b, b->graph.n_sparse_initializer, b->graph.sparse_initializer, s);
}

/* ---- initialisers ---------------------------------------------------------- */

SPOIL(missing_initialiser) { b->graph.n_initializer = 0; }
SPOIL(initialiser_twice) { build_initialiser(b, w(b)); }
SPOIL(initialiser_unnamed) { w(b)->name = NULL; }
SPOIL(float16) { w(b)->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16; }
SPOIL(strings) { w(b)->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING; }
SPOIL(dtype_77) { w(b)->data_type = 77; }
SPOIL(dtype_negative) { w(b)->data_type = INT32_MIN; }
SPOIL(dtype_none) { w(b)->has_data_type = 0, w(b)->data_type = 0; }
SPOIL(raw_short) { w(b)->raw_data.len = 15; }
SPOIL(raw_missing) { w(b)->has_raw_data = 0; }
SPOIL(dim_negative) { w(b)->dims[0] = -1; }
SPOIL(dims_overflow) { w(b)->dims[0] = w(b)->dims[1] = (int64_t)1 << 40; }
SPOIL(dims_huge) { w(b)->dims[0] = INT64_MAX; }
SPOIL(segment)
{
	w(b)->segment = BUILD_NEW(b, Onnx__TensorProto__Segment, onnx__tensor_proto__segment__init);
}

SPOIL(rank_9)
{
	for (int i = 0; i < 7; i++)
		BUILD_PUSH(b, w(b)->n_dims, w(b)->dims, 1);
}

SPOIL(external)
{
	w(b)->has_raw_data = 0;
	w(b)->has_data_location = 1;
	w(b)->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

SPOIL(external_path)
{
	Onnx__StringStringEntryProto *entry =
		BUILD_NEW(b, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);

	entry->key = build_str(b, "location");
	entry->value = build_str(b, "../../../etc/passwd");
	BUILD_PUSH(b, w(b)->n_external_data, w(b)->external_data, entry);
}

SPOIL(raw_and_typed)
{
	static float values[] = {1, 2, 3, 4};

	w(b)->n_float_data = 4;
	w(b)->float_data = values;
}

SPOIL(typed_short)
{
	float_data(b);
	w(b)->n_float_data = 3;
}

SPOIL(typed_in_wrong_field)
{
	static int64_t values[] = {1, 2, 3, 4};

	w(b)->has_raw_data = 0;
	w(b)->n_int64_data = 4;
	w(b)->int64_data = values;
}

SPOIL(uint8_300)
{
	static int32_t values[] = {1, 2, 300, 4};

	w(b)->has_raw_data = 0;
	w(b)->data_type = FINF_U8;
	w(b)->n_int32_data = 4;
	w(b)->int32_data = values;
}

/* ---- inputs and outputs ------------------------------------------------------ */

SPOIL(input_twice) { build_input(b, "x", FINF_F32, 2, DIMS(1, 4)); }
SPOIL(input_unnamed) { b->graph.input[0]->name = NULL; }
SPOIL(input_empty_name) { b->graph.input[0]->name = build_str(b, ""); }
SPOIL(input_control) { b->graph.input[0]->name = build_str(b, "x\ny"); }
SPOIL(input_c1_control) { b->graph.input[0]->name = build_str(b, "x\xc2\x9b"); }
SPOIL(input_not_utf8) { b->graph.input[0]->name = build_str(b, "x\xff"); }
SPOIL(input_overlong_utf8) { b->graph.input[0]->name = build_str(b, "x\xc0\xaf"); }
SPOIL(input_cut_utf8) { b->graph.input[0]->name = build_str(b, "x\xe2\x82"); }
SPOIL(input_long_name) { b->graph.input[0]->name = long_name(b, 513); }
SPOIL(input_untyped) { b->graph.input[0]->type = NULL; }
SPOIL(input_no_shape) { x_type(b)->shape = NULL; }
SPOIL(input_float16) { x_type(b)->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16; }
SPOIL(input_dim_negative) { x_type(b)->shape->dim[1]->dim_value = -4; }
SPOIL(output_unknown) { build_output(b, "nowhere"); }
SPOIL(output_twice) { build_output(b, "y"); }
SPOIL(output_unnamed) { b->graph.output[0]->name = NULL; }

SPOIL(input_dims_overflow)
{
	x_type(b)->shape->dim[0]->dim_value = INT64_MAX;
	x_type(b)->shape->dim[1]->dim_value = INT64_MAX;
}

SPOIL(input_sequence)
{
	Onnx__TypeProto *t = b->graph.input[0]->type;

	t->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
	t->sequence_type =
		BUILD_NEW(b, Onnx__TypeProto__Sequence, onnx__type_proto__sequence__init);
}

SPOIL(shapes_contradict)
{
	x_type(b)->shape->dim[1]->dim_value = 5;
}

/* ---- nodes --------------------------------------------------------------------- */

SPOIL(unknown_op) { node(b, 1)->op_type = build_str(b, "Frobnicate"); }
SPOIL(op_missing) { node(b, 1)->op_type = NULL; }
SPOIL(op_control) { node(b, 1)->op_type = build_str(b, "Re\tlu"); }
SPOIL(loop) { node(b, 1)->op_type = build_str(b, "Loop"); }
SPOIL(scan) { node(b, 1)->op_type = build_str(b, "Scan"); }
SPOIL(domain) { node(b, 1)->domain = build_str(b, "com.microsoft"); }
SPOIL(undefined_input) { node(b, 1)->input[0] = build_str(b, "ghost"); }
SPOIL(too_many_inputs) { build_names(b, "x", &node(b, 1)->n_input, &node(b, 1)->input); }
SPOIL(too_few_inputs) { node(b, 0)->n_input = 1; }
SPOIL(output_defined_twice) { build_node(b, "Relu", "again", "x", "y"); }
SPOIL(output_is_initialiser) { build_node(b, "Relu", "over", "x", "w"); }
SPOIL(output_control) { node(b, 0)->output[0] = build_str(b, "s\x7f"); }
SPOIL(node_control) { node(b, 0)->name = build_str(b, "su\x01m"); }
SPOIL(self_loop) { build_node(b, "Relu", "ouroboros", "z", "z"); }
SPOIL(attr_unknown) { build_attr(b, node(b, 1), "sharpness", ATTR(INT))->has_i = 1; }
SPOIL(attr_unnamed) { build_attr(b, node(b, 1), "", ATTR(INT)); }
SPOIL(attr_graphs) { build_attr(b, node(b, 1), "bodies", ATTR(GRAPHS)); }
SPOIL(attr_strings) { build_attr(b, node(b, 1), "names", ATTR(STRINGS)); }
SPOIL(attr_type_99) { build_attr(b, node(b, 1), "odd", 99); }
SPOIL(attr_tensor_missing) { build_attr(b, node(b, 1), "value", ATTR(TENSOR)); }

SPOIL(if_subgraph)
{
	node(b, 1)->op_type = build_str(b, "If");
	build_attr(b, node(b, 1), "then_branch", ATTR(GRAPH))->g =
		BUILD_NEW(b, Onnx__GraphProto, onnx__graph_proto__init);
}

SPOIL(attr_graph)
{
	build_attr(b, node(b, 1), "body", ATTR(GRAPH))->g =
		BUILD_NEW(b, Onnx__GraphProto, onnx__graph_proto__init);
}

SPOIL(attr_twice)
{
	build_attr(b, node(b, 1), "alpha", ATTR(FLOAT));
	build_attr(b, node(b, 1), "alpha", ATTR(FLOAT));
}

SPOIL(attr_of_function)
{
	build_attr(b, node(b, 1), "alpha", ATTR(FLOAT))->ref_attr_name = build_str(b, "a");
}

SPOIL(attr_string_nul)
{
	Onnx__AttributeProto *a = build_attr(b, node(b, 1), "mode", ATTR(STRING));

	a->has_s = 1;
	a->s.len = 3;
	a->s.data = (uint8_t *)build_str(b, "a?b");
	a->s.data[1] = 0;
}

SPOIL(attr_tensor_external)
{
	Onnx__TensorProto *t = build_tensor(b, "far", FINF_F32, 1, DIMS(4));

	t->has_data_location = 1;
	t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	build_attr(b, node(b, 1), "value", ATTR(TENSOR))->t = t;
}

SPOIL(many_attrs)
{
	for (int i = 0; i < 65; i++)
		build_attr(b, node(b, 1), "alpha", ATTR(FLOAT));
}

SPOIL(cycle)
{
	node(b, 0)->input[1] = build_str(b, "y");
}

/* clang-format on */

static const struct row {
	const char *what;
	void (*spoil)(struct onnx_build *);
	int err;
	const char *needle, *needle2;
} rows[] = {
#define ROW(f, ...)                                                                                \
	{                                                                                          \
#f, f, __VA_ARGS__                                                                 \
	}
	ROW(nothing, 0, "", ""),
	ROW(ai_onnx_domain, 0, "", ""),
	ROW(unused_domain, 0, "", ""),
	ROW(initialiser_is_input, 0, "", ""),
	ROW(node_without_name, 0, "", ""),
	ROW(longest_name, 0, "", ""),
	ROW(dynamic_batch, 0, "", ""),
	ROW(trailing_optional, 0, "", ""),
	ROW(output_is_input, 0, "", ""),
	ROW(utf8_name, 0, "", ""),
	ROW(unsorted, 0, "", ""),
	ROW(float_data, 0, "", ""),
	ROW(wrong_value_info, 0, "", ""),

	ROW(ir_2, -EOPNOTSUPP, "IR version 2", "3 and later"),
	ROW(no_ir, -EBADMSG, "not an ONNX model", "IR version"),
	ROW(no_graph, -EBADMSG, "not an ONNX model", "graph"),
	ROW(no_opset, -EINVAL, "no opset", ""),
	ROW(other_opset_only, -EINVAL, "no opset", ""),
	ROW(opset_6, -EOPNOTSUPP, "opset 6", "7 to 21"),
	ROW(opset_22, -EOPNOTSUPP, "opset 22", "7 to 21"),
	ROW(opset_negative, -EOPNOTSUPP, "opset -9223372036854775808", "7 to 21"),
	ROW(two_opsets, -EINVAL, "opsets 13 and 12", ""),
	ROW(no_outputs, -EINVAL, "no outputs", ""),
	ROW(graph_name, -EINVAL, "graph", "control character"),
	ROW(training, -EOPNOTSUPP, "training info", ""),
	ROW(sparse, -EOPNOTSUPP, "'thin'", "sparse"),

	ROW(missing_initialiser, -EINVAL, "node 'sum' (Add, opset 13)", "'w' is no input"),
	ROW(initialiser_twice, -EINVAL, "initialiser 'w'", "taken"),
	ROW(initialiser_unnamed, -EINVAL, "initialiser without a name", ""),
	ROW(float16, -EINVAL, "tensor 'w'", "16 bytes of raw data"),
	ROW(strings, -EOPNOTSUPP, "tensor 'w'", "string"),
	ROW(dtype_77, -EOPNOTSUPP, "tensor 'w'", "77"),
	ROW(dtype_negative, -EOPNOTSUPP, "tensor 'w'", "-2147483648"),
	ROW(dtype_none, -EINVAL, "tensor 'w'", "no element type"),
	ROW(raw_short, -EINVAL, "tensor 'w'", "15 bytes of raw data, its dims say 16"),
	ROW(raw_missing, -EINVAL, "tensor 'w'", "0 elements of float32 data, its dims say 4"),
	ROW(dim_negative, -EINVAL, "tensor 'w'", "negative dimension -1"),
	ROW(dims_overflow, -EINVAL, "tensor 'w'", "too many elements"),
	ROW(dims_huge, -EINVAL, "tensor 'w'", "too many elements"),
	ROW(segment, -EOPNOTSUPP, "tensor 'w'", "segment"),
	ROW(rank_9, -EOPNOTSUPP, "tensor 'w'", "rank 9"),
	ROW(external, -EINVAL, "tensor 'w'", "external data"),
	ROW(external_path, -EINVAL, "tensor 'w'", "external data"),
	ROW(raw_and_typed, -EINVAL, "tensor 'w'", "raw and typed"),
	ROW(typed_short, -EINVAL, "tensor 'w'", "3 elements of float32"),
	ROW(typed_in_wrong_field, -EINVAL, "tensor 'w'", "0 elements of float32"),
	ROW(uint8_300, -EINVAL, "tensor 'w'", "300 is not a value of uint8"),

	ROW(input_twice, -EINVAL, "input 'x'", "taken"),
	ROW(input_unnamed, -EINVAL, "input without a name", ""),
	ROW(input_empty_name, -EINVAL, "input without a name", ""),
	ROW(input_control, -EINVAL, "input 'x?y'", "control character"),
	ROW(input_c1_control, -EINVAL, "input", "control character"),
	ROW(input_not_utf8, -EINVAL, "input", "not UTF-8"),
	ROW(input_overlong_utf8, -EINVAL, "input", "not UTF-8"),
	ROW(input_cut_utf8, -EINVAL, "input", "not UTF-8"),
	ROW(input_long_name, -EINVAL, "input", "longer than 512 bytes"),
	ROW(input_untyped, -EOPNOTSUPP, "input 'x'", "not a tensor"),
	ROW(input_sequence, -EOPNOTSUPP, "input 'x'", "not a tensor"),
	ROW(input_no_shape, -EOPNOTSUPP, "input 'x'", "no shape"),
	ROW(input_float16, -EOPNOTSUPP, "input 'x'", "float16"),
	ROW(input_dim_negative, -EINVAL, "input 'x'", "negative dimension -4"),
	ROW(input_dims_overflow, -EINVAL, "input 'x'", "too many elements"),
	ROW(shapes_contradict, -EINVAL, "sum", "Add"),
	ROW(output_unknown, -EINVAL, "graph output 'nowhere'", "no node"),
	ROW(output_twice, -EINVAL, "graph output 'y'", "twice"),
	ROW(output_unnamed, -EINVAL, "graph output without a name", ""),

	ROW(unknown_op, -EOPNOTSUPP, "node 'act' (Frobnicate, opset 13)", "not supported"),
	ROW(op_missing, -EINVAL, "node 'act'", "operator without a name"),
	ROW(op_control, -EINVAL, "node 'act'", "control character"),
	ROW(if_subgraph, -EOPNOTSUPP, "node 'act' (If, opset 13)", "not supported"),
	ROW(loop, -EOPNOTSUPP, "node 'act' (Loop, opset 13)", "not supported"),
	ROW(scan, -EOPNOTSUPP, "node 'act' (Scan, opset 13)", "not supported"),
	ROW(domain, -EOPNOTSUPP, "node 'act' (Relu, opset 13)", "domain 'com.microsoft'"),
	ROW(undefined_input, -EINVAL, "node 'act'", "'ghost' is no input"),
	ROW(too_many_inputs, -EINVAL, "node 'act' (Relu, opset 13)", "2 inputs"),
	ROW(too_few_inputs, -EINVAL, "node 'sum' (Add, opset 13)", "1 inputs"),
	ROW(output_defined_twice, -EINVAL, "node 'again'", "'y' has a name that is taken"),
	ROW(output_is_initialiser, -EINVAL, "node 'over'", "'w' has a name that is taken"),
	ROW(output_control, -EINVAL, "node 'sum'", "control character"),
	ROW(node_control, -EINVAL, "node 'su?m'", "control character"),
	ROW(attr_unknown, -EOPNOTSUPP, "act", "sharpness"),
	ROW(attr_unnamed, -EINVAL, "node 'act'", "attribute without a name"),
	ROW(attr_graph, -EOPNOTSUPP, "node 'act'", "'body' is a subgraph"),
	ROW(attr_graphs, -EOPNOTSUPP, "node 'act'", "'bodies' is a subgraph"),
	ROW(attr_strings, -EOPNOTSUPP, "node 'act'", "list of strings"),
	ROW(attr_type_99, -EOPNOTSUPP, "node 'act'", "unknown type"),
	ROW(attr_tensor_missing, -EINVAL, "node 'act'", "lacks its tensor"),
	ROW(attr_tensor_external, -EINVAL, "node 'act'", "external data"),
	ROW(attr_twice, -EINVAL, "node 'act'", "'alpha' is given twice"),
	ROW(attr_of_function, -EINVAL, "node 'act'", "refers to a function"),
	ROW(attr_string_nul, -EINVAL, "node 'act'", "NUL"),
	ROW(many_attrs, -EINVAL, "node 'act'", "65 attributes"),
	ROW(cycle, -ELOOP, "Add", "own output"),
	ROW(self_loop, -ELOOP, "ouroboros", "own output"),
};

/* From memory and from a file, with the same answer and no descriptor left open. */
START_TEST(row)
{
	const struct row *r = &rows[_i];
	const char *path = scratch_path("model.onnx");
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	struct onnx_build b;
	int before, err, fd;
	uint8_t *data;
	size_t bytes;

	build_sample(&b);
	r->spoil(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	err = finf_import_onnx(data, bytes, &graph, &diag);
	ck_assert_msg(err == r->err, "%s: %d, %s", r->what, err, diag.text);
	ck_assert_msg(strstr(diag.text, r->needle) && strstr(diag.text, r->needle2),
		      "%s: '%s' lacks '%s' or '%s'", r->what, diag.text, r->needle, r->needle2);
	ck_assert_msg(!err == (graph != NULL), "%s", r->what);
	finf_graph_free(graph);

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
	free(data);
	before = open_descriptors();
	graph = NULL;
	ck_assert_int_eq(finf_import_file(path, &graph, &diag), r->err);
	ck_assert_int_eq(open_descriptors(), before);
	if (r->err)
		ck_assert_msg(strstr(diag.text, "model.onnx") != NULL, "%s", diag.text);
	finf_graph_free(graph);
}
END_TEST

/* What the sample must look like once it is a graph. */
START_TEST(sample)
{
	static const float want[] = {1, -2, 3, -4};
	struct finf_graph *graph;
	struct finf_diag diag;
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;
	uint32_t v;

	build_sample(&b);
	initialiser_is_input(&b);
	x_type(&b)->shape->dim[0]->value_case = 0;
	data = build_pack(&b, &bytes);
	build_fini(&b);
	ck_assert_msg(!finf_import_onnx(data, bytes, &graph, &diag), "%s", diag.text);
	memset(data, 0xee, bytes); /* nothing may be borrowed from the caller */
	free(data);

	ck_assert_str_eq(graph->name, "test");
	ck_assert_uint_eq(graph->n_nodes, 2);
	ck_assert_str_eq(graph->nodes[0].name, "sum");
	ck_assert_str_eq(graph->nodes[1].op->name, "Relu");
	ck_assert_uint_eq(graph->nodes[1].opset, 13);
	ck_assert_uint_eq(graph->n_inputs, 1);
	ck_assert_uint_eq(graph->n_outputs, 1);
	v = graph->inputs[0];
	ck_assert_str_eq(graph->values[v].name, "x");
	ck_assert_int_eq(graph->values[v].shape.dim[0], FINF_DIM_ANY);
	ck_assert(finf_graph_find(graph, "w", &v));
	ck_assert(graph->values[v].is_const && !graph->values[v].is_input);
	ck_assert_mem_eq(graph->values[v].data, want, sizeof(want));
	v = graph->outputs[0];
	ck_assert_str_eq(graph->values[v].name, "y");
	ck_assert_int_eq(graph->values[v].dtype, FINF_F32);
	ck_assert(graph->values[v].has_shape);
	ck_assert_int_eq(graph->values[v].shape.dim[0], FINF_DIM_ANY);
	ck_assert_int_eq(graph->values[v].shape.dim[1], 4);
	finf_graph_free(graph);
}
END_TEST

/* ---- damage at random: any answer, but an answer -------------------------------- */

static void must_answer(const uint8_t *data, size_t bytes)
{
	uint8_t *exact = malloc(bytes ? bytes : 1); /* ASan sees a read past the end */
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	int err;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, data, bytes);
	err = finf_import_onnx(exact, bytes, &graph, &diag);
	ck_assert_int_le(err, 0);
	ck_assert(!err == (graph != NULL));
	ck_assert(!err || diag.text[0]);
	finf_graph_free(graph);
	free(exact);
}

START_TEST(every_cut)
{
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;

	build_sample(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	for (size_t cut = 0; cut < bytes; cut++)
		must_answer(data, cut);
	free(data);
}
END_TEST

START_TEST(every_bit)
{
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;

	build_sample(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must_answer(data, bytes);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(data);
}
END_TEST

START_TEST(random_bytes)
{
	uint64_t seed = 1;
	uint8_t noise[256];

	for (unsigned round = 0; round < 20000; round++) {
		size_t bytes = test_random(&seed) % sizeof(noise);

		for (size_t i = 0; i < bytes; i++)
			noise[i] = (uint8_t)test_random(&seed);
		must_answer(noise, bytes);
	}
}
END_TEST

/* Several bytes of a sound model replaced: gets deeper than noise does. */
START_TEST(random_damage)
{
	uint64_t seed = 2;
	struct onnx_build b;
	uint8_t *data, *bad;
	size_t bytes;

	build_sample(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	bad = malloc(bytes);
	ck_assert_ptr_nonnull(bad);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned n = 1 + test_random(&seed) % 4;

		memcpy(bad, data, bytes);
		while (n--)
			bad[test_random(&seed) % bytes] = (uint8_t)test_random(&seed);
		must_answer(bad, bytes);
	}
	free(bad);
	free(data);
}
END_TEST

/* ---- files that are none ---------------------------------------------------------- */

START_TEST(not_a_file)
{
	const char *fifo = scratch_path("fifo"), *empty = scratch_path("empty");
	const struct {
		const char *path;
		int err;
		const char *needle;
	} files[] = {
		{"/nonexistent/model.onnx", -ENOENT, "/nonexistent/model.onnx"},
		{scratch_dir(), -EINVAL, "not a regular file"},
		{fifo, -EINVAL, "not a regular file"},
		{"/dev/null", -EINVAL, "not a regular file"},
		{empty, -EBADMSG, "empty"},
	};
	int before = open_descriptors(), fd;

	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	fd = open(empty, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	for (unsigned i = 0; i < FINF_ARRAY_LEN(files); i++) {
		struct finf_graph *graph = NULL;
		struct finf_diag diag = {""};

		ck_assert_int_eq(finf_import_file(files[i].path, &graph, &diag), files[i].err);
		ck_assert_msg(strstr(diag.text, files[i].needle) != NULL, "%s", diag.text);
		ck_assert_ptr_null(graph);
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, sample);
	tcase_add_loop_test(tc, row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, every_cut);
	tcase_add_test(tc, every_bit);
	tcase_add_test(tc, random_bytes);
	tcase_add_test(tc, random_damage);
	tcase_add_test(tc, not_a_file);
	suite_add_tcase(suite, tc);
	return suite;
}
