/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "orchestrator/agent/images/upkeep.h"
#include "orchestrator/agent/images/worker.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/images/archives.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define FOLDER_NAME "images.d"

struct image_folder {
    struct agent *agent;
    char *path;
    struct json *archives;   /* as on disk */
    struct hashmap *pending; /* file names to look at */
    sd_event_source *inotify, *defer;
    struct image_worker *worker;
    char *name, *stamp; /* of what the worker imports */
};

static void wake(struct image_folder *f) {
    (void) sd_event_source_set_enabled(f->defer, SD_EVENT_ONESHOT);
}

static bool is_archive_name(const char *name) {
    static const char *const unfinished[] = {".tmp", ".part", "~"};
    size_t n = strlen(name);

    for (size_t i = 0; i < ARRAY_LEN(unfinished); i++) {
        size_t m = strlen(unfinished[i]);
        if (n > m && strcmp(name + n - m, unfinished[i]) == 0)
            return false;
    }
    return *name != '.' && *name != 0;
}

static void save(struct image_folder *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = image_archives_save(f->agent->image_dir, f->archives, &err);

    if (r < 0)
        log_warning("cannot note which archives are imported: %s", error_text(&err, r));
}

/* --- importing --- */

static void note_result(struct image_folder *f, const struct json *ok, const char *text) {
    struct json *entry = json_object();

    json_set(&entry, "stamp", json_string(f->stamp));
    if (ok)
        json_set(&entry, "digests", json_ref(json_get(ok, "digests")));
    else
        json_set(&entry, "error", json_string(text));
    json_set(&f->archives, f->name, entry);
    save(f);
}

/* The text without the path some errors begin with. */
static const char *after(const char *text, const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name);
    size_t n = strlen(path);

    return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

static void on_done(void *userdata, const struct json *ok, int code, const char *text) {
    struct image_folder *f = userdata;

    image_worker_free(steal(&f->worker));
    note_result(f, ok, text);
    _cleanup_free_ char *message =
        ok ? xasprintf("Imported %zu image%s from %s/%s", json_len(json_get(ok, "digests")),
                       json_len(json_get(ok, "digests")) == 1 ? "" : "s", f->path, f->name)
           : xasprintf("Cannot import %s/%s: %s", f->path, f->name, after(text, f->path, f->name));
    agent_node_event(f->agent, ok ? "Normal" : "Warning", ok ? "ImageImported" : "ImageImportFailed", message);
    free(steal(&f->name));
    free(steal(&f->stamp));
    if (ok)
        image_collector_look(f->agent->collector);
    wake(f);
}

static const struct image_worker_callbacks callbacks = {.done = on_done};

/* Whether the file, as it is, was dealt with. Images that were removed meanwhile are imported again only when the file
 * changes: who removed them meant it. */
static bool is_known(const struct image_folder *f, const char *name, const char *stamp) {
    const char *known = json_str(json_get(json_get(f->archives, name), "stamp"));

    return known && strcmp(known, stamp) == 0;
}

static void import(struct image_folder *f, const char *name, const char *stamp) {
    _cleanup_json_ struct json *request = NULL;
    _cleanup_free_ char *path = path_join(f->path, name);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    json_set(&request, "op", json_string("import"));
    json_set(&request, "root", json_string(f->agent->image_dir));
    json_set(&request, "path", json_string(path));
    f->name = xstrdup(name);
    f->stamp = xstrdup(stamp);
    int r = image_worker_start(f->agent->loop, f->agent->podium, request, &callbacks, f, &f->worker, &err);
    if (r < 0)
        on_done(f, NULL, r, error_text(&err, r));
}

/* Looks at one file; starts its import when it is one to do. */
static void look_at(struct image_folder *f, const char *name) {
    _cleanup_free_ char *path = path_join(f->path, name);
    struct stat st;

    if (stat(path, &st) < 0) {
        if (json_del(&f->archives, name))
            save(f);
        return;
    }
    _cleanup_free_ char *stamp = image_archive_stamp(&st);
    if (S_ISREG(st.st_mode) && st.st_size > 0 && !is_known(f, name, stamp))
        import(f, name, stamp);
}

static int on_defer(sd_event_source *source, void *userdata) {
    struct image_folder *f = userdata;

    while (!f->worker) {
        struct hashmap_iter it = {0};
        if (!hashmap_next(f->pending, &it))
            break;
        _cleanup_free_ char *name = xstrdup(it.key);
        (void) hashmap_remove(f->pending, name);
        look_at(f, name);
    }
    return 0;
}

/* --- noticing --- */

static void add_pending(struct image_folder *f, const char *name) {
    if (is_archive_name(name)) {
        hashmap_put(f->pending, name, NULL);
        wake(f);
    }
}

static void scan(struct image_folder *f) {
    _cleanup_closedir_ DIR *d = opendir(f->path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        add_pending(f, e->d_name);
    for (size_t i = 0; i < json_len(f->archives); i++) /* what is gone since */
        add_pending(f, json_key_at(f->archives, i));
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata) {
    if (event->mask & IN_Q_OVERFLOW)
        scan(userdata);
    else if (event->len > 0)
        add_pending(userdata, event->name);
    return 0;
}

/* Failures get another chance with a new agent: the disk may have been full. */
static void forget_failures(struct image_folder *f) {
    for (size_t i = json_len(f->archives); i-- > 0;)
        if (json_get(json_value_at(f->archives, i), "error")) {
            _cleanup_free_ char *name = xstrdup(json_key_at(f->archives, i));
            (void) json_del(&f->archives, name);
        }
}

int image_folder_new(struct agent *agent, struct image_folder **ret, struct error *err) {
    struct image_folder *f = xnew0(struct image_folder);

    f->agent = agent;
    f->path = path_join(agent->state_dir, FOLDER_NAME);
    f->pending = hashmap_new(NULL);
    f->archives = image_archives_load(agent->image_dir);
    forget_failures(f);
    int r = mkdir_parents(f->path, 0755, err);
    if (r == 0) {
        r = sd_event_add_defer(agent->loop, &f->defer, on_defer, f);
        if (r >= 0)
            r = sd_event_source_set_enabled(f->defer, SD_EVENT_OFF);
        if (r >= 0)
            r = sd_event_add_inotify(agent->loop, &f->inotify, f->path,
                                     IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR, on_inotify,
                                     f);
        if (r < 0)
            r = error_set_errno(err, r, "cannot watch %s", f->path);
    }
    if (r < 0) {
        image_folder_free(f);
        return r;
    }
    scan(f);
    *ret = f;
    return 0;
}

void image_folder_free(struct image_folder *f) {
    if (!f)
        return;
    sd_event_source_disable_unref(f->inotify);
    sd_event_source_disable_unref(f->defer);
    image_worker_free(f->worker);
    hashmap_free(f->pending);
    json_unref(f->archives);
    free(f->path);
    free(f->name);
    free(f->stamp);
    free(f);
}
