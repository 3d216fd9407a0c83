/* SPDX-License-Identifier: MIT */
/* Our kernels at run time - outputs, indices, failures - and the image that holds them. */
#include <unistd.h>

#include "tests/unit/device/bench.h"

/* ---- run time --------------------------------------------------------------------------- */

/* Parts of which one is empty and one is behind it. */
START_TEST(split_fills_all_outputs)
{
	static const float x[2][5] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
	static const int64_t sizes[] = {1, 0, 3, 1};
	float a[2][1], c[2][3], d[2][1];
	struct finf_attr attrs[] = {
		ATTR_INT("axis", 1),
		{.name = "split", .type = FINF_ATTR_INTS, .n = 4, .ints = sizes}};
	struct finf_shape shape = {2, {2, 5}};
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){a, NULL, c, d}};
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_kernel *kernel;
	struct finf_graph *graph;
	uint32_t in, out[4], node;
	struct bench bench;

	bench_init(&bench);
	ck_assert_int_eq(finf_graph_new("split", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &in), 0);
	ck_assert_int_eq(finf_graph_input(graph, in), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(finf_graph_value(graph, (const char *[]){"a", "b", "c", "d"}[i],
						  FINF_DTYPE_NONE, NULL, &out[i]),
				 0);
		ck_assert_int_eq(finf_graph_output(graph, out[i]), 0);
	}
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Split"), 11, "split", &in, 1, out, 4,
					 attrs, 2, &node),
			 0);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
	ck_assert_int_eq(finf_device_forms(&bench.base, graph, 1, NULL, &table, &diag), 0);
	ck_assert_int_eq(finf_cuda_kernel_new(graph, 0, &table.nodes[0].forms[0], &kernel, &diag),
			 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
	for (int r = 0; r < 2; r++) {
		ck_assert(a[r][0] == x[r][0] && d[r][0] == x[r][4]);
		ck_assert_mem_eq(c[r], &x[r][1], sizeof(c[r]));
	}
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
	finf_graph_free(graph);
	bench_fini(&bench);
}
END_TEST

/* An index from a request cannot stop the device: its slice is NaN, the others are right. */
START_TEST(an_index_outside_yields_nan)
{
	static const struct node_case row = {
		"gather", "Gather",	    13, {ACT(5, 3), INDEX_IN(I64, 0, 1, 2, 3, 4, -5)}, 2,
		{{0}},	  .want = WANT_ANY,
	};
	int64_t index[6] = {4, 5, -6, 0, INT64_MIN, -5};
	struct finf_form_table table;
	struct finf_kernel *kernel;
	struct finf_diag diag;
	struct bench bench;
	struct site site;
	float y[6][3], *x;

	bench_init(&bench);
	site_init(&site, &row, 0);
	x = site.in[0].data;
	ck_assert_int_eq(site_forms(&site, &bench.base, 1, NULL, &table), 0);
	ck_assert_int_eq(
		finf_cuda_kernel_new(site.graph, 0, &table.nodes[0].forms[0], &kernel, &diag), 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel,
						&(struct finf_launch){
							.in = (const void *[]){x, index},
							.out = (void *[]){y},
						}),
			 0);
	for (int i = 0; i < 6; i++) {
		int64_t at = index[i] < 0 && index[i] >= -5 ? index[i] + 5 : index[i];

		for (int k = 0; k < 3; k++)
			if (at >= 0 && at < 5)
				ck_assert(y[i][k] == x[at * 3 + k]);
			else
				ck_assert(y[i][k] != y[i][k]);
	}
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

/* After a reset the module is a new one; the kernel is not. */
START_TEST(a_kernel_outlives_its_module)
{
	float x[5] = {-2, -1, 0, 1, 2}, y[5];
	struct finf_shape shape = {1, {5}};
	struct finf_kernel *kernel;
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){y}};
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &shape, 0, 0, &kernel, &diag), 0);
	for (int round = 0; round < 3; round++) {
		memset(y, 0xff, sizeof(y));
		ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
		ck_assert_mem_eq(x, y, sizeof(x));
		finf_cuda_kernels_unload(bench.driver.api, bench.kernels, false);
		ck_assert_int_eq(
			finf_cuda_kernels_load(bench.driver.api, 75, &bench.kernels, &diag), 0);
	}
	finf_cuda_kernel_free(kernel);
	bench_fini(&bench);
}
END_TEST

START_TEST(failures_are_told)
{
	float x[5] = {0}, y[5] = {0};
	struct finf_shape shape = {1, {5}};
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){y}};
	struct finf_cuda_kernels *kernels = NULL;
	struct finf_kernel *kernel;
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	bench.driver.inject("cuModuleLoadDataEx", 1, FINF_CU_ERROR_INVALID_IMAGE);
	ck_assert_int_eq(finf_cuda_kernels_load(bench.driver.api, 75, &kernels, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "compiling the kernels"));
	bench.driver.inject("cuModuleGetFunction", 2, FINF_CU_ERROR_NOT_FOUND);
	ck_assert_int_ne(finf_cuda_kernels_load(bench.driver.api, 75, &kernels, &diag), 0);
	ck_assert_ptr_nonnull(strstr(diag.text, finf_cuda_kernel_name(1)));
	ck_assert_ptr_null(kernels);
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &shape, 0, 0, &kernel, &diag), 0);
	bench.driver.inject("cuLaunchKernel", 1, FINF_CU_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), -ENOBUFS);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
	finf_cuda_kernel_free(kernel);
	bench_fini(&bench);
}
END_TEST

/* The fake knows no compiled code, as an old driver does not know a newer toolkit's. */
START_TEST(what_is_not_taken_is_compiled)
{
	struct finf_cuda_kernels *kernels = NULL;
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	ck_assert_str_eq(finf_cuda_kernels_kind(bench.kernels), "ptx");
	ck_assert_msg(!finf_cuda_kernels_load(bench.driver.api, 90, &kernels, &diag), "%s",
		      diag.text);
	ck_assert_str_eq(finf_cuda_kernels_kind(kernels), "ptx");
	finf_cuda_kernels_unload(bench.driver.api, kernels, false);
	bench_fini(&bench);
}
END_TEST

/* ---- the image ---------------------------------------------------------------------------- */

START_TEST(image_is_for_old_drivers_and_cards)
{
	const char *ptx = finf_cuda_kernels_image();
	uint32_t n = 0, entries = 0;
	char entry[96];

	ck_assert_ptr_nonnull(strstr(ptx, "\n.version 7.2\n"));
	ck_assert_ptr_nonnull(strstr(ptx, "\n.target sm_75\n"));
	ck_assert_ptr_nonnull(strstr(ptx, "\n.address_size 64\n"));
	for (; finf_cuda_kernel_name(n); n++) {
		snprintf(entry, sizeof(entry), "\n.visible .entry %s(\n", finf_cuda_kernel_name(n));
		ck_assert_msg(strstr(ptx, entry), "no entry %s", finf_cuda_kernel_name(n));
	}
	for (const char *at = ptx; (at = strstr(at, ".entry ")); at++)
		entries++;
	ck_assert_uint_eq(entries, n);
	ck_assert_ptr_null(strstr(ptx, ".extern")); /* nothing that a toolkit would have to add */
}
END_TEST

static const char *ptxas(void)
{
	static const char *const places[] = {"/usr/local/cuda/bin/ptxas", "/usr/bin/ptxas"};

	for (size_t i = 0; i < FINF_ARRAY_LEN(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	skip_test("ptxas", "no CUDA toolkit is installed");
	return NULL;
}

START_TEST(assembler_accepts_the_image)
{
	static const char *const targets[] = {"sm_75", "sm_80", "sm_90"};
	const char *program = ptxas();
	char command[256];
	FILE *pipe;

	if (!program)
		return;
	snprintf(command, sizeof(command), "%s -w -arch=%s -o /dev/null /dev/stdin 2>&1", program,
		 targets[_i]);
	pipe = popen(command, "w");
	ck_assert_ptr_nonnull(pipe);
	fputs(finf_cuda_kernels_image(), pipe);
	ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

/* The fake takes names and sizes of parameters from the text. */
START_TEST(the_fake_reads_ptx)
{
	static const char *const images[] = {
		".version 7.2\n.target sm_75\n.visible .entry finf_fill(\n\t.param .align 8 .b8 "
		"p[528]\n)\n{ret;}\n",
		".version 7.2\n.target sm_75\n.visible .entry finf_fill(\n\t.param .align 8 .b8 "
		"p[520]\n)\n{ret;}\n",
		".version 7.2\n.target sm_75\n.visible .entry other(\n\t.param .align 8 .b8 "
		"p[528]\n)\n{ret;}\n",
	};
	struct fakedriver f = fakedriver_start();

	for (size_t i = 0; i < FINF_ARRAY_LEN(images); i++) {
		struct finf_cu_module *module;
		struct finf_cu_function *function;

		CU(f.api->cuModuleLoadDataEx(&module, images[i], 0, NULL, NULL));
		if (i)
			FAILS(NOT_FOUND,
			      f.api->cuModuleGetFunction(&function, module, "finf_fill"));
		else
			CU(f.api->cuModuleGetFunction(&function, module, "finf_fill"));
		CU(f.api->cuModuleUnload(module));
	}
	fakedriver_stop(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/cuda/launch");
	TCase *tc = tcase_create("launch");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, split_fills_all_outputs);
	tcase_add_test(tc, an_index_outside_yields_nan);
	tcase_add_test(tc, a_kernel_outlives_its_module);
	tcase_add_test(tc, failures_are_told);
	tcase_add_test(tc, what_is_not_taken_is_compiled);
	tcase_add_test(tc, image_is_for_old_drivers_and_cards);
	tcase_add_loop_test(tc, assembler_accepts_the_image, 0, 3);
	tcase_add_test(tc, the_fake_reads_ptx);
	suite_add_tcase(suite, tc);
	return suite;
}
