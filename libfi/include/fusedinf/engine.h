/* SPDX-License-Identifier: MIT */
/*
 * fusedinf/engine.h - run models in your own process, without the daemon.
 *
 *   struct finf_engine *engine;
 *   finf_engine_open(NULL, &engine, &diag);
 *   finf_engine_add(engine, "resnet18.onnx", "resnet18", &diag);
 *   finf_engine_infer(engine, "resnet18", &image, 1, &scores, 1, &diag);
 *   finf_engine_close(engine);
 *
 * A complete program: Documentation/examples/infer.c (the tests compile and run it).
 */
#ifndef FUSEDINF_ENGINE_H
#define FUSEDINF_ENGINE_H

#include <fusedinf/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct finf_engine;

enum finf_optimize {
	FINF_OPTIMIZE_MEMORY = 0, /* weights as large as the model's */
	/* Larger forms of weights (Winograd's) where they are measured to be faster on this
	 * machine: for .onnx and portable packs of fixed shapes. Adding takes seconds. */
	FINF_OPTIMIZE_LATENCY = 1,
};

struct finf_engine_opts {
	size_t size;	    /* sizeof(struct finf_engine_opts) */
	const char *device; /* "host", "cuda", "cuda:1"; NULL = host */
	/* Weights and activations of everything loaded at the same time, taken and touched
	 * at once; 0 = half of the device's available memory, at most 1 GiB. */
	uint64_t pool_bytes;
	uint32_t threads; /* per inference; 0 = one per core this process may use */
	bool exact;	  /* reference kernels only: slow, the oracle */
	enum finf_optimize optimize;
};

/**
 * finf_engine_open - device, pool and loader.
 * @param opts  NULL = defaults; unknown trailing bytes must be zero
 * @param ret_engine  yours: finf_engine_close()
 * @param diag  where and why; may be NULL
 * Context: any thread. Return: 0; -EINVAL; -ENODEV no such device; -ENOBUFS
 * the pool cannot be had; -ENOMEM. Since: 0.1.
 */
FINF_API int finf_engine_open(const struct finf_engine_opts *opts, struct finf_engine **ret_engine,
			      struct finf_diag *diag);
/** finf_engine_close - unloads everything; NULL is fine. No call may be running. */
FINF_API void finf_engine_close(struct finf_engine *engine);

/**
 * finf_engine_add - make a model known under a name.
 * @param path  .onnx, or .fim (portable or tuned for this machine)
 * @param name  [A-Za-z0-9][A-Za-z0-9._-]{0,127}
 * The file may be changed or removed afterwards only for .onnx.
 * Context: thread-safe, blocks until it is planned. Return: 0; -EEXIST name taken;
 * -EBADMSG damaged; -EOPNOTSUPP operator; -EKEYREJECTED tuned for another machine;
 * -EINVAL; -ENOMEM; -errno of opening. Since: 0.1.
 */
FINF_API int finf_engine_add(struct finf_engine *engine, const char *path, const char *name,
			     struct finf_diag *diag);
/** finf_engine_remove - unload and forget, once no run is using it. Return: 0; -ENOENT. */
FINF_API int finf_engine_remove(struct finf_engine *engine, const char *name);

/**
 * finf_engine_load - bring a model into the pool now (infer does it on demand).
 * Return: 0; -ENOENT; -ENOBUFS the pool has no room (nothing is evicted in
 * process: unload something); -EBADMSG; -EIO. Blocks. Thread-safe. Since: 0.1.
 */
FINF_API int finf_engine_load(struct finf_engine *engine, const char *name, struct finf_diag *diag);
/** finf_engine_unload - give its bytes back, once no run is using it.
 * Return: 0 (also when not loaded); -ENOENT. */
FINF_API int finf_engine_unload(struct finf_engine *engine, const char *name);

/* One input or output of a model. Strings are borrowed until the model is removed. */
struct finf_port {
	const char *name;
	enum finf_dtype dtype;
	struct finf_shape shape; /* FINF_DIM_ANY where it may vary */
};

/**
 * finf_engine_ports - the model's interface.
 * Two calls or one: at most *n_inputs and *n_outputs entries are written, and
 * the true numbers come back in them. Return: 0; -ENOENT. Thread-safe. Since: 0.1.
 */
FINF_API int finf_engine_ports(struct finf_engine *engine, const char *name,
			       struct finf_port *inputs, uint32_t *n_inputs,
			       struct finf_port *outputs, uint32_t *n_outputs);

/**
 * finf_engine_infer - one run.
 * @param inputs   matched by name (a NULL name: by position); dense, borrowed during the call
 * @param outputs  by name or position, not necessarily all; @data and @bytes (capacity)
 *                 are yours; dtype, shape, bytes and a NULL name (borrowed until the model
 *                 is removed) are filled. When @data is NULL it is malloc'd and yours to
 *                 free(). On error the tensors are as they were, though what @data points
 *                 to may have been written. No output may lie over an input: where it would
 *                 be written before that is read it is refused.
 * Context: thread-safe, blocks; runs of one engine happen one after the other.
 * Return: 0; -ENOENT; -EINVAL wrong name, dtype, shape or place (diag says which and
 * what was expected); -ENOSPC an output buffer is too small; -ENOBUFS; -EIO;
 * -EBADMSG; -EREMOTEIO. Since: 0.1.
 */
FINF_API int finf_engine_infer(struct finf_engine *engine, const char *name,
			       const struct finf_tensor *inputs, uint32_t n_inputs,
			       struct finf_tensor *outputs, uint32_t n_outputs,
			       struct finf_diag *diag);

/* What a model costs and what the last load did. */
struct finf_model_stats {
	size_t size; /* in: sizeof(struct finf_model_stats) */
	uint64_t weight_bytes, arena_bytes;
	bool loaded;
	uint64_t load_bytes, load_ns; /* of the last load; 0 when never */
	uint64_t runs, last_run_ns;
};
FINF_API int finf_engine_stats(struct finf_engine *engine, const char *name,
			       struct finf_model_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
