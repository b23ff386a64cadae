/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One more process in a running container. */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>

#include "runtime/process/channel.h"
#include "runtime/process/credentials.h"
#include "runtime/process/launch.h"
#include "runtime/process/listener.h"
#include "runtime/process/stages.h"
#include "runtime/process/tuning.h"
#include "runtime/seccomp/seccomp.h"

static int enter_container(const struct exec_params *params, struct launch *l, struct error *err) {
    int r;

    if ((r = launch_open_stdio(l, err)) < 0 ||
        (r = stage_join_tasks(params->tasks_fds, params->n_tasks_fds, err)) < 0 ||
        (r = label_open(params->process, &l->label, err)) < 0 ||
        (r = credentials_oom_score(params->process, 0, err)) < 0 || (r = tuning_exec_final(params->process, err)) < 0)
        return r;
    if ((r = namespaces_join_process(params->init_pidfd, params->spec, err)) < 0)
        return r;
    if (params->spec->namespaces[SPEC_NS_USER].present && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        return error_set_errno(err, -errno, "cannot become root of the user namespace");
    return launch_process(l, err);
}

_Noreturn static void stage_exec(const struct exec_params *params, const struct seccomp_filter *seccomp, int sync_fd) {
    struct error err = ERROR_INIT;
    struct launch l = {
        .process = params->process,
        .seccomp = seccomp,
        .stdio = {params->stdio[0], params->stdio[1], params->stdio[2]},
        .console_socket_fd = params->console_socket_fd,
        .extra_fds = params->extra_fds,
        .n_extra_fds = params->n_extra_fds,
        .new_session = params->new_session,
        .sync_fd = sync_fd,
        .listen_fd = -1,
        .label = LABEL_FILES_INIT,
        .spec = params->spec,
    };
    int r = enter_container(params, &l, &err);

    process_fail(l.sync_fd, r, &err);
}

int container_exec(const struct exec_params *params, struct container_process *ret, struct error *err) {
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *compiled = NULL;
    const struct seccomp_filter *seccomp = params->seccomp;
    struct process_clone c = {.cgroup_fd = params->cgroup_fd};
    int child_sync = -EBADF, back, r;

    *ret = (struct container_process) CONTAINER_PROCESS_INIT;
    if ((r = label_check(params->spec, params->process, err)) < 0)
        return r;
    if (!seccomp && params->spec->seccomp) {
        if ((r = seccomp_compile_cached(params->spec->seccomp, params->seccomp_folder, &compiled, err)) < 0)
            return r;
        seccomp = compiled;
    }
    if ((r = namespaces_enter_pid_of(params->init_pidfd, &back, err)) < 0)
        return r == -ESRCH ? error_set(err, r, "the container has ended") : r;
    cpu_set_t before;
    if ((r = tuning_exec_begin(params->process, &before, err)) == 0) {
        r = process_clone(&c, ret, &child_sync, err);
        if (r == 1)
            stage_exec(params, seccomp, child_sync);
        tuning_exec_end(params->process, &before);
    }
    namespaces_return(back);
    if (r < 0)
        return r;
    ret->listener = listener_describe(params->spec->seccomp, ret->pid, params->state);
    if ((r = process_await(ret, CHANNEL_END, err)) < 0)
        return r;
    closep(&ret->sync_fd);
    ret->sync_fd = -1;
    return 0;
}
