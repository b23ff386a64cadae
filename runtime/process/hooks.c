/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/sys.h"
#include "runtime/process/container.h"

_Noreturn static void hook_child(const struct spec_hook *hook, int stdin_fd) {
    char *just_path[] = {hook->path, NULL};
    sigset_t none;

    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(stdin_fd, STDIN_FILENO) >= 0)
        (void) execve(hook->path, hook->args ? hook->args : just_path, hook->env);
    dprintf(STDERR_FILENO, "hook %s: %s\n", hook->path, strerror(errno));
    _exit(127);
}

/* Waits for the hook, not longer than its time. */
static int hook_wait(const struct spec_hook *hook, int pidfd, struct error *err) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    siginfo_t info = {0};
    int n;

    do
        n = poll(&p, 1, hook->timeout > 0 ? hook->timeout * 1000 : -1);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        (void) pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    while (waitid((idtype_t) P_PIDFD, (id_t) pidfd, &info, WEXITED) < 0)
        if (errno != EINTR)
            return error_set_errno(err, -errno, "hook %s: cannot wait", hook->path);
    if (n == 0)
        return error_set(err, -ETIMEDOUT, "hook %s did not end within %d s", hook->path, hook->timeout);
    if (info.si_code != CLD_EXITED)
        return error_set(err, -ECANCELED, "hook %s was ended by signal %d", hook->path, info.si_status);
    if (info.si_status != 0)
        return error_set(err, -ECANCELED, "hook %s failed with exit code %d", hook->path, info.si_status);
    return 0;
}

static int run_hook(const struct spec_hook *hook, const char *state, struct error *err) {
    _cleanup_close_ int read_end = -EBADF, write_end = -EBADF, pidfd = -EBADF;
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "hook %s: no pipe", hook->path);
    read_end = pipe_fds[0];
    write_end = pipe_fds[1];
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uint64_t) (uintptr_t) &pidfd, .exit_signal = SIGCHLD};
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        hook_child(hook, read_end);
    if (pid < 0)
        return error_set_errno(err, pid, "hook %s: cannot clone its process", hook->path);
    /* a hook that does not read its input is no error; the state fits into the pipe */
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    (void) sigaction(SIGPIPE, &ignore, &before);
    (void) close(steal_fd(&read_end));
    int sent = fd_write_all(write_end, state, strlen(state));
    (void) close(steal_fd(&write_end));
    (void) sigaction(SIGPIPE, &before, NULL);
    int r = hook_wait(hook, pidfd, err);
    if (r == 0 && sent < 0 && sent != -EPIPE)
        return error_set_errno(err, sent, "hook %s: cannot write the state to it", hook->path);
    return r;
}

int container_run_hooks(const struct spec *spec, enum spec_hook_kind kind, const struct json *state,
                        struct error *err) {
    const struct spec_hooks *hooks = &spec->hooks[kind];
    int r = 0;

    if (hooks->n == 0)
        return 0;
    _cleanup_free_ char *text = json_to_text(state);
    const bool go_on = kind == SPEC_HOOK_POSTSTART || kind == SPEC_HOOK_POSTSTOP;
    for (size_t i = 0; (r == 0 || go_on) && i < hooks->n; i++) {
        int now = run_hook(&hooks->hooks[i], text, r == 0 ? err : NULL);

        r = r == 0 ? now : r;
    }
    return r;
}
