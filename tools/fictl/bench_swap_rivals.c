/* SPDX-License-Identifier: MIT */
/*
 * fictl bench swap: who else moves the bytes. fio, and the least that could read
 * the file directly, once; the page cache through preadv2; and a copy to the
 * device from page-locked memory, which no way to the device can beat.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/fictl/bench_swap.h"

#define SWEEP_RUNS 3
#define BLOCK_BYTES (1u << 20)
#define DEPTH 8u
#define ALIGN 4096u

void swap_let_go(struct swap *s)
{
	if (geteuid() == 0)
		return;
	finf_loader_free(s->loader);
	s->loader = NULL;
}

uint8_t *swap_place(struct swap *s)
{
	uint8_t *place;

	if (s->at + s->pack->weight_bytes > s->pool.bytes)
		s->at = 0;
	place = (uint8_t *)s->pool.base + s->at;
	s->at += finf_align_up(s->pack->weight_bytes, FINF_EXTENT_ALIGN);
	return place;
}

int swap_drop_pages(const struct swap *s)
{
	if (fdatasync(s->pack->fd) < 0)
		return -errno;
	return -posix_fadvise(s->pack->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* ---- fio --------------------------------------------------------------------------- */

/* Small files are read several times: fio counts in ms. */
static double fio(struct swap *s)
{
	uint64_t loops = FINF_MAX((uint64_t)1, (256u << 20) / s->pack->file_bytes);
	bool read_part = false;
	char line[1024];
	double rate = 0;
	FILE *pipe;

	swap_let_go(s);
	swap_drop_pages(s);
	snprintf(line, sizeof(line),
		 "fio --name=swap --filename='%s' --size=%" PRIu64 " --rw=read --ioengine=io_uring "
		 "--direct=1 --fixedbufs=1 --registerfiles=1 --bs=%" PRIu32 "k --iodepth=%" PRIu32
		 " --loops=%" PRIu64 " %s%s --output-format=json 2>/dev/null",
		 s->tuned, s->pack->file_bytes / 4096 * 4096, s->block_kib, s->depth, loops,
		 s->buffers ? "--iomem=" : "", s->buffers ? s->buffers : "");
	pipe = popen(line, "r");
	if (!pipe)
		return 0;
	while (fgets(line, sizeof(line), pipe)) {
		read_part |= strstr(line, "\"read\" :") != NULL;
		if (read_part && sscanf(line, " \"bw_bytes\" : %lf", &rate) == 1)
			read_part = false;
	}
	return pclose(pipe) ? 0 : rate * 1e-9;
}

bool swap_sweep(struct swap *s)
{
	uint32_t block_kib = 0, depth = 0;
	double best = 0;

	for (s->block_kib = 256; s->block_kib <= 4096; s->block_kib *= 2)
		for (s->depth = 4; s->depth <= 32; s->depth *= 2) {
			struct bench_samples rates = {.n = 0};

			for (int i = 0; i < SWEEP_RUNS; i++)
				bench_sample(&rates, fio(s));
			if (bench_quantile(&rates, 0.5) <= best)
				continue;
			best = bench_quantile(&rates, 0.5);
			block_kib = s->block_kib;
			depth = s->depth;
		}
	s->block_kib = block_kib;
	s->depth = depth;
	return best > 0;
}

/* ---- the least that reads it ---------------------------------------------------------- */

struct one_shot {
	struct io_uring ring;
	uint8_t *slots; /* owned mapping, DEPTH blocks, registered */
};

static bool one_shot_init(struct one_shot *o)
{
	struct iovec iov = {.iov_len = DEPTH * BLOCK_BYTES};

	if (io_uring_queue_init(DEPTH, &o->ring, 0) < 0)
		return false;
	o->slots = mmap(NULL, iov.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->slots != MAP_FAILED) {
		madvise(o->slots, iov.iov_len, MADV_HUGEPAGE);
		memset(o->slots, 0, iov.iov_len);
		iov.iov_base = o->slots;
		if (!io_uring_register_buffers(&o->ring, &iov, 1))
			return true;
		munmap(o->slots, iov.iov_len);
	}
	io_uring_queue_exit(&o->ring);
	return false;
}

static void one_shot_fini(struct one_shot *o)
{
	io_uring_queue_exit(&o->ring); /* its memory is unregistered with it */
	munmap(o->slots, DEPTH * BLOCK_BYTES);
}

static void one_shot_queue(struct one_shot *o, int fd, uint64_t offset, uint64_t end, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&o->ring);

	io_uring_prep_read_fixed(sqe, fd, o->slots + slot * BLOCK_BYTES,
				 (unsigned)FINF_MIN(BLOCK_BYTES, end - offset), offset, 0);
	io_uring_sqe_set_data64(sqe, slot);
}

/* Whole blocks into whatever slot is free; false when one of them came short. */
static bool one_shot_read(struct one_shot *o, int fd, uint64_t bytes)
{
	uint64_t next = 0, got = 0;
	struct io_uring_cqe *cqe;
	bool ok = true;

	for (uint64_t slot = 0; slot < DEPTH && next < bytes; slot++, next += BLOCK_BYTES)
		one_shot_queue(o, fd, next, bytes, slot);
	while (ok && got < bytes) {
		ok = io_uring_submit_and_wait(&o->ring, 1) >= 0;
		while (ok && !io_uring_peek_cqe(&o->ring, &cqe)) {
			uint64_t slot = io_uring_cqe_get_data64(cqe);

			ok = cqe->res == (int)BLOCK_BYTES || (cqe->res > 0 && next >= bytes);
			got += ok ? (uint64_t)cqe->res : 0;
			io_uring_cqe_seen(&o->ring, cqe);
			if (!ok || next >= bytes)
				continue;
			one_shot_queue(o, fd, next, bytes, slot);
			next += BLOCK_BYTES;
		}
	}
	return ok;
}

/* From the open to the last byte; the ring is there already, as ours is. */
static double one_shot(struct swap *s)
{
	uint64_t bytes = s->pack->file_bytes / ALIGN * ALIGN, start, ns;
	struct one_shot o;
	bool ok;
	int fd;

	swap_let_go(s);
	swap_drop_pages(s);
	if (!one_shot_init(&o))
		return 0;
	start = finf_now_ns();
	fd = open(s->tuned, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ok = fd >= 0 && one_shot_read(&o, fd, bytes);
	ns = finf_now_ns() - start;
	if (fd >= 0)
		close(fd);
	one_shot_fini(&o);
	return ok ? (double)bytes / (double)ns : 0;
}

/* ---- the page cache, and the way to the device --------------------------------------- */

static int make_memory(struct swap *s)
{
	uint64_t bytes = finf_align_up(s->pack->weight_bytes, ALIGN);
	void *map;

	if (s->memory)
		return 0;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	s->memory = memset(map, 1, bytes);
	return 0;
}

static int read_segment(const struct swap *s, const struct finf_pack_segment *segment, uint8_t *to)
{
	for (uint64_t at = 0; at < segment->bytes;) {
		struct iovec iov = {to + segment->offset + at,
				    FINF_MIN(segment->bytes - at, BLOCK_BYTES)};
		ssize_t n = preadv2(s->pack->fd, &iov, 1, (off_t)(segment->file_offset + at), 0);

		if (n <= 0)
			return n ? -errno : -EIO;
		at += (uint64_t)n;
	}
	return 0;
}

/* To where a load would bring it, if the CPU may write there. */
int swap_read_pages(struct swap *s)
{
	int err = s->pool.host_visible ? 0 : make_memory(s);
	uint8_t *to = s->pool.host_visible ? swap_place(s) : s->memory;

	for (uint32_t i = 0; i < s->pack->n_segments && !err; i++)
		err = read_segment(s, &s->pack->segments[i], to);
	return err;
}

static double read_again(struct swap *s)
{
	uint64_t start = finf_now_ns();

	if (swap_read_pages(s))
		return 0;
	return (double)s->pack->weight_bytes / (double)(finf_now_ns() - start);
}

/* One copy from registered memory, from its call to its event. */
static double pinned(struct swap *s)
{
	uint64_t bytes = s->pack->weight_bytes, start;
	struct finf_diag diag;

	if (make_memory(s))
		return 0;
	if (!s->pinned && finf_device_upload_new(s->dev, s->memory, finf_align_up(bytes, ALIGN), 1,
						 &s->pinned, &diag))
		return 0;
	start = finf_now_ns();
	if (finf_device_upload_start(s->dev, s->pinned, 0, s->pool.base, s->memory, bytes) ||
	    finf_device_upload_wait(s->dev, s->pinned, 0, true))
		return 0;
	return (double)bytes / (double)(finf_now_ns() - start);
}

/* ---- all of them ------------------------------------------------------------------------ */

static const struct {
	double (*once)(struct swap *s);
	const char *why;
} rivals[SWAP_SIDES] = {
	[SWAP_FIO] = {fio, "fio is not installed, or cannot read so"},
	[SWAP_ONE_SHOT] = {one_shot, "no io_uring, no memory to register, or no direct reads"},
	[SWAP_PREADV2] = {read_again, "the file cannot be read"},
	[SWAP_PINNED] = {pinned, "memory of this size cannot be page-locked for the device"},
};

double swap_rival(struct swap *s, enum swap_side side)
{
	return rivals[side].once(s);
}

const char *swap_rival_why(enum swap_side side)
{
	return rivals[side].why;
}

void swap_rivals_fini(struct swap *s)
{
	if (s->pinned)
		finf_device_upload_free(s->dev, s->pinned);
	if (s->memory)
		munmap(s->memory, finf_align_up(s->pack->weight_bytes, ALIGN));
	s->pinned = NULL;
	s->memory = NULL;
}
