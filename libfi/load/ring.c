/* SPDX-License-Identifier: MIT */
/*
 * load: the ring of the loader thread. Blocks are read ahead into a window and
 * leave it in order, so that the checksum can follow the bytes:
 *
 *   landed       retired (next in turn)         tail (next to submit)
 *     v            v                              v
 *     | on its way | arrived | in flight | arrived |    block i lies in entry i mod n
 *
 * With staging each entry has a slot of block_bytes; the slots stay hot in the
 * cache, which makes the disk's writes into memory faster than into a large
 * pool. Without, blocks are read where they belong. Where the pool is visible
 * a block has landed as soon as it is retired.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "load/priv.h"

#define BLOCK_TRIES 64
#define END_OF_FILE 1 /* beside the negative errnos of a block */

/* ---- making it ------------------------------------------------------------ */

static int make_ring(struct load_ring *ring, unsigned entries)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN};
	int err = io_uring_queue_init_params(entries, &ring->uring, &params);

	ring->deferred = !err;
	if (err == -EINVAL) { /* before Linux 6.1 */
		params = (struct io_uring_params){0};
		err = io_uring_queue_init_params(entries, &ring->uring, &params);
	}
	ring->on = !err;
	return err;
}

int finf_ring_init(struct finf_loader *loader)
{
	struct load_ring *ring = &loader->ring;
	int err = make_ring(ring, loader->opts.depth);

	if (err < 0) {
		finf_load_because(loader, "no io_uring: %s", strerror(-err));
		return err;
	}
	err = io_uring_register_files_sparse(&ring->uring, 1);
	if (err < 0)
		finf_load_because(loader, "file not registered: %s", strerror(-err));
	ring->fixed_file = !err;
	return 0;
}

void finf_ring_register_staging(struct finf_loader *loader)
{
	struct load_ring *ring = &loader->ring;
	struct iovec iov = {loader->staging.base, loader->staging.bytes};
	int err = io_uring_register_buffers(&ring->uring, &iov, 1);

	if (err < 0) {
		finf_load_because(loader, "staging not registered: %s", strerror(-err));
		return;
	}
	ring->fixed_buffers = true;
	ring->registered_bytes = loader->staging.bytes;
}

/* The pool in pieces of LOAD_BUFFER_MAX: the piece of an address is its buffer. */
int finf_ring_register_pool(struct finf_loader *loader, uint64_t lockable)
{
	uint64_t n = (loader->pool_bytes + LOAD_BUFFER_MAX - 1) / LOAD_BUFFER_MAX;
	struct iovec *iov;
	int err;

	if (!n || loader->pool_bytes > lockable / 2)
		return -ENOMEM; /* as the kernel would say */
	iov = calloc(n, sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	for (uint64_t i = 0, at = 0; i < n; i++, at += LOAD_BUFFER_MAX) {
		iov[i].iov_base = loader->pool + at;
		iov[i].iov_len = FINF_MIN(LOAD_BUFFER_MAX, loader->pool_bytes - at);
	}
	err = io_uring_register_buffers(&loader->ring.uring, iov, (unsigned)n);
	free(iov);
	if (err < 0)
		return err;
	madvise(loader->pool, loader->pool_bytes, MADV_DONTFORK);
	loader->ring.fixed_buffers = true;
	loader->ring.registered_bytes = loader->pool_bytes;
	loader->n_window = 4 * loader->opts.depth;
	return 0;
}

/* Registered memory keeps its pages whatever happens to the mapping: before that is given back. */
void finf_ring_fini(struct finf_loader *loader)
{
	struct load_ring *ring = &loader->ring;

	if (ring->fixed_buffers)
		io_uring_unregister_buffers(&ring->uring);
	if (ring->fixed_buffers && !loader->staging.base)
		madvise(loader->pool, loader->pool_bytes, MADV_DOFORK);
	if (ring->on)
		io_uring_queue_exit(&ring->uring);
	*ring = (struct load_ring){0};
}

/* ---- one load ------------------------------------------------------------- */

struct reader {
	struct load_stream *st;
	uint64_t tail; /* of blocks, see above */
	uint32_t in_flight;
	uint32_t segment; /* the first byte not yet submitted */
	uint64_t at;
	bool fixed_file; /* fd is an entry of the ring's file table */
	int fd;
	int err; /* the first failure; nothing is submitted after it */
};

static struct load_block *block_at(const struct reader *r, uint64_t i)
{
	return &r->st->loader->window[i % r->st->loader->n_window];
}

/* Where block @i is read to, and how much of it fits there. */
static struct load_block make_block(const struct reader *r)
{
	const struct finf_loader *loader = r->st->loader;
	const struct finf_load_segment *segment = &r->st->load->segments[r->segment];
	uint64_t bytes = FINF_MIN(loader->opts.block_bytes, segment->bytes - r->at);
	uint8_t *into = (uint8_t *)segment->to + r->at;

	if (loader->staging.base)
		into = finf_staging_slot(loader, r->tail);
	else
		bytes = FINF_MIN(bytes, LOAD_BUFFER_MAX - (uint64_t)(into - loader->pool) %
								  LOAD_BUFFER_MAX);
	return (struct load_block){
		.file_offset = segment->file_offset + r->at,
		.into = into,
		.bytes = (uint32_t)bytes,
	};
}

/* There is always room: no more blocks are in flight than the ring has entries. */
static void queue_read(struct reader *r, struct load_block *block)
{
	struct load_ring *ring = &r->st->loader->ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	uint8_t *into = block->into + block->done;
	unsigned bytes = block->bytes - block->done;
	uint64_t offset = block->file_offset + block->done;
	const struct finf_loader *loader = r->st->loader;
	int buffer = loader->staging.base ? 0 : (int)((into - loader->pool) / LOAD_BUFFER_MAX);

	if (ring->fixed_buffers)
		io_uring_prep_read_fixed(sqe, r->fd, into, bytes, offset, buffer);
	else
		io_uring_prep_read(sqe, r->fd, into, bytes, offset);
	if (r->fixed_file)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, block);
	r->in_flight++;
}

static void fill_window(struct reader *r)
{
	const struct finf_loader *loader = r->st->loader;
	const struct finf_load *load = r->st->load;

	while (!r->err && r->segment < load->upto && r->in_flight < loader->opts.depth &&
	       r->tail - r->st->landed < loader->n_window) {
		struct load_block *block = block_at(r, r->tail);

		*block = make_block(r);
		finf_stream_before_read(r->st, block->file_offset);
		queue_read(r, block);
		r->tail++;
		r->at += block->bytes;
		if (r->at == load->segments[r->segment].bytes) {
			r->segment++;
			r->at = 0;
		}
	}
}

/*
 * The answer to one read. Short ones and passing failures are asked again; what
 * went wrong for good is told when the block's turn comes, so that all before
 * it is published whatever the order of the answers.
 */
static void take_answer(struct reader *r, struct load_block *block, int res)
{
	bool partial;

	r->in_flight--;
	if (r->err)
		return;
	if (res > 0)
		block->done += (uint32_t)res;
	partial = block->done < block->bytes;
	if (res < 0 && res != -EAGAIN && res != -EINTR)
		block->err = res;
	else if (!res || (res > 0 && partial && (uint32_t)res % r->st->align))
		block->err = END_OF_FILE;
	else if (partial && ++block->tries == BLOCK_TRIES)
		block->err = -EIO;
	block->arrived = block->err || !partial;
	if (!block->arrived)
		queue_read(r, block);
}

/* Tell the kernel what is queued, wait for one answer if @wait, take all that are there. */
static int exchange(struct reader *r, bool wait)
{
	struct io_uring *uring = &r->st->loader->ring.uring;
	struct io_uring_cqe *cqe;
	int n = wait ? io_uring_submit_and_wait(uring, 1) : io_uring_submit_and_get_events(uring);

	while (!io_uring_peek_cqe(uring, &cqe)) {
		struct load_block *block = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(uring, cqe);
		take_answer(r, block, res);
	}
	return n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY ? n : 0;
}

/* Memory that the disk may still write to cannot be left: wait until nothing is in flight. */
static void drain(struct reader *r)
{
	const struct timespec pause = {0, 1000000};

	while (r->in_flight)
		if (exchange(r, true) < 0)
			nanosleep(&pause, NULL);
}

static int retire_head(struct reader *r)
{
	struct load_block *block = block_at(r, r->st->retired);
	uint64_t at = block->file_offset + block->done;

	if (!block->arrived)
		return 0;
	if (block->err == -EINVAL || block->err == -EOPNOTSUPP)
		return -EOPNOTSUPP;
	if (block->err)
		return block->err == END_OF_FILE ? finf_stream_ended_early(r->st, at) :
						   finf_stream_read_failed(r->st, at, block->err);
	return finf_stream_retire(r->st, block->into, block->bytes);
}

static int set_file(struct load_ring *ring, int fd)
{
	int n = io_uring_register_files_update(&ring->uring, 0, &fd, 1);

	return n < 0 ? n : 0;
}

/*
 * Between two looks at the ring no more than one block is retired, so that
 * the disk never waits for the checksum.
 */
static int read_on(struct reader *r)
{
	struct load_stream *st = r->st;
	int err = exchange(r, !block_at(r, st->retired)->arrived);

	if (err < 0)
		return finf_stream_read_failed(
			st, st->load->segments[st->segment].file_offset + st->at, err);
	err = finf_stream_canceled(st) ? -ECANCELED : retire_head(r);
	return err < 0 ? err : finf_upload_land(st, false);
}

static void read_all(struct reader *r)
{
	struct load_stream *st = r->st;

	while (!r->err && !finf_stream_done(st)) {
		fill_window(r);
		if (r->tail == st->retired) /* every slot is on its way to the device */
			r->err = finf_upload_land(st, true);
		else
			r->err = read_on(r);
	}
	drain(r);
}

int finf_ring_read(struct load_stream *st)
{
	struct load_ring *ring = &st->loader->ring;
	struct reader r = {.st = st, .tail = st->retired, .segment = st->segment, .at = st->at,
			   .fd = st->direct_fd};

	if (ring->fixed_file && !set_file(ring, st->direct_fd)) {
		r.fixed_file = true;
		r.fd = 0;
	}
	read_all(&r);
	if (r.fixed_file)
		set_file(ring, -1);
	return r.err;
}
