/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's standard input and output, and the peers attached to them. Output goes through output.c; input does
 * not pass through us: a peer that attaches is given the pipe's writing side, or the terminal's master, and writes
 * itself. Our own copy of it keeps the input open between peers.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "runtime/pod/output.h"
#include "runtime/pod/supervisor.h"

struct pod_attach {
    struct list link;
    struct pod *pod;
    struct pod_run *run;
    struct pod_peer *peer;
    char *id;
};

static struct pod_output_id output_id(const struct pod_run *run, enum pod_stream stream) {
    return (struct pod_output_id){run->container->config->name, run->number, stream};
}

/* The pipes belong to the container's user, so that programs not run by root may open /dev/stdin and /dev/stdout. */
static void give(const struct pod_run *run, int fd, const struct spec *spec) {
    const uint32_t base = run->pod->config->userns_base;

    if (fchown(fd, base + spec->process->user.uid, base + spec->process->user.gid) < 0)
        log_debug("container %s: its standard streams stay root's", run->container->config->name);
}

static int open_output(struct pod_run *run, enum pod_stream stream, const struct spec *spec, struct error *err) {
    struct pod_output_id id = output_id(run, stream);
    int fd = pod_output_new(&run->pod->loop, &run->pod->outputs, &id, err);

    if (fd >= 0)
        give(run, fd, spec);
    return fd;
}

static int open_input(struct pod_run *run, const struct spec *spec, struct error *err) {
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    (void) (fd_set_nonblock(pair[1], true) < 0);
    give(run, pair[0], spec);
    run->input_fd = pair[1];
    return pair[0];
}

int pod_stdio_open(struct pod_run *run, const struct spec *spec, int number, struct pod_stdio *ret, struct error *err) {
    bool input = run->container->config->input;

    *ret = (struct pod_stdio) POD_STDIO_INIT;
    run->number = number;
    run->tty = spec->process->terminal;
    run->input_given = false;
    if (run->tty)
        return 0;
    ret->fds[1] = open_output(run, POD_STREAM_STDOUT, spec, err);
    if (ret->fds[1] < 0)
        return ret->fds[1];
    /* One pipe for both keeps their lines in order. Whoever attaches to a program that takes input wants them apart. */
    ret->fds[2] = input ? open_output(run, POD_STREAM_STDERR, spec, err) : fcntl(ret->fds[1], F_DUPFD_CLOEXEC, 3);
    if (ret->fds[2] < 0)
        return input ? ret->fds[2] : error_set_errno(err, -errno, "cannot duplicate a descriptor");
    ret->fds[0] = input ? open_input(run, spec, err) : fcntl(run->pod->null_fd, F_DUPFD_CLOEXEC, 3);
    if (ret->fds[0] < 0)
        return input ? ret->fds[0] : error_set_errno(err, -errno, "cannot duplicate a descriptor");
    return 0;
}

void pod_stdio_finish(struct pod_stdio *stdio) {
    for (size_t i = 0; i < ARRAY_LEN(stdio->fds); i++)
        closep(&stdio->fds[i]);
    *stdio = (struct pod_stdio) POD_STDIO_INIT;
}

int pod_stdio_terminal(struct pod_run *run, struct error *err) {
    struct pod_output_id id = output_id(run, POD_STREAM_STDOUT);

    if (!run->tty)
        return 0;
    int r = pod_output_new_terminal(&run->pod->loop, &run->pod->outputs, &id, run->process.console_fd, err);
    if (r < 0)
        return r;
    run->input_fd = steal_fd(&run->process.console_fd);
    run->process.console_fd = -1;
    return 0;
}

/* --- attaching --- */

static void attach_free(struct pod_attach *a) {
    pod_output_untap(&a->pod->outputs, a);
    list_remove(&a->link);
    free(a->id);
    free(a);
}

static void tell(const struct pod_attach *a, struct json *o) {
    json_set(&o, "event", json_string("exec-exit"));
    json_set(&o, "id", json_string(a->id));
    pod_peer_send(a->peer, o, -1);
}

/* The peer did not read: see output.h. */
static void on_lost(void *owner) {
    struct pod_attach *a = owner;
    struct json *o = json_object();

    json_set(&o, "error", json_string("attached, but did not take the container's output in time"));
    tell(a, o);
    attach_free(a);
}

/* The descriptor that takes input: with stdinOnce our own is given away, so that the end of the peer's is the end. */
static int input_for_peer(struct pod_run *run) {
    if (run->input_fd < 0 || run->input_given)
        return -1;
    if (!run->container->config->input_once || run->tty)
        return fcntl(run->input_fd, F_DUPFD_CLOEXEC, 3);
    run->input_given = true;
    int fd = run->input_fd;
    run->input_fd = -1;
    return fd;
}

static int tap(struct pod_attach *a, enum pod_stream stream, int *take_fd, struct error *err) {
    struct pod_output_id id = output_id(a->run, stream);
    int fd = *take_fd;

    *take_fd = -1;
    return fd < 0 ? 0 : pod_output_tap(&a->pod->outputs, &id, fd, a, on_lost, err);
}

int pod_attach_start(struct pod_run *run, struct pod_peer *peer, const char *id, struct pod_attach_request *request,
                     struct error *err) {
    if (run->container->state != POD_RUNNING)
        return error_set(err, -ESRCH, "container %s is not running", run->container->config->name);
    struct pod_attach *a = xnew0(struct pod_attach);
    *a = (struct pod_attach){.pod = run->pod, .run = run, .peer = peer, .id = xstrdup(id)};
    list_append(&run->pod->attaches, &a->link);
    /* an output that the program closed is at its end: nothing will come, and the descriptor's closing says so */
    int r = tap(a, POD_STREAM_STDOUT, &request->stdout_fd, err);
    if (r == 0 || r == -ENOENT)
        r = tap(a, POD_STREAM_STDERR, &request->stderr_fd, err);
    if (r < 0 && r != -ENOENT) {
        attach_free(a);
        return r;
    }
    struct json *o = json_object();
    json_set(&o, "event", json_string("exec-started"));
    json_set(&o, "id", json_string(id));
    pod_peer_send(peer, o, request->input || run->tty ? input_for_peer(run) : -1);
    return 0;
}

int pod_attach_end(struct pod *pod, const struct pod_peer *peer, const char *id) {
    struct pod_attach *a;

    list_foreach(a, &pod->attaches, link) {
        if (a->peer == peer && strcmp(a->id, id) == 0) {
            attach_free(a);
            return 0;
        }
    }
    return -ESRCH;
}

void pod_attach_forget_peer(struct pod *pod, const struct pod_peer *peer) {
    struct pod_attach *a;

    list_foreach(a, &pod->attaches, link) {
        if (a->peer == peer)
            attach_free(a);
    }
}

/* What is still in the pipes reaches the peers: their taps stay until the output is at its end. */
void pod_stdio_ended(struct pod_run *run, const struct container_status *status) {
    struct pod_output_id out = output_id(run, POD_STREAM_STDOUT), errors = output_id(run, POD_STREAM_STDERR);
    struct pod_attach *a;

    closep(&run->input_fd);
    run->input_fd = -1;
    pod_output_container_ended(&run->pod->outputs, &out);
    pod_output_container_ended(&run->pod->outputs, &errors);
    list_foreach(a, &run->pod->attaches, link) {
        if (a->run != run)
            continue;
        struct json *o = json_object();
        json_set(&o, "exitCode", json_int(status ? container_status_code(status) : -1));
        json_set(&o, "signal", json_int(status ? status->signal : 0));
        tell(a, o);
        pod_output_disown(&run->pod->outputs, a);
        attach_free(a);
    }
}

void pod_attach_move(struct pod *pod, const struct pod_run *old_runs) {
    struct pod_attach *a;

    list_foreach(a, &pod->attaches, link) {
        a->run = &pod->runs[a->run - old_runs];
    }
}

void pod_attach_free_all(struct pod *pod) {
    struct pod_attach *a;

    list_foreach(a, &pod->attaches, link) {
        pod_output_disown(&pod->outputs, a);
        attach_free(a);
    }
}
