/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command in a container over WebSocket (v5.channel.k8s.io): our standard streams, or others, become its own.
 *
 * The terminal is raw while the command has one, and is put back whatever happens. Blocking; standard streams are read
 * and written as they are.
 */
#ifndef PODIUM_CLI_EXEC_STREAM_H
#define PODIUM_CLI_EXEC_STREAM_H

#include "orchestrator/cli/connection.h"

struct exec_result {
    int exit_code;       /* of the command */
    int code;            /* HTTP status of a refusal, 0 otherwise */
    struct json *status; /* of a refusal or an end that is no exit code; may be NULL. The caller unrefs. */
};
struct exec_options {
    const char *target; /* path and query of the exec or attach */
    bool in, tty;       /* pass input; standard input is a terminal to be made raw */
    int in_fd, out_fd;  /* usually the standard streams */
};
/* 0 when the command has ended; -errno with text when it never ran or the stream broke. */
int exec_stream(const struct connection *c, const struct exec_options *options, struct exec_result *ret,
                struct error *err) _must_check_;

#endif
