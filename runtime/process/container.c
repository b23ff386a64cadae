/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's side of create, start and wait. */
#include "runtime/process/container.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/sys.h"
#include "runtime/namespaces/links.h"
#include "runtime/namespaces/namespaces.h"
#include "runtime/process/channel.h"
#include "runtime/process/label.h"
#include "runtime/process/credentials.h"
#include "runtime/process/listener.h"
#include "runtime/process/mapped.h"
#include "runtime/process/stages.h"
#include "runtime/seccomp/seccomp.h"

void container_process_finish(struct container_process *p) {
    closep(&p->pidfd);
    closep(&p->sync_fd);
    closep(&p->console_fd);
    json_unref(steal(&p->listener));
    links_free(steal(&p->links));
    p->pidfd = p->sync_fd = p->console_fd = -1;
}

void container_abort(struct container_process *p) {
    siginfo_t info;

    if (!p)
        return;
    /* should the signal fail, it ends by itself when nobody is there any more */
    closep(&p->sync_fd);
    p->sync_fd = -1;
    if (p->pidfd >= 0 && p->pid > 0) {
        (void) pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
        while (waitid((idtype_t) P_PIDFD, (id_t) p->pidfd, &info, WEXITED) < 0 && errno == EINTR)
            continue;
    }
    links_return(steal(&p->links));
    container_process_finish(p);
    p->pid = 0;
}

/* The child said why it gives up, or ended without a word. */
static int child_failed(struct container_process *p, int kind, const struct channel_message *m, struct error *err) {
    struct container_status status = {0};
    int r;

    if (kind < 0)
        r = error_set_errno(err, kind, "cannot read from the container's process");
    else if (kind == CHANNEL_FAILED)
        r = error_set(err, m->code < 0 ? m->code : -EPROTO, "%s", m->text);
    else if (kind == CHANNEL_END && container_wait(p, &status, NULL) == 0)
        r = error_set(err, -ECHILD, "the container's process ended while it was set up (%s %d)",
                      status.signal ? "signal" : "exit code", status.signal ? status.signal : status.exit_code);
    else
        r = error_set(err, -EPROTO, "unexpected message %d from the container's process", kind);
    container_abort(p);
    return r;
}

int process_clone(const struct process_clone *c, struct container_process *ret, int *ret_child_sync,
                  struct error *err) {
    _cleanup_close_ int child_end = -EBADF;
    int pair[2];

    *ret = (struct container_process) CONTAINER_PROCESS_INIT;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(err, -errno, "cannot make a socket pair");
    ret->sync_fd = pair[0];
    child_end = pair[1];
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (uint64_t) (unsigned) c->flags,
        .pidfd = (uint64_t) (uintptr_t) &ret->pidfd,
        .exit_signal = SIGCHLD,
    };
    if (c->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t) c->cgroup_fd;
    }
    /* No process of the namespaces that the child joins may look into it (its descriptors, root and program) while it
     * is still the host's, not for a moment: so it is born so. In a new user namespace there is nobody yet, and there
     * the maps have to be written first. */
    if (!(c->flags & CLONE_NEWUSER))
        (void) prctl(PR_SET_DUMPABLE, 0);
    const bool joined = c->set && process_needs_joiner(c->set);
    int r = joined ? process_clone_joined(c->set, &args, ret, err) : 0;
    pid_t pid = joined ? ret->pid : sys_clone3(&args);
    if (r == 1 || (!joined && pid == 0)) {
        (void) close(ret->sync_fd);
        *ret_child_sync = steal_fd(&child_end);
        return 1;
    }
    if (r < 0 || pid < 0) {
        container_process_finish(ret);
        return r < 0 ? r
                     : error_set_errno(err, pid, "cannot clone the container's process%s",
                                       pid == -EBUSY ? " (its cgroup has sub-groups with controllers)" : "");
    }
    ret->pid = pid;
    return 0;
}

_Noreturn void process_fail(int sync_fd, int r, struct error *err) {
    int sent = channel_send(sync_fd, CHANNEL_FAILED, r, error_text(err, r), -1);

    (void) sent;
    _exit(1);
}

int process_await(struct container_process *p, int wanted, struct error *err) {
    struct channel_message m;

    for (;;) {
        int kind = listener_receive(p->sync_fd, &m, &p->console_fd, p->pidfd, p->listener);

        if (kind == wanted)
            return 0;
        if (kind != CHANNEL_CONSOLE)
            return child_failed(p, kind, &m, err);
    }
}

/* What has to be done from outside between the birth of the namespaces and the building of the root. */
static int serve_namespaces(const struct container_params *params, struct container_process *p, struct error *err) {
    int r = process_await(p, CHANNEL_NAMESPACES, err);

    if (r < 0)
        return r;
    if (params->spec->namespaces[SPEC_NS_USER].present) {
        const bool joined = params->spec->namespaces[SPEC_NS_USER].path || params->namespace_fds[SPEC_NS_USER] >= 0;

        r = joined ? namespaces_check_ids(p->pid, params->spec, err) : namespaces_map_ids(p->pid, params->spec, err);
        if (r == 0) /* the process has lost the right to */
            r = credentials_oom_score(params->spec->process, p->pid, err);
    }
    if (r == 0)
        r = links_move(p->pid, params->spec, &p->links, err);
    if (r == 0 && params->namespaces_ready)
        r = params->namespaces_ready(params->userdata, p->pid, err);
    if (r == 0 && (r = channel_send(p->sync_fd, CHANNEL_GO, 0, NULL, -1)) < 0)
        r = error_set_errno(err, r, "the container's process went away");
    if (r < 0)
        container_abort(p);
    return r;
}

static int check_params(const struct container_params *params, struct error *err) {
    if (!params->spec->process)
        return error_set(err, -EINVAL, "config: process is missing");
    if (!params->spec->namespaces[SPEC_NS_MOUNT].present || params->spec->namespaces[SPEC_NS_MOUNT].path)
        return error_set(err, -EOPNOTSUPP, "config: linux.namespaces: a new mount namespace is required");
    int r = label_check(params->spec, params->spec->process, err);
    return r < 0 ? r : spec_sysctl_check(params->spec, err);
}

static int clone_container(const struct container_params *params, const struct seccomp_filter *seccomp,
                           struct container_process *ret, struct error *err) {
    _cleanup_(namespaces_close) struct namespace_set set = NAMESPACE_SET_INIT;
    int child_sync = -EBADF, back, r;
    struct mapped mapped = MAPPED_INIT;

    if ((r = namespaces_open(params->spec, params->namespace_fds, &set, err)) < 0 ||
        (r = mapped_take(params, set.join[SPEC_NS_USER], &mapped, err)) < 0)
        return r;
    back = -EBADF;
    if (!process_needs_joiner(&set) && (r = namespaces_enter_pid(&set, &back, err)) < 0) {
        mapped_close(params->spec, &mapped);
        return r;
    }
    struct process_clone c = {.flags = set.clone_flags, .cgroup_fd = params->cgroup_fd, .set = &set};
    r = process_clone(&c, ret, &child_sync, err);
    if (r == 1)
        stage_container(params, seccomp, &set, &mapped, child_sync);
    namespaces_return(back);
    mapped_close(params->spec, &mapped);
    return r;
}

int container_create(const struct container_params *params, struct container_process *ret, struct error *err) {
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *compiled = NULL;
    const struct seccomp_filter *seccomp = params->seccomp;
    int r;

    *ret = (struct container_process) CONTAINER_PROCESS_INIT;
    if ((r = check_params(params, err)) < 0)
        return r;
    if (!seccomp && params->spec->seccomp) {
        if ((r = seccomp_compile_cached(params->spec->seccomp, params->seccomp_folder, &compiled, err)) < 0)
            return r;
        seccomp = compiled;
    }
    if ((r = clone_container(params, seccomp, ret, err)) < 0)
        return r;
    ret->listener = listener_describe(params->spec->seccomp, ret->pid, params->state);
    if (stage_needs_parent(params) && (r = serve_namespaces(params, ret, err)) < 0)
        return r;
    if ((r = process_await(ret, CHANNEL_READY, err)) < 0)
        return r;
    return 0;
}

int container_confirm(struct container_process *p, struct error *err) {
    int r = channel_send(p->sync_fd, CHANNEL_GO, 0, NULL, -1);

    if (r < 0)
        return error_set_errno(err, r, "the container's process went away");
    closep(&p->sync_fd);
    p->sync_fd = -1;
    return 0;
}

int container_start(struct container_process *p, struct error *err) {
    struct channel_message m;
    int r;

    if (p->sync_fd < 0)
        return error_set(err, -EINVAL, "the container is not waiting for start");
    r = channel_send(p->sync_fd, CHANNEL_GO, 0, NULL, -1);
    if (r < 0 && r != -EPIPE)
        return error_set_errno(err, r, "cannot start the container");
    r = listener_receive(p->sync_fd, &m, NULL, p->pidfd, p->listener);
    if (r == CHANNEL_END && m.code == 0) {
        closep(&p->sync_fd);
        p->sync_fd = -1;
        links_free(steal(&p->links));
        return 0;
    }
    return child_failed(p, r, &m, err);
}

int container_start_connect(int connected_fd, int pidfd, const struct json *listener, struct error *err) {
    struct channel_message m;
    int r = channel_send(connected_fd, CHANNEL_GO, 0, NULL, -1);

    if (r < 0)
        return error_set_errno(err, r, "the container's process went away");
    r = listener_receive(connected_fd, &m, NULL, pidfd, listener);
    if (r == CHANNEL_END)
        return m.code == 0 ? 0 : error_set(err, m.code, "the container's process ended before it was started");
    if (r == CHANNEL_FAILED)
        return error_set(err, m.code < 0 ? m.code : -EPROTO, "%s", m.text);
    return error_set(err, r < 0 ? r : -EPROTO, "unexpected answer from the container's process");
}

int container_host_user(pid_t pid, uid_t inside, uid_t *ret, struct error *err) {
    return namespaces_host_id(pid, inside, ret, err);
}

struct json *container_listener(const struct json *seccomp, pid_t pid, const struct json *state) {
    return listener_describe(seccomp, pid, state);
}

int container_wait(struct container_process *p, struct container_status *ret, struct error *err) {
    siginfo_t info = {0};

    *ret = (struct container_status){0};
    while (waitid((idtype_t) P_PIDFD, (id_t) p->pidfd, &info, WEXITED) < 0)
        if (errno != EINTR)
            return error_set_errno(err, -errno, "cannot wait for the container");
    p->pid = 0;
    if (info.si_code == CLD_EXITED) {
        ret->exit_code = info.si_status;
    } else {
        ret->signal = info.si_status;
        ret->core_dumped = info.si_code == CLD_DUMPED;
    }
    return 0;
}

int container_status_code(const struct container_status *status) {
    return status->signal ? 128 + status->signal : status->exit_code;
}

int container_seccomp_compile(const struct json *section, const char *folder, struct seccomp_filter **ret,
                              struct error *err) {
    int r = seccomp_compile_cached(section, folder, ret, err);

    if (r < 0 || !seccomp_filter_notifies(*ret))
        return r;
    seccomp_filter_free(steal(ret));
    return error_set(err, -EOPNOTSUPP, "a seccomp profile with SCMP_ACT_NOTIFY cannot be shared between containers");
}

void container_seccomp_free(struct seccomp_filter *filter) {
    seccomp_filter_free(filter);
}

struct json *container_seccomp_architectures(void) {
    return seccomp_architectures();
}

struct json *container_seccomp_default(uint64_t capabilities) {
    return seccomp_default_profile(capabilities);
}
