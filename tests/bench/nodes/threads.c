/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/nodes/threads.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"

const char *thread_part_name(enum thread_part part) {
    static const char *const names[] = {
        [THREAD_LOOP] = "the loop (scheduler, controllers, link)",
        [THREAD_LOCAL] = "its requests to the API",
        [THREAD_HTTP] = "HTTP workers",
        [THREAD_STORE] = "the store's writer",
        [THREAD_OTHER] = "others",
    };
    return names[part];
}

static enum thread_part part_of(pid_t pid, long tid, const char *name) {
    if (tid == (long) pid)
        return THREAD_LOOP;
    if (strcmp(name, "local") == 0)
        return THREAD_LOCAL;
    if (strncmp(name, "MHD-", 4) == 0)
        return THREAD_HTTP;
    return strcmp(name, "store") == 0 ? THREAD_STORE : THREAD_OTHER;
}

static void add(struct thread_times *t, pid_t pid, const char *tid) {
    _cleanup_free_ char *path = xasprintf("/proc/%d/task/%s/stat", (int) pid, tid);
    char line[1024] = "", name[64] = "";
    unsigned long user = 0, kernel = 0;

    FILE *f = fopen(path, "re");
    bool read = f && fgets(line, sizeof(line), f);
    if (f)
        (void) fclose(f);
    /* "tid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime …" */
    const char *rest = read ? strrchr(line, ')') : NULL;
    if (!rest || sscanf(line, "%*d (%63[^)])", name) != 1 ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return;
    t->seconds[part_of(pid, strtol(tid, NULL, 10), name)] += (double) (user + kernel) / (double) sysconf(_SC_CLK_TCK);
}

struct thread_times thread_times(pid_t pid) {
    _cleanup_free_ char *path = xasprintf("/proc/%d/task", (int) pid);
    struct thread_times t = {0};
    DIR *d = opendir(path);

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_name[0] != '.')
            add(&t, pid, e->d_name);
    if (d)
        (void) closedir(d);
    return t;
}
