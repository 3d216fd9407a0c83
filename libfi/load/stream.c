/* SPDX-License-Identifier: MIT */
/*
 * load: one load from its first byte to its last. Three ways of reading, each
 * taking over where the one before it left: the page cache as far as it
 * answers at once, O_DIRECT, and plain reads where O_DIRECT is refused. All
 * of them hand their bytes to finf_stream_retire() in file order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/priv.h"

bool finf_stream_done(const struct load_stream *st)
{
	return st->segment == st->load->upto;
}

bool finf_stream_canceled(const struct load_stream *st)
{
	return atomic_load_explicit(&st->load->cancel, memory_order_relaxed);
}

void finf_stream_before_read(const struct load_stream *st, uint64_t file_offset)
{
	const struct finf_loader_opts *opts = &st->loader->opts;

	if (opts->slow)
		opts->slow(opts->slow_ctx, file_offset);
}

int finf_stream_ended_early(struct load_stream *st, uint64_t file_offset)
{
	return finf_diag_set(&st->load->diag, -EBADMSG,
			     "%s: file ends at byte %llu, inside segment %u of %u", st->load->name,
			     (unsigned long long)file_offset, st->segment, st->load->n_segments);
}

int finf_stream_read_failed(struct load_stream *st, uint64_t file_offset, int err)
{
	return finf_diag_set(&st->load->diag, err == -ENOMEM ? err : -EIO,
			     "%s: reading at byte %llu, segment %u: %s", st->load->name,
			     (unsigned long long)file_offset, st->segment, strerror(-err));
}

static void fill_report(const struct load_stream *st)
{
	st->load->report = (struct finf_load_report){
		.bytes = st->load->bytes,
		.ns = finf_now_ns() - st->load->start_ns,
		.cached_bytes = st->cached_bytes,
		.direct = st->direct,
		.mode = st->direct ? st->loader->opts.mode : FINF_LOAD_PREAD,
	};
}

/* Who sees the last segment published may read the report. */
void finf_stream_publish(struct load_stream *st, uint32_t n)
{
	if (n == st->load->n_segments)
		fill_report(st);
	finf_load_publish(st->load, n);
}

/* All bytes of the segment were seen: are they the right ones? */
static int end_segment(struct load_stream *st)
{
	struct finf_load *load = st->load;
	const struct finf_load_segment *segment = &load->segments[st->segment];

	if (!st->loader->opts.no_checksum && XXH3_64bits_digest(st->loader->hash) != segment->xxh3)
		return finf_diag_set(&load->diag, -EBADMSG,
				     "%s: checksum of segment %u of %u differs (file bytes %llu to %llu)",
				     load->name, st->segment, load->n_segments,
				     (unsigned long long)segment->file_offset,
				     (unsigned long long)(segment->file_offset + segment->bytes));
	st->segment++;
	st->at = 0;
	if (st->loader->visible)
		finf_stream_publish(st, st->segment);
	else
		st->loader->window[(st->retired - 1) % st->loader->n_window].publishes = st->segment;
	return 0;
}

/**
 * finf_stream_retire - the next @bytes in order are at @data: hash them, bring
 * them to their place, or on their way, unless they were read there, and see
 * to it that a full segment is published.
 */
int finf_stream_retire(struct load_stream *st, const uint8_t *data, uint32_t bytes)
{
	const struct finf_load_segment *segment = &st->load->segments[st->segment];
	uint8_t *to = (uint8_t *)segment->to + st->at;
	int err = 0;

	if (!st->loader->opts.no_checksum) {
		if (!st->at)
			XXH3_64bits_reset(st->loader->hash);
		XXH3_64bits_update(st->loader->hash, data, bytes);
	}
	if (!st->loader->visible)
		err = finf_upload_send(st, to, data, bytes);
	else if (data != to)
		st->loader->copy(to, data, bytes);
	if (err)
		return err;
	st->retired++;
	if (st->loader->visible)
		st->landed = st->retired;
	st->at += bytes;
	return st->at == segment->bytes ? end_segment(st) : 0;
}

/* Said once per loader; later files are read the same way without a word. */
static void no_direct(const struct load_stream *st, const char *reason)
{
	struct finf_loader *loader = st->loader;
	bool first;

	pthread_mutex_lock(&loader->lock);
	first = !loader->no_direct[0];
	if (first)
		snprintf(loader->no_direct, sizeof(loader->no_direct), "%.100s: %s", st->load->name,
			 reason);
	pthread_mutex_unlock(&loader->lock);
	if (first)
		finf_log("load name=%s no O_DIRECT, reading through the page cache: %s",
			 st->load->name, reason);
}

/* What O_DIRECT on this file asks for; false when that is not to be had. */
static bool direct_alignment(struct load_stream *st)
{
	st->align = 512;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(st->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    sx.stx_mask & STATX_DIOALIGN) {
		if (!sx.stx_dio_offset_align || sx.stx_dio_offset_align > LOAD_ALIGN ||
		    sx.stx_dio_mem_align > LOAD_ALIGN)
			return false;
		st->align = sx.stx_dio_offset_align;
	}
#endif
	return true;
}

static void open_direct(struct load_stream *st)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", st->load->fd);
	st->direct_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (st->direct_fd < 0) {
		no_direct(st, strerror(errno));
	} else if (!direct_alignment(st)) {
		no_direct(st, "alignment above 4096 or not supported by the file system");
		close(st->direct_fd);
		st->direct_fd = -1;
	}
}

static int read_direct(struct load_stream *st)
{
	int err;

	open_direct(st);
	if (st->direct_fd < 0)
		return 0;
	st->direct = true;
	if (st->loader->opts.mode == FINF_LOAD_PREAD)
		err = finf_read_plain(st, st->direct_fd);
	else
		err = finf_ring_read(st);
	if (err != -EOPNOTSUPP)
		return err;
	no_direct(st, "reads are refused");
	return 0;
}

int finf_load_run(struct finf_loader *loader, struct finf_load *load)
{
	struct load_stream st = {.loader = loader,
				 .load = load,
				 .segment = finf_load_published(load),
				 .cached_bytes = load->cached_bytes,
				 .direct_fd = -1};
	int err = finf_read_cached(&st), landed;

	if (!err && !finf_stream_done(&st))
		err = read_direct(&st);
	if (!err && !finf_stream_done(&st))
		err = finf_read_plain(&st, load->fd);
	landed = finf_upload_finish(&st);
	err = err ? err : landed;
	if (st.direct_fd >= 0)
		close(st.direct_fd);
	load->cached_bytes = st.cached_bytes;
	if (err < 0 || !load->n_segments)
		fill_report(&st);
	return err;
}
