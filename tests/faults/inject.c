/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/faults/inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define SETTLE_MSEC 1500 /* for children, once the program itself has ended */

struct run {
    const struct inject_plan *plan;
    struct inject_result *result;
    struct stat program;
    bool counting, ended;
    pid_t strangers[INJECT_PROCESSES_MAX]; /* stopped at birth before their parent told of them */
    size_t n_strangers;
};

static long long now_msec(void) {
    struct timespec ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static struct inject_process *find(struct run *run, pid_t pid) {
    for (size_t i = 0; i < run->result->n; i++)
        if (run->result->processes[i].pid == pid && run->result->processes[i].alive)
            return &run->result->processes[i];
    return NULL;
}

static struct inject_process *add(struct run *run, pid_t pid, struct inject_process *parent) {
    if (run->result->n == INJECT_PROCESSES_MAX) {
        fprintf(stderr, "too many processes\n");
        abort();
    }
    struct inject_process *p = &run->result->processes[run->result->n++];

    *p = (struct inject_process){.pid = pid, .alive = true};
    if (parent)
        (void) snprintf(p->name, sizeof(p->name), "%.24s.%u", parent->name, ++parent->children);
    else
        (void) snprintf(p->name, sizeof(p->name), "0");
    return p;
}

static bool executes_program(struct run *run, pid_t pid) {
    char path[64], target[256];
    struct stat st;

    (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n < 0 ? 0 : n] = 0;
    if (strncmp(target, "/memfd:", strlen("/memfd:")) == 0) /* the program's copy of itself */
        return true;
    return stat(path, &st) == 0 && st.st_ino == run->program.st_ino && st.st_dev == run->program.st_dev;
}

/* What the program has not closed when it ends. */
static void count_descriptors(struct run *run, pid_t pid) {
    char path[300], target[128];
    const struct dirent *e;

    (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
    DIR *d = opendir(path);
    run->result->fds_left = 0;
    run->result->left[0] = 0;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.' || strtol(e->d_name, NULL, 10) <= 2)
            continue;
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int) pid, e->d_name);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
        run->result->fds_left++;
        size_t at = strlen(run->result->left);
        (void) snprintf(run->result->left + at, sizeof(run->result->left) - at, " %s:%s", e->d_name, target);
    }
    if (d)
        (void) closedir(d);
}

/* The kernel skips call -1; what it is to return is set when it would have. */
static void skip_call(pid_t pid) {
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
        regs.orig_rax = (unsigned long long) -1;
        (void) ptrace(PTRACE_SETREGS, pid, NULL, &regs);
    }
}

static void set_result(pid_t pid, int error) {
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
        regs.rax = (unsigned long long) (long long) -error;
        (void) ptrace(PTRACE_SETREGS, pid, NULL, &regs);
    }
}

/* A call of the dynamic loader's, before anything of the program has run. */
static bool is_loaders(pid_t pid) {
    struct user_regs_struct regs;
    char path[64], line[512];
    unsigned long from, to;
    bool yes = false;

    (void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) pid);
    FILE *f = fopen(path, "re");
    if (f && ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0)
        while (fgets(line, sizeof(line), f))
            if (sscanf(line, "%lx-%lx", &from, &to) == 2 && regs.rip >= from && regs.rip < to)
                yes = strstr(line, "/ld-linux") != NULL;
    if (f)
        (void) fclose(f);
    return yes;
}

static bool cannot_fail(long nr) {
    static const long always[] = {SYS_exit,    SYS_exit_group, SYS_rt_sigreturn, SYS_umask,
                                  SYS_getpid,  SYS_getppid,    SYS_gettid,       SYS_getuid,
                                  SYS_geteuid, SYS_brk,        SYS_rt_sigaction, SYS_rt_sigprocmask};

    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        if (always[i] == nr)
            return true;
    return false;
}

static void on_call(struct run *run, struct inject_process *p, long nr) {
    const struct inject_plan *plan = run->plan;

    p->nr = nr;
    p->calls++;
    if (nr == SYS_exit_group && run->result->n > 0 && p == &run->result->processes[0])
        count_descriptors(run, p->pid);
    if (!plan->process || plan->call != p->calls || strcmp(plan->process, p->name) != 0)
        return;
    run->result->nr = nr;
    if (plan->error == 0) {
        run->result->hit = true;
        (void) kill(p->pid, SIGKILL);
    } else if (!cannot_fail(nr)) {
        run->result->hit = true;
        run->result->loaders = is_loaders(p->pid);
        p->forced = true;
        if (nr != SYS_close && nr != SYS_munmap) /* these do their work whatever they say */
            skip_call(p->pid);
    }
}

static void on_syscall_stop(struct run *run, struct inject_process *p) {
    struct ptrace_syscall_info info;

    if (!run->counting)
        return;
    memset(&info, 0, sizeof(info));
    if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
        p->in_call = true;
        on_call(run, p, (long) info.entry.nr);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        p->in_call = false;
        if (p->forced)
            set_result(p->pid, run->plan->error);
        p->forced = false;
    }
}

static void go_on(pid_t pid, int sig) {
    (void) ptrace(PTRACE_SYSCALL, pid, NULL, (void *) (long) sig);
}

static void let_go(struct inject_process *p) {
    p->alive = false;
    (void) ptrace(PTRACE_DETACH, p->pid, NULL, NULL);
}

static void on_birth(struct run *run, struct inject_process *parent) {
    unsigned long pid = 0;

    (void) ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &pid);
    (void) add(run, (pid_t) pid, parent);
    for (size_t i = 0; i < run->n_strangers; i++)
        if (run->strangers[i] == (pid_t) pid) {
            run->strangers[i] = run->strangers[--run->n_strangers];
            go_on((pid_t) pid, 0);
            return;
        }
}

static void on_stop(struct run *run, pid_t pid, int status) {
    struct inject_process *p = find(run, pid);
    int sig = WSTOPSIG(status), event = status >> 16;

    if (!p) { /* a child whose parent's event has not come yet */
        run->strangers[run->n_strangers++] = pid;
        return;
    }
    if (sig == (SIGTRAP | 0x80)) {
        on_syscall_stop(run, p);
        go_on(pid, 0);
    } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
        on_birth(run, p);
        go_on(pid, 0);
    } else if (event == PTRACE_EVENT_EXEC) {
        run->counting = true;
        if (executes_program(run, pid))
            go_on(pid, 0);
        else
            let_go(p);
    } else if (event == PTRACE_EVENT_STOP) {
        go_on(pid, 0);
    } else {
        go_on(pid, event ? 0 : sig);
    }
}

static void on_end(struct run *run, pid_t pid, int status) {
    struct inject_process *p = find(run, pid);

    if (p)
        p->alive = false;
    if (pid != run->result->processes[0].pid)
        return;
    run->result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    run->ended = true;
}

static bool is_waiting_for_start(const struct inject_process *p) {
    return p->in_call && (p->nr == SYS_accept4 || p->nr == SYS_accept);
}

/* Children that stay although the program has ended (a created container): the caller sees to them. */
static void let_go_of_rest(struct run *run) {
    int status;

    for (size_t i = 0; i < run->result->n; i++) {
        struct inject_process *p = &run->result->processes[i];

        if (!p->alive)
            continue;
        if (ptrace(PTRACE_INTERRUPT, p->pid, NULL, NULL) == 0 && waitpid(p->pid, &status, __WALL) == p->pid &&
            WIFSTOPPED(status))
            let_go(p);
        p->alive = false;
    }
}

static bool is_settled(const struct run *run) {
    for (size_t i = 0; i < run->result->n; i++)
        if (run->result->processes[i].alive && !is_waiting_for_start(&run->result->processes[i]))
            return false;
    return true;
}

static void follow(struct run *run, int timeout_msec) {
    long long end = now_msec() + timeout_msec;
    bool ended = false;

    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);

        if (pid > 0 && WIFSTOPPED(status))
            on_stop(run, pid, status);
        else if (pid > 0)
            on_end(run, pid, status);
        if (run->ended && !ended) {
            ended = true;
            end = now_msec() + SETTLE_MSEC;
        }
        if (run->ended && is_settled(run))
            return;
        if (pid < 0 && errno != EINTR)
            return;
        if (now_msec() < end)
            continue;
        if (run->ended)
            return;
        run->result->hung = true;
        (void) kill(run->result->processes[0].pid, SIGKILL);
        end = now_msec() + SETTLE_MSEC;
    }
}

static pid_t spawn(char *const *argv, const int stdio[3], int gate[2]) {
    pid_t pid = fork();
    char c;

    if (pid != 0)
        return pid;
    (void) close(gate[1]);
    if (read(gate[0], &c, 1) != 1)
        _exit(126);
    for (int i = 0; i < 3; i++)
        if (dup2(stdio[i], i) < 0)
            _exit(126);
    if (close_range(3, ~0U, 0) < 0)
        _exit(126);
    (void) execv(argv[0], argv);
    _exit(126);
}

int inject_run(char *const *argv, const int stdio[3], const struct inject_plan *plan, int timeout_msec,
               struct inject_result *ret) {
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    const struct itimerval tick = {{0, 100000}, {0, 100000}}, none = {{0, 0}, {0, 0}};
    struct run run = {.plan = plan, .result = ret};
    int gate[2];

    memset(ret, 0, sizeof(*ret));
    ret->nr = -1;
    if (stat(argv[0], &run.program) < 0 || pipe2(gate, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = spawn(argv, stdio, gate);
    if (pid < 0 || ptrace(PTRACE_SEIZE, pid, NULL, (void *) options) < 0)
        return -errno;
    (void) add(&run, pid, NULL);
    (void) ptrace(PTRACE_INTERRUPT, pid, NULL, NULL); /* from the stop on it goes from call to call */
    if (write(gate[1], "g", 1) != 1)
        return -errno;
    (void) close(gate[0]);
    (void) close(gate[1]);
    (void) setitimer(ITIMER_REAL, &tick, NULL); /* ends a wait that takes too long */
    follow(&run, timeout_msec);
    let_go_of_rest(&run);
    (void) setitimer(ITIMER_REAL, &none, NULL);
    return 0;
}
