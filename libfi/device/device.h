/* SPDX-License-Identifier: MIT */
/*
 * device - the table of what a device can do, its registry, and the wrappers
 * through which everybody calls it. host/ is always there, cuda/ by dlopen.
 * Must not know: plans, packs, files, policy.
 */
#ifndef FINF_DEVICE_H
#define FINF_DEVICE_H

#include "graph/graph.h"
#include "plan/form.h"

#define FINF_DEVICE_ABI 1

/* Instances embed this as their first member. */
struct finf_device {
	const struct finf_device_ops *ops;
};

/* The one contiguous allocation of a pool. */
struct finf_pool_memory {
	void *base; /* address the device's kernels use */
	uint64_t bytes;
	bool host_visible; /* the CPU may read and write base directly */
	const char *mode;  /* static: "host", "vmm", ... */
	const char *pages; /* static: "huge", "thp", "4k" */
	void *priv;	   /* device's own */
};

/* What one kernel launch works on. Pointers are device addresses. */
struct finf_launch {
	/* Parallel to the node's inputs and outputs: buffers and weights; NULL where left out. */
	const void *const *in;
	void *const *out;
	void *workspace; /* form.workspace_bytes, FINF_BUFFER_ALIGN; NULL when 0 */
};

struct finf_kernel; /* device's own: one node in one form, ready to run */
struct finf_upload; /* device's own: copies from one staging memory, in flight */
struct finf_captured; /* device's own: a whole run, launched as one piece */

/* Called for each k below some n, on threads of their own. */
typedef void (*finf_spread_fn)(void *ctx, uint32_t k);

struct finf_device_ops {
	uint32_t abi; /* FINF_DEVICE_ABI */
	const char *name;

	/* ---- required ---- */

	/** probe - can this machine use the device? 0, or -ENODEV with the reason. */
	int (*probe)(struct finf_diag *diag);
	/** @param ordinal  which of several; a device of which there is one has 0 only: -ENODEV */
	int (*open)(uint32_t ordinal, struct finf_device **ret_dev, struct finf_diag *diag);
	void (*close)(struct finf_device *dev);

	/**
	 * target - key of tuned packs: what weight layouts depend on, e.g.
	 * "host:onednn-2.6.3:avx512_core:t2". Only [A-Za-z0-9._:+-].
	 */
	int (*target)(struct finf_device *dev, uint32_t threads, char *key, size_t len);

	/** pool_new - one allocation, touched: later use costs no page faults. 0, -ENOBUFS. */
	int (*pool_new)(struct finf_device *dev, uint64_t bytes, const char *mode,
			struct finf_pool_memory *ret, struct finf_diag *diag);
	void (*pool_free)(struct finf_device *dev, struct finf_pool_memory *pool);

	/**
	 * read, write, move - host memory to pool and back, and inside it; each after all
	 * launches before it. What is given may be used again on return. A read
	 * returns the fault of a launch before it: -EREMOTEIO.
	 */
	int (*read)(struct finf_device *dev, void *host, const void *device, uint64_t bytes);
	int (*write)(struct finf_device *dev, void *device, const void *host, uint64_t bytes);
	int (*move)(struct finf_device *dev, void *to, const void *from, uint64_t bytes);

	/**
	 * describe - candidate forms of one node of a bound graph; at least one.
	 * @param fixed  layouts the node's weights already have (n_fixed, by input),
	 *               NULL = free. Forms must then use exactly these.
	 * @param arena  where forms and descriptions are put
	 * Return: 0; -EOPNOTSUPP when this device cannot run the node.
	 */
	int (*describe)(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			uint32_t threads, const struct finf_weight_form *fixed, uint32_t n_fixed,
			struct finf_arena *arena, struct finf_form_list *ret,
			struct finf_diag *diag);
	int (*layout_bytes)(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint64_t *ret_bytes);
	uint64_t (*reorder_ns)(struct finf_device *dev, uint16_t from, uint16_t to, uint64_t bytes);

	/**
	 * pack_weight - a plain constant into the layout of a form (import and
	 * tuning time, never at load). @to holds form->bytes of host memory.
	 */
	int (*pack_weight)(struct finf_device *dev, const struct finf_weight_form *form,
			   const struct finf_tensor *plain, void *to);

	/**
	 * kernel_new - make a node runnable in a form; may take milliseconds, may
	 * allocate. The kernel keeps no pointer into @graph or @form.
	 */
	int (*kernel_new)(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			  const struct finf_form *form, uint32_t threads,
			  struct finf_kernel **ret_kernel, struct finf_diag *diag);
	int (*reorder_new)(struct finf_device *dev, enum finf_dtype dtype,
			   const struct finf_shape *shape, uint16_t from, uint16_t to,
			   uint32_t threads, struct finf_kernel **ret_kernel,
			   struct finf_diag *diag);
	/**
	 * kernel_run - launch, after all launches before it; finished on return where
	 * sync is absent. Nothing in @launch is looked at after the return. One run
	 * of a kernel at a time. Allocates nothing. 0, -EREMOTEIO.
	 */
	int (*kernel_run)(struct finf_device *dev, struct finf_kernel *kernel,
			  const struct finf_launch *launch);
	void (*kernel_free)(struct finf_device *dev, struct finf_kernel *kernel);

	/* ---- optional: NULL = absent ---- */

	/**
	 * spread - call @fn on @n threads at once, the caller's (k = 0) and those that kernels made
	 * for @n threads use, so nobody else has to be woken. There kernels made for one thread
	 * may run beside each other. Only where launches are finished on return, and in
	 * pools the host can see.
	 * Return: 0 all have returned; -EAGAIN there are not so many threads, nothing was called.
	 */
	int (*spread)(struct finf_device *dev, uint32_t n, finf_spread_fn fn, void *ctx);

	/** sync - until everything launched has finished. 0; -EREMOTEIO: one of it failed. */
	int (*sync)(struct finf_device *dev);

	/*
	 * Copies beside the launches, for pools the host cannot see; all four or none.
	 * The queue belongs to one thread, the loader's.
	 */
	/**
	 * upload_new - make @staging known to the device. Whole pages of host memory, the
	 * caller's; it must stay mapped until upload_free().
	 * @param slots  how many copies are told apart
	 * Return: 0; -EOPNOTSUPP staging cannot be registered; -ENOMEM; -EREMOTEIO.
	 */
	int (*upload_new)(struct finf_device *dev, void *staging, uint64_t bytes, uint32_t slots,
			  struct finf_upload **ret_upload, struct finf_diag *diag);
	/** upload_start - queue a copy out of staging; @from may change once the slot is done. */
	int (*upload_start)(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			    void *to, const void *from, uint64_t bytes);
	/** upload_wait - is the last copy of the slot on the device? 0; -EAGAIN not yet (only
	 * when not @block); -EREMOTEIO. */
	int (*upload_wait)(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			   bool block);
	/** upload_free - waits for what is in flight. */
	void (*upload_free)(struct finf_device *dev, struct finf_upload *upload);

	/*
	 * A run as one piece; all four or none (wrappers: capture.h). Between begin and end
	 * the calling thread's kernel_run are noted down, not carried out; it calls nothing
	 * else but capture_branch and those behind it, as often as @branches and @marks say.
	 */
	int (*capture_begin)(struct finf_device *dev, uint32_t branches, uint32_t marks,
			     struct finf_diag *diag);
	/**
	 * capture_end - also after a failed kernel_run, to give up: @io_captured NULL.
	 * @param io_captured  NULL inside = a new one; else it is brought up to date
	 *                     (same launches at other addresses) or replaced
	 */
	int (*capture_end)(struct finf_device *dev, struct finf_captured **io_captured,
			   struct finf_diag *diag);
	/**
	 * Branches that may run side by side; all three or none. capture_branch - what is noted
	 * down next follows only what that branch has so far, 0 at first; capture_mark - a place
	 * in it; capture_await - what comes next follows what lies before the mark, too.
	 */
	int (*capture_branch)(struct finf_device *dev, uint32_t branch);
	int (*capture_mark)(struct finf_device *dev, uint32_t mark);
	int (*capture_await)(struct finf_device *dev, uint32_t mark);
	/** captured_run - launch it. 0; -ESTALE the device was reset: capture again; -EREMOTEIO. */
	int (*captured_run)(struct finf_device *dev, struct finf_captured *captured);
	void (*captured_free)(struct finf_device *dev, struct finf_captured *captured);

	/**
	 * faulted - has a fault stuck, so that nothing works until reset()?
	 * reset - make the device work again, with a pool of the same size and mode. What
	 * was in the pool is lost and its base may differ; kernels stay usable; what
	 * was captured is stale; uploads must have been freed before. Nothing may run.
	 * Return: 0; -ENODEV or -ENOBUFS: it stays unusable.
	 */
	bool (*faulted)(struct finf_device *dev);
	int (*reset)(struct finf_device *dev, struct finf_pool_memory *pool,
		     struct finf_diag *diag);

	/** free_bytes - device memory that nobody has, as its driver reports it. */
	int (*free_bytes)(struct finf_device *dev, uint64_t *ret_bytes);

	/** describe_self - lines for `fictl doctor`: "key=value" separated by newlines. */
	int (*describe_self)(struct finf_device *dev, char *text, size_t len);
};

/** finf_device_open - by name: "host", "cuda", "cuda:1"; checks the table once.
 * Return: 0; -ENODEV; -EINVAL no such form of name; -ENOMEM. */
int finf_device_open(const char *name, struct finf_device **ret_dev, struct finf_diag *diag);
void finf_device_close(struct finf_device *dev);
/** finf_device_check - abi and required members of a table. 0; -EINVAL. */
int finf_device_check(const struct finf_device_ops *ops);
/** finf_device_at - registered tables in order; NULL past the end. */
const struct finf_device_ops *finf_device_at(uint32_t index);

/* Wrappers: the only callers of the members. Same contracts as above. */
int finf_device_target(struct finf_device *dev, uint32_t threads, char *key, size_t len);
int finf_device_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
			 struct finf_pool_memory *ret, struct finf_diag *diag);
void finf_device_pool_free(struct finf_device *dev, struct finf_pool_memory *pool);
int finf_device_read(struct finf_device *dev, void *host, const void *device, uint64_t bytes);
int finf_device_write(struct finf_device *dev, void *device, const void *host, uint64_t bytes);
int finf_device_move(struct finf_device *dev, void *to, const void *from, uint64_t bytes);
/**
 * finf_device_forms - the form table of a whole bound graph.
 * @param fixed  per node of @graph: layouts its weights must have; NULL = free choice
 * The table's callbacks use @dev: it must outlive the table. Free with finf_form_table_fini().
 */
struct finf_fixed_weights {
	const struct finf_weight_form *forms;
	uint32_t n;
};
int finf_device_forms(struct finf_device *dev, const struct finf_graph *graph, uint32_t threads,
		      const struct finf_fixed_weights *fixed, struct finf_form_table *ret,
		      struct finf_diag *diag);
void finf_form_table_fini(struct finf_form_table *table);
int finf_device_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			     const struct finf_shape *shape, uint64_t *ret_bytes);
int finf_device_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			    const struct finf_tensor *plain, void *to);
int finf_device_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			   const struct finf_form *form, uint32_t threads,
			   struct finf_kernel **ret_kernel, struct finf_diag *diag);
int finf_device_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint16_t from, uint16_t to,
			    uint32_t threads, struct finf_kernel **ret_kernel,
			    struct finf_diag *diag);
int finf_device_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			   const struct finf_launch *launch);
void finf_device_kernel_free(struct finf_device *dev, struct finf_kernel *kernel);
int finf_device_describe_self(struct finf_device *dev, char *text, size_t len);
bool finf_device_spreads(const struct finf_device *dev);
int finf_device_spread(struct finf_device *dev, uint32_t n, finf_spread_fn fn, void *ctx);
/* Optional members. Absent: sync 0, faulted false, all others -EOPNOTSUPP. */
int finf_device_sync(struct finf_device *dev);
int finf_device_upload_new(struct finf_device *dev, void *staging, uint64_t bytes, uint32_t slots,
			   struct finf_upload **ret_upload, struct finf_diag *diag);
int finf_device_upload_start(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			     void *to, const void *from, uint64_t bytes);
int finf_device_upload_wait(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			    bool block);
void finf_device_upload_free(struct finf_device *dev, struct finf_upload *upload);
bool finf_device_faulted(struct finf_device *dev);
int finf_device_reset(struct finf_device *dev, struct finf_pool_memory *pool,
		      struct finf_diag *diag);
int finf_device_free_bytes(struct finf_device *dev, uint64_t *ret_bytes);

#endif
