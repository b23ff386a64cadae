/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/userns.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/sys.h"
#include "runtime/pod/sandbox.h"

#define NAMESPACES (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static int write_map(pid_t pid, const char *file, const struct pod_config *config, struct error *err) {
    char path[64], text[64];

    (void) snprintf(path, sizeof(path), "%d/%s", (int) pid, file);
    (void) snprintf(text, sizeof(text), "0 %u %u\n", config->userns_base, config->userns_size);
    return proc_write(path, text, err);
}

/* In the new namespaces, as their root: settings that name users and groups mean the pod's. */
static int settle(const struct pod_config *config, struct error *err) {
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set_errno(err, -errno, "cannot become root of the pod's user namespace");
    (void) prctl(PR_SET_DUMPABLE, 0); /* what of the host is still open here is not for who comes into the pod */
    int r = pod_sandbox_sysctls(config, false, err);
    if (r == -EACCES || r == -EPERM) { /* of older kernels: for the supervisor, the host's root */
        error_clear(err);
        r = 0;
    }
    return r < 0 ? r : pod_sandbox_sysctls(config, true, err);
}

/* The first process of the namespaces; holds the PID namespace if there is one. gate: a byte when the ids are mapped,
 * its end when we have what we wanted; answer: an error's text, or nothing. */
_Noreturn static void first_process(const struct pod_config *config, int gate, int answer) {
    struct error err = ERROR_INIT;
    char c;

    if (read(gate, &c, 1) != 1)
        _exit(1);
    int r = settle(config, &err);
    if (r < 0) {
        const char *text = error_text(&err, r);
        (void) !write(answer, text, strlen(text));
        _exit(1);
    }
    (void) close(answer);
    if (config->share_process_namespace) {
        (void) close(gate);
        pod_sandbox_hold_pids();
    }
    (void) !read(gate, &c, 1);
    _exit(0);
}

static int open_namespace(pid_t pid, const char *kind, int *ret, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/proc/%d/ns/%s", (int) pid, kind);

    *ret = open(path, O_RDONLY | O_CLOEXEC);
    return *ret < 0 ? error_set_errno(err, -errno, "cannot open %s", path) : 0;
}

/* Waits until it has settled, then enters what it made. */
static int follow(struct pod_sandbox *s, const struct pod_config *config, pid_t pid, int pidfd, int gate, int answer,
                  struct error *err) {
    char text[256];
    int r = write_map(pid, "uid_map", config, err);

    if (r == 0)
        r = write_map(pid, "gid_map", config, err);
    if (r < 0)
        return error_prefix(err, r, "the pod's user namespace");
    if (write(gate, "", 1) != 1)
        return error_set_errno(err, -errno, "the first process of the pod's user namespace ended");
    ssize_t n = read(answer, text, sizeof(text) - 1);
    if (n != 0) {
        text[n < 0 ? 0 : n] = 0;
        return error_set(err, n < 0 ? -errno : -EPERM, "the pod's user namespace: %s", text);
    }
    r = open_namespace(pid, "user", &s->userns_fd, err);
    if (r == 0 && config->share_process_namespace)
        r = open_namespace(pid, "pid", &s->pidns_fd, err);
    if (r == 0 && setns(pidfd, NAMESPACES) < 0)
        r = error_set_errno(err, -errno, "cannot enter the namespaces of the pod's user namespace");
    return r;
}

int pod_userns_enter(struct pod_sandbox *s, const struct pod_config *config, struct error *err) {
    int gate[2], answer[2], pidfd = -EBADF;
    struct clone_args args = {
        .flags = CLONE_NEWUSER | NAMESPACES | CLONE_PIDFD | (config->share_process_namespace ? CLONE_NEWPID : 0),
        .pidfd = (uint64_t) (uintptr_t) &pidfd,
        .exit_signal = SIGCHLD,
    };

    if (pipe2(gate, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    if (pipe2(answer, O_CLOEXEC) < 0) {
        int r = error_set_errno(err, -errno, "cannot make a pipe");
        (void) close(gate[0]);
        (void) close(gate[1]);
        return r;
    }
    pid_t pid = sys_clone3(&args);
    if (pid == 0) {
        (void) close(gate[1]);
        (void) close(answer[0]);
        first_process(config, gate[0], answer[1]);
    }
    (void) close(gate[0]);
    (void) close(answer[1]);
    int r = pid < 0 ? error_set_errno(err, pid, "cannot make the pod's user namespace")
                    : follow(s, config, pid, pidfd, gate[1], answer[0], err);
    (void) close(gate[1]);
    (void) close(answer[0]);
    closep(&pidfd);
    if (r == 0 && config->share_process_namespace) {
        s->pidns_pid = pid;
        return 0;
    }
    if (pid > 0 && config->share_process_namespace)
        (void) kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return r;
}

int pod_userns_show_kernel(const char *dir, struct error *err) {
    static const char *const kinds[] = {"proc", "sysfs"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        _cleanup_free_ char *path = xasprintf("%s/kernel/%s", dir, kinds[i]);
        int r = mkdir_parents(path, 0700, err);

        if (r < 0)
            return r;
        if (mount(kinds[i], path, kinds[i], MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            return error_set_errno(err, -errno, "cannot mount %s on %s", kinds[i], path);
    }
    return 0;
}

void pod_userns_give(const struct pod_config *config, int fd, uid_t uid) {
    struct stat st;

    if (fd >= 0 && config->userns_size > 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        (void) !fchown(fd, config->userns_base + uid, (gid_t) -1); /* a convenience only */
}
