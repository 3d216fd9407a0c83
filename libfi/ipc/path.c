/* SPDX-License-Identifier: MIT */
/* ipc: where fid listens when nobody says otherwise. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/ipc.h"

int finf_wire_socket_path(char *path, size_t len)
{
	const char *given = getenv("FUSEDINF_SOCKET"), *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	if (given && *given)
		n = snprintf(path, len, "%s", given);
	else if (!geteuid())
		n = snprintf(path, len, "/run/fusedinf/fid.sock");
	else if (dir && *dir)
		n = snprintf(path, len, "%s/fusedinf/fid.sock", dir);
	else
		n = snprintf(path, len, "/run/user/%u/fusedinf/fid.sock", (unsigned)geteuid());
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}
