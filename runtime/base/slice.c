/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NSEC 100000 /* the kernel's minimum */

/* The first version of struct sched_attr, which newer C libraries declare, and older ones don't. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void slice_shorten(void) {
    struct attributes a = {0};

    if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0)
        return;
    if (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH)
        return;
    a.size = sizeof(a);
    a.runtime = SLICE_NSEC;
    (void) syscall(SYS_sched_setattr, 0, &a, 0);
}
