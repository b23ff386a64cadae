/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many watchers of one busy collection. */
#ifndef PODIUM_BENCH_FANOUT_H
#define PODIUM_BENCH_FANOUT_H

#include "tests/bench/api/load.h"

struct fanout {
    unsigned watchers, writers;
    bool protobuf;
    double seconds;
    double writes_per_second; /* 0: as fast as the watchers follow */
};
struct fanout_result {
    uint64_t writes, events; /* events: delivered, over all watchers */
    double seconds, client_cpu, server_cpu;
    double p50, p99; /* from the write sent to the event read, milliseconds */
};
bool fanout_run(struct target *t, const struct fanout *f, struct fanout_result *ret);

#endif
