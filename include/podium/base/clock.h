/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks, in microseconds. Monotonic for durations, real time only for what people and the API see. */
#ifndef PODIUM_BASE_CLOCK_H
#define PODIUM_BASE_CLOCK_H

#include <stdint.h>

#define USEC_PER_SEC  1000000ull
#define USEC_PER_MSEC 1000ull

uint64_t now_monotonic_usec(void);
uint64_t now_realtime_usec(void);

#endif
