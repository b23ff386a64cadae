/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/images/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"

#define ANSWER_BYTES_MAX (1024u * 1024u)

struct image_worker {
    pid_t pid;
    int pidfd, out;
    sd_event_source *ended, *readable;
    struct strbuf input;
    struct json *last; /* the line that ends it */
    const struct image_worker_callbacks *callbacks;
    void *userdata;
};

void image_worker_free(struct image_worker *w) {
    if (!w)
        return;
    sd_event_source_disable_unref(w->ended);
    sd_event_source_disable_unref(w->readable);
    if (w->pid > 0) {
        (void) kill(-w->pid, SIGKILL);
        (void) waitpid(w->pid, NULL, 0);
    }
    closep(&w->pidfd);
    closep(&w->out);
    strbuf_finish(&w->input);
    json_unref(w->last);
    free(w);
}

static void take_line(struct image_worker *w, const char *line, size_t n) {
    _cleanup_json_ struct json *doc = NULL;

    if (json_parse(line, n, NULL, &doc, NULL) < 0)
        return;
    const struct json *progress = json_get(doc, "progress");
    if (!progress) {
        json_unref(w->last);
        w->last = steal(&doc);
    } else if (w->callbacks->progress) {
        w->callbacks->progress(w->userdata, progress);
    }
}

/* Reads what is there. Returns whether there may be more. */
static bool read_some(struct image_worker *w) {
    char buffer[16384];
    ssize_t n = read(w->out, buffer, sizeof(buffer));

    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (w->input.len + (size_t) n > ANSWER_BYTES_MAX)
        strbuf_reset(&w->input);
    strbuf_add(&w->input, buffer, (size_t) n);
    for (char *end; (end = memchr(w->input.data, '\n', w->input.len));) {
        size_t line = (size_t) (end - w->input.data);
        take_line(w, w->input.data, line);
        strbuf_consume(&w->input, line + 1);
    }
    return true;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    if (!read_some(userdata))
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct image_worker *w = userdata;
    int status = 0;

    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    while (read_some(w))
        ;
    (void) waitpid(w->pid, &status, 0);
    w->pid = 0;
    _cleanup_json_ struct json *last = json_ref(w->last);
    const struct json *ok = json_get(last, "ok"), *error = json_get(last, "error");
    char text[64];
    if (ok) {
        w->callbacks->done(w->userdata, ok, 0, NULL);
    } else if (error) {
        w->callbacks->done(w->userdata, NULL, (int) json_int_or(json_get(error, "code"), -EIO),
                           json_str_or(json_get(error, "text"), "no reason given"));
    } else {
        (void) snprintf(text, sizeof(text), "the image worker ended unexpectedly (%s %d)",
                        WIFSIGNALED(status) ? "signal" : "exit code",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        w->callbacks->done(w->userdata, NULL, -EIO, text);
    }
    return 0; /* the worker is gone */
}

/* The request as a file whose reading starts at its beginning. */
static int request_file(const struct json *request, struct error *err) {
    _cleanup_free_ char *text = json_to_text(request);
    _cleanup_close_ int fd = memfd_create("request", MFD_CLOEXEC);

    int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
    explicit_bzero(text, strlen(text));
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot make a file in memory") : steal_fd(&fd);
}

static int spawn(struct image_worker *w, const char *program, int request, int out) {
    char *const argv[] = {(char *) "podium", (char *) "image-worker", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipes;

    (void) posix_spawn_file_actions_init(&actions);
    (void) posix_spawnattr_init(&attributes);
    (void) posix_spawn_file_actions_adddup2(&actions, request, STDIN_FILENO);
    (void) posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    (void) sigemptyset(&none);
    (void) sigemptyset(&pipes);
    (void) sigaddset(&pipes, SIGPIPE);
    (void) posix_spawnattr_setsigmask(&attributes, &none);
    (void) posix_spawnattr_setsigdefault(&attributes, &pipes);
    (void) posix_spawnattr_setpgroup(&attributes, 0);
    (void) posix_spawnattr_setflags(&attributes,
                                    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawn(&w->pid, program ? program : "/proc/self/exe", &actions, &attributes, argv, environ);
    (void) posix_spawn_file_actions_destroy(&actions);
    (void) posix_spawnattr_destroy(&attributes);
    if (r != 0)
        w->pid = 0;
    return -r;
}

int image_worker_start(sd_event *loop, const char *program, const struct json *request,
                       const struct image_worker_callbacks *callbacks, void *userdata, struct image_worker **ret,
                       struct error *err) {
    _cleanup_(image_worker_freep) struct image_worker *w = xnew0(struct image_worker);
    int out[2];

    w->pidfd = w->out = -EBADF;
    w->callbacks = callbacks;
    w->userdata = userdata;
    _cleanup_close_ int file = request_file(request, err);
    if (file < 0)
        return file;
    if (pipe2(out, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    w->out = out[0];
    _cleanup_close_ int out_w = out[1];
    int r = spawn(w, program, file, out_w);
    if (r < 0)
        return error_set_errno(err, r, "cannot start the image worker");
    w->pidfd = (int) syscall(SYS_pidfd_open, w->pid, 0);
    if (w->pidfd < 0)
        return error_set_errno(err, -errno, "cannot watch the image worker");
    (void) fd_set_nonblock(w->out, true);
    r = sd_event_add_io(loop, &w->readable, w->out, EPOLLIN, on_readable, w);
    if (r >= 0)
        r = sd_event_add_io(loop, &w->ended, w->pidfd, EPOLLIN, on_ended, w);
    if (r < 0)
        return error_set_errno(err, r, "cannot use the event loop");
    *ret = steal(&w);
    return 0;
}
