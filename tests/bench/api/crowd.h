/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one bad client does to the others: gets on one connection, one after another, beside somebody who lists all,
 * creates without pause, watches and never reads, or opens connections and says nothing. */
#ifndef PODIUM_BENCH_CROWD_H
#define PODIUM_BENCH_CROWD_H

#include "tests/bench/api/load.h"

struct crowd {
    const char *what;
    unsigned connections;
    const char *request; /* each connection says this, then … */
    bool reads;          /* … reads the answer and says it again; or never reads */
    bool numbered;       /* the request is made for each time: a creation */
};

/* Runs the crowd in a process of its own while `good` is measured. False with a message on stderr. */
bool crowd_run(struct target *t, const struct crowd *c, const struct load *good, struct load_result *ret);

#endif
