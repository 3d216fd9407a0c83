/* SPDX-License-Identifier: MIT */
/* load: reading without a ring, straight to where the bytes belong or, if need be, to a slot. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "load/priv.h"

/* The next piece: no longer than a block, inside one segment. */
struct piece {
	uint8_t *to;
	uint64_t file_offset;
	uint32_t bytes;
};

static struct piece next_piece(const struct load_stream *st)
{
	const struct finf_load_segment *segment = &st->load->segments[st->segment];

	return (struct piece){
		.to = st->loader->visible ? (uint8_t *)segment->to + st->at :
					    finf_staging_slot(st->loader, st->retired),
		.file_offset = segment->file_offset + st->at,
		.bytes = (uint32_t)FINF_MIN(st->loader->opts.block_bytes, segment->bytes - st->at),
	};
}

/* What has landed is published; the next slot is free when this returns. */
static int make_room(struct load_stream *st)
{
	return finf_upload_land(st, st->retired - st->landed == st->loader->n_window);
}

/* Bytes read, 0 at the end of the file, or -errno but never -EINTR. */
static ssize_t read_some(int fd, uint8_t *to, uint64_t bytes, uint64_t offset, int flags)
{
	struct iovec iov = {to, bytes};
	ssize_t n;

	do {
		n = preadv2(fd, &iov, 1, (off_t)offset, flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/*
 * As far as the page cache answers without waiting for the disk. The first
 * page tells whether to begin at all: asking for a whole block would start
 * read-ahead of what O_DIRECT is about to read.
 */
int finf_read_cached(struct load_stream *st)
{
	int fd = st->load->fd, flags = fcntl(fd, F_GETFL);
	struct piece piece;

	if (finf_stream_done(st) || flags < 0 || flags & O_DIRECT)
		return 0;
	piece = next_piece(st);
	if (read_some(fd, piece.to, LOAD_ALIGN, piece.file_offset, RWF_NOWAIT) != LOAD_ALIGN)
		return 0;
	while (!finf_stream_done(st)) {
		ssize_t n;
		int err;

		if (finf_stream_canceled(st))
			return -ECANCELED;
		err = make_room(st);
		if (err < 0)
			return err;
		piece = next_piece(st);
		finf_stream_before_read(st, piece.file_offset);
		n = read_some(fd, piece.to, piece.bytes, piece.file_offset, RWF_NOWAIT);
		n -= n > 0 ? n % LOAD_ALIGN : 0;
		if (n <= 0)
			return 0;
		st->cached_bytes += (uint64_t)n;
		err = finf_stream_retire(st, piece.to, (uint32_t)n);
		if (err < 0)
			return err;
	}
	return 0;
}

/* A whole piece, or why not; -EOPNOTSUPP when O_DIRECT turns out to be refused. */
static int read_piece(struct load_stream *st, int fd, const struct piece *piece)
{
	bool direct = fd == st->direct_fd;
	uint32_t done = 0;

	while (done < piece->bytes) {
		ssize_t n = read_some(fd, piece->to + done, piece->bytes - done,
				      piece->file_offset + done, 0);

		if (direct && (n == -EINVAL || n == -EOPNOTSUPP))
			return -EOPNOTSUPP;
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return finf_stream_read_failed(st, piece->file_offset + done, (int)n);
		done += (uint32_t)n;
		/* Direct reads end off their alignment only at the end of the file. */
		if (!n || (direct && done < piece->bytes && done % st->align))
			return finf_stream_ended_early(st, piece->file_offset + done);
	}
	return 0;
}

int finf_read_plain(struct load_stream *st, int fd)
{
	while (!finf_stream_done(st)) {
		struct piece piece;
		int err;

		if (finf_stream_canceled(st))
			return -ECANCELED;
		err = make_room(st);
		if (err < 0)
			return err;
		piece = next_piece(st);
		finf_stream_before_read(st, piece.file_offset);
		err = read_piece(st, fd, &piece);
		if (!err)
			err = finf_stream_retire(st, piece.to, piece.bytes);
		if (err < 0)
			return err;
	}
	return 0;
}
