/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running container gets more or less of the node: what pod.json says by now. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "runtime/pod/supervisor.h"

#define NUMBER_BYTES_MAX 64

static int64_t memory_used(const struct cgroup *cg) {
    _cleanup_close_ int fd = openat(cg->fd, "memory.current", O_RDONLY | O_CLOEXEC);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    return fd >= 0 && fd_read_all(fd, NUMBER_BYTES_MAX, &text, NULL) == 0 ? strtoll(strbuf_str(&text), NULL, 10) : 0;
}

/* A limit below what is used would make the kernel kill at once. What can be given up is given up; is it not enough,
 * the limit stays as it is, and the agent asks again later. */
static int make_room(const struct cgroup *cg, int64_t limit, struct error *err) {
    int64_t used = limit > 0 ? memory_used(cg) : 0;
    char text[NUMBER_BYTES_MAX];

    if (used <= limit)
        return 0;
    (void) snprintf(text, sizeof(text), "%" PRId64, used - limit);
    (void) (cgroup_set(cg, "memory.reclaim", text, NULL) < 0); /* since Linux 5.19; as much as there is */
    used = memory_used(cg);
    if (used <= limit)
        return 0;
    return error_set(err, -EBUSY,
                     "it uses %" PRId64 " bytes of memory, more than the limit of %" PRId64 " it shall get", used,
                     limit);
}

int pod_run_resize(struct pod_run *run, struct error *err) {
    _cleanup_close_ int fd = open(run->pod->spec_path, O_RDONLY | O_CLOEXEC);
    _cleanup_(pod_launch_finish) struct pod_launch l = {0};
    _cleanup_strv_ char **skipped = strv_new();
    struct pod_container *c = run->container;

    if (c->state != POD_RUNNING) /* its next start takes what the file says then */
        return 0;
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", run->pod->spec_path);
    int r = pod_launch_load(fd, (size_t) (c - run->pod->model.containers), &l, err);
    if (r < 0 || l.allocation == c->allocation)
        return r;
    r = make_room(&run->cgroup, json_int_or(json_path(l.spec->resources, "memory", "limit"), 0), err);
    if (r == 0)
        r = cgroup_apply(&run->cgroup, l.spec->resources, &skipped, err);
    if (r < 0)
        return error_prefix(err, r, "container %s", c->config->name);
    c->allocation = l.allocation;
    run->pod->changed = true;
    log_info("container %s: resized", c->config->name);
    return 0;
}
