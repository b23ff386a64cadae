/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/resources.h"

#include <string.h>
#include <strings.h>

#include "orchestrator/object/type_tables.h"

const struct resource *resources_all(size_t *ret_n) {
    if (ret_n)
        *ret_n = resource_table_len;
    return resource_table;
}

const struct resource *resource_by_plural(const char *group, const char *version, const char *plural) {
    if (!group || !version || !plural)
        return NULL;
    for (size_t i = 0; i < resource_table_len; i++) {
        const struct resource *r = &resource_table[i];
        if (strcmp(r->plural, plural) == 0 && strcmp(r->group, group) == 0 && strcmp(r->version, version) == 0)
            return r;
    }
    return NULL;
}

const struct resource *resource_by_kind(const char *group, const char *version, const char *kind) {
    if (!group || !version || !kind)
        return NULL;
    for (size_t i = 0; i < resource_table_len; i++) {
        const struct resource *r = &resource_table[i];
        if (strcmp(r->kind, kind) == 0 && strcmp(r->group, group) == 0 && strcmp(r->version, version) == 0)
            return r;
    }
    return NULL;
}

const struct resource *resource_by_api_version(const char *api_version, const char *kind) {
    if (!api_version || !kind)
        return NULL;
    for (size_t i = 0; i < resource_table_len; i++) {
        const struct resource *r = &resource_table[i];
        if (strcmp(r->kind, kind) == 0 && strcmp(r->api_version, api_version) == 0)
            return r;
    }
    return NULL;
}

const struct resource *resource_storage(const struct resource *r) {
    if (!r || r->storage_version)
        return r;
    for (size_t i = 0; i < resource_table_len; i++)
        if (resource_table[i].storage_version && strcmp(resource_table[i].key, r->key) == 0)
            return &resource_table[i];
    return r;
}

static bool name_is(const struct resource *r, const char *name, size_t n) {
    const char *const candidates[] = {r->plural, r->singular, r->kind};
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
        if (strlen(candidates[i]) == n && strncasecmp(candidates[i], name, n) == 0)
            return true;
    for (const char *const *s = r->short_names; *s; s++)
        if (strlen(*s) == n && strncasecmp(*s, name, n) == 0)
            return true;
    return false;
}

/* What follows the first dot: "apps", "v1.apps", or the beginning of a group ("rbac" for rbac.authorization.k8s.io), as
 * kubectl accepts. */
static bool group_is(const struct resource *r, const char *rest) {
    if (strcasecmp(r->group, rest) == 0)
        return true;
    size_t n = strlen(r->version);
    if (strncasecmp(rest, r->version, n) == 0 &&
        (!rest[n] ? !*r->group : rest[n] == '.' && strcasecmp(rest + n + 1, r->group) == 0))
        return true;
    n = strlen(rest);
    return n && strncasecmp(r->group, rest, n) == 0 && r->group[n] == '.';
}

const struct resource *resource_by_name(const char *typed) {
    if (!typed || !*typed)
        return NULL;
    size_t n = strcspn(typed, ".");
    for (size_t i = 0; i < resource_table_len; i++) {
        const struct resource *r = &resource_table[i];
        if (name_is(r, typed, n) && (!typed[n] || group_is(r, typed + n + 1)))
            return r;
    }
    return NULL;
}

const struct subresource *resource_subresource(const struct resource *r, const char *name) {
    if (!r || !name)
        return NULL;
    for (size_t i = 0; i < r->n_subresources; i++)
        if (strcmp(r->subresources[i].name, name) == 0)
            return &r->subresources[i];
    return NULL;
}

const char *resource_api_version(const struct resource *r) {
    return r->api_version;
}

const char *resource_display_name(const struct resource *r) {
    return r->display_name;
}
