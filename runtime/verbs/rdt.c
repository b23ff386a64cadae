/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/rdt.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define SCHEMATA_BYTES_MAX 65536

/* The usual place, and the only one known to the tools for it. */
int rdt_open_root(struct error *err) {
    _cleanup_close_ int fd = open("/sys/fs/resctrl", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != RDTGROUP_SUPER_MAGIC)
        return error_set(err, -ENOTSUP, "config: linux.intelRdt: resctrl is not mounted at /sys/fs/resctrl");
    return steal_fd(&fd);
}

static void add_lines(struct strbuf *out, const char *text, bool without_bandwidth) {
    for (const char *p = text; *p; p += *p == '\n') {
        size_t n = strcspn(p, "\n");

        if (n > 0 && !(without_bandwidth && strncmp(p, "MB:", 3) == 0)) {
            strbuf_add(out, p, n);
            strbuf_addc(out, '\n');
        }
        p += n;
    }
}

void rdt_schemata(const struct spec_rdt *rdt, struct strbuf *out) {
    for (size_t i = 0; rdt->schemata && rdt->schemata[i]; i++)
        add_lines(out, rdt->schemata[i], false);
    if (rdt->l3_cache)
        add_lines(out, rdt->l3_cache, rdt->memory_bandwidth);
    if (rdt->memory_bandwidth)
        add_lines(out, rdt->memory_bandwidth, false);
}

/* One line against another, spaces apart. */
static bool same_line(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == ' ' || *a == '\t')
            a++;
        while (*b == ' ' || *b == '\t')
            b++;
        bool a_ends = !*a || *a == '\n', b_ends = !*b || *b == '\n';
        if (a_ends || b_ends)
            return a_ends && b_ends;
        if (*a != *b)
            return false;
    }
}

static const char *next_line(const char *p) {
    p = strchrnul(p, '\n');
    return *p ? p + 1 : p;
}

bool rdt_schemata_match(const char *wanted, const char *file) {
    for (; *wanted; wanted = next_line(wanted)) {
        const char *line = file;

        while (*line && !same_line(wanted, line))
            line = next_line(line);
        if (!*line)
            return false;
    }
    return true;
}

static const char *group_name(const struct spec_rdt *rdt, const char *id) {
    return rdt->clos_id ? rdt->clos_id : id;
}

static char *monitor_path(const struct spec_rdt *rdt, const char *id) {
    return xasprintf("%s/mon_groups/%s", group_name(rdt, id), id);
}

static int check_existing(int root_fd, const char *name, const char *wanted, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/schemata", name);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = *wanted ? file_read_at(root_fd, path, SCHEMATA_BYTES_MAX, &text, err) : 0;

    if (r < 0)
        return error_prefix(err, r, "config: linux.intelRdt");
    if (!rdt_schemata_match(wanted, strbuf_str(&text)))
        return error_set(err, -EINVAL, "config: linux.intelRdt: the class %s exists with another schema", name);
    return 0;
}

static int make_class(int root_fd, const struct spec_rdt *rdt, const char *name, struct rdt_group *g,
                      struct error *err) {
    _cleanup_strbuf_ struct strbuf wanted = STRBUF_INIT;
    struct stat st;

    rdt_schemata(rdt, &wanted);
    if (rdt->clos_id && wanted.len == 0)
        return fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)
                   ? 0
                   : error_set(err, -ENOENT, "config: linux.intelRdt.closID: the class %s does not exist", name);
    if (mkdirat(root_fd, name, 0755) < 0) {
        if (errno == EEXIST && rdt->clos_id)
            return check_existing(root_fd, name, strbuf_str(&wanted), err);
        return error_set_errno(err, -errno, "config: linux.intelRdt: cannot make the class %s", name);
    }
    g->made = true;
    if (wanted.len == 0)
        return 0;
    _cleanup_free_ char *path = xasprintf("%s/schemata", name);
    int r = file_write_at(root_fd, path, wanted.data, err);
    return r < 0 ? error_prefix(err, r, "config: linux.intelRdt") : 0;
}

static int open_tasks(int root_fd, const char *folder, int *ret, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/tasks", folder);

    *ret = openat(root_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return *ret < 0 ? error_set_errno(err, -errno, "config: linux.intelRdt: cannot open %s", path) : 0;
}

int rdt_open(int root_fd, const struct spec_rdt *rdt, const char *id, struct rdt_group *g, struct error *err) {
    _cleanup_free_ char *monitor = monitor_path(rdt, id);
    int r = open_tasks(root_fd, group_name(rdt, id), &g->tasks[0], err);

    return r == 0 && rdt->monitoring ? open_tasks(root_fd, monitor, &g->tasks[1], err) : r;
}

int rdt_make(int root_fd, const struct spec_rdt *rdt, const char *id, struct rdt_group *ret, struct error *err) {
    _cleanup_free_ char *monitor = monitor_path(rdt, id);
    struct rdt_group g = RDT_GROUP_INIT;
    int r = make_class(root_fd, rdt, group_name(rdt, id), &g, err);

    if (r == 0 && rdt->monitoring) {
        g.monitor_made = mkdirat(root_fd, monitor, 0755) == 0;
        if (!g.monitor_made)
            r = error_set_errno(err, -errno, "config: linux.intelRdt: cannot make the monitoring group %s", monitor);
    }
    if (r == 0)
        r = rdt_open(root_fd, rdt, id, &g, err);
    if (r < 0) {
        rdt_close(&g);
        rdt_undo(root_fd, rdt, id, &g);
        return r;
    }
    *ret = g;
    return 0;
}

void rdt_undo(int root_fd, const struct spec_rdt *rdt, const char *id, const struct rdt_group *group) {
    _cleanup_free_ char *monitor = monitor_path(rdt, id);

    if (group->monitor_made)
        (void) unlinkat(root_fd, monitor, AT_REMOVEDIR);
    if (group->made)
        (void) unlinkat(root_fd, group_name(rdt, id), AT_REMOVEDIR);
}

int rdt_remove(int root_fd, const struct spec_rdt *rdt, const char *id, struct error *err) {
    _cleanup_free_ char *monitor = monitor_path(rdt, id);

    if (rdt->monitoring && unlinkat(root_fd, monitor, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove the monitoring group %s", monitor);
    if (!rdt->clos_id && unlinkat(root_fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove the resctrl class %s", id);
    return 0;
}

void rdt_close(struct rdt_group *g) {
    for (int i = 0; i < 2; i++) {
        closep(&g->tasks[i]);
        g->tasks[i] = -1;
    }
}
