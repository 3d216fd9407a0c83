/* SPDX-License-Identifier: MIT */
/*
 * load: one load as others see it. Its whole public state is one word, the
 * number of published segments and the end mark; waiters sleep on that word.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "load/priv.h"

struct finf_load *finf_load_make(const char *name, const struct finf_load_segment *segments,
				 uint32_t n_segments)
{
	size_t name_bytes = strlen(name) + 1, table_bytes, bytes;
	struct finf_load *load;

	if (!finf_mul_size(n_segments, sizeof(*segments), &table_bytes) ||
	    !finf_add_size(table_bytes, sizeof(*load) + name_bytes, &bytes))
		return NULL;
	load = calloc(1, bytes);
	if (!load)
		return NULL;
	if (n_segments)
		memcpy(load->segments, segments, table_bytes);
	load->name = memcpy(&load->segments[n_segments], name, name_bytes);
	load->n_segments = n_segments;
	for (uint32_t i = 0; i < n_segments; i++)
		load->bytes += segments[i].bytes;
	load->fd = -1;
	atomic_init(&load->refs, 1);
	return load;
}

void finf_load_ref(struct finf_load *load)
{
	atomic_fetch_add_explicit(&load->refs, 1, memory_order_relaxed);
}

void finf_load_unref(struct finf_load *load)
{
	if (!load || atomic_fetch_sub_explicit(&load->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (load->fd >= 0)
		close(load->fd);
	free(load);
}

void finf_load_cancel(struct finf_load *load)
{
	atomic_store_explicit(&load->cancel, true, memory_order_relaxed);
}

uint32_t finf_load_published(const struct finf_load *load)
{
	return atomic_load_explicit(&load->progress, memory_order_acquire) & ~LOAD_ENDED;
}

void finf_load_report(const struct finf_load *load, struct finf_load_report *ret)
{
	*ret = load->report;
}

void finf_load_why(const struct finf_load *load, struct finf_diag *ret)
{
	*ret = load->diag;
}

/* The new word before the look at waiters, theirs the other way round: one of both sees. */
static void set_progress(struct finf_load *load, uint32_t progress)
{
	atomic_store(&load->progress, progress);
	if (atomic_load(&load->waiters))
		syscall(SYS_futex, &load->progress, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void finf_load_publish(struct finf_load *load, uint32_t n)
{
	set_progress(load, n);
}

void finf_load_end(struct finf_load *load, int result)
{
	load->result = result;
	set_progress(load, finf_load_published(load) | LOAD_ENDED);
}

int finf_load_wait(struct finf_load *load, uint32_t n, uint64_t deadline_ns)
{
	struct timespec until = {(time_t)(deadline_ns / 1000000000u),
				 (long)(deadline_ns % 1000000000u)};
	uint32_t seen = atomic_load_explicit(&load->progress, memory_order_acquire);
	int err = 0;

	n = FINF_MIN(n, load->n_segments);
	if ((seen & ~LOAD_ENDED) >= n)
		return 0;
	atomic_fetch_add(&load->waiters, 1);
	while (!err) {
		seen = atomic_load(&load->progress);
		if ((seen & ~LOAD_ENDED) >= n || seen & LOAD_ENDED)
			break;
		/* BITSET because its deadline is absolute and of CLOCK_MONOTONIC. */
		if (syscall(SYS_futex, &load->progress, FUTEX_WAIT_BITSET_PRIVATE, seen,
			    deadline_ns ? &until : NULL, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
		    errno == ETIMEDOUT)
			err = -ETIME;
	}
	atomic_fetch_sub(&load->waiters, 1);
	if ((seen & ~LOAD_ENDED) >= n)
		return 0;
	return err ? err : load->result;
}
