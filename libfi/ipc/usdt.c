/* SPDX-License-Identifier: MIT */
/* ipc: the USDT site that makes calls visible from outside; see usdt.h. */
#include "ipc/usdt.h"

#include <string.h>

#include "base/base.h"

uint64_t finf_ipc_name_hash(const char *model)
{
	return finf_hash64(model, strcspn(model, ":"));
}

#if __has_include(<sys/sdt.h>) && (defined(__x86_64__) || defined(__aarch64__))
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/*
 * A kernel that finds a 5-byte nop replaces it by a call into a trampoline
 * instead of a trap: half the price of a hit.
 */
#if defined(__x86_64__)
#undef _SDT_NOP
#define _SDT_NOP .nops 5
#define HASH_IN "rdi"
#define NAME_IN "rsi"
#else
#define HASH_IN "x0"
#define NAME_IN "x1"
#endif

/* The kernel counts who is attached in here, through the file offset in the note. */
unsigned short fusedinf_request_semaphore __attribute__((section(".probes"), visibility("hidden")));

static __attribute__((noinline)) void tell(uint64_t model, const char *text)
{
	register uint64_t hash __asm__(HASH_IN) = model;
	register const char *name __asm__(NAME_IN) = text;

	STAP_PROBE2(fusedinf, request, hash, name);
}

void finf_ipc_arrival(const char *model)
{
	if (__builtin_expect(__atomic_load_n(&fusedinf_request_semaphore, __ATOMIC_RELAXED), 0))
		tell(finf_ipc_name_hash(model), model);
}
#else
void finf_ipc_arrival(const char *model)
{
	(void)model;
}
#endif
