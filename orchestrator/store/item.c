/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stored objects: a document, its text, its revision; each derived at most once from what is there. */
#include "orchestrator/store/internal.h"

#include <inttypes.h>
#include <string.h>

#include "podium/base/alloc.h"

static struct store_item *item_new(uint64_t revision, const char *ns, const char *name, struct json_words *words) {
    size_t ns_size = strlen(ns) + 1, name_size = strlen(name) + 1;
    struct store_item *i = xmalloc(sizeof(*i) + ns_size + name_size);

    atomic_init(&i->refs, 1);
    i->held = 0;
    i->revision = revision;
    i->words = words;
    atomic_init(&i->doc, NULL);
    atomic_init(&i->text, NULL);
    atomic_init(&i->packed, NULL);
    i->name_at = ns_size;
    memcpy(i->ns, ns, ns_size);
    memcpy(i->ns + ns_size, name, name_size);
    return i;
}

struct store_item *store_item_ref(struct store_item *i) {
    if (i)
        atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void store_item_unref(struct store_item *i) {
    if (!i || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
        return;
    json_unref(atomic_load_explicit(&i->doc, memory_order_relaxed));
    free(atomic_load_explicit(&i->text, memory_order_relaxed));
    free(atomic_load_explicit(&i->packed, memory_order_relaxed));
    free(i);
}

uint64_t store_item_revision(const struct store_item *i) {
    return i->revision;
}

const char *store_item_namespace(const struct store_item *i) {
    return i->ns;
}

const char *store_item_name(const struct store_item *i) {
    return i->ns + i->name_at;
}

static struct json *parse_text(struct store_item *i) {
    struct item_text *t = atomic_load_explicit(&i->text, memory_order_acquire);
    struct json *doc = NULL;

    /* Cannot fail: the text is our own encoding, its checksum was verified when it was loaded. Who owns which field is
     * carried, not looked into. */
    const struct json_packed_options how = {.seal = "fieldsV1", .words = i->words};
    return json_parse_packed(t->data, t->len, &how, &doc, NULL) < 0 ? NULL : doc;
}

/* Two threads may both derive it; the first to publish wins and everybody sees that one. */
const struct json *store_item_doc(struct store_item *i) {
    struct json *doc = atomic_load_explicit(&i->doc, memory_order_acquire);

    if (doc)
        return doc;
    struct json *mine = parse_text(i);
    if (!mine)
        return NULL;
    if (atomic_compare_exchange_strong(&i->doc, &doc, mine))
        return mine;
    json_unref(mine);
    return doc;
}

struct json *store_item_read(struct store_item *i) {
    struct json *doc = atomic_load_explicit(&i->doc, memory_order_acquire);

    return doc ? json_ref(doc) : parse_text(i);
}

struct json *store_item_member(struct store_item *i, const char *object, const char *member) {
    struct json *doc = atomic_load_explicit(&i->doc, memory_order_acquire), *found = NULL;

    if (doc)
        return json_ref(json_get(json_get(doc, object), member));
    struct item_text *t = atomic_load_explicit(&i->text, memory_order_acquire);
    struct json_span all = {t->data, t->len}, part;
    if (!json_span_member(all, object, &part) || !json_span_member(part, member, &part))
        return NULL;
    return json_parse_packed(part.text, part.len, NULL, &found, NULL) < 0 ? NULL : found;
}

/* The text in the slot afterwards: this one, or that of whoever was faster. */
static struct item_text *publish(_Atomic(struct item_text *) *slot, const struct strbuf *b) {
    struct item_text *mine = xmalloc(sizeof(*mine) + b->len + 1), *there = NULL;

    mine->len = b->len;
    memcpy(mine->data, strbuf_str(b), b->len);
    mine->data[b->len] = 0;
    if (atomic_compare_exchange_strong(slot, &there, mine))
        return mine;
    free(mine);
    return there;
}

const char *store_item_text(struct store_item *i, size_t *ret_len) {
    struct item_text *t = atomic_load_explicit(&i->text, memory_order_acquire);

    if (!t) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        json_write(atomic_load_explicit(&i->doc, memory_order_acquire), 0, &b);
        t = publish(&i->text, &b);
    }
    if (ret_len)
        *ret_len = t->len;
    return t->data;
}

const char *store_item_packed(struct store_item *i, store_encode_fn encode, void *userdata, size_t *ret_len) {
    struct item_text *t = atomic_load_explicit(&i->packed, memory_order_acquire);

    if (!t) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        const struct json *doc = encode ? store_item_doc(i) : NULL;
        if (!doc || encode(userdata, doc, &b) < 0)
            return NULL;
        t = publish(&i->packed, &b);
    }
    *ret_len = t->len;
    return t->data;
}

size_t item_text_len(const struct store_item *i) {
    struct item_text *t = atomic_load_explicit(&i->text, memory_order_acquire);

    return t ? t->len : 0;
}

struct json *item_take_doc(struct store_item *i) {
    struct json *doc = atomic_load_explicit(&i->doc, memory_order_acquire);

    /* Under the state write lock no reader can get at the item, so an equal count stays equal. */
    if (atomic_load_explicit(&i->refs, memory_order_acquire) != i->held || !item_text_len(i))
        return NULL;
    /* An informer that has it in its cache reads it, too: a second copy would be made. */
    if (!doc || json_is_shared(doc))
        return NULL;
    return atomic_exchange(&i->doc, NULL);
}

struct item_text *item_take_packed(struct store_item *i) {
    if (atomic_load_explicit(&i->refs, memory_order_acquire) != i->held)
        return NULL;
    return atomic_exchange(&i->packed, NULL);
}

void item_drop_made(struct store_item *i, struct garbage *g) {
    garbage_add_doc(g, item_take_doc(i));
    garbage_add_text(g, item_take_packed(i));
}

/* --- drafts --- */

static const char no_revision[] = "                    "; /* as many bytes as the largest has digits */

void item_draft_init(struct item_draft *d, const struct json *doc, struct json_words *words) {
    *d = (struct item_draft){.doc = json_ref(doc), .text = STRBUF_INIT, .words = words};
    json_set(json_edit(&d->doc, "metadata"), "resourceVersion", json_string(no_revision));
}

void item_draft_finish(struct item_draft *d) {
    json_unref(d->doc);
    d->doc = NULL;
    strbuf_finish(&d->text);
}

static void encode_metadata(struct item_draft *d, const struct json *metadata) {
    strbuf_addc(&d->text, '{');
    for (size_t i = 0; i < json_len(metadata); i++) {
        const char *key = json_key_at(metadata, i);
        if (i > 0)
            strbuf_addc(&d->text, ',');
        json_write_string(key, strlen(key), &d->text);
        strbuf_addc(&d->text, ':');
        if (strcmp(key, "resourceVersion") == 0) {
            d->hole = d->text.len + 1; /* between the quotes */
            strbuf_adds(&d->text, "\"\"");
        } else {
            json_write(json_value_at(metadata, i), 0, &d->text);
        }
    }
    strbuf_addc(&d->text, '}');
}

void item_draft_encode(struct item_draft *d) {
    strbuf_addc(&d->text, '{');
    for (size_t i = 0; i < json_len(d->doc); i++) {
        const char *key = json_key_at(d->doc, i);
        if (i > 0)
            strbuf_addc(&d->text, ',');
        json_write_string(key, strlen(key), &d->text);
        strbuf_addc(&d->text, ':');
        if (strcmp(key, "metadata") == 0)
            encode_metadata(d, json_value_at(d->doc, i));
        else
            json_write(json_value_at(d->doc, i), 0, &d->text);
    }
    strbuf_addc(&d->text, '}');
    struct json *blank = json_path(d->doc, "metadata", "resourceVersion");
    struct json *packed = json_packed_blank(d->doc, d->words, blank, &d->blank);
    json_unref(d->doc);
    d->doc = packed;
}

struct store_item *item_from_draft(struct item_draft *d, uint64_t revision, const char *ns, const char *name) {
    struct store_item *i = item_new(revision, ns, name, d->words);
    char digits[24];
    size_t n = (size_t) snprintf(digits, sizeof(digits), "%" PRIu64, revision);

    if (d->blank)
        json_fill_blank(d->blank, digits, n);
    else
        json_set(json_edit(&d->doc, "metadata"), "resourceVersion", json_string_len(digits, n));
    atomic_init(&i->doc, steal(&d->doc));
    if (d->text.len == 0)
        return i;
    struct item_text *t = xmalloc(sizeof(*t) + d->text.len + n + 1);
    t->len = d->text.len + n;
    memcpy(t->data, d->text.data, d->hole);
    memcpy(t->data + d->hole, digits, n);
    memcpy(t->data + d->hole + n, d->text.data + d->hole, d->text.len - d->hole + 1);
    atomic_init(&i->text, t);
    return i;
}

struct store_item *item_from_text(const char *text, size_t len, uint64_t revision, const char *ns, const char *name,
                                  struct json_words *words) {
    struct store_item *i = item_new(revision, ns, name, words);
    struct item_text *t = xmalloc(sizeof(*t) + len + 1);

    t->len = len;
    memcpy(t->data, text, len);
    t->data[len] = 0;
    atomic_init(&i->text, t);
    return i;
}
