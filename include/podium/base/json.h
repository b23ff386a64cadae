/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON documents: immutable, reference-counted value trees that share what they have in common.
 *
 * What it is. The one document type of the project: config.json of a container, every API object, every patch.
 * Tokens come from yajl; YAML (orchestrator/manifest) builds the same trees.
 *
 * Invariants. A value with more than one reference never changes. The writers (json_set, json_edit …) take the
 * *address* of a reference: if the value is shared they first replace it by a shallow copy, so other holders never
 * see the change, and untouched children stay shared. Objects keep insertion order and have unique keys. There is
 * no NULL inside a tree: JSON null is a value of type JSON_NULL.
 *
 * Ownership. Constructors return one reference, the caller's. Readers return borrowed pointers, valid as long as the
 * container they came from is held and not written. Arguments named `take` pass a reference to the callee. All
 * readers accept NULL and then answer "absent", so chains need no checks.
 *
 * Threads. Reference counts are atomic: a published (never again written) document may be read by many threads.
 *
 *   struct json *pod = ...;
 *   const char *node = json_str(json_path(pod, "spec", "nodeName"));
 *   json_set(json_edit(&pod, "status"), "phase", json_string("Running"));
 */
#ifndef PODIUM_BASE_JSON_H
#define PODIUM_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

struct json;

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_DOUBLE, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_SEALED };

/* --- lifetime --- */
struct json *json_ref(const struct json *v); /* NULL passes through */
void json_unref(struct json *v);
DEFINE_CLEANUP(struct json *, json_unref)
bool json_is_shared(const struct json *v); /* there are other references than the caller's */
#define _cleanup_json_ _cleanup_(json_unrefp)

/* --- constructors --- */
struct json *json_null(void);
struct json *json_bool(bool b);
struct json *json_int(int64_t i);
struct json *json_double(double d);
struct json *json_string(const char *s); /* NULL gives JSON null */
struct json *json_string_len(const char *s, size_t n);
struct json *json_stringf(const char *fmt, ...) _printf_(1, 2);
struct json *json_array(void);
struct json *json_object(void);

/* --- readers; v may be NULL --- */
enum json_type json_type(const struct json *v);   /* NULL pointer: JSON_NULL */
const char *json_type_name(const struct json *v); /* "string", "number", "bool", "null", "array", "object" */
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_string(const struct json *v);
bool json_is_null(const struct json *v); /* absent or JSON null */
/* The string's bytes (NUL-terminated; may hold NULs inside, see json_str_len), or NULL if it is no string. */
const char *json_str(const struct json *v);
const char *json_str_or(const struct json *v, const char *otherwise);
size_t json_str_len(const struct json *v);
int64_t json_int_or(const struct json *v, int64_t otherwise);  /* a double with an integral value counts */
double json_double_or(const struct json *v, double otherwise); /* an int counts */
bool json_bool_or(const struct json *v, bool otherwise);
/* Elements of an array or members of an object; 0 for everything else. */
size_t json_len(const struct json *v);
struct json *json_at(const struct json *array, size_t i);          /* NULL when out of range or no array */
struct json *json_get(const struct json *object, const char *key); /* NULL when absent or no object */
/* A member that is a text, "" when absent or of another type; whether it is this text. */
const char *json_get_str(const struct json *object, const char *key);
bool json_get_is(const struct json *object, const char *key, const char *text);
const char *json_key_at(const struct json *object, size_t i);
struct json *json_key_value_at(const struct json *object, size_t i); /* the key as a string value */
struct json *json_value_at(const struct json *object, size_t i);
/* json_path(v, "metadata", "labels", "app"): nested json_get. */
struct json *json_path_(const struct json *v, ...) __attribute__((sentinel));
#define json_path(v, ...) json_path_((v), __VA_ARGS__, NULL)
/* Deep equality. Key order does not matter; 1 equals 1.0. */
bool json_equal(const struct json *a, const struct json *b);
/* False when the tree, shared parts counted each time, has more nodes or levels than allowed. Sharing lets a few patch
 * operations describe an exponentially large document: measure before walking what a client composed. */
bool json_within(const struct json *v, size_t nodes_max, unsigned depth_max);

/* --- sealed objects ---
 * An object of which only the text is held: for parts that are carried often and looked into seldom (managedFields), at
 * a tenth of the memory of a tree. Readers find no members in it (json_is_object() is false, json_len() 0);
 * json_write() writes the text as it is, json_equal() compares what it means. */
/* text: one object, compact and valid: the caller vouches for it. */
struct json *json_sealed(const char *text, size_t n);
const char *json_sealed_text(const struct json *v, size_t *ret_len); /* NULL when it is something else */
/* A new reference to v, or to the tree a sealed object stands for. NULL passes through. */
struct json *json_opened(const struct json *v);

/* --- packed documents ---
 * A document in one piece, at a quarter of the memory of a tree: for what is kept for long and in great number. Readers
 * and writers take it as any other (a write copies what it changes); source positions are not kept. */
/* Keys that packed documents have in common, and values that come again and again, held once. Bounded: once it is full,
 * documents hold their own. Any thread. Documents outlive it. */
struct json_words;
struct json_words *json_words_new(void);
void json_words_free(struct json_words *w); /* NULL is fine */
/* A new reference: to v if it is packed already (where words are given: with some words, whosever) or no container,
 * else to a packed copy. words may be NULL. */
struct json *json_packed(const struct json *v, struct json_words *words);
/* A packed copy of v in any case, in which one string is left to be filled in: blank, by its address in v, is as long
 * as the text that comes at most. *ret_blank: where it is in the copy; NULL when v was too large and is returned as it
 * was. */
struct json *json_packed_blank(const struct json *v, struct json_words *words, const struct json *blank,
                               struct json **ret_blank);
/* Once, before others see the document. */
void json_fill_blank(struct json *blank, const char *s, size_t n);
struct json_packed_options {
    const char *seal;         /* objects that are members of this name become sealed. NULL: none */
    struct json_words *words; /* may be NULL */
};
/* A packed document straight from its text, in a third of the time of a tree: for texts of our own (see below) that are
 * read often. Members that come twice are the caller's to rule out. options may be NULL. Errors as of json_parse(),
 * with less to say about them. */
int json_parse_packed(const char *p, size_t n, const struct json_packed_options *options, struct json **ret,
                      struct error *err) _must_check_;

/* Loops are written plainly: for (size_t i = 0; i < json_len(a); i++) { struct json *item = json_at(a, i); … } */

/* --- writers; copy on write through the address of a reference --- */
/* Sets or replaces a member. *object is made an object if it is NULL or JSON null. Returns the address of the
 * member's slot, valid until the next write to *object. */
struct json **json_set(struct json **object, const char *key, struct json *take);
/* json_set() with the key as a JSON string value (may be shared between documents); takes both references. */
void json_set_key(struct json **object, struct json *key_take, struct json *take);
bool json_del(struct json **object, const char *key); /* false when it was absent */
/* The slot of a member for writing inside it; created as JSON null when absent. */
struct json **json_edit(struct json **object, const char *key);
struct json **json_edit_at(struct json **array, size_t i); /* NULL when out of range */
/* Appends to *array, which is made an array if it is NULL or JSON null; returns the new slot. */
struct json **json_append(struct json **array, struct json *take);
void json_insert_at(struct json **array, size_t i, struct json *take); /* i <= length */
void json_remove_at(struct json **array, size_t i);
/* Nested json_edit: json_set_path(&doc, json_int(3), "spec", "replicas"). */
void json_set_path_(struct json **root, struct json *take, ...) __attribute__((sentinel));
#define json_set_path(root, take, ...) json_set_path_((root), (take), __VA_ARGS__, NULL)

/* --- text --- */
struct json_parse_options {
    unsigned depth_max; /* 0: JSON_DEPTH_MAX */
    size_t bytes_max;   /* 0: no limit of its own */
    /* Called for each member name that comes twice in one object (the last value wins), with the dotted path of
     * the member, e.g. "spec.containers[0].name". NULL: duplicates are silently last-wins. */
    void (*duplicate)(void *userdata, const char *path);
    void *userdata;
    const char *seal; /* objects that are members of this name become sealed; only for text we wrote. NULL: none */
};
/* Parses exactly one value; trailing white space only. Integers outside int64 become doubles. Errors: -EINVAL with
 * line:column in the text, -E2BIG (bytes_max), -ELOOP (depth). Invalid UTF-8 is refused. */
int json_parse(const char *p, size_t n, const struct json_parse_options *options, struct json **ret,
               struct error *err) _must_check_;
int json_parse_file(const char *path, size_t bytes_max, struct json **ret, struct error *err) _must_check_;
enum { JSON_WRITE_PRETTY = 1 }; /* four spaces of indentation, as kubectl prints */
void json_write(const struct json *v, unsigned flags, struct strbuf *out);
/* Compact text; the caller frees. */
char *json_to_text(const struct json *v);
/* Appends s as a JSON string with quotes and escapes. */
void json_write_string(const char *s, size_t n, struct strbuf *out);

/* --- texts of our own ---
 * Compact texts as json_write() makes them can be cut without being parsed. Of any other text the answers are wrong,
 * but never outside it. */
struct json_span {
    const char *text;
    size_t len;
};
/* The text of a member's value of an object's text; the key needs no escapes. False: there is none. */
bool json_span_member(struct json_span object, const char *key, struct json_span *ret);

/* --- source positions (set by the YAML and JSON readers, 0 when unknown) --- */
unsigned json_line(const struct json *v);
unsigned json_column(const struct json *v);
void json_set_position(struct json *v, unsigned line, unsigned column); /* only on a value not yet shared */

#endif
