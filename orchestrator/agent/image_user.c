/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/image_user.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define PASSWD_BYTES_MAX (1024u * 1024u)

void image_user_finish(struct image_user *u) {
    free(u->home);
    free(u->groups);
    *u = (struct image_user){0};
}

/* Whether the folder that would hold the file hides lower layers. */
static bool is_opaque(int layer_fd, const char *path) {
    _cleanup_free_ char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/'), value = 0;

    if (!slash || slash == dir)
        return false;
    *slash = 0;
    _cleanup_close_ int fd = open_in_root(layer_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return fd >= 0 && fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

int image_file_read(char *const *layer_dirs, const char *path, size_t max, struct strbuf *out, struct error *err) {
    for (; layer_dirs && *layer_dirs; layer_dirs++) {
        struct stat st;
        _cleanup_close_ int root = open(*layer_dirs, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
            return error_set_errno(err, -errno, "cannot open the layer %s", *layer_dirs);
        /* look before opening: a whiteout is a device node */
        _cleanup_close_ int at = open_in_root(root, path, O_PATH | O_CLOEXEC, 0);
        if (at < 0) {
            if (is_opaque(root, path))
                break;
            continue;
        }
        if (fstat(at, &st) < 0 || !S_ISREG(st.st_mode))
            break;
        _cleanup_close_ int fd = open_in_root(root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
        if (fd < 0)
            return error_set_errno(err, fd, "cannot open %s of the image", path);
        return fd_read_all(fd, max, out, err);
    }
    return error_set(err, -ENOENT, "the image has no %s", path);
}

static bool is_number(const char *s, uint32_t *ret) {
    char *end;

    if (!*s || strlen(s) > 10)
        return false;
    unsigned long long v = strtoull(s, &end, 10);
    if (*end || v >= UINT32_MAX || s[0] == '-' || s[0] == '+')
        return false;
    *ret = (uint32_t) v;
    return true;
}

/* Splits a line at colons into at most n fields; returns how many. */
static size_t split(char *line, char **fields, size_t n) {
    size_t k = 0;

    while (line && k < n)
        fields[k++] = strsep(&line, ":");
    return k;
}

/* The passwd entry by name, or by number when is_uid. */
static bool find_user(const char *passwd, const char *name, bool is_uid, uint32_t uid, struct image_user *ret,
                      char **ret_name) {
    _cleanup_free_ char *copy = xstrdup(passwd);
    char *rest = copy, *line, *f[7];

    while ((line = strsep(&rest, "\n"))) {
        uint32_t u, g;
        size_t n = split(line, f, ARRAY_LEN(f));
        if (n < 4 || !is_number(f[2], &u) || !is_number(f[3], &g))
            continue;
        if (is_uid ? u != uid : strcmp(f[0], name) != 0)
            continue;
        ret->uid = u;
        ret->gid = g;
        ret->home = n > 5 ? xstrdup(f[5]) : NULL;
        *ret_name = xstrdup(f[0]);
        return true;
    }
    return false;
}

static bool has_member(char *members, const char *name) {
    char *m;

    while ((m = strsep(&members, ",")))
        if (strcmp(m, name) == 0)
            return true;
    return false;
}

/* Looks up the group `name` (may be NULL), and collects the groups that have the user as member. */
static bool walk_groups(const char *group, const char *name, uint32_t *ret_gid, const char *user,
                        struct image_user *u) {
    _cleanup_free_ char *copy = xstrdup(group);
    char *rest = copy, *line, *f[4];
    size_t cap = 0;
    bool found = false;

    while ((line = strsep(&rest, "\n"))) {
        uint32_t gid;
        size_t n = split(line, f, ARRAY_LEN(f));
        if (n < 3 || !is_number(f[2], &gid))
            continue;
        if (name && !found && strcmp(f[0], name) == 0) {
            *ret_gid = gid;
            found = true;
        }
        if (user && n > 3 && has_member(f[3], user)) {
            xgrow(&u->groups, u->n_groups, &cap);
            u->groups[u->n_groups++] = gid;
        }
    }
    return found;
}

int image_user_resolve(char *const *layer_dirs, const char *text, struct image_user *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf passwd = STRBUF_INIT, group = STRBUF_INIT;
    _cleanup_free_ char *copy = xstrdup(text), *name = NULL;
    char *rest = copy, *user = strsep(&rest, ":");
    uint32_t gid = 0;

    *ret = (struct image_user){0};
    if (image_file_read(layer_dirs, "/etc/passwd", PASSWD_BYTES_MAX, &passwd, NULL) < 0)
        strbuf_reset(&passwd);
    if (image_file_read(layer_dirs, "/etc/group", PASSWD_BYTES_MAX, &group, NULL) < 0)
        strbuf_reset(&group);
    bool numeric = !*user || is_number(user, &ret->uid);
    uint32_t uid = ret->uid;
    bool known = find_user(strbuf_str(&passwd), user, numeric, uid, ret, &name);
    if (!known && !numeric)
        return error_set(err, -EINVAL, "unable to find user %s: no matching entries in passwd file", user);
    bool named_group = rest && *rest && !is_number(rest, &gid);
    bool found = walk_groups(strbuf_str(&group), named_group ? rest : NULL, &gid, name, ret);
    if (named_group && !found) {
        image_user_finish(ret);
        return error_set(err, -EINVAL, "unable to find group %s: no matching entries in group file", rest);
    }
    if (rest && *rest)
        ret->gid = gid;
    return 0;
}
