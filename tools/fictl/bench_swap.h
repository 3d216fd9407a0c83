/* SPDX-License-Identifier: MIT */
/*
 * fictl/bench_swap - the file that is swapped in, and who else moves its bytes:
 * bench_swap.c measures and prints, bench_swap_rivals.c has the rivals.
 */
#ifndef FICTL_BENCH_SWAP_H
#define FICTL_BENCH_SWAP_H

#include "engine/engine.h"
#include "tools/fictl/bench.h"

enum swap_side { SWAP_OURS, SWAP_FIO, SWAP_ONE_SHOT, SWAP_PREADV2, SWAP_PINNED, SWAP_SIDES };

struct swap {
	char dir[64], onnx[96], tuned[96];
	struct finf_device *dev; /* owned */
	struct finf_pool_memory pool;
	struct finf_loader_opts opts;
	struct finf_loader *loader; /* owned; NULL while a rival has the lockable memory */
	struct finf_pack *pack;	    /* owned */
	struct finf_load_segment *segments; /* owned */
	uint64_t at; /* of swap_place() */
	const char *buffers; /* fio's --iomem, NULL = its default */
	uint32_t block_kib, depth; /* fio's */
	uint8_t *memory; /* owned, as large as the weights: what is copied to a device */
	struct finf_upload *pinned; /* owned; @memory as the device knows it */
};

/** What a user may lock is counted per user: a rival gets all of it. */
void swap_let_go(struct swap *s);
/** 0, or why the pages cannot be dropped; some file systems say 0 and keep them. */
int swap_drop_pages(const struct swap *s);
/** The next place in the pool for the weights: nobody finds it in the caches. */
uint8_t *swap_place(struct swap *s);
/** The weights once, through the page cache: it holds them afterwards. 0 or -errno. */
int swap_read_pages(struct swap *s);

/** swap_sweep - fio's best block size and depth for this file. False: fio cannot read it so. */
bool swap_sweep(struct swap *s);
/** swap_rival - one go of a side other than ours, in GB/s; 0 when it cannot be had here. */
double swap_rival(struct swap *s, enum swap_side side);
/** Why swap_rival() gave 0. */
const char *swap_rival_why(enum swap_side side);
/** What rivals hold. */
void swap_rivals_fini(struct swap *s);

#endif
