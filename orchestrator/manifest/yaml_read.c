/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <string.h>
#include <yaml.h>

#include "orchestrator/manifest/yaml.h"
#include "orchestrator/manifest/yaml_scalar.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/limits.h"

struct reader {
    yaml_parser_t parser;
    const char *name;
    const char *text; /* only for counting lines in encoding errors */
    size_t size;
    struct hashmap *anchors;     /* name -> struct anchor, of the current document */
    size_t nodes;                /* read so far, aliases counted as copies */
    yaml_duplicate_fn duplicate; /* NULL: they are errors */
    void *userdata;
    struct error *err;
};

/* A value and how deep it is: a scalar has height 1. */
struct node {
    struct json *value;
    unsigned height;
};

struct anchor {
    struct node node;
    size_t nodes;
};

static void anchor_free(void *p) {
    struct anchor *a = p;
    json_unref(a->node.value);
    free(a);
}

static int fail(struct reader *r, yaml_mark_t at, int code, const char *fmt, ...) _printf_(4, 5);
static int fail(struct reader *r, yaml_mark_t at, int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    return error_set(r->err, code, "%s:%zu:%zu: %s", r->name, at.line + 1, at.column + 1, text);
}

/* The parser's own complaint. Encoding errors carry a byte offset instead of a mark. */
static int fail_parser(struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t at = p->problem_mark;
    if (p->error == YAML_MEMORY_ERROR)
        return fail(r, p->mark, -ENOMEM, "out of memory");
    if (p->error == YAML_READER_ERROR) {
        at = (yaml_mark_t){0};
        for (size_t i = 0; i < p->problem_offset && i < r->size; i++) {
            at.column = r->text[i] == '\n' ? 0 : at.column + 1;
            at.line += r->text[i] == '\n';
        }
    }
    const char *problem = p->problem ? p->problem : "malformed";
    if (p->context && p->context_mark.line != at.line)
        return fail(r, at, -EINVAL, "%s (%s that began in line %zu)", problem, p->context, p->context_mark.line + 1);
    if (p->context)
        return fail(r, at, -EINVAL, "%s (%s)", problem, p->context);
    return fail(r, at, -EINVAL, "%s", problem);
}

static int next_event(struct reader *r, yaml_event_t *ret) {
    return yaml_parser_parse(&r->parser, ret) ? 0 : fail_parser(r);
}

#define _cleanup_event_ _cleanup_(yaml_event_delete)

static void set_position(struct json *v, yaml_mark_t at) {
    json_set_position(v, at.line + 1 > UINT_MAX ? UINT_MAX : (unsigned) (at.line + 1),
                      at.column + 1 > UINT_MAX ? UINT_MAX : (unsigned) (at.column + 1));
}

static int count_nodes(struct reader *r, yaml_mark_t at, size_t n) {
    r->nodes += n;
    return r->nodes <= YAML_NODES_MAX ? 0
                                      : fail(r, at, -E2BIG, "more than %u values, aliases expanded", YAML_NODES_MAX);
}

static int check_depth(struct reader *r, yaml_mark_t at, unsigned depth) {
    return depth <= JSON_DEPTH_MAX ? 0 : fail(r, at, -ELOOP, "nested deeper than %u levels", JSON_DEPTH_MAX);
}

static int tag_is(const char *tag, const char *name) {
    static const char core[] = "tag:yaml.org,2002:";
    return strncmp(tag, core, sizeof(core) - 1) == 0 && strcmp(tag + sizeof(core) - 1, name) == 0;
}

static int read_tagged_scalar(struct reader *r, const yaml_event_t *e, const char *tag, struct json **ret) {
    static const struct {
        const char *tag;
        enum json_type type;
    } types[] = {{"null", JSON_NULL}, {"bool", JSON_BOOL}, {"int", JSON_INT}, {"float", JSON_DOUBLE}};
    const char *s = (const char *) e->data.scalar.value;
    size_t n = e->data.scalar.length;
    if (strcmp(tag, "!") == 0 || tag_is(tag, "str") || tag_is(tag, "timestamp")) {
        *ret = json_string_len(s, n);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!tag_is(tag, types[i].tag))
            continue;
        _cleanup_json_ struct json *v = yaml_plain_value(s, n);
        bool fits = v && (json_type(v) == types[i].type || (types[i].type == JSON_DOUBLE && json_type(v) == JSON_INT));
        if (!fits)
            return fail(r, e->start_mark, -EINVAL, "\"%s\" is no !!%s", s, types[i].tag);
        *ret = steal(&v);
        return 0;
    }
    return fail(r, e->start_mark, -EINVAL, "the tag %s is not supported here", tag);
}

static int read_scalar(struct reader *r, const yaml_event_t *e, struct json **ret) {
    const char *s = (const char *) e->data.scalar.value, *tag = (const char *) e->data.scalar.tag;
    size_t n = e->data.scalar.length;
    if (tag && !e->data.scalar.plain_implicit && !e->data.scalar.quoted_implicit) {
        int k = read_tagged_scalar(r, e, tag, ret);
        if (k < 0)
            return k;
    } else if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && e->data.scalar.plain_implicit) {
        *ret = yaml_plain_value(s, n);
        if (!*ret)
            return fail(r, e->start_mark, -EINVAL, "%s is a number that JSON does not have", s);
    } else {
        *ret = json_string_len(s, n);
    }
    set_position(*ret, e->start_mark);
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *e, unsigned depth, struct node *ret);

static int read_alias(struct reader *r, const yaml_event_t *e, unsigned depth, struct node *ret) {
    const char *name = (const char *) e->data.alias.anchor;
    const struct anchor *a = hashmap_get(r->anchors, name);
    if (!a)
        return fail(r, e->start_mark, -EINVAL, "unknown anchor \"%s\"", name);
    int k = count_nodes(r, e->start_mark, a->nodes);
    if (k >= 0)
        k = check_depth(r, e->start_mark, depth + a->node.height - 1);
    if (k < 0)
        return k;
    *ret = (struct node){json_ref(a->node.value), a->node.height};
    return 0;
}

/* Keys are strings in JSON: numbers and booleans become their text. */
static int read_key(struct reader *r, yaml_event_t *e, unsigned depth, struct json **ret) {
    struct node key = {0};
    if (e->type != YAML_SCALAR_EVENT && e->type != YAML_ALIAS_EVENT)
        return fail(r, e->start_mark, -EINVAL, "a key must be a simple value");
    int k = read_node(r, e, depth, &key);
    if (k < 0)
        return k;
    _cleanup_json_ struct json *v = key.value;
    if (json_is_null(v) || json_is_object(v) || json_is_array(v))
        return fail(r, e->start_mark, -EINVAL, "a key must be a string, not %s", json_type_name(v));
    if (json_is_string(v) && strlen(json_str(v)) != json_str_len(v))
        return fail(r, e->start_mark, -EINVAL, "a key must not hold a NUL byte");
    if (json_is_string(v)) {
        *ret = steal(&v);
        return 0;
    }
    _cleanup_free_ char *text = json_to_text(v);
    *ret = json_string(text);
    set_position(*ret, e->start_mark);
    return 0;
}

static bool is_merge_key(const yaml_event_t *e) {
    return e->type == YAML_SCALAR_EVENT && strcmp((const char *) e->data.scalar.value, "<<") == 0 &&
           (e->data.scalar.plain_implicit ||
            (e->data.scalar.tag && tag_is((const char *) e->data.scalar.tag, "merge")));
}

/* Adds members of the merged mapping that are not there yet. */
static int merge_in(struct reader *r, yaml_mark_t at, const struct json *from, struct json **object) {
    if (!json_is_object(from))
        return fail(r, at, -EINVAL, "what \"<<\" merges must be a mapping or a list of mappings");
    for (size_t i = 0; i < json_len(from); i++)
        if (!json_get(*object, json_key_at(from, i)))
            json_set_key(object, json_ref(json_key_value_at(from, i)), json_ref(json_value_at(from, i)));
    return 0;
}

/* Merges come last: what is written out wins wherever it stands, and of several merges the first. */
static int apply_merges(struct reader *r, yaml_mark_t at, const struct json *merges, struct json **object) {
    int k = 0;
    for (size_t i = 0; k >= 0 && i < json_len(merges); i++) {
        const struct json *from = json_at(merges, i);
        if (!json_is_array(from)) {
            k = merge_in(r, at, from, object);
            continue;
        }
        for (size_t j = 0; k >= 0 && j < json_len(from); j++)
            k = merge_in(r, at, json_at(from, j), object);
    }
    return k;
}

static int read_mapping(struct reader *r, const yaml_event_t *start, unsigned depth, struct node *ret) {
    _cleanup_json_ struct json *object = json_object(), *merges = json_array();
    unsigned height = 0;
    set_position(object, start->start_mark);
    for (;;) {
        _cleanup_event_ yaml_event_t e = {0}, value_event = {0};
        _cleanup_json_ struct json *key = NULL;
        struct node value = {0};
        int k = next_event(r, &e);
        if (k < 0)
            return k;
        if (e.type == YAML_MAPPING_END_EVENT)
            break;
        bool merge = is_merge_key(&e);
        k = merge ? 0 : read_key(r, &e, depth + 1, &key);
        bool again = k >= 0 && key && json_get(object, json_str(key));
        if (again && !r->duplicate)
            k = fail(r, e.start_mark, -EINVAL, "the key \"%s\" is already set in this mapping", json_str(key));
        if (k >= 0)
            k = next_event(r, &value_event);
        if (k >= 0)
            k = read_node(r, &value_event, depth + 1, &value);
        if (k < 0)
            return k;
        if (value.height > height)
            height = value.height;
        if (again)
            r->duplicate(r->userdata, (unsigned) value_event.start_mark.line + 1, json_str(key));
        if (merge)
            json_append(&merges, value.value);
        else
            json_set_key(&object, steal(&key), value.value);
    }
    int k = apply_merges(r, start->start_mark, merges, &object);
    if (k < 0)
        return k;
    *ret = (struct node){steal(&object), height + 1};
    return 0;
}

static int read_sequence(struct reader *r, const yaml_event_t *start, unsigned depth, struct node *ret) {
    _cleanup_json_ struct json *array = json_array();
    unsigned height = 0;
    set_position(array, start->start_mark);
    for (;;) {
        _cleanup_event_ yaml_event_t e = {0};
        struct node item = {0};
        int k = next_event(r, &e);
        if (k < 0)
            return k;
        if (e.type == YAML_SEQUENCE_END_EVENT)
            break;
        k = read_node(r, &e, depth + 1, &item);
        if (k < 0)
            return k;
        json_append(&array, item.value);
        if (item.height > height)
            height = item.height;
    }
    *ret = (struct node){steal(&array), height + 1};
    return 0;
}

static const char *anchor_of(const yaml_event_t *e) {
    if (e->type == YAML_SCALAR_EVENT)
        return (const char *) e->data.scalar.anchor;
    if (e->type == YAML_SEQUENCE_START_EVENT)
        return (const char *) e->data.sequence_start.anchor;
    return (const char *) e->data.mapping_start.anchor;
}

static int check_collection_tag(struct reader *r, const yaml_event_t *e, const yaml_char_t *tag, const char *expected) {
    if (!tag || strcmp((const char *) tag, "!") == 0 || tag_is((const char *) tag, expected))
        return 0;
    return fail(r, e->start_mark, -EINVAL, "the tag %s is not supported here", (const char *) tag);
}

/* The value that starts with this event. */
static int read_node(struct reader *r, yaml_event_t *e, unsigned depth, struct node *ret) {
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e, depth, ret);
    size_t nodes_before = r->nodes;
    int k = count_nodes(r, e->start_mark, 1);
    if (k >= 0)
        k = check_depth(r, e->start_mark, depth);
    if (k < 0)
        return k;
    if (e->type == YAML_SCALAR_EVENT) {
        ret->height = 1;
        k = read_scalar(r, e, &ret->value);
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        k = check_collection_tag(r, e, e->data.sequence_start.tag, "seq");
        if (k >= 0)
            k = read_sequence(r, e, depth, ret);
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        k = check_collection_tag(r, e, e->data.mapping_start.tag, "map");
        if (k >= 0)
            k = read_mapping(r, e, depth, ret);
    } else {
        k = fail(r, e->start_mark, -EINVAL, "unexpected end");
    }
    if (k < 0)
        return k;
    const char *name = anchor_of(e);
    if (name) {
        struct anchor *a = xnew0(struct anchor);
        *a = (struct anchor){{json_ref(ret->value), ret->height}, r->nodes - nodes_before};
        hashmap_put(r->anchors, name, a);
    }
    return 0;
}

/* Reads up to the end of the stream; documents without content are dropped. */
static int read_stream(struct reader *r, struct json **docs) {
    for (;;) {
        _cleanup_event_ yaml_event_t e = {0}, first = {0};
        struct node root = {0};
        int k = next_event(r, &e);
        if (k < 0)
            return k;
        if (e.type == YAML_STREAM_END_EVENT)
            return 0;
        if (e.type != YAML_DOCUMENT_START_EVENT)
            continue; /* start of stream, end of document */
        hashmap_clear(r->anchors);
        k = next_event(r, &first);
        if (k >= 0)
            k = read_node(r, &first, 1, &root);
        if (k < 0)
            return k;
        if (json_is_null(root.value))
            json_unref(root.value);
        else
            json_append(docs, root.value);
    }
}

static void note_duplicate(void *userdata, const char *path) {
    *(bool *) userdata = true;
}

/* JSON has escapes libyaml does not know (surrogate pairs), and is read faster as what it is. What is no good JSON, or
 * has a key twice, goes to the YAML reader, which says where. Returns false for that. */
static bool read_json(const char *p, size_t n, struct json **docs) {
    bool duplicates = false;
    struct json_parse_options options = {.duplicate = note_duplicate, .userdata = &duplicates};
    size_t blank = 0;
    while (blank < n && strchr(" \t\r\n", p[blank]) != NULL && p[blank] != '\0')
        blank++;
    if (blank == n || (p[blank] != '{' && p[blank] != '['))
        return false;
    _cleanup_json_ struct json *v = NULL;
    if (json_parse(p, n, &options, &v, NULL) < 0 || duplicates || !json_within(v, YAML_NODES_MAX, JSON_DEPTH_MAX))
        return false;
    json_append(docs, steal(&v));
    return true;
}

static int read_yaml(const char *name, const char *p, size_t n, yaml_duplicate_fn duplicate, void *userdata,
                     struct json **docs, struct error *err) {
    struct reader r = {.name = name, .text = p, .size = n, .duplicate = duplicate, .userdata = userdata, .err = err};
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, -ENOMEM, "%s:1:1: out of memory", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *) p, n);
    r.anchors = hashmap_new(anchor_free);
    int k = read_stream(&r, docs);
    hashmap_free(r.anchors);
    yaml_parser_delete(&r.parser);
    return k;
}

static int parse_documents(const char *name, const char *p, size_t n, yaml_duplicate_fn duplicate, void *userdata,
                           struct json ***ret_docs, size_t *ret_n, struct error *err) {
    _cleanup_json_ struct json *docs = json_array();
    name = name ? name : "yaml";
    if (n > YAML_BYTES_MAX)
        return error_set(err, -E2BIG, "%s:1:1: larger than %u bytes", name, YAML_BYTES_MAX);
    if (!read_json(p, n, &docs)) {
        int k = read_yaml(name, p, n, duplicate, userdata, &docs, err);
        if (k < 0)
            return k;
    }
    *ret_n = json_len(docs);
    *ret_docs = xcalloc(*ret_n + 1, sizeof(struct json *));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_docs)[i] = json_ref(json_at(docs, i));
    return 0;
}

int yaml_parse_documents(const char *name, const char *p, size_t n, struct json ***ret_docs, size_t *ret_n,
                         struct error *err) {
    return parse_documents(name, p, n, NULL, NULL, ret_docs, ret_n, err);
}

void yaml_documents_free(struct json **docs, size_t n) {
    for (size_t i = 0; docs && i < n; i++)
        json_unref(docs[i]);
    free(docs);
}

int yaml_parse_one(const char *name, const char *p, size_t n, struct json **ret, struct error *err) {
    return yaml_parse_one_noting(name, p, n, NULL, NULL, ret, err);
}

int yaml_parse_one_noting(const char *name, const char *p, size_t n, yaml_duplicate_fn duplicate, void *userdata,
                          struct json **ret, struct error *err) {
    struct json **docs = NULL;
    size_t n_docs = 0;
    int k = parse_documents(name, p, n, duplicate, userdata, &docs, &n_docs, err);
    if (k < 0)
        return k;
    if (n_docs == 1)
        *ret = json_ref(docs[0]);
    else
        k = error_set(err, -EINVAL, "%s:%u:1: %s", name ? name : "yaml", n_docs ? json_line(docs[1]) : 1,
                      n_docs ? "only one document is expected" : "the document is empty");
    yaml_documents_free(docs, n_docs);
    return k;
}
