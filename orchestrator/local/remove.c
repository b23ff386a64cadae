/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/remove.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "podium/cgroups.h"
#include "podium/netns.h"

#define EMPTY_TIMEOUT_MSEC 30000

/* A container whose record is damaged still has its processes here. */
static int remove_cgroup(const struct local_cluster *c, struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    _cleanup_(error_clear) struct error ignored = ERROR_INIT;
    struct cgroup cg;

    int r = cgroup_hierarchy_open(&h, err);
    if (r < 0)
        return r;
    if (cgroup_open(&h, c->cgroup, &cg, &ignored) == 0) {
        if (cgroup_kill(&cg, &ignored) == 0)
            (void) !cgroup_wait_empty(&cg, EMPTY_TIMEOUT_MSEC, &ignored);
        cgroup_finish(&cg);
    }
    return cgroup_remove(&h, c->cgroup, err);
}

static int remove_files(const struct local_cluster *c, struct error *err) {
    if (c->made_manifests && c->manifests) {
        _cleanup_free_ char *parent = xstrdup(c->manifests);
        char *slash = strrchr(parent, '/');
        if (rmdir(c->manifests) == 0 && slash && slash != parent) {
            *slash = 0;
            (void) rmdir(parent); /* only if nothing else is in it */
        }
    }
    int r = rm_tree(c->dir, err);
    if (r == 0 && strncmp(c->dir, LOCAL_CLUSTERS_DIR "/", strlen(LOCAL_CLUSTERS_DIR "/")) == 0)
        (void) rmdir(LOCAL_CLUSTERS_DIR); /* of the last one */
    return r;
}

int local_cluster_remove(const struct local_cluster *c, const struct local_tools *t, struct error *err) {
    int result = 0, r;

    for (size_t i = 0; i < c->n_nodes; i++) {
        r = local_node_stop(c, &c->nodes[i], t, 0, result < 0 ? NULL : err);
        if (r < 0 && result == 0)
            result = r;
    }
    r = netns_link_remove(c->bridge, result < 0 ? NULL : err);
    if (r < 0 && result == 0)
        result = r;
    r = remove_cgroup(c, result < 0 ? NULL : err);
    if (r < 0 && r != -ENOENT && result == 0)
        result = r;
    if (result < 0)
        return result;
    error_clear(err);
    return remove_files(c, err);
}
