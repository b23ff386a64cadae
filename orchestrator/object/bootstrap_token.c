/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/bootstrap_token.h"

#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define EXTRA_GROUP_MAX 256 /* behind "system:bootstrappers:" */

static size_t span(const char *s) {
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool bootstrap_token_has_form(const char *token) {
    return span(token) == BOOTSTRAP_ID_BYTES && token[BOOTSTRAP_ID_BYTES] == '.' &&
           span(token + BOOTSTRAP_ID_BYTES + 1) == BOOTSTRAP_TOKEN_BYTES - BOOTSTRAP_ID_BYTES - 1 &&
           !token[BOOTSTRAP_TOKEN_BYTES];
}

/* A member of data as text, NULL when absent. The caller frees. */
static char *value(const struct json *secret, const char *key) {
    const char *text = json_str(json_path(secret, "data", key));
    uint8_t *bytes = NULL;
    size_t n;

    if (!text || base64_decode(text, strlen(text), &bytes, &n) < 0)
        return NULL;
    return (char *) bytes;
}

static bool is_true(const struct json *secret, const char *key) {
    _cleanup_free_ char *text = value(secret, key);

    return text && strcmp(text, "true") == 0;
}

/* system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9] */
static bool is_group(const char *name) {
    static const char prefix[] = BOOTSTRAP_GROUP ":";
    size_t n = strlen(name), head = sizeof(prefix) - 1;

    if (strncmp(name, prefix, head) != 0 || n == head || n - head > EXTRA_GROUP_MAX)
        return false;
    return strspn(name + head, "abcdefghijklmnopqrstuvwxyz0123456789:-") == n - head && !strchr(":-", name[n - 1]);
}

static bool read_groups(const struct json *secret, struct bootstrap_token *out) {
    _cleanup_free_ char *text = value(secret, "auth-extra-groups");
    char *rest = text;

    out->groups = strv_new();
    strv_push_dup(&out->groups, BOOTSTRAP_GROUP);
    if (!text || !*text)
        return true;
    for (char *name; (name = strsep(&rest, ","));) {
        if (!is_group(name))
            return false;
        strv_push_dup(&out->groups, name);
    }
    return true;
}

static uint64_t read_expiration(const struct json *secret) {
    _cleanup_free_ char *text = value(secret, "expiration");
    uint64_t usec;

    if (!text || !*text)
        return 0;
    return timestamp_parse(text, &usec) < 0 || usec == 0 ? 1 : usec;
}

bool bootstrap_token_read(const struct json *secret, struct bootstrap_token *ret) {
    _cleanup_(bootstrap_token_finish) struct bootstrap_token out = {0};
    const char *name = json_str_or(json_path(secret, "metadata", "name"), "");

    if (strcmp(json_str_or(json_get(secret, "type"), ""), BOOTSTRAP_TOKEN_TYPE) != 0 ||
        json_str(json_path(secret, "metadata", "deletionTimestamp")))
        return false;
    out.id = value(secret, "token-id");
    out.secret = value(secret, "token-secret");
    if (!out.id || !out.secret || !*out.secret || strlen(out.id) != BOOTSTRAP_ID_BYTES ||
        strncmp(name, BOOTSTRAP_TOKEN_PREFIX, strlen(BOOTSTRAP_TOKEN_PREFIX)) != 0 ||
        strcmp(name + strlen(BOOTSTRAP_TOKEN_PREFIX), out.id) != 0 || !read_groups(secret, &out))
        return false;
    out.authentication = is_true(secret, "usage-bootstrap-authentication");
    out.signing = is_true(secret, "usage-bootstrap-signing");
    out.expires = read_expiration(secret);
    *ret = out;
    out = (struct bootstrap_token){0};
    return true;
}

void bootstrap_token_finish(struct bootstrap_token *t) {
    if (t->secret)
        explicit_bzero(t->secret, strlen(t->secret));
    free(t->id);
    free(t->secret);
    strv_free(t->groups);
    *t = (struct bootstrap_token){0};
}

bool bootstrap_token_is_over(const struct bootstrap_token *t, uint64_t now) {
    return t->expires && t->expires <= now;
}

bool bootstrap_token_in_group(const struct bootstrap_token *t, const char *group) {
    for (char **g = t->groups; *g; g++)
        if (strcmp(*g, group) == 0)
            return true;
    return false;
}
