/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From SIGKILL of a container's process to the moment its successor executes its own program, pod after pod. Run on
 * the node. The successor counts when it is in the container's cgroup and is not the supervisor's program any more.
 * usage: restart_bench PODS_FOLDER      Prints: p50_ms p99_ms max_ms pods
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/json.h"

#define PODS_MAX      1000u
#define PROCESSES_MAX 256u
#define STATE_BYTES   (1u << 20)
#define GIVE_UP       (5 * USEC_PER_SEC)
#define LOOK_EVERY    100u /* microseconds */

static bool program_of(pid_t pid, char program[PATH_MAX]) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
    ssize_t n = readlink(path, program, PATH_MAX - 1);
    program[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* The file that lists the processes of the process's cgroup. */
static bool cgroup_of(pid_t pid, char file[PATH_MAX]) {
    char path[64], line[PATH_MAX];
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = 0;
        found = snprintf(file, PATH_MAX, "/sys/fs/cgroup%s/cgroup.procs", line + 3) < PATH_MAX;
    }
    if (f)
        (void) fclose(f);
    return found;
}

/* The processes of the cgroup; how many. */
static size_t members(const char *procs, int *pids) {
    size_t n = 0;

    FILE *f = fopen(procs, "re");
    while (f && n < PROCESSES_MAX && fscanf(f, "%d", &pids[n]) == 1)
        n++;
    if (f)
        (void) fclose(f);
    return n;
}

static bool contains(const int *pids, size_t n, int pid) {
    while (n > 0)
        if (pids[--n] == pid)
            return true;
    return false;
}

static bool runs_again(const char *procs, const int *before, size_t n_before, const char *supervisor) {
    char program[PATH_MAX];
    int pids[PROCESSES_MAX];

    for (size_t n = members(procs, pids); n > 0; n--)
        if (!contains(before, n_before, pids[n - 1]) && program_of(pids[n - 1], program) &&
            strcmp(program, supervisor) != 0)
            return true;
    return false;
}

/* Milliseconds, or a negative number when the pod cannot be measured. */
static double restart(const char *state_file) {
    _cleanup_json_ struct json *state = NULL;
    char procs[PATH_MAX], supervisor[PATH_MAX];
    int before[PROCESSES_MAX];

    if (json_parse_file(state_file, STATE_BYTES, &state, NULL) < 0)
        return -1;
    pid_t keeper = (pid_t) json_int_or(json_get(state, "supervisorPid"), 0);
    pid_t pid = (pid_t) json_int_or(json_get(json_at(json_get(state, "containers"), 0), "pid"), 0);
    if (keeper <= 1 || pid <= 1 || !program_of(keeper, supervisor) || !cgroup_of(pid, procs))
        return -1;
    size_t n_before = members(procs, before);
    uint64_t start = now_monotonic_usec();
    if (kill(pid, SIGKILL) < 0)
        return -1;
    while (!runs_again(procs, before, n_before, supervisor)) {
        if (now_monotonic_usec() - start > GIVE_UP)
            return -1;
        (void) usleep(LOOK_EVERY);
    }
    return (double) (now_monotonic_usec() - start) / USEC_PER_MSEC;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    double samples[PODS_MAX];
    struct dirent *e;
    size_t n = 0;

    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
    if (!d) {
        fputs("usage: restart_bench PODS_FOLDER\n", stderr);
        return 2;
    }
    while ((e = readdir(d)) && n < PODS_MAX) {
        char path[PATH_MAX];
        if (e->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s/state.json", argv[1], e->d_name) >= PATH_MAX)
            continue;
        samples[n] = restart(path);
        if (samples[n] >= 0)
            n++;
        else
            fprintf(stderr, "restart_bench: %s did not come back\n", path);
    }
    (void) closedir(d);
    if (n == 0)
        return 1;
    qsort(samples, n, sizeof(double), by_value);
    printf("%.1f %.1f %.1f %zu\n", samples[n / 2], samples[n * 99 / 100], samples[n - 1], n);
    return 0;
}
