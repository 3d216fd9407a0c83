/* SPDX-License-Identifier: MIT */
/* daemon: the USDT sites that make swap-ins visible from outside; see usdt.h. */
#include "daemon/usdt.h"

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#else
#define STAP_PROBE2(provider, name, a, b)	((void)(a), (void)(b))
#define STAP_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

void fid_usdt_load_start(const char *model, uint64_t bytes)
{
	STAP_PROBE2(fusedinf, load_start, model, bytes);
}

void fid_usdt_load_done(const char *model, uint64_t bytes, uint64_t ns, int result)
{
	STAP_PROBE4(fusedinf, load_done, model, bytes, ns, result);
}
