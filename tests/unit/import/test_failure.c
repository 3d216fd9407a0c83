/* SPDX-License-Identifier: MIT */
/*
 * import: every allocation and every system call of an import fails once. The
 * linker sends those calls here first (tests/build.mk, --wrap); whatever fails,
 * the answer is the errno, no graph, no descriptor left open and, under ASan,
 * nothing leaked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/import.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

/* The call that fails: the @at-th of its kind from now; 0 = none. */
static struct {
	unsigned alloc_at, open_at, fstat_at, mmap_at;
	unsigned fired;
} fault;

static bool fires(unsigned *at)
{
	if (!*at || --*at)
		return false;
	fault.fired++;
	return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *st);
void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *st);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes)
{
	return fires(&fault.alloc_at) ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fires(&fault.alloc_at) ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	return fires(&fault.alloc_at) ? NULL : __real_realloc(p, bytes);
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	if (!fires(&fault.open_at))
		return __real_open(path, flags, mode);
	errno = EMFILE;
	return -1;
}

int __wrap_fstat(int fd, struct stat *st)
{
	if (!fires(&fault.fstat_at))
		return __real_fstat(fd, st);
	errno = EIO;
	return -1;
}

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!fires(&fault.mmap_at))
		return __real_mmap(addr, len, prot, flags, fd, offset);
	errno = ENODEV;
	return MAP_FAILED;
}

/* "local.Twice" of a and its call: names, nodes and maps of its own. */
static void add_function(struct onnx_build *b)
{
	Onnx__FunctionProto *f = BUILD_NEW(b, Onnx__FunctionProto, onnx__function_proto__init);

	f->name = build_str(b, "Twice");
	f->domain = build_str(b, "local");
	build_names(b, "a", &f->n_input, &f->input);
	build_names(b, "r", &f->n_output, &f->output);
	BUILD_PUSH(b, f->n_opset_import, f->opset_import, b->opset);
	for (int i = 0; i < 2; i++) {
		BUILD_PUSH(b, f->n_node, f->node,
			   build_node(b, "Neg", "", i ? "t" : "a", i ? "r" : "t"));
		b->graph.n_node--;
	}
	BUILD_PUSH(b, b->model.n_functions, b->model.functions, f);
	build_node(b, "Twice", "call", "y", "t")->domain = build_str(b, "local");
}

/* The sample with an attribute and a function, so that every path allocates. */
static const char *write_sample(void)
{
	const char *path = scratch_path("sample.onnx");
	Onnx__AttributeProto *a;
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;
	int fd;

	build_sample(&b);
	a = build_attr(&b, build_node(&b, "LeakyRelu", "leak", "y", "z"), "alpha",
		       ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
	a->has_f = 1;
	a->f = 0.5f;
	build_output(&b, "z");
	add_function(&b);
	data = build_pack(&b, &bytes);
	build_fini(&b);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
	free(data);
	return path;
}

START_TEST(allocations)
{
	const char *path = write_sample();
	struct finf_graph *graph = NULL;
	int before = open_descriptors(), err = -ENOMEM;
	unsigned at;

	for (at = 1; err; at++) {
		struct finf_diag diag = {""};

		fault.fired = 0;
		fault.alloc_at = at;
		err = finf_import_file(path, &graph, &diag);
		fault.alloc_at = 0;
		ck_assert_int_eq(open_descriptors(), before);
		if (!fault.fired)
			break;
		ck_assert_msg(err == -ENOMEM, "allocation %u: %d, %s", at, err, diag.text);
		ck_assert_msg(strstr(diag.text, "out of memory") != NULL, "allocation %u: '%s'", at,
			      diag.text);
		ck_assert_ptr_null(graph);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(at, 50); /* or the faults went nowhere */
	finf_graph_free(graph);
}
END_TEST

START_TEST(system_calls)
{
	static const struct {
		unsigned *at;
		int err;
	} calls[] = {
		{&fault.open_at, -EMFILE},
		{&fault.fstat_at, -EIO},
		{&fault.mmap_at, -ENODEV},
	};
	const char *path = write_sample();
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	int before = open_descriptors();

	fault.fired = 0;
	*calls[_i].at = 1;
	ck_assert_int_eq(finf_import_file(path, &graph, &diag), calls[_i].err);
	ck_assert_uint_eq(fault.fired, 1);
	ck_assert_ptr_null(graph);
	ck_assert_msg(strstr(diag.text, strerror(-calls[_i].err)) != NULL, "%s", diag.text);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/failure");
	TCase *tc = tcase_create("failure");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, allocations);
	tcase_add_loop_test(tc, system_calls, 0, 3);
	suite_add_tcase(suite, tc);
	return suite;
}
