/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `podium server` that is measured: a process of its own, with a store on disk and every write synchronous. */
#ifndef PODIUM_BENCH_SERVER_H
#define PODIUM_BENCH_SERVER_H

#include "tests/bench/api/load.h"

struct server {
    struct target target;
    char *program, *dir;        /* owned */
    const char *const *options; /* more of them, NULL-terminated, borrowed; NULL: none */
    double start_seconds;       /* from exec to the first "ok" of /readyz */
};
/* dir: an empty or earlier used folder. False with a message on stderr. */
bool server_start(struct server *s, const char *program, const char *dir);
/* The same with options of `podium server`; they win over ours. */
bool server_start_with(struct server *s, const char *program, const char *dir, const char *const *options);
/* What agents of this host dial, as `podium agent` takes it; the caller frees. */
char *server_link(const struct server *s);
void server_stop(struct server *s);
/* A field of smaps_rollup ("Pss:"), in MB. */
double server_memory(const struct server *s, const char *field);

#endif
