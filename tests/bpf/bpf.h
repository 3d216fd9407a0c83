/* SPDX-License-Identifier: MIT */
/*
 * tests/bpf - what these tests share: a BPF file system of their own, fid-probe
 * as a child, the ring as an array. All ends with the test's mount namespace.
 */
#ifndef FI_TESTS_BPF_H
#define FI_TESTS_BPF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fi_events.h"
#include "tests/support/support.h"

/** The folder for pins, on a private BPF file system; NULL: skipped, return from the test. */
const char *bpf_begin(void);

/** `fid-probe --pin DIR ARGS...` to its end: exit status. */
int probe_run(const char *dir, char **ret_stderr, const char *const *args);
/** The same as a child that serves the other end of @ret_sock. */
pid_t probe_start(const char *dir, int *ret_sock, const char *const *args);
void probe_stop(pid_t pid, int sock);
/** One request; @fd -1 for none. Returns the status; descriptors of OPEN go to @ret_fds. */
int probe_ask(int sock, const struct fi_probe_request *request, int fd, int *ret_fds);

/** Pinned maps of the test's folder. */
int map_open(const char *dir, const char *name);
struct fi_model read_model(int models, const char *name);
struct fi_counts read_counts(const char *dir); /* summed over CPUs */

/* The ring, read to the end each time. */
struct ring;
struct ring *ring_open(int fd);
void ring_close(struct ring *ring);
/** Until @n events in all have come or 30 s are over. */
void ring_expect(struct ring *ring, unsigned n);
unsigned ring_read(struct ring *ring); /* what is there now: events in all */
const struct fi_arrival *ring_event(const struct ring *ring, unsigned i);

#endif
