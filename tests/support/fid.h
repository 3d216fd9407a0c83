/* SPDX-License-Identifier: MIT */
/*
 * tests/support/fid - start a daemon in a scratch folder, run fictl against
 * it, and look at the process from outside.
 */
#ifndef FI_TESTS_FID_H
#define FI_TESTS_FID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct test_fid {
	char root[512], socket[512], log[512];
	pid_t pid;
};

/**
 * fid_start - fid in the foreground under scratch_dir()/@name; fails the test
 * when it does not serve within a minute.
 * @param pool   "--pool" value
 * @param extra  NULL-terminated further arguments, or NULL
 * Without prefetch, so that nothing is loaded that the test did not ask for;
 * "--prefetch" in @extra turns it on.
 */
void fid_start(struct test_fid *fid, const char *name, const char *pool, const char *const *extra);
/** The program that fid_start() and others start from now on, in the build folder: "fid". */
void fid_program(const char *path);
/** The same as user @uid with an empty capability set and @memlock bytes of RLIMIT_MEMLOCK. */
void fid_start_as(struct test_fid *fid, const char *name, const char *pool, uid_t uid,
		  uint64_t memlock, const char *const *extra);
/** fid_spawn - like fid_start, but does not wait for the socket. */
void fid_spawn(struct test_fid *fid, const char *name, const char *pool, const char *const *extra);
/** fid_wait - its exit status, -signal when killed; fails after a minute. */
int fid_wait(struct test_fid *fid);
/** fid_stop - SIGTERM, then its exit status must be 0. */
void fid_stop(struct test_fid *fid);

/** Bytes of VmRSS, VmHWM ... of /proc/PID/status. */
uint64_t proc_status_bytes(pid_t pid, const char *key);
int proc_descriptors(pid_t pid);
/** Its descriptors once those of clients that are leaving are closed. */
int settled_descriptors(pid_t pid);
/** Until @pid has @n descriptors: what it closes late it still has to close. */
void wait_descriptors(pid_t pid, int n);
/** Every path below @dir, sorted, one a line; malloc'd. */
char *file_list(const char *dir);

/* What a program wrote and how it ended. */
struct test_output {
	char *out, *err; /* owned */
	int status;	 /* exit status, or -signal */
};
void test_output_free(struct test_output *output);

/** run_program - argv[0] is a path; stdin is /dev/null; bounded to five minutes. */
void run_program(struct test_output *ret, const char *const *argv);
/** The same; @started sees the process before it executes its first instruction. */
void run_program_watched(struct test_output *ret, const char *const *argv,
			 void (*started)(void *ctx, pid_t pid), void *ctx);
/** fictl - `build/fictl --socket fid->socket ARGS...`; fid NULL = without --socket. */
void fictl(struct test_output *ret, const struct test_fid *fid, const char *const *args);
/** What fictl says when it fails: one line that begins with its name, nothing unprintable. */
void check_message(const struct test_output *output);

/** fictl that must end with @status; returns its stdout until the next eight calls. */
const char *fictl_ok(const struct test_fid *fid, ...) __attribute__((sentinel));
/** fictl that must fail with @status and say @needle on stderr. */
void fictl_fails(const struct test_fid *fid, int status, const char *needle, ...)
	__attribute__((sentinel));

/** The integer at "a.b.c" of a JSON text, 0 when absent. */
int64_t json_at(const char *json, const char *path);
/** The same of what `fictl status` says. */
int64_t status_at(const struct test_fid *fid, const char *path);

#endif
