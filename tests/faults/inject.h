/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program under ptrace and makes one of its system calls fail, or kills it there.
 *
 * Processes have names by birth: "0" is the program, "0.1" its first child, "0.1.2" that one's second. Their calls are
 * counted from 1, each process for itself, so that a number means the same call in every run. A process that executes
 * something else than the program's own file is let go: what is tried is the runtime, not hooks or containers.
 */
#ifndef PODIUM_TESTS_FAULTS_INJECT_H
#define PODIUM_TESTS_FAULTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define INJECT_PROCESSES_MAX 48

struct inject_plan {
    const char *process; /* NULL: nothing is made to fail, calls are counted only */
    unsigned call;
    int error; /* positive errno; 0: the process is killed by SIGKILL before the call */
};

struct inject_process {
    char name[32];
    pid_t pid;
    bool alive, in_call, forced;
    long nr; /* the call it is in */
    unsigned calls, children;
};

struct inject_result {
    struct inject_process processes[INJECT_PROCESSES_MAX];
    size_t n;
    int status;        /* exit code, 128 + signal */
    bool hit;          /* the planned call came */
    bool loaders;      /* it was the dynamic loader's */
    bool hung;         /* did not end in time, was killed */
    long nr;           /* the call that was made to fail */
    unsigned fds_left; /* descriptors above 2 that the program had when it ended */
    char left[512];    /* where they lead */
};

/* stdio: three descriptors. Returns 0 or -errno of ptrace itself. The caller should be a subreaper. */
int inject_run(char *const *argv, const int stdio[3], const struct inject_plan *plan, int timeout_msec,
               struct inject_result *ret);

#endif
