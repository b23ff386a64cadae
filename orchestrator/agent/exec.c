/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs run in containers for somebody far away, and containers' own programs attached to: descriptors on this side,
 * byte callbacks on the other. Of an exec the pod's supervisor gets the other ends of the pipes, so it never sees a
 * byte; of an attach it copies the output to us.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"

#define CHUNK           65536
#define LINGER_USEC     (1000 * 1000)
#define ATTACH_PIPE_MAX (1024 * 1024) /* what may wait for us before the supervisor thinks that we don't listen */

struct stream {
    struct agent_exec *exec;
    enum agent_exec_stream number;
    int fd;
    bool hung_up; /* a terminal said so once */
    sd_event_source *source;
};

struct agent_exec {
    struct list link; /* in pod->execs until its exit is known */
    sd_event *loop;
    struct agent_pod *pod; /* good while in its list */
    char *id;
    const struct agent_exec_callbacks *callbacks;
    void *userdata;
    bool tty, paused, input_ended, exited, told;
    bool no_input;           /* what is written is dropped */
    bool attach, input_once; /* input_once: the end of the input is the container's */
    struct stream outputs[2];
    int input_fd; /* the pipe, or a duplicate of the terminal */
    sd_event_source *input_source, *finish, *linger;
    struct strbuf input;
    int exit_code;
    char *error;
    unsigned rows, columns; /* asked for before the terminal is there */
};

/* The supervisor need not copy any more. */
static void detach(struct agent_exec *e) {
    struct json *op = json_object();

    json_set(&op, "op", json_string("detach"));
    json_set(&op, "id", json_string(e->id));
    (void) (channel_send(e->pod->channel, op, NULL, 0, NULL) < 0);
}

static void exec_free(struct agent_exec *e) {
    if (e->attach && !list_empty(&e->link) && e->pod->channel)
        detach(e);
    list_remove(&e->link);
    for (size_t i = 0; i < ARRAY_LEN(e->outputs); i++) {
        sd_event_source_disable_unref(e->outputs[i].source);
        closep(&e->outputs[i].fd);
    }
    sd_event_source_disable_unref(e->input_source);
    sd_event_source_disable_unref(e->finish);
    sd_event_source_disable_unref(e->linger);
    closep(&e->input_fd);
    strbuf_finish(&e->input);
    sd_event_unref(e->loop);
    free(e->id);
    free(e->error);
    free(e);
}

/* Tells the exit once, after the last byte. */
static int on_finish(sd_event_source *source, void *userdata) {
    struct agent_exec *e = userdata;

    if (!e->exited || e->outputs[0].fd >= 0 || e->outputs[1].fd >= 0 || e->told)
        return 0;
    e->told = true;
    e->callbacks->exit(e->userdata, e->exit_code, e->error);
    return 0;
}

static void check_finished(struct agent_exec *e) {
    (void) sd_event_source_set_enabled(e->finish, SD_EVENT_ONESHOT);
}

static void close_output(struct stream *s) {
    s->source = sd_event_source_disable_unref(s->source);
    closep(&s->fd);
    s->fd = -1;
    check_finished(s->exec);
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct stream *s = userdata;
    char chunk[CHUNK];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno == EIO && !s->hung_up) {
        /* A terminal whose other side is closed. The kernel looks for bytes before it looks for the hang-up: what was
         * written in between is still there. The hang-up stays readable, so we come here again. */
        s->hung_up = true;
        return 0;
    }
    if (n <= 0)
        close_output(s);
    else
        s->exec->callbacks->data(s->exec->userdata, s->number, chunk, (size_t) n);
    return 0;
}

static void input_drop(struct agent_exec *e) {
    e->input_source = sd_event_source_disable_unref(e->input_source);
    closep(&e->input_fd);
    e->input_fd = -1;
    strbuf_reset(&e->input);
}

static void ended(struct agent_exec *e, int exit_code, const char *error);

static int on_linger(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent_exec *e = userdata;

    if (!list_empty(&e->link) && e->pod->channel)
        detach(e);
    if (!e->exited)
        ended(e, 0, NULL);
    return 0;
}

/* Nothing more will be written. */
static void input_finish(struct agent_exec *e) {
    if (e->attach && (e->tty || !e->input_once)) { /* the end of the attach, not of the container's input */
        input_drop(e);
        /* what the container answers to the last line should still be seen */
        if (!e->linger &&
            sd_event_add_time_relative(e->loop, &e->linger, CLOCK_MONOTONIC, LINGER_USEC, 0, on_linger, e) < 0)
            ended(e, 0, NULL);
        return;
    }
    if (e->tty) /* a terminal has no half-close: its end-of-file character says it */
        (void) (write(e->input_fd, "\x04", 1) < 0);
    input_drop(e);
}

static void input_flush(struct agent_exec *e) {
    while (e->input.len > 0 && e->input_fd >= 0) {
        ssize_t n = write(e->input_fd, e->input.data, e->input.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            input_drop(e);
            return;
        }
        strbuf_consume(&e->input, (size_t) n);
    }
    if (e->input.len == 0 && e->input_ended && e->input_fd >= 0) {
        input_finish(e);
    } else if (e->input_source) {
        (void) sd_event_source_set_enabled(e->input_source, e->input.len > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
    }
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct agent_exec *e = userdata;
    bool was_full = e->input.len > AGENT_EXEC_BUFFER_HIGH;

    input_flush(e);
    if (was_full && e->input.len <= AGENT_EXEC_BUFFER_HIGH && e->callbacks->writable)
        e->callbacks->writable(e->userdata);
    return 0;
}

static int watch_output(struct agent_exec *e, size_t i, int take_fd, struct error *err) {
    struct stream *s = &e->outputs[i];

    *s = (struct stream){.exec = e, .number = i == 0 ? AGENT_EXEC_STDOUT : AGENT_EXEC_STDERR, .fd = take_fd};
    (void) fd_set_nonblock(s->fd, true);
    int r = sd_event_add_io(e->loop, &s->source, s->fd, EPOLLIN, on_output, s);
    if (r >= 0 && e->paused)
        r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
    return r < 0 ? error_set_errno(err, r, "cannot watch the output") : 0;
}

static int watch_input(struct agent_exec *e, int take_fd, struct error *err) {
    e->input_fd = take_fd;
    (void) fd_set_nonblock(e->input_fd, true);
    int r = sd_event_add_io(e->loop, &e->input_source, e->input_fd, EPOLLOUT, on_input, e);
    if (r >= 0)
        r = sd_event_source_set_enabled(e->input_source, SD_EVENT_OFF);
    return r < 0 ? error_set_errno(err, r, "cannot watch the input") : 0;
}

/* Of stdin, stdout and stderr, those wanted: our ends are watched, theirs returned. */
static int make_pipes(struct agent_exec *e, const struct agent_exec_options *o, int *theirs, size_t *n,
                      struct error *err) {
    const bool wanted[] = {o->stdin_ && !e->attach, o->stdout_, o->stderr_};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(wanted); i++) {
        int fds[2];
        if (!wanted[i])
            continue;
        if (pipe2(fds, O_CLOEXEC) < 0)
            return error_set_errno(err, -errno, "cannot make a pipe");
        theirs[(*n)++] = i == 0 ? fds[0] : fds[1];
        if (e->attach)
            (void) (fcntl(fds[1], F_SETPIPE_SZ, ATTACH_PIPE_MAX) < 0);
        r = i == 0 ? watch_input(e, fds[1], err) : watch_output(e, i - 1, fds[0], err);
    }
    return r;
}

static struct json *attach_request(const struct agent_exec *e, const struct agent_exec_options *o) {
    struct json *op = json_object();

    json_set(&op, "op", json_string("attach"));
    json_set(&op, "id", json_string(e->id));
    json_set(&op, "container", json_string(o->container));
    json_set(&op, "stdin", json_bool(o->stdin_));
    json_set(&op, "stdout", json_bool(o->stdout_));
    json_set(&op, "stderr", json_bool(o->stderr_));
    return op;
}

static struct json *exec_request(const struct agent_exec *e, const struct agent_exec_options *o) {
    struct json *op = json_object(), *args = json_array(), *env = json_array();

    for (char *const *a = o->args; *a; a++)
        json_append(&args, json_string(*a));
    if (o->tty)
        json_append(&env, json_string("TERM=xterm"));
    json_set(&op, "op", json_string("exec"));
    json_set(&op, "id", json_string(e->id));
    json_set(&op, "container", json_string(o->container));
    json_set(&op, "args", args);
    json_set(&op, "env", env);
    json_set(&op, "tty", json_bool(o->tty));
    json_set(&op, "stdin", json_bool(o->stdin_ && !o->tty));
    json_set(&op, "stdout", json_bool(o->stdout_ && !o->tty));
    json_set(&op, "stderr", json_bool(o->stderr_ && !o->tty));
    return op;
}

static const struct json *state_of(const struct agent_pod *pod, const char *name) {
    const struct json *list = json_get(pod->state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* stdinOnce of the container, as the control plane said it. */
static bool has_input_once(const struct agent_pod *pod, const char *name) {
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod->desired, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
                return json_bool_or(json_get(json_at(list, i), "stdinOnce"), false);
    }
    return false;
}

static int find_running(struct agent *agent, const struct agent_exec_options *o, struct agent_pod **ret,
                        struct error *err) {
    struct agent_pod *pod = agent_pod_by_uid(agent, o->uid);

    if (!pod || !pod->connected)
        return error_set(err, -ENOENT, "the pod is not running on this node");
    const struct json *container = state_of(pod, o->container);
    if (!container)
        return error_set(err, -ENOENT, "container %s not found in pod %s", o->container, pod->name);
    if (strcmp(json_str_or(json_get(container, "state"), ""), "running") != 0)
        return error_set(err, -EINVAL, "container %s is not running", o->container);
    *ret = pod;
    return 0;
}

static int open_stream(struct agent_pod *pod, bool attach, const struct agent_exec_options *o,
                       const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                       struct error *err) {
    struct agent *agent = pod->agent;
    int theirs[3];
    size_t n = 0;

    struct agent_exec *e = xnew0(struct agent_exec);
    *e = (struct agent_exec){.loop = sd_event_ref(agent->loop),
                             .pod = pod,
                             .attach = attach,
                             .input_once = attach && has_input_once(pod, o->container),
                             .callbacks = callbacks,
                             .userdata = userdata,
                             .tty = o->tty,
                             .input_fd = -1,
                             .outputs = {{.fd = -1}, {.fd = -1}}};
    e->id = xasprintf("%u", ++agent->next_exec);
    list_init(&e->link);
    int r = sd_event_add_defer(e->loop, &e->finish, on_finish, e);
    if (r >= 0)
        r = sd_event_source_set_enabled(e->finish, SD_EVENT_OFF);
    r = r < 0 ? error_set_errno(err, r, "cannot use the event loop") : 0;
    if (r == 0 && (attach || !o->tty))
        r = make_pipes(e, o, theirs, &n, err);
    if (r == 0)
        r = channel_send(pod->channel, attach ? attach_request(e, o) : exec_request(e, o), theirs, n, err);
    for (size_t i = 0; i < n; i++)
        closep(&theirs[i]);
    if (r < 0) {
        exec_free(e);
        return r;
    }
    list_append(&pod->execs, &e->link);
    *ret = e;
    return 0;
}

int agent_exec_open(struct agent *agent, const struct agent_exec_options *o,
                    const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                    struct error *err) {
    struct agent_pod *pod = NULL;
    int r = find_running(agent, o, &pod, err);

    if (r < 0)
        return r;
    if (!o->args || !o->args[0])
        return error_set(err, -EINVAL, "you must specify at least one command for the container");
    return open_stream(pod, false, o, callbacks, userdata, ret, err);
}

int agent_attach_open(struct agent *agent, const struct agent_exec_options *o,
                      const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                      struct error *err) {
    struct agent_pod *pod = NULL;
    int r = find_running(agent, o, &pod, err);

    if (r < 0)
        return r;
    /* supervisors outlive upgrades; those that cannot do this do not say it in their state */
    if (json_is_null(json_get(state_of(pod, o->container), "run")))
        return error_set(err, -EOPNOTSUPP,
                         "the pod was started by an earlier version: attaching works after a restart");
    return open_stream(pod, true, o, callbacks, userdata, ret, err);
}

static struct agent_exec *find(struct agent_pod *pod, const char *id) {
    struct agent_exec *e;

    list_foreach(e, &pod->execs, link) {
        if (strcmp(e->id, id) == 0)
            return e;
    }
    return NULL;
}

/* take_fd: what the container's input is written to, -1 when it takes none (any more). */
static void attached(struct agent_exec *e, int take_fd) {
    e->tty = take_fd >= 0 && isatty(take_fd);
    if (take_fd < 0 || watch_input(e, take_fd, NULL) < 0) {
        strbuf_reset(&e->input);
        e->no_input = true;
        return;
    }
    if (e->rows > 0)
        agent_exec_resize(e, e->columns, e->rows);
    input_flush(e);
}

void agent_exec_started(struct agent_pod *pod, const char *id, int take_console_fd) {
    _cleanup_close_ int console = take_console_fd;
    struct agent_exec *e = find(pod, id);

    if (e && e->attach) {
        attached(e, steal_fd(&console));
        return;
    }
    if (!e || console < 0)
        return;
    int copy = fcntl(console, F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || watch_input(e, copy, NULL) < 0 || watch_output(e, 0, steal_fd(&console), NULL) < 0)
        return;
    if (e->rows > 0)
        agent_exec_resize(e, e->columns, e->rows);
    input_flush(e);
}

static void ended(struct agent_exec *e, int exit_code, const char *error) {
    list_remove(&e->link);
    e->exited = true;
    e->exit_code = error ? -1 : exit_code;
    e->error = error ? xstrdup(error) : NULL;
    input_drop(e);
    if (error) /* nothing can come any more */
        for (size_t i = 0; i < ARRAY_LEN(e->outputs); i++)
            close_output(&e->outputs[i]);
    check_finished(e);
}

void agent_exec_ended(struct agent_pod *pod, const char *id, int exit_code, const char *error) {
    struct agent_exec *e = find(pod, id);

    if (e)
        ended(e, exit_code, error);
}

void agent_exec_abandon(struct agent_pod *pod, const char *why) {
    while (!list_empty(&pod->execs)) {
        struct agent_exec *e = list_entry(pod->execs.next, struct agent_exec, link);
        ended(e, -1, why);
    }
}

size_t agent_exec_write(struct agent_exec *e, const void *p, size_t n) {
    if (e->exited || e->input_ended || e->no_input)
        return 0;
    strbuf_add(&e->input, p, n);
    input_flush(e);
    return e->input.len;
}

void agent_exec_write_end(struct agent_exec *e) {
    e->input_ended = true;
    if (e->input_fd >= 0)
        input_flush(e);
}

void agent_exec_resize(struct agent_exec *e, unsigned columns, unsigned rows) {
    struct winsize size = {.ws_col = (unsigned short) columns, .ws_row = (unsigned short) rows};

    e->columns = columns;
    e->rows = rows;
    int fd = e->attach ? e->input_fd : e->outputs[0].fd;
    if (e->tty && fd >= 0)
        (void) ioctl(fd, TIOCSWINSZ, &size);
}

void agent_exec_pause(struct agent_exec *e, bool paused) {
    e->paused = paused;
    for (size_t i = 0; i < ARRAY_LEN(e->outputs); i++)
        if (e->outputs[i].source)
            (void) sd_event_source_set_enabled(e->outputs[i].source, paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

void agent_exec_close(struct agent_exec *e) {
    if (e)
        exec_free(e);
}

void agent_exec_kill(struct agent_exec *e, int signal) {
    struct json *op = json_object();

    json_set(&op, "op", json_string("exec-kill"));
    json_set(&op, "id", json_string(e->id));
    json_set(&op, "signal", json_int(signal));
    if (e->exited || list_empty(&e->link) || !e->pod->channel)
        json_unref(op);
    else if (channel_send(e->pod->channel, op, NULL, 0, NULL) < 0)
        log_debug("a program in pod %s/%s is left to end by itself", e->pod->namespace, e->pod->name);
}
