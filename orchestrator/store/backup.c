/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/backup.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "orchestrator/store/internal.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct backup_row {
    const char *resource; /* the store's */
    struct store_item *item;
};

struct store_backup {
    struct backup_row *rows; /* by revision */
    size_t n, cap, next;
    uint64_t revision, created;
    struct strbuf text; /* lines not read yet */
    size_t lines;
    uint32_t sum;
    bool ended;
};

static int by_revision(const void *a, const void *b) {
    uint64_t x = ((const struct backup_row *) a)->item->revision, y = ((const struct backup_row *) b)->item->revision;

    return x < y ? -1 : x > y;
}

static void heading(struct store_backup *b) {
    time_t seconds = (time_t) (b->created / USEC_PER_SEC);
    char created[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        (void) strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
    strbuf_addf(&b->text, "{\"format\":\"%s\",\"version\":%d,\"revision\":%" PRIu64 ",\"created\":\"%s\"}\n",
                BACKUP_FORMAT, BACKUP_VERSION, b->revision, created);
}

struct store_backup *store_backup_new(struct store *s, uint64_t now) {
    struct store_backup *b = xnew0(struct store_backup);
    struct hashmap_iter it = {0};

    b->created = now;
    b->sum = (uint32_t) crc32(0, NULL, 0);
    pthread_rwlock_rdlock(&s->state);
    b->revision = s->revision;
    while (hashmap_next(s->resources, &it)) {
        const struct resource_state *res = it.value;
        struct index_pos p = {0, 0};
        for (struct store_item *item; (item = index_at(&res->index, p)); index_next(&res->index, &p)) {
            xgrow(&b->rows, b->n, &b->cap);
            b->rows[b->n++] = (struct backup_row){res->name, store_item_ref(item)};
        }
    }
    pthread_rwlock_unlock(&s->state);
    if (b->n > 0)
        qsort(b->rows, b->n, sizeof(*b->rows), by_revision);
    heading(b);
    return b;
}

void store_backup_free(struct store_backup *b) {
    if (!b)
        return;
    for (size_t i = b->next; i < b->n; i++)
        store_item_unref(b->rows[i].item);
    free(b->rows);
    strbuf_finish(&b->text);
    free(b);
}

static void add_quoted(struct strbuf *out, const char *name, const char *value) {
    _cleanup_json_ struct json *v = json_string(value);
    _cleanup_free_ char *text = json_to_text(v);

    strbuf_addf(out, "\"%s\":%s,", name, text);
}

static void add_row(struct store_backup *b, const struct backup_row *row) {
    size_t n;
    const char *text = store_item_text(row->item, &n);

    strbuf_addc(&b->text, '{');
    add_quoted(&b->text, "resource", row->resource);
    add_quoted(&b->text, "namespace", store_item_namespace(row->item));
    add_quoted(&b->text, "name", store_item_name(row->item));
    strbuf_addf(&b->text, "\"revision\":%" PRIu64 ",\"object\":", store_item_revision(row->item));
    strbuf_add(&b->text, text, n);
    strbuf_adds(&b->text, "}\n");
}

/* Makes the next line; false at the end. */
static bool next_line(struct store_backup *b) {
    strbuf_reset(&b->text);
    if (b->ended)
        return false;
    if (b->next < b->n) {
        add_row(b, &b->rows[b->next]);
        store_item_unref(b->rows[b->next++].item);
        return true;
    }
    strbuf_addf(&b->text, "{\"end\":\"%s\",\"lines\":%zu,\"crc32\":\"%08" PRIx32 "\"}\n", BACKUP_FORMAT, b->lines,
                b->sum);
    b->ended = true;
    return true;
}

static void count_line(struct store_backup *b) {
    b->sum = (uint32_t) crc32(b->sum, (const unsigned char *) b->text.data, (unsigned) b->text.len);
    b->lines++;
}

size_t store_backup_read(struct store_backup *b, void *p, size_t max) {
    size_t done = 0;

    if (b->lines == 0)
        count_line(b); /* the heading */
    while (done < max) {
        if (b->text.len == 0) {
            if (!next_line(b))
                break;
            count_line(b);
        }
        size_t n = b->text.len < max - done ? b->text.len : max - done;
        memcpy((char *) p + done, b->text.data, n);
        strbuf_consume(&b->text, n);
        done += n;
    }
    return done;
}
