/* SPDX-License-Identifier: MIT */
/*
 * tests/support/failcall - a preloaded library that counts the system calls a
 * program makes through libc and liburing, and makes one of them fail.
 *
 *   LD_PRELOAD=build/tests/failcall.so FI_FAIL=7:EIO:pread build/fictl ...
 *
 *   FI_FAIL=N[:ERRNO][:NAME]  the N-th call fails with ERRNO (a number or EIO,
 *                             ENOSPC, ENOMEM, EMFILE, EAGAIN, EINTR, EACCES,
 *                             EPERM, EINVAL, ENOSYS; default EIO); with NAME
 *                             only calls of that name are counted. N = 0: none.
 *   FI_FAIL_LOG=FILE          at exit one line per name, "NAME COUNT", after a
 *                             first line "total COUNT failed NAME|none"
 *
 * Names: open, openat, read, pread, preadv2, write, pwrite, mmap, ftruncate,
 * fsync, fdatasync, rename, linkat, fallocate, statx, fstat, memfd_create,
 * sendmsg, recvmsg, queue_init, register_buffers, register_files, update_files,
 * submit. Variants (pread64, renameat, ...) count under the plain name. Calls
 * of glibc to itself, as in fopen(), are not seen. A run with FI_FAIL=0 and
 * FI_FAIL_LOG says how many there are; a test then fails each in turn.
 */
#ifndef FI_TESTS_FAILCALL_H
#define FI_TESTS_FAILCALL_H

#define FAILCALL_ENV "FI_FAIL"
#define FAILCALL_LOG_ENV "FI_FAIL_LOG"

#endif
