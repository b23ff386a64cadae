/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium kubeconfig: how others get in. */
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"

#define ADMIN_KUBECONFIG "/var/lib/podium/server/admin.kubeconfig" /* kept fresh by the server */

const struct flag flags_kubeconfig[] = {
    {"output", 'o', FLAG_VALUE, NULL, "FILE", "write it there, readable by its owner only (default: print it)"},
    FLAG_END,
};

/* --- kubeconfig --- */

static void set_pem(struct json **object, const char *key, const char *pem) {
    if (!pem)
        return;
    _cleanup_free_ char *encoded = base64_encode(pem, strlen(pem));
    json_set(object, key, json_string(encoded));
    explicit_bzero(encoded, strlen(encoded));
}

static void add_named(struct json **doc, const char *list, const char *name, const char *what, struct json *take) {
    struct json *entry = json_object();
    json_set(&entry, "name", json_string(name));
    json_set(&entry, what, take);
    json_append(json_edit(doc, list), entry);
}

/* Everything of the context in use, in one file without references. */
static struct json *flattened(const struct kubeconfig *k) {
    struct json *doc = json_object(), *cluster = json_object(), *user = json_object(), *context = json_object();
    json_set(&cluster, "server", json_string(k->server));
    set_pem(&cluster, "certificate-authority-data", k->ca);
    if (k->insecure)
        json_set(&cluster, "insecure-skip-tls-verify", json_bool(true));
    set_pem(&user, "client-certificate-data", k->cert);
    set_pem(&user, "client-key-data", k->key);
    if (k->token)
        json_set(&user, "token", json_string(k->token));
    json_set(&context, "cluster", json_string(k->cluster));
    json_set(&context, "user", json_string(k->user));
    if (k->ns)
        json_set(&context, "namespace", json_string(k->ns));
    json_set(&doc, "apiVersion", json_string("v1"));
    json_set(&doc, "kind", json_string("Config"));
    json_set(&doc, "current-context", json_string(k->context));
    add_named(&doc, "clusters", k->cluster, "cluster", cluster);
    add_named(&doc, "contexts", k->context, "context", context);
    add_named(&doc, "users", k->user, "user", user);
    return doc;
}

int cli_verb_kubeconfig(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    const char *path = args_str(&c->args, "output");
    if (cli_connect(c) != 0)
        return 1;
    if (!c->connection.kube.context && access(ADMIN_KUBECONFIG, R_OK) == 0) {
        int loaded = kubeconfig_load(ADMIN_KUBECONFIG, NULL, &c->connection.kube, &err);
        if (loaded < 0)
            return cli_fail("%s", error_text(&err, loaded));
    }
    if (!c->connection.kube.context)
        return cli_fail("this host's server is reached by its root-only socket %s, which has no kubeconfig.\n"
                        "The server keeps an administrator's in its --data-dir: admin.kubeconfig; name it with "
                        "--kubeconfig",
                        c->connection.source);
    doc = flattened(&c->connection.kube);
    yaml_write(doc, &out);
    int r = 0;
    if (path)
        r = file_write_atomic(path, out.data, out.len, 0600, false, &err);
    else
        fputs(strbuf_str(&out), stdout);
    explicit_bzero(out.data, out.len);
    if (r == 0 && path)
        printf("Written. Use it:  export KUBECONFIG=%s\n", path);
    return r < 0 ? cli_fail("%s", error_text(&err, r)) : 0;
}
