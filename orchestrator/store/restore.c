/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store made of a backup: checked whole first, then written beside its place and moved there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "orchestrator/store/backup.h"
#include "orchestrator/store/internal.h"
#include "orchestrator/store/lmdb/lmdb_backend.h"
#include "orchestrator/store/sealed_backend.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

#define BATCH_ROWS  500
#define BATCH_BYTES (8u * 1024u * 1024u)

struct reader {
    FILE *file;
    char *line;
    size_t cap;
    size_t number; /* of the line read last, from 1 */
    uint32_t sum;
};

static void reader_finish(struct reader *r) {
    free(r->line);
}

/* The next line's document; -EBADMSG when there is none, or no JSON. *ret_sum: of the lines before it. */
static int next_document(struct reader *r, uint32_t *ret_sum, struct json **ret, struct error *err) {
    ssize_t n = getline(&r->line, &r->cap, r->file);

    *ret_sum = r->sum;
    if (n <= 0 || r->line[n - 1] != '\n')
        return error_set(err, -EBADMSG, "the backup ends before its last line (after line %zu): it was cut short",
                         r->number);
    r->number++;
    r->sum = (uint32_t) crc32(r->sum, (const unsigned char *) r->line, (unsigned) n);
    _cleanup_(error_clear) struct error why = ERROR_INIT;
    int k = json_parse(r->line, (size_t) n, NULL, ret, &why);
    return k < 0 ? error_set(err, -EBADMSG, "line %zu of the backup: %s", r->number, error_text(&why, k)) : 0;
}

static int check_heading(struct reader *r, uint64_t *ret_revision, struct error *err) {
    _cleanup_json_ struct json *head = NULL;
    uint32_t sum;
    int k = next_document(r, &sum, &head, err);

    if (k < 0 || strcmp(json_str_or(json_get(head, "format"), ""), BACKUP_FORMAT) != 0)
        return error_set(err, -EBADMSG, "this is no backup of Podium");
    if (json_int_or(json_get(head, "version"), 0) != BACKUP_VERSION)
        return error_set(err, -EPROTONOSUPPORT, "this backup has format %" PRId64 ", this program knows %d",
                         json_int_or(json_get(head, "version"), 0), BACKUP_VERSION);
    *ret_revision = (uint64_t) json_int_or(json_get(head, "revision"), 0);
    return 0;
}

static int check_end(const struct reader *r, const struct json *end, uint32_t sum, struct error *err) {
    char text[16];

    (void) snprintf(text, sizeof(text), "%08" PRIx32, sum);
    if (json_int_or(json_get(end, "lines"), -1) != (int64_t) r->number - 1 ||
        strcmp(json_str_or(json_get(end, "crc32"), ""), text) != 0)
        return error_set(err, -EBADMSG, "the backup was changed or damaged: its checksum is %s, its last line says %s",
                         text, json_str_or(json_get(end, "crc32"), "nothing"));
    return 0;
}

static int check_row(const struct reader *r, const struct json *row, uint64_t before, uint64_t newest,
                     struct error *err) {
    static const char *const names[] = {"resource", "namespace", "name"};
    uint64_t revision = (uint64_t) json_int_or(json_get(row, "revision"), 0);

    if (!json_str(json_get(row, "resource")) || !json_str(json_get(row, "namespace")) ||
        !json_str(json_get(row, "name")) || !json_is_object(json_get(row, "object")))
        return error_set(err, -EBADMSG, "line %zu of the backup is no object", r->number);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(json_str(json_get(row, names[i]))) > STORE_KEY_PART_BYTES_MAX)
            return error_set(err, -EBADMSG, "line %zu of the backup has a name of more than %d bytes", r->number,
                             STORE_KEY_PART_BYTES_MAX);
    if (revision <= before || revision > newest)
        return error_set(err, -EBADMSG, "line %zu of the backup has a revision out of order", r->number);
    return 0;
}

typedef int (*row_fn)(void *userdata, const struct json *row, struct error *err);

/* Reads the backup from where the file is to its end line. */
static int read_backup(FILE *file, row_fn row, void *userdata, uint64_t *ret_newest, struct error *err) {
    _cleanup_(reader_finish) struct reader r = {.file = file, .sum = (uint32_t) crc32(0, NULL, 0)};
    uint64_t before = 0;
    int k = check_heading(&r, ret_newest, err);

    while (k == 0) {
        _cleanup_json_ struct json *doc = NULL;
        uint32_t sum;
        k = next_document(&r, &sum, &doc, err);
        if (k == 0 && json_get(doc, "end"))
            return check_end(&r, doc, sum, err);
        if (k == 0)
            k = check_row(&r, doc, before, *ret_newest, err);
        before = (uint64_t) json_int_or(json_get(doc, "revision"), 0);
        if (k == 0 && row)
            k = row(userdata, doc, err);
    }
    return k;
}

/* --- writing --- */

struct writer {
    struct store_backend *backend;
    struct json *docs[BATCH_ROWS]; /* hold the names */
    char *texts[BATCH_ROWS];
    struct store_change changes[BATCH_ROWS];
    size_t n, bytes, total;
};

static void writer_reset(struct writer *w) {
    for (size_t i = 0; i < w->n; i++) {
        json_unref(w->docs[i]);
        free(w->texts[i]);
    }
    w->n = w->bytes = 0;
}

static int flush(struct writer *w, struct error *err) {
    int r = w->n > 0 ? w->backend->ops->commit(w->backend, w->changes, w->n, err) : 0;

    writer_reset(w);
    return r;
}

static int write_row(void *userdata, const struct json *row, struct error *err) {
    struct writer *w = userdata;
    char *text = json_to_text(json_get(row, "object"));
    size_t i = w->n++;

    w->docs[i] = json_ref(row);
    w->texts[i] = text;
    w->changes[i] = (struct store_change){.revision = (uint64_t) json_int_or(json_get(row, "revision"), 0),
                                          .resource = json_str(json_get(row, "resource")),
                                          .ns = json_str(json_get(row, "namespace")),
                                          .name = json_str(json_get(row, "name")),
                                          .text = text,
                                          .text_len = strlen(text)};
    w->bytes += w->changes[i].text_len;
    w->total++;
    return w->n == BATCH_ROWS || w->bytes > BATCH_BYTES ? flush(w, err) : 0;
}

static int fill(struct store_backend *backend, FILE *file, size_t *ret_objects, struct error *err) {
    struct writer *w = xnew0(struct writer);
    uint64_t newest = 0;

    w->backend = backend;
    int r = read_backup(file, write_row, w, &newest, err);
    if (r == 0)
        r = flush(w, err);
    const struct store_change gap = {
        .revision = newest + RESTORE_REVISION_GAP, .remove = true, .resource = "", .ns = "", .name = ""};
    if (r == 0) /* a removal of nothing: only the newest revision is noted */
        r = backend->ops->commit(backend, &gap, 1, err);
    *ret_objects = w->total;
    writer_reset(w);
    free(w);
    return r;
}

/* Secrets are never on the disk in plain, if there is a key for them already. */
static int seal(struct store_backend **backend, const char *key_file, struct error *err) {
    struct seal_keys keys = {0};
    int r = seal_keys_read(key_file, &keys, err);

    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    if (r < 0)
        (*backend)->ops->close(*backend);
    else
        r = sealed_backend_new(*backend, &keys, store_sealed_resources, backend, err);
    seal_keys_finish(&keys);
    return r;
}

static int make_store(const struct store_options *options, FILE *file, size_t *ret_objects, struct error *err) {
    struct store_backend *backend = NULL;
    int r = lmdb_backend_open(options, &backend, err);

    if (r == 0 && options->key_file)
        r = seal(&backend, options->key_file, err);
    if (r < 0)
        return r;
    r = fill(backend, file, ret_objects, err);
    backend->ops->close(backend);
    return r;
}

static int move_into_place(const char *from, const char *to, struct error *err) {
    _cleanup_free_ char *parent = xstrndup(to, strrchr(to, '/') ? (size_t) (strrchr(to, '/') - to) : 0);
    _cleanup_close_ int dir = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
        return error_set_errno(err, -errno, "cannot move the restored store to %s", to);
    return dir < 0 || fsync(dir) < 0 ? error_set_errno(err, -errno, "cannot make %s durable", to) : 0;
}

int store_restore_lmdb(const struct store_options *options, FILE *file, size_t *ret_objects, struct error *err) {
    _cleanup_free_ char *beside = xasprintf("%s.restoring", options->path);
    struct store_options there = *options;
    uint64_t newest;
    off_t begin = ftello(file);
    struct stat st;

    if (lstat(options->path, &st) == 0)
        return error_set(err, -EEXIST, "there is a store in %s: stop the server and move it away first", options->path);
    if (begin < 0)
        return error_set(err, -ESPIPE, "a backup is restored from a regular file");
    int r = read_backup(file, NULL, NULL, &newest, err);
    if (r < 0)
        return r;
    if (fseeko(file, begin, SEEK_SET) < 0)
        return error_set_errno(err, -errno, "cannot read the backup twice");
    r = rm_tree(beside, err);
    there.path = beside;
    if (r == 0)
        r = make_store(&there, file, ret_objects, err);
    if (r == 0)
        r = move_into_place(beside, options->path, err);
    if (r < 0)
        (void) rm_tree(beside, NULL);
    return r;
}
