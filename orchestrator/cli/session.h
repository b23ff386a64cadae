/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of the command line: the verb, its arguments, the connection, and how to tell people what happened.
 *
 * Verbs return exit codes: 0 done, 1 failed (already said on stderr), 2 wrong usage. Errors of the server are worded as
 * kubectl words them.
 */
#ifndef PODIUM_CLI_SESSION_H
#define PODIUM_CLI_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/cli/args.h"
#include "orchestrator/cli/connection.h"
#include "orchestrator/client/client.h"

struct cli;
struct verb {
    const char *name;
    const char *group;        /* heading in the overview */
    const char *summary;      /* one line */
    const char *usage;        /* "get TYPE[,TYPE…] [NAME…] [flags]"; lines for several forms */
    const char *details;      /* text and examples for `help VERB`; may be NULL */
    const struct flag *flags; /* may be NULL */
    int (*run)(struct cli *c);
};
struct cli {
    const struct verb *verb;
    struct args args;
    struct connection connection; /* after cli_connect() */
    sd_event *loop;
    struct client *client;
    const char *ns; /* the namespace in use, never empty */
    bool all_namespaces, connected;
};

/* The registry (verbs.c), ends with a NULL name. */
extern const struct verb cli_verbs[];
extern const struct flag cli_global_flags[];

/* Chooses the server and makes the client; says what is wrong and returns 1, else 0. Nothing is sent. */
int cli_connect(struct cli *c) _must_check_;

/* "error: …" on stderr; returns 1. */
int cli_fail(const char *fmt, ...) _printf_(1, 2);
/* The same with "See 'podium help VERB'."; returns 2. */
int cli_usage(const struct cli *c, const char *fmt, ...) _printf_(2, 3);
/* "Error from server (NotFound): …" or, when no answer came, the connection's problem with advice. prefix: put before
 * the message ("error when creating \"x.yaml\": ") or "". Returns 1. */
int cli_refused(const struct cli *c, const char *prefix, int code, const struct json *status, const char *text);

/* One request, blocking. On failure says so (with prefix as above, NULL: none) and returns -errno. *ret may be NULL. */
int cli_call(struct cli *c, const struct client_request *r, const char *prefix, struct json **ret) _must_check_;
/* One plain GET for JSON; failure is said (but 404 not when it is to be ignored), 0 or -errno (-ENOENT: 404). */
int cli_get_json(struct cli *c, const char *target, const char *accept, bool ignore_not_found,
                 struct json **ret) _must_check_;

/* Colours: only on a terminal, not with NO_COLOR or TERM=dumb. code: "31", "1;32"; returns "" when off. */
const char *cli_color(int fd, const char *code, char buf[16]);
/* True when the user sees stderr: progress may be shown. */
bool cli_interactive(void);

#endif
