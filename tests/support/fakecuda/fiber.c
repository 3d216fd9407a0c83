/* SPDX-License-Identifier: MIT */
/* fakecuda: kernels on the CPU - threads one after the other, or as fibers that meet at barriers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fakecuda/fake.h"
#include "tests/support/fakecuda/kernels.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define switch_begins(save, stack, bytes) __sanitizer_start_switch_fiber(save, stack, bytes)
#define switch_ended(saved, stack, bytes) __sanitizer_finish_switch_fiber(saved, stack, bytes)
#define STACK_BYTES			  ((size_t)64 << 10)
#else
#define switch_begins(save, stack, bytes) ((void)(save))
#define switch_ended(saved, stack, bytes) ((void)(saved))
#define STACK_BYTES			  ((size_t)16 << 10)
#endif

#define WARP 32

_Thread_local struct fake_thread fake_thread;

/* ---- switching stacks ------------------------------------------------------------- */

#if defined(__x86_64__)
struct context {
	void *sp;
};

/* Pushes what a call must keep, changes stacks, pops the same of the other side. */
void fake_switch(struct context *from, const struct context *to);
__asm__(".text\n"
	".globl fake_switch\n"
	".hidden fake_switch\n"
	".type fake_switch, @function\n"
	"fake_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov (%rsi), %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".size fake_switch, . - fake_switch\n");

/* A stack as fake_switch() leaves it: six registers, then where to return to. */
static void context_init(struct context *context, uint8_t *stack, void (*entry)(void))
{
	void **sp = (void **)(stack + STACK_BYTES - 64);

	*--sp = NULL;
	*--sp = (void *)entry;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
	context->sp = sp;
}
#else
#include <ucontext.h>

struct context {
	ucontext_t u;
};

static void fake_switch(struct context *from, const struct context *to)
{
	swapcontext(&from->u, &to->u);
}

static void context_init(struct context *context, uint8_t *stack, void (*entry)(void))
{
	getcontext(&context->u);
	context->u.uc_stack.ss_sp = stack;
	context->u.uc_stack.ss_size = STACK_BYTES;
	context->u.uc_link = NULL;
	makecontext(&context->u, entry, 0);
}
#endif

/* ---- one block ------------------------------------------------------------------------ */

enum state { READY, AT_BLOCK, AT_WARP, DONE };

struct fiber {
	struct context context;
	enum state state;
	uint8_t *stack;
	void *asan;
	unsigned swaps; /* exchanges so far */
};

struct block {
	struct context main;
	const void *main_stack; /* for the address sanitizer */
	size_t main_bytes;
	struct fiber *fibers;
	unsigned n, n_slots, current;
	bool backwards;
	float *slots; /* two per thread: what it offers to its warp, taking turns */
	void (*thread)(const void *param);
	const void *param;
};

static _Thread_local struct block *block;

static void leave(enum state state)
{
	struct fiber *fiber = &block->fibers[block->current];

	fiber->state = state;
	switch_begins(state == DONE ? NULL : &fiber->asan, block->main_stack, block->main_bytes);
	fake_switch(&fiber->context, &block->main);
	switch_ended(fiber->asan, NULL, NULL);
}

static void fiber_main(void)
{
	switch_ended(NULL, &block->main_stack, &block->main_bytes);
	block->thread(block->param);
	leave(DONE);
	abort(); /* nobody comes back here */
}

static void resume(unsigned i)
{
	struct fiber *fiber = &block->fibers[i];
	void *asan = NULL;

	block->current = i;
	fake_thread.thread = i;
	fiber->state = READY;
	switch_begins(&asan, fiber->stack, STACK_BYTES);
	fake_switch(&block->main, &fiber->context);
	switch_ended(asan, NULL, NULL);
}

void fake_sync(void)
{
	leave(AT_BLOCK);
}

/*
 * One meeting is enough: who is a whole exchange ahead writes to the other
 * slot, and cannot be two ahead before all have met once more.
 */
float fake_swap(float v, unsigned mask)
{
	unsigned i = fake_thread.thread;
	float *slots = block->slots + (block->fibers[i].swaps++ & 1) * block->n_slots;

	slots[i] = v;
	leave(AT_WARP);
	return slots[i ^ mask];
}

static unsigned count(unsigned from, unsigned to, enum state state)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++)
		n += block->fibers[i].state == state;
	return n;
}

/* A real device would hang, or compute something. */
static void diverged(const char *what, unsigned n, unsigned of)
{
	fprintf(stderr, "fakecuda: %u of %u threads reach %s\n", n, of, what);
	abort();
}

/* Until no thread of the warp can go on without the rest of the block. */
static void run_warp(unsigned from, unsigned to)
{
	unsigned waiting;

	do {
		for (unsigned k = from; k < to; k++) {
			unsigned i = block->backwards ? from + (to - 1 - k) : k;

			if (block->fibers[i].state == READY)
				resume(i);
		}
		waiting = count(from, to, AT_WARP);
		if (waiting && waiting != to - from)
			diverged("an exchange of a warp", waiting, to - from);
		for (unsigned i = from; waiting && i < to; i++)
			block->fibers[i].state = READY;
	} while (waiting);
}

static void run_block(void)
{
	unsigned waiting;

	for (unsigned i = 0; i < block->n; i++) {
		block->fibers[i].state = READY;
		context_init(&block->fibers[i].context, block->fibers[i].stack, fiber_main);
	}
	do {
		for (unsigned from = 0; from < block->n; from += WARP)
			run_warp(from, from + WARP < block->n ? from + WARP : block->n);
		waiting = count(0, block->n, AT_BLOCK);
		if (waiting && waiting != block->n)
			diverged("a barrier", waiting, block->n);
		for (unsigned i = 0; waiting && i < block->n; i++)
			block->fibers[i].state = READY;
	} while (waiting);
}

/* ---- a grid --------------------------------------------------------------------------- */

static int order = -1;

EXPORT void fakecuda_thread_order(int backwards)
{
	pthread_mutex_lock(&fake.lock);
	order = backwards;
	pthread_mutex_unlock(&fake.lock);
}

static bool draw_order(void)
{
	bool backwards;

	pthread_mutex_lock(&fake.lock);
	backwards = order < 0 ? fake_random() & 1 : order > 0;
	pthread_mutex_unlock(&fake.lock);
	return backwards;
}

/* Our kernels know one dimension. */
static void grid_begin(const struct fakecuda_grid *grid)
{
	if (grid->grid[1] != 1 || grid->grid[2] != 1 || grid->block[1] != 1 || grid->block[2] != 1)
		abort();
	fake_thread.group_n = grid->grid[0];
	fake_thread.block_n = grid->block[0];
}

void fake_run_loop(void (*thread)(const void *), const void *param,
		   const struct fakecuda_grid *grid)
{
	bool backwards = draw_order();

	grid_begin(grid);
	for (unsigned g = 0; g < grid->grid[0]; g++) {
		fake_thread.group = backwards ? grid->grid[0] - 1 - g : g;
		for (unsigned i = 0; i < grid->block[0]; i++) {
			fake_thread.thread = backwards ? grid->block[0] - 1 - i : i;
			thread(param);
		}
	}
}

void fake_run_fibers(void (*thread)(const void *), const void *param,
		     const struct fakecuda_grid *grid)
{
	unsigned n = grid->block[0];
	struct block own = {.n = n, .thread = thread, .param = param, .backwards = draw_order()};
	uint8_t *stacks = aligned_alloc(64, n * STACK_BYTES);

	own.fibers = fake_alloc(n * sizeof(*own.fibers));
	own.n_slots = n + WARP;
	own.slots = fake_alloc(2 * own.n_slots * sizeof(*own.slots));
	if (!stacks)
		abort();
	for (unsigned i = 0; i < n; i++)
		own.fibers[i].stack = stacks + i * STACK_BYTES;
	grid_begin(grid);
	block = &own;
	for (unsigned g = 0; g < grid->grid[0]; g++) {
		fake_thread.group = own.backwards ? grid->grid[0] - 1 - g : g;
		run_block();
	}
	block = NULL;
	free(stacks);
	free(own.slots);
	free(own.fibers);
}
