/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole-file reading and writing on descriptors and paths. All descriptors made here are O_CLOEXEC. */
#ifndef PODIUM_BASE_FD_H
#define PODIUM_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

/* Reads to end of file; -EFBIG when more than max bytes come. Appends to out. */
int fd_read_all(int fd, size_t max, struct strbuf *out, struct error *err) _must_check_;
/* Writes all n bytes, retrying short writes and EINTR; -errno. */
int fd_write_all(int fd, const void *p, size_t n) _must_check_;
/* The file's bytes; works for files in /proc and /sys too. -EFBIG beyond max. */
int file_read(const char *path, size_t max, struct strbuf *out, struct error *err) _must_check_;
int file_read_at(int dirfd, const char *path, size_t max, struct strbuf *out, struct error *err) _must_check_;
/* One write(2) to an existing file (sysctl, cgroup and proc files). */
int file_write_at(int dirfd, const char *path, const char *value, struct error *err) _must_check_;
/* The same for "/proc/" + path: nothing leads out of /proc (magic links are refused) and what was opened must be on
 * procfs, so that a file put in its place is never taken for it: -EPERM. For settings that protect something. */
int proc_write(const char *path, const char *value, struct error *err) _must_check_;
/* Such a file, open for writing later, when /proc may be another one. Returns a descriptor. */
int proc_open(const char *path, struct error *err) _must_check_;
/* Replaces path by a temporary file and rename; with durable, fsync of file and folder come before the return. */
int file_write_atomic(const char *path, const void *p, size_t n, mode_t mode, bool durable,
                      struct error *err) _must_check_;
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
/* Sends or receives one message with descriptors over a unix socket. Received fds are O_CLOEXEC; *n_fds is in/out.
 * Return the number of bytes, 0 on end of stream, or -errno (-EMSGSIZE: message or fds truncated; fds closed). */
ssize_t fd_send_message(int sock, const void *p, size_t n, const int *fds, size_t n_fds);
ssize_t fd_recv_message(int sock, void *p, size_t n, int *fds, size_t *n_fds);
/* Connects to a unix stream socket; the path may be longer than an address can be. Returns a descriptor. */
int unix_connect(const char *path, struct error *err) _must_check_;

#endif
