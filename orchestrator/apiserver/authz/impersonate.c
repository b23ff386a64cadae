/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/impersonate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

#define PREFIX         "Impersonate-"
#define ACCOUNT_PREFIX "system:serviceaccount:"
#define AUTHENTICATION "authentication.k8s.io"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char) tolower((unsigned char) c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The key of an extra: in lower case, with %XX for what a header's name cannot hold. */
static char *extra_key(const char *s) {
    struct strbuf b = STRBUF_INIT;
    for (; *s; s++) {
        int high = *s == '%' ? hex_digit(s[1]) : -1, low = high >= 0 ? hex_digit(s[2]) : -1;
        if (low >= 0 && (high | low) != 0) {
            strbuf_addc(&b, (char) tolower(high << 4 | low));
            s += 2;
        } else {
            strbuf_addc(&b, (char) tolower((unsigned char) *s));
        }
    }
    return strbuf_steal(&b);
}

void impersonate_header(struct api_request *req, const char *key, const char *value) {
    if (strncasecmp(key, PREFIX, strlen(PREFIX)) != 0)
        return;
    if (!req->as) {
        req->as = xnew0(struct api_user);
        req->as->groups = strv_new();
    }
    key += strlen(PREFIX);
    if (!value)
        value = "";
    if (strcasecmp(key, "User") == 0) {
        free(req->as->name);
        req->as->name = xstrdup(value);
    } else if (strcasecmp(key, "Uid") == 0) {
        free(req->as->uid);
        req->as->uid = xstrdup(value);
    } else if (strcasecmp(key, "Group") == 0) {
        strv_push_dup(&req->as->groups, value);
    } else if (strncasecmp(key, "Extra-", 6) == 0) {
        _cleanup_free_ char *name = extra_key(key + 6);
        if (!req->as->extra)
            req->as->extra = json_object();
        json_append(json_edit(&req->as->extra, name), json_string(value));
    }
}

/* May the caller be this? `sub` is the key of an extra, "" for all else. */
static bool may(struct api_request *req, const char *group, const char *plural, const char *sub, const char *ns,
                const char *name) {
    struct authz_question q = {.user = req->user,
                               .verb = "impersonate",
                               .group = group,
                               .plural = plural,
                               .subname = sub,
                               .ns = ns,
                               .name = name};
    if (authz_allows(req->api, &q, NULL))
        return true;
    _cleanup_free_ char *where = *ns ? xasprintf("in the namespace \"%s\"", ns) : xstrdup("at the cluster scope"),
                        *full = *sub ? xasprintf("%s/%s", plural, sub) : xstrdup(plural),
                        *of = *group ? xasprintf("%s.%s", plural, group) : xstrdup(plural);
    (void) api_fail(req, 403, "Forbidden",
                    "%s \"%s\" is forbidden: User \"%s\" cannot impersonate resource \"%s\" in API group \"%s\" %s", of,
                    name, req->user->name, full, group, where);
    return false;
}

static bool may_extras(struct api_request *req) {
    for (size_t i = 0; i < json_len(req->as->extra); i++) {
        const char *key = json_key_at(req->as->extra, i);
        const struct json *values = json_get(req->as->extra, key);
        for (size_t j = 0; j < json_len(values); j++)
            if (!may(req, AUTHENTICATION, "userextras", key, "", json_str(json_at(values, j))))
                return false;
    }
    return true;
}

/* Namespace and name of a service account's user name; NULL for other users. */
static char *account_namespace(const char *user, const char **ret_name) {
    if (strncmp(user, ACCOUNT_PREFIX, strlen(ACCOUNT_PREFIX)) != 0)
        return NULL;
    const char *ns = user + strlen(ACCOUNT_PREFIX), *colon = strchr(ns, ':');
    if (!colon || colon == ns || !colon[1] || strchr(colon + 1, ':'))
        return NULL;
    *ret_name = colon + 1;
    return xstrndup(ns, (size_t) (colon - ns));
}

static bool may_all(struct api_request *req, const char *ns, const char *account) {
    const struct api_user *as = req->as;
    if (ns ? !may(req, "", "serviceaccounts", "", ns, account) : !may(req, "", "users", "", "", as->name))
        return false;
    for (char **g = as->groups; *g; g++)
        if (!may(req, "", "groups", "", "", *g))
            return false;
    if (as->uid && !may(req, AUTHENTICATION, "uids", "", "", as->uid))
        return false;
    return may_extras(req);
}

/* The groups everybody of a kind is in. */
static void add_groups(struct api_user *as, const char *ns) {
    if (ns && !*as->groups) {
        strv_push_dup(&as->groups, "system:serviceaccounts");
        strv_push(&as->groups, xasprintf("system:serviceaccounts:%s", ns));
    }
    if (user_in_group(as, "system:authenticated") || user_in_group(as, "system:unauthenticated"))
        return;
    strv_push_dup(&as->groups,
                  strcmp(as->name, "system:anonymous") == 0 ? "system:unauthenticated" : "system:authenticated");
}

bool impersonate(struct api_request *req) {
    struct api_user *as = req->as;
    const char *account = NULL;
    if (!as)
        return true;
    if (!req->user) {
        (void) api_fail(req, 401, "Unauthorized", "Unauthorized");
        return false;
    }
    if (!as->name || !*as->name) {
        (void) api_fail(req, 500, "InternalError",
                        "Internal Error: groups, a uid or extras without impersonating a user");
        return false;
    }
    _cleanup_free_ char *ns = account_namespace(as->name, &account);
    if (!may_all(req, ns, account))
        return false;
    add_groups(as, ns);
    api_request_set_user(req, steal(&req->as));
    return true;
}
