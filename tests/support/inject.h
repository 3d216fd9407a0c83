/* SPDX-License-Identifier: MIT */
/*
 * tests/support/inject - let one system call of a process fail, from outside
 * and without its help: ptrace replaces the n-th call of a table by its errno.
 * What is counted are calls that a file, memory or connection can refuse;
 * waiting, closing and waking are left out.
 */
#ifndef FI_TESTS_INJECT_H
#define FI_TESTS_INJECT_H

#include <stdbool.h>
#include <sys/types.h>

enum inject_scope {
	INJECT_FILES,	 /* files and memory */
	INJECT_PROGRAM,	 /* also sockets; counted from the first socket() on */
};

struct inject {
	pid_t tracer;
	struct inject_shared *shared; /* owned: with the tracer */
};

/** inject_possible - false where this machine forbids or the architecture lacks it. */
bool inject_possible(void);

/**
 * inject_start - watch all threads of @pid, now and new; returns once it does.
 * @param nth  from 1: the call that fails; 0 only counts
 */
void inject_start(struct inject *inject, pid_t pid, enum inject_scope scope, unsigned nth);

/**
 * inject_end - let go of the process.
 * @param ret_count  calls seen up to the one that failed; may be NULL
 * Return: name of the call that was made to fail, NULL when there were fewer.
 */
const char *inject_end(struct inject *inject, unsigned *ret_count);

#endif
