/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id) {
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000u;
}

uint64_t now_monotonic_usec(void) {
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t now_realtime_usec(void) {
    return read_clock(CLOCK_REALTIME);
}
