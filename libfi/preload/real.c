/* SPDX-License-Identifier: MIT */
/* preload: the functions behind ours: libc's dlsym and the driver's calls. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
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
 * after this one whose GNU hash table has the name, default version only. The
 * first call may come before any other library is ready, sanitizers' runtimes
 * included, whose functions stand before libc's: nothing is called here.
 */
static bool same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

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

static bool read_tables(const struct link_map *map, struct tables *t)
{
	*t = (struct tables){0};
	for (const ElfW(Dyn) *dyn = map->l_ld; dyn->d_tag != DT_NULL; dyn++) {
		ElfW(Addr) at = dyn->d_un.d_ptr;

		if (at < map->l_addr)
			at += map->l_addr;
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

static void *find_in(const struct link_map *map, const char *name)
{
	const uint32_t *bucket, *chain;
	uint32_t first, hash = gnu_hash(name), i;
	struct tables t;

	if (!read_tables(map, &t) || !t.hash[0])
		return NULL;
	first = t.hash[1];
	bucket = t.hash + 4 + t.hash[2] * (sizeof(ElfW(Addr)) / 4); /* behind the Bloom filter */
	chain = bucket + t.hash[0];
	for (i = bucket[hash % t.hash[0]]; i && i >= first; i++) {
		const ElfW(Sym) *s = &t.symbols[i];
		uint32_t entry = chain[i - first];
		bool is_default = !t.versions || !(t.versions[i] & 0x8000);

		if ((entry | 1) == (hash | 1) && s->st_shndx != SHN_UNDEF && is_default &&
		    same(t.strings + s->st_name, name))
			return (void *)(map->l_addr + s->st_value);
		if (entry & 1)
			break;
	}
	return NULL;
}

/* The loader's list of objects, by way of the program's own dynamic section. */
static const struct link_map *first_object(void)
{
	const ElfW(Phdr) *phdr = (const void *)getauxval(AT_PHDR);
	size_t n = getauxval(AT_PHNUM);
	const ElfW(Dyn) *dyn = NULL;
	ElfW(Addr) base = 0;

	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_PHDR)
			base = (ElfW(Addr))phdr - phdr[i].p_vaddr;
	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + phdr[i].p_vaddr);
	for (; dyn && dyn->d_tag != DT_NULL; dyn++)
		if (dyn->d_tag == DT_DEBUG && dyn->d_un.d_ptr)
			return ((const struct r_debug *)dyn->d_un.d_ptr)->r_map;
	return NULL;
}

static void *find_dlsym(void)
{
	const struct link_map *map = first_object();
	void *at = NULL;

	while (map && map->l_ld != _DYNAMIC) /* that of this object */
		map = map->l_next;
	while (map && !at) {
		map = map->l_next;
		at = map ? find_in(map, "dlsym") : NULL;
	}
	return at;
}

void *(*fip_dlsym(void))(void *, const char *)
{
	static void *_Atomic known;
	void *at = atomic_load_explicit(&known, memory_order_relaxed);

	if (!at) {
		at = find_dlsym();
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
