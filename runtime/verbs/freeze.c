/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pause and resume */
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

static int freeze(const struct baton *b, const char *id, bool frozen, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    int r = container_file_open(b, id, &f, err);

    if (r < 0)
        return r;
    if (frozen ? f.status != STATE_RUNNING && f.status != STATE_CREATED : f.status != STATE_PAUSED)
        return error_set(err, -EINVAL, "container %s is %s, not %s", id, state_status_name(f.status),
                         frozen ? "running" : "paused");
    if ((r = container_file_cgroup(&f, &cg, err)) < 0)
        return r;
    return cgroup_freeze(&cg, frozen, err);
}

int verb_pause(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (argc != 2)
        return baton_usage(b, "pause ID", "exactly one container id is needed");
    int r = freeze(b, argv[1], true, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}

int verb_resume(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (argc != 2)
        return baton_usage(b, "resume ID", "exactly one container id is needed");
    int r = freeze(b, argv[1], false, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
