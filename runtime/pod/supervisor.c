/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/supervisor.h"

#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/runtime.h"
#include "runtime/pod/journal.h"
#include "runtime/pod/output.h"

#define MMAP_THRESHOLD (32 * 1024)
#define TRIM_THRESHOLD (16 * 1024)

static void run_finish(struct pod_run *run) {
    closep(&run->spec_fd);
    closep(&run->input_fd);
    container_seccomp_free(run->seccomp);
    free(run->end_reason);
}

static void pod_free(struct pod *pod) {
    if (!pod)
        return;
    pod_attach_free_all(pod);
    pod_control_close(pod);
    pod_exec_free_all(pod);
    pod_output_finish_all(&pod->outputs);
    for (size_t i = 0; pod->runs && i < pod->model.n; i++)
        run_finish(&pod->runs[i]);
    free(pod->runs);
    pod_sandbox_finish(&pod->sandbox);
    pod_loop_remove(&pod->loop, &pod->signal_watch);
    closep(&pod->signal_fd);
    closep(&pod->null_fd);
    pod_loop_finish(&pod->loop);
    pod_model_finish(&pod->model);
    pod_config_free(pod->config);
    free(pod->dir);
    free(pod->spec_path);
    free(pod->state_path);
    free(pod->control_path);
    free(pod);
}
DEFINE_CLEANUP(struct pod *, pod_free)

static struct pod *pod_new(const char *dir) {
    struct pod *pod = xnew0(struct pod);

    pod->dir = xstrdup(dir);
    pod->spec_path = path_join(dir, POD_FILE_SPEC);
    pod->state_path = path_join(dir, POD_FILE_STATE);
    pod->control_path = path_join(dir, POD_FILE_CONTROL);
    pod->signal_fd = pod->listen_fd = pod->null_fd = pod->loop.epoll_fd = -1;
    pod->signal_watch = pod->listen_watch = (struct pod_watch) POD_WATCH_INIT;
    pod->sandbox = (struct pod_sandbox) POD_SANDBOX_INIT;
    pod->record.started_at = now_realtime_usec();
    list_init(&pod->peers);
    list_init(&pod->execs);
    list_init(&pod->attaches);
    list_init(&pod->outputs);
    return pod;
}

static int load(struct pod *pod, struct error *err) {
    _cleanup_json_ struct json *doc = NULL, *former = NULL;

    int r = json_parse_file(pod->spec_path, CONFIG_JSON_BYTES_MAX * 4, &doc, err);
    if (r == 0)
        r = pod_config_parse(doc, &pod->config, err);
    if (r < 0)
        return error_prefix(err, r, "%s", pod->spec_path);
    pod_model_init(&pod->model, pod->config);
    pod->model.network_ready = pod->config->host_network;
    pod->runs = xcalloc(pod->model.n, sizeof(*pod->runs));
    for (size_t i = 0; i < pod->model.n; i++) {
        pod_run_init(pod, &pod->runs[i]);
        pod->runs[i].container = &pod->model.containers[i];
    }
    if (json_parse_file(pod->state_path, CONFIG_JSON_BYTES_MAX, &former, NULL) == 0)
        pod_record_take_up(&pod->model, former, now_realtime_usec());
    return 0;
}

static void on_signal(void *userdata, uint32_t events) {
    struct pod *pod = userdata;
    struct signalfd_siginfo info;

    if (read(pod->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
        pod_stop(pod, pod->config->grace_seconds);
}

static int open_loop(struct pod *pod, struct error *err) {
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return error_set_errno(err, -errno, "cannot block signals");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) /* of a journal that is being restarted; containers get the default back */
        return error_set_errno(err, -errno, "cannot ignore SIGPIPE");
    pod->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (pod->null_fd < 0)
        return error_set_errno(err, -errno, "cannot open /dev/null");
    int r = pod_loop_init(&pod->loop, err);
    if (r < 0)
        return r;
    pod->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (pod->signal_fd < 0)
        return error_set_errno(err, -errno, "cannot make a signal descriptor");
    return pod_loop_add(&pod->loop, &pod->signal_watch, pod->signal_fd, EPOLLIN, on_signal, pod, err);
}

static int set_up(struct pod *pod, struct error *err) {
    int r = open_loop(pod, err);

    if (r == 0)
        r = pod_sandbox_cgroup(&pod->sandbox, err);
    if (r == 0)
        r = pod_sandbox_namespaces(&pod->sandbox, pod->config, pod->dir, err);
    if (r == 0)
        r = pod_control_open(pod, err);
    return r;
}

/* Writes state.json and tells the peers and systemd. */
static void publish(struct pod *pod) {
    _cleanup_json_ struct json *state = pod_record_make(&pod->model, &pod->record);
    _cleanup_free_ char *text = json_to_text(state);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int running = 0;

    int r = file_write_atomic(pod->state_path, text, strlen(text), 0600, false, &err);
    if (r < 0)
        log_warning("cannot keep the state: %s", error_text(&err, r));
    pod_control_broadcast_state(pod, state);
    for (size_t i = pod->config->n_init; i < pod->model.n; i++)
        running += pod->model.containers[i].state == POD_RUNNING;
    if (running != pod->n_running_told && !pod->model.stopping) {
        _cleanup_free_ char *status =
            xasprintf("STATUS=%d of %zu containers running", running, pod->model.n - pod->config->n_init);
        (void) pod_notify(status);
        pod->n_running_told = running;
    }
    pod->changed = false;
    (void) malloc_trim(0);
}

static void earlier(uint64_t *at, uint64_t t) {
    if (t > 0 && (*at == 0 || t < *at))
        *at = t;
}

/* Brings the pod as far as it goes now; returns the time of the next timer. */
static uint64_t advance(struct pod *pod) {
    uint64_t now = now_monotonic_usec(), wake_at = 0;
    struct pod_next next;

    for (size_t i = 0; i < pod->model.n; i++)
        pod_run_timers(&pod->runs[i], now);
    pod_stop_step(pod);
    for (;;) {
        pod_next(&pod->model, now_monotonic_usec(), &next);
        if (next.initialized != pod->model.initialized) {
            pod->model.initialized = next.initialized;
            pod->changed = true;
        }
        if (!next.start)
            break;
        pod_run_start(&pod->runs[next.start - pod->model.containers]);
        /* one at a time: peers see each step, and a signal is not kept waiting */
        wake_at = now;
        break;
    }
    if (next.complete && !next.finished && !pod->model.stopping)
        pod_stop(pod, pod->config->grace_seconds); /* sidecars go after the last container */
    if (next.finished && !pod->record.finished) {
        pod->record.finished = true;
        pod->changed = true;
    }
    earlier(&wake_at, next.wake_at);
    for (size_t i = 0; i < pod->model.n; i++) {
        earlier(&wake_at, pod->runs[i].kill_at);
        earlier(&wake_at, pod->runs[i].hook_until);
    }
    earlier(&wake_at, pod_output_timers(&pod->outputs, now));
    return wake_at;
}

static int turn(struct pod *pod, struct error *err) {
    for (;;) {
        uint64_t wake_at = advance(pod);
        if (pod->changed)
            publish(pod);
        if (pod->record.finished)
            return 0;
        int r = pod_loop_run_once(&pod->loop, wake_at, err);
        if (r < 0)
            return r;
    }
}

/* The sandbox could not be made: the agent finds out why in the state file. */
static void record_failure(struct pod *pod, const char *text) {
    _cleanup_json_ struct json *state = NULL;

    pod->record.error = text;
    pod->record.finished = true;
    if (pod->config) {
        state = pod_record_make(&pod->model, &pod->record);
    } else {
        json_set(&state, "finished", json_bool(true));
        json_set(&state, "error", json_string(text));
    }
    _cleanup_free_ char *doc = json_to_text(state);
    if (file_write_atomic(pod->state_path, doc, strlen(doc), 0600, false, NULL) < 0)
        log_warning("cannot keep the state in %s", pod->state_path);
}

static void kill_all(struct pod *pod) {
    for (size_t i = 0; i < pod->model.n; i++)
        container_abort(&pod->runs[i].process);
}

/* A supervisor lives long and allocates much only for moments: what is free goes back to the kernel. Naming the
 * thresholds also keeps the allocator from raising them after the first large block. */
static void keep_small(void) {
    (void) mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    (void) mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
}

static int supervise(const char *dir) {
    keep_small();
    _cleanup_(pod_freep) struct pod *pod = pod_new(dir);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = load(pod, &err);
    if (r == 0)
        r = set_up(pod, &err);
    if (r < 0) {
        log_error("pod: %s", error_text(&err, r));
        record_failure(pod, error_text(&err, r));
        return POD_EXIT_SANDBOX;
    }
    pod->changed = true;
    (void) pod_notify("READY=1\nSTATUS=sandbox is up");
    (void) malloc_trim(0);
    r = turn(pod, &err);
    if (r < 0) {
        log_error("pod: %s", error_text(&err, r));
        kill_all(pod);
        return POD_EXIT_SANDBOX;
    }
    return POD_EXIT_OK;
}

int pod_main(int argc, char **argv) {
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *dir = NULL;
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        if (c == 'h') {
            printf("Usage: baton pod --dir DIR\n\nSupervises one pod: DIR/pod.json says which (see podium/runtime.h).\n"
                   "Made to be the main process of the pod's systemd unit.\n");
            return 0;
        }
        if (c != 'd')
            return 2;
        dir = optarg;
    }
    if (!dir || dir[0] != '/') {
        fprintf(stderr, "baton pod: --dir DIR (an absolute path) is needed\n");
        return 2;
    }
    return supervise(dir);
}
