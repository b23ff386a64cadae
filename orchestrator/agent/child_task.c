/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/child_task.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"

#define NICENESS 10

struct child_task {
    sd_event_source *source;
    pid_t pid;
    int fd;
    struct strbuf text;
    void (*done)(void *userdata, const char *text);
    void *userdata;
};

_Noreturn static void run_child(void (*work)(const char *argument, int out_fd), const char *argument, int fd,
                                pid_t parent) {
    enum { OUT = 3 };

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    /* sockets and namespaces held open here would outlive the agent's own closing of them */
    if (fd != OUT && dup2(fd, OUT) < 0)
        _exit(1);
    (void) close_range(OUT + 1, UINT_MAX, 0);
    (void) setpriority(PRIO_PROCESS, 0, NICENESS);
    work(argument, OUT);
    _exit(0);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct child_task *t = userdata;
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0) {
        strbuf_add(&t->text, buf, (size_t) n);
        return 0;
    }
    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    (void) waitpid(t->pid, NULL, 0); /* its end of the pipe is closed: it is ending */
    t->pid = 0;
    t->done(t->userdata, strbuf_str(&t->text));
    return 0;
}

int child_task_start(sd_event *loop, void (*work)(const char *argument, int out_fd), const char *argument,
                     void (*done)(void *userdata, const char *text), void *userdata, struct child_task **ret,
                     struct error *err) {
    _cleanup_(child_task_freep) struct child_task *t = xnew0(struct child_task);
    pid_t self = getpid();
    int pipe_fds[2];

    t->fd = -EBADF;
    t->text.max = CHILD_TASK_OUTPUT_MAX;
    t->done = done;
    t->userdata = userdata;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    t->fd = pipe_fds[0];
    t->pid = fork();
    if (t->pid == 0)
        run_child(work, argument, pipe_fds[1], self);
    int r = t->pid < 0 ? -errno : 0;
    (void) close(pipe_fds[1]);
    if (r == 0)
        r = fd_set_nonblock(t->fd, true);
    if (r >= 0)
        r = sd_event_add_io(loop, &t->source, t->fd, EPOLLIN, on_readable, t);
    if (r < 0)
        return error_set_errno(err, r, "cannot start a child for disk work");
    *ret = steal(&t);
    return 0;
}

void child_task_free(struct child_task *t) {
    if (!t)
        return;
    sd_event_source_disable_unref(t->source);
    if (t->pid > 0) {
        (void) kill(t->pid, SIGKILL);
        (void) waitpid(t->pid, NULL, 0);
    }
    closep(&t->fd);
    strbuf_finish(&t->text);
    free(t);
}
