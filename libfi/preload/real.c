/* SPDX-License-Identifier: MIT */
/* preload: the functions behind ours: libc's dlsym and the driver's calls. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "preload/preload.h"

const struct fip_call fip_calls[FIP_CALLS] = {
#define FIP_GATE(symbol, base, version, threads, params, args) \
	[FIP_##symbol] = {#symbol, #base, version, threads, (void *)symbol},
#include "preload/calls.def"
};
void *_Atomic fip_real[FIP_CALLS];
struct fip_driver fip_driver;
_Atomic bool fip_forked;

uint64_t fip_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void fip_debug(const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n, head;

	if (!getenv("FUSEDINF_PRELOAD_DEBUG"))
		return;
	head = snprintf(text, sizeof(text), "fusedinf-preload[%d]: ", (int)getpid());
	va_start(args, fmt);
	n = vsnprintf(text + head, sizeof(text) - (size_t)head - 1, fmt, args);
	va_end(args);
	n = head + (n < 0 ? 0 : n);
	n = n > (int)sizeof(text) - 2 ? (int)sizeof(text) - 2 : n;
	text[n] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n + 1) < 0)
		return; /* nobody to tell */
}

bool fip_off(void)
{
	static atomic_int off; /* 0: not looked yet, 1: on, 2: off */
	int seen = atomic_load_explicit(&off, memory_order_relaxed);

	if (!seen) {
		const char *text = getenv("FUSEDINF_PRELOAD");

		seen = text && !strcmp(text, "off") ? 2 : 1;
		atomic_store_explicit(&off, seen, memory_order_relaxed);
	}
	return seen == 2 || atomic_load_explicit(&fip_forked, memory_order_relaxed);
}

/* ---- the dlsym behind ours -------------------------------------------------------------- */

/*
 * glibc has moved dlsym between libraries and given it other versions, and
 * dlvsym needs to be told one. So look where the loader would: the first object
 * after this one whose GNU hash table has the name, default version only.
 */
struct search {
	ElfW(Addr) self;
	bool passed;
	void *found;
};

static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* What the dynamic section says; addresses may or may not be relocated yet. */
struct tables {
	const ElfW(Sym) *symbols;
	const char *strings;
	const uint32_t *hash;
	const ElfW(Half) *versions;
};

static bool read_tables(const struct dl_phdr_info *info, const ElfW(Dyn) *dyn, struct tables *t)
{
	memset(t, 0, sizeof(*t));
	for (; dyn->d_tag != DT_NULL; dyn++) {
		ElfW(Addr) at = dyn->d_un.d_ptr;

		if (at < info->dlpi_addr)
			at += info->dlpi_addr;
		if (dyn->d_tag == DT_SYMTAB)
			t->symbols = (const void *)at;
		else if (dyn->d_tag == DT_STRTAB)
			t->strings = (const void *)at;
		else if (dyn->d_tag == DT_GNU_HASH)
			t->hash = (const void *)at;
		else if (dyn->d_tag == DT_VERSYM)
			t->versions = (const void *)at;
	}
	return t->symbols && t->strings && t->hash;
}

static void *find_in(const struct dl_phdr_info *info, const struct tables *t, const char *name)
{
	uint32_t buckets = t->hash[0], first = t->hash[1], bloom = t->hash[2];
	const uint32_t *bucket = t->hash + 4 + bloom * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chain = bucket + buckets;
	uint32_t hash = gnu_hash(name), i = buckets ? bucket[hash % buckets] : 0;

	for (; i >= first && i; i++) {
		const ElfW(Sym) *s = &t->symbols[i];
		uint32_t entry = chain[i - first];
		bool is_default = !t->versions || !(t->versions[i] & 0x8000);

		if ((entry | 1) == (hash | 1) && s->st_shndx != SHN_UNDEF && is_default &&
		    !strcmp(t->strings + s->st_name, name))
			return (void *)(info->dlpi_addr + s->st_value);
		if (entry & 1)
			break;
	}
	return NULL;
}

static int visit(struct dl_phdr_info *info, size_t bytes, void *ctx)
{
	const ElfW(Dyn) *dyn = NULL;
	struct search *search = ctx;
	struct tables tables;
	bool self = false;

	(void)bytes;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		ElfW(Addr) from = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_DYNAMIC)
			dyn = (const void *)from;
		if (p->p_type == PT_LOAD && search->self >= from && search->self < from + p->p_memsz)
			self = true;
	}
	if (search->passed && dyn && read_tables(info, dyn, &tables))
		search->found = find_in(info, &tables, "dlsym");
	search->passed |= self;
	return search->found != NULL;
}

void *(*fip_dlsym(void))(void *, const char *)
{
	static void *_Atomic known;
	void *at = atomic_load_explicit(&known, memory_order_relaxed);

	if (!at) {
		struct search search = {.self = (ElfW(Addr))fip_calls};

		dl_iterate_phdr(visit, &search);
		at = search.found;
		atomic_store_explicit(&known, at, memory_order_relaxed);
	}
	return (void *(*)(void *, const char *))at;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static pthread_mutex_t bind_lock = PTHREAD_MUTEX_INITIALIZER;

static void bind_all(void *(*real)(void *, const char *), void *lib)
{
#define FIP_GATE(symbol, base, version, threads, params, args)
#define FIP_USE(symbol, params) \
	fip_driver.symbol = (__typeof__(fip_driver.symbol))real(lib, #symbol);
#include "preload/calls.def"
	for (unsigned i = 0; i < FIP_CALLS; i++)
		atomic_store_explicit(&fip_real[i], real(lib, fip_calls[i].symbol),
				      memory_order_release);
}

bool fip_bind(void)
{
	static _Atomic bool bound;
	void *(*real)(void *, const char *) = fip_dlsym();

	if (atomic_load_explicit(&bound, memory_order_acquire))
		return true;
	if (!real)
		return false;
	pthread_mutex_lock(&bind_lock);
	if (!bound) {
		/* Kept for ever: functions of ours lead into it. */
		void *lib = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);

		if (lib)
			bind_all(real, lib);
		dlerror(); /* of looking for what we merely might have used */
		atomic_store_explicit(&bound, lib != NULL, memory_order_release);
	}
	pthread_mutex_unlock(&bind_lock);
	return bound;
}
