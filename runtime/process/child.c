/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child of container_create(): from clone3 to the last stage (launch.c).
 *
 * The order matters. The id maps come first, for nothing can be done as nobody. Kernel settings (sysctl) and
 * oom_score_adj are written while the host's /proc is still there, for the container's may be read-only or missing.
 * createContainer hooks run when the root is built and the host's files can still be seen.
 */
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "runtime/process/channel.h"
#include "runtime/process/credentials.h"
#include "runtime/process/launch.h"
#include "runtime/process/mapped.h"
#include "runtime/process/stages.h"
#include "runtime/rootfs/rootfs.h"

bool stage_needs_parent(const struct container_params *params) {
    return params->namespaces_ready || params->spec->namespaces[SPEC_NS_USER].present ||
           params->spec->n_net_devices > 0;
}

int stage_join_tasks(const int *fds, size_t n, struct error *err) {
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0 && write(fds[i], "0", 1) < 0) /* 0 is the writer */
            return error_set_errno(err, -errno, "cannot join the resctrl group");
    return 0;
}

static int enter_namespaces(const struct container_params *params, const struct namespace_set *set, int sync_fd,
                            struct error *err) {
    int r = namespaces_join(set, err);

    if (r < 0)
        return r;
    if (stage_needs_parent(params)) {
        if ((r = channel_send(sync_fd, CHANNEL_NAMESPACES, 0, NULL, -1)) < 0)
            return error_set_errno(err, r, "the parent went away");
        if ((r = channel_wait_go(sync_fd, err)) < 0)
            return r;
    }
    if (!params->spec->namespaces[SPEC_NS_USER].present)
        return namespaces_raise_loopback(set, err);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set_errno(err, -errno, "cannot become root of the user namespace: are ids 0 mapped?");
    (void) prctl(PR_SET_DUMPABLE, 0); /* see process_clone() */
    return namespaces_raise_loopback(set, err);
}

static int write_sysctls(const struct spec *spec, struct error *err) {
    for (size_t i = 0; i < json_len(spec->sysctl); i++) {
        _cleanup_free_ char *path = spec_sysctl_path(json_key_at(spec->sysctl, i));
        int r = proc_write(path, json_str_or(json_value_at(spec->sysctl, i), ""), err);

        if (r < 0)
            return error_prefix(err, r, "config: linux.sysctl");
    }
    return 0;
}

static int name_host(const struct spec *spec, struct error *err) {
    if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
        return error_set_errno(err, -errno, "cannot set the host name");
    if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
        return error_set_errno(err, -errno, "cannot set the domain name");
    return 0;
}

/* The state for hooks inside: the pid is the one that the host's /proc shows. */
static int make_state(const struct container_params *params, struct json **ret, struct error *err) {
    char pid[32] = "";

    if (readlink("/proc/self", pid, sizeof(pid) - 1) < 0)
        return error_set_errno(err, -errno, "cannot read /proc/self for the hooks' state");
    struct json *state = json_ref(params->state);
    if (!state) {
        json_set(&state, "ociVersion", json_string(SPEC_OCI_VERSION));
        json_set(&state, "id", json_string(params->id));
        json_set(&state, "bundle", json_string(params->bundle));
    }
    json_set(&state, "pid", json_int(strtol(pid, NULL, 10)));
    json_set(&state, "status", json_string("creating"));
    *ret = state;
    return 0;
}

static int build_root(const struct container_params *params, const struct mapped *mapped, const struct json *state,
                      struct error *err) {
    struct rootfs rootfs;
    const struct rootfs_params rp = {
        .spec = params->spec,
        .bundle = params->bundle,
        .overlay = params->overlay ? params->overlay : params->spec->overlay,
        .cgroup_fd = params->cgroup_fd,
        .no_pivot = params->no_pivot,
        .mapped = mapped->mounts,
        .root_fd = mapped->root_fd,
    };
    int r = rootfs_build(&rp, &rootfs, err);

    if (r < 0)
        return r;
    if ((r = container_run_hooks(params->spec, SPEC_HOOK_CREATE_CONTAINER, state, err)) < 0)
        return r;
    return rootfs_enter(&rootfs, err);
}

static int run_stages(const struct container_params *params, const struct namespace_set *set,
                      const struct mapped *mapped, struct launch *l, struct error *err) {
    const struct spec *spec = params->spec;
    struct json *state = NULL;
    int r;

    if ((r = stage_join_tasks(params->tasks_fds, params->n_tasks_fds, err)) < 0 ||
        (r = enter_namespaces(params, set, l->sync_fd, err)) < 0)
        return r;
    if ((spec->hooks[SPEC_HOOK_CREATE_CONTAINER].n > 0 || spec->hooks[SPEC_HOOK_START_CONTAINER].n > 0) &&
        (r = make_state(params, &state, err)) < 0)
        return r;
    l->state = state;
    if ((r = label_open(spec->process, &l->label, err)) < 0 || (r = write_sysctls(spec, err)) < 0 ||
        (r = name_host(spec, err)) < 0 ||
        (!spec->namespaces[SPEC_NS_USER].present && (r = credentials_oom_score(spec->process, 0, err)) < 0) ||
        (r = launch_open_stdio(l, err)) < 0 || (r = build_root(params, mapped, state, err)) < 0)
        return r;
    return launch_process(l, err);
}

_Noreturn void stage_container(const struct container_params *params, const struct seccomp_filter *seccomp,
                               const struct namespace_set *set, const struct mapped *mapped, int sync_fd) {
    struct error err = ERROR_INIT;
    struct launch l = {
        .process = params->spec->process,
        .seccomp = seccomp,
        .stdio = {params->stdio[0], params->stdio[1], params->stdio[2]},
        .console_socket_fd = params->console_socket_fd,
        .extra_fds = params->extra_fds,
        .n_extra_fds = params->n_extra_fds,
        .new_session = params->new_session,
        .keep_keyring = params->keep_keyring,
        .bind_console = true,
        .make_folder = true,
        .wait_for_start = true,
        .sync_fd = sync_fd,
        .listen_fd = params->start_listen_fd,
        .label = LABEL_FILES_INIT,
        .hooks_of = params->spec,
        .spec = params->spec,
    };
    int r = run_stages(params, set, mapped, &l, &err);

    process_fail(l.sync_fd, r, &err);
}
