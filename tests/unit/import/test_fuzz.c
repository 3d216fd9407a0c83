/* SPDX-License-Identifier: MIT */
/*
 * import: the fuzzer's entry on golden models, mutated in the same ways in every
 * run: bytes at random, and numbers (attributes, dimensions, int64 constants)
 * replaced by ones that overflow what is computed from them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <onnx.pb-c.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_import.c"
#include "tests/support/support.h"

#define ROUNDS 40 /* per model and run */

static uint8_t *read_model(const char *name, size_t *ret_bytes)
{
	char path[4096];
	const void *mapped;
	uint8_t *data;
	int fd;

	snprintf(path, sizeof(path), "%s/tests/golden/cases/%s/model.onnx", source_dir(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(finf_file_map(fd, &mapped, ret_bytes), 0);
	close(fd);
	data = malloc(*ret_bytes);
	ck_assert_ptr_nonnull(data);
	memcpy(data, mapped, *ret_bytes);
	finf_file_unmap(mapped, *ret_bytes);
	return data;
}

static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void mutate_bytes(const uint8_t *data, size_t bytes, uint64_t seed)
{
	uint8_t *bad = malloc(bytes);

	ck_assert_ptr_nonnull(bad);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		size_t n = fuzz_mutate(data, bytes, seed + round, bad);
		uint8_t *exact = malloc(n ? n : 1); /* ASan sees a read past the end */

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, bad, n);
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
	}
	free(bad);
}

/* The @at-th number of a model that shapes may depend on; NULL past the last. */
struct numbers {
	size_t at;
	int64_t *found;
};

static void number(struct numbers *n, int64_t *values, size_t count)
{
	if (!n->found && n->at < count)
		n->found = &values[n->at];
	n->at -= FINF_MIN(n->at, count);
}

static void tensor_numbers(struct numbers *n, Onnx__TensorProto *t)
{
	number(n, t->dims, t->n_dims);
	if (t->data_type == FINF_I64)
		number(n, (int64_t *)(void *)t->raw_data.data, t->raw_data.len / sizeof(int64_t));
}

static int64_t *find_number(Onnx__GraphProto *graph, size_t at)
{
	struct numbers n = {.at = at};

	for (size_t i = 0; i < graph->n_initializer; i++)
		tensor_numbers(&n, graph->initializer[i]);
	for (size_t i = 0; i < graph->n_input; i++) {
		Onnx__TensorShapeProto *shape = graph->input[i]->type->tensor_type->shape;

		for (size_t k = 0; k < shape->n_dim; k++)
			if (shape->dim[k]->value_case ==
			    ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
				number(&n, &shape->dim[k]->dim_value, 1);
	}
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t k = 0; k < graph->node[i]->n_attribute; k++) {
			Onnx__AttributeProto *a = graph->node[i]->attribute[k];

			if (a->has_i)
				number(&n, &a->i, 1);
			number(&n, a->ints, a->n_ints);
			if (a->t)
				tensor_numbers(&n, a->t);
		}
	return n.found;
}

/* Each number in turn becomes each of the nasty ones, the rest stays sound. */
static void mutate_numbers(const uint8_t *data, size_t bytes)
{
	static const int64_t nasty[] = {0,
					1,
					-1,
					3,
					-(1 << 20),
					(int64_t)1 << 40,
					INT32_MAX,
					INT64_MAX,
					INT64_MAX - 1,
					INT64_MIN,
					INT64_MIN + 1};
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes, data);
	int64_t *number;

	ck_assert_ptr_nonnull(model);
	for (size_t at = 0; (number = find_number(model->graph, at)); at++) {
		int64_t good = *number;

		for (size_t i = 0; i < FINF_ARRAY_LEN(nasty); i++) {
			size_t n;
			uint8_t *bad;

			*number = nasty[i];
			n = onnx__model_proto__get_packed_size(model);
			bad = malloc(n);
			ck_assert_ptr_nonnull(bad);
			onnx__model_proto__pack(model, bad);
			LLVMFuzzerTestOneInput(bad, n);
			free(bad);
		}
		*number = good;
	}
	onnx__model_proto__free_unpacked(model, NULL);
}

static void mutate(const char *name, uint64_t seed)
{
	size_t bytes;
	uint8_t *data = read_model(name, &bytes);

	LLVMFuzzerTestOneInput(data, bytes);
	mutate_bytes(data, bytes, seed);
	mutate_numbers(data, bytes);
	free(data);
}

START_TEST(golden_models)
{
	struct dirent **entries;
	char root[4096];
	int n;

	snprintf(root, sizeof(root), "%s/tests/golden/cases", source_dir());
	n = scandir(root, &entries, is_case, alphasort);
	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++) {
		mutate(entries[i]->d_name, (uint64_t)i * ROUNDS);
		free(entries[i]);
	}
	free(entries);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/fuzz");
	TCase *tc = tcase_create("fuzz");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, golden_models);
	suite_add_tcase(suite, tc);
	return suite;
}
