/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alone in its file, so that a test that sets the clock links its own in its place. */
#include <time.h>

#include "podium/base/clock.h"

uint64_t now_realtime_usec(void) {
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000u;
}
