/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/creation.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "runtime/verbs/creation_group.h"

#define PRESERVE_FDS_MAX 1024

bool parse_preserve_fds(const char *value, int *ret) {
    char *end;
    long n = strtol(value, &end, 10);

    *ret = (int) n;
    return *value && !*end && n >= 0 && n <= PRESERVE_FDS_MAX;
}

int preserve_fds_check(int n, struct error *err) {
    for (int i = 0; i < n; i++)
        if (fcntl(3 + i, F_GETFD) < 0)
            return error_set(err, -EBADF, "--preserve-fds: %d are to be passed on, but descriptor %d is not open", n,
                             3 + i);
    return 0;
}

/* Descriptors that a service manager has given us (sd_listen_fds(3)) are the container's: the first ones. */
static int count_listen_fds(int *ret, struct error *err) {
    const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

    *ret = 0;
    if (!n || !pid || strtol(pid, NULL, 10) != getpid())
        return 0;
    return parse_preserve_fds(n, ret)
               ? 0
               : error_set(err, -EINVAL, "LISTEN_FDS=%s is not a number of descriptors up to %d", n, PRESERVE_FDS_MAX);
}

static void tell_listen_fds(struct spec_process *process, int n) {
    const char *names = getenv("LISTEN_FDNAMES");

    if (n == 0)
        return;
    strv_push(&process->env, xasprintf("LISTEN_FDS=%d", n));
    strv_push_dup(&process->env, "LISTEN_PID=1");
    if (names)
        strv_push(&process->env, xasprintf("LISTEN_FDNAMES=%s", names));
}

bool creation_option(struct creation_options *o, int option, const char *value) {
    switch (option) {
    case 'b':
        o->bundle = value;
        return true;
    case 'f':
        o->config = value;
        return true;
    case CREATION_PIDFD_SOCKET:
        o->pidfd_socket = value;
        return true;
    case CREATION_PID_FILE:
        o->pid_file = value;
        return true;
    case CREATION_CONSOLE_SOCKET:
        o->console_socket = value;
        return true;
    case CREATION_PRESERVE_FDS:
        return parse_preserve_fds(value, &o->preserve_fds);
    case CREATION_NO_PIVOT:
        o->no_pivot = true;
        return true;
    case CREATION_NO_NEW_KEYRING:
        o->no_new_keyring = true;
        return true;
    case CREATION_NO_SUBREAPER: /* we never become one */
        return true;
    default:
        return false;
    }
}

static char *now_text(void) {
    struct timespec ts;
    struct tm tm;
    char text[32];

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    (void) gmtime_r(&ts.tv_sec, &tm);
    (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    return xasprintf("%s.%09ldZ", text, ts.tv_nsec);
}

static char *absolute(const char *path) {
    if (path[0] == '/')
        return xstrdup(path);
    _cleanup_free_ char *here = getcwd(NULL, 0);
    return strcmp(path, ".") == 0 ? xstrdup(here ? here : "/") : path_join(here ? here : "/", path);
}

static int load_config(const struct baton *b, const struct creation_options *o, struct creation *c, struct error *err) {
    c->state.bundle = absolute(o->bundle ? o->bundle : ".");
    _cleanup_free_ char *file = o->config ? absolute(o->config) : path_join(c->state.bundle, "config.json");
    int r = json_parse_file(file, CONFIG_JSON_BYTES_MAX, &c->state.config, err);

    if (r < 0)
        return r;
    if ((r = spec_parse(c->state.config, &c->spec, err)) < 0)
        return error_prefix(err, r, "%s", file);
    if (!c->spec->process)
        return error_set(err, -EINVAL, "%s: process is missing", file);
    if (!c->spec->root_path)
        return error_set(err, -EINVAL, "%s: root is missing", file);
    baton_warn_capabilities(b, c->spec->process);
    c->state.created = now_text();
    c->state.rootfs =
        c->spec->root_path[0] == '/' ? xstrdup(c->spec->root_path) : path_join(c->state.bundle, c->spec->root_path);
    tell_listen_fds(c->spec->process, c->n_fds - o->preserve_fds);
    if (c->spec->process->terminal && o->detached && !o->console_socket)
        return error_set(err, -EINVAL, "process.terminal needs --console-socket when detached");
    if (o->console_socket && !c->spec->process->terminal)
        return error_set(err, -EINVAL, "--console-socket needs process.terminal");
    return 0;
}

static int listen_for_start(const struct state_dir *dir, int *ret, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    /* by descriptor, for the path may be longer than an address can be */
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" STATE_START_SOCKET, dir->fd);
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        return error_set_errno(err, -errno, "cannot make the start socket");
    *ret = steal_fd(&fd);
    return 0;
}

/* When the namespaces exist: the group's owner, then prestart and createRuntime hooks. */
static int namespaces_ready(void *userdata, pid_t pid, struct error *err) {
    struct creation *c = userdata;
    int r;

    c->state.pid = pid;
    if (creation_group_is_given(c->spec) && (r = creation_group_give(c, pid, err)) < 0)
        return r;
    _cleanup_json_ struct json *doc = state_document(&c->dir, &c->state, STATE_CREATING);
    if ((r = container_run_hooks(c->spec, SPEC_HOOK_PRESTART, doc, err)) < 0)
        return r;
    return container_run_hooks(c->spec, SPEC_HOOK_CREATE_RUNTIME, doc, err);
}

static int make_process(const struct baton *b, const struct creation_options *o, struct creation *c,
                        struct error *err) {
    _cleanup_close_ int listen_fd = -1, console_fd = -1;
    _cleanup_json_ struct json *doc = state_document(&c->dir, &c->state, STATE_CREATING);
    int preserved[2 * PRESERVE_FDS_MAX];
    struct container_params p = CONTAINER_PARAMS_INIT;
    int r;

    if ((o->start_later && (r = listen_for_start(&c->dir, &listen_fd, err)) < 0) ||
        (o->console_socket && (r = console_fd = unix_connect(o->console_socket, err)) < 0))
        return r;
    for (int i = 0; i < c->n_fds; i++)
        preserved[i] = 3 + i;
    p.spec = c->spec;
    p.id = o->id;
    p.bundle = c->state.bundle;
    p.cgroup_fd = c->cgroup.fd;
    p.console_socket_fd = console_fd;
    p.extra_fds = preserved;
    p.n_extra_fds = (size_t) c->n_fds;
    p.new_session = true;
    p.keep_keyring = o->no_new_keyring;
    p.no_pivot = o->no_pivot;
    p.start_listen_fd = listen_fd;
    _cleanup_free_ char *filters = path_join(b->root, STATE_SECCOMP_FOLDER);
    p.seccomp_folder = filters;
    p.state = doc;
    p.tasks_fds = c->rdt.tasks;
    p.n_tasks_fds = ARRAY_LEN(c->rdt.tasks);
    p.userdata = c;
    if (c->spec->hooks[SPEC_HOOK_PRESTART].n > 0 || c->spec->hooks[SPEC_HOOK_CREATE_RUNTIME].n > 0 ||
        creation_group_is_given(c->spec))
        p.namespaces_ready = namespaces_ready;
    c->attempted = true;
    r = container_create(&p, &c->process, err);
    creation_group_settle(c);
    return r;
}

int send_pidfd(const char *path, int pidfd, struct error *err) {
    static const char name[] = "pidfd";
    _cleanup_close_ int sock = unix_connect(path, err);

    if (sock < 0)
        return error_prefix(err, sock, "--pidfd-socket");
    ssize_t n = fd_send_message(sock, name, strlen(name), &pidfd, 1);
    return n < 0 ? error_set_errno(err, (int) n, "--pidfd-socket: cannot send to %s", path) : 0;
}

static int record(const struct creation_options *o, struct creation *c, struct error *err) {
    int r;

    c->state.pid = c->process.pid;
    if ((r = state_pid_start(c->process.pid, &c->state.pid_start)) < 0)
        return error_set_errno(err, r, "cannot read when the container's process was started");
    if (o->pid_file) {
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", (int) c->process.pid);

        if ((r = file_write_atomic(o->pid_file, text, (size_t) n, 0644, false, err)) < 0)
            return r;
        c->pid_file = o->pid_file;
    }
    if ((o->pidfd_socket && (r = send_pidfd(o->pidfd_socket, c->process.pidfd, err)) < 0) ||
        (r = state_write_process(&c->dir, &c->state, err)) < 0)
        return r;
    return o->start_later ? container_confirm(&c->process, err) : 0;
}

static int make_rdt(struct creation *c, struct error *err) {
    if (!c->spec->rdt)
        return 0;
    c->rdt_root = rdt_open_root(err);
    return c->rdt_root < 0 ? c->rdt_root : rdt_make(c->rdt_root, c->spec->rdt, c->dir.id, &c->rdt, err);
}

static int run_poststop_hooks(const struct baton *b, const struct state_dir *dir, const struct state *state,
                              struct error *err) {
    _cleanup_(spec_freep) struct spec *spec = NULL;
    int r;

    if (json_len(json_path(state->config, "hooks", "poststop")) == 0)
        return 0;
    if ((r = spec_parse(state->config, &spec, err)) < 0)
        return r;
    _cleanup_json_ struct json *doc = state_document(dir, state, STATE_STOPPED);
    r = container_run_hooks(spec, SPEC_HOOK_POSTSTOP, doc, err);
    if (r < 0) { /* a failing poststop hook is to be logged, not to fail the deletion */
        baton_warn(b, error_text(err, r));
        error_clear(err);
    }
    return 0;
}

void creation_undo(const struct baton *b, struct creation *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r;

    container_abort(&c->process);
    if (c->rdt_root >= 0)
        rdt_undo(c->rdt_root, c->spec->rdt, c->dir.id, &c->rdt);
    if (c->pid_file && unlink(c->pid_file) < 0 && errno != ENOENT)
        baton_warn(b, "the pid file could not be removed");
    if (c->dir.fd < 0)
        return;
    if ((r = creation_group_undo(c)) < 0)
        baton_warn(b, "the cgroup could not be removed: delete --force tries again");
    else if ((r = state_dir_remove(&c->dir, &err)) < 0)
        baton_warn(b, error_text(&err, r));
    error_clear(&err);
    if (c->attempted && (r = run_poststop_hooks(b, &c->dir, &c->state, &err)) < 0)
        baton_warn(b, error_text(&err, r));
}

int creation_make(const struct baton *b, const struct creation_options *o, struct creation *c, struct error *err) {
    int r;

    *c = (struct creation) CREATION_INIT;
    if ((r = count_listen_fds(&c->n_fds, err)) < 0)
        return r;
    c->n_fds += o->preserve_fds;
    if ((r = preserve_fds_check(c->n_fds, err)) == 0 && (r = load_config(b, o, c, err)) == 0 &&
        (r = state_dir_create(b->root, o->id, &c->dir, err)) == 0 && (r = creation_group_make(b, o->id, c, err)) == 0 &&
        (r = make_rdt(c, err)) == 0 && (r = make_process(b, o, c, err)) == 0)
        r = record(o, c, err);
    if (r < 0) {
        creation_undo(b, c);
        creation_finish(c);
    }
    return r;
}

void creation_finish(struct creation *c) {
    container_process_finish(&c->process);
    cgroup_finish(&c->cgroup);
    cgroup_hierarchy_finish(&c->hierarchy);
    rdt_close(&c->rdt);
    closep(&c->rdt_root);
    c->rdt_root = -1;
    spec_free(c->spec);
    c->spec = NULL;
    state_finish(&c->state);
    state_dir_finish(&c->dir);
}

static int destroy_rdt(const struct json *config, const char *id, struct error *err) {
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_close_ int root = rdt_open_root(NULL);
    int r = spec_parse(config, &spec, err);

    return r < 0 || root < 0 || !spec->rdt ? r : rdt_remove(root, spec->rdt, id, err); /* unmounted: all is gone */
}

int creation_destroy(const struct baton *b, struct state_dir *dir, const struct state *state, struct error *err) {
    int r = creation_group_destroy(dir, state, err);

    if (r < 0 ||
        (!json_is_null(json_path(state->config, "linux", "intelRdt")) &&
         (r = destroy_rdt(state->config, dir->id, err)) < 0) ||
        (r = state_dir_remove(dir, err)) < 0)
        return r;
    return run_poststop_hooks(b, dir, state, err);
}
