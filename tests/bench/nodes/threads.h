/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which threads of a process used its processor time: proc(5), task/<tid>/stat, by the names of the threads. */
#ifndef PODIUM_TESTS_BENCH_NODES_THREADS_H
#define PODIUM_TESTS_BENCH_NODES_THREADS_H

#include <sys/types.h>

enum thread_part { THREAD_LOOP, THREAD_LOCAL, THREAD_HTTP, THREAD_STORE, THREAD_OTHER, THREAD_PARTS };

/* Seconds so far. Threads that have ended are not in them. */
struct thread_times {
    double seconds[THREAD_PARTS];
};

struct thread_times thread_times(pid_t pid);
const char *thread_part_name(enum thread_part part);

#endif
