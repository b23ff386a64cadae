/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The type tables (generated from tables/fields.tsv and defaults.tsv) and what is driven by them: defaulting,
 * structural checking and pruning. Tables are static and immutable: any thread.
 */
#ifndef PODIUM_OBJECT_SCHEMA_H
#define PODIUM_OBJECT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

enum field_type {
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_INT32,
    FIELD_INT64,
    FIELD_DOUBLE,
    FIELD_BYTES,
    FIELD_TIME,
    FIELD_MICRO_TIME,
    FIELD_DURATION,
    FIELD_QUANTITY,
    FIELD_INT_OR_STRING,
    FIELD_RAW,
    FIELD_OBJECT,
    FIELD_ONE_OF,
};
enum field_container { FIELD_PLAIN, FIELD_ARRAY, FIELD_MAP, FIELD_MAP_OF_ARRAY };
enum list_type { LIST_ATOMIC, LIST_SET, LIST_MAP };
/* FIELD_ONE_OF: an object of field_info.object, or this. */
enum one_of { ONE_OF_NONE, ONE_OF_OBJECT_ARRAY, ONE_OF_BOOL, ONE_OF_STRING_ARRAY };

struct type_info;
struct proto_entry; /* type_tables.h */

/* Without a single pointer: the table is the same bytes in every process, so they share it and the loader has nothing
 * to relocate (thousands of relocations dirtied 0.4 MB in each). References are numbers, followed by the functions
 * below. */
struct field_info {
    uint32_t name_at;     /* in the string pool, as all ..._at; 0: none */
    uint32_t protobuf_at; /* "3" or "2.1" */
    uint32_t patch_merge_key_at, default_value_at;
    uint16_t object_number;    /* index in type_table + 1; 0: none */
    uint16_t list_map_keys_at; /* in the table of string lists; 0: the empty one */
    uint16_t enum_values_at;   /* in the table of string lists; 0: none */
    uint8_t type;              /* enum field_type */
    uint8_t container;         /* enum field_container */
    uint8_t one_of;            /* enum one_of */
    uint8_t list_type;         /* enum list_type */
    char proto_wire;           /* 'v'arint, 'b'ytes, 'f'ixed64; upper case: repeated */
    bool required, omitempty, pointer;
    bool struct_atomic; /* mapOrStructType atomic */
    bool patch_merge, patch_retain_keys, patch_replace;
    bool enum_closed;
};

const char *field_name(const struct field_info *f);
const struct type_info *field_object(const struct field_info *f);   /* FIELD_OBJECT, FIELD_ONE_OF; or NULL */
const char *const *field_list_map_keys(const struct field_info *f); /* NULL-terminated, never NULL */
const char *const *field_enum_values(const struct field_info *f);   /* NULL-terminated; NULL when none */
const char *field_patch_merge_key(const struct field_info *f);      /* NULL when none */
const char *field_protobuf(const struct field_info *f);             /* NULL when not in protobuf */
/* An unconditional default (stages "marker" and "defaulting"): the bare text of a string, number or bool, or "{}" for
 * an object; NULL when there is none or it depends on more than the field being absent. */
const char *field_default_value(const struct field_info *f);

struct type_info {
    const char *name; /* "core.v1.PodSpec" */
    const struct field_info *fields;
    size_t n_fields;
    unsigned id;               /* TYPE_core_v1_PodSpec of the generated type_ids.h; index of tables keyed by type */
    const unsigned char *hash; /* name -> index + 1, open addressing; see type_field() */
    unsigned hash_mask;
    const struct proto_entry *proto; /* by field number */
    size_t n_proto;
};

/* NULL when unknown. */
const struct type_info *type_by_name(const char *name);
const struct field_info *type_field(const struct type_info *t, const char *name);
/* The type of a kind's document, e.g. ("apps/v1", "Deployment"); NULL when unknown or no kind ("v1", "PodSpec"). */
const struct type_info *type_of_kind(const char *api_version, const char *kind);

/* A list of messages with field paths, in the order found. */
struct field_errors {
    struct field_error {
        const char *reason; /* cause reason of wire.md 11: "FieldValueRequired", …; static */
        char *field;        /* "spec.containers[0].name" */
        char *message;      /* "Required value: …" as upstream words it */
    } * items;
    size_t n, cap;
};
#define FIELD_ERRORS_INIT                                                                                              \
    { NULL, 0, 0 }
#define FIELD_ERRORS_MAX 1000 /* more are not collected: a hostile document must not become a bigger answer */
void field_errors_finish(struct field_errors *e);
#define _cleanup_field_errors_ _cleanup_(field_errors_finish)
/* reason: static string. detail may be NULL. value: NULL prints none. */
void field_errors_add(struct field_errors *e, const char *reason, const char *field, const struct json *value,
                      const char *detail, ...) _printf_(5, 6);
/* Upstream's message: `Deployment.apps "x" is invalid: spec.replicas: Invalid value: -1: must be …` ([a, b] when
 * several). Caller frees. */
char *field_errors_message(const struct field_errors *e, const char *kind, const char *group, const char *name);

/*
 * Decoding of a document of a type, what Go's decoder would do: checks JSON types (-EINVAL with upstream's "json:
 * cannot unmarshal string into Go struct field …" style text naming the path), drops unknown fields, drops explicit
 * nulls where the field is no pointer, canonicalises quantities, times and bytes. Unknown fields are reported to
 * `unknown` (may be NULL) as strings `unknown field "spec.foo"`, in document order, for strict and warning field
 * validation. *doc is replaced by the pruned document (copy on write).
 */
int schema_decode(const struct type_info *t, struct json **doc, char ***unknown, struct error *err) _must_check_;
/* The same for what a patch made of `known`, a document of the type that was decoded and defaulted (NULL: none):
 * members that both share, the very same value, are not looked through again. A status is a tenth of a pod. */
int schema_decode_changed(const struct type_info *t, const struct json *known, struct json **doc, char ***unknown,
                          struct error *err) _must_check_;

/* Fills in every default of stage "defaulting" and "marker" (defaults.tsv), idempotent. Also adds what Go always writes
 * (creationTimestamp null, status {} …) so that GET output equals upstream's. Secret.stringData becomes data. The
 * document must have been decoded. Unknown kinds (custom resources) are left alone. */
void schema_default(const char *api_version, const char *kind, struct json **doc);
/* The same where `known` (or NULL) has its defaults: members that both share, the very same value, are left alone. */
void schema_default_changed(const char *api_version, const char *kind, const struct json *known, struct json **doc);

#endif
