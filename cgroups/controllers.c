/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define SMALL_FILE_BYTES_MAX (1u << 20)

static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {
    {"cpu", CGROUP_CPU},   {"cpuset", CGROUP_CPUSET},   {"io", CGROUP_IO},     {"memory", CGROUP_MEMORY},
    {"pids", CGROUP_PIDS}, {"hugetlb", CGROUP_HUGETLB}, {"rdma", CGROUP_RDMA}, {"misc", CGROUP_MISC},
};

char *cgroup_controllers_text(unsigned set) {
    struct strbuf text = STRBUF_INIT;

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (set & controllers[i].bit)
            strbuf_addf(&text, "%s%s", text.len ? " " : "", controllers[i].name);
    return strbuf_steal(&text);
}

unsigned cgroup_file_controller(const char *file) {
    size_t n = strcspn(file, ".");

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (strlen(controllers[i].name) == n && strncmp(controllers[i].name, file, n) == 0)
            return controllers[i].bit;
    return 0;
}

static unsigned parse_controllers(char *text) {
    unsigned set = 0;
    char *save = NULL;

    for (char *word = text ? strtok_r(text, " \n", &save) : NULL; word; word = strtok_r(NULL, " \n", &save))
        for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
            if (strcmp(controllers[i].name, word) == 0)
                set |= controllers[i].bit;
    return set;
}

static int read_controllers(int fd, const char *file, unsigned *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = file_read_at(fd, file, SMALL_FILE_BYTES_MAX, &text, err);

    if (r == 0)
        *ret = parse_controllers(text.data);
    return r;
}

int cgroup_controllers(const struct cgroup *cg, unsigned *ret, struct error *err) {
    int r = read_controllers(cg->fd, "cgroup.controllers", ret, err);

    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

/* "+cpu +memory" */
static int enable(int fd, unsigned set, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (!set)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (set & controllers[i].bit)
            strbuf_addf(&text, "%s+%s", text.len ? " " : "", controllers[i].name);
    return file_write_at(fd, "cgroup.subtree_control", strbuf_str(&text), err);
}

int cgroup_enable(const struct cgroup *cg, unsigned set, struct error *err) {
    unsigned have = 0;
    int r = cgroup_controllers(cg, &have, err);

    if (r < 0)
        return r;
    if (set & ~have) {
        _cleanup_free_ char *missing = cgroup_controllers_text(set & ~have);

        return error_set(err, -ENODEV, "cgroup %s: controller %s is not available", cg->path, missing);
    }
    r = enable(cg->fd, set, err);
    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

/* Enables in one group what it has and its children do not yet. */
static int enable_here(const struct cgroup *cg, unsigned set, unsigned *missing, struct error *err) {
    unsigned have = 0, enabled = 0;
    int r = cgroup_controllers(cg, &have, err);

    if (r < 0)
        return r;
    *missing |= set & ~have;
    if ((r = read_controllers(cg->fd, "cgroup.subtree_control", &enabled, err)) < 0)
        return error_prefix(err, r, "cgroup %s", cg->path);
    r = enable(cg->fd, set & have & ~enabled, err);
    if (r == -EBUSY)
        return error_set(err, r, "cgroup %s holds processes itself, so controllers cannot be enabled for its children",
                         cg->path);
    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

int cgroup_enable_above(const struct cgroup_hierarchy *h, const char *path, unsigned set, unsigned *ret_missing,
                        struct error *err) {
    _cleanup_free_ char *at = xstrdup(path);
    int r = 0;

    *ret_missing = 0;
    /* each prefix "", "/a", "/a/b" but the whole path */
    for (size_t i = 0; r == 0 && set; i++) {
        char kept = at[i];

        if (kept == 0)
            break;
        if (kept != '/' || at[i + 1] == 0 || at[i + 1] == '/')
            continue;
        _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
        at[i] = 0;
        r = cgroup_open(h, at, &cg, err);
        if (r == 0)
            r = enable_here(&cg, set & ~*ret_missing, ret_missing, err);
        at[i] = kept;
    }
    return r;
}

/* "4:memory:/", "2:cpu,cpuacct:/" of /proc/self/cgroup: version 1 has taken the controller. */
static bool is_bound_to_version_1(const char *name) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char *save = NULL;

    if (file_read("/proc/self/cgroup", SMALL_FILE_BYTES_MAX, &text, NULL) < 0 || !text.len)
        return false;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':'), *end = names ? strchr(names + 1, ':') : NULL, *words = NULL;

        if (!end)
            continue;
        *end = 0;
        for (char *word = strtok_r(names + 1, ",", &words); word; word = strtok_r(NULL, ",", &words))
            if (strcmp(word, strcmp(name, "io") == 0 ? "blkio" : name) == 0)
                return true;
    }
    return false;
}

static int missing_controller(const struct cgroup *cg, const char *file, struct error *err) {
    _cleanup_free_ char *name = cgroup_controllers_text(cgroup_file_controller(file));

    if (!*name)
        return error_set(err, -ENODEV, "cgroup %s: the kernel has no %s", cg->path, file);
    return error_set(err, -ENODEV, "cgroup %s: %s needs the controller %s, which is not available%s", cg->path, file,
                     name,
                     is_bound_to_version_1(name) ? ": cgroup version 1 has it on this machine (boot with "
                                                   "systemd.unified_cgroup_hierarchy=1 to give it to version 2)"
                                                 : "");
}

int cgroup_set(const struct cgroup *cg, const char *file, const char *value, struct error *err) {
    if (strchr(file, '/'))
        return error_set(err, -EINVAL, "cgroup file name \"%s\" is refused", file);
    int r = file_write_at(cg->fd, file, value, err);
    if (r == -ENOENT)
        return missing_controller(cg, file, err);
    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

int cgroup_read(const struct cgroup *cg, const char *file, struct strbuf *out, struct error *err) {
    strbuf_reset(out);
    int r = file_read_at(cg->fd, file, SMALL_FILE_BYTES_MAX, out, err);
    if (r == -ENOENT)
        return missing_controller(cg, file, err);
    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

bool cgroup_key_value(const char *text, const char *key, uint64_t *ret) {
    size_t n = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, key, n) == 0 && line[n] == ' ') {
            *ret = strtoull(line + n + 1, NULL, 10);
            return true;
        }
    return false;
}
