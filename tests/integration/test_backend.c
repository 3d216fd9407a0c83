/* SPDX-License-Identifier: MIT */
/*
 * Models with golden data, in the layout of the ONNX backend tests:
 *   (a) all of tests/golden/cases, made by PyTorch, every one must pass;
 *   (b) the node cases of libonnx-testdata that use our operators and dtypes
 *       only. One that is refused all the same stands in a list below with its
 *       reason.
 * and, where the environment names a folder of such cases, all of $FI_CASES.
 * Each is run by the reference kernels, by the engine on the host, and on the
 * CUDA device of tests/support/fakecuda, which may refuse it by name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <onnx.pb-c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fusedinf/engine.h>

#include "base/half.h"
#include "graph/op.h"
#include "import/import.h"
#include "tests/support/fakedriver.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"

#define NODE_CASES  "/usr/share/libonnx-testdata/data/node"
#define REL_L2_MAX  1e-4
#define TENSORS_MAX 8
/* Fewer than this and something has gone missing. */
#define GOLDEN_MIN	242
#define NODES_MIN	634
#define GOLDEN_CUDA_MIN 200
#define CUDA_MIN	799 /* of both */

/* Only our operators, and refused nevertheless. */
static const struct refusal {
	const char *name;
	int err;
	const char *needle;
} refusals[] = {
	{"test_batchnorm_epsilon_training_mode", -EOPNOTSUPP, "BatchNormalization"},
	{"test_batchnorm_example_training_mode", -EOPNOTSUPP, "BatchNormalization"},
	/* Their files have another shape than their models. */
	{"test_castlike_BFLOAT16_to_FLOAT_expanded", -EINVAL, "3x4 was expected, not 1"},
	{"test_castlike_FLOAT_to_BFLOAT16_expanded", -EINVAL, "3x4 was expected, not 1"},
	{"test_training_dropout", -EOPNOTSUPP, "training_mode"},
	{"test_training_dropout_default", -EOPNOTSUPP, "training_mode"},
	{"test_training_dropout_default_mask", -EOPNOTSUPP, "training_mode"},
	{"test_training_dropout_mask", -EOPNOTSUPP, "training_mode"},
	{"test_training_dropout_zero_ratio", -EOPNOTSUPP, "training_mode"},
	{"test_training_dropout_zero_ratio_mask", -EOPNOTSUPP, "training_mode"},
};

/*
 * The node cases hand these operators the new shape, axes or pads as a graph
 * input. Memory is planned before data arrives, so such inputs have to be
 * constants, as they are in exported models: the runner makes them so.
 */
static const struct shaped_by_data {
	const char *op;
	uint32_t fed; /* inputs that stay inputs */
} shaped_by_data[] = {
	{"ConstantOfShape", 0}, {"Expand", 1},	{"Pad", 1},    {"Range", 0},	 {"ReduceSum", 1},
	{"Reshape", 1},		{"Squeeze", 1}, {"TopK", 1},   {"Unsqueeze", 1}, {"Slice", 1},
	{"Split", 1},		{"Tile", 1},	{"Resize", 1}, {"Upsample", 1},
};

/* ---- files --------------------------------------------------------------------- */

/* ck_assert() for what also runs before the tests, where Check allows none. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: cannot be read\n", what);
	exit(EXIT_FAILURE);
}

static uint8_t *read_file(const char *path, size_t *ret_bytes)
{
	const void *mapped;
	uint8_t *data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	need(fd >= 0 && !finf_file_map(fd, &mapped, ret_bytes), path);
	close(fd);
	data = malloc(*ret_bytes + 1);
	need(data != NULL, path);
	if (*ret_bytes)
		memcpy(data, mapped, *ret_bytes);
	finf_file_unmap(mapped, *ret_bytes);
	return data;
}

static Onnx__ModelProto *read_model(const char *dir)
{
	char path[4096];
	Onnx__ModelProto *model;
	uint8_t *data;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	data = read_file(path, &bytes);
	model = onnx__model_proto__unpack(NULL, bytes, data);
	need(model && model->graph && model->graph->n_node, path);
	free(data);
	return model;
}

/* NumPy has no bfloat16: the files of such cases say uint16, which no model here has. */
static uint8_t *name_brain(uint8_t *data, size_t *bytes)
{
	Onnx__TensorProto *t = onnx__tensor_proto__unpack(NULL, *bytes, data);
	uint8_t *named = data;

	ck_assert_ptr_nonnull(t);
	if (t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT16) {
		t->data_type = FINF_BF16;
		*bytes = onnx__tensor_proto__get_packed_size(t);
		named = malloc(*bytes);
		ck_assert_ptr_nonnull(named);
		onnx__tensor_proto__pack(t, named);
		free(data);
	}
	onnx__tensor_proto__free_unpacked(t, NULL);
	return named;
}

/* DIR/test_data_set_K/KIND_0.pb and on, as many as there are. */
static uint32_t read_tensors(const char *dir, unsigned set, const char *kind,
			     struct finf_tensor *tensors)
{
	struct finf_diag diag;
	char path[4096];
	uint8_t *data;
	size_t bytes;
	uint32_t n;

	for (n = 0;; n++) {
		snprintf(path, sizeof(path), "%s/test_data_set_%u/%s_%u.pb", dir, set, kind, n);
		if (access(path, R_OK))
			return n;
		ck_assert_uint_lt(n, TENSORS_MAX);
		data = name_brain(read_file(path, &bytes), &bytes);
		ck_assert_msg(!finf_import_tensor(data, bytes, &tensors[n], &diag), "%s: %s", path,
			      diag.text);
		free(data);
	}
}

static void free_tensors(struct finf_tensor *tensors, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		finf_import_tensor_free(&tensors[i]);
}

/* ---- running ---------------------------------------------------------------------- */

/* How many inputs stay inputs; TENSORS_MAX = all. */
static uint32_t inputs_fed(const Onnx__ModelProto *model)
{
	size_t last = model->graph->n_node - 1;

	for (size_t i = 0; i < last; i++) /* a window function of some length */
		if (!strcmp(model->graph->node[i]->op_type, "Range"))
			return 0;
	for (size_t i = 0; i < last; i++)
		if (strcmp(model->graph->node[i]->op_type, "Constant") != 0)
			return TENSORS_MAX;
	for (size_t i = 0; i < FINF_ARRAY_LEN(shaped_by_data); i++)
		if (!strcmp(model->graph->node[last]->op_type, shaped_by_data[i].op))
			return shaped_by_data[i].fed;
	return TENSORS_MAX;
}

/*
 * Cases of operators that had not changed for long declare opset 1 or 6. What
 * they say holds in opset 7 too, the oldest that is imported.
 */
static bool raise_opset(Onnx__ModelProto *model)
{
	if (model->n_opset_import != 1 || model->opset_import[0]->version >= 7)
		return false;
	model->opset_import[0]->version = 7;
	return true;
}

/* All inputs but the first @fed as initialisers. */
static void make_constants(Onnx__GraphProto *graph, const char *dir, uint32_t fed)
{
	char path[4096];
	uint8_t *data;
	size_t bytes;

	graph->initializer = realloc(graph->initializer, (graph->n_initializer + TENSORS_MAX) *
								 sizeof(*graph->initializer));
	ck_assert_ptr_nonnull(graph->initializer);
	for (unsigned i = fed;; i++) {
		Onnx__TensorProto *t;

		snprintf(path, sizeof(path), "%s/test_data_set_0/input_%u.pb", dir, i);
		if (access(path, R_OK))
			return;
		data = read_file(path, &bytes);
		t = onnx__tensor_proto__unpack(NULL, bytes, data);
		free(data);
		ck_assert_ptr_nonnull(t);
		graph->initializer[graph->n_initializer++] = t;
	}
}

/* The changed model into a file of its own. */
static void write_model(const Onnx__ModelProto *model, const char *path)
{
	size_t bytes = onnx__model_proto__get_packed_size(model);
	uint8_t *data = malloc(bytes);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_ptr_nonnull(data);
	ck_assert_int_ge(fd, 0);
	onnx__model_proto__pack(model, data);
	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
	free(data);
}

static int run_reference(const char *path, const struct finf_tensor *inputs, uint32_t n_inputs,
			 struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	struct finf_shape shapes[TENSORS_MAX];
	struct finf_graph *graph, *bound;
	int err;

	err = finf_import_file(path, &graph, diag);
	if (err)
		return err;
	ck_assert_uint_eq(graph->n_inputs, n_inputs);
	for (uint32_t i = 0; i < n_inputs; i++)
		shapes[i] = inputs[i].shape;
	err = finf_graph_bind(graph, shapes, &bound, diag);
	if (!err) {
		ck_assert_uint_le(bound->n_outputs, TENSORS_MAX);
		err = interp_run(bound, inputs, outputs);
		*ret_n = bound->n_outputs;
		finf_graph_free(bound);
	}
	finf_graph_free(graph);
	return err;
}

/* A pool with room for weights in the largest form any layer may take. */
static uint64_t pool_bytes(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return ((uint64_t)16 << 20) + 5 * (uint64_t)st.st_size;
}

static int ask_engine(struct finf_engine *engine, const char *path,
		      const struct finf_tensor *inputs, uint32_t n_inputs,
		      struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	struct finf_tensor unnamed[TENSORS_MAX];
	uint32_t n_in = 0, n_out = 0;
	int err = finf_engine_add(engine, path, "case", diag);

	if (err)
		return err;
	for (uint32_t i = 0; i < n_inputs; i++) {
		unnamed[i] = inputs[i];
		unnamed[i].name = NULL; /* by position, as the files are */
	}
	ck_assert_int_eq(finf_engine_ports(engine, "case", NULL, &n_in, NULL, &n_out), 0);
	ck_assert_uint_eq(n_in, n_inputs);
	ck_assert_uint_le(n_out, TENSORS_MAX);
	memset(outputs, 0, n_out * sizeof(*outputs));
	err = finf_engine_infer(engine, "case", unnamed, n_inputs, outputs, n_out, diag);
	*ret_n = n_out;
	ck_assert_int_eq(finf_engine_remove(engine, "case"), 0);
	return err;
}

static struct finf_engine *open_engine(const struct finf_engine_opts *opts)
{
	struct finf_engine *engine;
	struct finf_diag diag;

	ck_assert_msg(!finf_engine_open(opts, &engine, &diag), "engine: %s", diag.text);
	return engine;
}

static int run_in_engine(const struct finf_engine_opts *opts, const char *path,
			 const struct finf_tensor *inputs, uint32_t n_inputs,
			 struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	struct finf_engine *engine = open_engine(opts);
	int err = ask_engine(engine, path, inputs, n_inputs, outputs, ret_n, diag);

	finf_engine_close(engine);
	return err;
}

static int run_engine(const char *path, const struct finf_tensor *inputs, uint32_t n_inputs,
		      struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	const struct finf_engine_opts opts = {.size = sizeof(opts), .pool_bytes = pool_bytes(path)};

	return run_in_engine(&opts, path, inputs, n_inputs, outputs, ret_n, diag);
}

static int run_exact(const char *path, const struct finf_tensor *inputs, uint32_t n_inputs,
		     struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	const struct finf_engine_opts opts = {
		.size = sizeof(opts), .pool_bytes = pool_bytes(path), .exact = true};

	return run_in_engine(&opts, path, inputs, n_inputs, outputs, ret_n, diag);
}

/* One for many cases: a context and its kernels take longer than they do. */
static struct finf_engine *cuda;

static int run_cuda(const char *path, const struct finf_tensor *inputs, uint32_t n_inputs,
		    struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag)
{
	return ask_engine(cuda, path, inputs, n_inputs, outputs, ret_n, diag);
}

static float as_float(const struct finf_tensor *t, size_t i)
{
	if (t->dtype == FINF_F32)
		return ((const float *)t->data)[i];
	return t->dtype == FINF_F16 ? finf_half_value(((const uint16_t *)t->data)[i])
				    : finf_brain_value(((const uint16_t *)t->data)[i]);
}

/* The node cases of bfloat16 cut off where we round: up to a unit apart. */
static double l2_max(enum finf_dtype dtype)
{
	return dtype == FINF_F32 ? REL_L2_MAX : dtype == FINF_F16 ? 1e-3 : 5e-3;
}

/* Near where there is a number; infinities and NaN where they are wanted. */
static void check_floats(const char *what, const struct finf_tensor *got,
			 const struct finf_tensor *want, size_t count)
{
	double most = l2_max(want->dtype), off;
	float *wide = calloc(2 * count + 1, sizeof(*wide));

	ck_assert_ptr_nonnull(wide);
	for (size_t i = 0; i < count; i++) {
		float x = as_float(got, i), y = as_float(want, i);

		if (!isfinite(y) && (x == y || (isnan(x) && isnan(y))))
			continue; /* as it should be, and nothing to compute with */
		wide[i] = x;
		wide[count + i] = y;
	}
	off = relative_l2(wide, wide + count, count);
	ck_assert_msg(off <= most, "%s: off by %g", what, off);
	free(wide);
}

static void check_output(const char *what, const struct finf_tensor *got,
			 const struct finf_tensor *want)
{
	char a[64], b[64];
	size_t count;

	ck_assert_msg(got->dtype == want->dtype, "%s: %s instead of %s", what,
		      finf_dtype_name(got->dtype), finf_dtype_name(want->dtype));
	ck_assert_msg(finf_shape_equal(&got->shape, &want->shape), "%s: %s instead of %s", what,
		      finf_shape_text(&got->shape, a, sizeof(a)),
		      finf_shape_text(&want->shape, b, sizeof(b)));
	ck_assert_int_eq(finf_shape_count(&want->shape, &count), 0);
	if (want->dtype == FINF_F64) {
		for (size_t i = 0; i < count; i++) {
			double x = ((const double *)got->data)[i];

			ck_assert_double_eq_tol(x, ((const double *)want->data)[i],
						1e-6 + 1e-6 * fabs(x));
		}
	} else if (finf_dtype_is_float(want->dtype)) {
		check_floats(what, got, want, count);
	} else {
		ck_assert_msg(!memcmp(got->data, want->data, want->bytes), "%s: wrong", what);
	}
}

typedef int (*run_fn)(const char *path, const struct finf_tensor *inputs, uint32_t n_inputs,
		      struct finf_tensor *outputs, uint32_t *ret_n, struct finf_diag *diag);

static const struct runner {
	const char *name;
	run_fn run;
} runners[] = {
	{"reference", run_reference},
	{"engine", run_engine},
	{"engine, exact", run_exact},
};
static const struct runner on_cuda = {"engine, cuda", run_cuda};

/* What @runner makes of a data set; -EOPNOTSUPP where it refuses, which is looked at by the caller.
 */
static int check_set(const char *what, const struct runner *runner, const char *path,
		     const struct finf_tensor *inputs, uint32_t n_in,
		     const struct finf_tensor *want, uint32_t n_want)
{
	struct finf_tensor got[TENSORS_MAX];
	struct finf_diag diag = {""};
	uint32_t n_got = 0;
	char text[512];
	int err = runner->run(path, inputs, n_in, got, &n_got, &diag);

	if (err == -EOPNOTSUPP && runner == &on_cuda)
		return err;
	ck_assert_msg(!err, "%s by %s: %d, %s", what, runner->name, err, diag.text);
	ck_assert_uint_eq(n_got, n_want);
	for (uint32_t i = 0; i < n_want; i++) {
		snprintf(text, sizeof(text), "%.300s, output %u by %s", what, i, runner->name);
		check_output(text, &got[i], &want[i]);
	}
	interp_free(got, n_got);
	return 0;
}

/* Data sets that the CUDA device answered and refused, in all processes of the tests. */
static struct counted {
	atomic_uint right, refused;
} * counted;

/* One data set, of which the first @fed inputs are fed, through every runner or on the CUDA device.
 */
static void run_set(const char *dir, unsigned set, const char *path, uint32_t fed)
{
	struct finf_tensor inputs[TENSORS_MAX], want[TENSORS_MAX];
	uint32_t n_in = read_tensors(dir, set, "input", inputs);
	uint32_t n_want = read_tensors(dir, set, "output", want);
	char what[400];

	ck_assert_uint_gt(n_want, 0);
	snprintf(what, sizeof(what), "%.300s, set %u", dir, set);
	if (cuda)
		atomic_fetch_add(
			check_set(what, &on_cuda, path, inputs, FINF_MIN(n_in, fed), want, n_want)
				? &counted->refused
				: &counted->right,
			1);
	for (size_t r = 0; !cuda && r < FINF_ARRAY_LEN(runners); r++)
		check_set(what, &runners[r], path, inputs, FINF_MIN(n_in, fed), want, n_want);
	free_tensors(inputs, n_in);
	free_tensors(want, n_want);
}

static void run_case(const char *dir)
{
	Onnx__ModelProto *model = read_model(dir);
	uint32_t fed = inputs_fed(model);
	bool constants = fed < model->graph->n_input, raised = raise_opset(model);
	char path[4096], sets[4096];
	unsigned set;

	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	if (constants)
		make_constants(model->graph, dir, fed);
	if (constants || raised) {
		snprintf(path, sizeof(path), "%s", scratch_path("model.onnx"));
		write_model(model, path);
	}
	onnx__model_proto__free_unpacked(model, NULL);
	for (set = 0;; set++) {
		snprintf(sets, sizeof(sets), "%s/test_data_set_%u", dir, set);
		if (access(sets, R_OK))
			break;
		run_set(dir, set, path, fed);
	}
	ck_assert_msg(set > 0, "%s: no test_data_set_0", dir);
}

/* ---- choosing the cases -------------------------------------------------------------- */

/* Case folders, sorted. */
struct cases {
	char **dirs;
	uint32_t n, cap;
};

static struct cases golden, nodes, given;
static unsigned skipped_operator, skipped_dtype;
static char others[4096] = " "; /* operators that cases were skipped for, once each */

static void note_other(const char *op)
{
	char word[128];
	size_t len = strlen(others);

	snprintf(word, sizeof(word), " %s ", op);
	if (!strstr(others, word))
		snprintf(others + len, sizeof(others) - len, "%s", word + 1);
}

static bool ours_only(const Onnx__GraphProto *graph)
{
	bool ours = true;

	for (size_t i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = graph->node[i];

		if (finf_op_find(node->op_type) && !(node->domain && *node->domain))
			continue;
		note_other(node->op_type);
		ours = false;
	}
	return ours;
}

static bool dtypes_ok(Onnx__ValueInfoProto *const *infos, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const Onnx__TypeProto *type = infos[i]->type;

		if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
			return false;
		if (!finf_dtype_bytes((enum finf_dtype)type->tensor_type->elem_type))
			return false;
	}
	return true;
}

static bool wanted(const char *dir)
{
	Onnx__ModelProto *model = read_model(dir);
	const Onnx__GraphProto *graph = model->graph;
	bool ours = ours_only(graph);
	bool dtypes = dtypes_ok(graph->input, graph->n_input) &&
		      dtypes_ok(graph->output, graph->n_output);

	onnx__model_proto__free_unpacked(model, NULL);
	skipped_operator += !ours;
	skipped_dtype += ours && !dtypes;
	return ours && dtypes;
}

static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void find_cases(struct cases *cases, const char *root, bool choose)
{
	struct dirent **entries;
	char dir[4096];
	int n = scandir(root, &entries, is_case, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", root, entries[i]->d_name);
		free(entries[i]);
		if (choose && !wanted(dir))
			continue;
		need(!finf_grow(&cases->dirs, &cases->cap, cases->n, sizeof(char *)), dir);
		cases->dirs[cases->n++] = strdup(dir);
	}
	if (n >= 0)
		free(entries);
}

/* ---- tests -------------------------------------------------------------------------------- */

START_TEST(golden_case)
{
	run_case(golden.dirs[_i]);
}
END_TEST

START_TEST(given_case)
{
	run_case(given.dirs[_i]);
}
END_TEST

static const struct refusal *find_refusal(const char *dir)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(refusals); i++)
		if (!strcmp(strrchr(dir, '/') + 1, refusals[i].name))
			return &refusals[i];
	return NULL;
}

/* Refused with the reason that stands in the list: at import, or once shapes are known. */
static void check_refusal(const char *dir, const struct refusal *refusal)
{
	struct finf_tensor inputs[TENSORS_MAX], outputs[TENSORS_MAX];
	uint32_t n_in = read_tensors(dir, 0, "input", inputs), n_out;
	struct finf_diag diag = {""};
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	err = run_reference(path, inputs, n_in, outputs, &n_out, &diag);
	ck_assert_msg(err == refusal->err, "%s: %d, %s", dir, err, diag.text);
	ck_assert_msg(strstr(diag.text, refusal->needle) != NULL, "%s: %s", dir, diag.text);
	free_tensors(inputs, n_in);
}

START_TEST(node_case)
{
	const struct refusal *refusal = find_refusal(nodes.dirs[_i]);

	if (refusal)
		check_refusal(nodes.dirs[_i], refusal);
	else
		run_case(nodes.dirs[_i]);
}
END_TEST

START_TEST(counts)
{
	unsigned refused = 0;

	ck_assert_msg(golden.n >= GOLDEN_MIN, "only %u golden cases", golden.n);
	printf("golden: %u cases run\n", golden.n);
	if (!nodes.n) {
		skip_test("onnx-testdata", "no " NODE_CASES ": install libonnx-testdata");
		return;
	}
	for (uint32_t i = 0; i < nodes.n; i++)
		refused += find_refusal(nodes.dirs[i]) != NULL;
	printf("node cases: %u run, %u refused by name, %u skipped for another operator, "
	       "%u for another dtype\n",
	       nodes.n - refused, refused, skipped_operator, skipped_dtype);
	printf("other operators:%s\n", others);
	/* An operator that vanishes from the table must not take its cases along. */
	ck_assert_uint_eq(refused, FINF_ARRAY_LEN(refusals));
	ck_assert_uint_ge(nodes.n, NODES_MIN);
}
END_TEST

#define PART 64 /* of the cases to a test on the CUDA device */

/* Golden and node cases, as if they were one list. */
START_TEST(cases_on_cuda)
{
	const struct finf_engine_opts opts = {
		.size = sizeof(opts), .pool_bytes = 64 << 20, .device = "cuda"};
	uint32_t from = (uint32_t)_i * PART, to = FINF_MIN(from + PART, golden.n + nodes.n);

	setenv("FAKECUDA_DELAY_US", "0", 1);
	fakedriver_use();
	cuda = open_engine(&opts);
	for (uint32_t i = from; i < to; i++) {
		const char *dir = i < golden.n ? golden.dirs[i] : nodes.dirs[i - golden.n];

		if (!find_refusal(dir))
			run_case(dir);
	}
	finf_engine_close(cuda);
}
END_TEST

/* Behind all others. */
START_TEST(counts_on_cuda)
{
	unsigned right = atomic_load(&counted->right);

	printf("on the CUDA device: %u cases right, %u refused by name\n", right,
	       atomic_load(&counted->refused));
	ck_assert_uint_ge(right, nodes.n ? CUDA_MIN : GOLDEN_CUDA_MIN);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend");
	TCase *tc = tcase_create("backend");
	char root[4096];

	snprintf(root, sizeof(root), "%s/tests/golden/cases", source_dir());
	find_cases(&golden, root, false);
	find_cases(&nodes, NODE_CASES, true);
	if (getenv("FI_CASES"))
		find_cases(&given, getenv("FI_CASES"), false);
	counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	need(counted != MAP_FAILED, "shared memory");
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, counts);
	tcase_add_loop_test(tc, golden_case, 0, (int)golden.n);
	tcase_add_loop_test(tc, node_case, 0, (int)nodes.n);
	tcase_add_loop_test(tc, given_case, 0, (int)given.n);
	tcase_add_loop_test(tc, cases_on_cuda, 0, (int)(golden.n + nodes.n + PART - 1) / PART);
	tcase_add_test(tc, counts_on_cuda);
	suite_add_tcase(suite, tc);
	return suite;
}
