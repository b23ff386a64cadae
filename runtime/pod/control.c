/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: who connects is told everything at once, afterwards what changes. A peer that does not read is
 * never waited for: the newest state replaces older ones it has not read, and past PEER_QUEUE_MAX it is hung up on.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/runtime.h"
#include "runtime/pod/supervisor.h"

#define PEER_QUEUE_MAX    256
#define PEERS_MAX         16
#define MESSAGE_FDS_MAX   4
#define EXEC_ARGS_MAX     4096
#define GRACE_MAX_SECONDS (10 * 365 * 86400)

struct pod_message {
    struct list link;
    char *text;
    int fd;
};

static void message_free(struct pod_message *m) {
    list_remove(&m->link);
    closep(&m->fd);
    free(m->text);
    free(m);
}

static void peer_free(struct pod_peer *peer) {
    struct pod_message *m;
    int fd = peer->watch.fd;

    pod_exec_forget_peer(peer->pod, peer);
    pod_attach_forget_peer(peer->pod, peer);
    pod_loop_remove(&peer->pod->loop, &peer->watch);
    closep(&fd);
    list_foreach(m, &peer->queue, link) message_free(m);
    list_remove(&peer->link);
    free(peer);
}

/* Sends what the socket takes; -EAGAIN when some is left, another error when the peer is gone. */
static int peer_flush(struct pod_peer *peer) {
    struct pod_message *m;

    list_foreach(m, &peer->queue, link) {
        ssize_t n = fd_send_message(peer->watch.fd, m->text, strlen(m->text), &m->fd, m->fd >= 0 ? 1 : 0);
        if (n == -EMSGSIZE) { /* cannot ever be sent; the state file has it */
            log_warning("control: a message of %zu bytes is too long", strlen(m->text));
        } else if (n < 0) {
            return (int) n;
        }
        message_free(m);
        peer->n_queue--;
    }
    return 0;
}

void pod_peer_send(struct pod_peer *peer, struct json *take, int take_fd) {
    struct pod_message *m = xnew0(struct pod_message);

    *m = (struct pod_message){.text = json_to_text(take), .fd = take_fd};
    list_append(&peer->queue, &m->link);
    peer->n_queue++;
    json_unref(take);
    int r = peer_flush(peer);
    /* a dead peer is taken away by its own hang-up event: it may be in use further up */
    if (r == -EAGAIN && peer->n_queue > PEER_QUEUE_MAX)
        (void) shutdown(peer->watch.fd, SHUT_RDWR);
    pod_loop_set_events(&peer->pod->loop, &peer->watch, EPOLLIN | (r == -EAGAIN ? EPOLLOUT : 0));
}

void pod_control_broadcast_state(struct pod *pod, const struct json *state) {
    struct pod_peer *peer;

    list_foreach(peer, &pod->peers, link) {
        if (peer->n_queue > 0) {
            peer->behind = true;
            continue;
        }
        struct json *event = json_ref(state);
        json_set(&event, "event", json_string("state"));
        pod_peer_send(peer, event, -1);
    }
}

/* --- messages to us --- */

struct request {
    const struct json *doc;
    int fds[MESSAGE_FDS_MAX];
    size_t n_fds;
};

static char **string_vector(const struct json *array) {
    char **v = strv_new();

    for (size_t i = 0; i < json_len(array) && i < EXEC_ARGS_MAX; i++)
        if (json_str(json_at(array, i)))
            strv_push_dup(&v, json_str(json_at(array, i)));
    return v;
}

static struct pod_run *find_run(struct pod *pod, const char *name) {
    for (size_t i = 0; name && i < pod->model.n; i++)
        if (strcmp(pod->config->containers[i].name, name) == 0)
            return &pod->runs[i];
    return NULL;
}

static int op_network(struct pod_peer *peer, struct request *q, struct error *err) {
    if (!peer->pod->model.network_ready) {
        peer->pod->model.network_ready = true;
        peer->pod->changed = true;
    }
    return 0;
}

static int64_t grace_of(const struct pod *pod, const struct json *doc) {
    int64_t grace = json_int_or(json_get(doc, "gracePeriodSeconds"), pod->config->grace_seconds);
    return grace > GRACE_MAX_SECONDS ? GRACE_MAX_SECONDS : grace < 0 ? 0 : grace;
}

static int op_stop(struct pod_peer *peer, struct request *q, struct error *err) {
    pod_stop(peer->pod, grace_of(peer->pod, q->doc));
    return 0;
}

static int op_restart(struct pod_peer *peer, struct request *q, struct error *err) {
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));
    const char *message = json_str(json_get(q->doc, "message"));

    if (!run || run->container->state != POD_RUNNING)
        return error_set(err, -ESRCH, "no such container, or it is not running");
    free(run->end_reason);
    run->end_reason = message ? xstrdup(message) : NULL;
    run->container->restart_asked = true;
    pod_run_end(run, now_monotonic_usec() + (uint64_t) grace_of(peer->pod, q->doc) * USEC_PER_SEC);
    return 0;
}

static int op_resize(struct pod_peer *peer, struct request *q, struct error *err) {
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));

    return run ? pod_run_resize(run, err) : error_set(err, -ESRCH, "no such container");
}

static int op_started(struct pod_peer *peer, struct request *q, struct error *err) {
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));

    if (!run)
        return error_set(err, -ESRCH, "no such container");
    /* a word about an earlier run is late, not wrong */
    if (run->container->state != POD_RUNNING || run->container->probed ||
        strcmp(json_str_or(json_get(q->doc, "containerID"), ""), run->container->id) != 0)
        return 0;
    pod_container_probed(run->container);
    peer->pod->changed = true;
    return 0;
}

static const char *hook_name(enum pod_exec_kind kind) {
    return kind == POD_EXEC_POST_START ? "postStart" : "preStop";
}

static struct json *hook_event(const struct pod_run *run, const char *event, enum pod_exec_kind kind) {
    struct json *o = json_object();

    json_set(&o, "event", json_string(event));
    json_set(&o, "container", json_string(run->container->config->name));
    json_set(&o, "containerID", json_string(run->container->id));
    json_set(&o, "hook", json_string(hook_name(kind)));
    return o;
}

void pod_control_ask_hook(struct pod_run *run) {
    struct pod_peer *peer;

    list_foreach(peer, &run->pod->peers, link) pod_peer_send(peer, hook_event(run, "hook", run->hook_asked), -1);
}

void pod_control_hook_failed(struct pod_run *run, enum pod_exec_kind kind, const char *message) {
    struct pod_peer *peer;

    list_foreach(peer, &run->pod->peers, link) {
        struct json *o = hook_event(run, "hook-failed", kind);
        json_set(&o, "message", json_string(message));
        pod_peer_send(peer, o, -1);
    }
}

static int op_hook_done(struct pod_peer *peer, struct request *q, struct error *err) {
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));

    if (!run)
        return error_set(err, -ESRCH, "no such container");
    enum pod_exec_kind kind = run->hook_asked;
    if (kind == POD_EXEC_PEER || strcmp(json_str_or(json_get(q->doc, "hook"), ""), hook_name(kind)) != 0 ||
        strcmp(json_str_or(json_get(q->doc, "containerID"), ""), run->container->id) != 0)
        return 0;
    run->hook_asked = POD_EXEC_PEER;
    pod_run_hook_done(run, kind, json_str(json_get(q->doc, "error")));
    return 0;
}

static void tell_exec_failed(struct pod_peer *peer, const char *id, const char *message) {
    struct json *o = json_object();

    json_set(&o, "event", json_string("exec-exit"));
    json_set(&o, "id", json_string(id));
    json_set(&o, "error", json_string(message));
    pod_peer_send(peer, o, -1);
}

static int take_stdio(struct request *q, struct pod_exec_request *request, struct error *err) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    size_t next = 0;

    if (request->tty)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (!json_bool_or(json_get(q->doc, names[i]), false))
            continue;
        if (next >= q->n_fds)
            return error_set(err, -EINVAL, "%s: no descriptor came with the message", names[i]);
        request->stdio[i] = q->fds[next++];
    }
    return 0;
}

static int op_exec(struct pod_peer *peer, struct request *q, struct error *err) {
    const char *id = json_str_or(json_get(q->doc, "id"), "");
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));
    _cleanup_strv_ char **args = string_vector(json_get(q->doc, "args"));
    _cleanup_strv_ char **env = string_vector(json_get(q->doc, "env"));
    struct pod_exec_request request = {
        .args = args,
        .env = env,
        .tty = json_bool_or(json_get(q->doc, "tty"), false),
        .rows = (unsigned short) json_int_or(json_get(q->doc, "rows"), 0),
        .columns = (unsigned short) json_int_or(json_get(q->doc, "columns"), 0),
        .stdio = {-1, -1, -1},
    };
    int console = -1, r = 0;

    if (!run)
        r = error_set(err, -ENOENT, "no such container");
    if (r == 0 && !args[0])
        r = error_set(err, -EINVAL, "no command");
    if (r == 0)
        r = take_stdio(q, &request, err);
    if (r == 0)
        r = pod_exec_start(run, POD_EXEC_PEER, peer, id, &request, &console, err);
    if (r < 0) {
        tell_exec_failed(peer, id, error_text(err, r));
        return 0;
    }
    struct json *o = json_object();
    json_set(&o, "event", json_string("exec-started"));
    json_set(&o, "id", json_string(id));
    pod_peer_send(peer, o, console);
    return 0;
}

/* The descriptors for what is wanted of stdout and stderr, in this order; what is not taken stays the request's. */
static int op_attach(struct pod_peer *peer, struct request *q, struct error *err) {
    const char *id = json_str_or(json_get(q->doc, "id"), "");
    struct pod_run *run = find_run(peer->pod, json_str(json_get(q->doc, "container")));
    struct pod_attach_request request = {
        .input = json_bool_or(json_get(q->doc, "stdin"), false),
        .stdout_fd = -1,
        .stderr_fd = -1,
    };
    bool out = json_bool_or(json_get(q->doc, "stdout"), false),
         errors = json_bool_or(json_get(q->doc, "stderr"), false);
    int r = 0;

    if (!run)
        r = error_set(err, -ENOENT, "no such container");
    if (r == 0 && q->n_fds < (size_t) (out + errors))
        r = error_set(err, -EINVAL, "a descriptor is missing");
    if (r == 0) {
        size_t next = 0;
        if (out)
            request.stdout_fd = steal_fd(&q->fds[next++]);
        if (errors)
            request.stderr_fd = steal_fd(&q->fds[next++]);
        r = pod_attach_start(run, peer, id, &request, err);
    }
    if (r < 0)
        tell_exec_failed(peer, id, error_text(err, r));
    return 0;
}

static int op_reload(struct pod_peer *peer, struct request *q, struct error *err) {
    return pod_reload(peer->pod, err);
}

static int op_detach(struct pod_peer *peer, struct request *q, struct error *err) {
    /* unknown: it ended at the same time */
    (void) (pod_attach_end(peer->pod, peer, json_str_or(json_get(q->doc, "id"), "")) < 0);
    return 0;
}

static int op_exec_kill(struct pod_peer *peer, struct request *q, struct error *err) {
    int r = pod_exec_kill(peer->pod, peer, json_str_or(json_get(q->doc, "id"), ""),
                          (int) json_int_or(json_get(q->doc, "signal"), 9));
    return r < 0 ? error_set_errno(err, r, "cannot signal") : 0;
}

static const struct {
    const char *name;
    int (*fn)(struct pod_peer *peer, struct request *q, struct error *err);
} ops[] = {
    {"network", op_network},     {"stop", op_stop},           {"restart", op_restart}, {"exec", op_exec},
    {"exec-kill", op_exec_kill}, {"attach", op_attach},       {"reload", op_reload},   {"detach", op_detach},
    {"started", op_started},     {"hook-done", op_hook_done}, {"resize", op_resize},
};

static void handle(struct pod_peer *peer, const char *text, size_t n, struct request *q) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = json_parse(text, n, NULL, &doc, &err);
    const char *op = json_str_or(json_get(doc, "op"), "");
    q->doc = doc;
    if (r == 0)
        r = error_set(&err, -EOPNOTSUPP, "unknown op");
    for (size_t i = 0; r == -EOPNOTSUPP && i < ARRAY_LEN(ops); i++)
        if (strcmp(op, ops[i].name) == 0) {
            error_clear(&err);
            r = ops[i].fn(peer, q, &err);
            break;
        }
    if (r < 0) {
        struct json *o = json_object();
        json_set(&o, "event", json_string("error"));
        json_set(&o, "op", json_string(op));
        json_set(&o, "message", json_string(error_text(&err, r)));
        pod_peer_send(peer, o, -1);
    }
}

/* --- sockets --- */

static void on_peer(void *userdata, uint32_t events) {
    struct pod_peer *peer = userdata;

    if (events & EPOLLOUT) {
        int r = peer_flush(peer);
        if (r < 0 && r != -EAGAIN) {
            peer_free(peer);
            return;
        }
        pod_loop_set_events(&peer->pod->loop, &peer->watch, EPOLLIN | (r == -EAGAIN ? EPOLLOUT : 0));
        if (r == 0 && peer->behind) {
            peer->behind = false;
            peer->pod->changed = true;
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        _cleanup_free_ char *text = xmalloc(POD_MESSAGE_MAX);
        struct request q = {.n_fds = MESSAGE_FDS_MAX};
        ssize_t n = fd_recv_message(peer->watch.fd, text, POD_MESSAGE_MAX, q.fds, &q.n_fds);

        if (n == -EAGAIN || n == -EINTR)
            return;
        if (n <= 0) {
            peer_free(peer);
            return;
        }
        handle(peer, text, (size_t) n, &q);
        for (size_t i = 0; i < q.n_fds; i++)
            closep(&q.fds[i]);
    }
}

static bool is_welcome(const struct pod *pod, int fd) {
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    struct pod_peer *p;
    size_t n = 0;

    list_foreach(p, &pod->peers, link) n++;
    return n < PEERS_MAX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

static void on_listen(void *userdata, uint32_t events) {
    struct pod *pod = userdata;
    _cleanup_close_ int fd = accept4(pod->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 || !is_welcome(pod, fd))
        return;
    struct pod_peer *peer = xnew0(struct pod_peer);
    *peer = (struct pod_peer){.pod = pod, .watch = POD_WATCH_INIT};
    list_init(&peer->queue);
    list_append(&pod->peers, &peer->link);
    if (pod_loop_add(&pod->loop, &peer->watch, fd, EPOLLIN, on_peer, peer, NULL) < 0) {
        peer_free(peer);
        return;
    }
    (void) steal_fd(&fd); /* the peer's now, through its watch */
    struct json *sandbox = json_object();
    json_set(&sandbox, "event", json_string("sandbox"));
    json_set(&sandbox, "uid", json_string(pod->config->uid));
    json_set(&sandbox, "hostNetwork", json_bool(pod->config->host_network));
    pod_peer_send(peer, sandbox, fcntl(pod->sandbox.netns_fd, F_DUPFD_CLOEXEC, 3)); /* no container inherits it */
    struct json *state = pod_record_make(&pod->model, &pod->record);
    json_set(&state, "event", json_string("state"));
    pod_peer_send(peer, state, -1);
    for (size_t i = 0; i < pod->model.n; i++)
        if (pod->runs[i].hook_asked != POD_EXEC_PEER)
            pod_peer_send(peer, hook_event(&pod->runs[i], "hook", pod->runs[i].hook_asked), -1);
}

int pod_control_open(struct pod *pod, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(pod->control_path);

    if (n >= sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG, "%s is too long for a socket", pod->control_path);
    memcpy(address.sun_path, pod->control_path, n);
    (void) unlink(pod->control_path);
    pod->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (pod->listen_fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    mode_t mask = umask(0177);
    int r = bind(pod->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
    (void) umask(mask);
    if (r == 0 && listen(pod->listen_fd, PEERS_MAX) < 0)
        r = -errno;
    if (r < 0)
        return error_set_errno(err, r, "cannot listen on %s", pod->control_path);
    return pod_loop_add(&pod->loop, &pod->listen_watch, pod->listen_fd, EPOLLIN, on_listen, pod, err);
}

void pod_control_close(struct pod *pod) {
    struct pod_peer *peer;

    list_foreach(peer, &pod->peers, link) peer_free(peer);
    if (pod->listen_fd >= 0) {
        pod_loop_remove(&pod->loop, &pod->listen_watch);
        closep(&pod->listen_fd);
        pod->listen_fd = -1;
        (void) unlink(pod->control_path);
    }
}
