/* SPDX-License-Identifier: MIT */
/*
 * What people and enemies may hand to fictl: damaged and hostile files, wrong
 * names, tensors, numbers and commands. Each row gets its exit code, one clear
 * line, with --json one document; nothing stays behind and fid goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

/* ---- files ---------------------------------------------------------------------------- */

struct bytes {
	uint8_t *data; /* owned */
	size_t len;
};

static struct bytes golden(const char *name)
{
	struct bytes bytes = {0};
	char path[1200];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", source_dir(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0 && !fstat(fd, &st), "%s: %s", path, strerror(errno));
	bytes.len = (size_t)st.st_size;
	bytes.data = malloc(bytes.len);
	ck_assert_ptr_nonnull(bytes.data);
	ck_assert_int_eq(finf_pread_full(fd, bytes.data, bytes.len, 0), 0);
	close(fd);
	return bytes;
}

static void put_file(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(finf_write_full(fd, data, len), 0);
	close(fd);
}

/* The same file with the first occurrence of @from replaced by as many bytes. */
static void put_patched(const char *name, const struct bytes *bytes, const char *from,
			const char *to, size_t len)
{
	uint8_t *at = memmem(bytes->data, bytes->len, from, len), *copy;

	ck_assert_msg(at != NULL, "%s: nothing to replace", name);
	copy = malloc(bytes->len);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes->data, bytes->len);
	memcpy(copy + (at - bytes->data), to, len);
	put_file(name, copy, bytes->len);
	free(copy);
}

/* ---- ONNX by hand: protobuf's wire format (protobuf.dev/programming-guides/encoding) ----- */

static void pb_varint(struct finf_buf *buf, uint64_t value)
{
	for (; value > 127; value >>= 7)
		finf_buf_u8(buf, (uint8_t)(value | 128));
	finf_buf_u8(buf, (uint8_t)value);
}

static void pb_int(struct finf_buf *buf, unsigned field, uint64_t value)
{
	pb_varint(buf, field << 3);
	pb_varint(buf, value);
}

static void pb_put(struct finf_buf *buf, unsigned field, const void *data, size_t len)
{
	pb_varint(buf, field << 3 | 2);
	pb_varint(buf, len);
	finf_buf_put(buf, data, len);
}

static void pb_text(struct finf_buf *buf, unsigned field, const char *text)
{
	pb_put(buf, field, text, strlen(text));
}

static void pb_message(struct finf_buf *buf, unsigned field, struct finf_buf *message)
{
	ck_assert_int_eq(message->err, 0);
	pb_put(buf, field, message->data, message->len);
	finf_buf_fini(message);
}

/* A float32 value of rank 2. */
static void pb_value(struct finf_buf *graph, unsigned field, const char *name, uint64_t d0, uint64_t d1)
{
	struct finf_buf value, type, tensor, shape, dim;

	finf_buf_init(&shape);
	for (int i = 0; i < 2; i++) {
		finf_buf_init(&dim);
		pb_int(&dim, 1, i ? d1 : d0);
		pb_message(&shape, 1, &dim);
	}
	finf_buf_init(&tensor);
	pb_int(&tensor, 1, 1);
	pb_message(&tensor, 2, &shape);
	finf_buf_init(&type);
	pb_message(&type, 1, &tensor);
	finf_buf_init(&value);
	pb_text(&value, 1, name);
	pb_message(&value, 2, &type);
	pb_message(graph, field, &value);
}

static void pb_node(struct finf_buf *graph, const char *op, const char *a, const char *b,
		    const char *out)
{
	struct finf_buf node;

	finf_buf_init(&node);
	pb_text(&node, 1, a);
	if (b)
		pb_text(&node, 1, b);
	pb_text(&node, 2, out);
	pb_text(&node, 3, out);
	pb_text(&node, 4, op);
	pb_message(graph, 1, &node);
}

static void put_model(const char *name, struct finf_buf *graph)
{
	struct finf_buf model, opset;

	pb_text(graph, 2, "graph");
	finf_buf_init(&model);
	pb_int(&model, 1, 7);
	finf_buf_init(&opset);
	pb_int(&opset, 2, 13);
	pb_message(&model, 8, &opset);
	pb_message(&model, 7, graph);
	put_file(name, model.data, model.len);
	finf_buf_fini(&model);
}

/* Node in attribute in node ... deeper than a parser may recurse. */
static void put_deep(void)
{
	struct finf_buf inner, outer;

	finf_buf_init(&inner);
	pb_text(&inner, 1, "x");
	for (int level = 0; level < 2998; level++) {
		static const unsigned fields[] = {1, 6, 5}; /* node of a graph of an attribute */

		finf_buf_init(&outer);
		pb_message(&outer, fields[level % 3], &inner);
		inner = outer;
	}
	put_model("deep.onnx", &inner);
}

static void put_initializer(struct finf_buf *graph, uint64_t extent, bool external)
{
	struct finf_buf tensor, entry;

	finf_buf_init(&tensor);
	pb_int(&tensor, 1, extent);
	pb_int(&tensor, 1, extent);
	pb_int(&tensor, 2, 1);
	pb_text(&tensor, 8, "w");
	if (external) {
		finf_buf_init(&entry);
		pb_text(&entry, 1, "location");
		pb_text(&entry, 2, "../../etc/passwd");
		pb_message(&tensor, 13, &entry);
		pb_int(&tensor, 14, 1);
	} else {
		pb_put(&tensor, 9, "\0\0\0\0", 4);
	}
	pb_message(graph, 5, &tensor);
}

static void put_hostile(void)
{
	struct finf_buf graph;

	finf_buf_init(&graph);
	pb_node(&graph, "Relu", "x", NULL, "y");
	pb_value(&graph, 11, "x", (uint64_t)1 << 40, (uint64_t)1 << 40);
	pb_value(&graph, 12, "y", (uint64_t)1 << 40, (uint64_t)1 << 40);
	put_model("absurd.onnx", &graph);

	finf_buf_init(&graph);
	pb_node(&graph, "Add", "x", "b", "a");
	pb_node(&graph, "Relu", "a", NULL, "b");
	pb_value(&graph, 11, "x", 1, 4);
	pb_value(&graph, 12, "b", 1, 4);
	put_model("cycle.onnx", &graph);

	finf_buf_init(&graph);
	pb_node(&graph, "Add", "x", "weights", "y");
	pb_value(&graph, 11, "x", 1, 4);
	pb_value(&graph, 12, "y", 1, 4);
	put_model("missing.onnx", &graph);

	finf_buf_init(&graph);
	pb_node(&graph, "Relu", "x", NULL, "y");
	pb_node(&graph, "Relu", "x", NULL, "y");
	pb_value(&graph, 11, "x", 1, 4);
	pb_value(&graph, 12, "y", 1, 4);
	put_model("twice.onnx", &graph);

	for (int external = 0; external < 2; external++) {
		finf_buf_init(&graph);
		pb_node(&graph, "Add", "x", "w", "y");
		put_initializer(&graph, external ? 1 : (uint64_t)1 << 31, external);
		pb_value(&graph, 11, "x", 1, 4);
		pb_value(&graph, 12, "y", 1, 4);
		put_model(external ? "external.onnx" : "overflow.onnx", &graph);
	}
}

/* ---- .npy --------------------------------------------------------------------------------- */

static void put_npy(const char *name, const char *literal, size_t data_bytes)
{
	uint8_t file[4096] = "\x93NUMPY\x01";
	size_t len = strlen(literal);

	ck_assert_uint_lt(10 + len + data_bytes, sizeof(file));
	file[8] = (uint8_t)len;
	file[9] = (uint8_t)(len >> 8);
	memcpy(file + 10, literal, len);
	put_file(name, file, 10 + len + data_bytes);
}

static void put_tensors(const struct bytes *images)
{
#define NPY(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"
	put_npy("good.npy", NPY("<f4", "False", "(1, 1, 8, 8)"), 256);
	put_npy("shape.npy", NPY("<f4", "False", "(1, 1, 8, 9)"), 288);
	put_npy("rank.npy", NPY("<f4", "False", "(64,)"), 256);
	put_npy("dtype.npy", NPY("<f8", "False", "(1, 1, 8, 8)"), 512);
	put_npy("big-endian.npy", NPY(">f4", "False", "(1, 1, 8, 8)"), 256);
	put_npy("fortran.npy", NPY("<f4", "True", "(1, 1, 8, 8)"), 256);
	put_npy("short.npy", NPY("<f4", "False", "(1, 1, 8, 8)"), 252);
	put_npy("none.npy", NPY("<f4", "False", "(0, 1, 8, 8)"), 0);
	put_npy("negative.npy", NPY("<f4", "False", "(-1, 1, 8, 8)"), 256);
	put_npy("overflow.npy", NPY("<f4", "False", "(4294967296, 4294967296, 8, 8)"), 256);
	put_npy("no-shape.npy", "{'descr': '<f4', 'fortran_order': False}\n", 256);
	put_file("cut.npy", images->data, 9);
	put_file("empty.npy", "", 0);
	put_file("not.npz", "PK not a zip", 12);
	ck_assert_int_eq(mkdir("folder", 0755), 0);
}

static void put_files(void)
{
	struct bytes model = golden("digits/digits.onnx"), images = golden("digits/images.npy");
	struct bytes pack = golden("packs/portable-1.fim"), tuned = golden("packs/tuned-1.fim");
	uint8_t noise[4096];
	uint64_t seed = 7;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)test_random(&seed);
	put_file("digits.onnx", model.data, model.len);
	put_file("good.fim", pack.data, pack.len);
	put_file("tuned.fim", tuned.data, tuned.len);
	put_file("empty.onnx", "", 0);
	put_file("empty.fim", "", 0);
	put_file("noise.onnx", noise, sizeof(noise));
	put_file("noise.fim", noise, sizeof(noise));
	put_file("text.onnx", "this is no model\n", 17);
	put_file("half.onnx", model.data, model.len / 2);
	put_file("half.fim", pack.data, pack.len / 2);
	put_patched("operator.onnx", &model, "\x22\x04" "Conv", "\x22\x04" "Colv", 6);
	put_patched("control.onnx", &model, "/0/Conv\x22", "/0\nConv\x22", 8);
	put_file("disguise.fim", model.data, model.len);
	put_file("disguise.onnx", pack.data, pack.len);
	ck_assert_int_eq(mkdir("folder.onnx", 0755), 0);
	ck_assert_int_eq(mkdir("folder.fim", 0755), 0);
	put_deep();
	put_hostile();
	put_tensors(&images);
	free(model.data);
	free(images.data);
	free(pack.data);
	free(tuned.data);
}

/* ---- the table -------------------------------------------------------------------------------- */

#define LONG_NAME                                                                                  \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                         \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"

static const struct row {
	const char *args[8];
	int status;
	const char *says[3];
} rows[] = {
	/* ONNX files */
	{{"import", "nowhere.onnx"}, 1, {"nowhere.onnx", "No such file"}},
	{{"import", "folder.onnx"}, 1, {"folder.onnx"}},
	{{"import", "empty.onnx"}, 1, {"empty.onnx", "empty"}},
	{{"import", "noise.onnx"}, 1, {"noise.onnx", "offset"}},
	{{"import", "text.onnx"}, 1, {"text.onnx"}},
	{{"import", "half.onnx"}, 1, {"half.onnx", "offset"}},
	{{"import", "disguise.onnx"}, 1, {"disguise.onnx"}},
	{{"import", "operator.onnx"}, 1, {"'/0/Conv'", "Colv", "opset 13"}},
	{{"import", "control.onnx"}, 1, {"control.onnx", "control character"}},
	{{"import", "deep.onnx"}, 1, {"deep.onnx", "nested more than"}},
	{{"import", "absurd.onnx"}, 1, {"absurd.onnx"}},
	{{"import", "cycle.onnx"}, 1, {"cycle.onnx"}},
	{{"import", "missing.onnx"}, 1, {"missing.onnx", "weights"}},
	{{"import", "twice.onnx"}, 1, {"twice.onnx", "'y'"}},
	{{"import", "overflow.onnx"}, 1, {"overflow.onnx", "'w'"}},
	{{"import", "external.onnx"}, 1, {"external.onnx", "external"}},
	{{"run", "half.onnx"}, 1, {"half.onnx"}},
	{{"run", "nowhere.onnx"}, 1, {"nowhere.onnx"}},
	{{"plan", "operator.onnx"}, 1, {"Colv"}},
	{{"inspect", "operator.onnx"}, 1, {"Colv"}},
	{{"inspect", "empty.onnx"}, 1, {"empty.onnx"}},
	/* packs */
	{{"import", "nowhere.fim"}, 1, {"nowhere.fim", "No such file"}},
	{{"import", "folder.fim"}, 1, {"folder.fim"}},
	{{"import", "empty.fim"}, 1, {"empty.fim"}},
	{{"import", "noise.fim"}, 1, {"noise.fim"}},
	{{"import", "half.fim"}, 1, {"half.fim"}},
	{{"import", "disguise.fim"}, 1, {"disguise.fim"}},
	{{"import", "tuned.fim"}, 1, {"tuned.fim", "tuned pack"}},
	{{"verify", "nowhere.fim"}, 1, {"nowhere.fim", "No such file"}},
	{{"verify", "empty.fim"}, 1, {"empty.fim"}},
	{{"verify", "noise.fim"}, 1, {"noise.fim"}},
	{{"verify", "half.fim"}, 1, {"half.fim"}},
	{{"verify", "folder.fim"}, 1, {"folder.fim"}},
	{{"inspect", "half.fim"}, 1, {"half.fim"}},
	{{"plan", "half.fim"}, 1, {"half.fim"}},
	{{"run", "half.fim"}, 1, {"half.fim"}},
	/* names */
	{{"import", "digits.onnx", "--name", "a/b"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", "../up"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", ".hidden"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", ""}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", "two words"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", "line\nbreak"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", "\033[2J"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", "m:1"}, 2, {"not a model name"}},
	{{"import", "digits.onnx", "--name", LONG_NAME}, 2, {"not a model name"}},
	{{"infer", "nobody"}, 1, {"no model named nobody"}},
	{{"infer", "digits:0"}, 1, {"not a model name", "digits:0"}},
	{{"infer", "digits:01"}, 1, {"not a model name"}},
	{{"infer", "digits:2"}, 1, {"no model named digits:2"}},
	{{"infer", "digits:4294967297"}, 1, {"not a model name"}},
	{{"infer", "line\nbreak"}, 1, {"not a model name"}},
	{{"infer", "../../etc"}, 1, {"not a model name"}},
	{{"infer", ""}, 1, {"not a model name"}},
	{{"infer", LONG_NAME}, 1, {"not a model name"}},
	{{"load", "nobody"}, 1, {"nobody"}},
	{{"unload", "nobody"}, 1, {"nobody"}},
	{{"pin", "nobody"}, 1, {"nobody"}},
	{{"unpin", "nobody"}, 1, {"nobody"}},
	{{"remove", "nobody"}, 1, {"nobody"}},
	{{"remove", "digits:7"}, 1, {"digits:7"}},
	{{"why", "nobody"}, 1, {"nobody"}},
	{{"inspect", "nobody"}, 1, {"nobody"}},
	/* tensors */
	{{"infer", "digits", "--inputs", "nowhere.npy"}, 1, {"nowhere.npy", "No such file"}},
	{{"infer", "digits", "--inputs", "shape.npy"}, 1, {"image", "8"}},
	{{"infer", "digits", "--inputs", "rank.npy"}, 1, {"image"}},
	{{"infer", "digits", "--inputs", "dtype.npy"}, 1, {"image", "float64"}},
	{{"infer", "digits", "--inputs", "none.npy"}, 1, {"image"}},
	{{"infer", "digits", "--inputs", "name.npz"}, 1, {"scores"}},
	{{"infer", "digits", "--inputs", "big-endian.npy"}, 1, {"big-endian.npy"}},
	{{"infer", "digits", "--inputs", "fortran.npy"}, 1, {"fortran.npy"}},
	{{"infer", "digits", "--inputs", "short.npy"}, 1, {"short.npy", "252"}},
	{{"infer", "digits", "--inputs", "negative.npy"}, 1, {"negative.npy"}},
	{{"infer", "digits", "--inputs", "overflow.npy"}, 1, {"overflow.npy"}},
	{{"infer", "digits", "--inputs", "no-shape.npy"}, 1, {"no-shape.npy"}},
	{{"infer", "digits", "--inputs", "cut.npy"}, 1, {"cut.npy"}},
	{{"infer", "digits", "--inputs", "empty.npy"}, 1, {"empty.npy"}},
	{{"infer", "digits", "--inputs", "not.npz"}, 1, {"not.npz"}},
	{{"infer", "digits", "--inputs", "folder"}, 1, {"folder", "input_0.pb"}},
	{{"infer", "digits", "--outputs", "no/such/out.npy"}, 1, {"no/such/out.npy"}},
	{{"run", "digits.onnx", "--inputs", "shape.npy"}, 1, {"image"}},
	{{"run", "digits.onnx", "--inputs", "name.npz"}, 1, {"scores"}},
	/* usage */
	{{"frobnicate"}, 2, {"no such command: frobnicate"}},
	{{"infer"}, 2, {"which model"}},
	{{"import"}, 2, {"which file"}},
	{{"import", "a.onnx", "b.onnx"}, 2, {"unexpected argument: b.onnx"}},
	{{"infer", "digits", "--bogus"}, 2, {"unknown option: --bogus"}},
	{{"infer", "digits", "--inputs"}, 2, {"--inputs needs a value"}},
	{{"infer", "digits", "--repeat", "0"}, 2, {"--repeat"}},
	{{"infer", "digits", "--repeat", "-1"}, 2, {"--repeat"}},
	{{"infer", "digits", "--repeat", "many"}, 2, {"--repeat"}},
	{{"infer", "digits", "--repeat", "99999999999999999999"}, 2, {"--repeat"}},
	{{"infer", "digits", "--batch", "0"}, 2, {"--batch"}},
	{{"infer", "digits", "--batch", "65537"}, 2, {"--batch"}},
	{{"run", "digits.onnx", "--threads", "0"}, 2, {"--threads"}},
	{{"run", "digits.onnx", "--threads", "2000"}, 2, {"--threads"}},
	{{"run", "digits.onnx", "--device", "toaster"}, 77, {"toaster"}},
	{{"plan", "digits.onnx", "--batch", "x"}, 2, {"--batch"}},
	{{"events", "--count", "0"}, 2, {"--count"}},
	{{"status", "extra"}, 2, {"unexpected argument: extra"}},
	{{"verify"}, 2, {"which .fim file"}},
	{{"zoo", "resnet1000", "-o", "x.onnx"}, 1, {"resnet1000"}},
	{{"zoo", "squeezenet1_1", "-o", "no/such/x.onnx"}, 1, {"no/such/x.onnx"}},
};

static void check_says(const struct row *row, const char *text)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(row->says) && row->says[i]; i++)
		ck_assert_msg(strstr(text, row->says[i]) != NULL, "%s %s: \"%s\" does not say \"%s\"",
			      row->args[0], row->args[1], text, row->says[i]);
}

static void check_document(const struct row *row, const struct test_output *output)
{
	json_error_t error;
	json_t *doc = json_loads(output->out, JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(json_is_object(doc), "%s: stdout is not one document: %s\n%s", row->args[0],
		      error.text, output->out);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(doc, "error")));
	check_says(row, json_string_value(json_object_get(doc, "error")));
	json_decref(doc);
}

static void check_row(const struct test_fid *fid, const struct row *row, bool json)
{
	const char *args[10] = {"--json"};
	struct test_output output;

	memcpy(args + json, row->args, sizeof(row->args));
	fictl(&output, fid, args);
	ck_assert_msg(output.status == row->status, "%s %s %s %s: exit %d, not %d: %s", row->args[0],
		      row->args[1], row->args[2], row->args[3], output.status, row->status, output.err);
	check_says(row, output.err);
	if (row->status == 2)
		ck_assert_msg(!strncmp(output.err, "fictl: ", 7), "%s", output.err);
	else
		check_message(&output);
	if (json && row->status != 2)
		check_document(row, &output);
	else
		ck_assert_msg(!output.out[0], "%s %s wrote: %s", row->args[0], row->args[1], output.out);
	test_output_free(&output);
}

/* Files of the test lie in its own folder, fictl's temporary ones beside them. */
static void enter(void)
{
	ck_assert_int_eq(chdir(scratch_dir()), 0);
	ck_assert_int_eq(mkdir("temporary", 0755), 0);
	setenv("TMPDIR", scratch_path("temporary"), 1);
	put_files();
	fictl_ok(NULL, "run", "digits.onnx", "--outputs", "name.npz", NULL);
}

static void check_nothing_left(const struct test_fid *fid, const char *files, int descriptors)
{
	char *now = file_list(scratch_dir());

	ck_assert_msg(!strcmp(now, files), "there is now:\n%swhere there was:\n%s", now, files);
	free(now);
	wait_descriptors(fid->pid, descriptors);
	ck_assert_int_eq(json_at(fictl_ok(fid, "status", "--json", NULL), "pool.weights"), 0);
}

START_TEST(every_row_gets_its_exit_code_and_one_line)
{
	struct test_fid fid;
	char *files;
	int descriptors;

	enter();
	fid_start(&fid, "rows", "16M", NULL);
	fictl_ok(&fid, "import", "digits.onnx", NULL);
	fictl_ok(&fid, "infer", "digits", "--inputs", "good.npy", NULL);
	fictl_ok(&fid, "unload", "digits", NULL);
	descriptors = settled_descriptors(fid.pid);
	files = file_list(scratch_dir());
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++)
		for (int json = 0; json < 2; json++)
			check_row(&fid, &rows[i], json);
	fictl_ok(&fid, "unload", "digits", NULL);
	check_nothing_left(&fid, files, descriptors);
	fictl_ok(&fid, "infer", "digits", "--inputs", "good.npy", NULL);
	free(files);
	fid_stop(&fid);
}
END_TEST

START_TEST(without_a_daemon_the_exit_code_is_3)
{
	static const struct row none[] = {
		{{"status"}, 3, {"no daemon"}},	      {{"models"}, 3, {"no daemon"}},
		{{"events"}, 3, {"no daemon"}},	      {{"infer", "digits"}, 3, {"no daemon"}},
		{{"load", "digits"}, 3, {"no daemon"}}, {{"why", "digits"}, 3, {"no daemon"}},
		{{"import", "digits.onnx"}, 3, {"no daemon"}},
	};
	struct test_fid nobody = {.pid = 0};

	enter();
	for (size_t i = 0; i < FINF_ARRAY_LEN(none); i++)
		for (int json = 0; json < 2; json++) {
			snprintf(nobody.socket, sizeof(nobody.socket), "nobody.sock");
			check_row(&nobody, &none[i], json);
			memset(nobody.socket, 'x', 300);
			nobody.socket[300] = 0;
			check_row(&nobody, &none[i], json);
		}
}
END_TEST

/* ---- every place a file can be cut or flipped ---------------------------------------------- */

static void refused(const struct test_fid *fid, const char *command, const char *file,
		    const char *what, size_t at)
{
	struct test_output output;

	fictl(&output, fid, (const char *const[]){command, file, NULL});
	ck_assert_msg(output.status == 1, "%s of a file %s at %zu: exit %d: %s%s", command, what, at,
		      output.status, output.out, output.err);
	check_message(&output);
	ck_assert_msg(strstr(output.err, file) != NULL, "%s", output.err);
	test_output_free(&output);
}

/* About @n places, those near both ends and around the pages among them. */
static size_t next_place(size_t at, size_t len, size_t n)
{
	if (at < 16 || (at & 4095) < 2 || (at & 4095) == 4095)
		return at + 1;
	return FINF_MIN(at + FINF_MAX(len / n, (size_t)1), at | 4095);
}

START_TEST(cut_anywhere_is_refused)
{
	struct bytes model = golden("digits/digits.onnx"), pack = golden("packs/portable-1.fim");
	struct test_fid fid;
	char *files;
	int descriptors;

	enter();
	fid_start(&fid, "cut", "16M", NULL);
	fictl_ok(&fid, "status", NULL);
	put_file("cut.onnx", "", 0);
	put_file("cut.fim", "", 0);
	descriptors = settled_descriptors(fid.pid);
	files = file_list(scratch_dir());
	for (size_t at = 0; at < model.len; at += at < 16 ? 1 : model.len / 24) {
		put_file("cut.onnx", model.data, at);
		refused(&fid, "import", "cut.onnx", "cut", at);
		refused(NULL, "inspect", "cut.onnx", "cut", at);
	}
	for (size_t at = 0; at < pack.len; at = next_place(at, pack.len, 64)) {
		put_file("cut.fim", pack.data, at);
		refused(&fid, "import", "cut.fim", "cut", at);
		refused(NULL, "verify", "cut.fim", "cut", at);
		refused(NULL, "inspect", "cut.fim", "cut", at);
	}
	check_nothing_left(&fid, files, descriptors);
	free(files);
	free(model.data);
	free(pack.data);
	fid_stop(&fid);
}
END_TEST

START_TEST(one_flipped_bit_is_refused)
{
	static const char *const packs[] = {"packs/portable-1.fim", "packs/tuned-1.fim"};
	struct bytes pack = golden(packs[_i]);
	struct test_fid fid;
	char *files;
	int descriptors;

	enter();
	fid_start(&fid, "flip", "16M", NULL);
	fictl_ok(&fid, "status", NULL);
	put_file("flip.fim", "", 0);
	descriptors = settled_descriptors(fid.pid);
	files = file_list(scratch_dir());
	for (size_t at = 0; at < pack.len; at = next_place(at, pack.len, 100)) {
		pack.data[at] ^= (uint8_t)(1u << at % 8);
		put_file("flip.fim", pack.data, pack.len);
		pack.data[at] ^= (uint8_t)(1u << at % 8);
		refused(NULL, "verify", "flip.fim", "flipped", at);
		refused(&fid, "import", "flip.fim", "flipped", at);
	}
	check_nothing_left(&fid, files, descriptors);
	free(files);
	free(pack.data);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("bad input");
	TCase *tc = tcase_create("fictl");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, every_row_gets_its_exit_code_and_one_line);
	tcase_add_test(tc, without_a_daemon_the_exit_code_is_3);
	tcase_add_test(tc, cut_anywhere_is_refused);
	tcase_add_loop_test(tc, one_flipped_bit_is_refused, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
