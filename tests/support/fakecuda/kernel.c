/* SPDX-License-Identifier: MIT */
/* fakecuda: images that name C functions, and the limits of a launch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fakecuda/fake.h"

#define MAGIC		 "fakecuda\n"
#define MAX_KERNELS	 256
#define MAX_PARAM_BYTES	 4096
#define SHARED_BYTES	 (48u << 10) /* without opt-in */
#define SHARED_MAX_BYTES (64u << 10)

static struct known {
	char name[128];
	fakecuda_kernel_fn fn;
	size_t param_bytes, shared_bytes;
} known[MAX_KERNELS];
static unsigned n_known;

struct finf_cu_function {
	struct finf_cu_function *next;
	const struct known *kernel;
	size_t dynamic_max_bytes;
};

struct finf_cu_module {
	struct finf_cu_module *next;
	char *names;			    /* owned: "\nname\nname bytes\n" */
	struct finf_cu_function *functions; /* owned */
};

EXPORT void fakecuda_kernel(const char *name, fakecuda_kernel_fn fn, size_t param_bytes,
			    size_t shared_bytes)
{
	pthread_mutex_lock(&fake.lock);
	if (n_known < MAX_KERNELS) {
		struct known *k = &known[n_known++];

		snprintf(k->name, sizeof(k->name), "%s", name);
		k->fn = fn;
		k->param_bytes = param_bytes;
		k->shared_bytes = shared_bytes;
	}
	pthread_mutex_unlock(&fake.lock);
}

/* Of PTX we read its entries, as lines "NAME PARAMETER-BYTES". */
static char *ptx_names(const char *text)
{
	char *names = fake_alloc(strlen(text) + 2), *to = names;

	*to++ = '\n';
	while ((text = strstr(text, ".entry "))) {
		const char *end = strpbrk(text, ")"), *open = end;
		size_t n;

		text += strlen(".entry ");
		n = strcspn(text, "( \t\n");
		while (open && open > text && *open != '[')
			open--;
		if (!open || open == text)
			break;
		to += sprintf(to, "%.*s %lu\n", (int)n, text, strtoul(open + 1, NULL, 10));
	}
	*to = 0;
	return names;
}

static char *image_names(const char *image)
{
	char *names = NULL;

	if (!strncmp(image, MAGIC, strlen(MAGIC))) {
		if (asprintf(&names, "%s\n", image + strlen(MAGIC) - 1) < 0)
			abort();
	} else if (strstr(image, ".version ") && strstr(image, ".target ")) {
		names = ptx_names(image);
	}
	return names;
}

enum finf_cu_result cuModuleLoadDataEx(struct finf_cu_module **ret, const void *image, unsigned n,
				       enum finf_cu_jit_option *options, void **values)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct finf_cu_module *module;
	char *names;

	(void)n, (void)options, (void)values; /* there is no compiler that would use them */
	if (result)
		return result;
	names = image ? image_names(image) : NULL;
	if (!names)
		return fake_leave(FINF_CU_ERROR_INVALID_IMAGE);
	module = fake_alloc(sizeof(*module));
	module->names = names;
	module->next = fake_current()->modules;
	fake_current()->modules = module;
	*ret = module;
	return fake_leave(FINF_CU_SUCCESS);
}

static enum finf_cu_result enter_module(const char *name, const struct finf_cu_module *module)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);
	struct finf_cu_module *m;

	if (result)
		return result;
	for (m = fake_current()->modules; m && m != module;)
		m = m->next;
	return m ? FINF_CU_SUCCESS : fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
}

static void module_free(struct finf_cu_module *module)
{
	while (module->functions) {
		struct finf_cu_function *function = module->functions;

		module->functions = function->next;
		free(function);
	}
	free(module->names);
	free(module);
}

void modules_destroy(struct finf_cu_ctx *ctx)
{
	while (ctx->modules) {
		struct finf_cu_module *module = ctx->modules;

		ctx->modules = module->next;
		module_free(module);
	}
}

enum finf_cu_result cuModuleUnload(struct finf_cu_module *module)
{
	enum finf_cu_result result = enter_module(__func__, module);
	struct finf_cu_module **at;

	if (result)
		return result;
	context_drain(fake_current());
	for (at = &fake_current()->modules; *at != module;)
		at = &(*at)->next;
	*at = module->next;
	module_free(module);
	return fake_leave(FINF_CU_SUCCESS);
}

/* By name alone, or by name and bytes of its parameter where the image tells them. */
static bool names(const struct finf_cu_module *module, const struct known *kernel)
{
	char line[160], sized[160];

	snprintf(line, sizeof(line), "\n%.127s\n", kernel->name);
	snprintf(sized, sizeof(sized), "\n%.127s %zu\n", kernel->name, kernel->param_bytes);
	return strstr(module->names, line) || strstr(module->names, sized);
}

enum finf_cu_result cuModuleGetFunction(struct finf_cu_function **ret,
					struct finf_cu_module *module, const char *name)
{
	enum finf_cu_result result = enter_module(__func__, module);
	const struct known *kernel = NULL;
	struct finf_cu_function *function;

	if (result)
		return result;
	for (unsigned i = 0; i < n_known; i++)
		if (!strcmp(known[i].name, name) && names(module, &known[i]))
			kernel = &known[i];
	if (!kernel)
		return fake_leave(FINF_CU_ERROR_NOT_FOUND);
	for (function = module->functions; function && function->kernel != kernel;)
		function = function->next;
	if (!function) {
		function = fake_alloc(sizeof(*function));
		function->kernel = kernel;
		function->next = module->functions;
		module->functions = function;
	}
	*ret = function;
	return fake_leave(FINF_CU_SUCCESS);
}

static bool is_function(const struct finf_cu_function *function)
{
	for (struct finf_cu_module *m = fake_current()->modules; m; m = m->next)
		for (struct finf_cu_function *f = m->functions; f; f = f->next)
			if (f == function)
				return true;
	return false;
}

enum finf_cu_result cuFuncSetAttribute(struct finf_cu_function *function,
				       enum finf_cu_function_attribute which, int value)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	if (!is_function(function))
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (which != FINF_CU_FUNC_MAX_DYNAMIC_SHARED || value < 0 ||
	    (unsigned)value + function->kernel->shared_bytes > SHARED_MAX_BYTES)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	function->dynamic_max_bytes = (size_t)value;
	return fake_leave(FINF_CU_SUCCESS);
}

/* What every device since sm_75 refuses. */
static bool launch_ok(const struct finf_cu_function *function, const struct fakecuda_grid *g)
{
	const struct known *kernel = function->kernel;
	uint64_t threads = (uint64_t)g->block[0] * g->block[1] * g->block[2];
	size_t allowed = function->dynamic_max_bytes;

	if (kernel->shared_bytes < SHARED_BYTES && allowed < SHARED_BYTES - kernel->shared_bytes)
		allowed = SHARED_BYTES - kernel->shared_bytes;
	return g->grid[0] && g->grid[1] && g->grid[2] && threads && threads <= 1024 &&
	       g->grid[0] <= 0x7fffffff && g->grid[1] <= 65535 && g->grid[2] <= 65535 &&
	       g->block[0] <= 1024 && g->block[1] <= 1024 && g->block[2] <= 64 &&
	       kernel->param_bytes <= MAX_PARAM_BYTES && kernel->shared_bytes <= SHARED_BYTES &&
	       g->shared_bytes <= allowed;
}

enum finf_cu_result cuLaunchKernel(struct finf_cu_function *function, unsigned grid_x,
				   unsigned grid_y, unsigned grid_z, unsigned block_x,
				   unsigned block_y, unsigned block_z, unsigned shared_bytes,
				   struct finf_cu_stream *stream, void **params, void **extra)
{
	struct fakecuda_grid grid = {
		{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct work work = {.kind = KERNEL, .grid = grid};

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream || !is_function(function))
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (extra || !params || !params[0] || !launch_ok(function, &grid))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	work.kernel = function->kernel->fn;
	work.bytes = function->kernel->param_bytes;
	work.param = fake_alloc(work.bytes);
	memcpy(work.param, params[0], work.bytes);
	return fake_leave(stream_do(stream, work));
}
