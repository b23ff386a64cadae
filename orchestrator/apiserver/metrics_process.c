/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/metrics_process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static void number(struct strbuf *b, const char *name, const char *type, const char *help, double v) {
    strbuf_addf(b, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, v);
}

static double seconds(struct timeval t) {
    return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

static long open_files(void) {
    DIR *d = opendir("/proc/self/fd");
    long n = -3; /* ".", ".." and the folder itself */
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    (void) closedir(d);
    return n;
}

void metrics_process(struct strbuf *b, uint64_t started) {
    struct rusage u;
    struct rlimit l;
    long size = 0, resident = 0, files = open_files();
    FILE *f = fopen("/proc/self/statm", "re");
    if (getrusage(RUSAGE_SELF, &u) == 0)
        number(b, "process_cpu_seconds_total", "counter", "User and system time spent.",
               seconds(u.ru_utime) + seconds(u.ru_stime));
    if (f && fscanf(f, "%ld %ld", &size, &resident) == 2) {
        double page = (double) sysconf(_SC_PAGESIZE);
        number(b, "process_resident_memory_bytes", "gauge", "Memory in use.", (double) resident * page);
        number(b, "process_virtual_memory_bytes", "gauge", "Address space.", (double) size * page);
    }
    if (f)
        (void) fclose(f);
    if (files >= 0)
        number(b, "process_open_fds", "gauge", "Open file descriptors.", (double) files);
    if (getrlimit(RLIMIT_NOFILE, &l) == 0)
        number(b, "process_max_fds", "gauge", "Most file descriptors there may be.", (double) l.rlim_cur);
    number(b, "process_start_time_seconds", "gauge", "When the process started, since the epoch.", (double) started);
}
