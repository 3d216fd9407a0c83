/* SPDX-License-Identifier: MIT */
/*
 * The zoo writes what PyTorch's exporter writes: each network is written,
 * imported, printed as text and compared with the text of the real export
 * (tests/golden/zoo/NAME.txt, made by tests/golden/zoo_summary.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "graph/op.h"
#include "import/import.h"
#include "tests/support/support.h"
#include "tools/fictl/zoo/zoo.h"

#define NETWORKS 12

/* ---- a graph as text ---------------------------------------------------------- */

static bool is_output(const struct finf_graph *graph, uint32_t value)
{
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		if (graph->outputs[i] == value)
			return true;
	return false;
}

/* What values are called in the text: %N in order of definition, ports by name. */
static char **value_names(const struct finf_graph *graph)
{
	char **names = calloc(graph->n_values, sizeof(*names));
	unsigned count = 0;

	ck_assert_ptr_nonnull(names);
	for (uint32_t v = 0; v < graph->n_values; v++)
		if (graph->values[v].producer == FINF_NONE)
			names[v] = strdup(graph->values[v].name);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; k < graph->nodes[i].n_out; k++, count++) {
			uint32_t v = graph->nodes[i].out[k];

			if (is_output(graph, v))
				names[v] = strdup(graph->values[v].name);
			else
				ck_assert_int_gt(asprintf(&names[v], "%%%u", count), 0);
		}
	return names;
}

static void free_names(char **names, uint32_t n)
{
	for (uint32_t v = 0; v < n; v++)
		free(names[v]);
	free(names);
}

static void put_tensor(struct finf_buf *buf, const struct finf_tensor *t)
{
	char shape[64];
	size_t count;

	ck_assert_int_eq(finf_shape_count(&t->shape, &count), 0);
	finf_buf_printf(buf, "%s:%s:", finf_dtype_name(t->dtype),
			finf_shape_text(&t->shape, shape, sizeof(shape)));
	for (size_t i = 0; i < count; i++)
		if (t->dtype == FINF_I64)
			finf_buf_printf(buf, "%s%" PRId64, i ? "," : "", ((int64_t *)t->data)[i]);
		else
			finf_buf_printf(buf, "%s%.9g", i ? "," : "", (double)((float *)t->data)[i]);
}

static void put_attr(struct finf_buf *buf, const struct finf_attr *a)
{
	finf_buf_printf(buf, " %s=", a->name);
	switch (a->type) {
	case FINF_ATTR_INT:
		finf_buf_printf(buf, "%" PRId64, a->i);
		break;
	case FINF_ATTR_FLOAT:
		finf_buf_printf(buf, "%.9g", (double)a->f);
		break;
	case FINF_ATTR_STRING:
		finf_buf_printf(buf, "%s", a->s);
		break;
	case FINF_ATTR_INTS:
		for (uint32_t i = 0; i < a->n; i++)
			finf_buf_printf(buf, "%s%" PRId64, i ? "," : "", a->ints[i]);
		break;
	case FINF_ATTR_TENSOR:
		put_tensor(buf, a->t);
		break;
	default:
		ck_abort_msg("attribute %s", a->name);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct finf_attr *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void put_attrs(struct finf_buf *buf, const struct finf_node *node)
{
	const struct finf_attr *sorted[16];

	ck_assert_uint_le(node->n_attrs, FINF_ARRAY_LEN(sorted));
	for (uint32_t i = 0; i < node->n_attrs; i++)
		sorted[i] = &node->attrs[i];
	qsort(sorted, node->n_attrs, sizeof(*sorted), by_name);
	for (uint32_t i = 0; i < node->n_attrs; i++)
		put_attr(buf, sorted[i]);
}

static void put_node(struct finf_buf *buf, const struct finf_node *node, char **names)
{
	finf_buf_printf(buf, "node %s ", node->op->name);
	for (uint32_t i = 0; i < node->n_in; i++)
		finf_buf_printf(buf, "%s%s", i ? "," : "", names[node->in[i]]);
	finf_buf_printf(buf, " > %s |", names[node->out[0]]);
	put_attrs(buf, node);
	finf_buf_printf(buf, "\n");
}

static void put_graph(struct finf_buf *buf, const struct finf_graph *graph)
{
	char **names = value_names(graph), shape[64];
	size_t elements = 0, count;

	finf_buf_printf(buf, "opset %u\n", graph->nodes[0].opset);
	for (uint32_t i = 0; i < graph->n_inputs; i++)
		finf_buf_printf(buf, "input %s %s\n", names[graph->inputs[i]],
				finf_shape_text(&graph->values[graph->inputs[i]].shape, shape,
						sizeof(shape)));
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		finf_buf_printf(buf, "output %s\n", names[graph->outputs[i]]);
	for (uint32_t v = 0; v < graph->n_values; v++) {
		const struct finf_value *value = &graph->values[v];

		if (!value->is_const || value->producer != FINF_NONE)
			continue;
		ck_assert_int_eq(finf_shape_count(&value->shape, &count), 0);
		elements += count;
		finf_buf_printf(buf, "init %s %s\n", value->name,
				finf_shape_text(&value->shape, shape, sizeof(shape)));
	}
	finf_buf_printf(buf, "elements %zu\n", elements);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		put_node(buf, &graph->nodes[i], names);
	free_names(names, graph->n_values);
}

/* ---- tests ------------------------------------------------------------------------ */

static void check_lines(const char *name, const char *got, const char *want)
{
	for (unsigned line = 1; *got || *want; line++) {
		size_t a = strcspn(got, "\n"), b = strcspn(want, "\n");

		ck_assert_msg(a == b && !memcmp(got, want, a),
			      "%s, line %u: zoo has '%.*s', the export '%.*s'", name, line, (int)a,
			      got, (int)b, want);
		got += a + (got[a] != 0);
		want += b + (want[b] != 0);
	}
}

static char *read_text(const char *path)
{
	const void *data;
	size_t bytes;
	char *text;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), 0);
	close(fd);
	text = strndup(data, bytes);
	finf_file_unmap(data, bytes);
	return text;
}

/* vgg16 takes 553 MB: not everybody's /tmp has that. */
static bool room_for(const char *name)
{
	struct statvfs fs;

	if (strcmp(name, "vgg16"))
		return true;
	ck_assert_int_eq(statvfs(scratch_dir(), &fs), 0);
	return (uint64_t)fs.f_bavail * fs.f_frsize > (uint64_t)1 << 30;
}

START_TEST(same_as_export)
{
	const char *name = zoo_name((unsigned)_i), *path = scratch_path("zoo.onnx");
	struct finf_graph *graph;
	struct finf_diag diag;
	struct finf_buf buf;
	char file[4096], *want;

	if (!room_for(name)) {
		skip_test("disk", "less than 1 GiB free in $TMPDIR for vgg16");
		return;
	}
	ck_assert_msg(!zoo_write(name, 1, path, &diag), "%s: %s", name, diag.text);
	ck_assert_msg(!finf_import_file(path, &graph, &diag), "%s: %s", name, diag.text);
	unlink(path);
	finf_buf_init(&buf);
	put_graph(&buf, graph);
	finf_buf_u8(&buf, 0);
	ck_assert_int_eq(buf.err, 0);
	snprintf(file, sizeof(file), "%s/tests/golden/zoo/%s.txt", source_dir(), name);
	want = read_text(file);
	check_lines(name, (const char *)buf.data, want);
	free(want);
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}
END_TEST

static uint64_t file_hash(const char *path)
{
	const void *data;
	uint64_t hash;
	size_t bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), 0);
	close(fd);
	hash = finf_hash64(data, bytes);
	finf_file_unmap(data, bytes);
	return hash;
}

/* The same bytes for the same seed, on every machine: the numbers are part of the contract. */
START_TEST(seeded)
{
	static const struct {
		const char *name;
		uint64_t seed, hash;
	} rows[] = {
		{"squeezenet1_1", 1, 0xeb9254d71b81666au},
		{"squeezenet1_1", 2, 0x2f97d78198846e23u},
		{"mobilenet_v2", 1, 0x4fb606d7fd93f293u},
	};
	const char *path = scratch_path("seeded.onnx");
	uint64_t hash;

	ck_assert_int_eq(zoo_write(rows[_i].name, rows[_i].seed, path, NULL), 0);
	hash = file_hash(path);
	ck_assert_msg(hash == rows[_i].hash, "%s, seed %" PRIu64 ": %#" PRIx64, rows[_i].name,
		      rows[_i].seed, hash);
	unlink(path);
}
END_TEST

START_TEST(refused)
{
	struct finf_diag diag = {""};
	int before = open_descriptors();

	ck_assert_int_eq(zoo_write("resnet19", 0, scratch_path("x.onnx"), &diag), -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "resnet19"));
	ck_assert_int_eq(zoo_write("squeezenet1_1", 0, scratch_path("no/such/x.onnx"), &diag),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "no/such/x.onnx"));
	/* A full disk; its .part must not stay behind. */
	ck_assert_int_eq(symlink("/dev/full", scratch_path("full.onnx.part")), 0);
	ck_assert_int_eq(zoo_write("squeezenet1_1", 0, scratch_path("full.onnx"), &diag), -ENOSPC);
	ck_assert_int_lt(access(scratch_path("full.onnx"), F_OK), 0);
	ck_assert_int_lt(access(scratch_path("full.onnx.part"), F_OK), 0);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(listed)
{
	for (unsigned i = 0; i < NETWORKS; i++)
		ck_assert_ptr_nonnull(zoo_name(i));
	ck_assert_ptr_null(zoo_name(NETWORKS));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("zoo");
	TCase *tc = tcase_create("zoo");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, listed);
	tcase_add_loop_test(tc, same_as_export, 0, NETWORKS);
	tcase_add_loop_test(tc, seeded, 0, 3);
	tcase_add_test(tc, refused);
	suite_add_tcase(suite, tc);
	return suite;
}
