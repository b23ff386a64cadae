/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/base/random.h"
#include "runtime/pod/supervisor.h"
#include "runtime/state/state.h"
#include "runtime/pod/termination.h"

#define TERMINATION_BYTES_MAX 4096               /* of one container's message */
#define TERMINATION_BYTES_POD 12288              /* of all of a pod's: MaxPodTerminationMessageLogLength */
#define START_ERROR_CODE      128                /* what containerd reports when a container could not be started */
#define SHUTDOWN_WINDOW_USEC  (2 * USEC_PER_SEC) /* between the stop signal and SIGKILL after a long preStop hook */
#define LEFTOVER_TIMEOUT_MSEC 2000               /* for processes just killed to be gone */

static void make_id(char out[POD_CONTAINER_ID_SIZE]) {
    unsigned char bytes[(POD_CONTAINER_ID_SIZE - 1) / 2];

    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* A restarted container begins with an empty writable layer. Removing what its predecessor wrote takes longer than all
 * the rest of a start: it is put aside, and removed when the container runs. */
static int put_aside(const char *dir, struct error *err) {
    _cleanup_free_ char *old = xasprintf("%s.old", dir);

    if (rename(dir, old) == 0 || errno == ENOENT)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot put %s aside", dir);
    return rm_tree(dir, err); /* the last one was not removed: a supervisor that died in between */
}

static int fresh_overlay(const struct overlay_root *overlay, struct error *err) {
    const char *dirs[] = {overlay ? overlay->upper : NULL, overlay ? overlay->work : NULL};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        if (!dirs[i])
            continue;
        int r = put_aside(dirs[i], err);
        if (r == 0)
            r = mkdir_parents(dirs[i], 0755, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void remove_old_overlay(const struct overlay_root *overlay) {
    const char *dirs[] = {overlay ? overlay->upper : NULL, overlay ? overlay->work : NULL};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        _cleanup_free_ char *old = dirs[i] ? xasprintf("%s.old", dirs[i]) : NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int r = old ? rm_tree(old, &err) : 0;
        if (r < 0)
            log_warning("%s", error_text(&err, r));
    }
}

static int make_cgroup(struct pod_run *run, const struct spec *spec, struct error *err) {
    _cleanup_strv_ char **skipped = strv_new();
    const struct cgroup *parent = &run->pod->sandbox.cgroup;
    int r = cgroup_create_child(parent, run->container->config->name, &run->cgroup, err);

    if (r == 0)
        r = cgroup_apply(&run->cgroup, spec->resources, &skipped, err);
    if (r == 0 && json_len(json_get(spec->resources, "devices")) > 0)
        r = cgroup_device_filter(&run->cgroup, json_get(spec->resources, "devices"), err);
    for (char **s = skipped; !run->warned && *s; s++)
        log_warning("container %s: %s", run->container->config->name, *s);
    run->warned = run->warned || skipped[0];
    return r;
}

static void drop_cgroup(struct pod_run *run) {
    const struct cgroup *parent = &run->pod->sandbox.cgroup;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (run->cgroup.fd < 0)
        return;
    if (!run->own_pid_namespace) {
        (void) (cgroup_kill(&run->cgroup, NULL) < 0);
        (void) (cgroup_wait_empty(&run->cgroup, LEFTOVER_TIMEOUT_MSEC, NULL) < 0);
    }
    int r = cgroup_remove_child(parent, run->container->config->name, &err);
    if (r == -EBUSY) { /* a process joined from outside and is just ending */
        (void) (cgroup_kill(&run->cgroup, NULL) < 0);
        (void) (cgroup_wait_empty(&run->cgroup, LEFTOVER_TIMEOUT_MSEC, NULL) < 0);
        error_clear(&err);
        r = cgroup_remove_child(parent, run->container->config->name, &err);
    }
    if (r < 0)
        log_warning("container %s: cannot remove its cgroup: %s", run->container->config->name, error_text(&err, r));
    cgroup_finish(&run->cgroup);
    run->cgroup = (struct cgroup) CGROUP_INIT;
}

static bool was_out_of_memory(struct pod_run *run, const struct container_status *status) {
    struct cgroup_memory_events events = {0};

    return status->signal == SIGKILL && run->cgroup.fd >= 0 && cgroup_memory_events(&run->cgroup, &events, NULL) == 0 &&
           (events.oom_kill > 0 || events.oom_group_kill > 0);
}

/* What the container wrote for us, else why it was asked to end. */
static char *last_words(struct pod_run *run) {
    const char *path = run->container->config->termination_file;
    size_t share = TERMINATION_BYTES_POD / run->pod->model.n;
    char *text =
        path ? termination_file_read(path, share < TERMINATION_BYTES_MAX ? share : TERMINATION_BYTES_MAX) : NULL;

    return text ? text : steal(&run->end_reason);
}

static void on_ended(void *userdata, uint32_t events) {
    struct pod_run *run = userdata;
    struct pod *pod = run->pod;
    struct container_status status = {0};
    const char *reason;

    pod_loop_remove(&pod->loop, &run->watch);
    if (container_wait(&run->process, &status, NULL) < 0)
        status = (struct container_status){.signal = SIGKILL};
    int code = container_status_code(&status);
    if (was_out_of_memory(run, &status))
        reason = "OOMKilled";
    else
        reason = code == 0 ? "Completed" : "Error";
    container_process_finish(&run->process);
    run->process = (struct container_process) CONTAINER_PROCESS_INIT;
    drop_cgroup(run);
    pod_stdio_ended(run, &status);
    run->told = run->in_pre_stop = false;
    run->hook_asked = POD_EXEC_PEER;
    run->kill_at = run->hook_until = 0;
    pod_container_ended(&pod->model, run->container, code, status.signal, reason, last_words(run), now_monotonic_usec(),
                        now_realtime_usec());
    pod->changed = true;
}

/* The folder a container's root is mounted on, in its own mount namespace: one empty folder serves all. */
static int make_mount_point(const struct pod *pod, const struct spec *spec, struct error *err) {
    if (!spec->root_path || spec->root_path[0] == '/')
        return 0;
    _cleanup_free_ char *path = path_join(pod->dir, spec->root_path);
    return mkdir_parents(path, 0755, err);
}

int pod_run_seccomp(struct pod_run *run, const struct pod_launch *l, const struct seccomp_filter **ret,
                    struct error *err) {
    _cleanup_json_ struct json *section = json_ref(l->spec->seccomp);
    int r = 0;

    if (!section && l->seccomp_default && !run->seccomp)
        section = container_seccomp_default(l->spec->process->capabilities.bounding);
    if (section && !run->seccomp)
        r = container_seccomp_compile(section, STATE_ROOT_DEFAULT "/" STATE_SECCOMP_FOLDER, &run->seccomp, err);
    *ret = run->seccomp;
    return r;
}

void pod_run_init(struct pod *pod, struct pod_run *run) {
    *run = (struct pod_run){.pod = pod,
                            .process = CONTAINER_PROCESS_INIT,
                            .watch = POD_WATCH_INIT,
                            .spec_fd = -1,
                            .input_fd = -1,
                            .cgroup = CGROUP_INIT};
}

int pod_run_watch(struct pod_run *run, struct error *err) {
    run->watch = (struct pod_watch) POD_WATCH_INIT;
    return run->process.pidfd < 0
               ? 0
               : pod_loop_add(&run->pod->loop, &run->watch, run->process.pidfd, EPOLLIN, on_ended, run, err);
}

static int launch(struct pod_run *run, const struct pod_launch *l, struct error *err) {
    struct container_params params = CONTAINER_PARAMS_INIT;
    _cleanup_close_ int target_fd = -EBADF;
    _cleanup_(pod_stdio_finish) struct pod_stdio stdio = POD_STDIO_INIT;
    struct pod *pod = run->pod;

    int r = pod_stdio_open(run, l->spec, pod_container_next_run(run->container), &stdio, err);
    if (r < 0)
        return r;
    const char *words = run->container->config->termination_file;
    r = words ? termination_file_make(words, err) : 0;
    if (r == 0)
        r = fresh_overlay(l->overlay, err);
    if (r == 0)
        r = make_mount_point(pod, l->spec, err);
    if (r == 0)
        r = pod_target_namespace(run, &target_fd, err);
    if (r == 0)
        r = make_cgroup(run, l->spec, err);
    if (r < 0)
        return r;
    params.spec = l->spec;
    params.id = run->container->config->name;
    params.bundle = pod->dir;
    params.cgroup_fd = run->cgroup.fd;
    memcpy(params.stdio, stdio.fds, sizeof(params.stdio));
    params.overlay = l->overlay;
    params.namespace_fds[SPEC_NS_PID] = pod->sandbox.pidns_fd >= 0 ? pod->sandbox.pidns_fd : target_fd;
    params.namespace_fds[SPEC_NS_USER] = pod->sandbox.userns_fd;
    params.outside = pod->sandbox.userns_fd >= 0;
    params.new_session = true;
    run->own_pid_namespace = l->spec->namespaces[SPEC_NS_PID].present && params.namespace_fds[SPEC_NS_PID] < 0;
    r = pod_run_seccomp(run, l, &params.seccomp, err);
    if (r == 0)
        r = container_create(&params, &run->process, err);
    if (r == 0)
        r = pod_stdio_terminal(run, err);
    if (r == 0)
        r = container_start(&run->process, err);
    if (r == 0)
        r = pod_run_watch(run, err);
    if (r < 0) {
        container_abort(&run->process);
        container_process_finish(&run->process);
        run->process = (struct container_process) CONTAINER_PROCESS_INIT;
    }
    return r;
}

static void post_start(struct pod_run *run) {
    const struct pod_hook *hook = &run->container->config->post_start;
    struct pod_exec_request request = {.args = hook->args, .stdio = {-1, -1, -1}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r, console;

    if (hook->args) {
        r = pod_exec_start(run, POD_EXEC_POST_START, NULL, NULL, &request, &console, &err);
        if (r < 0)
            pod_run_hook_done(run, POD_EXEC_POST_START, error_text(&err, r));
    } else if (hook->sleep_seconds >= 0) {
        run->hook_until = now_monotonic_usec() + (uint64_t) hook->sleep_seconds * USEC_PER_SEC;
    } else if (hook->http) {
        run->hook_asked = POD_EXEC_POST_START;
        pod_control_ask_hook(run);
    } else {
        pod_container_hooked(run->container);
    }
}

/* The file is replaced as ConfigMaps and Secrets change: what is run in the container later has what it was started
 * with. */
static int open_spec(struct pod_run *run, struct error *err) {
    int fd = open(run->pod->spec_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", run->pod->spec_path);
    closep(&run->spec_fd);
    run->spec_fd = fd;
    return 0;
}

void pod_run_start(struct pod_run *run) {
    _cleanup_(pod_launch_finish) struct pod_launch l = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct pod *pod = run->pod;
    char id[POD_CONTAINER_ID_SIZE];
    uint64_t now = now_monotonic_usec(), now_real = now_realtime_usec();
    size_t i = (size_t) (run->container - pod->model.containers);

    make_id(id);
    int r = open_spec(run, &err);
    if (r == 0)
        r = pod_launch_load(run->spec_fd, i, &l, &err);
    if (r == -EAGAIN) { /* since a moment ago: nobody said "reload" yet. The runs may move */
        error_clear(&err);
        r = pod_reload(pod, &err);
        if (r == 0)
            return;
    }
    if (r == 0)
        r = launch(run, &l, &err);
    pod_container_began(run->container, id, run->process.pid, now, now_real);
    run->container->allocation = l.allocation;
    pod->changed = true;
    if (r < 0) {
        log_warning("container %s: cannot start: %s", run->container->config->name, error_text(&err, r));
        drop_cgroup(run);
        pod_stdio_ended(run, NULL);
        pod_container_ended(&pod->model, run->container, START_ERROR_CODE, 0, "StartError",
                            xstrdup(error_text(&err, r)), now_monotonic_usec(), now_realtime_usec());
    } else {
        post_start(run);
    }
    remove_old_overlay(l.overlay);
    pod_launch_finish(&l);
    (void) malloc_trim(0); /* the configuration was much larger than what stays */
}

void pod_run_hook_done(struct pod_run *run, enum pod_exec_kind kind, const char *error) {
    struct pod *pod = run->pod;

    if (run->container->state != POD_RUNNING)
        return;
    pod->changed = true;
    switch (kind) {
    case POD_EXEC_PEER:
        break;
    case POD_EXEC_POST_START:
        if (error) {
            log_warning("container %s: postStart hook failed: %s", run->container->config->name, error);
            pod_control_hook_failed(run, kind, error);
            free(run->end_reason);
            run->end_reason = xasprintf("postStart hook failed: %s", error);
            pod_run_end(run, now_monotonic_usec() + (uint64_t) pod->config->grace_seconds * USEC_PER_SEC);
        } else {
            pod_container_hooked(run->container);
        }
        break;
    case POD_EXEC_PRE_STOP:
        if (!run->in_pre_stop) /* it took too long: the stop signal did not wait for it */
            break;
        run->in_pre_stop = false;
        if (error) {
            log_warning("container %s: preStop hook failed: %s", run->container->config->name, error);
            pod_control_hook_failed(run, kind, error);
        }
        /* the hook used up some of the grace: a moment for the program itself is left in any case */
        if (run->kill_at < now_monotonic_usec() + SHUTDOWN_WINDOW_USEC && !(pod->model.stopping && pod->stop_at_once))
            run->kill_at = now_monotonic_usec() + SHUTDOWN_WINDOW_USEC;
        (void) kill(run->process.pid, run->container->config->stop_signal);
        break;
    }
}

void pod_run_kill(struct pod_run *run) {
    if (run->container->state != POD_RUNNING)
        return;
    /* not reaped yet, so the number is still its own */
    (void) kill(run->process.pid, SIGKILL);
    if (!run->own_pid_namespace && run->cgroup.fd >= 0)
        (void) (cgroup_kill(&run->cgroup, NULL) < 0);
}

void pod_run_timers(struct pod_run *run, uint64_t now) {
    if (run->hook_until > 0 && now >= run->hook_until) {
        run->hook_until = 0;
        pod_run_hook_done(run, run->told ? POD_EXEC_PRE_STOP : POD_EXEC_POST_START, NULL);
    }
    if (run->kill_at == 0 || now < run->kill_at)
        return;
    if (run->in_pre_stop && !(run->pod->model.stopping && run->pod->stop_at_once)) {
        run->hook_until = 0;
        run->hook_asked = POD_EXEC_PEER;
        pod_run_hook_done(run, POD_EXEC_PRE_STOP, "it did not complete in the grace period");
        return;
    }
    run->kill_at = 0;
    pod_run_kill(run);
}
