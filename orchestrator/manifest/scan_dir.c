/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/scan_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/manifest/expand.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"

#define FOLDERS_DEEP_MAX 16u /* also what ends a loop of links */

/* A file, or a folder that could not be read (its name ends in "/", then it has only a problem). */
struct entry {
    char *file;
    struct stat st; /* when it was read; zero when it never was */
    struct json **objects;
    size_t n_objects;
    char *problem; /* NULL when all is well */
    unsigned seen; /* number of the run that saw it last */
};

struct scan_dir {
    char *path;
    struct scan_hooks hooks;
    struct hashmap *entries; /* relative name -> struct entry */
    unsigned run;
    bool changed, missing;
};

static void entry_free(void *p) {
    struct entry *e = p;
    yaml_documents_free(e->objects, e->n_objects);
    free(e->file);
    free(e->problem);
    free(e);
}

struct scan_dir *scan_dir_new(const char *path, const struct scan_hooks *hooks) {
    struct scan_dir *s = xnew0(struct scan_dir);
    s->path = xstrdup(path);
    s->hooks = *hooks;
    s->entries = hashmap_new(entry_free);
    return s;
}

void scan_dir_free(struct scan_dir *s) {
    if (!s)
        return;
    hashmap_free(s->entries);
    free(s->path);
    free(s);
}

bool scan_name_is_manifest(const char *name) {
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    size_t n = strlen(name);
    if (name[0] == '.' || name[0] == '#')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        size_t k = strlen(endings[i]);
        if (n > k && strcmp(name + n - k, endings[i]) == 0)
            return true;
    }
    return false;
}

/* --- entries --- */

static struct entry *get_entry(struct scan_dir *s, const char *file) {
    struct entry *e = hashmap_get(s->entries, file);
    if (!e) {
        e = xnew0(struct entry);
        e->file = xstrdup(file);
        hashmap_put(s->entries, file, e);
    }
    e->seen = s->run;
    return e;
}

/* take: NULL when all is well. */
static void set_problem(struct scan_dir *s, struct entry *e, char *take) {
    if ((e->problem == NULL) != (take == NULL) || (take && strcmp(e->problem, take) != 0))
        s->changed = true;
    free(e->problem);
    e->problem = take;
}

static void set_objects(struct scan_dir *s, struct entry *e, struct json **take, size_t n) {
    bool same = e->n_objects == n;
    for (size_t i = 0; same && i < n; i++)
        same = json_equal(e->objects[i], take[i]);
    if (!same)
        s->changed = true;
    yaml_documents_free(e->objects, e->n_objects);
    e->objects = take;
    e->n_objects = n;
}

static bool same_content(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static char *explain(const char *file, const char *what, int r) {
    return xasprintf("%s:1:1: %s: %s", file, what, strerror(-r));
}

/* --- files --- */

static void read_file(struct scan_dir *s, struct entry *e, const char *path, const char *real) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stat before, after;
    struct json **objects = NULL;
    size_t n = 0;
    e->st = (struct stat){0}; /* whatever fails here is tried again next time */
    /* O_NONBLOCK: a FIFO put in place of the file must not hold us. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &before) < 0 || !S_ISREG(before.st_mode)) {
        set_problem(s, e, explain(e->file, "cannot open the file", fd < 0 ? -errno : -EINVAL));
        return;
    }
    int r = fd_read_all(fd, YAML_BYTES_MAX, &text, NULL);
    if (r < 0) {
        set_problem(s, e, explain(e->file, "cannot read the file", r));
        return;
    }
    if (s->hooks.unsettled(s->hooks.userdata, real)) /* someone began to write before we had read it all */
        return;
    if (fstat(fd, &after) < 0 || !same_content(&before, &after)) {
        s->hooks.moving(s->hooks.userdata, real);
        return;
    }
    e->st = after;
    r = manifest_parse(e->file, strbuf_str(&text), text.len, &objects, &n, &err);
    set_problem(s, e, r < 0 ? xstrdup(error_text(&err, r)) : NULL);
    if (r >= 0)
        set_objects(s, e, objects, n);
}

/* Tells the watcher where a link leads. */
static void follow_link(struct scan_dir *s, const char *real) {
    const char *slash = strrchr(real, '/');
    _cleanup_free_ char *folder = slash == real ? xstrdup("/") : xstrndup(real, (size_t) (slash - real));
    s->hooks.target(s->hooks.userdata, folder, slash + 1);
}

static void look_at_file(struct scan_dir *s, const char *path, const char *file, const struct stat *st, bool link) {
    struct entry *e = get_entry(s, file);
    _cleanup_free_ char *real = realpath(path, NULL);
    if (!real)
        return; /* gone in the meantime: an event will follow */
    if (link)
        follow_link(s, real);
    if (s->hooks.unsettled(s->hooks.userdata, real))
        return;
    if (!same_content(&e->st, st))
        read_file(s, e, path, real);
}

/* --- folders --- */

/* Whatever was in there stays as it was. */
static void keep_below(struct scan_dir *s, const char *folder) {
    struct hashmap_iter it = {0};
    while (hashmap_next(s->entries, &it))
        if (strncmp(it.key, folder, strlen(folder)) == 0)
            ((struct entry *) it.value)->seen = s->run;
}

/* The file, or what is below the folder, is not gone because it cannot be read at the moment. */
static void keep_unread(struct scan_dir *s, const char *file, const char *what, int r) {
    _cleanup_free_ char *folder = xasprintf("%s/", file);
    struct entry *e = get_entry(s, file);

    keep_below(s, folder);
    e->st = (struct stat){0};
    set_problem(s, e, explain(file, what, r));
}

static void look_at_folder(struct scan_dir *s, const char *path, const char *folder, unsigned depth);

/* folder: relative with "/" behind, "" for the directory itself. */
static void look_at(struct scan_dir *s, const char *path, const char *folder, const char *name, unsigned depth) {
    _cleanup_free_ char *below = path_join(path, name), *file = xasprintf("%s%s", folder, name);
    struct stat st, link;
    if (lstat(below, &link) < 0) {
        if (errno != ENOENT) /* else gone in the meantime: an event will follow */
            keep_unread(s, file, "cannot look at it", -errno);
        return;
    }
    if (stat(below, &st) < 0) {
        int r = -errno;
        if (r != -ENOENT && r != -ENOTDIR && r != -ELOOP) {
            keep_unread(s, file, "cannot look at it", r);
        } else if (scan_name_is_manifest(name)) {
            struct entry *e = get_entry(s, file);
            e->st = (struct stat){0};
            set_problem(s, e, explain(file, "the link leads nowhere", r));
        }
    } else if (S_ISDIR(st.st_mode)) {
        _cleanup_free_ char *inner = xasprintf("%s/", file);
        look_at_folder(s, below, inner, depth + 1);
    } else if (S_ISREG(st.st_mode) && scan_name_is_manifest(name)) {
        look_at_file(s, below, file, &st, S_ISLNK(link.st_mode));
    }
}

static void look_at_folder(struct scan_dir *s, const char *path, const char *folder, unsigned depth) {
    if (depth > FOLDERS_DEEP_MAX) {
        set_problem(s, get_entry(s, folder), explain(folder, "too many folders deep", -ELOOP));
        return;
    }
    s->hooks.folder(s->hooks.userdata, path);
    _cleanup_closedir_ DIR *dir = opendir(path);
    int r = -errno;
    if (!dir && (r == -ENOENT || r == -ENOTDIR)) {
        s->missing = depth == 0 ? true : s->missing;
        return;
    }
    if (!dir) {
        keep_below(s, folder);
        set_problem(s, get_entry(s, folder), explain(*folder ? folder : ".", "cannot open the folder", r));
        return;
    }
    for (struct dirent *d; (errno = 0, d = readdir(dir));)
        if (d->d_name[0] != '.')
            look_at(s, path, folder, d->d_name, depth);
    if (errno) {
        r = -errno;
        keep_below(s, folder);
        set_problem(s, get_entry(s, folder), explain(*folder ? folder : ".", "cannot read the folder", r));
    }
}

static void forget_unseen(struct scan_dir *s) {
    struct hashmap_iter it = {0};
    while (hashmap_next(s->entries, &it))
        if (((struct entry *) it.value)->seen != s->run) {
            hashmap_remove(s->entries, it.key);
            s->changed = true;
        }
}

bool scan_dir_run(struct scan_dir *s) {
    bool was_missing = s->missing;
    s->changed = s->run++ == 0;
    s->missing = false;
    look_at_folder(s, s->path, "", 0);
    if (s->missing != was_missing)
        s->changed = true;
    forget_unseen(s);
    return s->changed;
}

/* --- the result --- */

static int by_file(const void *a, const void *b) {
    return strcmp((*(struct entry *const *) a)->file, (*(struct entry *const *) b)->file);
}

void scan_dir_collect(const struct scan_dir *s, struct manifest_set *ret) {
    size_t n = 0;
    _cleanup_free_ struct entry **sorted = xcalloc(hashmap_len(s->entries) + 1, sizeof(*sorted));
    struct hashmap_iter it = {0};
    while (hashmap_next(s->entries, &it))
        sorted[n++] = it.value;
    qsort(sorted, n, sizeof(*sorted), by_file);
    *ret = (struct manifest_set){.missing = s->missing};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sorted[i]->n_objects; k++)
            manifest_set_add(ret, sorted[i]->file, sorted[i]->objects[k]);
        if (sorted[i]->problem)
            manifest_set_add_problem(ret, sorted[i]->file, sorted[i]->problem);
    }
}
