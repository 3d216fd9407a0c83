/* SPDX-License-Identifier: MIT */
/*
 * cuda/kernels - the nodes of a graph as launches of our own kernels: which
 * forms there are, what a node launches, and the module that holds the code.
 * Must not know: pools, streams beyond the one handed in, graphs of launches.
 */
#ifndef FINF_DEVICE_CUDA_KERNELS_H
#define FINF_DEVICE_CUDA_KERNELS_H

#include "device/cuda/driver.h"
#include "device/device.h"

/* The module with all kernels, loaded into one context. */
struct finf_cuda_kernels;

/**
 * finf_cuda_kernels_load - load the module: compiled code where this build has some for
 * the card and the driver takes it, else PTX, which the driver compiles. Call it again after a reset
 * of the context: kernels made before stay usable, they name their functions by number.
 * @param arch  of the card, 10 * major + minor
 * Context: the device's context is current. Blocks, some 100 ms where the driver compiles.
 * Return: 0; -ENOMEM; what finf_cuda_errno() makes of a refusal, with the compiler's words.
 */
int finf_cuda_kernels_load(const struct finf_cuda_api *api, uint32_t arch,
			   struct finf_cuda_kernels **ret, struct finf_diag *diag);
/** finf_cuda_kernels_kind - what was loaded: "cubin" or "ptx". */
const char *finf_cuda_kernels_kind(const struct finf_cuda_kernels *kernels);
/**
 * finf_cuda_kernels_unload - NULL is fine. Nothing of it may run any more.
 * @param lost  the context was reset: its module is gone already, only free our memory
 * Context: the device's context is current, unless @lost.
 */
void finf_cuda_kernels_unload(const struct finf_cuda_api *api, struct finf_cuda_kernels *kernels,
			      bool lost);

/** finf_cuda_kernels_image - the module's PTX text. */
const char *finf_cuda_kernels_image(void);
/** finf_cuda_kernel_name - the entry of that number in the module; NULL past the end. */
const char *finf_cuda_kernel_name(uint32_t number);

/*
 * Members of struct finf_device_ops with the same contracts. None of them
 * needs a driver; @dev is not looked at. All layouts are plain.
 */
int finf_cuda_describe(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		       uint32_t threads, const struct finf_weight_form *fixed, uint32_t n_fixed,
		       struct finf_arena *arena, struct finf_form_list *ret,
		       struct finf_diag *diag);
int finf_cuda_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			   const struct finf_shape *shape, uint64_t *ret_bytes);
uint64_t finf_cuda_reorder_ns(struct finf_device *dev, uint16_t from, uint16_t to, uint64_t bytes);
int finf_cuda_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			  const struct finf_tensor *plain, void *to);

/**
 * finf_cuda_kernel_new - a node in a form that finf_cuda_describe() offered.
 * Return: 0; -EOPNOTSUPP naming node and operator; -EINVAL a form that is not ours; -ENOMEM.
 */
int finf_cuda_kernel_new(const struct finf_graph *graph, uint32_t node,
			 const struct finf_form *form, struct finf_kernel **ret_kernel,
			 struct finf_diag *diag);
/** finf_cuda_reorder_new - a copy; there is one layout. */
int finf_cuda_reorder_new(enum finf_dtype dtype, const struct finf_shape *shape, uint16_t from,
			  uint16_t to, struct finf_kernel **ret_kernel, struct finf_diag *diag);
void finf_cuda_kernel_free(struct finf_kernel *kernel); /* NULL is fine */

/**
 * finf_cuda_kernel_launch - put the node's launches on @stream; the stream may be capturing.
 * Nothing in @launch is looked at after the return. Allocates nothing.
 * Context: the device's context is current; @kernels belongs to it.
 * Return: 0; what finf_cuda_errno() makes of a refused launch.
 */
int finf_cuda_kernel_launch(const struct finf_cuda_kernels *kernels,
			    const struct finf_cuda_api *api, struct finf_cu_stream *stream,
			    struct finf_kernel *kernel, const struct finf_launch *launch);

#endif
