/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/rbac.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

enum { ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, N_RESOURCES };
static const char *const keys[N_RESOURCES] = {
    "roles.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
};

/* One for each role that is stored or that a binding names. */
struct role {
    struct access_rules *rules; /* NULL: there is no such role */
    size_t n_bindings;
};

struct binding {
    char *ns, *name;   /* ns "": everywhere */
    struct role *role; /* of `roles` */
    char *role_key, *role_kind, *role_name;
    struct json *subjects;
};

/* What one user or group is bound by. */
struct grants {
    struct binding **items; /* of `bindings` */
    size_t n, cap;
};

struct rbac {
    struct store *store;
    pthread_rwlock_t lock;    /* guards everything down to `generation` */
    struct hashmap *roles;    /* "ns/name", "/name" of cluster roles: struct role */
    struct hashmap *bindings; /* the same for bindings: struct binding */
    struct hashmap *users;    /* name: struct grants */
    struct hashmap *groups;   /* name: struct grants */
    struct store_watch *watches[N_RESOURCES];
    atomic_uint_fast64_t generation;
    atomic_bool dirty;
};

/* --- pieces --- */

static void role_free(void *p) {
    struct role *role = p;
    access_rules_free(role->rules);
    free(role);
}

static void binding_free(void *p) {
    struct binding *b = p;
    free(b->ns);
    free(b->name);
    free(b->role_key);
    free(b->role_kind);
    free(b->role_name);
    json_unref(b->subjects);
    free(b);
}

static void grants_free(void *p) {
    struct grants *g = p;
    free(g->items);
    free(g);
}

static char *object_key(const char *ns, const char *name) {
    return xasprintf("%s/%s", ns, name);
}

static struct role *role_slot(struct rbac *r, const char *key) {
    struct role *role = hashmap_get(r->roles, key);
    if (!role)
        hashmap_put(r->roles, key, role = xnew0(struct role));
    return role;
}

/* A slot stays while there is a role or somebody bound to it. */
static void role_slot_drop(struct rbac *r, const char *key) {
    const struct role *role = hashmap_get(r->roles, key);
    if (role && !role->rules && role->n_bindings == 0)
        (void) hashmap_remove(r->roles, key);
}

/* --- subjects --- */

/* The table and name under which a subject is found; the name is new. */
static struct hashmap *subject_table(struct rbac *r, const struct json *subject, const char *ns, char **ret_name) {
    const char *kind = json_get_str(subject, "kind"), *name = json_get_str(subject, "name");
    if (strcmp(kind, "ServiceAccount") == 0) {
        const char *of = json_get_str(subject, "namespace");
        *ret_name = xasprintf("system:serviceaccount:%s:%s", *of ? of : ns, name);
        return r->users;
    }
    *ret_name = xstrdup(name);
    return strcmp(kind, "User") == 0 ? r->users : strcmp(kind, "Group") == 0 ? r->groups : NULL;
}

static void grant(struct rbac *r, struct binding *b, const struct json *subject) {
    _cleanup_free_ char *name = NULL;
    struct hashmap *table = subject_table(r, subject, b->ns, &name);
    if (!table)
        return;
    struct grants *g = hashmap_get(table, name);
    if (!g)
        hashmap_put(table, name, g = xnew0(struct grants));
    xgrow(&g->items, g->n, &g->cap);
    g->items[g->n++] = b;
}

static void withdraw(struct rbac *r, const struct binding *b, const struct json *subject) {
    _cleanup_free_ char *name = NULL;
    struct hashmap *table = subject_table(r, subject, b->ns, &name);
    struct grants *g = table ? hashmap_get(table, name) : NULL;
    for (size_t i = 0; g && i < g->n; i++)
        if (g->items[i] == b) {
            g->items[i] = g->items[--g->n];
            break;
        }
    if (g && g->n == 0)
        (void) hashmap_remove(table, name);
}

/* --- following the store; all with the lock held for writing --- */

static void set_role(struct rbac *r, const char *key, const struct json *doc) {
    struct role *role = role_slot(r, key);
    access_rules_free(role->rules);
    role->rules = doc ? access_rules_new(json_get(doc, "rules")) : NULL;
    role_slot_drop(r, key);
}

static void remove_binding(struct rbac *r, const char *key) {
    struct binding *b = hashmap_get(r->bindings, key);
    if (!b)
        return;
    for (size_t i = 0; i < json_len(b->subjects); i++)
        withdraw(r, b, json_at(b->subjects, i));
    b->role->n_bindings--;
    role_slot_drop(r, b->role_key);
    (void) hashmap_remove(r->bindings, key);
}

static void set_binding(struct rbac *r, const char *key, const char *ns, const struct json *doc) {
    remove_binding(r, key);
    if (!doc)
        return;
    const struct json *ref = json_get(doc, "roleRef");
    struct binding *b = xnew0(struct binding);
    b->ns = xstrdup(ns);
    b->name = xstrdup(json_str_or(json_path(doc, "metadata", "name"), ""));
    b->role_kind = xstrdup(json_get_str(ref, "kind"));
    b->role_name = xstrdup(json_get_str(ref, "name"));
    b->role_key = object_key(strcmp(b->role_kind, "ClusterRole") == 0 ? "" : ns, b->role_name);
    b->role = role_slot(r, b->role_key);
    b->role->n_bindings++;
    b->subjects = json_ref(json_get(doc, "subjects"));
    for (size_t i = 0; i < json_len(b->subjects); i++)
        grant(r, b, json_at(b->subjects, i));
    hashmap_put(r->bindings, key, b);
}

static void set_item(struct rbac *r, int resource, struct store_item *item, bool gone) {
    const char *ns = store_item_namespace(item);
    _cleanup_free_ char *key = object_key(ns, store_item_name(item));
    const struct json *doc = gone ? NULL : store_item_doc(item);
    if (resource == ROLES || resource == CLUSTER_ROLES)
        set_role(r, key, doc);
    else
        set_binding(r, key, ns, doc);
}

static void woken(void *userdata) {
    rbac_touch(userdata);
}

/* Everything anew: at first, and when a watch fell behind. */
static void load(struct rbac *r) {
    hashmap_clear(r->users);
    hashmap_clear(r->groups);
    hashmap_clear(r->bindings);
    hashmap_clear(r->roles);
    for (int i = 0; i < N_RESOURCES; i++) {
        struct store_list list = {0};
        if (r->watches[i])
            store_watch_close(steal(&r->watches[i]));
        if (store_watch_open(r->store, keys[i], NULL, store_revision(r->store), woken, r, &r->watches[i]) < 0 ||
            store_list(r->store, keys[i], NULL, NULL, NULL, 0, 0, &list) < 0) {
            rbac_touch(r); /* once more with the next question */
            continue;
        }
        for (size_t k = 0; k < list.n; k++)
            set_item(r, i, list.items[k], false);
        store_list_finish(&list);
    }
}

/* Reads the watches empty, which arms their wake-up again. False: one of them fell behind. */
static bool drain(struct rbac *r) {
    for (int i = 0; i < N_RESOURCES; i++) {
        struct store_event e;
        int n = r->watches[i] ? 1 : -ESTALE;
        while (n > 0 && (n = store_watch_next(r->watches[i], &e)) > 0)
            set_item(r, i, e.item, e.type == STORE_EVENT_DELETED);
        if (n < 0)
            return false;
    }
    return true;
}

static void refresh(struct rbac *r) {
    if (!atomic_load(&r->dirty))
        return;
    (void) pthread_rwlock_wrlock(&r->lock);
    if (atomic_exchange(&r->dirty, false)) {
        if (!drain(r)) {
            load(r);
            (void) drain(r); /* what came meanwhile; arms */
        }
        atomic_fetch_add(&r->generation, 1);
    }
    (void) pthread_rwlock_unlock(&r->lock);
}

static void read_begin(struct rbac *r) {
    refresh(r);
    (void) pthread_rwlock_rdlock(&r->lock);
}

static void read_end(struct rbac *r) {
    (void) pthread_rwlock_unlock(&r->lock);
}

void rbac_touch(struct rbac *r) {
    atomic_store(&r->dirty, true);
}

uint64_t rbac_generation(struct rbac *r) {
    refresh(r);
    return atomic_load(&r->generation);
}

/* --- answering; all with the lock held for reading --- */

/* Visits what a user is bound by, until visit returns true. */
typedef bool (*visit_fn)(void *userdata, const struct binding *b, bool group, const char *subject);

static bool visit_grants(const struct hashmap *table, const char *name, const char *ns, bool group, visit_fn visit,
                         void *userdata) {
    const struct grants *g = hashmap_get(table, name);
    for (size_t i = 0; g && i < g->n; i++) {
        const struct binding *b = g->items[i];
        if ((!*b->ns || (*ns && strcmp(b->ns, ns) == 0)) && visit(userdata, b, group, name))
            return true;
    }
    return false;
}

static bool visit_user(const struct rbac *r, const struct api_user *u, const char *ns, visit_fn visit, void *userdata) {
    if (visit_grants(r->users, u->name, ns, false, visit, userdata))
        return true;
    for (char **g = u->groups; g && *g; g++)
        if (visit_grants(r->groups, *g, ns, true, visit, userdata))
            return true;
    return false;
}

struct decision {
    struct access_attempt attempt;
    bool explain;
    char *reason;
    struct json *lacking; /* texts about roles that are not there */
};

static char *describe_subject(bool group, const char *name) {
    static const char account[] = "system:serviceaccount:";
    const char *ns = name + sizeof(account) - 1, *colon;
    if (!group && strncmp(name, account, sizeof(account) - 1) == 0 && (colon = strchr(ns, ':')))
        return xasprintf("ServiceAccount \"%s/%.*s\"", colon + 1, (int) (colon - ns), ns);
    return xasprintf("%s \"%s\"", group ? "Group" : "User", name);
}

static void explain(struct decision *d, const struct binding *b, bool group, const char *subject) {
    _cleanup_free_ char *who = describe_subject(group, subject);
    d->reason =
        xasprintf("RBAC: allowed by %s \"%s%s%s\" of %s \"%s\" to %s", *b->ns ? "RoleBinding" : "ClusterRoleBinding",
                  b->name, *b->ns ? "/" : "", b->ns, b->role_kind, b->role_name, who);
}

static bool decide(void *userdata, const struct binding *b, bool group, const char *subject) {
    struct decision *d = userdata;
    const struct access_rules *rules = b->role->rules;
    if (!rules && d->explain) {
        _cleanup_free_ char *text =
            xasprintf("%s.rbac.authorization.k8s.io \"%s\" not found",
                      strcmp(b->role_kind, "ClusterRole") == 0 ? "clusterrole" : "role", b->role_name);
        json_append(&d->lacking, json_string(text));
    }
    for (size_t i = 0; rules && i < rules->n; i++)
        if (access_rule_allows(&rules->rules[i], &d->attempt)) {
            if (d->explain)
                explain(d, b, group, subject);
            return true;
        }
    return false;
}

/* Go's text of several errors, each once. */
static char *lacking_text(const struct json *lacking) {
    struct strbuf b = STRBUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < json_len(lacking); i++) {
        bool said = false;
        for (size_t k = 0; k < i && !said; k++)
            said = json_equal(json_at(lacking, i), json_at(lacking, k));
        if (!said)
            strbuf_addf(&b, "%s%s", n++ > 0 ? ", " : "", json_str(json_at(lacking, i)));
    }
    char *all = strbuf_steal(&b);
    char *text = n == 0 ? xstrdup("") : n == 1 ? xasprintf("RBAC: %s", all) : xasprintf("RBAC: [%s]", all);
    free(all);
    return text;
}

bool rbac_decide(struct rbac *r, const struct authz_question *q, char **reason) {
    struct decision d = {.attempt = {.verb = q->verb,
                                     .verb_bit = access_verb_bit(q->verb),
                                     .group = q->group,
                                     .plural = q->plural,
                                     .subname = q->subname,
                                     .name = q->name,
                                     .path = q->path},
                         .explain = reason != NULL};
    read_begin(r);
    bool ok = visit_user(r, q->user, q->path ? "" : q->ns, decide, &d);
    read_end(r);
    if (reason)
        *reason = ok ? steal(&d.reason) : lacking_text(d.lacking);
    json_unref(d.lacking);
    return ok;
}

static bool collect_documents(void *userdata, const struct binding *b, bool group, const char *subject) {
    struct json **rules = userdata;
    for (size_t i = 0; b->role->rules && i < b->role->rules->n; i++)
        json_append(rules, json_ref(b->role->rules->rules[i].doc));
    return false;
}

struct json *rbac_rules_of(struct rbac *r, const struct api_user *u, const char *ns) {
    struct json *rules = json_array();
    read_begin(r);
    (void) visit_user(r, u, ns, collect_documents, &rules);
    read_end(r);
    return rules;
}

struct owned {
    const struct access_rule **rules;
    size_t n, cap;
};

static bool collect_rules(void *userdata, const struct binding *b, bool group, const char *subject) {
    struct owned *o = userdata;
    for (size_t i = 0; b->role->rules && i < b->role->rules->n; i++) {
        xgrow(&o->rules, o->n, &o->cap);
        o->rules[o->n++] = &b->role->rules->rules[i];
    }
    return false;
}

struct json *rbac_missing(struct rbac *r, const struct api_user *u, const char *ns, const struct json *rules) {
    _cleanup_(access_rules_freep) struct access_rules *wanted = access_rules_new(rules);
    struct owned o = {0};
    read_begin(r);
    (void) visit_user(r, u, ns, collect_rules, &o);
    struct json *missing = access_rules_missing(o.rules, o.n, wanted);
    read_end(r);
    free(o.rules);
    return missing;
}

/* --- lifetime --- */

struct rbac *rbac_new(struct store *store) {
    struct rbac *r = xnew0(struct rbac);
    r->store = store;
    r->roles = hashmap_new(role_free);
    r->bindings = hashmap_new(binding_free);
    r->users = hashmap_new(grants_free);
    r->groups = hashmap_new(grants_free);
    (void) pthread_rwlock_init(&r->lock, NULL);
    atomic_init(&r->generation, 1);
    atomic_init(&r->dirty, true);
    return r;
}

void rbac_free(struct rbac *r) {
    if (!r)
        return;
    for (int i = 0; i < N_RESOURCES; i++)
        if (r->watches[i])
            store_watch_close(r->watches[i]);
    hashmap_free(r->users);
    hashmap_free(r->groups);
    hashmap_free(r->bindings);
    hashmap_free(r->roles);
    (void) pthread_rwlock_destroy(&r->lock);
    free(r);
}
