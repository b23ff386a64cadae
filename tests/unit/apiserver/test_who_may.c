/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may do what: one line for each question, asked as a real request; and that nobody unknown gets further than
 * health and version, whatever the path. */
#include "orchestrator/object/resources.h"
#include "tests/unit/apiserver/as.h"

/* --- who --- */
#define NOBODY     "system:anonymous", "system:unauthenticated"
#define SOMEBODY   "guest", ""
#define VIEWER     "viewer", "" /* view in "a" */
#define EDITOR     "editor", ""
#define ADMIN      "owner", ""
#define ROOT       "root", "system:masters"
#define CLUSTER    "chief", "" /* cluster-admin by a binding */
#define NODE       "system:node:n1", "system:nodes"
#define OTHER_NODE "system:node:n2", "system:nodes"
#define HALF_NODE  "system:node:n1", "" /* the name alone makes no node */
#define ACCOUNT    "system:serviceaccount:a:worker", "system:serviceaccounts system:serviceaccounts:a"
#define ACTOR      "actor", "" /* may impersonate user jane */
#define SCHEDULER  "system:kube-scheduler", ""
#define MANAGER    "system:kube-controller-manager", ""
#define JOINER     "system:bootstrap:abcdef", "system:bootstrappers system:bootstrappers:kubeadm:default-node-token"
#define MONITOR    "prometheus", "system:monitoring"

enum { NO, YES };

/* resource: "pods", "pods/log", "deployments.apps", "leases.coordination.k8s.io"; a path when it begins with a slash.
 * ns "": cluster scope, or all namespaces. */
static const struct question {
    const char *user, *groups, *verb, *resource, *ns, *name;
    int may;
} questions[] = {
    {NOBODY, "get", "/healthz", "", "", YES},
    {NOBODY, "get", "/readyz", "", "", YES},
    {NOBODY, "get", "/version", "", "", YES},
    {NOBODY, "get", "/api", "", "", NO},
    {NOBODY, "get", "/apis/apps/v1", "", "", NO},
    {NOBODY, "get", "/openapi/v3", "", "", NO},
    {NOBODY, "get", "/metrics", "", "", NO},
    {NOBODY, "get", "/nowhere", "", "", NO},
    {NOBODY, "list", "pods", "", "", NO},
    {NOBODY, "create", "selfsubjectreviews.authentication.k8s.io", "", "", NO},

    {SOMEBODY, "get", "/api", "", "", YES},
    {SOMEBODY, "get", "/apis/apps/v1", "", "", YES},
    {SOMEBODY, "get", "/openapi/v3", "", "", YES},
    {SOMEBODY, "get", "/metrics", "", "", NO},
    {SOMEBODY, "get", "/podium/v1/backup", "", "", NO},
    {SOMEBODY, "get", "/.well-known/openid-configuration", "", "", NO},
    {SOMEBODY, "create", "selfsubjectreviews.authentication.k8s.io", "", "", YES},
    {SOMEBODY, "create", "selfsubjectaccessreviews.authorization.k8s.io", "", "", YES},
    {SOMEBODY, "create", "selfsubjectrulesreviews.authorization.k8s.io", "", "", YES},
    {SOMEBODY, "create", "subjectaccessreviews.authorization.k8s.io", "", "", NO},
    {SOMEBODY, "create", "tokenreviews.authentication.k8s.io", "", "", NO},
    {SOMEBODY, "get", "pods", "a", "p1", NO},
    {SOMEBODY, "get", "unheard.of", "a", "x", NO},

    {VIEWER, "list", "pods", "a", "", YES},
    {VIEWER, "get", "pods/log", "a", "p1", YES},
    {VIEWER, "get", "deployments.apps", "a", "x", YES},
    {VIEWER, "get", "namespaces", "", "a", YES},
    {VIEWER, "list", "pods", "b", "", NO},
    {VIEWER, "list", "pods", "", "", NO},
    {VIEWER, "get", "secrets", "a", "s1", NO},
    {VIEWER, "create", "configmaps", "a", "", NO},
    {VIEWER, "create", "pods/exec", "a", "p1", NO},
    {VIEWER, "list", "roles.rbac.authorization.k8s.io", "a", "", NO},
    {VIEWER, "list", "nodes", "", "", NO},

    {EDITOR, "list", "pods", "a", "", YES},
    {EDITOR, "get", "secrets", "a", "s1", YES},
    {EDITOR, "create", "configmaps", "a", "", YES},
    {EDITOR, "patch", "deployments.apps", "a", "x", YES},
    {EDITOR, "update", "deployments.apps/scale", "a", "x", YES},
    {EDITOR, "create", "serviceaccounts/token", "a", "worker", YES},
    {EDITOR, "delete", "pods", "b", "p2", NO},
    {EDITOR, "update", "pods/status", "a", "p1", NO},
    {EDITOR, "create", "roles.rbac.authorization.k8s.io", "a", "", NO},
    {EDITOR, "create", "resourcequotas", "a", "", NO},
    {EDITOR, "create", "endpoints", "a", "", NO},
    {EDITOR, "delete", "namespaces", "", "a", NO},

    {ADMIN, "create", "roles.rbac.authorization.k8s.io", "a", "", YES},
    {ADMIN, "deletecollection", "rolebindings.rbac.authorization.k8s.io", "a", "", YES},
    {ADMIN, "create", "localsubjectaccessreviews.authorization.k8s.io", "a", "", YES},
    {ADMIN, "get", "secrets", "a", "s1", YES},
    {ADMIN, "update", "resourcequotas", "a", "x", NO},
    {ADMIN, "get", "secrets", "b", "s2", NO},
    {ADMIN, "create", "clusterroles.rbac.authorization.k8s.io", "", "", NO},

    {ROOT, "delete", "nodes", "", "none", YES},
    {ROOT, "get", "/metrics", "", "", YES},
    {ROOT, "get", "unheard.of", "a", "x", YES},
    {CLUSTER, "delete", "nodes", "", "none", YES},
    {CLUSTER, "get", "secrets", "b", "s2", YES},
    {CLUSTER, "get", "/metrics", "", "", YES},

    {NODE, "get", "nodes", "", "n1", YES},
    {NODE, "get", "nodes", "", "n2", NO},
    {NODE, "list", "nodes", "", "", NO},
    {NODE, "list", "nodes?fieldSelector=metadata.name=n1", "", "", YES},
    {NODE, "list", "pods", "", "", NO},
    {NODE, "list", "pods?fieldSelector=spec.nodeName=n1", "", "", YES},
    {NODE, "list", "pods?fieldSelector=spec.nodeName=n2", "", "", NO},
    {NODE, "get", "pods", "a", "p1", YES},
    {NODE, "get", "pods", "b", "p2", NO},
    {NODE, "get", "secrets", "a", "s1", YES},
    {NODE, "list", "secrets?fieldSelector=metadata.name=s1", "a", "", YES},
    {NODE, "list", "secrets", "a", "", NO},
    {NODE, "get", "secrets", "a", "unused", NO},
    {NODE, "get", "secrets", "b", "s2", NO},
    {NODE, "get", "secrets", "a", "pull", YES},
    {NODE, "get", "secrets", "a", "env", YES},
    {NODE, "update", "secrets", "a", "s1", NO},
    {NODE, "get", "configmaps", "a", "c1", YES},
    {NODE, "get", "configmaps", "a", "from", YES},
    {NODE, "get", "configmaps", "kube-system", "c1", NO},
    {NODE, "get", "persistentvolumeclaims", "a", "claim", YES},
    {NODE, "get", "persistentvolumeclaims", "a", "other", NO},
    {NODE, "get", "persistentvolumes", "", "vol", YES},
    {NODE, "get", "persistentvolumes", "", "other", NO},
    {NODE, "get", "secrets", "a", "stage", YES}, /* by the volume of its pod's claim */
    {NODE, "get", "secrets", "a", "attach", NO}, /* which controllers need */
    {NODE, "create", "serviceaccounts/token", "a", "worker", YES},
    {NODE, "create", "serviceaccounts/token", "a", "default", NO},
    {NODE, "get", "serviceaccounts", "a", "worker", NO},
    {NODE, "get", "leases.coordination.k8s.io", "kube-node-lease", "n1", YES},
    {NODE, "get", "leases.coordination.k8s.io", "kube-node-lease", "n2", NO},
    {NODE, "get", "leases.coordination.k8s.io", "kube-system", "n1", NO},
    {NODE, "get", "csinodes.storage.k8s.io", "", "n1", YES},
    {NODE, "get", "csinodes.storage.k8s.io", "", "n2", NO},
    {NODE, "list", "services", "", "", YES},
    {NODE, "delete", "nodes", "", "n1", NO},
    {NODE, "list", "clusterroles.rbac.authorization.k8s.io", "", "", NO},
    {OTHER_NODE, "get", "secrets", "a", "s1", NO},
    {OTHER_NODE, "get", "secrets", "b", "s2", YES},
    {OTHER_NODE, "get", "pods", "a", "p1", NO},
    {HALF_NODE, "get", "nodes", "", "n1", NO},
    {HALF_NODE, "get", "secrets", "a", "s1", NO},

    {ACCOUNT, "get", "configmaps", "a", "c1", YES}, /* by a binding of its own */
    {ACCOUNT, "get", "secrets", "a", "s1", NO},
    {ACCOUNT, "get", "configmaps", "b", "c1", NO},
    {ACCOUNT, "get", "/.well-known/openid-configuration", "", "", YES},
    {ACCOUNT, "get", "/openid/v1/jwks", "", "", YES},

    {ACTOR, "impersonate", "users", "", "jane", YES},
    {ACTOR, "impersonate", "users", "", "john", NO},
    {ACTOR, "list", "pods", "a", "", NO},

    {SCHEDULER, "list", "pods", "", "", YES},
    {SCHEDULER, "create", "pods/binding", "a", "p1", YES},
    {SCHEDULER, "patch", "pods/status", "a", "p1", YES},
    {SCHEDULER, "list", "nodes", "", "", YES},
    {SCHEDULER, "list", "secrets", "", "", NO},
    {SCHEDULER, "create", "pods", "a", "", NO},
    {SCHEDULER, "update", "nodes", "", "n1", NO},

    {MANAGER, "list", "secrets", "", "", YES},
    {MANAGER, "create", "pods", "a", "", YES},
    {MANAGER, "update", "deployments.apps/status", "a", "x", YES},
    {MANAGER, "escalate", "clusterroles.rbac.authorization.k8s.io", "", "x", YES},
    {MANAGER, "create", "clusterrolebindings.rbac.authorization.k8s.io", "", "", NO},
    {MANAGER, "create", "pods/exec", "a", "p1", NO},
    {MANAGER, "impersonate", "users", "", "root", NO},

    {JOINER, "get", "nodes", "", "n1", NO},
    {JOINER, "list", "secrets", "kube-system", "", NO},
    {JOINER, "create", "pods", "a", "", NO},

    {MONITOR, "get", "/metrics", "", "", YES},
    {MONITOR, "get", "/livez/ping", "", "", YES},
    {MONITOR, "list", "pods", "", "", NO},
};

static const char claimed_volume[] =
    "{\"metadata\":{\"name\":\"vol\"},\"spec\":{\"capacity\":{\"storage\":\"1Gi\"},\"accessModes\":[\"ReadWriteOnce\"],"
    "\"claimRef\":{\"namespace\":\"a\",\"name\":\"claim\"},\"csi\":{\"driver\":\"d.io\",\"volumeHandle\":\"h\","
    "\"nodeStageSecretRef\":{\"name\":\"stage\",\"namespace\":\"a\"},"
    "\"controllerPublishSecretRef\":{\"name\":\"attach\",\"namespace\":\"a\"}}}}";
static const char pod1[] =
    "{\"metadata\":{\"name\":\"p1\"},\"spec\":{\"nodeName\":\"n1\",\"serviceAccountName\":\"worker\","
    "\"imagePullSecrets\":[{\"name\":\"pull\"}],\"containers\":[{\"name\":\"c\",\"image\":\"i\","
    "\"env\":[{\"name\":\"E\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"env\",\"key\":\"k\"}}}],"
    "\"envFrom\":[{\"configMapRef\":{\"name\":\"from\"}}]}],"
    "\"volumes\":[{\"name\":\"s\",\"secret\":{\"secretName\":\"s1\"}},"
    "{\"name\":\"p\",\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"c1\"}}]}},"
    "{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"claim\"}}]}}";
static const char pod2[] =
    "{\"metadata\":{\"name\":\"p2\"},\"spec\":{\"nodeName\":\"n2\",\"containers\":[{\"name\":"
    "\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"s\",\"secret\":{\"secretName\":\"s2\"}}]}}";

static void populate(struct fixture *f) {
    given(f, "/api/v1/namespaces", "{\"metadata\":{\"name\":\"a\"}}");
    given(f, "/api/v1/namespaces", "{\"metadata\":{\"name\":\"b\"}}");
    given(f, "/api/v1/namespaces/a/serviceaccounts", "{\"metadata\":{\"name\":\"worker\"}}");
    given(f, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n1\"}}");
    given(f, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n2\"}}");
    given(f, "/api/v1/persistentvolumes", claimed_volume);
    given(f, "/api/v1/namespaces/a/pods", pod1);
    given(f, "/api/v1/namespaces/b/pods", pod2);
    bind_to(f, "a", "view", "User", "viewer");
    bind_to(f, "a", "edit", "User", "editor");
    bind_to(f, "a", "admin", "User", "owner");
    bind_to(f, NULL, "cluster-admin", "User", "chief");
    given(
        f, RBAC_PATH "/clusterroles",
        "{\"metadata\":{\"name\":\"jane-only\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"users\"],\"verbs\":["
        "\"impersonate\"],\"resourceNames\":[\"jane\"]}]}");
    bind_to(f, NULL, "jane-only", "User", "actor");
    given(f, RBAC_PATH "/namespaces/a/roles",
          "{\"metadata\":{\"name\":\"r\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"verbs\":["
          "\"get\"]}]}");
    given(f, RBAC_PATH "/namespaces/a/rolebindings",
          "{\"metadata\":{\"name\":\"r\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\","
          "\"name\":\"r\"},\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"worker\",\"namespace\":\"a\"}]}");
}

/* "deployments.apps/scale?query" in ns, of name, as a path. */
static char *path_of(const struct question *q) {
    if (*q->resource == '/')
        return xstrdup(q->resource);
    _cleanup_free_ char *plain = xstrndup(q->resource, strcspn(q->resource, "?")),
                        *whole = xstrndup(plain, strcspn(plain, "/")), *plural = xstrndup(whole, strcspn(whole, "."));
    const char *query = q->resource + strlen(plain), *sub = plain + strlen(whole), *group = whole + strlen(plural);
    if (*group == '.')
        group++;
    const struct resource *r = NULL;
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n && !r; i++)
        if (strcmp(all[i].group, group) == 0 && strcmp(all[i].plural, plural) == 0)
            r = &all[i];
    _cleanup_free_ char *root = *group ? xasprintf("/apis/%s/%s", group, r ? r->version : "v1") : xstrdup("/api/v1"),
                        *ns = *q->ns ? xasprintf("/namespaces/%s", q->ns) : xstrdup("");
    return xasprintf("%s%s/%s%s%s%s%s", root, ns, plural, *q->name ? "/" : "", q->name, sub, query);
}

/* By SelfSubjectAccessReview: for verbs that are no request of their own, and that it says the same as the request. */
static bool review(struct fixture *f, const struct question *q) {
    _cleanup_free_ char *plain = xstrndup(q->resource, strcspn(q->resource, "?")),
                        *whole = xstrndup(plain, strcspn(plain, "/")), *plural = xstrndup(whole, strcspn(whole, ".")),
                        *groups = xstrdup("");
    const char *sub = plain + strlen(whole), *group = whole + strlen(plural), *query = q->resource + strlen(plain);
    _cleanup_free_ char *attributes =
        *q->resource == '/'
            ? xasprintf("\"nonResourceAttributes\":{\"verb\":\"%s\",\"path\":\"%s\"}", q->verb, q->resource)
            : xasprintf("\"resourceAttributes\":{\"verb\":\"%s\",\"group\":\"%s\",\"resource\":\"%s\",\"subresource\":"
                        "\"%s\",\"namespace\":\"%s\",\"name\":\"%s\"%s%s%s}",
                        q->verb, *group ? group + 1 : "", plural, *sub ? sub + 1 : "",
                        strcmp(plural, "namespaces") == 0 ? q->name : q->ns,
                        strstr(query, "metadata.name=") ? strrchr(query, '=') + 1 : q->name,
                        *query ? ",\"fieldSelector\":{\"rawSelector\":\"" : "", *query ? strchr(query, '=') + 1 : "",
                        *query ? "\"}" : "");
    struct strbuf list = STRBUF_INIT;
    _cleanup_free_ char *words =
        xasprintf("%s %s", q->groups, strstr(q->groups, "unauth") ? "" : "system:authenticated");
    char *save = NULL;
    for (char *g = strtok_r(words, " ", &save); g; g = strtok_r(NULL, " ", &save))
        strbuf_addf(&list, "%s\"%s\"", list.len ? "," : "", g);
    _cleanup_free_ char *body =
        xasprintf("{\"spec\":{\"user\":\"%s\",\"groups\":[%s],%s}}", q->user, strbuf_str(&list), attributes);
    strbuf_finish(&list);
    _cleanup_answer_ struct answer a = ask(f, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body);
    assert_code(a, 201);
    return json_bool_or(json_path(a.body, "status", "allowed"), false);
}

/* Refused by the authorizer, and not by what comes after it. */
static bool refused(const struct answer *a, const struct question *q) {
    _cleanup_free_ char *words = xasprintf("User \"%s\" cannot %s ", q->user, q->verb);
    return a->code == 403 && strstr(message_of(a), words);
}

static bool by_request(struct fixture *f, const struct question *q) {
    static const struct {
        const char *verb, *method, *body;
    } methods[] = {{"get", "GET", NULL},
                   {"list", "GET", NULL},
                   {"create", "POST", "{}"},
                   {"update", "PUT", "{}"},
                   {"patch", "PATCH", "{}"},
                   {"delete", "DELETE", NULL},
                   {"deletecollection", "DELETE", NULL}};
    _cleanup_free_ char *path = path_of(q),
                        *dry = xasprintf("%s%s", path,
                                         strcmp(q->verb, "get") == 0 || strchr(path, '?') ? "" : "?dryRun=All");
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].verb, q->verb) != 0)
            continue;
        _cleanup_answer_ struct answer a = request_as(f, q->user, q->groups, methods[i].method, dry, methods[i].body);
        assert_true(a.code >= 200);
        return !refused(&a, q);
    }
    return review(f, q);
}

static void test_table(void **state) {
    struct fixture *f = *state;
    unsigned wrong = 0;
    populate(f);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        const struct question *q = &questions[i];
        bool request = by_request(f, q);
        /* Health and version are anybody's even without a role. */
        bool asked = *q->resource == '/' && strstr(q->groups, "unauth") ? request : review(f, q);
        if (request == q->may && asked == q->may)
            continue;
        print_message("%s (%s) %s %s in \"%s\" named \"%s\": the request says %s, the review %s\n", q->user, q->groups,
                      q->verb, q->resource, q->ns, q->name, request ? "yes" : "no", asked ? "yes" : "no");
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* --- without a certificate --- */

static struct answer unknown_peer(struct fixture *f, const char *method, const char *path, const char *body) {
    static CURL *c; /* one connection for all */
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(f->api), path),
                        *ca = fixture_path(f, "ca.crt");
    if (!c || !path) {
        if (c)
            curl_easy_cleanup(c);
        c = path ? curl_easy_init() : NULL;
    }
    if (!path)
        return (struct answer){0};
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    return request_on(c, url, method, NULL, NULL, body);
}

static void expect_refused(struct fixture *f, const char *method, const char *path) {
    _cleanup_answer_ struct answer a = unknown_peer(f, method, path, strcmp(method, "GET") == 0 ? NULL : "{}");
    if (a.code != 403 && a.code != 401)
        fail_msg("%s %s: %ld %s", method, path, a.code, strbuf_str(&a.text));
}

static void walk_resource(struct fixture *f, const char *root, const struct json *r) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *name = json_get_str(r, "name"), *slash = strchr(name, '/');
    bool namespaced = json_bool_or(json_get(r, "namespaced"), false);
    _cleanup_free_ char *plural = xstrndup(name, strcspn(name, "/")), *all = xasprintf("%s/%s", root, plural),
                        *here = xasprintf("%s%s/%s", root, namespaced ? "/namespaces/default" : "", plural),
                        *one = xasprintf("%s/x%s", here, slash ? slash : ""),
                        *watch = xasprintf("%s?watch=true&timeoutSeconds=1", all);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        expect_refused(f, methods[i], one);
        if (!slash)
            expect_refused(f, methods[i], here);
    }
    if (!slash) {
        expect_refused(f, "GET", all);
        expect_refused(f, "GET", watch);
    }
}

static size_t walk_version(struct fixture *f, const char *root) {
    _cleanup_answer_ struct answer a = ask(f, "GET", root, NULL);
    const struct json *list = json_get(a.body, "resources");
    expect_refused(f, "GET", root);
    for (size_t i = 0; i < json_len(list); i++)
        walk_resource(f, root, json_at(list, i));
    return json_len(list);
}

static void test_unauthenticated(void **state) {
    static const char *const open[] = {"/healthz", "/livez", "/readyz", "/version", "/livez/ping"};
    struct fixture *f = *state;
    _cleanup_answer_ struct answer root = ask(f, "GET", "/", NULL), groups = ask(f, "GET", "/apis", NULL);
    const struct json *paths = json_get(root.body, "paths"), *list = json_get(groups.body, "groups");
    size_t walked = walk_version(f, "/api/v1");
    for (size_t i = 0; i < json_len(list); i++)
        for (size_t k = 0; k < json_len(json_get(json_at(list, i), "versions")); k++) {
            _cleanup_free_ char *at =
                xasprintf("/apis/%s", json_get_str(json_at(json_get(json_at(list, i), "versions"), k), "groupVersion"));
            walked += walk_version(f, at);
        }
    assert_true(walked > 100);
    assert_true(json_len(paths) > 20);
    for (size_t i = 0; i < json_len(paths); i++) {
        const char *path = json_str(json_at(paths, i));
        if (strncmp(path, "/healthz", 8) != 0 && strncmp(path, "/livez", 6) != 0 && strncmp(path, "/readyz", 7) != 0 &&
            strcmp(path, "/version") != 0)
            expect_refused(f, "GET", path);
    }
    expect_refused(f, "GET", "/podium/v1/backup");
    expect_refused(f, "GET", "/openid/v1/jwks");
    expect_refused(f, "GET", "/nowhere/at/all");
    expect_refused(f, "POST", "/api/v1/namespaces");
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        _cleanup_answer_ struct answer a = unknown_peer(f, "GET", open[i], NULL);
        assert_code(a, 200);
    }
    (void) unknown_peer(f, NULL, NULL, NULL);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unauthenticated, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
