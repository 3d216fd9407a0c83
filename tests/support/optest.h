/* SPDX-License-Identifier: MIT */
/*
 * tests/support/optest - one row says what an operator does: node, inputs, and
 * the outputs or the refusal to expect. Each row runs through verify, infer,
 * eval, dynamic shapes with bind, constant folding and the serialiser.
 *
 *   static const struct optest_row rows[] = {
 *	{.name = "last axis", .op = "Softmax", .opset = 13,
 *	 .attrs = {OT_I("axis", -1)},
 *	 .in = {OT(F32, OT_S(1, 2), 0, 0)},
 *	 .out = {OT(F32, OT_S(1, 2), 0.5, 0.5)}},
 *	{.name = "axis beyond the rank", .op = "Softmax", .opset = 13,
 *	 .attrs = {OT_I("axis", 2)},
 *	 .in = {OT(F32, OT_S(1, 2), 0, 0)},
 *	 .err = -EINVAL, .says = "axis"},
 *   };
 *
 *   OPTEST_SUITE("graph/op/softmax", rows)
 */
#ifndef FI_TESTS_OPTEST_H
#define FI_TESTS_OPTEST_H

#include "graph/graph.h"
#include "tests/support/support.h"

#define OPTEST_IN    6
#define OPTEST_OUT   4
#define OPTEST_ATTRS 8

struct optest_value {
	enum finf_dtype dtype; /* FINF_DTYPE_NONE = left out */
	struct finf_shape shape;
	const double *v; /* elements in row-major order, of whatever dtype; NULL = zeros */
	bool is_const;	 /* a constant of the model: infer() sees its bytes */
	bool no_bytes;	 /* only shape and dtype: for extents nobody could allocate */
};

struct optest_row {
	const char *name, *op;
	uint32_t opset;			      /* 0 = 13 */
	struct finf_attr attrs[OPTEST_ATTRS]; /* ends at the first without a name */
	struct optest_value in[OPTEST_IN];    /* ends at the last that is not left out */
	struct optest_value out[OPTEST_OUT];  /* the same; when @err is set one is made up */
	int err;	   /* from verify, infer, bind or eval; 0 = must succeed */
	const char *says;  /* what the diagnosis must contain besides the operator's name */
	double tolerance;  /* of floats, absolute plus relative; 0 = 1e-6 */
	bool static_only;  /* the row needs static shapes: skip the dynamic run */
	enum finf_act act; /* folded activation */
	float act_a, act_b;
};

/* Shape, tensor, constant: OT(F32, OT_S(2, 2), 1, 2, 3, 4). OT_S() is a scalar. */
#define OT_S(...)                                                                                  \
	{                                                                                          \
		.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ } \
	}
#define OT(type, s, ...)                                                                           \
	{                                                                                          \
		.dtype = FINF_##type, .shape = s, .v = (const double[])                            \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define OT_K(type, s, ...)                                                                         \
	{                                                                                          \
		.dtype = FINF_##type, .shape = s, .v = (const double[]){__VA_ARGS__},              \
		.is_const = true                                                                   \
	}
#define OT_ZEROS(type, s)                                                                          \
	{                                                                                          \
		.dtype = FINF_##type, .shape = s                                                   \
	}
#define OT_HUGE(type, s)                                                                           \
	{                                                                                          \
		.dtype = FINF_##type, .shape = s, .no_bytes = true                                 \
	}
#define OT_OMIT                                                                                    \
	{                                                                                          \
		.dtype = FINF_DTYPE_NONE                                                           \
	}

/* Attributes. */
#define OT_I(key, value)                                                                           \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_INT, .i = value                                     \
	}
#define OT_F(key, value)                                                                           \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_FLOAT, .f = value                                   \
	}
#define OT_STR(key, text)                                                                          \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_STRING, .n = sizeof(text) - 1, .s = text            \
	}
#define OT_IS(key, ...)                                                                            \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_INTS,                                               \
		.n = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .ints = (const int64_t[]) \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define OT_FS(key, ...)                                                                            \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_FLOATS,                                             \
		.n = sizeof((float[]){__VA_ARGS__}) / sizeof(float), .floats = (const float[])     \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
/* A tensor attribute of C elements: OT_TENSOR("value", F32, float, OT_S(2), 1, 2). */
#define OT_TENSOR(key, kind, ctype, s, ...)                                                        \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_TENSOR, .t = &(const struct finf_tensor)            \
		{                                                                                  \
			.dtype = FINF_##kind, .shape = s, .data = (ctype[]){__VA_ARGS__},          \
			.bytes = sizeof((ctype[]){__VA_ARGS__})                                    \
		}                                                                                  \
	}

/** optest_run - fails the running test, naming the row, when it does not hold. */
void optest_run(const struct optest_row *row);

/** optest_build - the row's one-node graph, outputs declared by dtype only; free it. */
struct finf_graph *optest_build(const struct optest_row *row, bool dynamic, bool all_const);

/* test_suite() of a program that is one table. */
#define OPTEST_SUITE(title, rows)                                                                  \
	START_TEST(test_row)                                                                       \
	{                                                                                          \
		optest_run(&(rows)[_i]);                                                           \
	}                                                                                          \
	END_TEST                                                                                   \
                                                                                                   \
	Suite *test_suite(void)                                                                    \
	{                                                                                          \
		Suite *suite = suite_create(title);                                                \
		TCase *tcase = tcase_create("rows");                                               \
                                                                                                   \
		tcase_set_timeout(tcase, 120);                                                     \
		tcase_add_loop_test(tcase, test_row, 0, (int)(sizeof(rows) / sizeof((rows)[0])));  \
		suite_add_tcase(suite, tcase);                                                     \
		return suite;                                                                      \
	}

#endif
