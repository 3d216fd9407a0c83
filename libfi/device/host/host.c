/* SPDX-License-Identifier: MIT */
/* host: the device tables "host" (oneDNN beside the reference) and "ref" (the reference alone). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"

static int host_probe(struct finf_diag *diag)
{
	(void)diag;
	return 0;
}

static int open_common(const struct finf_device_ops *ops, bool onednn, uint32_t ordinal,
		       struct finf_device **ret_dev, struct finf_diag *diag)
{
	struct finf_host *host;
	int err;

	if (ordinal)
		return finf_diag_set(diag, -ENODEV, "there is one device %s, number 0", ops->name);
	host = calloc(1, sizeof(*host));
	if (!host)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	host->base.ops = ops;
	err = onednn ? finf_dnn_open(&host->dnn) : 0;
	if (err) {
		free(host);
		return finf_diag_set(diag, err, "oneDNN offers no CPU engine");
	}
	*ret_dev = &host->base;
	return 0;
}

static int host_open(uint32_t ordinal, struct finf_device **ret_dev, struct finf_diag *diag)
{
	return open_common(&finf_host_ops, true, ordinal, ret_dev, diag);
}

static int ref_open(uint32_t ordinal, struct finf_device **ret_dev, struct finf_diag *diag)
{
	return open_common(&finf_ref_ops, false, ordinal, ret_dev, diag);
}

static void host_close(struct finf_device *dev)
{
	struct finf_host *host = (struct finf_host *)dev;

	finf_dnn_close(host->dnn);
	free(host);
}

static int version_text(char *text, size_t len)
{
	uint32_t v = finf_dnn_version();

	return snprintf(text, len, "%u.%u.%u", v >> 16, v >> 8 & 255, v & 255);
}

/* Blocked weights depend on all of these. */
/* Counts up when forms are offered that make plans better: those in tuned packs are old then. */
#define FORMS_VERSION 2

static int host_target(struct finf_device *dev, uint32_t threads, char *key, size_t len)
{
	char version[32];
	int n;

	(void)dev;
	version_text(version, sizeof(version));
	n = snprintf(key, len, "host:onednn-%s:%s:t%u:f%d", version, finf_dnn_isa(), threads,
		     FORMS_VERSION);
	return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

/* Plain weights fit every machine. */
static int ref_target(struct finf_device *dev, uint32_t threads, char *key, size_t len)
{
	(void)dev, (void)threads;
	return (size_t)snprintf(key, len, "ref:plain") >= len ? -ENOSPC : 0;
}

static int host_copy_in(struct finf_device *dev, void *device, const void *host, uint64_t bytes)
{
	(void)dev;
	memcpy(device, host, bytes);
	return 0;
}

static int host_copy_out(struct finf_device *dev, void *host, const void *device, uint64_t bytes)
{
	(void)dev;
	memcpy(host, device, bytes);
	return 0;
}

static int host_move(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	(void)dev;
	memmove(to, from, bytes);
	return 0;
}

static int host_spread(struct finf_device *dev, uint32_t n, finf_spread_fn fn, void *ctx)
{
	(void)dev;
	return finf_dnn_spread(n, fn, ctx);
}

/* First line of a small kernel file, "unknown" when it is not there. */
static void kernel_says(const char *path, char *text, size_t len)
{
	FILE *file = fopen(path, "re");

	snprintf(text, len, "unknown");
	if (!file)
		return;
	if (fgets(text, (int)len, file))
		text[strcspn(text, "\n")] = 0;
	fclose(file);
}

static int host_describe_self(struct finf_device *dev, char *text, size_t len)
{
	char version[32], huge[32], thp[64];
	int n;

	version_text(version, sizeof(version));
	kernel_says("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", huge, sizeof(huge));
	kernel_says("/sys/kernel/mm/transparent_hugepage/enabled", thp, sizeof(thp));
	n = snprintf(text, len,
		     "device=%s\nonednn=%s\nruntime=%s\nisa=%s\nblock=nChw%uc\nthreads=%u\n"
		     "huge_pages_free=%s\ntransparent_huge_pages=%s\n",
		     dev->ops->name, version, finf_dnn_runtime(), finf_dnn_isa(), finf_dnn_block(),
		     finf_dnn_threads(0), huge, thp);
	return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

const struct finf_device_ops finf_host_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "host",
	.probe = host_probe,
	.open = host_open,
	.close = host_close,
	.target = host_target,
	.pool_new = finf_host_pool_new,
	.pool_free = finf_host_pool_free,
	.read = host_copy_out,
	.write = host_copy_in,
	.move = host_move,
	.describe = finf_host_describe,
	.layout_bytes = finf_host_layout_bytes,
	.reorder_ns = finf_host_reorder_ns,
	.pack_weight = finf_host_pack_weight,
	.kernel_new = finf_host_kernel_new,
	.reorder_new = finf_host_reorder_new,
	.kernel_run = finf_host_kernel_run,
	.kernel_free = finf_host_kernel_free,
	.spread = host_spread,
	.describe_self = host_describe_self,
};

const struct finf_device_ops finf_ref_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "ref",
	.probe = host_probe,
	.open = ref_open,
	.close = host_close,
	.target = ref_target,
	.pool_new = finf_host_pool_new,
	.pool_free = finf_host_pool_free,
	.read = host_copy_out,
	.write = host_copy_in,
	.move = host_move,
	.describe = finf_host_describe,
	.layout_bytes = finf_host_layout_bytes,
	.reorder_ns = finf_host_reorder_ns,
	.pack_weight = finf_host_pack_weight,
	.kernel_new = finf_host_kernel_new,
	.reorder_new = finf_host_reorder_new,
	.kernel_run = finf_host_kernel_run,
	.kernel_free = finf_host_kernel_free,
	.spread = host_spread,
	.describe_self = host_describe_self,
};
