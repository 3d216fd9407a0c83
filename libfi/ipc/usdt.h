/* SPDX-License-Identifier: MIT */
/*
 * ipc/usdt - the USDT site of the client call: fusedinf:request, the hash of the
 * model's name in the first argument register, the name as text in the second.
 * Its semaphore says whether anybody is attached; until then it costs a load
 * and a branch.
 * Must not know: BPF, or who listens.
 */
#ifndef FINF_IPC_USDT_H
#define FINF_IPC_USDT_H

#include <stdint.h>

/** finf_ipc_arrival - a request for @model, a valid name, is about to go out. */
void finf_ipc_arrival(const char *model);

/** finf_ipc_name_hash - what stands for a model in the kernel: its name without the version. */
uint64_t finf_ipc_name_hash(const char *model);

#endif
