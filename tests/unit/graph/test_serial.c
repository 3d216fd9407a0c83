/* SPDX-License-Identifier: MIT */
/* graph: to bytes and back; damaged bytes give an error and nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "tests/support/support.h"

#define SHAPE(...)                                                                                 \
	((struct finf_shape){.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),           \
			     .dim = {__VA_ARGS__}})

static struct finf_graph *graph;
static struct finf_buf buf;
static struct finf_diag diag;

static uint32_t value(const char *name, enum finf_dtype dtype, const struct finf_shape *shape)
{
	uint32_t v;

	ck_assert_int_eq(finf_graph_value(graph, name, dtype, shape, &v), 0);
	return v;
}

static uint32_t constant(const char *name, enum finf_dtype dtype, struct finf_shape shape,
			 const void *data)
{
	uint32_t v = value(name, dtype, &shape);
	size_t bytes;

	ck_assert_int_eq(finf_tensor_bytes(dtype, &shape, &bytes), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, v, data, bytes, true), 0);
	return v;
}

/* Every kind of value, every type of attribute, an input left out, an activation. */
static void setup(void)
{
	static const float big[32] = {1, 2, 3};
	static const int64_t many[20] = {[19] = -7};
	const struct finf_tensor tensor = {
		.dtype = FINF_F32, .shape = SHAPE(2), .data = (float[]){5, 6}, .bytes = 8};
	const struct finf_attr to = {.name = "value", .type = FINF_ATTR_TENSOR, .t = &tensor};
	const struct finf_attr ints = {.name = "value_ints",
				       .type = FINF_ATTR_INTS,
				       .n = 2,
				       .ints = (int64_t[]){-1, INT64_MAX}};
	const struct finf_attr floats = {.name = "value_floats",
					 .type = FINF_ATTR_FLOATS,
					 .n = 2,
					 .floats = (float[]){0.25f, -0.0f}};
	const struct finf_attr mode = {
		.name = "mode", .type = FINF_ATTR_STRING, .n = 4, .s = "edge"};
	const struct finf_attr axis = {.name = "axis", .type = FINF_ATTR_INT, .i = -1};
	const struct finf_attr ratio = {.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 0.125f};
	struct finf_shape any = SHAPE(FINF_DIM_ANY, 16);
	const struct finf_op *constant_op, *pad, *leaky, *softmax;
	uint32_t x, pads, c[3], padded, soft, y, index;

	ck_assert_int_eq(finf_graph_new("all kinds", &graph), 0);
	x = value("x", FINF_F32, &any);
	ck_assert_int_eq(finf_graph_input(graph, x), 0);
	pads = constant("pads", FINF_I64, SHAPE(4), (int64_t[]){0, 1, 0, 1});
	constant("big", FINF_F32, SHAPE(32), big);
	constant("small", FINF_F32, SHAPE(16), big);
	constant("many", FINF_I64, SHAPE(20), many);
	c[0] = value("c0", FINF_F32, NULL);
	c[1] = value("c1", FINF_DTYPE_NONE, NULL);
	c[2] = value("c2", FINF_DTYPE_NONE, NULL);
	padded = value("padded", FINF_F32, NULL);
	soft = value("soft", FINF_F32, NULL);
	y = value("y \xc3\xa9", FINF_F32, NULL);
	constant_op = finf_op_find("Constant");
	pad = finf_op_find("Pad");
	leaky = finf_op_find("LeakyRelu");
	softmax = finf_op_find("Softmax");
	ck_assert_int_eq(
		finf_graph_node(graph, constant_op, 13, "k0", NULL, 0, &c[0], 1, &to, 1, NULL), 0);
	ck_assert_int_eq(
		finf_graph_node(graph, constant_op, 13, "k1", NULL, 0, &c[1], 1, &ints, 1, NULL),
		0);
	ck_assert_int_eq(
		finf_graph_node(graph, constant_op, 13, "k2", NULL, 0, &c[2], 1, &floats, 1, NULL),
		0);
	ck_assert_int_eq(finf_graph_node(graph, pad, 13, "pad", (uint32_t[]){x, pads, FINF_NONE}, 3,
					 &padded, 1, &mode, 1, NULL),
			 0);
	ck_assert_int_eq(finf_graph_node(graph, softmax, 13, "softmax", &padded, 1, &soft, 1, &axis,
					 1, NULL),
			 0);
	ck_assert_int_eq(
		finf_graph_node(graph, leaky, 13, "leaky", &soft, 1, &y, 1, &ratio, 1, &index), 0);
	graph->nodes[index].act = FINF_ACT_CLIP;
	graph->nodes[index].act_a = -1;
	graph->nodes[index].act_b = 6;
	ck_assert_int_eq(finf_graph_output(graph, y), 0);
	ck_assert_int_eq(finf_graph_output(graph, c[1]), 0);
	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s", diag.text);
	finf_buf_init(&buf);
	finf_graph_write(graph, &buf);
	ck_assert_int_eq(buf.err, 0);
}

static void teardown(void)
{
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}

/* ---- round trip -------------------------------------------------------------------- */

static void same_value(const struct finf_value *a, const struct finf_value *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_int_eq(a->dtype, b->dtype);
	ck_assert_int_eq(a->has_shape, b->has_shape);
	if (a->has_shape)
		ck_assert(finf_shape_equal(&a->shape, &b->shape));
	ck_assert_int_eq(a->is_input, b->is_input);
	ck_assert_int_eq(a->is_const, b->is_const);
	ck_assert_uint_eq(a->producer, b->producer);
	if (!a->is_const)
		return;
	ck_assert_uint_eq(a->bytes, b->bytes);
	if (finf_graph_const_inline(a))
		ck_assert_mem_eq(a->data, b->data, a->bytes);
	else
		ck_assert_ptr_null(b->data);
}

static void same_attr(const struct finf_attr *a, const struct finf_attr *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_int_eq(a->type, b->type);
	ck_assert_uint_eq(a->n, b->n);
	switch (a->type) {
	case FINF_ATTR_INT:
		ck_assert_int_eq(a->i, b->i);
		break;
	case FINF_ATTR_FLOAT:
		ck_assert_mem_eq(&a->f, &b->f, sizeof(a->f));
		break;
	case FINF_ATTR_STRING:
		ck_assert_str_eq(a->s, b->s);
		break;
	case FINF_ATTR_INTS:
		ck_assert_mem_eq(a->ints, b->ints, a->n * sizeof(*a->ints));
		break;
	case FINF_ATTR_FLOATS:
		ck_assert_mem_eq(a->floats, b->floats, a->n * sizeof(*a->floats));
		break;
	case FINF_ATTR_TENSOR:
		ck_assert_int_eq(a->t->dtype, b->t->dtype);
		ck_assert(finf_shape_equal(&a->t->shape, &b->t->shape));
		ck_assert_uint_eq(a->t->bytes, b->t->bytes);
		ck_assert_mem_eq(a->t->data, b->t->data, a->t->bytes);
		break;
	}
}

static void same_node(const struct finf_node *a, const struct finf_node *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_ptr_eq(a->op, b->op);
	ck_assert_uint_eq(a->opset, b->opset);
	ck_assert_uint_eq(a->n_in, b->n_in);
	ck_assert_uint_eq(a->n_out, b->n_out);
	ck_assert_uint_eq(a->n_attrs, b->n_attrs);
	for (uint32_t i = 0; i < a->n_in; i++)
		ck_assert_uint_eq(a->in[i], b->in[i]);
	for (uint32_t i = 0; i < a->n_out; i++)
		ck_assert_uint_eq(a->out[i], b->out[i]);
	for (uint32_t i = 0; i < a->n_attrs; i++)
		same_attr(&a->attrs[i], &b->attrs[i]);
	ck_assert_int_eq(a->act, b->act);
	ck_assert_float_eq(a->act_a, b->act_a);
	ck_assert_float_eq(a->act_b, b->act_b);
}

START_TEST(test_round_trip)
{
	struct finf_graph *back;
	struct finf_buf again;

	ck_assert_msg(!finf_graph_read(buf.data, buf.len, &back, &diag), "%s", diag.text);
	ck_assert_str_eq(back->name, graph->name);
	ck_assert_uint_eq(back->n_values, graph->n_values);
	ck_assert_uint_eq(back->n_nodes, graph->n_nodes);
	ck_assert_uint_eq(back->n_inputs, graph->n_inputs);
	ck_assert_uint_eq(back->n_outputs, graph->n_outputs);
	for (uint32_t i = 0; i < graph->n_values; i++)
		same_value(&graph->values[i], &back->values[i]);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		same_node(&graph->nodes[i], &back->nodes[i]);
	ck_assert_mem_eq(back->inputs, graph->inputs, graph->n_inputs * sizeof(uint32_t));
	ck_assert_mem_eq(back->outputs, graph->outputs, graph->n_outputs * sizeof(uint32_t));

	finf_buf_init(&again);
	finf_graph_write(back, &again);
	ck_assert_uint_eq(again.len, buf.len);
	ck_assert_mem_eq(again.data, buf.data, buf.len);
	finf_buf_fini(&again);
	ck_assert_int_eq(finf_graph_infer(back, &diag), 0);
	finf_graph_free(back);
}
END_TEST

START_TEST(test_which_constants_travel_inline)
{
	static const struct {
		const char *name;
		bool here;
	} rows[] = {
		{"small", true}, {"big", false}, {"many", true}, {"pads", true}, {"x", false},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		uint32_t v;

		ck_assert(finf_graph_find(graph, rows[i].name, &v));
		ck_assert_msg(finf_graph_const_inline(&graph->values[v]) == rows[i].here, "%s",
			      rows[i].name);
	}
}
END_TEST

START_TEST(test_an_empty_graph)
{
	struct finf_graph *empty, *back;
	struct finf_buf bytes;

	ck_assert_int_eq(finf_graph_new("", &empty), 0);
	finf_buf_init(&bytes);
	finf_graph_write(empty, &bytes);
	ck_assert_int_eq(finf_graph_read(bytes.data, bytes.len, &back, &diag), 0);
	finf_graph_free(back);
	finf_graph_free(empty);
	finf_buf_fini(&bytes);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------- */

/* A heap copy of exactly these bytes, so that a sanitizer sees the first one beyond. */
static int read_copy(const void *data, size_t bytes, struct finf_graph **ret_graph)
{
	void *copy = malloc(bytes ? bytes : 1);
	int err;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, data, bytes);
	diag.text[0] = 0;
	err = finf_graph_read(copy, bytes, ret_graph, &diag);
	free(copy);
	return err;
}

START_TEST(test_truncated_anywhere)
{
	struct finf_graph *back = NULL;

	for (size_t n = 0; n < buf.len; n++) {
		int err = read_copy(buf.data, n, &back);

		ck_assert_msg(err == -EBADMSG, "%zu bytes: error %d", n, err);
		ck_assert_msg(strstr(diag.text, "byte"), "%zu bytes: %s", n, diag.text);
		ck_assert_ptr_null(back);
	}
}
END_TEST

START_TEST(test_bytes_left_over)
{
	struct finf_graph *back = NULL;

	finf_buf_u8(&buf, 0);
	ck_assert_int_eq(read_copy(buf.data, buf.len, &back), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(diag.text, "left over"));
}
END_TEST

/* What was read from damaged bytes is still a graph that can be worked with. */
static void use(struct finf_graph *damaged)
{
	struct finf_buf bytes;

	ck_assert_int_eq(finf_graph_verify(damaged, &diag), 0);
	finf_graph_infer(damaged, &diag);
	finf_buf_init(&bytes);
	finf_graph_write(damaged, &bytes);
	finf_buf_fini(&bytes);
	finf_graph_free(damaged);
}

START_TEST(test_every_bit_flipped)
{
	unsigned refused = 0;

	for (size_t bit = 0; bit < buf.len * 8; bit++) {
		struct finf_graph *back = NULL;
		int err;

		buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err = read_copy(buf.data, buf.len, &back);
		buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(!err || err == -EBADMSG || err == -EOPNOTSUPP,
			      "bit %zu: error %d: %s", bit, err, diag.text);
		if (err) {
			ck_assert_msg(diag.text[0], "bit %zu: no diagnosis", bit);
			refused++;
		} else {
			use(back);
		}
	}
	ck_assert_uint_gt(refused, buf.len); /* most bits mean something */
}
END_TEST

START_TEST(test_random_bytes)
{
	uint64_t seed = 7;
	uint8_t data[512];

	for (int round = 0; round < 20000; round++) {
		struct finf_graph *back = NULL;
		size_t n = test_random(&seed) % sizeof(data), keep = FINF_MIN(n, (size_t)8);

		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)(test_random(&seed) % 5); /* small counts get far */
		memcpy(data, buf.data, keep);			     /* behind magic and version */
		if (!read_copy(data, n, &back))
			use(back);
	}
}
END_TEST

START_TEST(test_spliced)
{
	uint64_t seed = 11;

	for (int round = 0; round < 5000; round++) {
		struct finf_graph *back = NULL;
		uint8_t *data = malloc(buf.len);
		size_t n = 1 + test_random(&seed) % 32, from, to;

		ck_assert_ptr_nonnull(data);
		memcpy(data, buf.data, buf.len);
		from = test_random(&seed) % (buf.len - n);
		to = test_random(&seed) % (buf.len - n);
		memmove(data + to, data + from, n);
		if (!read_copy(data, buf.len, &back))
			use(back);
		free(data);
	}
}
END_TEST

START_TEST(test_newer_version)
{
	struct finf_graph *back = NULL;

	buf.data[4] = 3;
	ck_assert_int_eq(read_copy(buf.data, buf.len, &back), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "version 3"));
}
END_TEST

START_TEST(test_unknown_operator)
{
	struct finf_graph *back = NULL;
	uint8_t *at = memmem(buf.data, buf.len, "Softmax", 7);

	ck_assert_ptr_nonnull(at);
	memcpy(at, "Hardmax", 7);
	ck_assert_int_eq(read_copy(buf.data, buf.len, &back), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "node softmax"));
	ck_assert_ptr_nonnull(strstr(diag.text, "Hardmax"));
	ck_assert_ptr_nonnull(strstr(diag.text, "opset 13"));
}
END_TEST

START_TEST(test_a_full_buffer_is_noticed)
{
	struct finf_buf failed = {.err = -ENOMEM};

	finf_graph_write(graph, &failed);
	ck_assert_int_eq(failed.err, -ENOMEM);
	ck_assert_uint_eq(failed.len, 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("graph/serial");
	TCase *tcase = tcase_create("serial");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_round_trip);
	tcase_add_test(tcase, test_which_constants_travel_inline);
	tcase_add_test(tcase, test_an_empty_graph);
	tcase_add_test(tcase, test_truncated_anywhere);
	tcase_add_test(tcase, test_bytes_left_over);
	tcase_add_test(tcase, test_every_bit_flipped);
	tcase_add_test(tcase, test_random_bytes);
	tcase_add_test(tcase, test_spliced);
	tcase_add_test(tcase, test_newer_version);
	tcase_add_test(tcase, test_unknown_operator);
	tcase_add_test(tcase, test_a_full_buffer_is_noticed);
	suite_add_tcase(suite, tcase);
	return suite;
}
