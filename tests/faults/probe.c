/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program of the containers of the fault tests: prints all of its surroundings that a runtime is responsible for,
 * so that a container which came to be although a system call failed can be compared with one where none did.
 * usage: probe [wait]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

static void lines_of(const char *path, const char *const *keys) {
    char line[1024];
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof(line), f))
        for (size_t i = 0; !keys || keys[i]; i++) {
            if (keys && strncmp(line, keys[i], strlen(keys[i])) != 0)
                continue;
            printf("%s: %s", path, line);
            break;
        }
    if (!f)
        printf("%s: %s\n", path, strerror(errno));
    else
        (void) fclose(f);
}

/* Without the numbers that differ from one mount namespace to the next. */
static void mounts(void) {
    char line[4096], id[32], parent[32], device[32], rest[4096];
    FILE *f = fopen("/proc/self/mountinfo", "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%31s %31s %31s %4095[^\n]", id, parent, device, rest) == 4)
            printf("mount %s\n", rest);
    if (f)
        (void) fclose(f);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void folder(const char *path, int depth) {
    char *names[256], child[1024];
    const struct dirent *e;
    DIR *d = opendir(path);
    size_t n = 0;

    if (!d)
        printf("folder %s: %s\n", path, strerror(errno));
    while (d && n < 256 && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names[n++] = strdup(e->d_name);
    if (d)
        (void) closedir(d);
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char target[256] = "";

        (void) snprintf(child, sizeof(child), "%s/%s", path, names[i]);
        if (lstat(child, &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode) && readlink(child, target, sizeof(target) - 1) < 0)
            target[0] = 0;
        printf("file %s %o %u:%u %llx %s\n", child, st.st_mode, st.st_uid, st.st_gid, (unsigned long long) st.st_rdev,
               target);
        if (S_ISDIR(st.st_mode) && depth > 0)
            folder(child, depth - 1);
    }
}

static void descriptors(void) {
    for (int fd = 0; fd < 64; fd++) {
        struct stat st;

        if (fstat(fd, &st) == 0)
            printf("descriptor %d type %o tty %d\n", fd, st.st_mode & S_IFMT, isatty(fd));
    }
}

static void can_write(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    printf("write %s: %s\n", path, fd < 0 ? strerrorname_np(errno) : "yes");
    if (fd >= 0) {
        (void) close(fd);
        (void) unlink(path);
    }
}

static void contents(const char *path) {
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    printf("read %s: %s\n", path, n < 0 ? strerrorname_np(errno) : n == 0 ? "empty" : "something");
    if (fd >= 0)
        (void) close(fd);
}

static void limits(void) {
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit l;

        if (getrlimit((__rlimit_resource_t) i, &l) == 0)
            printf("limit %d %llx %llx\n", i, (unsigned long long) l.rlim_cur, (unsigned long long) l.rlim_max);
    }
}

/* Which namespaces are not the host's: HOST_NS holds those. */
static void namespaces(void) {
    static const char *const kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    const char *host = getenv("HOST_NS");

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char path[64], id[64];

        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
        ssize_t n = readlink(path, id, sizeof(id) - 1);
        id[n < 0 ? 0 : n] = 0;
        printf("namespace %s %s\n", kinds[i], n < 0 ? "?" : host && strstr(host, id) ? "of the host" : "own");
    }
}

int main(int argc, char **argv) {
    static const char *const status[] = {"Umask",  "Uid",    "Gid",        "Groups",   "SigBlk",
                                         "SigIgn", "SigCgt", "CapInh",     "CapPrm",   "CapEff",
                                         "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp:", NULL};
    static const char *const own[] = {"0::", NULL};
    struct utsname names;
    struct sysinfo info;
    struct winsize size = {0};
    char cwd[512];

    if (argc > 1 && strcmp(argv[1], "wait") == 0) {
        for (;;)
            (void) pause();
    }
    lines_of("/proc/self/status", status);
    lines_of("/proc/self/cgroup", own);
    lines_of("/proc/self/oom_score_adj", NULL);
    lines_of("/proc/self/timens_offsets", NULL);
    lines_of("/proc/self/uid_map", NULL);
    lines_of("/proc/self/gid_map", NULL);
    lines_of("/proc/sys/net/ipv4/ip_forward", NULL);
    namespaces();
    mounts();
    limits();
    descriptors();
    folder("/dev", 1);
    folder("/copied", 2);
    folder("/data", 1);
    folder("/mapped", 1);
    contents("/proc/timer_list");
    contents("/proc/keys");
    contents("/masked");
    folder("/proc/acpi", 0);
    can_write("/canary");
    can_write("/proc/sys/kernel/canary");
    can_write("/data/canary");
    (void) uname(&names);
    printf("name %s.%s %s\n", names.nodename, names.domainname, names.machine);
    printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
    printf("personality %x\n", personality(0xffffffff));
    printf("scheduler %d nice %d ioprio %ld\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0),
           syscall(SYS_ioprio_get, 1, 0));
    printf("leader %d %d\n", getsid(0) == getpid(), getpgrp() == getpid());
    printf("sysinfo %s\n", sysinfo(&info) < 0 ? strerrorname_np(errno) : "yes");
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        printf("window %u %u, terminal %s\n", size.ws_row, size.ws_col, ttyname(0));
    for (char **e = environ; *e; e++)
        printf("env %s\n", *e);
    for (int i = 0; i < argc; i++)
        printf("arg %s\n", argv[i]);
    return fflush(stdout) == 0 ? 0 : 1;
}
