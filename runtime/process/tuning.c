/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/tuning.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr of sched_setattr(2); the kernel's header cannot be included beside the C library's. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int set_scheduler(const struct spec_scheduler *s, struct error *err) {
    struct scheduling a = {
        .size = sizeof(a),
        .policy = s->policy,
        .flags = s->flags,
        .nice = s->nice,
        .priority = s->priority,
        .runtime = s->runtime,
        .deadline = s->deadline,
        .period = s->period,
    };

    if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
        return error_set_errno(err, -errno, "cannot set process.scheduler");
    return 0;
}

int tuning_apply(const struct spec *spec, const struct spec_process *p, struct error *err) {
    const struct spec_memory_policy *m = spec->memory_policy;
    int r;

    if (p->scheduler.present && (r = set_scheduler(&p->scheduler, err)) < 0)
        return r;
    if (p->has_io_priority && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, p->io_priority) < 0)
        return error_set_errno(err, -errno, "cannot set process.ioPriority");
    /* one bit more than there are, for the kernel counts so; nodes that do not fit the mode it refuses itself */
    if (m && syscall(SYS_set_mempolicy, m->mode, m->nodes, SPEC_MEMORY_NODES_MAX + 1UL) < 0)
        return error_set_errno(err, -errno, "cannot set linux.memoryPolicy");
    if (spec->has_personality && personality(spec->personality) < 0)
        return error_set_errno(err, -errno, "cannot set linux.personality");
    return 0;
}

static int set_cpus(const cpu_set_t *cpus, const char *which, struct error *err) {
    if (sched_setaffinity(0, sizeof(*cpus), cpus) < 0)
        return error_set_errno(err, -errno, "cannot set process.execCPUAffinity.%s", which);
    return 0;
}

int tuning_exec_begin(const struct spec_process *p, cpu_set_t *ret_before, struct error *err) {
    if (!p->exec_cpus_initial)
        return 0;
    if (sched_getaffinity(0, sizeof(*ret_before), ret_before) < 0)
        return error_set_errno(err, -errno, "cannot read the processors to run on");
    return set_cpus(p->exec_cpus_initial, "initial", err);
}

void tuning_exec_end(const struct spec_process *p, const cpu_set_t *before) {
    if (p->exec_cpus_initial)
        (void) sched_setaffinity(0, sizeof(*before), before);
}

int tuning_exec_final(const struct spec_process *p, struct error *err) {
    return p->exec_cpus_final ? set_cpus(p->exec_cpus_final, "final", err) : 0;
}
