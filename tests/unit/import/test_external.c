/* SPDX-License-Identifier: MIT */
/* import: initialisers whose bytes lie in another file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/import.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

#define SHIFT 8 /* bytes before the weights in the data file */

static const float weights[] = {0.5f, -1.5f, 2.5f, -3.5f};

static void put_file(const char *name, const void *data, size_t bytes)
{
	int fd = open(scratch_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
}

static void add_entry(struct onnx_build *b, const char *key, const char *value)
{
	Onnx__TensorProto *w = b->graph.initializer[0];
	Onnx__StringStringEntryProto *entry =
		BUILD_NEW(b, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);

	if (!value)
		return;
	entry->key = build_str(b, key);
	entry->value = build_str(b, value);
	BUILD_PUSH(b, w->n_external_data, w->external_data, entry);
}

/* The model file; the same bytes are returned: free() them. */
static uint8_t *put_model(const char *location, const char *offset, const char *length,
			  size_t *ret_bytes)
{
	struct onnx_build b;
	uint8_t *data;

	build_sample(&b);
	b.graph.initializer[0]->has_raw_data = 0;
	b.graph.initializer[0]->has_data_location = 1;
	b.graph.initializer[0]->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	add_entry(&b, "location", location);
	add_entry(&b, "offset", offset);
	add_entry(&b, "length", length);
	data = build_pack(&b, ret_bytes);
	build_fini(&b);
	put_file("model.onnx", data, *ret_bytes);
	return data;
}

static void put_data(void)
{
	uint8_t data[SHIFT + sizeof(weights)] = {0};

	memcpy(data + SHIFT, weights, sizeof(weights));
	ck_assert(!mkdir(scratch_path("sub"), 0700) || errno == EEXIST);
	put_file("data.bin", data, sizeof(data));
	put_file("sub/data.bin", data, sizeof(data));
	ck_assert(!symlink("data.bin", scratch_path("link.bin")) || errno == EEXIST);
	ck_assert(!symlink("sub", scratch_path("linked")) || errno == EEXIST);
	ck_assert(!mkfifo(scratch_path("fifo"), 0600) || errno == EEXIST);
}

static const struct row {
	const char *location, *offset, *length;
	int err;
	const char *says;
} rows[] = {
	{"data.bin", "8", "16", 0, ""},
	{"data.bin", "8", NULL, 0, ""},
	{"sub/data.bin", "8", "16", 0, ""},
	{"./data.bin", "8", "16", 0, ""},
	{"data.bin", "9", "16", -EINVAL, "too short"},
	{"data.bin", "18446744073709551615", NULL, -EINVAL, "too short"},
	{"data.bin", "18446744073709551616", NULL, -EINVAL, "not described"},
	{"data.bin", "-8", NULL, -EINVAL, "not described"},
	{"data.bin", "", NULL, -EINVAL, "not described"},
	{"data.bin", "8", "12", -EINVAL, "12 bytes of external data, its dims say 16"},
	{NULL, "8", "16", -EINVAL, "not described"},
	{"", "8", "16", -EINVAL, "not below"},
	{"/etc/passwd", NULL, NULL, -EINVAL, "not below"},
	{"../data.bin", NULL, NULL, -EINVAL, "not below"},
	{"sub/../data.bin", "8", "16", -EINVAL, "not below"},
	{"sub//data.bin", "8", "16", -EINVAL, "not below"},
	{"sub/", NULL, NULL, -EINVAL, "not below"},
	{"link.bin", "8", "16", -ELOOP, "link.bin"},
	{"linked/data.bin", "8", "16", -ENOTDIR, "linked"},
	{"fifo", NULL, NULL, -EINVAL, "no file"},
	{"sub", NULL, NULL, -EINVAL, "no file"},
	{"nowhere.bin", NULL, NULL, -ENOENT, "nowhere.bin"},
};

START_TEST(row)
{
	const struct row *r = &rows[_i];
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	size_t bytes;
	uint32_t w;
	int err;

	put_data();
	free(put_model(r->location, r->offset, r->length, &bytes));
	err = finf_import_file(scratch_path("model.onnx"), &graph, &diag);
	ck_assert_msg(err == r->err, "%s: %d, %s", r->location, err, diag.text);
	if (err) {
		ck_assert_ptr_null(graph);
		ck_assert_msg(strstr(diag.text, "tensor 'w'") && strstr(diag.text, r->says), "%s",
			      diag.text);
		return;
	}
	ck_assert(finf_graph_find(graph, "w", &w));
	ck_assert_uint_eq(graph->values[w].bytes, sizeof(weights));
	ck_assert_mem_eq(graph->values[w].data, weights, sizeof(weights));
	finf_graph_free(graph);
}
END_TEST

/* Bytes in memory have no folder. */
START_TEST(from_memory)
{
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	size_t bytes;
	uint8_t *data = put_model("data.bin", "8", "16", &bytes);

	put_data();
	ck_assert_int_eq(finf_import_onnx(data, bytes, &graph, &diag), -EOPNOTSUPP);
	ck_assert_msg(strstr(diag.text, "external data needs") != NULL, "%s", diag.text);
	ck_assert_ptr_null(graph);
	free(data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/external");
	TCase *tc = tcase_create("external");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, from_memory);
	suite_add_tcase(suite, tc);
	return suite;
}
