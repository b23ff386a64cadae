/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/kubeconfig.h"

#include <string.h>

#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define KUBECONFIG_BYTES_MAX (4u * 1024u * 1024u)
#define PEM_BYTES_MAX        (1024u * 1024u)

static void wipe(char **s) {
    if (*s)
        explicit_bzero(*s, strlen(*s));
    free(*s);
    *s = NULL;
}

void kubeconfig_finish(struct kubeconfig *k) {
    free(k->context);
    free(k->cluster);
    free(k->user);
    free(k->server);
    free(k->ns);
    free(k->ca);
    free(k->cert);
    wipe(&k->key);
    wipe(&k->token);
    *k = (struct kubeconfig){0};
}

/* The entry of a list of {name, <what>: {…}}. */
static const struct json *entry(const struct json *doc, const char *list, const char *name, const char *what) {
    const struct json *a = json_get(doc, list);
    for (size_t i = 0; i < json_len(a); i++)
        if (strcmp(json_str_or(json_get(json_at(a, i), "name"), ""), name) == 0)
            return json_get(json_at(a, i), what);
    return NULL;
}

static char *dup_member(const struct json *o, const char *key) {
    const char *s = json_str(json_get(o, key));
    return s && *s ? xstrdup(s) : NULL;
}

static int read_relative(const char *kubeconfig, const char *file, char **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const char *slash = strrchr(kubeconfig, '/');
    _cleanup_free_ char *dir = slash ? xstrndup(kubeconfig, (size_t) (slash - kubeconfig)) : xstrdup(".");
    _cleanup_free_ char *path = *file == '/' ? xstrdup(file) : path_join(dir, file);
    int r = file_read(path, PEM_BYTES_MAX, &text, err);
    if (r < 0)
        return error_prefix(err, r, "%s", kubeconfig);
    *ret = strbuf_steal(&text);
    return 0;
}

/* "<key>-data" (base64) wins over "<key>" (a file), as upstream. */
static int pem_member(const struct json *o, const char *key, const char *path, char **ret, struct error *err) {
    _cleanup_free_ char *data_key = xasprintf("%s-data", key);
    const char *data = json_str(json_get(o, data_key)), *file = json_str(json_get(o, key));
    if (data && *data) {
        uint8_t *bytes;
        size_t n;
        if (base64_decode(data, strlen(data), &bytes, &n) < 0)
            return error_set(err, -EINVAL, "%s:%u: %s is no base64", path, json_line(json_get(o, data_key)), data_key);
        *ret = (char *) bytes; /* NUL-terminated by the decoder */
        return 0;
    }
    if (file && *file)
        return read_relative(path, file, ret, err);
    return 0;
}

static int take_user(const struct json *user, const char *path, struct kubeconfig *k, struct error *err) {
    if (json_get(user, "exec") || json_get(user, "auth-provider"))
        return error_set(err, -ENOTSUP,
                         "%s: user \"%s\" wants a login plug-in, which podium does not run; use a "
                         "client certificate or --token",
                         path, k->user);
    if (json_get(user, "username"))
        return error_set(err, -ENOTSUP, "%s: user \"%s\" has a password; servers of today take certificates or tokens",
                         path, k->user);
    int r = pem_member(user, "client-certificate", path, &k->cert, err);
    if (r == 0)
        r = pem_member(user, "client-key", path, &k->key, err);
    if (r < 0)
        return r;
    k->token = dup_member(user, "token");
    const char *file = json_str(json_get(user, "tokenFile"));
    if (file && *file && !k->token) {
        r = read_relative(path, file, &k->token, err);
        if (r < 0)
            return r;
        k->token[strcspn(k->token, "\r\n")] = 0;
    }
    return 0;
}

static int take_context(const struct json *doc, const char *path, const char *context, struct kubeconfig *k,
                        struct error *err) {
    if (!context || !*context)
        context = json_str_or(json_get(doc, "current-context"), "");
    if (!*context)
        return error_set(err, -EINVAL, "%s: no current-context; choose one with --context", path);
    const struct json *c = entry(doc, "contexts", context, "context");
    if (!c)
        return error_set(err, -EINVAL, "%s: context \"%s\" does not exist", path, context);
    k->context = xstrdup(context);
    k->cluster = xstrdup(json_str_or(json_get(c, "cluster"), ""));
    k->user = xstrdup(json_str_or(json_get(c, "user"), ""));
    k->ns = dup_member(c, "namespace");
    const struct json *cluster = entry(doc, "clusters", k->cluster, "cluster");
    if (!cluster)
        return error_set(err, -EINVAL, "%s: cluster \"%s\" of context \"%s\" does not exist", path, k->cluster,
                         context);
    k->server = dup_member(cluster, "server");
    k->insecure = json_bool_or(json_get(cluster, "insecure-skip-tls-verify"), false);
    if (!k->server)
        return error_set(err, -EINVAL, "%s: cluster \"%s\" has no server", path, k->cluster);
    int r = pem_member(cluster, "certificate-authority", path, &k->ca, err);
    if (r < 0)
        return r;
    const struct json *user = entry(doc, "users", k->user, "user");
    if (*k->user && !user)
        return error_set(err, -EINVAL, "%s: user \"%s\" of context \"%s\" does not exist", path, k->user, context);
    return take_user(user, path, k, err);
}

int kubeconfig_from_document(const struct json *doc, const char *path, const char *context, struct kubeconfig *ret,
                             struct error *err) {
    struct kubeconfig k = {0};
    int r;
    if (!json_is_object(doc) || strcmp(json_str_or(json_get(doc, "kind"), "Config"), "Config") != 0)
        r = error_set(err, -EINVAL, "%s is no kubeconfig", path);
    else
        r = take_context(doc, path, context, &k, err);
    if (r < 0) {
        kubeconfig_finish(&k);
        return r;
    }
    *ret = k;
    return 0;
}

int kubeconfig_load(const char *path, const char *context, struct kubeconfig *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_json_ struct json *doc = NULL;
    int r = file_read(path, KUBECONFIG_BYTES_MAX, &text, err);
    if (r == 0)
        r = yaml_parse_one(path, strbuf_str(&text), text.len, &doc, err);
    if (r < 0)
        return r;
    r = kubeconfig_from_document(doc, path, context, ret, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return r;
}
