/* SPDX-License-Identifier: MIT */
/* engine: the public in-process API - every kind of file, shapes, refusals, room, heap. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "engine/engine.h"
#include "fuse/fuse.h"
#include "tests/unit/engine/testmodel.h"

#define BATCH_MAX  36
#define SHAPES	   35 /* more than a model keeps sessions for */
#define POOL_BYTES (8u << 20)

/* ---- counting allocator ------------------------------------------------------- */

/*
 * Calls that come from this program's own text, which holds libfi, are counted
 * while the library is at work, and one of them can be made to fail; what
 * oneDNN and libc do inside is theirs. Visible, so that shared libraries take
 * these too. The sanitizers bring their own malloc: there the two tests that count are left out.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING false
static bool counting;
#else
#define COUNTING true
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), __libc_free(void *);
extern const char __executable_start, etext;

static _Thread_local bool counting; /* inside a call of the library */
static _Thread_local unsigned own_calls, other_calls;
static _Thread_local unsigned fail_at; /* number of the own call that gets nothing; 0 = none */

/* May this call have its memory? */
static bool note_call(const void *from)
{
	if (!counting)
		return true;
	if ((const char *)from < &__executable_start || (const char *)from >= &etext) {
		other_calls++;
		return true;
	}
	return ++own_calls != fail_at;
}

/* Bytes in use, of all threads: mallinfo() counts what its caches hold as used. */
static atomic_llong live_bytes;

static void *taken(void *at)
{
	live_bytes += (long long)malloc_usable_size(at);
	return at;
}

FINF_API void *malloc(size_t bytes)
{
	return note_call(__builtin_return_address(0)) ? taken(__libc_malloc(bytes)) : NULL;
}

FINF_API void *calloc(size_t n, size_t each)
{
	return note_call(__builtin_return_address(0)) ? taken(__libc_calloc(n, each)) : NULL;
}

FINF_API void *realloc(void *old, size_t bytes)
{
	long long before = (long long)malloc_usable_size(old);
	void *at;

	if (!note_call(__builtin_return_address(0)))
		return NULL;
	at = __libc_realloc(old, bytes);
	if (at || !bytes)
		live_bytes -= before;
	return taken(at);
}

FINF_API void *aligned_alloc(size_t align, size_t bytes)
{
	return note_call(__builtin_return_address(0)) ? taken(__libc_memalign(align, bytes)) : NULL;
}

FINF_API int posix_memalign(void **ret, size_t align, size_t bytes)
{
	void *at = note_call(__builtin_return_address(0)) ? taken(__libc_memalign(align, bytes))
							  : NULL;

	if (!at)
		return ENOMEM;
	*ret = at;
	return 0;
}

FINF_API void free(void *at)
{
	live_bytes -= (long long)malloc_usable_size(at);
	__libc_free(at);
}
#endif

/* ---- helpers -------------------------------------------------------------------- */

static struct finf_engine *open_engine(uint64_t pool_bytes, bool exact)
{
	struct finf_engine_opts opts = {
		.size = sizeof(opts),
		.pool_bytes = pool_bytes,
		.threads = 1,
		.exact = exact,
	};
	struct finf_engine *engine = NULL;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	return engine;
}

static void add(struct finf_engine *engine, const char *path, const char *name)
{
	struct finf_diag diag = {""};
	int err = finf_engine_add(engine, path, name, &diag);

	ck_assert_msg(!err, "%s: %d %s", path, err, diag.text);
}

static int infer(struct finf_engine *engine, const char *name, int64_t batch, uint64_t seed,
		 float *y, struct finf_diag *diag)
{
	static _Thread_local float x[BATCH_MAX * MODEL_X];
	struct finf_tensor in = {"x", FINF_F32, model_shape(batch), x,
				 (size_t)batch * MODEL_X * sizeof(float)};
	struct finf_tensor out = {.data = y, .bytes = (size_t)batch * MODEL_Y * sizeof(float)};
	int err;

	test_fill_f32(x, (size_t)batch * MODEL_X, seed);
	counting = true;
	err = finf_engine_infer(engine, name, &in, 1, &out, 1, diag);
	counting = false;
	if (!err) {
		ck_assert_int_eq(out.dtype, FINF_F32);
		ck_assert_uint_eq(out.shape.rank, 2);
		ck_assert_int_eq(out.shape.dim[0], batch);
		ck_assert_int_eq(out.shape.dim[1], MODEL_Y);
		ck_assert_str_eq(out.name, "y");
	}
	return err;
}

static void check_infer(struct finf_engine *engine, const char *name, const char *onnx,
			int64_t batch, uint64_t seed)
{
	float y[BATCH_MAX * MODEL_Y], want[BATCH_MAX * MODEL_Y];
	struct finf_diag diag = {""};
	int err = infer(engine, name, batch, seed, y, &diag);

	ck_assert_msg(!err, "%s batch %d: %d %s", name, (int)batch, err, diag.text);
	model_oracle(onnx, batch, seed, want);
	ck_assert_double_lt(relative_l2(y, want, (size_t)batch * MODEL_Y), 1e-5);
}

static struct finf_model_stats stats_of(struct finf_engine *engine, const char *name)
{
	struct finf_model_stats stats = {.size = sizeof(stats)};

	ck_assert_int_eq(finf_engine_stats(engine, name, &stats), 0);
	return stats;
}

/* The same model as a portable and as a tuned pack in the scratch folder. */
static const char *write_portable(const char *onnx, const char *name)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_graph *graph = NULL;
	struct finf_fuse_report report;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_import_file(onnx, &graph, &diag), 0);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	ck_assert_msg(!finf_pack_write_portable(dir, name, graph, &diag), "%s", diag.text);
	finf_graph_free(graph);
	close(dir);
	return scratch_path(name);
}

static const char *write_tuned(const char *portable, const char *name, uint32_t threads)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = open(portable, O_RDONLY | O_CLOEXEC);
	struct finf_device *dev = NULL;
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_device_open("host", &dev, &diag), 0);
	ck_assert_msg(!finf_pack_open(fd, portable, &pack, &diag), "%s", diag.text);
	ck_assert_msg(!finf_engine_tune(dev, pack, threads, 0, dir, name, &diag), "%s", diag.text);
	finf_pack_close(pack);
	finf_device_close(dev);
	close(fd);
	close(dir);
	return scratch_path(name);
}

/* ---- results ---------------------------------------------------------------------- */

START_TEST(every_kind_of_file_gives_the_reference_result)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	struct finf_engine *exact = open_engine(POOL_BYTES, true);
	const char *onnx = model_write("m.onnx", 1, false);
	const char *portable = write_portable(onnx, "m.fim");
	const char *tuned = write_tuned(portable, "m.tuned.fim", 1);
	static const int64_t batches[] = {1, 3, 1, BATCH_MAX};

	add(engine, onnx, "onnx");
	add(engine, portable, "portable:1");
	add(engine, tuned, "tuned");
	add(exact, onnx, "onnx");
	add(exact, portable, "portable:1");
	for (size_t i = 0; i < FINF_ARRAY_LEN(batches); i++) {
		check_infer(engine, "onnx", onnx, batches[i], i);
		check_infer(engine, "portable:1", onnx, batches[i], i);
		check_infer(engine, "tuned", onnx, batches[i], i);
		check_infer(exact, "onnx", onnx, batches[i], i);
		check_infer(exact, "portable:1", onnx, batches[i], i);
	}
	ck_assert_uint_eq(stats_of(engine, "tuned").runs, FINF_ARRAY_LEN(batches));
	ck_assert_uint_gt(stats_of(engine, "tuned").load_bytes, 0);
	ck_assert_uint_gt(stats_of(engine, "onnx").load_ns, 0);
	finf_engine_close(engine);
	finf_engine_close(exact);
}
END_TEST

/* More shapes than are kept, in an order that gives each of them up once. */
START_TEST(shapes_are_planned_again_after_they_were_given_up)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);

	add(engine, onnx, "m");
	for (int round = 0; round < 2; round++)
		for (int64_t batch = 1; batch <= SHAPES; batch++)
			check_infer(engine, "m", onnx, batch, (uint64_t)batch);
	finf_engine_close(engine);
}
END_TEST

START_TEST(output_buffer_is_made_when_none_is_given)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);
	float x[2 * MODEL_X], want[2 * MODEL_Y];
	struct finf_tensor in = {NULL, FINF_F32, model_shape(2), x, sizeof(x)};
	struct finf_tensor out = {.name = "y"};
	struct finf_diag diag = {""};

	add(engine, onnx, "m");
	test_fill_f32(x, 2 * MODEL_X, 5);
	ck_assert_int_eq(finf_engine_infer(engine, "m", &in, 1, &out, 1, &diag), 0);
	model_oracle(onnx, 2, 5, want);
	ck_assert_uint_eq(out.bytes, sizeof(want));
	ck_assert_double_lt(relative_l2(out.data, want, 2 * MODEL_Y), 1e-5);
	free(out.data);
	/* a caller who only wants the run may leave outputs out */
	ck_assert_int_eq(finf_engine_infer(engine, "m", &in, 1, NULL, 0, &diag), 0);
	finf_engine_close(engine);
}
END_TEST

START_TEST(ports_tell_the_interface)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	struct finf_port in, out;
	uint32_t n_in = 0, n_out = 0;

	add(engine, model_write("m.onnx", 1, false), "m");
	ck_assert_int_eq(finf_engine_ports(engine, "m", NULL, &n_in, NULL, &n_out), 0);
	ck_assert_uint_eq(n_in, 1);
	ck_assert_uint_eq(n_out, 1);
	ck_assert_int_eq(finf_engine_ports(engine, "m", &in, &n_in, &out, &n_out), 0);
	ck_assert_str_eq(in.name, "x");
	ck_assert_int_eq(in.shape.dim[0], FINF_DIM_ANY);
	ck_assert_int_eq(in.shape.dim[3], 8);
	ck_assert_str_eq(out.name, "y");
	ck_assert_int_eq(finf_engine_ports(engine, "n", &in, &n_in, &out, &n_out), -ENOENT);
	finf_engine_close(engine);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------- */

static float some[2 * MODEL_X];

static const struct {
	struct finf_tensor in;
	uint32_t n_in;
	struct finf_tensor out;
	int err;
	const char *says;
} wrong[] = {
	{{"image", FINF_F32, {4, {1, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "the model has no input 'image', only 'x'"},
	{{"x", FINF_I64, {4, {1, 3, 8, 8}}, some, 1536},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': given int64 1x3x8x8, expected float32 ?x3x8x8"},
	{{"x", FINF_F32, {3, {3, 8, 8}}, some, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': given float32 3x8x8, expected float32 ?x3x8x8"},
	{{"x", FINF_F32, {4, {1, 3, 8, 9}}, some, 864},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': given float32 1x3x8x9, expected float32 ?x3x8x8"},
	{{"x", FINF_F32, {4, {2, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': 768 bytes given, float32 2x3x8x8 has 1536"},
	{{"x", FINF_F32, {4, {1, 3, 8, 8}}, NULL, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': 0 bytes given"},
	{{"x", FINF_F32, {4, {-1, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "is no shape of a tensor"},
	{{"x", FINF_F32, {4, {0, 3, 8, 8}}, some, 0},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x': 0x3x8x8 has no elements"},
	{{"x", FINF_F32, {4, {INT64_MAX, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "y"},
	 -EINVAL,
	 "is no shape of a tensor"},
	{{"x", FINF_F32, {9, {1, 3, 8, 8}}, some, 768}, 1, {.name = "y"}, -EINVAL, "rank 9 given"},
	{{"x", FINF_F32, {4, {1, 3, 8, 8}}, some, 768},
	 0,
	 {.name = "y"},
	 -EINVAL,
	 "input 'x' is missing"},
	{{"x", FINF_F32, {4, {1, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "z"},
	 -EINVAL,
	 "the model has no output 'z', only 'y'"},
	{{"x", FINF_F32, {4, {1, 3, 8, 8}}, some, 768},
	 1,
	 {.name = "y", .data = some, .bytes = 16},
	 -ENOSPC,
	 "output 'y': room for 16 bytes, 20 needed"},
};

START_TEST(wrong_requests_are_named)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);
	struct finf_tensor out = wrong[_i].out;
	struct finf_diag diag = {""};
	int err;

	add(engine, onnx, "m");
	err = finf_engine_infer(engine, "m", &wrong[_i].in, wrong[_i].n_in, &out, 1, &diag);
	ck_assert_int_eq(err, wrong[_i].err);
	ck_assert_msg(strstr(diag.text, wrong[_i].says), "%s", diag.text);
	ck_assert_int_eq(memcmp(&out, &wrong[_i].out, sizeof(out)), 0);
	ck_assert_uint_eq(stats_of(engine, "m").runs, 0);
	check_infer(engine, "m", onnx, 1, 1);
	finf_engine_close(engine);
}
END_TEST

START_TEST(tensors_given_twice_or_too_many)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	struct finf_tensor in[2] = {{"x", FINF_F32, {4, {1, 3, 8, 8}}, some, 768},
				    {"x", FINF_F32, {4, {1, 3, 8, 8}}, some, 768}};
	struct finf_tensor out[2] = {{.name = "y"}, {.name = NULL}};
	struct finf_diag diag = {""};

	add(engine, model_write("m.onnx", 1, false), "m");
	ck_assert_int_eq(finf_engine_infer(engine, "m", in, 2, out, 1, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "input 'x' is given twice"), "%s", diag.text);
	ck_assert_int_eq(finf_engine_infer(engine, "m", in, 1, out, 2, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "output number 2 given, the model has 1"), "%s", diag.text);
	ck_assert_ptr_null(out[0].data);
	finf_engine_close(engine);
}
END_TEST

static const struct {
	const char *file, *name;
	int err;
	const char *says;
} refused[] = {
	{"m.onnx", "../m", -EINVAL, "'../m' is no model name"},
	{"m.onnx", "", -EINVAL, "'' is no model name"},
	{"m.onnx", "m", -EEXIST, "there is a model 'm' already"},
	{"none.onnx", "n", -ENOENT, "none.onnx"},
	{"none.fim", "n", -ENOENT, "none.fim: No such file"},
	{"text.onnx", "n", -EBADMSG, "text.onnx"},
	{"text.fim", "n", -EBADMSG, "text.fim"},
	{"empty.onnx", "n", -EBADMSG, "empty.onnx"},
	{"empty.fim", "n", -EBADMSG, "empty.fim"},
	{"other.fim", "n", -EKEYREJECTED, "the pack is for 'host"},
};

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(scratch_path(name), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(files_that_cannot_be_added)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);
	struct finf_diag diag = {""};
	int before, err;

	write_text("text.onnx", "this is no model, and it is long enough to look like one\n");
	write_text("text.fim", "this is no model, and it is long enough to look like one\n");
	write_text("empty.onnx", "");
	write_text("empty.fim", "");
	write_tuned(write_portable(onnx, "m.fim"), "other.fim", 2);
	add(engine, onnx, "m");
	before = open_descriptors();
	err = finf_engine_add(engine, scratch_path(refused[_i].file), refused[_i].name, &diag);
	ck_assert_msg(err == refused[_i].err, "%s: %d %s", refused[_i].file, err, diag.text);
	ck_assert_msg(strstr(diag.text, refused[_i].says), "%s: %s", refused[_i].file, diag.text);
	ck_assert_int_eq(open_descriptors(), before);
	finf_engine_close(engine);
}
END_TEST

/* A constant computed from the batch lies in the extent for the default batch only. */
START_TEST(constant_that_depends_on_the_shape)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("s.onnx", 1, true);
	struct finf_diag diag = {""};
	float y[2 * MODEL_Y];

	add(engine, onnx, "s");
	check_infer(engine, "s", onnx, 1, 1);
	ck_assert_int_eq(infer(engine, "s", 2, 1, y, &diag), -EOPNOTSUPP);
	ck_assert_msg(strstr(diag.text, "depends on the shapes of the inputs"), "%s", diag.text);
	check_infer(engine, "s", onnx, 1, 2);
	finf_engine_close(engine);
}
END_TEST

/* ---- room ---------------------------------------------------------------------------- */

START_TEST(pool_without_room_says_how_much_is_missing)
{
	/* one model and its activations fit, not two: extents are multiples of 64 KiB */
	struct finf_engine *engine = open_engine(128 << 10, false);
	const char *a = model_write("a.onnx", 1, false), *b = model_write("b.onnx", 2, false);
	struct finf_diag diag = {""};

	add(engine, a, "a");
	add(engine, b, "b");
	for (int round = 0; round < 50; round++) {
		check_infer(engine, "a", a, 1, 1);
		ck_assert_int_eq(finf_engine_load(engine, "b", &diag), -ENOBUFS);
		ck_assert_msg(strstr(diag.text, "no room for 'b'") &&
				      strstr(diag.text, "too small"),
			      "%s", diag.text);
		ck_assert(!stats_of(engine, "b").loaded);
		ck_assert_int_eq(finf_engine_unload(engine, "a"), 0);
		ck_assert(!stats_of(engine, "a").loaded);
		check_infer(engine, "b", b, 1, 2);
		ck_assert_int_eq(finf_engine_unload(engine, "b"), 0);
	}
	ck_assert_int_eq(finf_engine_unload(engine, "b"), 0);
	ck_assert_int_eq(finf_engine_unload(engine, "c"), -ENOENT);
	ck_assert_int_eq(finf_engine_remove(engine, "b"), 0);
	ck_assert_int_eq(finf_engine_remove(engine, "b"), -ENOENT);
	ck_assert_int_eq(finf_engine_load(engine, "b", &diag), -ENOENT);
	finf_engine_close(engine);
}
END_TEST

static uint64_t arena_bytes(const char *onnx, int64_t batch)
{
	struct finf_graph *graph = NULL, *bound = NULL;
	struct finf_shape shape = model_shape(batch);
	struct finf_fuse_report report;
	struct finf_device *dev = NULL;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};
	uint64_t bytes;

	ck_assert_int_eq(finf_device_open("host", &dev, &diag), 0);
	ck_assert_int_eq(finf_import_file(onnx, &graph, &diag), 0);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	ck_assert_msg(
		!finf_engine_plan(dev, graph, &shape, 1, 0, 0, NULL, &bound, &plan, &diag),
		"%s", diag.text);
	bytes = plan->arena_bytes;
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_graph_free(graph);
	finf_device_close(dev);
	return bytes;
}

/* A hole between two models is closed when a larger arena needs the bytes. */
START_TEST(extents_are_moved_for_a_larger_arena)
{
	const char *a = model_write("a.onnx", 1, false), *b = model_write("b.onnx", 2, false);
	const char *c = model_write("c.onnx", 3, false);
	uint64_t small = arena_bytes(a, 1), large = finf_align_up(arena_bytes(a, BATCH_MAX), 4096);
	/* two models and the large arena; or three and the small one */
	struct finf_engine *engine = open_engine(2 * FINF_EXTENT_ALIGN + large, false);
	struct finf_diag diag = {""};

	ck_assert_uint_lt(small + FINF_EXTENT_ALIGN, large);
	add(engine, a, "a");
	add(engine, b, "b");
	add(engine, c, "c");
	check_infer(engine, "a", a, 1, 1);
	check_infer(engine, "b", b, 1, 2);
	check_infer(engine, "c", c, 1, 3);
	ck_assert_int_eq(finf_engine_unload(engine, "b"), 0);
	/* c lies where the arena has to go: it moves into b's place */
	check_infer(engine, "c", c, BATCH_MAX, 4);
	check_infer(engine, "a", a, BATCH_MAX, 5);
	ck_assert_int_eq(finf_engine_load(engine, "b", &diag), -ENOBUFS);
	ck_assert_msg(strstr(diag.text, "is 65536 bytes too small"), "%s", diag.text);
	/* what was refused changed nothing */
	check_infer(engine, "c", c, 1, 6);
	finf_engine_close(engine);
}
END_TEST

START_TEST(damaged_weights_are_refused_and_leave_nothing)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);
	const char *tuned = write_tuned(write_portable(onnx, "m.fim"), "m.tuned.fim", 1);
	struct finf_diag diag = {""};
	struct stat st;
	float y[MODEL_Y];
	int fd, before;

	fd = open(tuned, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* the last page is weights: its first byte belongs to a segment */
	ck_assert_int_eq(finf_pwrite_full(fd, "damage", 6, (uint64_t)st.st_size - 4096), 0);
	close(fd);
	add(engine, tuned, "m");
	before = open_descriptors();
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(infer(engine, "m", 1, 1, y, &diag), -EBADMSG);
		ck_assert_msg(strstr(diag.text, "loading 'm'"), "%s", diag.text);
		ck_assert(!stats_of(engine, "m").loaded);
		ck_assert_int_eq(finf_engine_load(engine, "m", &diag), -EBADMSG);
	}
	ck_assert_int_eq(open_descriptors(), before);
	add(engine, onnx, "good");
	check_infer(engine, "good", onnx, 1, 1);
	finf_engine_close(engine);
}
END_TEST

/* ---- heap and threads ------------------------------------------------------------------ */

#if COUNTING
START_TEST(warm_runs_take_no_heap)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx = model_write("m.onnx", 1, false);
	struct finf_diag diag = {""};
	float y[BATCH_MAX * MODEL_Y];
	size_t before;

	add(engine, onnx, "m");
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(infer(engine, "m", 1 + i % 3, 1, y, &diag), 0);
	before = mallinfo2().uordblks;
	own_calls = other_calls = 0;
	for (int i = 0; i < 1000; i++)
		if (infer(engine, "m", 1 + i % 3, 1, y, &diag))
			ck_abort_msg("%s", diag.text);
	ck_assert_uint_eq(mallinfo2().uordblks, before);
	ck_assert_uint_eq(own_calls, 0);
	printf("%u allocator calls of oneDNN and libc in 1000 runs\n", other_calls);
	finf_engine_close(engine);
}
END_TEST

/* Open, add, infer, remove, close; every allocation in between is counted. */
static int whole_life(const char *path, struct finf_diag *diag)
{
	struct finf_engine_opts opts = {.size = sizeof(opts), .pool_bytes = 1 << 20, .threads = 1};
	struct finf_tensor in = {"x", FINF_F32, model_shape(2), some, sizeof(some)};
	struct finf_tensor out = {.name = "y"};
	struct finf_engine *engine = NULL;
	int err;

	counting = true;
	err = finf_engine_open(&opts, &engine, diag);
	if (!err)
		err = finf_engine_add(engine, path, "m", diag);
	if (!err)
		err = finf_engine_infer(engine, "m", &in, 1, &out, 1, diag);
	if (!err)
		err = finf_engine_remove(engine, "m");
	finf_engine_close(engine);
	counting = false;
	free(out.data);
	return err;
}

static const char *const kinds[] = {"m.onnx", "m.fim", "m.tuned.fim"};

/* The k-th allocation fails, for every k: one clear error, and nothing is left. */
START_TEST(memory_that_ends_anywhere)
{
	const char *onnx = model_write("m.onnx", 1, false);
	const char *path = scratch_path(kinds[_i]);
	struct finf_diag diag = {""};
	unsigned k, survived = 0;
	long long before;
	int fds;

	write_tuned(write_portable(onnx, "m.fim"), "m.tuned.fim", 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(whole_life(path, &diag), 0);
	before = live_bytes;
	fds = open_descriptors();
	for (k = 1;; k++) {
		int err;

		diag.text[0] = 0;
		own_calls = 0;
		fail_at = k;
		err = whole_life(path, &diag);
		fail_at = 0;
		if (own_calls < k)
			break; /* all of them had their turn */
		survived += !err;
		ck_assert_msg(!err || err == -ENOMEM, "call %u: %d %s", k, err, diag.text);
		ck_assert_msg(!err || diag.text[0], "call %u: no word", k);
		ck_assert_msg(live_bytes <= before, "call %u leaves %lld bytes", k,
			      live_bytes - before);
		ck_assert_msg(open_descriptors() == fds, "call %u leaves a descriptor", k);
	}
	printf("%s: %u allocations, %u done without\n", kinds[_i], k - 1, survived);
	ck_assert_uint_gt(k, 50);
}
END_TEST
#endif

struct worker {
	struct finf_engine *engine;
	const char *name;
	const float *want;
	unsigned wrong;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct finf_diag diag;
	float y[MODEL_Y];

	for (int i = 0; i < 100; i++) {
		if (infer(worker->engine, worker->name, 1, 1, y, &diag) ||
		    relative_l2(y, worker->want, MODEL_Y) > 1e-5)
			worker->wrong++;
		if (i % 10 == 0)
			finf_engine_unload(worker->engine, worker->name);
	}
	return NULL;
}

START_TEST(threads_share_an_engine)
{
	struct finf_engine *engine = open_engine(POOL_BYTES, false);
	const char *onnx[2] = {model_write("a.onnx", 1, false), model_write("b.onnx", 2, false)};
	static const char *const names[2] = {"a", "b"};
	struct worker workers[4];
	float want[2][MODEL_Y];
	pthread_t threads[4];

	for (int i = 0; i < 2; i++) {
		add(engine, onnx[i], names[i]);
		model_oracle(onnx[i], 1, 1, want[i]);
	}
	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){engine, names[i % 2], want[i % 2], 0};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(workers[i].wrong, 0);
	}
	finf_engine_close(engine);
}
END_TEST

START_TEST(options)
{
	struct {
		struct finf_engine_opts opts;
		uint64_t later;
	} newer = {{.size = sizeof(newer), .pool_bytes = POOL_BYTES, .threads = 1}, 0};
	struct finf_engine_opts opts = {.size = sizeof(opts), .device = "abacus"};
	struct finf_engine *engine = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_engine_open(&opts, &engine, &diag), -ENODEV);
	ck_assert_msg(strstr(diag.text, "abacus"), "%s", diag.text);
	ck_assert_int_eq(finf_engine_open(&newer.opts, &engine, &diag), 0);
	finf_engine_close(engine);
	newer.later = 1;
	engine = NULL;
	ck_assert_int_eq(finf_engine_open(&newer.opts, &engine, &diag), -EINVAL);
	ck_assert_ptr_null(engine);
	finf_engine_close(NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/inproc");
	TCase *tc = tcase_create("inproc");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, every_kind_of_file_gives_the_reference_result);
	tcase_add_test(tc, shapes_are_planned_again_after_they_were_given_up);
	tcase_add_test(tc, output_buffer_is_made_when_none_is_given);
	tcase_add_test(tc, ports_tell_the_interface);
	tcase_add_loop_test(tc, wrong_requests_are_named, 0, FINF_ARRAY_LEN(wrong));
	tcase_add_test(tc, tensors_given_twice_or_too_many);
	tcase_add_loop_test(tc, files_that_cannot_be_added, 0, FINF_ARRAY_LEN(refused));
	tcase_add_test(tc, constant_that_depends_on_the_shape);
	tcase_add_test(tc, pool_without_room_says_how_much_is_missing);
	tcase_add_test(tc, extents_are_moved_for_a_larger_arena);
	tcase_add_test(tc, damaged_weights_are_refused_and_leave_nothing);
#if COUNTING
	tcase_add_test(tc, warm_runs_take_no_heap);
	tcase_add_loop_test(tc, memory_that_ends_anywhere, 0, FINF_ARRAY_LEN(kinds));
#endif
	tcase_add_test(tc, threads_share_an_engine);
	tcase_add_test(tc, options);
	suite_add_tcase(suite, tc);
	return suite;
}
