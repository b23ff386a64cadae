/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "podium/base/alloc.h"
#include "runtime/pod/supervisor.h"
#include "runtime/pod/userns.h"

static void exec_free(struct pod_exec *e) {
    pod_loop_remove(&e->pod->loop, &e->watch);
    container_process_finish(&e->process);
    list_remove(&e->link);
    free(e->id);
    free(e);
}

static void tell_exit(struct pod_exec *e, const struct container_status *status) {
    struct json *o = json_object();

    json_set(&o, "event", json_string("exec-exit"));
    json_set(&o, "id", json_string(e->id));
    json_set(&o, "exitCode", json_int(container_status_code(status)));
    json_set(&o, "signal", json_int(status->signal));
    pod_peer_send(e->peer, o, -1);
}

static void on_ended(void *userdata, uint32_t events) {
    struct pod_exec *e = userdata;
    struct container_status status = {0};
    _cleanup_free_ char *error = NULL;

    pod_loop_remove(&e->pod->loop, &e->watch);
    if (container_wait(&e->process, &status, NULL) < 0)
        status = (struct container_status){.signal = SIGKILL};
    if (e->peer)
        tell_exit(e, &status);
    if (container_status_code(&status) != 0)
        error = xasprintf("exit code %d", container_status_code(&status));
    enum pod_exec_kind kind = e->kind;
    struct pod_run *run = e->run;
    bool same_run = e->of_run == run->container->started_mono;
    exec_free(e);
    if (same_run)
        pod_run_hook_done(run, kind, error);
}

static char **joined_env(char *const *base, char *const *more) {
    char **v = strv_new();

    for (; base && *base; base++)
        strv_push_dup(&v, *base);
    for (; more && *more; more++)
        strv_push_dup(&v, *more);
    return v;
}

static int run_in(struct pod_run *run, const struct pod_exec_request *request, struct container_process *ret,
                  struct error *err) {
    _cleanup_(pod_launch_finish) struct pod_launch l = {0};
    struct pod *pod = run->pod;
    size_t i = (size_t) (run->container - pod->model.containers);
    int r = pod_launch_load(run->spec_fd, i, &l, err);

    if (r < 0)
        return r;
    _cleanup_strv_ char **env = joined_env(l.spec->process->env, request->env);
    struct spec_process process = *l.spec->process; /* borrows everything not replaced */
    process.args = (char **) request->args;
    process.env = env;
    process.terminal = request->tty;
    process.console_height = request->rows;
    process.console_width = request->columns;
    struct exec_params params = EXEC_PARAMS_INIT;
    params.spec = l.spec;
    params.process = &process;
    params.init_pidfd = run->process.pidfd;
    params.cgroup_fd = run->cgroup.fd;
    params.new_session = true;
    for (size_t k = 0; k < 3; k++)
        params.stdio[k] = request->stdio[k] >= 0 ? request->stdio[k] : pod->null_fd;
    for (size_t k = 0; k < 3; k++)
        pod_userns_give(pod->config, request->stdio[k], process.user.uid);
    r = pod_run_seccomp(run, &l, &params.seccomp, err);
    return r < 0 ? r : container_exec(&params, ret, err);
}

int pod_exec_start(struct pod_run *run, enum pod_exec_kind kind, struct pod_peer *peer, const char *id,
                   const struct pod_exec_request *request, int *ret_console, struct error *err) {
    struct container_process process = CONTAINER_PROCESS_INIT;

    if (run->container->state != POD_RUNNING)
        return error_set(err, -ESRCH, "container %s is not running", run->container->config->name);
    int r = run_in(run, request, &process, err);
    (void) malloc_trim(0);
    if (r < 0)
        return r;
    struct pod_exec *e = xnew0(struct pod_exec);
    *e = (struct pod_exec){.pod = run->pod,
                           .run = run,
                           .peer = peer,
                           .kind = kind,
                           .of_run = run->container->started_mono,
                           .id = id ? xstrdup(id) : NULL,
                           .process = process,
                           .watch = POD_WATCH_INIT};
    list_append(&run->pod->execs, &e->link);
    r = pod_loop_add(&run->pod->loop, &e->watch, e->process.pidfd, EPOLLIN, on_ended, e, err);
    if (r < 0) {
        container_abort(&e->process);
        exec_free(e);
        return r;
    }
    *ret_console = steal_fd(&e->process.console_fd);
    return 0;
}

int pod_exec_kill(struct pod *pod, const struct pod_peer *peer, const char *id, int signal) {
    struct pod_exec *e;

    list_foreach(e, &pod->execs, link) {
        if (e->peer == peer && e->id && strcmp(e->id, id) == 0)
            return kill(e->process.pid, signal) < 0 ? -errno : 0;
    }
    return -ESRCH;
}

void pod_exec_forget_peer(struct pod *pod, const struct pod_peer *peer) {
    struct pod_exec *e;

    list_foreach(e, &pod->execs, link) {
        if (e->peer == peer)
            e->peer = NULL;
    }
}

void pod_exec_free_all(struct pod *pod) {
    struct pod_exec *e;

    list_foreach(e, &pod->execs, link) exec_free(e);
}
