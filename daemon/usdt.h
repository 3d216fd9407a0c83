/* SPDX-License-Identifier: MIT */
/*
 * daemon/usdt - the USDT sites of fid: fusedinf:load_start and fusedinf:load_done
 * (Documentation/formats/usdt.md). A nop each until somebody attaches.
 * Must not know: models, the core, or who listens.
 */
#ifndef FID_USDT_H
#define FID_USDT_H

#include <stdint.h>

/** fid_usdt_load_start - the weights of @model, "NAME:VERSION", are on their way. */
void fid_usdt_load_start(const char *model, uint64_t bytes);

/** fid_usdt_load_done - they are there, @ns after the start, or @result says why not. */
void fid_usdt_load_done(const char *model, uint64_t bytes, uint64_t ns, int result);

#endif
