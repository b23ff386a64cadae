/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/foreground.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "podium/base/fd.h"

static void all_signals(sigset_t *set) {
    (void) sigfillset(set);
    /* faults of our own must end us */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        (void) sigdelset(set, faults[i]);
}

void foreground_block_signals(void) {
    sigset_t set;

    all_signals(&set);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);
}

static int finish(struct container_process *p, struct error *err) {
    struct container_status status;
    int r = container_wait(p, &status, err);

    return r < 0 ? r : container_status_code(&status);
}

/* SIGCHLD, and stops and window changes of our own terminal, are ours. */
static bool is_passed_on(int sig) {
    return sig != SIGCHLD && sig != SIGTTIN && sig != SIGTTOU && sig != SIGPIPE && sig != SIGWINCH && sig != SIGURG;
}

/* SIGCHLD is of any child; what cannot be told is found out by waiting. */
static bool has_ended(const struct container_process *p) {
    struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};

    return poll(&ended, 1, 0) != 0;
}

/* Without a terminal there is nothing to do but to sleep: one system call, no descriptors. */
static int wait_quietly(struct container_process *p, struct error *err) {
    sigset_t set;
    int sig;

    all_signals(&set);
    for (;;) {
        if (sigwait(&set, &sig) != 0)
            continue;
        if (sig == SIGCHLD && has_ended(p))
            return finish(p, err);
        if (is_passed_on(sig))
            (void) pidfd_send_signal(p->pidfd, sig, NULL, 0);
    }
}

/* Copies what is there; false at the end of the input. */
static bool relay(int from, int to) {
    char buffer[8192];
    ssize_t n = read(from, buffer, sizeof(buffer));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    return n > 0 && fd_write_all(to, buffer, (size_t) n) == 0;
}

static void copy_size(int master) {
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        (void) ioctl(master, TIOCSWINSZ, &size);
}

static void handle_signal(int signal_fd, struct container_process *p) {
    struct signalfd_siginfo info;

    if (read(signal_fd, &info, sizeof(info)) != (ssize_t) sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH)
        copy_size(p->console_fd);
    else if (is_passed_on((int) info.ssi_signo))
        (void) pidfd_send_signal(p->pidfd, (int) info.ssi_signo, NULL, 0);
}

static int relay_terminal(struct container_process *p, struct error *err) {
    sigset_t set;

    all_signals(&set);
    _cleanup_close_ int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return error_set_errno(err, -errno, "signalfd");
    struct pollfd fds[] = {
        {.fd = p->pidfd, .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
        {.fd = p->console_fd, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return error_set_errno(err, -errno, "poll");
        if (fds[1].revents)
            handle_signal(signal_fd, p);
        if (fds[3].revents && !relay(STDIN_FILENO, p->console_fd))
            fds[3].fd = -1;
        if (fds[2].revents && !relay(p->console_fd, STDOUT_FILENO))
            fds[2].fd = -1;
        else if (fds[0].revents && !(fds[2].revents & POLLIN)) /* the rest of the output first */
            return finish(p, err);
        else if (fds[2].fd < 0)
            fds[2].revents = 0;
    }
}

void foreground_prepare(const struct container_process *p) {
    struct termios t;

    if (p->console_fd < 0)
        return;
    copy_size(p->console_fd);
    if (!isatty(STDOUT_FILENO) && tcgetattr(p->console_fd, &t) == 0) {
        t.c_oflag &= ~(tcflag_t) ONLCR;
        (void) tcsetattr(p->console_fd, TCSANOW, &t);
    }
}

int foreground_wait(struct container_process *p, struct error *err) {
    struct termios before, raw;

    if (p->console_fd < 0)
        return wait_quietly(p, err);
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (is_terminal) {
        raw = before;
        cfmakeraw(&raw);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    int r = relay_terminal(p, err);
    if (is_terminal)
        (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return r;
}
