/* SPDX-License-Identifier: MIT */
/* daemon/listen: a path of this machine, or an address. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/listen.h"

/* ---- a path ------------------------------------------------------------------------ */

/* A socket nobody answers on was left by a crash; anything else is not ours to remove. */
static int clear_path(const struct sockaddr_un *addr, struct finf_diag *diag)
{
	struct stat st;
	int fd, err;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : finf_diag_set(diag, -errno, "%s: %s", addr->sun_path,
							   strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return finf_diag_set(diag, -EEXIST, "%s: exists and is not a socket", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	close(fd);
	if (!err)
		return finf_diag_set(diag, -EADDRINUSE, "%s: somebody is serving there", addr->sun_path);
	if (err != -ECONNREFUSED)
		return finf_diag_set(diag, err, "%s: %s", addr->sun_path, strerror(-err));
	return unlink(addr->sun_path) < 0 ? -errno : 0;
}

static void make_parent(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		mkdir(dir, 0755); /* bind says what is wrong */
	}
}

int fid_listen_unix(const char *path, const gid_t *group, int *ret_fd, struct finf_diag *diag)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	bool shared;
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return finf_diag_set(diag, -ENAMETOOLONG, "%s: longer than a socket path may be (%zu)",
				     path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	err = clear_path(&addr, diag);
	if (err)
		return err;
	make_parent(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	shared = group && !chown(path, (uid_t)-1, *group);
	if (chmod(path, shared ? 0660 : 0600) < 0 || listen(fd, 128) < 0) {
		err = finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
		unlink(path);
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- an address -------------------------------------------------------------------- */

static int parse_port(const char *text, in_port_t *ret)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

int fid_listen_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool bracket = *text == '[' && len > 2 && text[len - 1] == ']';
	char host[64];

	if (len >= sizeof(host) || (colon && !len))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(bracket ? len - 2 : len), text + bracket);
	if (parse_port(colon ? colon + 1 : text, bracket ? &v6.sin6_port : &v4.sin_port))
		return -EINVAL;
	if (colon && inet_pton(bracket ? AF_INET6 : AF_INET, host,
			       bracket ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
		return -EINVAL;
	if (!ret)
		return 0;
	if (bracket)
		memcpy(ret, &v6, sizeof(v6));
	else
		memcpy(ret, &v4, sizeof(v4));
	*ret_len = bracket ? sizeof(v6) : sizeof(v4);
	return 0;
}

int fid_listen_tcp(const char *text, int *ret_fd, struct finf_diag *diag)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int err = fid_listen_address(text, &addr, &len), one = 1, fd;

	if (err)
		return finf_diag_set(diag, err, "%s: not an address", text);
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", text, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, SOMAXCONN) < 0) {
		err = finf_diag_set(diag, -errno, "%s: %s", text, strerror(errno));
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static bool is_loopback(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)addr)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) >> 24 == 127;
}

bool fid_listen_name(int fd, char text[FID_ADDRESS_BYTES])
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN] = "";
	bool v6;

	getsockname(fd, (struct sockaddr *)&addr, &len);
	v6 = addr.ss_family == AF_INET6;
	inet_ntop(addr.ss_family,
		  v6 ? (void *)&((struct sockaddr_in6 *)&addr)->sin6_addr
		     : (void *)&((struct sockaddr_in *)&addr)->sin_addr,
		  host, sizeof(host));
	snprintf(text, FID_ADDRESS_BYTES, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
		 ntohs(v6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
			  : ((struct sockaddr_in *)&addr)->sin_port));
	return is_loopback(&addr);
}
