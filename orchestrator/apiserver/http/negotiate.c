/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/negotiate.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A header may list more; who does so takes the first of them. */
#define CLAUSES_MAX 32

struct clause {
    char media[128];
    char as[64], version[32], group[64], stream[16];
    unsigned quality; /* 0..1000 */
};

static void copy(char *out, size_t size, const char *p, size_t n) {
    if (n >= size)
        n = size - 1;
    memcpy(out, p, n);
    out[n] = 0;
}

static void trim(const char **p, size_t *n) {
    while (*n > 0 && isspace((unsigned char) **p)) {
        (*p)++;
        (*n)--;
    }
    while (*n > 0 && isspace((unsigned char) (*p)[*n - 1]))
        (*n)--;
}

static unsigned read_quality(const char *text) {
    char *end;
    double q = strtod(text, &end);
    return end == text || !(q >= 0) ? 0 : q >= 1 ? 1000 : (unsigned) (q * 1000);
}

static void read_param(struct clause *c, const char *p, size_t n) {
    struct {
        const char *name;
        char *out;
        size_t size;
    } const params[] = {{"as=", c->as, sizeof(c->as)},
                        {"v=", c->version, sizeof(c->version)},
                        {"g=", c->group, sizeof(c->group)},
                        {"stream=", c->stream, sizeof(c->stream)}};
    trim(&p, &n);
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        size_t len = strlen(params[i].name);
        if (n > len && strncasecmp(p, params[i].name, len) == 0)
            copy(params[i].out, params[i].size, p + len, n - len);
    }
    if (n > 2 && strncasecmp(p, "q=", 2) == 0) {
        char text[16];
        copy(text, sizeof(text), p + 2, n - 2);
        c->quality = read_quality(text);
    }
}

/* One clause; returns what follows it, NULL at the end. */
static const char *read_clause(const char *p, struct clause *c) {
    *c = (struct clause){.quality = 1000};
    while (isspace((unsigned char) *p) || *p == ',')
        p++;
    if (!*p)
        return NULL;
    size_t end = strcspn(p, ","), n = strcspn(p, ";,"), len = n;
    const char *media = p;
    trim(&media, &len);
    copy(c->media, sizeof(c->media), media, len);
    while (n < end) {
        size_t at = n + 1, param = strcspn(p + at, ";,");
        read_param(c, p + at, param);
        n = at + param;
    }
    return p + end;
}

static bool media_known(const char *m, unsigned offers, enum accept_media *ret) {
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
        *ret = medias[i].media;
        return !(offers & OFFER_STREAM) || *ret != ACCEPT_YAML;
    }
    return false;
}

static bool is_discovery(const struct clause *c, unsigned offers, struct accepted *a) {
    a->as = AS_DISCOVERY;
    a->discovery_version = strcmp(c->version, "v2beta1") == 0 ? "v2beta1" : "v2";
    return offers & OFFER_DISCOVERY && strcmp(c->group, "apidiscovery.k8s.io") == 0 &&
           strcmp(c->version, a->discovery_version) == 0;
}

static bool is_view(const struct clause *c, unsigned offers, struct accepted *a) {
    static const struct {
        const char *name;
        enum accept_as as;
    } forms[] = {
        {"Table", AS_TABLE}, {"PartialObjectMetadata", AS_PARTIAL}, {"PartialObjectMetadataList", AS_PARTIAL_LIST}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(c->as, forms[i].name) != 0)
            continue;
        a->as = forms[i].as;
        a->v1beta1 = strcmp(c->version, "v1beta1") == 0;
        return offers & OFFER_VIEWS && strcmp(c->group, "meta.k8s.io") == 0 &&
               (a->v1beta1 || strcmp(c->version, "v1") == 0) && (a->as != AS_TABLE || a->media != ACCEPT_PROTOBUF);
    }
    return false;
}

static bool clause_fits(const struct clause *c, unsigned offers, struct accepted *a) {
    *a = (struct accepted){0};
    if (!c->quality || !media_known(c->media, offers, &a->media))
        return false;
    if (*c->stream && strcmp(c->stream, "watch") != 0)
        return false;
    if (!*c->as)
        return true;
    return strcmp(c->as, "APIGroupDiscoveryList") == 0 ? is_discovery(c, offers, a) : is_view(c, offers, a);
}

/* 0: anything at all, 1: anything of a kind, 2: named. */
static unsigned precision(const struct clause *c) {
    size_t n = strlen(c->media);
    return strncmp(c->media, "*/", 2) == 0 ? 0 : n > 1 && c->media[n - 1] == '*' ? 1 : 2;
}

static bool before(const struct clause *a, const struct clause *b) {
    return a->quality != b->quality ? a->quality > b->quality : precision(a) > precision(b);
}

bool accept_parse(const char *accept, unsigned offers, struct accepted *ret) {
    struct clause c, best = {0};
    struct accepted a;
    bool found = false;
    size_t n = 0;
    *ret = (struct accepted){0};
    if (!accept || !*accept)
        return true;
    for (const char *p = accept; n < CLAUSES_MAX && (p = read_clause(p, &c)); n++) {
        if ((found && !before(&c, &best)) || !clause_fits(&c, offers, &a))
            continue;
        best = c;
        *ret = a;
        found = true;
    }
    return found;
}

const char *accepted_media_type(const struct accepted *a) {
    switch (a->media) {
    case ACCEPT_JSON:
        break;
    case ACCEPT_YAML:
        return "application/yaml";
    case ACCEPT_PROTOBUF:
        return "application/vnd.kubernetes.protobuf";
    }
    return "application/json";
}

const char *accepted_meta_version(const struct accepted *a) {
    return a->v1beta1 ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
}

bool accept_gzip(const char *accept_encoding) {
    for (const char *p = accept_encoding; p && *p;) {
        size_t n = strcspn(p, ","), len = strcspn(p, ",;");
        const char *name = p;
        trim(&name, &len);
        if (len == 4 && strncasecmp(name, "gzip", 4) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}
