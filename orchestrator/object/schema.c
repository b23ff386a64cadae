/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking things up in the type tables. */
#include "orchestrator/object/schema.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/object/type_tables.h"

static const char *text_at(uint32_t at) {
    return at ? type_strings + at : NULL;
}

const char *field_name(const struct field_info *f) {
    return type_strings + f->name_at;
}

const struct type_info *field_object(const struct field_info *f) {
    return f->object_number ? &type_table[f->object_number - 1] : NULL;
}

const char *const *field_list_map_keys(const struct field_info *f) {
    return &type_string_lists[f->list_map_keys_at];
}

const char *const *field_enum_values(const struct field_info *f) {
    return f->enum_values_at ? &type_string_lists[f->enum_values_at] : NULL;
}

const char *field_patch_merge_key(const struct field_info *f) {
    return text_at(f->patch_merge_key_at);
}

const char *field_protobuf(const struct field_info *f) {
    return text_at(f->protobuf_at);
}

const char *field_default_value(const struct field_info *f) {
    return text_at(f->default_value_at);
}

const struct type_info *type_by_name(const char *name) {
    size_t lo = 0, hi = type_table_len;
    while (name && lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(name, type_table[mid].name);
        if (c == 0)
            return &type_table[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* FNV-1a, folded; gen/typegen.c builds the tables with the same function. */
static unsigned name_hash(const char *s) {
    unsigned h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char) *s) * 16777619u;
    return h ^ (h >> 15);
}

const struct field_info *type_field(const struct type_info *t, const char *name) {
    if (!t || !name)
        return NULL;
    for (unsigned at = name_hash(name) & t->hash_mask; t->hash[at]; at = (at + 1) & t->hash_mask) {
        const struct field_info *f = &t->fields[t->hash[at] - 1];
        if (strcmp(field_name(f), name) == 0)
            return f;
    }
    return NULL;
}

/* Kinds of apimachinery that every group version serves beside its own. */
static bool is_meta_kind(const char *kind) {
    static const char *const kinds[] = {"DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions",
                                        "ListOptions",   "GetOptions",    "WatchEvent"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

/* Not every type is a kind: PodSpec has no document of its own. */
static const struct type_info *if_kind(const struct type_info *t) {
    return type_field(t, "kind") && type_field(t, "apiVersion") ? t : NULL;
}

/* Groups by their full names only: "core/v1" and "networking/v1" are none. */
static bool is_group(const char *group, size_t n) {
    static const char *const others[] = {"meta.k8s.io", "admission.k8s.io", "apidiscovery.k8s.io"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strlen(others[i]) == n && strncmp(others[i], group, n) == 0)
            return true;
    for (size_t i = 0; n && i < resource_table_len; i++)
        if (strncmp(resource_table[i].group, group, n) == 0 && !resource_table[i].group[n])
            return true;
    return false;
}

const struct type_info *type_of_kind(const char *api_version, const char *kind) {
    if (!api_version || !kind)
        return NULL;
    char name[256];
    const char *slash = strchr(api_version, '/');
    const char *package = slash ? api_version : "core", *version = slash ? slash + 1 : api_version;
    if (slash ? !is_group(api_version, (size_t) (slash - api_version)) : strcmp(version, "v1") != 0)
        return NULL;
    /* The package is the first label of the group: networking.k8s.io -> networking. */
    int n = snprintf(name, sizeof(name), "%.*s.%s.%s", (int) strcspn(package, "./"), package, version, kind);
    if (n < 0 || (size_t) n >= sizeof(name))
        return NULL;
    const struct type_info *t = if_kind(type_by_name(name));
    if (t || (slash && !is_meta_kind(kind)))
        return t;
    n = snprintf(name, sizeof(name), "meta.v1.%s", kind);
    return n < 0 || (size_t) n >= sizeof(name) ? NULL : if_kind(type_by_name(name));
}
