/* SPDX-License-Identifier: MIT */
/*
 * daemon/log - one line per event to stderr, key=value, with the priority
 * prefix that systemd understands. A function either logs or returns.
 */
#ifndef FID_LOG_H
#define FID_LOG_H

enum fid_log_level { FID_ERROR = 3, FID_WARNING = 4, FID_INFO = 6, FID_DEBUG = 7 };

/** Lines above this level are dropped; FID_INFO is the default. */
void fid_log_level(enum fid_log_level level);
void fid_log(enum fid_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
