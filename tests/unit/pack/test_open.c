/* SPDX-License-Identifier: MIT */
/* Damaged, truncated and hostile packs: each is refused, and says where and why. */
#include "tests/unit/pack/packs.h"

#define SAMPLE_FRONT FINF_SEGMENT_ALIGN

static void open_must_fail(const void *data, size_t size, int want, const char *text,
			   const char *what)
{
	int before = open_descriptors();
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int err = open_bytes(data, size, &pack, &diag);

	ck_assert_msg(err == want, "%s: %d (%s), not %d", what, err, diag.text, want);
	ck_assert_msg(strstr(diag.text, text), "%s: \"%s\" lacks \"%s\"", what, diag.text, text);
	ck_assert_msg(!strncmp(diag.text, "some.fim: ", 10), "%s", diag.text);
	ck_assert_ptr_null(pack);
	ck_assert_int_eq(open_descriptors(), before);
}

/* ---- accidents -------------------------------------------------------------------- */

/* Any one bit of any byte: seen when opened, or when verified. */
START_TEST(test_every_byte_counts)
{
	uint64_t seed = 1;
	size_t size;
	uint8_t *file = sample_bytes(_i, &size);

	for (size_t at = 0; at < size; at++) {
		uint8_t bit = (uint8_t)(1u << test_random(&seed) % 8);
		struct finf_pack *pack = NULL;
		struct finf_diag diag = {""};
		int err;

		file[at] ^= bit;
		err = open_bytes(file, size, &pack, &diag);
		if (!err) {
			err = finf_pack_verify(pack, &diag);
			finf_pack_close(pack);
		}
		ck_assert_msg(err == -EBADMSG || err == -EOPNOTSUPP, "byte %zu: %d", at, err);
		ck_assert_str_ne(diag.text, "");
		file[at] ^= bit;
	}
	free(file);
}
END_TEST

START_TEST(test_truncated)
{
	size_t size;
	uint8_t *file = sample_bytes(_i, &size);

	for (size_t len = 0; len < size; len += len % FINF_SEGMENT_ALIGN ? 511 : 1)
		open_must_fail(file, len, -EBADMSG, "", "truncated");
	file = realloc(file, size + FINF_SEGMENT_ALIGN);
	memset(file + size, 0, FINF_SEGMENT_ALIGN);
	open_must_fail(file, size + FINF_SEGMENT_ALIGN, -EBADMSG, "tensors end", "a page too long");
	open_must_fail(file, size + 1, -EBADMSG, "cut short", "a byte too long");
	free(file);
}
END_TEST

START_TEST(test_verify_names_the_place)
{
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	size_t size;
	uint8_t *file = sample_bytes(false, &size);

	file[size - FINF_SEGMENT_ALIGN] ^= 1; /* the last page: the middle of W2 */
	ck_assert_int_eq(open_bytes(file, size, &pack, &diag), 0);
	ck_assert_int_eq(finf_pack_verify(pack, &diag), -EBADMSG);
	ck_assert_str_eq(diag.text, "some.fim: offset 8192: segment 0 of 1, from tensor W1 on, does "
				    "not match its checksum");
	finf_pack_close(pack);
	free(file);
}
END_TEST

/* Cut while it is open: an error, not a crash. */
START_TEST(test_cut_after_open)
{
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	size_t size;
	uint8_t *file = sample_bytes(false, &size), byte;
	int fd = file_of(file, size);

	ck_assert_int_eq(finf_pack_open(fd, "x", &pack, &diag), 0);
	ck_assert_int_eq(ftruncate(fd, FINF_SEGMENT_ALIGN), 0);
	ck_assert_int_eq(finf_pack_verify(pack, &diag), -EIO);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 0, &byte, 1), -EIO);
	finf_pack_close(pack);
	close(fd);
	free(file);
}
END_TEST

START_TEST(test_not_regular)
{
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int pipes[2], dir = scratch_fd();

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(finf_pack_open(pipes[0], "x", &pack, &diag), -EINVAL);
	ck_assert_str_eq(diag.text, "x: not a regular file");
	ck_assert_int_eq(finf_pack_open(dir, "x", &pack, &diag), -EINVAL);
	ck_assert_int_eq(finf_pack_open(-1, "x", &pack, &diag), -EBADF);
	ck_assert_ptr_null(pack);
	close(pipes[0]);
	close(pipes[1]);
	close(dir);
}
END_TEST

/* ---- the first eight bytes -------------------------------------------------------------- */

static const struct length_row {
	uint64_t length;
	const char *text;
} lengths[] = {
	{0, "not on a page"},
	{1, "not on a page"},
	{4087, "not on a page"},
	{UINT64_MAX, "header of"},
	{UINT64_MAX - 7, "header of"},
	{INT64_MAX, "header of"},
	{FINF_PACK_HEADER_MAX + 4096 - 8, "header of"},
	{8192 - 8, "offset"}, /* a page more: the checksum does not fit */
};

START_TEST(test_header_length)
{
	uint64_t length = htole64(lengths[_i].length);
	size_t size;
	uint8_t *file = sample_bytes(false, &size);

	memcpy(file, &length, sizeof(length));
	open_must_fail(file, size, -EBADMSG, lengths[_i].text, "length");
	free(file);
}
END_TEST

static const struct junk_row {
	const char *json, *text;
} junk[] = {
	{"", "not a safetensors header"},
	{"[]", "not a safetensors header"},
	{"{", "not closed"},
	{"{\"", "not closed"},
	{"{\"\\", "not closed"},
	{"{}", "no __metadata__"},
	{"{}}", "offset 1"},
	{"{} x", "offset 1"},
	{"{\"__metadata__\":[]}", "no __metadata__"},
	{"{\"__metadata__\":{}}", "fi.format"},
	{"{\"__metadata__\":{\"fi.format\":1}}", "fi.format"},
	{"{\"__metadata__\":{\"fi.format\":\"1\"}}", "has no string fi."},
	{"{\"a\":1,\"a\":2}", "duplicate"},
	{"{\"a\":{\"b\":[[1]]}}", "too deep"},
	{"{\"a\":[1,2,3,4,5,6,7,8,9]}", "more than 8"},
	{"{\"a\":\"\\u0000\"}", "\\u0000 is not allowed"},
	{"{\"a\\u0000\":1}", "offset 1"},
	{"{\"a\":\"\xff\"}", "offset 1"},
	{"{\"a\":99999999999999999999}", "offset 3"},
	{"{\"a\":1e999}", "offset 1"},
};

START_TEST(test_junk_header)
{
	uint8_t file[2 * FINF_SEGMENT_ALIGN];
	uint64_t length = htole64(FINF_SEGMENT_ALIGN - 8);

	memset(file, ' ', sizeof(file));
	memcpy(file, &length, 8);
	memcpy(file + 8, junk[_i].json, strlen(junk[_i].json));
	open_must_fail(file, sizeof(file), -EBADMSG, junk[_i].text, junk[_i].json);
}
END_TEST

/* ---- one thing wrong, checksums right ------------------------------------------------------ */

/* The header's JSON edited, padded and summed again; the rest as it was. */
static uint8_t *edit_header(const uint8_t *file, size_t size, const char *find, const char *put,
			    size_t *ret_size)
{
	size_t header = FINF_SEGMENT_ALIGN, old = strlen(find), len = strlen(put), json_len;
	uint8_t *out = malloc(size + FINF_SEGMENT_ALIGN);
	char json[2 * FINF_SEGMENT_ALIGN], *place;
	uint64_t length;

	memcpy(json, file + 8, header - 8);
	json_len = header - 8;
	while (json[json_len - 1] == ' ')
		json_len--;
	json[json_len] = 0;
	place = strstr(json, find);
	ck_assert_msg(place, "no \"%s\" in %s", find, json);
	memmove(place + len, place + old, strlen(place + old) + 1);
	memcpy(place, put, len);
	json_len = strlen(json);
	header = finf_align_up(8 + json_len, FINF_SEGMENT_ALIGN);
	memset(out + 8, ' ', header - 8);
	memcpy(out + 8, json, json_len);
	length = htole64(header - 8);
	memcpy(out, &length, 8);
	memcpy(out + header, file + FINF_SEGMENT_ALIGN, size - FINF_SEGMENT_ALIGN);
	*ret_size = size - FINF_SEGMENT_ALIGN + header;
	return out;
}

static const struct edit {
	const char *find, *put;
	int err;
	const char *text;
	bool tuned;
} edits[] = {
	/* metadata */
	{"\"fi.format\":\"1\"", "\"fi.format\":\"2\"", -EOPNOTSUPP, "newer", false},
	{"\"fi.format\":\"1\"", "\"fi.format\":\"0\"", -EBADMSG, "fi.format", false},
	{"\"fi.format\":\"1\"", "\"fi.format\":\"1x\"", -EBADMSG, "fi.format", false},
	{"\"fi.kind\":\"portable\"", "\"fi.kind\":\"other\"", -EBADMSG, "fi.kind", false},
	{"\"fi.kind\":\"portable\"", "\"fi.kind\":\"tuned\"", -EBADMSG, "not __fi.plan", false},
	{"\"fi.kind\":\"tuned\"", "\"fi.kind\":\"portable\"", -EBADMSG, "is not __fi.pad.0", true},
	{"\"fi.target\":\"portable\"", "\"fi.target\":\"a b\"", -EBADMSG, "fi.target", false},
	{"\"fi.target\":\"portable\",", "", -EBADMSG, "fi.target", false},
	{"\"fi.source\":\"\"", "\"fi.source\":\"zz\"", -EBADMSG, "fi.source", false},
	{"\"fi.source\":\"1", "\"fi.source\":\"11", -EBADMSG, "fi.source", true},
	{"\"fi.meta_xxh3\":\"", "\"fi.meta_xxh3\":\"0", -EBADMSG, "checksum", false},
	/* segments */
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"12289:", -EBADMSG, "whole pages", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"8192:", -EBADMSG, "segments of 8192", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"16384:", -EBADMSG, "segments of", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"-12288:", -EBADMSG, "malformed", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"012288:", -EBADMSG, "malformed", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"99999999999999999999:", -EBADMSG,
	 "malformed", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\"4398046515200:", -EBADMSG, "whole pages", false},
	{"\"fi.segments\":\"12288:", "\"fi.segments\":\",12288:", -EBADMSG, "malformed", false},
	{"\"fi.segments\":\"8192:", "\"fi.segments\":\"4096:", -EBADMSG, "segment 0 is not", true},
	{"\"fi.segments\":\"8192:", "\"fi.segments\":\"4096:0123456789abcdef,4096:", -EBADMSG,
	 "4 segments, the plan has 3", true},
	/* names */
	{"\"__fi.graph\"", "\"__fi.grape\"", -EBADMSG, "not __fi.graph", false},
	{"\"__fi.plan\"", "\"__fi.plane\"", -EBADMSG, "not __fi.plan", true},
	{"\"__fi.pad.1\"", "\"__fi.pad.7\"", -EBADMSG, "is not __fi.pad.1", false},
	{"\"__fi.pad.0\"", "\"nopad\"", -EBADMSG, "is not aligned", false},
	{"\"b1\"", "\"W1\"", -EBADMSG, "duplicate", false},
	{"\"b1\"", "\"b\\u0001\"", -EBADMSG, "name that is none", false},
	{"\"b1\"", "\"b\\u0000\"", -EBADMSG, "offset", false},
	{"\"b1\"", "\"\"", -EBADMSG, "name that is none", false},
	{"\"b1\"", "\"q\"", -EBADMSG, "tensor q: the graph does not know it", false},
	{"\"b1\"", "\"y\"", -EBADMSG, "not this constant", false},
	{"\"b1\"", "\"b1@1\"", -EBADMSG, "does not know", false},
	{"\"W1\"", "\"b1x\"", -EBADMSG, "the plan has W1", true},
	{"\"W1\"", "\"W1@\"", -EBADMSG, "the plan has W1", true},
	{"\"W1\"", "\"W1@x\"", -EBADMSG, "the plan has W1", true},
	/* entries */
	{"\"dtype\":\"F32\"", "\"dtype\":\"U16\"", -EBADMSG, "dtype \"U16\"", false},
	{"\"dtype\":\"F32\"", "\"dtype\":\"F16\"", -EBADMSG, "do not match its shape", false},
	{"\"dtype\":\"F32\"", "\"dtype\":\"I32\"", -EBADMSG, "not this constant", false},
	{"\"dtype\":\"F32\"", "\"dtype\":32", -EBADMSG, "malformed", false},
	{"\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"more\":1", -EBADMSG, "malformed", false},
	{"\"dtype\":\"F32\",", "", -EBADMSG, "malformed", false},
	{"[16,64]", "[16,63]", -EBADMSG, "do not match its shape", false},
	{"[16,64]", "[64,16]", -EBADMSG, "not this constant", false},
	{"[16,64]", "[1024]", -EBADMSG, "not this constant", false},
	{"[16,64]", "[-16,-64]", -EBADMSG, "malformed", false},
	{"[16,64]", "[16.0,64]", -EBADMSG, "malformed", false},
	{"[16,64]", "[\"16\",64]", -EBADMSG, "malformed", false},
	{"[16,64]", "16", -EBADMSG, "malformed", false},
	{"[16,64]", "[4294967296,4294967296]", -EBADMSG, "do not match", false},
	{"[16,64]", "[9223372036854775807,9223372036854775807]", -EBADMSG, "do not match", false},
	{"[16,64]", "[1,1,1,1,1,1,1,16,64]", -EBADMSG, "more than 8", false},
	{"\"shape\":[16,64]", "\"shape\":[[16,64]]", -EBADMSG, "too deep", false},
	{"[4096,8192]", "[4095,8191]", -EBADMSG, "is due", false},   /* overlaps */
	{"[4096,8192]", "[4097,8193]", -EBADMSG, "is due", false},   /* a hole */
	{"[4096,8192]", "[8192,4096]", -EBADMSG, "is due", false},   /* backwards */
	{"[4096,8192]", "[4096,4095]", -EBADMSG, "is due", false},
	{"[4096,8192]", "[4096]", -EBADMSG, "malformed", false},
	{"[4096,8192]", "[4096,8192,0]", -EBADMSG, "malformed", false},
	{"[4096,8192]", "[-4096,8192]", -EBADMSG, "malformed", false},
	{"[4096,8192]", "[4096,9223372036854775807]", -EBADMSG, "do not match", false},
};

START_TEST(test_edited_header)
{
	const struct edit *edit = &edits[_i];
	size_t size, edited_size;
	uint8_t *file = sample_bytes(edit->tuned, &size), *edited;

	edited = edit_header(file, size, edit->find, edit->put, &edited_size);
	fix_checksums(edited, edited_size, SAMPLE_FRONT);
	open_must_fail(edited, edited_size, edit->err, edit->text, edit->put);
	free(edited);
	free(file);
}
END_TEST

/* The edits above are refused for what they say: an edit that says nothing is not. */
START_TEST(test_harmless_edit)
{
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	size_t size, edited_size;
	uint8_t *file = sample_bytes(_i, &size), *edited;
	int err;

	edited = edit_header(file, size, "\"fi.generator\":\"fusedinf", "\"fi.generator\":\"else",
			     &edited_size);
	fix_checksums(edited, edited_size, SAMPLE_FRONT);
	err = open_bytes(edited, edited_size, &pack, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	ck_assert_int_eq(finf_pack_verify(pack, &diag), 0);
	finf_pack_close(pack);
	free(edited);
	free(file);
}
END_TEST

/* ---- graph and plan against the tensors ------------------------------------------------------ */

/* The sample with another graph or plan in front of its weights: tables that contradict. */
START_TEST(test_tensor_missing)
{
	struct finf_graph *graph = sample_graph();
	struct finf_buf buf;
	size_t size;
	uint8_t *file = sample_bytes(false, &size);
	uint64_t begin = FINF_SEGMENT_ALIGN;
	uint32_t v;

	/* The graph of the same length in which b2 became another constant's name. */
	finf_buf_init(&buf);
	ck_assert(finf_graph_find(graph, "b2", &v));
	graph->values[v].name = "bX";
	finf_graph_write(graph, &buf);
	memcpy(file + begin, buf.data, buf.len);
	fix_checksums(file, size, SAMPLE_FRONT);
	open_must_fail(file, size, -EBADMSG, "tensor b2: the graph does not know it", "renamed");
	finf_buf_fini(&buf);
	finf_graph_free(graph);
	free(file);
}
END_TEST

/* A constant that should be inside the graph and is not: of no bytes, so that nothing moves. */
START_TEST(test_inline_constant_missing)
{
	struct finf_graph *graph = sample_graph();
	struct finf_diag diag = {""};
	struct finf_buf buf;
	struct finf_pack *pack;
	int dir = scratch_fd();
	uint32_t v = sample_const(graph, "none", 1, 0, 0);
	uint8_t *file;
	size_t size;

	ck_assert_int_eq(finf_pack_write_portable(dir, "a.fim", graph, &diag), 0);
	file = load_file(dir, "a.fim", &size);
	ck_assert_int_eq(open_bytes(file, size, &pack, &diag), 0);
	finf_pack_close(pack);
	graph->values[v].data = NULL;
	finf_buf_init(&buf);
	finf_graph_write(graph, &buf);
	memcpy(file + FINF_SEGMENT_ALIGN, buf.data, buf.len);
	fix_checksums(file, size, SAMPLE_FRONT);
	open_must_fail(file, size, -EBADMSG, "constant none is not in the file", "inline");
	finf_buf_fini(&buf);
	finf_graph_free(graph);
	free(file);
	close(dir);
}
END_TEST

typedef void (*spoil_fn)(struct finf_plan *plan);

static void move_weight(struct finf_plan *plan)
{
	plan->weights[3].offset += FINF_WEIGHT_ALIGN;
}

static void rename_weight(struct finf_plan *plan)
{
	plan->weights[1].name = "bY";
}

static void retype_weight(struct finf_plan *plan)
{
	plan->weights[1].dtype = FINF_I32; /* as many bytes */
}

static void shift_border(struct finf_plan *plan)
{
	plan->segments[0].bytes += FINF_SEGMENT_ALIGN;
	plan->segments[1].offset += FINF_SEGMENT_ALIGN;
	plan->segments[1].bytes -= FINF_SEGMENT_ALIGN;
}

static const struct plan_row {
	spoil_fn spoil;
	const char *text;
} plan_rows[] = {
	{move_weight, "the plan has b2"},
	{rename_weight, "the plan has bY"},
	{retype_weight, "not this constant"},
	{shift_border, "segment 0 is not the plan's"},
};

START_TEST(test_plan_contradicts)
{
	struct finf_graph *graph = sample_graph();
	struct finf_plan *plan = sample_plan(graph);
	struct finf_buf graph_bytes, plan_bytes;
	size_t size;
	uint8_t *file = sample_bytes(true, &size);

	finf_buf_init(&graph_bytes);
	finf_buf_init(&plan_bytes);
	finf_graph_write(graph, &graph_bytes);
	plan_rows[_i].spoil(plan);
	finf_plan_write(plan, &plan_bytes);
	memcpy(file + FINF_SEGMENT_ALIGN + graph_bytes.len, plan_bytes.data, plan_bytes.len);
	fix_checksums(file, size, SAMPLE_FRONT);
	open_must_fail(file, size, -EBADMSG, plan_rows[_i].text, "plan");
	finf_buf_fini(&graph_bytes);
	finf_buf_fini(&plan_bytes);
	finf_plan_free(plan);
	finf_graph_free(graph);
	free(file);
}
END_TEST

/* Graph and plan damaged behind right checksums. */
START_TEST(test_front_mutations)
{
	size_t size;
	uint8_t *file = sample_bytes(_i, &size), *out = malloc(size);

	memcpy(out, file, size);
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct finf_pack *pack;
		struct finf_diag diag = {""};

		fuzz_mutate(file + FINF_SEGMENT_ALIGN, 2048, seed, out + FINF_SEGMENT_ALIGN);
		fix_checksums(out, size, SAMPLE_FRONT);
		if (open_bytes(out, size, &pack, &diag))
			ck_assert_str_ne(diag.text, "");
		else
			finf_pack_close(pack);
	}
	free(out);
	free(file);
}
END_TEST

START_TEST(test_mutations)
{
	size_t size;
	uint8_t *file = sample_bytes(_i, &size), *out = malloc(size);

	for (uint64_t seed = 1; seed <= 3000; seed++) {
		/* Mostly the header: the weights' bytes are nobody's syntax. */
		size_t part = seed % 4 ? 2 * FINF_SEGMENT_ALIGN : size;
		size_t len = fuzz_mutate(file, part, seed, out);

		if (len == part) {
			memcpy(out + part, file + part, size - part);
			len = size;
		}
		ck_assert_int_eq(LLVMFuzzerTestOneInput(out, len), 0);
	}
	free(out);
	free(file);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack/open");
	TCase *tc = tcase_create("open");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_every_byte_counts, 0, 2);
	tcase_add_loop_test(tc, test_truncated, 0, 2);
	tcase_add_test(tc, test_verify_names_the_place);
	tcase_add_test(tc, test_cut_after_open);
	tcase_add_test(tc, test_not_regular);
	tcase_add_loop_test(tc, test_header_length, 0, FINF_ARRAY_LEN(lengths));
	tcase_add_loop_test(tc, test_junk_header, 0, FINF_ARRAY_LEN(junk));
	tcase_add_loop_test(tc, test_edited_header, 0, FINF_ARRAY_LEN(edits));
	tcase_add_loop_test(tc, test_harmless_edit, 0, 2);
	tcase_add_test(tc, test_tensor_missing);
	tcase_add_test(tc, test_inline_constant_missing);
	tcase_add_loop_test(tc, test_plan_contradicts, 0, FINF_ARRAY_LEN(plan_rows));
	tcase_add_loop_test(tc, test_front_mutations, 0, 2);
	tcase_add_loop_test(tc, test_mutations, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
