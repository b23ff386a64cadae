/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/exec_stream.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "orchestrator/cli/websocket.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define PROTOCOL         "v5.channel.k8s.io"
#define QUEUED_BYTES_MAX (256u * 1024u) /* more of standard input is not read before this is sent */

enum { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2, CHANNEL_STATUS = 3, CHANNEL_RESIZE = 4 };
#define CHANNEL_CLOSE 255

struct stream {
    struct websocket *ws;
    const struct exec_options *options;
    struct json *status;
    bool in_ended, broken;
    int output_problem;
};

/* --- messages --- */

static void on_message(void *userdata, const uint8_t *m, size_t n) {
    struct stream *s = userdata;
    int r = 0;

    if (m[0] == CHANNEL_STDOUT)
        r = fd_write_all(s->options->out_fd, m + 1, n - 1);
    else if (m[0] == CHANNEL_STDERR)
        r = fd_write_all(STDERR_FILENO, m + 1, n - 1);
    else if (m[0] == CHANNEL_STATUS && !s->status &&
             json_parse((const char *) m + 1, n - 1, NULL, &s->status, NULL) < 0)
        s->broken = true;
    if (r < 0)
        s->output_problem = r;
}

static void queue_size(struct stream *s) {
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return;
    _cleanup_free_ char *text = xasprintf("{\"Width\":%u,\"Height\":%u}", size.ws_col, size.ws_row);
    websocket_send(s->ws, CHANNEL_RESIZE, text, strlen(text));
}

static void take_input(struct stream *s) {
    char buf[32768];
    ssize_t n = read(s->options->in_fd, buf, sizeof(buf));
    if (n > 0) {
        websocket_send(s->ws, CHANNEL_STDIN, buf, (size_t) n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        const uint8_t channel = CHANNEL_STDIN;
        websocket_send(s->ws, CHANNEL_CLOSE, &channel, 1);
        s->in_ended = true;
    }
}

/* --- the loop --- */

static bool reads_input(const struct stream *s) {
    return s->options->in && !s->in_ended && websocket_queued(s->ws) < QUEUED_BYTES_MAX;
}

static void pump(struct stream *s, int winch_fd) {
    while (!s->broken && s->output_problem == 0) {
        struct pollfd fds[3] = {
            {.fd = websocket_fd(s->ws), .events = websocket_events(s->ws)},
            {.fd = reads_input(s) ? s->options->in_fd : -1, .events = POLLIN},
            {.fd = winch_fd, .events = POLLIN},
        };
        bool waiting = websocket_waiting(s->ws);
        if (poll(fds, ARRAY_LEN(fds), waiting ? 0 : -1) < 0 && errno != EINTR)
            break;
        struct signalfd_siginfo info;
        if (fds[2].revents && read(winch_fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
            queue_size(s);
        if (fds[1].revents)
            take_input(s);
        if (!websocket_turn(s->ws, waiting || fds[0].revents))
            break;
    }
}

/* Raw mode, and window changes as a descriptor; undone by leave_terminal(). */
static int enter_terminal(struct stream *s, struct termios *before) {
    struct termios raw;
    sigset_t winch;
    if (tcgetattr(STDIN_FILENO, before) < 0)
        return -1;
    raw = *before;
    cfmakeraw(&raw);
    (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    (void) sigemptyset(&winch);
    (void) sigaddset(&winch, SIGWINCH);
    (void) sigprocmask(SIG_BLOCK, &winch, NULL);
    queue_size(s);
    return signalfd(-1, &winch, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void leave_terminal(int winch_fd, const struct termios *before) {
    if (winch_fd < 0)
        return;
    (void) close(winch_fd);
    (void) tcsetattr(STDIN_FILENO, TCSADRAIN, before);
}

/* The exit code out of the final Status. */
static int conclude(struct stream *s, struct exec_result *ret, struct error *err) {
    if (s->output_problem < 0)
        return error_set_errno(err, s->output_problem, "cannot write what the command says");
    if (!s->status)
        return error_set(err, -ECONNRESET, "the connection ended before the command did");
    if (strcmp(json_str_or(json_get(s->status, "status"), ""), "Success") == 0)
        return 0;
    const struct json *causes = json_path(s->status, "details", "causes");
    for (size_t i = 0; i < json_len(causes); i++)
        if (strcmp(json_str_or(json_get(json_at(causes, i), "reason"), ""), "ExitCode") == 0) {
            ret->exit_code = (int) strtol(json_str_or(json_get(json_at(causes, i), "message"), "1"), NULL, 10);
            return 0;
        }
    ret->status = json_ref(s->status);
    return error_set(err, -EIO, "%s", json_str_or(json_get(s->status, "message"), "the command failed"));
}

int exec_stream(const struct connection *c, const struct exec_options *o, struct exec_result *ret, struct error *err) {
    struct stream s = {.options = o};
    const struct websocket_options wo = {
        .target = o->target, .protocol = PROTOCOL, .message = on_message, .userdata = &s};
    struct websocket_refusal refusal;
    struct termios before;
    int winch_fd = -EBADF;
    *ret = (struct exec_result){0};
    int r = websocket_open(c, &wo, &s.ws, &refusal, err);
    ret->code = refusal.code;
    ret->status = refusal.status;
    if (r < 0)
        return r;
    if (o->tty)
        winch_fd = enter_terminal(&s, &before);
    pump(&s, winch_fd);
    leave_terminal(winch_fd, &before);
    r = conclude(&s, ret, err);
    websocket_free(s.ws);
    json_unref(s.status);
    return r;
}
