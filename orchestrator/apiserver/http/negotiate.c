/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/negotiate.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct clause {
    char media[128];
    char as[64], version[32], group[64];
};

static void copy(char *out, size_t size, const char *p, size_t n) {
    if (n >= size)
        n = size - 1;
    memcpy(out, p, n);
    out[n] = 0;
}

static void read_param(struct clause *c, const char *p, size_t n) {
    while (n > 0 && isspace((unsigned char) *p)) {
        p++;
        n--;
    }
    if (n > 3 && strncasecmp(p, "as=", 3) == 0)
        copy(c->as, sizeof(c->as), p + 3, n - 3);
    else if (n > 2 && strncasecmp(p, "v=", 2) == 0)
        copy(c->version, sizeof(c->version), p + 2, n - 2);
    else if (n > 2 && strncasecmp(p, "g=", 2) == 0)
        copy(c->group, sizeof(c->group), p + 2, n - 2);
}

/* One clause; returns what follows it, NULL at the end. */
static const char *read_clause(const char *p, struct clause *c) {
    *c = (struct clause){0};
    while (isspace((unsigned char) *p) || *p == ',')
        p++;
    if (!*p)
        return NULL;
    size_t end = strcspn(p, ","), n = strcspn(p, ";,");
    size_t trimmed = n;
    while (trimmed > 0 && isspace((unsigned char) p[trimmed - 1]))
        trimmed--;
    copy(c->media, sizeof(c->media), p, trimmed);
    while (n < end) {
        size_t at = n + 1, len = strcspn(p + at, ";,");
        read_param(c, p + at, len);
        n = at + len;
    }
    return p + end;
}

static bool media_known(const char *m, struct accepted *a) {
    static const struct {
        const char *name;
        enum accept_media media;
    } medias[] = {
        {"application/json", ACCEPT_JSON},
        {"*/*", ACCEPT_JSON},
        {"application/*", ACCEPT_JSON},
        {"application/yaml", ACCEPT_YAML},
        {"application/vnd.kubernetes.protobuf", ACCEPT_PROTOBUF},
    };
    for (size_t i = 0; i < sizeof(medias) / sizeof(medias[0]); i++) {
        if (strcasecmp(m, medias[i].name) != 0)
            continue;
        a->media = medias[i].media;
        return true;
    }
    return false;
}

static bool clause_fits(const struct clause *c, bool table_ok, struct accepted *a) {
    static const struct {
        const char *name;
        enum accept_as as;
    } forms[] = {
        {"Table", AS_TABLE}, {"PartialObjectMetadata", AS_PARTIAL}, {"PartialObjectMetadataList", AS_PARTIAL_LIST}};
    *a = (struct accepted){0};
    if (!media_known(c->media, a))
        return false;
    if (!*c->as)
        return true;
    if (strcmp(c->as, "APIGroupDiscoveryList") == 0) {
        a->discovery_v2 = true;
        a->discovery_version = strcmp(c->version, "v2beta1") == 0 ? "v2beta1" : "v2";
        return a->media == ACCEPT_JSON && (strcmp(c->version, "v2") == 0 || strcmp(c->version, "v2beta1") == 0);
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(c->as, forms[i].name) != 0)
            continue;
        a->as = forms[i].as;
        a->table_v1beta1 = strcmp(c->version, "v1beta1") == 0;
        return table_ok && strcmp(c->group, "meta.k8s.io") == 0 && !(a->as == AS_TABLE && a->media == ACCEPT_PROTOBUF);
    }
    return false;
}

bool accept_parse(const char *accept, bool table_ok, struct accepted *ret) {
    struct clause c;
    struct accepted protobuf = {0};
    bool have_protobuf = false;
    *ret = (struct accepted){0};
    if (!accept || !*accept)
        return true;
    for (const char *p = accept; (p = read_clause(p, &c));) {
        if (!clause_fits(&c, table_ok, ret))
            continue;
        /* JSON is what the store holds ready: protobuf only for those who take nothing else. */
        if (ret->media != ACCEPT_PROTOBUF)
            return true;
        if (!have_protobuf)
            protobuf = *ret;
        have_protobuf = true;
    }
    *ret = protobuf;
    return have_protobuf;
}
