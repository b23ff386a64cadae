/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conversation between a parent and the child it cloned: records on a SOCK_SEQPACKET pair.
 *
 *   child                          parent
 *   NAMESPACES ─────────────────▶  writes id maps, moves links, runs hooks (only if there is something of that)
 *              ◀───────────────── GO
 *   CONSOLE (+ the pty's master) ▶ (only with a terminal and no console socket)
 *   READY ──────────────────────▶
 *              ◀───────────────── GO (container_start; with a socket to start by: container_confirm)
 *   the connection of `start` ◀─ GO (container_start_connect; only with such a socket)
 *   LISTENER (a descriptor's number) ▶ sends the descriptor away (only with a seccomp filter that notifies: listener.h)
 *              ◀───────────────── GO
 *   end of stream: execve worked; or FAILED with errno and text, at any point
 */
#ifndef PODIUM_RUNTIME_PROCESS_CHANNEL_H
#define PODIUM_RUNTIME_PROCESS_CHANNEL_H

#include <stdint.h>

#include "podium/base/error.h"

enum channel_kind {
    CHANNEL_END,
    CHANNEL_NAMESPACES,
    CHANNEL_CONSOLE,
    CHANNEL_READY,
    CHANNEL_FAILED,
    CHANNEL_GO,
    CHANNEL_LISTENER
};

#define CHANNEL_TEXT_MAX 3072

struct channel_message {
    uint32_t kind;
    int32_t code; /* FAILED: negative errno */
    char text[CHANNEL_TEXT_MAX];
};

/* fd -1: none goes along. -errno. */
int channel_send(int sock, enum channel_kind kind, int code, const char *text, int fd) _must_check_;
/* Returns the kind (CHANNEL_END on end of stream; code is -ECONNRESET when the peer has not read all) or -errno.
 * *ret_fd (may be NULL): a descriptor that came along. */
int channel_receive(int sock, struct channel_message *m, int *ret_fd) _must_check_;
/* Waits for the parent's GO; -EPIPE when it went away instead. */
int channel_wait_go(int sock, struct error *err) _must_check_;

#endif
