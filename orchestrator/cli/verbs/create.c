/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium create: objects from files; namespaces, ConfigMaps and Secrets also by hand. */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/strict.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"

#define VALUE_BYTES_MAX (1024u * 1024u)

const struct flag flags_create[] = {
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "file, folder, or - for standard input"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "also folders below"},
    {"dry-run", 0, FLAG_OPTIONAL, "client", "WHERE",
     "client: only say what would happen; server: let the server check it"},
    {"validate", 0, FLAG_OPTIONAL, "strict", "HOW", "strict (default): unknown fields are errors; warn; ignore"},
    {"from-literal", 0, FLAG_VALUE, NULL, "KEY=VALUE", "configmap, secret: a value"},
    {"from-file", 0, FLAG_VALUE, NULL, "[KEY=]FILE", "configmap, secret: the contents of a file"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "yaml, json, name, jsonpath=…: show the objects instead"},
    FLAG_END,
};

struct creating {
    struct cli *c;
    struct output_format format;
    const char *dry_run;
};

static void tell(const struct creating *a, const struct target *t, const struct json *object) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    if (a->format.output == OUTPUT_TABLE || a->format.output == OUTPUT_WIDE) {
        _cleanup_free_ char *title = target_title(t->resource, json_str_or(json_path(object, "metadata", "name"), ""));
        strbuf_addf(&out, "%s created%s\n", title,
                    !a->dry_run                         ? ""
                    : strcmp(a->dry_run, "server") == 0 ? " (server dry run)"
                                                        : " (dry run)");
    } else {
        output_print(&a->format, object, &out);
    }
    fwrite(strbuf_str(&out), 1, out.len, stdout);
    (void) fflush(stdout);
}

static int create_one(struct creating *a, const struct target *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = json_ref(t->object), *made = NULL;
    struct client_request r = target_request(t, CLIENT_CREATE);
    int code = 0;
    if (t->resource->namespaced)
        json_set(json_edit(&doc, "metadata"), "namespace", json_string(t->ns));
    if (a->dry_run && strcmp(a->dry_run, "client") == 0) {
        tell(a, t, doc);
        return 0;
    }
    r.name = NULL;
    r.body = doc;
    r.field_manager = "podium";
    r.dry_run = a->dry_run != NULL;
    int e = client_call_wait(a->c->loop, a->c->client, &r, &code, &made, &err);
    if (e < 0) {
        _cleanup_free_ char *prefix = t->origin ? xasprintf("error when creating \"%s\": ", t->origin) : xstrdup("");
        return cli_refused(a->c, code ? prefix : "", code, made, error_text(&err, e));
    }
    tell(a, t, made);
    return 0;
}

/* --- by hand --- */

/* A Secret carries base64, a ConfigMap text (and base64 in binaryData where it is none). */
static void put_value(struct json **doc, bool secret, const char *key, const char *p, size_t n) {
    _cleanup_free_ char *encoded = base64_encode(p, n);
    _cleanup_json_ struct json *probe = NULL;
    _cleanup_strbuf_ struct strbuf quoted = STRBUF_INIT;
    json_write_string(p, n, &quoted); /* what does not read back is no UTF-8 */
    bool text = !memchr(p, 0, n) && json_parse(quoted.data, quoted.len, NULL, &probe, NULL) == 0;
    if (secret)
        json_set_path(doc, json_string(encoded), "data", key);
    else if (text)
        json_set_path(doc, json_string_len(p, n), "data", key);
    else
        json_set_path(doc, json_string(encoded), "binaryData", key);
}

static int add_values(struct cli *c, bool secret, struct json **doc) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    for (char *const *v = args_all(&c->args, "from-literal"); *v; v++) {
        size_t n = strcspn(*v, "=");
        _cleanup_free_ char *key = xstrndup(*v, n);
        if (!(*v)[n] || n == 0)
            return cli_usage(c, "invalid --from-literal \"%s\": KEY=VALUE is wanted", *v);
        put_value(doc, secret, key, *v + n + 1, strlen(*v + n + 1));
    }
    for (char *const *v = args_all(&c->args, "from-file"); *v; v++) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
        const char *equals = strchr(*v, '='), *path = equals ? equals + 1 : *v, *slash = strrchr(path, '/');
        _cleanup_free_ char *key = equals ? xstrndup(*v, (size_t) (equals - *v)) : xstrdup(slash ? slash + 1 : path);
        int r = file_read(path, VALUE_BYTES_MAX, &text, &err);
        if (r < 0)
            return cli_fail("%s", error_text(&err, r));
        put_value(doc, secret, key, strbuf_str(&text), text.len);
    }
    return 0;
}

static int by_hand(struct creating *a, char *const *words) {
    struct cli *c = a->c;
    const struct resource *r = kind_by_typed(words[0]);
    if (!r)
        return 1;
    bool secret = strcmp(r->kind, "Secret") == 0, config = strcmp(r->kind, "ConfigMap") == 0;
    if (secret && words[1] && strcmp(words[1], "generic") == 0)
        words++;
    if (!secret && !config && strcmp(r->kind, "Namespace") != 0 && strcmp(r->kind, "ServiceAccount") != 0)
        return cli_usage(c, "%s are created from a file: podium create -f FILE", r->plural);
    if (!words[1] || words[2])
        return cli_usage(c, "exactly one NAME is required");
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    _cleanup_json_ struct json *doc = json_object();
    json_set(&doc, "apiVersion", json_string(r->api_version));
    json_set(&doc, "kind", json_string(r->kind));
    json_set_path(&doc, json_string(words[1]), "metadata", "name");
    if (secret)
        json_set(&doc, "type", json_string("Opaque"));
    int failed = secret || config ? add_values(c, secret, &doc) : 0;
    if (failed)
        return failed;
    targets_add(&t, r, c->ns, words[1], doc, NULL);
    return create_one(a, &t.items[0]);
}

static int create(struct creating *a) {
    struct cli *c = a->c;
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int failed = 0, r = output_parse(args_str(&c->args, "output"), &a->format, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    if (!args_has(&c->args, "filename") && !*c->args.words)
        return cli_usage(c,
                         "must specify -f FILE, or a kind and a name (namespace, configmap, secret, serviceaccount)");
    r = cli_connect(c);
    if (r != 0)
        return r;
    if (!args_has(&c->args, "filename"))
        return by_hand(a, c->args.words);
    r = targets_from_files(c, args_bool(&c->args, "recursive", false), &t);
    if (r == 0)
        r = strict_check(c, &t);
    for (size_t i = 0; i < t.n && r == 0; i++)
        failed |= create_one(a, &t.items[i]);
    return r ? r : failed;
}

int cli_verb_create(struct cli *c) {
    struct creating a = {.c = c, .dry_run = args_str(&c->args, "dry-run")};
    if (a.dry_run && strcmp(a.dry_run, "none") == 0)
        a.dry_run = NULL;
    int r = create(&a);
    output_finish(&a.format);
    return r;
}
