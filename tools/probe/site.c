/* SPDX-License-Identifier: MIT */
/*
 * probe: finds USDT sites in the notes of an ELF file. The file is foreign:
 * every offset is checked before it is followed.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "tools/probe/probe.h"

#define NOTE_TYPE 3 /* sys/sdt.h */

#if defined(__x86_64__)
#define MACHINE	 EM_X86_64
#define ARGUMENT "8@%rdi"
#else
#define MACHINE	 EM_AARCH64
#define ARGUMENT "8@x0"
#endif

struct elf {
	const uint8_t *data;
	size_t bytes;
	const Elf64_Ehdr *head;
	uint64_t base; /* where .stapsdt.base lies now, 0 = unknown */
	struct finf_diag *diag;
};

static const void *at(const struct elf *elf, uint64_t offset, uint64_t bytes)
{
	if (offset > elf->bytes || bytes > elf->bytes - offset)
		return NULL;
	return elf->data + offset;
}

static int elf_init(struct elf *elf)
{
	const Elf64_Ehdr *head = at(elf, 0, sizeof(*head));

	if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) ||
	    head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_machine != MACHINE ||
	    head->e_shentsize != sizeof(Elf64_Shdr) || head->e_phentsize != sizeof(Elf64_Phdr) ||
	    head->e_shoff % 8 || head->e_phoff % 8 ||
	    !at(elf, head->e_shoff, head->e_shnum * sizeof(Elf64_Shdr)) ||
	    !at(elf, head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr)))
		return finf_diag_set(elf->diag, -ENOEXEC, "no 64-bit ELF file of this machine");
	elf->head = head;
	return 0;
}

static const Elf64_Shdr *section(const struct elf *elf, const char *name)
{
	const Elf64_Shdr *all = at(elf, elf->head->e_shoff, 0);
	size_t len = strlen(name) + 1;

	if (elf->head->e_shstrndx >= elf->head->e_shnum)
		return NULL;
	for (uint32_t i = 0; i < elf->head->e_shnum; i++) {
		const Elf64_Shdr *names = &all[elf->head->e_shstrndx];
		const char *text = at(elf, names->sh_offset, names->sh_size);

		if (text && all[i].sh_name < names->sh_size &&
		    names->sh_size - all[i].sh_name >= len &&
		    !memcmp(text + all[i].sh_name, name, len))
			return &all[i];
	}
	return NULL;
}

/* An address of the program as an offset of the file; false when the file does not hold it. */
static bool to_offset(const struct elf *elf, uint64_t address, uint64_t *ret)
{
	const Elf64_Phdr *all = at(elf, elf->head->e_phoff, 0);

	for (uint32_t i = 0; i < elf->head->e_phnum; i++) {
		if (all[i].p_type != PT_LOAD || address < all[i].p_vaddr ||
		    address - all[i].p_vaddr >= all[i].p_filesz)
			continue;
		*ret = address - all[i].p_vaddr + all[i].p_offset;
		return true;
	}
	return false;
}

/* The string at *@text, which ends before @end; moves *@text behind it. */
static const char *next_string(const char **text, const char *end)
{
	const char *start = *text;
	const char *zero = start < end ? memchr(start, 0, (size_t)(end - start)) : NULL;

	if (!zero)
		return NULL;
	*text = zero + 1;
	return start;
}

/* 1: @ret is a site; 0: another note; -ENOEXEC. */
static int read_note(const struct elf *elf, const char *desc, size_t bytes, const char *want,
		     struct probe_site *ret)
{
	const char *text = desc + 3 * sizeof(uint64_t), *end = desc + bytes;
	const char *provider, *name, *arguments;
	uint64_t where[3], shift = 0; /* location, base, semaphore */
	const size_t len = strlen(ARGUMENT);

	if (bytes < sizeof(where))
		return 0;
	memcpy(where, desc, sizeof(where));
	provider = next_string(&text, end);
	name = provider ? next_string(&text, end) : NULL;
	arguments = name ? next_string(&text, end) : NULL;
	if (!arguments || strcmp(provider, "fusedinf") || strcmp(name, want))
		return 0;
	/* The first argument is ours; more may follow. */
	if (strncmp(arguments, ARGUMENT, len) || (arguments[len] && arguments[len] != ' '))
		return finf_diag_set(elf->diag, -ENOEXEC, "argument of %s is in %s, not in %s",
				     want, arguments, ARGUMENT);
	if (elf->base)
		shift = elf->base - where[1]; /* the file was relinked at another address */
	*ret = (struct probe_site){0};
	if (!to_offset(elf, where[0] + shift, &ret->offset) ||
	    (where[2] && !to_offset(elf, where[2] + shift, &ret->semaphore)))
		return finf_diag_set(elf->diag, -ENOEXEC, "site of %s lies outside the file", want);
	return 1;
}

static int read_notes(const struct elf *elf, const char *notes, size_t bytes, const char *want,
		      struct probe_site *ret)
{
	size_t pos = 0;
	int n = 0;

	while (bytes - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr head;
		uint64_t desc, next;
		struct probe_site site;
		int rc = 0;

		memcpy(&head, notes + pos, sizeof(head));
		desc = pos + sizeof(head) + finf_align_up(head.n_namesz, 4);
		next = desc + finf_align_up(head.n_descsz, 4);
		if (desc > bytes || head.n_descsz > bytes - desc)
			return finf_diag_set(elf->diag, -ENOEXEC, "notes are cut off");
		if (head.n_type == NOTE_TYPE)
			rc = read_note(elf, notes + desc, head.n_descsz, want, &site);
		if (rc < 0)
			return rc;
		if (rc && n == PROBE_SITES_MAX)
			return finf_diag_set(elf->diag, -E2BIG, "more than %d sites", n);
		if (rc)
			ret[n++] = site;
		pos = FINF_MIN(next, (uint64_t)bytes);
	}
	return n;
}

int probe_sites(int fd, const char *name, struct probe_site ret[PROBE_SITES_MAX],
		struct finf_diag *diag)
{
	struct elf elf = {.diag = diag};
	const Elf64_Shdr *notes, *base;
	const void *data, *text = NULL;
	int rc = finf_file_map(fd, &data, &elf.bytes);

	if (rc)
		return finf_diag_set(diag, rc, "%s", strerror(-rc));
	elf.data = data;
	rc = elf_init(&elf);
	if (rc)
		goto out;
	base = section(&elf, ".stapsdt.base");
	elf.base = base ? base->sh_addr : 0;
	notes = section(&elf, ".note.stapsdt");
	if (notes)
		text = at(&elf, notes->sh_offset, notes->sh_size);
	rc = text ? read_notes(&elf, text, notes->sh_size, name, ret) : 0;
	if (!rc)
		rc = finf_diag_set(diag, -ENOENT, "no site fusedinf:%s in this file", name);
out:
	finf_file_unmap(data, elf.bytes);
	return rc;
}
