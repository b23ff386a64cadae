/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium token create, list, delete: bootstrap tokens, by which nodes join. */
#include <stdio.h>
#include <string.h>

#include "orchestrator/cli/ca_hash.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/object/bootstrap_token.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/random.h"

#define TOKEN_FILE      "/etc/podium/token"
#define CA_FILE         "/var/lib/podium/server/pki/ca.crt"
#define LINK_PORT       "6444"
#define TOKEN_BYTES_MAX 4096
#define PEM_BYTES_MAX   (1024u * 1024u)
#define TTL_DEFAULT     (24 * 3600 * (int64_t) USEC_PER_SEC) /* kubeadm's */

const struct flag flags_token[] = {
    {"ttl", 0, FLAG_VALUE, NULL, "DURATION", "how long it lets nodes join (24h; 0: for ever)"},
    {"description", 0, FLAG_VALUE, NULL, "TEXT", "what it is for"},
    {"token-file", 0, FLAG_VALUE, NULL, "FILE", "make none, show that of the server's --token-file"},
    {"ca-file", 0, FLAG_VALUE, NULL, "FILE", "the server's authority (that of the kubeconfig, or " CA_FILE ")"},
    {"link", 0, FLAG_VALUE, NULL, "HOST:PORT", "where agents dial (the API's host, port " LINK_PORT ")"},
    FLAG_END,
};

static const struct resource *secrets(void) {
    return resource_by_plural("", "v1", "secrets");
}

/* What the server says its address is (--advertise-address): that of the service "kubernetes". NULL: it does not say.
 * The caller frees. */
static char *advertised_host(struct cli *c) {
    _cleanup_json_ struct json *endpoints = NULL;
    if (cli_get_json(c, "/api/v1/namespaces/default/endpoints/kubernetes", "application/json", true, &endpoints) < 0)
        return NULL;
    const struct json *subset = json_at(json_get(endpoints, "subsets"), 0);
    const char *ip = json_get_str(json_at(json_get(subset, "addresses"), 0), "ip");
    return *ip ? xasprintf(strchr(ip, ':') ? "[%s]" : "%s", ip) : NULL;
}

/* The address agents dial: the API's host with the link's port. On the server's own socket that is what it advertises:
 * the host's name may mean nothing to other hosts. The caller frees. */
static char *link_address(struct cli *c) {
    const char *asked = args_str(&c->args, "link"), *server = c->connection.kube.server;
    char host[256] = "HOST";
    if (asked)
        return xstrdup(asked);
    const char *p = server ? strstr(server, "://") : NULL;
    if (p) {
        size_t n = p[3] == '[' ? strcspn(p + 3, "]") + 1 : strcspn(p + 3, ":/");
        snprintf(host, sizeof(host), "%.*s", (int) n, p + 3);
    } else {
        _cleanup_free_ char *advertised = advertised_host(c);
        if (advertised)
            return xasprintf("%s:" LINK_PORT, advertised);
        (void) gethostname(host, sizeof(host) - 1);
    }
    return xasprintf("%s:" LINK_PORT, host);
}

static int read_ca(struct cli *c, struct strbuf *out, struct error *err) {
    const char *file = args_str(&c->args, "ca-file");
    if (!file && c->connection.kube.ca) {
        strbuf_adds(out, c->connection.kube.ca);
        return 0;
    }
    return file_read(file ? file : CA_FILE, PEM_BYTES_MAX, out, err);
}

/* --- create --- */

static void new_token(char out[BOOTSTRAP_TOKEN_BYTES + 1]) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < BOOTSTRAP_TOKEN_BYTES; i++) {
        uint8_t b;
        do
            random_bytes(&b, 1);
        while (b >= 252); /* 7 * 36: no letter likelier than another */
        out[i] = i == BOOTSTRAP_ID_BYTES ? '.' : alphabet[b % 36];
    }
    out[BOOTSTRAP_TOKEN_BYTES] = 0;
}

static void set_data(struct json **secret, const char *key, const char *text) {
    _cleanup_free_ char *encoded = base64_encode(text, strlen(text));
    json_set_path(secret, json_string(encoded), "data", key);
    explicit_bzero(encoded, strlen(encoded));
}

static struct json *token_secret(const char *token, int64_t ttl, const char *description) {
    struct json *o = json_object();
    char when[TIMESTAMP_SIZE];
    json_set(&o, "apiVersion", json_string("v1"));
    json_set(&o, "kind", json_string("Secret"));
    json_set_path(&o, json_stringf(BOOTSTRAP_TOKEN_PREFIX "%.*s", BOOTSTRAP_ID_BYTES, token), "metadata", "name");
    json_set_path(&o, json_string(BOOTSTRAP_TOKEN_NAMESPACE), "metadata", "namespace");
    json_set(&o, "type", json_string(BOOTSTRAP_TOKEN_TYPE));
    _cleanup_free_ char *id = xstrndup(token, BOOTSTRAP_ID_BYTES);
    set_data(&o, "token-id", id);
    set_data(&o, "token-secret", token + BOOTSTRAP_ID_BYTES + 1);
    set_data(&o, "usage-bootstrap-authentication", "true");
    set_data(&o, "usage-bootstrap-signing", "true");
    set_data(&o, "auth-extra-groups", BOOTSTRAP_JOIN_GROUP);
    if (description)
        set_data(&o, "description", description);
    if (ttl > 0) {
        timestamp_format(now_realtime_usec() + (uint64_t) ttl, when);
        set_data(&o, "expiration", when);
    }
    return o;
}

/* A token in *out: made in the cluster, or of the server's file. 0, or the exit code. */
static int get_token(struct cli *c, struct strbuf *out) {
    const char *file = args_str(&c->args, "token-file");
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t ttl = TTL_DEFAULT;
    int r = file ? file_read(file, TOKEN_BYTES_MAX, out, &err) : args_duration(&c->args, "ttl", &ttl, &err);
    if (r < 0)
        return cli_fail("%s", error_text(&err, r));
    if (file) {
        if (out->len)
            out->data[strcspn(out->data, "\r\n")] = 0;
        return 0;
    }
    if (ttl < 0)
        return cli_usage(c, "--ttl is a duration, or 0");
    char token[BOOTSTRAP_TOKEN_BYTES + 1];
    new_token(token);
    _cleanup_json_ struct json *secret = token_secret(token, ttl, args_str(&c->args, "description"));
    const struct client_request create = {
        .verb = CLIENT_CREATE, .resource = secrets(), .ns = BOOTSTRAP_TOKEN_NAMESPACE, .body = secret};
    strbuf_adds(out, token);
    explicit_bzero(token, sizeof(token));
    return cli_call(c, &create, NULL, NULL) < 0;
}

static int create_token(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf token = STRBUF_INIT, ca = STRBUF_INIT;
    char hash[CA_HASH_SIZE];
    int r = read_ca(c, &ca, &err); /* first: a token nobody was told of would only lie around */
    if (r == 0)
        r = ca_hash(strbuf_str(&ca), hash, &err);
    if (r < 0)
        return cli_fail("%s\nRun this on the server's host, or name the authority's certificate with --ca-file",
                        error_text(&err, r));
    int failed = get_token(c, &token);
    if (failed)
        return failed;
    _cleanup_free_ char *address = link_address(c);
    printf("# on the new node, as root:\n"
           "(umask 077; mkdir -p /etc/podium; echo '%s' >" TOKEN_FILE ")\n"
           "podium agent --server %s --token-file " TOKEN_FILE " --ca-hash %s\n",
           strbuf_str(&token), address, hash);
    explicit_bzero(token.data, token.len);
    return 0;
}

/* --- list and delete --- */

static char *data_text(const struct json *secret, const char *key) {
    const char *text = json_str_or(json_path(secret, "data", key), "");
    uint8_t *bytes = NULL;
    size_t n;
    return base64_decode(text, strlen(text), &bytes, &n) < 0 ? xstrdup("") : (char *) bytes;
}

static void print_token(const struct json *secret) {
    _cleanup_(bootstrap_token_finish) struct bootstrap_token t = {0};
    uint64_t now = now_realtime_usec();
    char left[TIMESTAMP_SIZE] = "<forever>", until[TIMESTAMP_SIZE] = "<never>";
    if (!bootstrap_token_read(secret, &t))
        return;
    if (t.expires) {
        duration_human(t.expires > now ? (int64_t) ((t.expires - now) / USEC_PER_SEC) : 0, left);
        timestamp_format(t.expires, until);
    }
    _cleanup_free_ char *description = data_text(secret, "description");
    printf("%-10s %-10s %-22s %-24s %s\n", t.id, left, until,
           t.authentication && t.signing ? "authentication,signing"
           : t.authentication            ? "authentication"
           : t.signing                   ? "signing"
                                         : "<none>",
           *description ? description : "<none>");
}

static int list_tokens(struct cli *c) {
    _cleanup_json_ struct json *list = NULL;
    const struct client_request r = {.verb = CLIENT_LIST,
                                     .resource = secrets(),
                                     .ns = BOOTSTRAP_TOKEN_NAMESPACE,
                                     .field_selector = "type=" BOOTSTRAP_TOKEN_TYPE};
    if (cli_call(c, &r, NULL, &list) < 0)
        return 1;
    const struct json *items = json_get(list, "items");
    if (json_len(items) == 0) {
        fputs("No tokens. Make one: podium token create\n", stderr);
        return 0;
    }
    printf("%-10s %-10s %-22s %-24s %s\n", "ID", "TTL", "EXPIRES", "USAGES", "DESCRIPTION");
    for (size_t i = 0; i < json_len(items); i++) {
        _cleanup_json_ struct json *secret = json_ref(json_at(items, i));
        json_set(&secret, "type", json_string(BOOTSTRAP_TOKEN_TYPE));
        print_token(secret);
    }
    return 0;
}

/* By the id, or the whole token. */
static int delete_tokens(struct cli *c, char *const *words) {
    if (!*words)
        return cli_usage(c, "which token? podium token list shows the ids");
    int failed = 0;
    for (; *words && !failed; words++) {
        _cleanup_free_ char *name = xasprintf(BOOTSTRAP_TOKEN_PREFIX "%.*s", (int) strcspn(*words, "."), *words);
        const struct client_request r = {
            .verb = CLIENT_DELETE, .resource = secrets(), .ns = BOOTSTRAP_TOKEN_NAMESPACE, .name = name};
        failed = cli_call(c, &r, NULL, NULL) < 0;
        if (!failed)
            printf("token \"%.*s\" deleted\n", (int) strcspn(*words, "."), *words);
    }
    return failed;
}

int cli_verb_token(struct cli *c) {
    char *const *words = c->args.words;
    const char *what = *words ? *words : "";
    bool create = strcmp(what, "create") == 0, list = strcmp(what, "list") == 0, delete = strcmp(what, "delete") == 0;
    if ((!create && !list && !delete) || (!delete &&words[1]))
        return cli_usage(c, "podium token create, list, or delete ID is wanted");
    int r = cli_connect(c);
    if (r)
        return r;
    return create ? create_token(c) : list ? list_tokens(c) : delete_tokens(c, words + 1);
}
