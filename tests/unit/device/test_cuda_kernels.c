/* SPDX-License-Identifier: MIT */
/* Our kernels, node by node and value by value, against the reference. */
#include <math.h>

#include "tests/unit/device/cases.h"
#include "tests/unit/device/draw.h"
#include "tests/unit/device/rows_element.h"
#include "tests/unit/device/rows_indexed.h"
#include "tests/unit/device/rows_move.h"
#include "tests/unit/device/rows_product.h"
#include "tests/unit/device/rows_reduce.h"
#include "tests/unit/device/rows_window.h"

/* ---- nodes ------------------------------------------------------------------------- */

#define TABLE(rows)                                                                                \
	{                                                                                          \
		rows, FINF_ARRAY_LEN(rows)                                                         \
	}
static const struct {
	const struct node_case *rows;
	size_t n;
} tables[] = {
	TABLE(cases),	     TABLE(element_rows), TABLE(indexed_rows), TABLE(move_rows),
	TABLE(product_rows), TABLE(reduce_rows),  TABLE(window_rows),
};

#define PART 32 /* of a table's rows to a test */

/* Test @_i is a part of the first table that has so many, counted on from the one before. */
START_TEST(nodes_equal_the_reference)
{
	size_t from = (size_t)_i * PART, t = 0;
	struct bench bench;

	bench_init(&bench);
	for (; from >= tables[t].n; t++)
		from -= (tables[t].n + PART - 1) / PART * PART;
	for (size_t i = from; i < FINF_MIN(from + PART, tables[t].n); i++)
		run_case(&bench, &tables[t].rows[i]);
	bench_fini(&bench);
}
END_TEST

static int parts(void)
{
	size_t n = 0;

	for (size_t t = 0; t < FINF_ARRAY_LEN(tables); t++)
		n += (tables[t].n + PART - 1) / PART;
	return (int)n;
}

START_TEST(random_nodes_equal_the_reference)
{
	struct bench bench;
	struct drawn d;
	char what[40];

	bench_init(&bench);
	for (uint64_t round = 0; round < 20; round++) {
		draw_case(&d, (uint64_t)_i, round);
		snprintf(what, sizeof(what), "draw %d, round %d", _i, (int)round);
		d.row.what = what;
		run_case(&bench, &d.row);
	}
	bench_fini(&bench);
}
END_TEST

/* ---- Resize in every way ------------------------------------------------------------- */

static const char *const coords[] = {
	"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
	"asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
};
static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

static struct finf_attr word(const char *name, const char *text)
{
	return (struct finf_attr){
		.name = name, .type = FINF_ATTR_STRING, .n = (uint32_t)strlen(text), .s = text};
}

/* Number @way is a mode, and of nearest one of its roundings. */
static void resize(struct bench *bench, const char *coord, unsigned way, struct case_in scales,
		   struct case_in sizes)
{
	bool nearest = way < FINF_ARRAY_LEN(rounds);
	const char *mode = nearest ? "nearest" : way == 4 ? "linear" : "cubic";
	struct node_case row = {
		coord,
		"Resize",
		13,
		{ACT(1, 2, 6, 5), SCALES(0, 0, -0.1f, 0.3f, 1, 1, 0.7f, 1.2f), scales, sizes},
		4,
		{word("mode", mode), word("coordinate_transformation_mode", coord),
		 ATTR_INT("exclude_outside", way == 6)},
		.want = WANT_ANY};

	if (nearest)
		row.attrs[3] = word("nearest_mode", rounds[way]);
	run_case(bench, &row);
}

START_TEST(every_way_to_resize)
{
	const struct case_in none = LEFT_OUT;
	const struct case_in scales[] = {SCALES(1, 1, 2, 3), SCALES(1, 1, 0.5f, 0.3f),
					 SCALES(1, 1, 1.3f, 0.77f)};
	const struct case_in sizes[] = {INTS_IN(1, 2, 12, 15), INTS_IN(1, 2, 1, 7),
					INTS_IN(1, 2, 4, 1), INTS_IN(1, 1, 3, 10)};
	struct bench bench;

	bench_init(&bench);
	for (unsigned way = 0; way < FINF_ARRAY_LEN(rounds) + 3; way++) {
		for (size_t i = 0; i < FINF_ARRAY_LEN(scales); i++)
			resize(&bench, coords[_i], way, scales[i], none);
		for (size_t i = 0; i < FINF_ARRAY_LEN(sizes); i++)
			resize(&bench, coords[_i], way, none, sizes[i]);
	}
	bench_fini(&bench);
}
END_TEST

/* ---- functions, value by value ---------------------------------------------------------- */

#define VALUES 3200

/* Powers of two and numbers between them, small steps around 0, and what is no number. */
static uint32_t sweep(float *x)
{
	static const float edges[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1, -1};
	uint32_t n = 0;

	for (int e = -145; e < 128; e++)
		for (int i = 0; i < 6; i++)
			x[n++] = ldexpf((i & 1 ? -1.0f : 1.0f) * (1 + 0.3f * (float)(i / 2)), e);
	for (int i = -768; i <= 768; i++)
		x[n++] = (float)i / 64;
	memcpy(x + n, edges, sizeof(edges));
	return n + (uint32_t)FINF_ARRAY_LEN(edges);
}

/* Below the normal numbers a 0 may come out. */
static void check_value(const char *what, float x, float y, float want, double slack)
{
	double off = fabs((double)y - (double)want);

	if (isnan(want) || isinf(want))
		ck_assert_msg(isnan(want) ? isnan(y) : y == want, "%s of %g: %g, not %g", what,
			      (double)x, (double)y, (double)want);
	else
		ck_assert_msg(off <= 1e-6 * fabs((double)want) + slack + 1.2e-38,
			      "%s of %g: %.9g, not %.9g", what, (double)x, (double)y, (double)want);
}

/* One kernel over the site's inputs as they are now; the reference's answer is made anew. */
static void run_values(struct bench *bench, struct site *site, float *y)
{
	struct finf_form_table table;
	struct finf_diag diag;
	struct finf_kernel *kernel;
	struct finf_launch launch = {.in = (const void *[]){site->in[0].data, site->in[1].data},
				     .out = (void *[]){y}};

	free(site->out.data);
	evaluate(site);
	ck_assert_int_eq(site_forms(site, &bench->base, 1, NULL, &table), 0);
	ck_assert_int_eq(
		finf_cuda_kernel_new(site->graph, 0, &table.nodes[0].forms[0], &kernel, &diag), 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench->base, kernel, &launch), 0);
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
}

/* slack: where a sum of terms near 1 comes close to 0, so that its own size is no measure. */
static const struct {
	const char *op;
	uint32_t opset;
	const char *approximate;
	double slack;
} functions[] = {
	{"Abs", 13, NULL, 0},	       {"Ceil", 13, NULL, 0},	    {"Elu", 7, NULL, 0},
	{"Erf", 13, NULL, 0},	       {"Exp", 13, NULL, 0},	    {"Floor", 13, NULL, 0},
	{"Gelu", 20, "none", 1e-6},    {"Gelu", 20, "tanh", 1e-6},  {"HardSigmoid", 7, NULL, 1e-7},
	{"HardSwish", 14, NULL, 1e-6}, {"Log", 13, NULL, 0},	    {"Mish", 18, NULL, 0},
	{"Neg", 13, NULL, 0},	       {"Reciprocal", 13, NULL, 0}, {"Sigmoid", 13, NULL, 0},
	{"Softplus", 7, NULL, 0},      {"Softsign", 7, NULL, 0},    {"Sqrt", 13, NULL, 0},
	{"Tanh", 13, NULL, 0},	       {"Sin", 7, NULL, 0},	    {"Cos", 7, NULL, 0},
};

START_TEST(functions_are_close)
{
	struct node_case row = {
		functions[_i].op, functions[_i].op, functions[_i].opset, {ACT(VALUES)}, 1,
		.want = WANT_ANY};
	const char *approximate = functions[_i].approximate;
	float x[VALUES], y[VALUES];
	struct bench bench;
	struct site site;

	row.in[0].dim[0] = sweep(x);
	if (approximate)
		row.attrs[0] = (struct finf_attr){.name = "approximate",
						  .type = FINF_ATTR_STRING,
						  .n = (uint32_t)strlen(approximate),
						  .s = approximate};
	bench_init(&bench);
	site_init(&site, &row, 0);
	memcpy(site.in[0].data, x, site.in[0].bytes);
	run_values(&bench, &site, y);
	for (int64_t i = 0; i < row.in[0].dim[0]; i++)
		check_value(row.op, x[i], y[i], ((float *)site.out.data)[i], functions[_i].slack);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

/* Every base with every exponent. */
START_TEST(powers_are_close)
{
	static const float numbers[] = {
		0,     -0.0f,  1,     -1,     2,	-2,	   3,	    -3,	     0.5f,
		-0.5f, 0.1f,   7.25f, 1e-3f,  30,	-31,	   1.0001f, 0.9999f, 1e-40f,
		3e38f, -3e38f, 1e10f, -1e20f, INFINITY, -INFINITY, NAN,
	};
	enum { N = FINF_ARRAY_LEN(numbers) };
	struct node_case row = {"pow", "Pow", 15, {ACT(N, 1), ACT(N)}, 2, .want = WANT_ANY};
	float y[N * N];
	struct bench bench;
	struct site site;

	bench_init(&bench);
	site_init(&site, &row, 0);
	memcpy(site.in[0].data, numbers, sizeof(numbers));
	memcpy(site.in[1].data, numbers, sizeof(numbers));
	run_values(&bench, &site, y);
	for (size_t i = 0; i < N * N; i++)
		check_value("pow", numbers[i / N], y[i], ((float *)site.out.data)[i], 0);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

/* Exact, as C has it. */
START_TEST(remainders_are_exact)
{
	static const float numbers[] = {
		1,	 -1,	 2.5f,	 -0.1f,	  3e38f, -3e38f,   1e-38f,
		-1e-40f, 1e-45f, 3e-45f, 7.25f,	  1e10f, -1e20f,   8388607.0f,
		9999999, 0.3f,	 65537,	 -1e-30f, 0,	 INFINITY, NAN,
	};
	enum { N = FINF_ARRAY_LEN(numbers) };
	struct node_case row = {
		"rest", "Mod", 13, {ACT(N, 1), ACT(N)}, 2, {ATTR_INT("fmod", 1)}, .want = WANT_ANY};
	float y[N * N];
	struct bench bench;
	struct site site;

	bench_init(&bench);
	site_init(&site, &row, 0);
	memcpy(site.in[0].data, numbers, sizeof(numbers));
	memcpy(site.in[1].data, numbers, sizeof(numbers));
	run_values(&bench, &site, y);
	for (size_t i = 0; i < N * N; i++) {
		float want = ((float *)site.out.data)[i];

		ck_assert_msg(isnan(want) ? isnan(y[i]) : y[i] == want, "%g over %g: %g, not %g",
			      (double)numbers[i / N], (double)numbers[i % N], (double)y[i],
			      (double)want);
	}
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

static bool has_row(const char *op)
{
	for (size_t t = 0; t < FINF_ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t].n; i++)
			if (!strcmp(tables[t].rows[i].op, op))
				return true;
	for (size_t i = 0; i < FINF_ARRAY_LEN(functions); i++)
		if (!strcmp(functions[i].op, op))
			return true;
	return false;
}

START_TEST(every_operator_with_kernels_has_a_row)
{
	uint32_t with = 0;

	for (uint32_t i = 0; finf_op_at(i); i++) {
		if (!finf_k_find(finf_op_at(i)->name))
			continue;
		with++;
		ck_assert_msg(has_row(finf_op_at(i)->name), "%s has none", finf_op_at(i)->name);
	}
	ck_assert_uint_ge(with, 99);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/cuda/kernels");
	TCase *tc = tcase_create("kernels");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, nodes_equal_the_reference, 0, parts());
	tcase_add_loop_test(tc, random_nodes_equal_the_reference, 0, 2 * FINF_ARRAY_LEN(draws));
	tcase_add_loop_test(tc, every_way_to_resize, 0, FINF_ARRAY_LEN(coords));
	tcase_add_loop_test(tc, functions_are_close, 0, FINF_ARRAY_LEN(functions));
	tcase_add_test(tc, powers_are_close);
	tcase_add_test(tc, remainders_are_exact);
	tcase_add_test(tc, every_operator_with_kernels_has_a_row);
	suite_add_tcase(suite, tc);
	return suite;
}
