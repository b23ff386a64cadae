/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Roles and bindings are read from store snapshots; a snapshot of the four resources is kept until one of them changes
 * (a watch on each sets `dirty`), so that a decision costs no list.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "orchestrator/apiserver/authz/authorize.h"
#include "podium/base/alloc.h"

enum { ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, N_RESOURCES };
static const char *const keys[N_RESOURCES] = {
    "roles.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
};

struct rbac_snapshot {
    atomic_int refs;
    struct store_list bindings, cluster_bindings;
};

struct rbac {
    struct store *store;
    pthread_mutex_t lock; /* guards snapshot and watches */
    struct rbac_snapshot *snapshot;
    struct store_watch *watches[N_RESOURCES];
    atomic_bool dirty;
};

static void snapshot_unref(struct rbac_snapshot *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    store_list_finish(&s->bindings);
    store_list_finish(&s->cluster_bindings);
    free(s);
}

static void changed(void *userdata) {
    struct rbac *r = userdata;
    atomic_store(&r->dirty, true);
}

/* Reads the watches empty (which arms their wake-up again); a watch that fell behind is opened anew. */
static void watches_drain(struct rbac *r) {
    for (int i = 0; i < N_RESOURCES; i++) {
        struct store_event e;
        int n = r->watches[i] ? 1 : -ESTALE;
        while (n > 0)
            n = store_watch_next(r->watches[i], &e);
        if (n == 0)
            continue;
        if (r->watches[i])
            store_watch_close(steal(&r->watches[i]));
        if (store_watch_open(r->store, keys[i], NULL, store_revision(r->store), changed, r, &r->watches[i]) < 0 ||
            store_watch_next(r->watches[i], &e) != 0)
            atomic_store(&r->dirty, true);
    }
}

static struct rbac_snapshot *snapshot_get(struct rbac *r) {
    (void) pthread_mutex_lock(&r->lock);
    if (atomic_exchange(&r->dirty, false) || !r->snapshot) {
        watches_drain(r);
        struct rbac_snapshot *s = xnew0(struct rbac_snapshot);
        atomic_init(&s->refs, 1);
        if (store_list(r->store, keys[ROLE_BINDINGS], NULL, NULL, NULL, 0, 0, &s->bindings) < 0)
            s->bindings = (struct store_list){0};
        if (store_list(r->store, keys[CLUSTER_ROLE_BINDINGS], NULL, NULL, NULL, 0, 0, &s->cluster_bindings) < 0)
            s->cluster_bindings = (struct store_list){0};
        snapshot_unref(r->snapshot);
        r->snapshot = s;
    }
    struct rbac_snapshot *s = r->snapshot;
    atomic_fetch_add(&s->refs, 1);
    (void) pthread_mutex_unlock(&r->lock);
    return s;
}

static bool list_has(const struct json *list, const char *value) {
    for (size_t i = 0; i < json_len(list); i++) {
        const char *s = json_str_or(json_at(list, i), "");
        if (strcmp(s, "*") == 0 || strcmp(s, value) == 0)
            return true;
    }
    return false;
}

/* "pods", "pods/log", "*", "*" "/log" (any resource's log). */
static bool resource_listed(const struct json *list, const char *plural, const char *subname) {
    _cleanup_free_ char *full = *subname ? xasprintf("%s/%s", plural, subname) : xstrdup(plural);
    for (size_t i = 0; i < json_len(list); i++) {
        const char *s = json_str_or(json_at(list, i), "");
        if (strcmp(s, "*") == 0 || strcmp(s, full) == 0)
            return true;
        if (*subname && strncmp(s, "*/", 2) == 0 && strcmp(s + 2, subname) == 0)
            return true;
    }
    return false;
}

static bool path_listed(const struct json *list, const char *path) {
    for (size_t i = 0; i < json_len(list); i++) {
        const char *s = json_str_or(json_at(list, i), "");
        size_t n = strlen(s);
        if (strcmp(s, path) == 0 || (n > 0 && s[n - 1] == '*' && strncmp(s, path, n - 1) == 0))
            return true;
    }
    return false;
}

static bool rule_allows(const struct json *rule, const struct authz_question *q) {
    if (!list_has(json_get(rule, "verbs"), q->verb))
        return false;
    if (q->path)
        return path_listed(json_get(rule, "nonResourceURLs"), q->path);
    if (!list_has(json_get(rule, "apiGroups"), q->group) ||
        !resource_listed(json_get(rule, "resources"), q->plural, q->subname))
        return false;
    const struct json *names = json_get(rule, "resourceNames");
    if (json_len(names) == 0)
        return true;
    for (size_t i = 0; i < json_len(names); i++)
        if (strcmp(json_str_or(json_at(names, i), ""), q->name) == 0)
            return true;
    return false;
}

static bool subject_is(const struct json *subject, const char *binding_ns, const struct api_user *u) {
    const char *kind = json_str_or(json_get(subject, "kind"), ""), *name = json_str_or(json_get(subject, "name"), "");
    if (strcmp(kind, "User") == 0)
        return strcmp(name, u->name) == 0;
    if (strcmp(kind, "Group") == 0)
        return user_in_group(u, name);
    if (strcmp(kind, "ServiceAccount") == 0) {
        const char *ns = json_str_or(json_get(subject, "namespace"), binding_ns);
        _cleanup_free_ char *full = xasprintf("system:serviceaccount:%s:%s", ns, name);
        return strcmp(full, u->name) == 0;
    }
    return false;
}

static bool role_allows(struct rbac *r, const struct json *ref, const char *ns, const struct authz_question *q) {
    bool cluster = strcmp(json_str_or(json_get(ref, "kind"), ""), "ClusterRole") == 0;
    _cleanup_(store_item_unrefp) struct store_item *role = store_get(
        r->store, keys[cluster ? CLUSTER_ROLES : ROLES], cluster ? "" : ns, json_str_or(json_get(ref, "name"), ""));
    if (!role)
        return false;
    const struct json *rules = json_get(store_item_doc(role), "rules");
    for (size_t i = 0; i < json_len(rules); i++)
        if (rule_allows(json_at(rules, i), q))
            return true;
    return false;
}

static bool binding_allows(struct rbac *r, struct store_item *item, const char *ns, const struct authz_question *q) {
    const struct json *doc = store_item_doc(item), *subjects = json_get(doc, "subjects");
    for (size_t i = 0; i < json_len(subjects); i++)
        if (subject_is(json_at(subjects, i), ns, q->user))
            return role_allows(r, json_get(doc, "roleRef"), ns, q);
    return false;
}

static bool in_set(const char *const *set, const char *s) {
    for (; *set; set++)
        if (strcmp(*set, s) == 0)
            return true;
    return false;
}

/* What every node needs whatever the stored roles say; the link checks on top of it that a node touches its own only.
 */
static bool node_allows(const struct authz_question *q) {
    static const char *const read_verbs[] = {"get", "list", "watch", NULL};
    static const char *const readable[] = {"pods",      "nodes",      "services",       "configmaps", "secrets",
                                           "endpoints", "namespaces", "endpointslices", "leases",     NULL};
    static const char *const written[] = {"pods/status", "nodes/status",  "nodes", "events",
                                          "leases",      "pods/eviction", NULL};
    if (q->path || !user_in_group(q->user, "system:nodes") || strncmp(q->user->name, "system:node:", 12) != 0)
        return false;
    _cleanup_free_ char *full = *q->subname ? xasprintf("%s/%s", q->plural, q->subname) : xstrdup(q->plural);
    if (in_set(read_verbs, q->verb))
        return in_set(readable, q->plural);
    if (strcmp(q->verb, "deletecollection") == 0)
        return false;
    if (strcmp(full, "pods") == 0)
        return strcmp(q->verb, "delete") == 0;
    return in_set(written, full);
}

/* Bootstrap rules that hold even when somebody deleted the roles: discovery, and questions about oneself. */
static bool basic_allows(const struct authz_question *q) {
    static const char *const paths[] = {"/",        "/api",   "/apis",   "/openapi", "/version",
                                        "/healthz", "/livez", "/readyz", NULL};
    static const char *const self[] = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews",
                                       NULL};
    if (!user_in_group(q->user, "system:authenticated"))
        return false;
    if (!q->path)
        return strcmp(q->verb, "create") == 0 && in_set(self, q->plural);
    if (strcmp(q->verb, "get") != 0 && strcmp(q->verb, "head") != 0)
        return false;
    for (const char *const *p = paths; *p; p++) {
        size_t n = strlen(*p);
        if (strcmp(*p, q->path) == 0 || (n > 1 && strncmp(*p, q->path, n) == 0 && q->path[n] == '/'))
            return true;
    }
    return false;
}

bool rbac_allows(struct rbac *r, const struct authz_question *q) {
    if (user_in_group(q->user, "system:masters") || basic_allows(q) || node_allows(q))
        return true;
    struct rbac_snapshot *s = snapshot_get(r);
    bool ok = false;
    for (size_t i = 0; i < s->cluster_bindings.n && !ok; i++)
        ok = binding_allows(r, s->cluster_bindings.items[i], "", q);
    for (size_t i = 0; i < s->bindings.n && !ok && !q->path && *q->ns; i++)
        if (strcmp(store_item_namespace(s->bindings.items[i]), q->ns) == 0)
            ok = binding_allows(r, s->bindings.items[i], q->ns, q);
    snapshot_unref(s);
    return ok;
}

struct rbac *rbac_new(struct store *store) {
    struct rbac *r = xnew0(struct rbac);
    r->store = store;
    (void) pthread_mutex_init(&r->lock, NULL);
    atomic_init(&r->dirty, true);
    return r;
}

void rbac_free(struct rbac *r) {
    if (!r)
        return;
    for (int i = 0; i < N_RESOURCES; i++)
        if (r->watches[i])
            store_watch_close(r->watches[i]);
    snapshot_unref(r->snapshot);
    (void) pthread_mutex_destroy(&r->lock);
    free(r);
}
