/* SPDX-License-Identifier: MIT */
/* cuda: the module of our kernels, and launching what a node takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/kernels.h"
#include "device/cuda/node.h"

#define LOG_BYTES 4096

struct finf_cuda_kernels {
	struct finf_cu_module *module; /* owned */
	bool compiled;		       /* from the fat binary */
	struct finf_cu_function *functions[FINF_K_FUNCTIONS];
};

struct finf_kernel {
	uint32_t n_calls;
	struct finf_k_call calls[];
};

/* ---- the module ----------------------------------------------------------------- */

/* The text that clang made of kernels/, with a zero behind it. */
__asm__(".pushsection .rodata, \"a\"\n"
	".type finf_cuda_ptx, @object\n"
	"finf_cuda_ptx:\n"
	".incbin \"" FINF_CUDA_PTX "\"\n"
	".byte 0\n"
	".size finf_cuda_ptx, . - finf_cuda_ptx\n"
	".popsection\n");
extern const char finf_cuda_ptx[] __attribute__((visibility("hidden")));

const char *finf_cuda_kernels_image(void)
{
	return finf_cuda_ptx;
}

#ifdef FINF_CUDA_FATBIN
__asm__(".pushsection .rodata, \"a\"\n"
	".balign 16\n"
	".type finf_cuda_fatbin, @object\n"
	"finf_cuda_fatbin:\n"
	".incbin \"" FINF_CUDA_FATBIN "\"\n"
	".size finf_cuda_fatbin, . - finf_cuda_fatbin\n"
	".popsection\n");
extern const char finf_cuda_fatbin[] __attribute__((visibility("hidden")));

/* Code for a card runs on later ones of the same generation. */
static const char *fatbin_for(uint32_t arch)
{
	static const uint8_t archs[] = {FINF_CUDA_ARCHS};

	for (size_t i = 0; i < sizeof(archs); i++)
		if (archs[i] / 10 == arch / 10 && archs[i] <= arch)
			return finf_cuda_fatbin;
	return NULL;
}
#else
static const char *fatbin_for(uint32_t arch)
{
	(void)arch;
	return NULL;
}
#endif

const char *finf_cuda_kernels_kind(const struct finf_cuda_kernels *kernels)
{
	return kernels->compiled ? "cubin" : "ptx";
}

const char *finf_cuda_kernel_name(uint32_t number)
{
	static const char *const names[] = {
#define FINF_KERNEL(name) "finf_" #name,
#include "device/cuda/kernels/table.def"
#undef FINF_KERNEL
	};

	return number < FINF_ARRAY_LEN(names) ? names[number] : NULL;
}

/* An older driver may not know the toolkit's format: then it compiles. */
static bool compiled_load(const struct finf_cuda_api *api, uint32_t arch,
			  struct finf_cuda_kernels *kernels)
{
	const char *fatbin = fatbin_for(arch);

	kernels->compiled = fatbin && !api->cuModuleLoadDataEx(&kernels->module, fatbin, 0, NULL, NULL);
	return kernels->compiled;
}

static int module_load(const struct finf_cuda_api *api, struct finf_cuda_kernels *kernels,
		       struct finf_diag *diag)
{
	char log[LOG_BYTES] = "";
	enum finf_cu_jit_option options[] = {FINF_CU_JIT_ERROR_LOG, FINF_CU_JIT_ERROR_LOG_BYTES};
	void *values[] = {log, (void *)(uintptr_t)sizeof(log)};
	enum finf_cu_result result;

	result = api->cuModuleLoadDataEx(&kernels->module, finf_cuda_ptx, FINF_ARRAY_LEN(options),
					 options, values);
	if (!result)
		return 0;
	kernels->module = NULL;
	finf_cuda_fail(diag, "compiling the kernels", result);
	if (log[0])
		finf_diag_prefix(diag, "%.200s", log);
	return finf_cuda_errno(result);
}

int finf_cuda_kernels_load(const struct finf_cuda_api *api, uint32_t arch,
			   struct finf_cuda_kernels **ret, struct finf_diag *diag)
{
	struct finf_cuda_kernels *kernels = calloc(1, sizeof(*kernels));
	int err = 0;

	if (!kernels)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	if (!compiled_load(api, arch, kernels))
		err = module_load(api, kernels, diag);
	for (uint32_t i = 0; i < FINF_K_FUNCTIONS && !err; i++) {
		enum finf_cu_result result = api->cuModuleGetFunction(
			&kernels->functions[i], kernels->module, finf_cuda_kernel_name(i));

		if (result)
			err = finf_cuda_fail(diag, finf_cuda_kernel_name(i), result);
	}
	if (err)
		finf_cuda_kernels_unload(api, kernels, false);
	else
		*ret = kernels;
	return err;
}

void finf_cuda_kernels_unload(const struct finf_cuda_api *api, struct finf_cuda_kernels *kernels,
			      bool lost)
{
	if (kernels && kernels->module && !lost)
		api->cuModuleUnload(kernels->module);
	free(kernels);
}

/* ---- kernels ----------------------------------------------------------------------- */

int finf_k_kernel_new(const struct finf_k_build *b, struct finf_kernel **ret_kernel)
{
	size_t bytes = b->n_calls * sizeof(b->calls[0]);
	struct finf_kernel *kernel = malloc(sizeof(*kernel) + bytes);

	if (!kernel)
		return finf_diag_set(b->diag, -ENOMEM, "out of memory");
	kernel->n_calls = b->n_calls;
	if (bytes)
		memcpy(kernel->calls, b->calls, bytes);
	*ret_kernel = kernel;
	return 0;
}

void finf_cuda_kernel_free(struct finf_kernel *kernel)
{
	free(kernel);
}

static const void *address(const struct finf_k_pointer *pointer, const struct finf_launch *launch)
{
	switch (pointer->source) {
	case FINF_K_IN:
		return (const char *)launch->in[pointer->index] + pointer->offset_bytes;
	case FINF_K_OUT:
		return (const char *)launch->out[pointer->index] + pointer->offset_bytes;
	default:
		return (const char *)launch->workspace + pointer->offset_bytes;
	}
}

static int call_launch(const struct finf_cuda_kernels *kernels, const struct finf_cuda_api *api,
		       struct finf_cu_stream *stream, const struct finf_k_call *call,
		       const struct finf_launch *launch)
{
	struct finf_k_call full = *call;
	void *params[] = {&full.args};

	for (uint32_t i = 0; i < call->n_pointers; i++) {
		const void *at = address(&call->pointers[i], launch);

		memcpy((char *)&full.args + call->pointers[i].at, &at, sizeof(at));
	}
	return finf_cuda_errno(api->cuLaunchKernel(kernels->functions[call->function], call->blocks,
						   1, 1, call->threads, 1, 1, 0, stream, params,
						   NULL));
}

int finf_cuda_kernel_launch(const struct finf_cuda_kernels *kernels,
			    const struct finf_cuda_api *api, struct finf_cu_stream *stream,
			    struct finf_kernel *kernel, const struct finf_launch *launch)
{
	int err = 0;

	for (uint32_t i = 0; i < kernel->n_calls && !err; i++)
		err = call_launch(kernels, api, stream, &kernel->calls[i], launch);
	return err;
}
