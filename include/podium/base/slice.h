/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a thread may run before others get their turn, and how soon it gets its own after it waited.
 *
 * On a busy machine a thread that wakes waits until the slice of the one that runs is over, 1.4 to 3 ms by default. One
 * that asks for shorter slices comes in between (and is interrupted sooner): the share of the processor stays the same,
 * only the latency goes down. A durable write waits some ten times: for the worker, the commit thread, and several
 * times within each sync. Measured at a load of 20 on two processors: the two syncs of a commit took 2.7 ms instead
 * of 5.2 on average, a write over the API 1.7 instead of 2.5.
 *
 * Linux since 6.12: sched_setattr(2) takes sched_runtime for SCHED_OTHER, 0.1 to 100 ms. Older kernels ignore it.
 */
#ifndef PODIUM_BASE_SLICE_H
#define PODIUM_BASE_SLICE_H

/* The shortest slices, for the calling thread and all it starts or forks afterwards. Does nothing to a thread that was
 * given another scheduling policy, and nothing where the kernel does not know how: it is but quicker with it. */
void slice_shorten(void);

#endif
