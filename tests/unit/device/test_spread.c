/* SPDX-License-Identifier: MIT */
/* The host's reference kernels on several threads: the same bits as on one. */
#include <errno.h>

#include "tests/unit/device/site.h"

/* What an integer or bool tensor has over and over. */
#define OVER(kind, list, ...)                                                                      \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = {__VA_ARGS__},          \
		.dtype = FINF_##kind, .ivalues = list                                              \
	}
#define SEVEN                                                                                      \
	{                                                                                          \
		0, 6, 2, 5, 1, 3                                                                   \
	}
#define BITS                                                                                       \
	{                                                                                          \
		1, 0, 0, 1, 1, 0                                                                   \
	}
#define ONE_INT(v)                                                                                 \
	{                                                                                          \
		.is_const = true, .ints = true, .ivalues = {v}, .n_values = 1                      \
	}

/* Large enough to be shared out, in numbers that neither 2 nor 3 divide. */
static const struct node_case cases[] = {
	{"erf", "Erf", 13, {ACT(7, 13, 101)}, 1, {{0}}, .want = WANT_ANY},
	{"where", "Where", 16, {OVER(BOOL, BITS, 7, 1, 101), ACT(7, 13, 101), SCALAR(2.5f)}, 3,
	 {{0}}, .want = WANT_ANY},
	{"cast", "Cast", 13, {ACT(7, 13, 101)}, 1, {ATTR_INT("to", FINF_I64)}, .want = WANT_ANY},
	{"cast to half", "Cast", 13, {ACT(7, 13, 101)}, 1, {ATTR_INT("to", FINF_F16)},
	 .want = WANT_ANY},
	{"equal", "Equal", 13, {OVER(I64, SEVEN, 7, 13, 101), OVER(I64, SEVEN, 101)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"less", "Less", 13, {ACT(7, 1, 101), WEIGHT(7, 13, 101)}, 2, {{0}}, .want = WANT_ANY},
	{"or", "Or", 7, {OVER(BOOL, BITS, 97, 95), OVER(BOOL, BITS, 97, 1)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"not", "Not", 7, {OVER(BOOL, BITS, 9215)}, 1, {{0}}, .want = WANT_ANY},
	{"max of three", "Max", 13, {ACT(95, 97), ACT(97), ACT(95, 1)}, 3, {{0}}, .want = WANT_ANY},
	{"mean", "Mean", 13, {ACT(95, 97), ACT(97), ACT(95, 1)}, 3, {{0}}, .act = FINF_ACT_RELU},
	{"argmax", "ArgMax", 13, {ACT(1, 7, 37, 41)}, 1, {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"cumsum", "CumSum", 14, {ACT(31, 301), ONE_INT(1)}, 2, {{0}}, .want = WANT_ANY},
	{"cumsum of columns", "CumSum", 14, {ACT(31, 301), ONE_INT(0)}, 2, {ATTR_INT("reverse", 1)},
	 .want = WANT_ANY},
	{"softmax", "Softmax", 13, {ACT(7, 13, 101)}, 1, {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather", "Gather", 13, {ACT(7, 41), OVER(I64, SEVEN, 229)}, 2, {{0}}, .want = WANT_ANY},
	{"gather within", "Gather", 13, {ACT(11, 7, 5), OVER(I64, SEVEN, 229)}, 2,
	 {ATTR_INT("axis", 1)}, .act = FINF_ACT_SIGMOID},
	{"gather elements", "GatherElements", 13, {ACT(97, 7), OVER(I64, SEVEN, 97, 101)}, 2,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather nd", "GatherND", 13, {ACT(7, 7, 5), OVER(I64, SEVEN, 1847, 2)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"group norm", "GroupNormalization", 18, {ACT(1, 20, 23, 21), WEIGHT(5), WEIGHT(5)}, 3,
	 {ATTR_INT("num_groups", 5)}, .act = FINF_ACT_RELU},
	{"group norm of two", "GroupNormalization", 18, {ACT(1, 20, 23, 21), WEIGHT(2), WEIGHT(2)},
	 3, {ATTR_INT("num_groups", 2)}, .act = FINF_ACT_CLIP, .act_a = -1, .act_b = 1},
	{"instance norm", "InstanceNormalization", 7, {ACT(2, 5, 31, 31), WEIGHT(5), WEIGHT(5)}, 3,
	 {{0}}, .want = WANT_ANY},
	{"layer norm", "LayerNormalization", 17, {ACT(91, 103), WEIGHT(103), WEIGHT(103)}, 3, {{0}},
	 .act = FINF_ACT_GELU},
	{"lrn", "LRN", 13, {ACT(1, 11, 29, 31)}, 1, {ATTR_INT("size", 4)}, .want = WANT_ANY},
	{"reduce l2", "ReduceL2", 13, {ACT(13, 7, 103)}, 1, {ATTR_INTS("axes", 0, 2)},
	 .want = WANT_ANY},
	{"reduce max", "ReduceMax", 13, {ACT(91, 103)}, 1, {ATTR_INTS("axes", 0)},
	 .want = WANT_ANY},
	{"reduce all", "ReduceSum", 11, {ACT(91, 103)}, 1, {{0}}, .want = WANT_ANY},
	{"tile", "Tile", 13, {ACT(7, 11), INTS_IN(11, 11)}, 2, {{0}}, .want = WANT_ANY},
	{"expand", "Expand", 13, {ACT(13, 1, 7), INTS_IN(13, 103, 7)}, 2, {{0}}, .want = WANT_ANY},
	{"slice", "Slice", 13, {ACT(97, 101), INTS_IN(-1, 1), INTS_IN(-200, 100), INTS_IN(0, 1),
				INTS_IN(-1, 1)}, 5, {{0}}, .want = WANT_ANY},
	{"transpose", "Transpose", 13, {ACT(7, 13, 101)}, 1, {ATTR_INTS("perm", 2, 0, 1)},
	 .want = WANT_ANY},
	{"depth to space", "DepthToSpace", 13, {ACT(1, 12, 27, 29)}, 1, {ATTR_INT("blocksize", 2)},
	 .want = WANT_ANY},
	{"pad", "Pad", 13, {ACT(1, 3, 50, 61), {.rank = 1, .dim = {8}, .is_const = true,
	 .dtype = FINF_I64, .ivalues = {0, 0, 3, 2, 0, 0}}}, 2,
	 {ATTR_STR("mode", "reflect")}, .want = WANT_ANY},
	{"resize", "Resize", 13, {ACT(1, 3, 25, 31), LEFT_OUT, LEFT_OUT, INTS_IN(1, 3, 51, 62)}, 4,
	 {ATTR_STR("mode", "cubic")}, .want = WANT_ANY},
	{"quantize", "QuantizeLinear", 13, {ACT(7, 13, 101), SCALAR(0.05f)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"dequantize", "DequantizeLinear", 13, {OVER(U8, SEVEN, 7, 13, 101), SCALAR(0.05f)}, 2,
	 {{0}}, .want = WANT_ANY},
};

static struct finf_device *open_host(void)
{
	struct finf_device *dev;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open("host", &dev, &diag), "%s", diag.text);
	return dev;
}

/* The reference form of the node on @threads. */
static struct finf_kernel *make(struct finf_device *dev, struct site *site, uint32_t threads)
{
	struct finf_kernel *kernel = NULL;
	struct finf_form_table table;
	struct finf_diag diag = {""};

	ck_assert_int_eq(site_forms(site, dev, threads, NULL, &table), 0);
	for (uint32_t i = 0; i < table.nodes[0].n; i++)
		if (table.nodes[0].forms[i].algo == FINF_HOST_REF)
			ck_assert_msg(!finf_device_kernel_new(dev, site->graph, 0,
							      &table.nodes[0].forms[i], threads,
							      &kernel, &diag),
				      "%s", diag.text);
	ck_assert_ptr_nonnull(kernel);
	finf_form_table_fini(&table);
	return kernel;
}

static int run(struct finf_device *dev, struct finf_kernel *kernel, const struct site *site,
	       struct guarded *out)
{
	const void *in[CASE_IN];
	void *results[1] = {out->at};
	struct finf_launch launch = {.in = in, .out = results};

	for (uint32_t i = 0; i < site->n_in; i++)
		in[i] = site->in[i].data;
	return finf_device_kernel_run(dev, kernel, &launch);
}

START_TEST(threads_change_no_bit)
{
	const struct node_case *row = &cases[_i];
	struct finf_device *dev = open_host();
	struct site site;

	site_init(&site, row, 0);
	for (uint32_t threads = 1; threads <= 3; threads++) {
		struct finf_kernel *kernel = make(dev, &site, threads);
		struct guarded out;

		guarded_init(&out, site.out.bytes);
		ck_assert_int_eq(run(dev, kernel, &site, &out), 0);
		ck_assert_msg(!memcmp(out.at, site.out.data, site.out.bytes), "%s on %u threads",
			      row->what, threads);
		guarded_check(&out, row->what);
		guarded_fini(&out);
		finf_device_kernel_free(dev, kernel);
	}
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

/* Wherever the bad index is, the run fails; the next one is as good as ever. */
START_TEST(one_share_that_fails_fails_the_run)
{
	static const struct node_case row = {
		"gather", "Gather", 13, {ACT(7, 41), OVER(I64, SEVEN, 229)}, 2, {{0}},
		.want = WANT_ANY};
	static const size_t where[] = {0, 114, 228};
	struct finf_device *dev = open_host();
	struct finf_kernel *kernel;
	struct guarded out;
	struct site site;
	int64_t *index;

	site_init(&site, &row, 0);
	index = site.in[1].data;
	kernel = make(dev, &site, 2);
	guarded_init(&out, site.out.bytes);
	for (size_t i = 0; i < FINF_ARRAY_LEN(where); i++) {
		int64_t good = index[where[i]];

		index[where[i]] = 7;
		ck_assert_int_eq(run(dev, kernel, &site, &out), -EREMOTEIO);
		index[where[i]] = good;
		ck_assert_int_eq(run(dev, kernel, &site, &out), 0);
		ck_assert_mem_eq(out.at, site.out.data, site.out.bytes);
	}
	guarded_check(&out, row.what);
	guarded_fini(&out);
	finf_device_kernel_free(dev, kernel);
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("spread");
	TCase *tc = tcase_create("host");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, threads_change_no_bit, 0, FINF_ARRAY_LEN(cases));
	tcase_add_test(tc, one_share_that_fails_fails_the_run);
	suite_add_tcase(suite, tc);
	return suite;
}
