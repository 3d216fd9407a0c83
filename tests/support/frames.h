/* SPDX-License-Identifier: MIT */
/* tests/support/frames - fid's socket without the client library: frames by hand. */
#ifndef FI_TESTS_FRAMES_H
#define FI_TESTS_FRAMES_H

#include "ipc/ipc.h"
#include "tests/support/fid.h"

/** A connection; -1 when @flags has SOCK_NONBLOCK and the queue is full. */
int frames_connect(const struct test_fid *fid, int flags);
/** A connection that has greeted; what is sent on it goes past the result, the caller's. */
struct finf_conn *frames_greet(const struct test_fid *fid);

struct finf_wire_header frame_header(uint16_t type, uint32_t bytes, uint64_t id);
/* Frames behind what @buf has. */
void put_hello(struct finf_buf *buf);
void put_control(struct finf_buf *buf, const char *json, uint64_t id);
void put_cancel(struct finf_buf *buf, uint64_t id);
/** A request to a digits model with a name of 8 bytes at most, everything inline. */
void put_infer(struct finf_buf *buf, const char *model, uint64_t id, uint64_t deadline_ns);

/** All of @buf; it is empty afterwards. */
void frames_write(int fd, struct finf_buf *buf);
/** The next frame of this type; others are left out. */
struct finf_frame *frames_next(struct finf_conn *conn, enum finf_wire_type type);
/** Until fid has closed the connection, reading whatever it still says. */
void frames_wait_dropped(int fd);

#endif
