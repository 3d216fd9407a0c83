/* SPDX-License-Identifier: MIT */
/*
 * daemon/listen - sockets that fid's doors listen at. Must not know: what is
 * said at them, the core.
 */
#ifndef FID_LISTEN_H
#define FID_LISTEN_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

#define FID_ADDRESS_BYTES 64 /* "[IPv6]:PORT" and its end */

/**
 * fid_listen_unix - listen at @path; a socket that nobody answers on is
 * replaced, a missing last folder made.
 * @param group    who may connect besides the owner; NULL: nobody
 * @param ret_fd   the caller's, as is the path, to unlink
 * Return: 0; -EADDRINUSE somebody serves there; -EEXIST no socket; -ENAMETOOLONG; -errno.
 */
int fid_listen_unix(const char *path, const gid_t *group, int *ret_fd, struct finf_diag *diag);

/**
 * fid_listen_address - read "PORT", "ADDR:PORT" or "[ADDR]:PORT"; names are not
 * resolved, no address is loopback, port 0 any that is free.
 * @param ret, ret_len  may be NULL. Return: 0; -EINVAL.
 */
int fid_listen_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len);

/** fid_listen_tcp - listen at such an address. Return: 0 and *@ret_fd; -EINVAL; -errno. */
int fid_listen_tcp(const char *text, int *ret_fd, struct finf_diag *diag);

/** fid_listen_name - where @fd listens, with the port the kernel chose. Return: on loopback only? */
bool fid_listen_name(int fd, char text[FID_ADDRESS_BYTES]);

#endif
