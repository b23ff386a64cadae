/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/creation_group.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/cgroups_scope.h"

#define EMPTY_TIMEOUT_MSEC 10000

/* Limits that cannot be set are an error, or with --cgroup-controllers=optional a warning each. */
static int apply_limits(const struct baton *b, struct creation *c, struct error *err) {
    unsigned missing = 0, needed = cgroup_resources_controllers(c->spec->resources);
    _cleanup_strv_ char **skipped = strv_new();
    int r = needed ? cgroup_enable_above(&c->hierarchy, c->cgroup.path, needed, &missing, err) : 0;

    if (r == -EBUSY && b->controllers_optional) {
        baton_warn(b, error_text(err, r));
        error_clear(err);
        r = 0;
    }
    if (r < 0)
        return r;
    r = cgroup_apply(&c->cgroup, c->spec->resources, b->controllers_optional ? &skipped : NULL, err);
    for (size_t i = 0; skipped[i]; i++)
        baton_warn(b, skipped[i]);
    if (r < 0)
        return r;
    return cgroup_device_filter(&c->cgroup, json_get(c->spec->resources, "devices"), err);
}

static char *default_cgroup(const char *id) {
    return xasprintf("/baton-%s", id);
}

static int make_folder(const struct baton *b, const char *id, struct creation *c, struct error *err) {
    const char *wanted = c->spec->cgroups_path;
    int r;

    if (wanted && strchr(wanted, ':'))
        return error_set(err, -EINVAL,
                         "config: linux.cgroupsPath: \"%s\" is systemd's form, which needs --systemd-cgroup", wanted);
    if ((r = cgroup_hierarchy_open(&c->hierarchy, err)) < 0)
        return r;
    _cleanup_free_ char *path = wanted ? path_join("/", wanted) : default_cgroup(id);
    c->state.cgroup = steal(&path);
    if ((r = cgroup_find_missing(&c->hierarchy, c->state.cgroup, &c->state.cgroup_top, err)) < 0 ||
        (r = state_write(&c->dir, &c->state, err)) < 0 ||
        (r = cgroup_create(&c->hierarchy, c->state.cgroup, &c->cgroup, &c->cgroup_created, err)) < 0)
        return r;
    return c->spec->resources ? apply_limits(b, c, err) : 0;
}

/* A scope wants a process to begin with. This one ends with us, so that nothing is left when we are killed. */
static int start_keeper(struct creation *c, struct error *err) {
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        return error_set_errno(err, -errno, "cannot fork");
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            (void) pause();
        _exit(0);
    }
    c->keeper = pid;
    return 0;
}

void creation_group_settle(struct creation *c) {
    if (c->keeper <= 0)
        return;
    (void) kill(c->keeper, SIGKILL);
    while (waitpid(c->keeper, NULL, 0) < 0 && errno == EINTR)
        continue;
    c->keeper = 0;
}

static int make_scope(const struct baton *b, const char *id, struct creation *c, struct error *err) {
    _cleanup_free_ char *slice = NULL, *unit = NULL, *description = xasprintf("baton container %s", id);
    _cleanup_json_ struct json *properties = NULL;
    int r;

    if ((r = cgroup_hierarchy_open(&c->hierarchy, err)) < 0 ||
        (r = cgroup_scope_names(c->spec->cgroups_path, id, &slice, &unit, err)) < 0 ||
        (r = cgroup_scope_properties(c->spec->resources, c->spec->annotations, &properties, err)) < 0)
        return r;
    c->state.unit = xstrdup(unit);
    if ((r = state_write(&c->dir, &c->state, err)) < 0 || (r = start_keeper(c, err)) < 0 ||
        (r = cgroup_scope_start(unit, slice, description, c->keeper, properties, err)) < 0)
        return r;
    c->cgroup_created = true;
    if ((r = cgroup_path_of(&c->hierarchy, c->keeper, &c->state.cgroup, err)) < 0 ||
        (r = cgroup_open(&c->hierarchy, c->state.cgroup, &c->cgroup, err)) < 0 ||
        (r = state_write(&c->dir, &c->state, err)) < 0)
        return r;
    return c->spec->resources ? apply_limits(b, c, err) : 0;
}

int creation_group_make(const struct baton *b, const char *id, struct creation *c, struct error *err) {
    switch (b->cgroup_manager) {
    case CGROUP_MANAGER_CGROUPFS:
        return make_folder(b, id, c, err);
    case CGROUP_MANAGER_SYSTEMD:
        return make_scope(b, id, c, err);
    case CGROUP_MANAGER_DISABLED:
        if (cgroup_resources_controllers(c->spec->resources))
            baton_warn(b, "cgroups are disabled: the limits of linux.resources are not applied");
        return state_write(&c->dir, &c->state, err);
    }
    return error_set(err, -EINVAL, "unknown cgroup manager");
}

bool creation_group_is_given(const struct spec *spec) {
    bool writable = false;

    if (!spec->namespaces[SPEC_NS_CGROUP].present || spec->namespaces[SPEC_NS_CGROUP].path)
        return false;
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct spec_mount *m = &spec->mounts[i];

        if (strcmp(m->destination, "/sys/fs/cgroup") != 0)
            continue;
        writable = m->type && strncmp(m->type, "cgroup", strlen("cgroup")) == 0;
        for (size_t k = 0; m->options[k]; k++)
            writable = writable && strcmp(m->options[k], "ro") != 0 && strcmp(m->options[k], "rro") != 0;
    }
    return writable && (spec->process->user.uid != 0 || spec->namespaces[SPEC_NS_USER].present);
}

int creation_group_give(struct creation *c, pid_t pid, struct error *err) {
    _cleanup_strbuf_ struct strbuf names = STRBUF_INIT;
    uid_t uid = c->spec->process->user.uid;
    int r = 0;

    if (c->cgroup.fd < 0)
        return 0;
    if (c->spec->namespaces[SPEC_NS_USER].present && (r = container_host_user(pid, uid, &uid, err)) < 0)
        return r;
    if (file_read("/sys/kernel/cgroup/delegate", 4096, &names, NULL) < 0)
        strbuf_adds(&names, "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n");
    if (fchown(c->cgroup.fd, uid, (gid_t) -1) < 0)
        return error_set_errno(err, -errno, "cannot give the cgroup %s to user %u", c->cgroup.path, uid);
    for (char *rest = names.data, *name; (name = strsep(&rest, "\n"));)
        if (*name && fchownat(c->cgroup.fd, name, uid, (gid_t) -1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
            return error_set_errno(err, -errno, "cannot give %s of the cgroup %s to user %u", name, c->cgroup.path,
                                   uid);
    return 0;
}

static int remove_folder(const struct cgroup_hierarchy *h, const char *path, const char *top, struct error *err) {
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    int r = cgroup_remove(h, path, err);

    if (r == -EBUSY) { /* processes outlived the container's first one, or the last is on its way out */
        error_clear(err);
        if ((r = cgroup_open(h, path, &cg, err)) == 0 && (r = cgroup_kill(&cg, err)) == 0 &&
            (r = cgroup_wait_empty(&cg, EMPTY_TIMEOUT_MSEC, err)) == 0)
            r = cgroup_remove(h, path, err);
        if (r == -ENOENT) {
            error_clear(err);
            r = 0;
        }
    }
    return r == 0 && top ? cgroup_prune(h, path, top, err) : r;
}

int creation_group_undo(struct creation *c) {
    creation_group_settle(c);
    if (c->state.unit)
        return c->cgroup_created ? cgroup_scope_stop(c->state.unit, NULL) : 0;
    if (c->cgroup_created)
        return remove_folder(&c->hierarchy, c->state.cgroup, c->state.cgroup_top, NULL);
    return c->state.cgroup_top ? cgroup_prune(&c->hierarchy, c->state.cgroup, c->state.cgroup_top, NULL) : 0;
}

static int find_and_remove_folder(const char *path, const char *top, struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    int r = cgroup_hierarchy_open(&h, err);

    return r < 0 ? r : remove_folder(&h, path, top, err);
}

int creation_group_destroy(const struct state_dir *dir, const struct state *state, struct error *err) {
    /* a creation that was cut off has recorded nothing, but may have made its group at the usual place */
    _cleanup_free_ char *usual = default_cgroup(dir->id);
    int r;

    if (state->cgroup && (r = find_and_remove_folder(state->cgroup, state->cgroup_top, err)) < 0)
        return r;
    /* an emptied scope ends by itself, but a new container of this name must not meet it on its way out */
    if (state->unit) {
        r = cgroup_scope_stop(state->unit, err);
        if (r == -ENOTSUP) { /* systemd cannot be asked: the group is gone, and that ends the scope */
            error_clear(err);
            r = 0;
        }
        return r;
    }
    if (state->cgroup || state->config)
        return 0;
    r = find_and_remove_folder(usual, NULL, err);
    if (r == -ENOTSUP) { /* without cgroup2 there cannot be one */
        error_clear(err);
        return 0;
    }
    return r;
}
