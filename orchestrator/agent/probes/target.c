/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/target.h"

#include <string.h>
#include <strings.h>

#include "podium/base/alloc.h"

static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
static const char *const hooks[] = {"postStart", "preStop"};

static void copy(struct json **to, const struct json *from, const char *member) {
    if (!json_is_null(json_get(from, member)))
        json_set(to, member, json_ref(json_get(from, member)));
}

static struct json *document(const struct json *container, bool init) {
    _cleanup_json_ struct json *o = json_object();

    for (size_t i = 0; i < ARRAY_LEN(probes); i++)
        copy(&o, container, probes[i]);
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
        if (json_path(container, "lifecycle", hooks[i], "httpGet"))
            copy(json_edit(&o, "lifecycle"), json_get(container, "lifecycle"), hooks[i]);
    if (json_len(o) == 0)
        return NULL;
    copy(&o, container, "name");
    copy(&o, container, "ports");
    json_set(&o, "init", json_bool(init));
    return steal(&o);
}

struct json *probe_documents(const struct json *spec) {
    const struct json *init = json_get(spec, "initContainers"), *mains = json_get(spec, "containers");
    struct json *list = json_array();

    for (size_t i = 0; i < json_len(init) + json_len(mains); i++) {
        bool is_init = i < json_len(init);
        struct json *o = document(is_init ? json_at(init, i) : json_at(mains, i - json_len(init)), is_init);
        if (o)
            json_append(&list, o);
    }
    return list;
}

int probe_port(const struct json *container, const struct json *handler, uint16_t *ret, struct error *err) {
    const struct json *port = json_get(handler, "port"), *ports = json_get(container, "ports");
    int64_t number = json_int_or(port, 0);
    const char *name = json_str(port);

    if (name && *name && strspn(name, "0123456789") == strlen(name))
        number = strtol(name, NULL, 10);
    else if (name)
        for (size_t i = 0; i < json_len(ports); i++)
            if (strcmp(json_str_or(json_get(json_at(ports, i), "name"), ""), name) == 0)
                number = json_int_or(json_get(json_at(ports, i), "containerPort"), 0);
    if (name && number == 0)
        return error_set(err, -EINVAL, "couldn't find port: %s", name);
    if (number <= 0 || number > UINT16_MAX)
        return error_set(err, -EINVAL, "invalid port number: %lld", (long long) number);
    *ret = (uint16_t) number;
    return 0;
}

char *probe_authority(const char *host, uint16_t port) {
    return strchr(host, ':') && host[0] != '[' ? xasprintf("[%s]:%u", host, port) : xasprintf("%s:%u", host, port);
}

int probe_http_url(const struct json *container, const struct json *http_get, const char *address, char **ret,
                   struct error *err) {
    const char *host = json_str_or(json_get(http_get, "host"), "");
    const char *path = json_str_or(json_get(http_get, "path"), "");
    bool tls = strcasecmp(json_str_or(json_get(http_get, "scheme"), "HTTP"), "HTTPS") == 0;
    _cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
    uint16_t port = 0;

    int r = probe_port(container, http_get, &port, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *authority = probe_authority(*host ? host : address, port);
    strbuf_addf(&url, "%s://%s%s", tls ? "https" : "http", authority, *path == '/' ? "" : "/");
    for (const char *p = path; *p && *p != '#'; p++) {
        unsigned char c = (unsigned char) *p;
        if (c <= ' ' || c >= 0x7F)
            strbuf_addf(&url, "%%%02X", c);
        else
            strbuf_addc(&url, *p);
    }
    *ret = strbuf_steal(&url);
    return 0;
}

char **probe_http_headers(const struct json *http_get) {
    const struct json *list = json_get(http_get, "httpHeaders");
    char **v = strv_new();

    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_str_or(json_get(json_at(list, i), "name"), "");
        const char *value = json_str_or(json_get(json_at(list, i), "value"), "");
        if (*name && !strpbrk(name, ": \r\n") && !strpbrk(value, "\r\n"))
            strv_push(&v, xasprintf("%s: %s", name, value));
    }
    return v;
}
