/* SPDX-License-Identifier: MIT */
/*
 * ipc: a connected socket. One recvmsg fetches what is there, one sendmsg puts
 * a whole frame out; what the peer does not take waits in a bounded queue.
 *
 * The kernel ends a recvmsg after the bytes a descriptor came with, and a
 * descriptor leaves with the first byte of its frame. So descriptors arrive in
 * the order of the frames that announce them, and none may be left over when
 * the frames are used up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/ipc.h"

#define RX_FIRST_BYTES (64u << 10)
#define FDS_MAX 4 /* received and not yet taken; more is an attack */
#define TX_FDS_MAX 16
#define IOV_MAX_SEND (2 * FINF_WIRE_TENSORS_MAX + 8)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian, so are we");
_Static_assert(sizeof(struct finf_wire_header) == 40, "header");
_Static_assert(sizeof(struct finf_wire_hello) == 16, "hello");
_Static_assert(sizeof(struct finf_wire_infer) == 16, "infer");
_Static_assert(sizeof(struct finf_wire_tensor) == 104, "tensor");
_Static_assert(sizeof(struct finf_wire_result) == 40, "result");
_Static_assert(sizeof(struct finf_wire_app) == 80, "app");
_Static_assert(sizeof(struct finf_wire_app_command) == 16, "command to an app");

struct queued_fd {
	uint64_t at; /* goes out with this byte of the stream */
	int fd;	     /* owned */
};

struct finf_conn {
	int fd; /* owned */
	struct finf_frame frame; /* handed out; its fd is owned unless taken */

	uint8_t *rx; /* owned */
	size_t rx_cap, rx_start, rx_end;
	size_t rx_used; /* bytes of the frame handed out */
	int fds[FDS_MAX]; /* owned */
	uint32_t n_fds;

	uint8_t *tx; /* owned; what the peer has not taken yet */
	size_t tx_cap, tx_start, tx_end;
	uint64_t tx_sent; /* bytes of the stream that are out */
	struct queued_fd tx_fds[TX_FDS_MAX];
	uint32_t n_tx_fds;
};

int finf_conn_new(int fd, struct finf_conn **ret_conn)
{
	struct finf_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return -ENOMEM;
	conn->rx = malloc(RX_FIRST_BYTES);
	if (!conn->rx) {
		free(conn);
		return -ENOMEM;
	}
	conn->rx_cap = RX_FIRST_BYTES;
	conn->fd = fd;
	conn->frame.fd = -1;
	*ret_conn = conn;
	return 0;
}

void finf_conn_free(struct finf_conn *conn)
{
	if (!conn)
		return;
	if (conn->frame.fd >= 0)
		close(conn->frame.fd);
	for (uint32_t i = 0; i < conn->n_fds; i++)
		close(conn->fds[i]);
	for (uint32_t i = 0; i < conn->n_tx_fds; i++)
		close(conn->tx_fds[i].fd);
	close(conn->fd);
	free(conn->rx);
	free(conn->tx);
	free(conn);
}

int finf_conn_fd(const struct finf_conn *conn)
{
	return conn->fd;
}

/* ---- receiving ------------------------------------------------------------ */

/* Keep what came; too many are closed with the rest when the connection is freed. */
static int keep_fds(struct finf_conn *conn, struct msghdr *msg)
{
	int err = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (conn->n_fds < FDS_MAX) {
				conn->fds[conn->n_fds++] = fd;
			} else {
				close(fd);
				err = -EPROTO;
			}
		}
	}
	return err;
}

/* 1 something came; 0 nothing there; -errno. */
static int fill(struct finf_conn *conn)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {conn->rx + conn->rx_end, conn->rx_cap - conn->rx_end};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int err;

	do
		n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	err = keep_fds(conn, &msg);
	if (err)
		return err;
	if (!n)
		return -ECONNRESET;
	conn->rx_end += (size_t)n;
	return 1;
}

static int check_header(const struct finf_wire_header *head)
{
	if (head->magic != FINF_WIRE_MAGIC || head->version != FINF_WIRE_VERSION ||
	    head->payload_bytes > FINF_WIRE_PAYLOAD_MAX || head->n_fds > 1 || head->reserved)
		return -EPROTO;
	return 0;
}

/* Bytes from rx_start on that the next frame takes, as far as is known. 0; -EPROTO. */
static int frame_bytes(const struct finf_conn *conn, size_t *ret_bytes)
{
	struct finf_wire_header head;
	int err;

	*ret_bytes = sizeof(head);
	if (conn->rx_end - conn->rx_start < sizeof(head))
		return 0;
	memcpy(&head, conn->rx + conn->rx_start, sizeof(head));
	err = check_header(&head);
	*ret_bytes += err ? 0 : head.payload_bytes;
	return err;
}

/* Move what is left of the buffer to its front, where payloads are aligned, and
 * grow it as bytes arrive: a claimed length alone costs nothing. */
static int make_room(struct finf_conn *conn, size_t want)
{
	size_t len = conn->rx_end - conn->rx_start, cap;
	uint8_t *grown;

	if (conn->rx_start) {
		memmove(conn->rx, conn->rx + conn->rx_start, len);
		conn->rx_start = 0;
		conn->rx_end = len;
	}
	if (len < conn->rx_cap)
		return 0;
	cap = FINF_MIN(want, 2 * conn->rx_cap);
	grown = realloc(conn->rx, cap);
	if (!grown)
		return -ENOMEM;
	conn->rx = grown;
	conn->rx_cap = cap;
	return 0;
}

static int hand_out(struct finf_conn *conn, size_t bytes)
{
	struct finf_frame *frame = &conn->frame;

	memcpy(&frame->head, conn->rx + conn->rx_start, sizeof(frame->head));
	if (frame->head.n_fds > conn->n_fds)
		return -EPROTO;
	if (frame->head.n_fds) {
		frame->fd = conn->fds[0];
		conn->n_fds--;
		memmove(conn->fds, conn->fds + 1, conn->n_fds * sizeof(*conn->fds));
	}
	if (conn->n_fds && conn->rx_start + bytes == conn->rx_end)
		return -EPROTO; /* a descriptor that no frame announced */
	frame->payload = conn->rx + conn->rx_start + sizeof(frame->head);
	conn->rx_used = bytes;
	return 1;
}

static void take_back(struct finf_conn *conn)
{
	if (conn->frame.fd >= 0)
		close(conn->frame.fd);
	conn->frame.fd = -1;
	conn->rx_start += conn->rx_used;
	conn->rx_used = 0;
	if (conn->rx_start == conn->rx_end)
		conn->rx_start = conn->rx_end = 0;
}

int finf_conn_receive(struct finf_conn *conn, struct finf_frame **ret_frame)
{
	size_t want;
	int rc;

	take_back(conn);
	for (;;) {
		rc = frame_bytes(conn, &want);
		if (rc)
			return rc;
		if (conn->rx_end - conn->rx_start >= want)
			break;
		rc = make_room(conn, want);
		if (!rc)
			rc = fill(conn);
		if (rc <= 0)
			return rc;
	}
	if (conn->rx_start % FINF_WIRE_PAD)
		make_room(conn, want);
	rc = hand_out(conn, want);
	if (rc > 0)
		*ret_frame = &conn->frame;
	return rc;
}

/* ---- sending -------------------------------------------------------------- */

/* One sendmsg. Bytes taken by the peer, 0 when it is full, -errno. */
static ssize_t send_some(struct finf_conn *conn, const struct iovec *iov, size_t n_iov, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	conn->tx_sent += (uint64_t)n;
	return n;
}

static int queue_room(struct finf_conn *conn, size_t bytes)
{
	size_t len = conn->tx_end - conn->tx_start, cap = conn->tx_cap;
	uint8_t *grown;

	if (conn->tx_start) {
		memmove(conn->tx, conn->tx + conn->tx_start, len);
		conn->tx_start = 0;
		conn->tx_end = len;
	}
	if (len + bytes <= cap)
		return 0;
	cap = FINF_MAX(len + bytes, 2 * cap);
	grown = realloc(conn->tx, cap);
	if (!grown)
		return -ENOMEM;
	conn->tx = grown;
	conn->tx_cap = cap;
	return 0;
}

/* Queue the bytes of @iov after the first @skip. */
static int queue(struct finf_conn *conn, const struct iovec *iov, int n_iov, size_t skip,
		 size_t bytes, int fd)
{
	int err = queue_room(conn, bytes);

	if (err)
		return err;
	if (fd >= 0) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return -errno;
		conn->tx_fds[conn->n_tx_fds++] = (struct queued_fd){
			.at = conn->tx_sent + (conn->tx_end - conn->tx_start),
			.fd = copy,
		};
	}
	for (int i = 0; i < n_iov; i++) {
		size_t from = FINF_MIN(skip, iov[i].iov_len), len = iov[i].iov_len - from;

		skip -= from;
		if (len)
			memcpy(conn->tx + conn->tx_end, (uint8_t *)iov[i].iov_base + from, len);
		conn->tx_end += len;
	}
	return 0;
}

int finf_conn_send(struct finf_conn *conn, struct finf_wire_header *head, const struct iovec *iov,
		   int n_iov, int fd)
{
	struct iovec all[IOV_MAX_SEND];
	size_t bytes = sizeof(*head), waiting = conn->tx_end - conn->tx_start;
	ssize_t sent = 0;

	if (n_iov >= IOV_MAX_SEND)
		return -EMSGSIZE;
	all[0] = (struct iovec){head, sizeof(*head)};
	for (int i = 0; i < n_iov; i++) {
		all[i + 1] = iov[i];
		bytes += iov[i].iov_len;
	}
	if (bytes > sizeof(*head) + FINF_WIRE_PAYLOAD_MAX)
		return -EMSGSIZE;
	head->magic = FINF_WIRE_MAGIC;
	head->version = FINF_WIRE_VERSION;
	head->payload_bytes = (uint32_t)(bytes - sizeof(*head));
	head->n_fds = fd >= 0;
	head->reserved = 0;
	if (waiting + bytes > FINF_CONN_QUEUE_MAX || (fd >= 0 && conn->n_tx_fds == TX_FDS_MAX))
		return -EAGAIN;
	if (!waiting)
		sent = send_some(conn, all, (size_t)n_iov + 1, fd);
	if (sent < 0)
		return (int)sent;
	if ((size_t)sent == bytes)
		return 0;
	return queue(conn, all, n_iov + 1, (size_t)sent, bytes - (size_t)sent, sent ? -1 : fd);
}

int finf_conn_flush(struct finf_conn *conn)
{
	while (conn->tx_start < conn->tx_end) {
		struct iovec iov = {conn->tx + conn->tx_start, conn->tx_end - conn->tx_start};
		struct queued_fd *next = conn->n_tx_fds ? conn->tx_fds : NULL;
		bool with = next && next->at == conn->tx_sent;
		/* Bytes before a descriptor's must not take it along. */
		const struct queued_fd *stop = with ? next + 1 : next;
		ssize_t n;

		if (stop && stop < conn->tx_fds + conn->n_tx_fds)
			iov.iov_len = FINF_MIN(iov.iov_len, stop->at - conn->tx_sent);
		n = send_some(conn, &iov, 1, with ? next->fd : -1);
		if (n <= 0)
			return n ? (int)n : 1;
		conn->tx_start += (size_t)n;
		if (with) {
			close(next->fd);
			conn->n_tx_fds--;
			memmove(next, next + 1, conn->n_tx_fds * sizeof(*next));
		}
	}
	return 0;
}
