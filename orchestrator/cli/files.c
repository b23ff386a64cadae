/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/files.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/manifest/expand.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define FILE_BYTES_MAX (64u * 1024u * 1024u)
#define FOLDERS_MAX    32 /* levels; links may go round in circles */

void documents_finish(struct documents *d) {
    for (size_t i = 0; i < d->n; i++) {
        json_unref(d->items[i].object);
        free(d->items[i].origin);
    }
    free(d->items);
    *d = (struct documents){0};
}

static int load_file(const char *path, struct documents *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    int r = standard_input ? fd_read_all(STDIN_FILENO, FILE_BYTES_MAX, &text, err)
                           : file_read(path, FILE_BYTES_MAX, &text, err);
    struct json **objects;
    size_t n;
    if (r == 0)
        r = manifest_parse(name, strbuf_str(&text), text.len, &objects, &n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        xgrow(&ret->items, ret->n, &ret->cap);
        ret->items[ret->n++] = (struct document){
            .object = json_ref(objects[i]),
            .origin = xasprintf("%s:%u", name, json_line(objects[i])),
        };
    }
    yaml_documents_free(objects, n);
    return 0;
}

static bool is_manifest(const char *name) {
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    size_t n = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (*name != '.' && n > strlen(endings[i]) && strcmp(name + n - strlen(endings[i]), endings[i]) == 0)
            return true;
    return false;
}

static int load_folder(const char *path, bool recursive, unsigned depth, struct documents *ret, struct error *err) {
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), r = 0;
    if (n < 0)
        return error_set_errno(err, -errno, "cannot read folder %s", path);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        _cleanup_free_ char *below = path_join(path, name);
        struct stat st;
        if (r == 0 && *name != '.' && stat(below, &st) == 0) {
            if (S_ISDIR(st.st_mode) && recursive && depth < FOLDERS_MAX)
                r = load_folder(below, true, depth + 1, ret, err);
            else if (S_ISREG(st.st_mode) && is_manifest(name))
                r = load_file(below, ret, err);
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

int documents_load(const char *path, bool recursive, struct documents *ret, struct error *err) {
    struct stat st;
    size_t before = ret->n;
    int r;
    if (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0)
        return error_set(err, -ENOTSUP, "%s: fetch it first: curl -sSL %s | podium … -f -", path, path);
    if (strcmp(path, "-") != 0 && stat(path, &st) < 0)
        return error_set_errno(err, -errno, "the path \"%s\" cannot be read", path);
    if (strcmp(path, "-") != 0 && S_ISDIR(st.st_mode))
        r = load_folder(path, recursive, 0, ret, err);
    else
        r = load_file(path, ret, err);
    if (r == 0 && ret->n == before)
        return error_set(err, -ENOENT, "no objects in %s", strcmp(path, "-") == 0 ? "standard input" : path);
    return r;
}
