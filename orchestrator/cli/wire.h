/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A byte stream to the API server, for what libcurl does not carry: TLS by GnuTLS, or a unix socket. Checks the
 * server's certificate against the kubeconfig's CA as libcurl does for everything else.
 *
 * After wire_open() the socket does not block: wire_read() and wire_write() return -EAGAIN.
 */
#ifndef PODIUM_CLI_WIRE_H
#define PODIUM_CLI_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "orchestrator/cli/connection.h"

struct wire;

int wire_open(const struct connection *c, struct wire **ret, struct error *err) _must_check_;
void wire_close(struct wire *w);
DEFINE_CLEANUP(struct wire *, wire_close)
int wire_fd(const struct wire *w);
/* "host:port" for the Host header. */
const char *wire_host(const struct wire *w);
/* Bytes, 0 at the end, -EAGAIN, or another -errno. */
ssize_t wire_read(struct wire *w, void *p, size_t n);
ssize_t wire_write(struct wire *w, const void *p, size_t n);
/* Decrypted bytes are waiting that poll(2) does not see. */
bool wire_pending(const struct wire *w);

#endif
