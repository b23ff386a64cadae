/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/credentials.h"

#include <fnmatch.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define CONFIG_BYTES_MAX (1024u * 1024u) /* a Secret's limit */
#define HUB_KEY          "index.docker.io"

/* "https://host/v1/path" → "host/path". */
static char *normalise_key(const char *key) {
    static const char *const schemes[] = {"https://", "http://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(key, schemes[i], strlen(schemes[i])) == 0)
            key += strlen(schemes[i]);
    size_t host = strcspn(key, "/");
    const char *path = key + host;
    if (strncmp(path, "/v1/", 4) == 0 || strncmp(path, "/v2/", 4) == 0)
        path += 3;
    if (strcmp(path, "/") == 0 || strcmp(path, "/v1") == 0 || strcmp(path, "/v2") == 0)
        path = "";
    return xasprintf("%.*s%s", (int) host, key, path);
}

/* The pair of an entry: "auth" (base64 of user:password) goes before "username" and "password". */
static int entry_parse(const char *key, const struct json *entry, struct json **ret, struct error *err) {
    const char *auth = json_str_or(json_get(entry, "auth"), "");
    _cleanup_free_ char *name = normalise_key(key);
    struct json *out = json_object();

    json_set(&out, "key", json_string(name));
    json_set(&out, "username", json_string(json_str_or(json_get(entry, "username"), "")));
    json_set(&out, "password", json_string(json_str_or(json_get(entry, "password"), "")));
    if (*auth) {
        _cleanup_free_ uint8_t *pair = NULL;
        size_t n = 0;
        int r = base64_decode(auth, strlen(auth), &pair, &n);
        char *colon = r == 0 ? strchr((char *) pair, ':') : NULL;
        if (!colon || strlen((char *) pair) != n) {
            json_unref(out);
            return error_set(err, -EINVAL, "\"auth\" of %s is not base64 of user:password", name);
        }
        *colon = 0;
        json_set(&out, "username", json_string((char *) pair));
        json_set(&out, "password", json_string(colon + 1));
        explicit_bzero(pair, n);
    }
    *ret = out;
    return 0;
}

int image_credentials_add(struct json **list, const void *bytes, size_t n, bool legacy, struct error *err) {
    struct json_parse_options options = {.bytes_max = CONFIG_BYTES_MAX};
    _cleanup_json_ struct json *doc = NULL, *all = *list ? json_ref(*list) : json_array();
    _cleanup_(error_clear) struct error why = ERROR_INIT;

    if (json_parse(bytes, n, &options, &doc, &why) < 0) /* its text would quote the secret */
        return error_set(err, -EINVAL, "not a JSON document");
    const struct json *auths = legacy ? doc : json_get(doc, "auths");
    if (!json_is_object(doc) || (auths && !json_is_object(auths)))
        return error_set(err, -EINVAL, "not a docker configuration: no \"auths\"");
    for (size_t i = 0; i < json_len(auths); i++) {
        struct json *entry = NULL;
        int r = entry_parse(json_key_at(auths, i), json_value_at(auths, i), &entry, err);
        if (r < 0)
            return r;
        (void) json_append(&all, entry);
    }
    json_unref(*list);
    *list = steal(&all);
    return 0;
}

/* Each dot-separated part of the pattern against the same part of the host. */
static bool host_matches(const char *pattern, size_t pattern_n, const char *host, size_t host_n) {
    _cleanup_free_ char *a = xstrndup(pattern, pattern_n), *b = xstrndup(host, host_n);
    char *a_rest = a, *b_rest = b;

    while (a_rest && b_rest) {
        const char *part = strsep(&a_rest, "."), *of_host = strsep(&b_rest, ".");
        if (fnmatch(part, of_host, FNM_NOESCAPE) != 0)
            return false;
    }
    return !a_rest && !b_rest;
}

static bool key_matches(const char *key, const char *repository) {
    size_t key_host = strcspn(key, "/"), host = strcspn(repository, "/");

    if (strncmp(repository + host, key + key_host, strlen(key + key_host)) != 0)
        return false;
    size_t key_name = strcspn(key, ":/"), name = strcspn(repository, ":/");
    if (key_host - key_name != host - name || strncmp(key + key_name, repository + name, host - name) != 0)
        return false; /* another port */
    return host_matches(key, key_name, repository, name);
}

struct match {
    const struct json *entry;
    size_t at;
};

/* Keys in descending order, equal ones as they came. */
static int compare(const void *a, const void *b) {
    const struct match *x = a, *y = b;
    int order = strcmp(json_str(json_get(y->entry, "key")), json_str(json_get(x->entry, "key")));

    return order ? order : x->at < y->at ? -1 : 1;
}

struct json *image_credentials_for(const struct json *list, const char *repository) {
    size_t n = 0, host = strcspn(repository, "/");
    bool is_hub = host == strlen("docker.io") && strncmp(repository, "docker.io", host) == 0;
    _cleanup_free_ struct match *matches = xcalloc(json_len(list) + 1, sizeof(*matches));
    struct json *out = json_array();

    for (size_t pass = 0; pass < 2 && n == 0; pass++)
        for (size_t i = 0; i < json_len(list); i++) {
            const char *key = json_str_or(json_get(json_at(list, i), "key"), "");
            if (pass == 0 ? key_matches(key, repository) : is_hub && strcmp(key, HUB_KEY) == 0)
                matches[n++] = (struct match){json_at(list, i), i};
        }
    if (n)
        qsort(matches, n, sizeof(*matches), compare);
    for (size_t i = 0; i < n; i++) {
        struct json *pair = json_object();
        json_set(&pair, "username", json_ref(json_get(matches[i].entry, "username")));
        json_set(&pair, "password", json_ref(json_get(matches[i].entry, "password")));
        (void) json_append(&out, pair);
    }
    return out;
}
