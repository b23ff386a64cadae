/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/reference.h"

#include <ctype.h>
#include <string.h>

#include "orchestrator/images/images.h"
#include "orchestrator/images/manifest.h"
#include "podium/base/alloc.h"

#define DEFAULT_HOST   "docker.io"
#define DEFAULT_FOLDER "library/"

enum { TAG_BYTES_MAX = 128, REPOSITORY_BYTES_MAX = 255 /* distribution/reference: NameTotalLengthMax */ };

void image_reference_finish(struct image_reference *reference) {
    free(reference->repository);
    free(reference->tag);
    free(reference->digest);
    *reference = (struct image_reference){0};
}

static bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+ joined by one of . _ __ or any number of - */
static bool path_component_is_valid(const char *p, size_t n) {
    if (n == 0 || !is_lower_alnum(p[0]) || !is_lower_alnum(p[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_lower_alnum(p[i]) || p[i] == '-')
            continue;
        if (p[i] != '.' && p[i] != '_')
            return false;
        size_t run = strspn(p + i, "._-");
        if (run > 1 && !(run == 2 && p[i] == '_' && p[i + 1] == '_'))
            return false;
        i += run - 1;
    }
    return true;
}

static bool host_is_valid(const char *p, size_t n) {
    size_t at = 0;

    if (n && p[0] == '[') { /* an IPv6 address */
        at = strspn(p + 1, "0123456789abcdefABCDEF:") + 1;
        if (at >= n || p[at++] != ']')
            return false;
    } else {
        for (; at < n && p[at] != ':'; at++)
            if (!isalnum((unsigned char) p[at]) && (at == 0 || (p[at] != '.' && p[at] != '-')))
                return false;
    }
    if (at == 0)
        return false;
    if (at == n)
        return true;
    return p[at] == ':' && n - at >= 2 && n - at <= 6 && strspn(p + at + 1, "0123456789") >= n - at - 1;
}

static bool tag_is_valid(const char *tag) {
    size_t n = strlen(tag);

    if (n == 0 || n > TAG_BYTES_MAX || *tag == '.' || *tag == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char) tag[i]) && !strchr("_.-", tag[i]))
            return false;
    return true;
}

/* Bytes of the host in front of the first '/', 0 when that component belongs to the path. */
static size_t host_length(const char *name) {
    size_t n = strcspn(name, "/");

    if (name[n] != '/')
        return 0;
    if (memchr(name, '.', n) || memchr(name, ':', n) || (n == 9 && strncmp(name, "localhost", n) == 0))
        return n;
    for (size_t i = 0; i < n; i++)
        if (isupper((unsigned char) name[i]))
            return n;
    return 0;
}

static int normalise(const char *name, char **ret) {
    size_t host = host_length(name);
    const char *path = host ? name + host + 1 : name;

    if (host && !host_is_valid(name, host))
        return -EINVAL;
    for (const char *p = path;;) {
        size_t n = strcspn(p, "/");
        if (!path_component_is_valid(p, n))
            return -EINVAL;
        if (!p[n])
            break;
        p += n + 1;
    }
    if (host == 15 && strncmp(name, "index.docker.io", host) == 0)
        host = 0;
    bool is_default = host == 0 || (host == strlen(DEFAULT_HOST) && strncmp(name, DEFAULT_HOST, host) == 0);
    *ret = is_default ? xasprintf(DEFAULT_HOST "/%s%s", strchr(path, '/') ? "" : DEFAULT_FOLDER, path) : xstrdup(name);
    return 0;
}

int image_reference_parse(const char *text, struct image_reference *ret, struct error *err) {
    _cleanup_(image_reference_finish) struct image_reference out = {0};

    if (!text || !*text)
        return error_set(err, -EINVAL, "empty image name");
    if (strlen(text) > IMAGE_REFERENCE_BYTES_MAX)
        return error_set(err, -EINVAL, "image name longer than %u bytes", IMAGE_REFERENCE_BYTES_MAX);
    _cleanup_free_ char *name = xstrdup(text);
    char *at = strchr(name, '@');
    if (at) {
        *at = 0;
        if (!image_digest_is_valid(at + 1))
            return error_set(err, -EINVAL, "image name \"%s\": malformed digest, want sha256: and 64 hex digits", text);
        out.digest = xstrdup(at + 1);
    }
    char *colon = strrchr(name, ':');
    if (colon && !strchr(colon, '/')) {
        *colon = 0;
        if (!tag_is_valid(colon + 1))
            return error_set(err, -EINVAL, "image name \"%s\": malformed tag", text);
        out.tag = xstrdup(colon + 1);
    } else if (!out.digest) {
        out.tag = xstrdup("latest");
    }
    if (normalise(name, &out.repository) < 0) {
        for (const char *p = name; *p; p++)
            if (isupper((unsigned char) *p))
                return error_set(err, -EINVAL, "image name \"%s\": must be lower case", text);
        return error_set(err, -EINVAL, "malformed image name \"%s\"", text);
    }
    if (strlen(out.repository) > REPOSITORY_BYTES_MAX)
        return error_set(err, -EINVAL, "image name longer than %d bytes", REPOSITORY_BYTES_MAX);
    *ret = out;
    out = (struct image_reference){0};
    return 0;
}

char *image_reference_format(const struct image_reference *reference) {
    if (reference->tag)
        return xasprintf("%s:%s", reference->repository, reference->tag);
    if (reference->digest)
        return xasprintf("%s@%s", reference->repository, reference->digest);
    return xstrdup(reference->repository);
}

const char *image_reference_familiar(const char *name) {
    size_t host = strlen(DEFAULT_HOST "/"), folder = strlen(DEFAULT_FOLDER);

    if (strncmp(name, DEFAULT_HOST "/", host) != 0)
        return name;
    name += host;
    return strncmp(name, DEFAULT_FOLDER, folder) == 0 ? name + folder : name;
}
