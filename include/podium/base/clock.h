/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks, in microseconds. Monotonic for durations (time-outs, back-off, probes, heartbeats, how long a node has been
 * silent), so that nothing of these changes when somebody sets the real-time clock. Real time for what people and the
 * API see, and for what is agreed on as a date: certificates and tokens (which are looked at again at once when the
 * clock is set, see below), and ages that controllers take from objects, as upstream does: minReadySeconds,
 * progressDeadlineSeconds, the life of Events. A test that sets the clock defines now_realtime_usec() itself.
 */
#ifndef PODIUM_BASE_CLOCK_H
#define PODIUM_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_SEC  1000000ull
#define USEC_PER_MSEC 1000ull

uint64_t now_monotonic_usec(void);
uint64_t now_realtime_usec(void);
/* A descriptor that becomes readable when somebody sets the real-time clock: what was planned by it must be planned
 * anew. The caller closes it; -errno. timerfd_create(2), TFD_TIMER_CANCEL_ON_SET. */
int clock_jump_fd(void);
/* Whether that happened; makes the descriptor wait for the next time. */
bool clock_jump_seen(int fd);

#endif
