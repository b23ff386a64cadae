/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define STAMP_LENGTH 23 /* 2006-01-02T15-04-05.000 */

/* Folder, and the name before and from its last dot. */
struct parts {
    char *dir, *stem, *extension;
};

static void parts_finish(struct parts *p) {
    free(p->dir);
    free(p->stem);
    free(p->extension);
}

static struct parts take_apart(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t n = dot && dot > name ? (size_t) (dot - name) : strlen(name);
    return (struct parts){.dir = slash ? xstrndup(path, (size_t) (slash - path) + 1) : xstrdup("./"),
                          .stem = xstrndup(name, n),
                          .extension = xstrdup(name + n)};
}

static void stamp(uint64_t usec, char out[STAMP_LENGTH + 1]) {
    time_t t = (time_t) (usec / USEC_PER_SEC);
    struct tm tm;
    char day[32];
    (void) gmtime_r(&t, &tm);
    (void) strftime(day, sizeof(day), "%Y-%m-%dT%H-%M-%S", &tm);
    (void) snprintf(out, STAMP_LENGTH + 1, "%.19s.%03u", day, (unsigned) (usec / 1000 % 1000));
}

static bool is_backup(const struct parts *p, const char *name) {
    size_t stem = strlen(p->stem), n = strlen(name);
    static const char form[] = "0000-00-00T00-00-00.000";
    if (n != stem + 1 + STAMP_LENGTH + strlen(p->extension) || strncmp(name, p->stem, stem) != 0 || name[stem] != '-' ||
        strcmp(name + stem + 1 + STAMP_LENGTH, p->extension) != 0)
        return false;
    for (size_t i = 0; i < STAMP_LENGTH; i++) {
        char c = name[stem + 1 + i];
        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
            return false;
    }
    return true;
}

static int youngest_first(const void *a, const void *b) {
    return strcmp(*(char *const *) b, *(char *const *) a);
}

static char **backups(const struct parts *p) {
    char **names = strv_new();
    DIR *d = opendir(p->dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_backup(p, e->d_name))
            strv_push(&names, xasprintf("%s%s", p->dir, e->d_name));
    if (d)
        (void) closedir(d);
    qsort(names, strv_len(names), sizeof(*names), youngest_first);
    return names;
}

static void thin_out(const struct parts *p, uint64_t now, uint64_t age_max_sec, unsigned backups_max) {
    _cleanup_strv_ char **names = backups(p);
    char oldest[STAMP_LENGTH + 1] = "";
    size_t at = strlen(p->dir) + strlen(p->stem) + 1;
    if (age_max_sec > 0 && now > age_max_sec * USEC_PER_SEC)
        stamp(now - age_max_sec * USEC_PER_SEC, oldest);
    for (size_t i = 0; names[i]; i++)
        if ((backups_max > 0 && i >= backups_max) || strncmp(names[i] + at, oldest, strlen(oldest)) < 0)
            (void) unlink(names[i]);
}

int audit_rotate(const char *path, uint64_t now_usec, uint64_t age_max_sec, unsigned backups_max, struct error *err) {
    _cleanup_(parts_finish) struct parts p = take_apart(path);
    char when[STAMP_LENGTH + 1];
    struct stat st;
    for (;; now_usec += USEC_PER_MSEC) { /* full twice in a millisecond: never over an older one */
        stamp(now_usec, when);
        _cleanup_free_ char *to = xasprintf("%s%s-%s%s", p.dir, p.stem, when, p.extension);
        if (lstat(to, &st) == 0)
            continue;
        if (rename(path, to) < 0 && errno != ENOENT)
            return error_set_errno(err, -errno, "cannot rename %s", path);
        thin_out(&p, now_usec, age_max_sec, backups_max);
        return 0;
    }
}
