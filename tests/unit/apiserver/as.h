/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the server fixture as anybody: root on the unix socket acts as a user with groups (Impersonate-*), who
 * then has that one's rights only. */
#ifndef TESTS_APISERVER_AS_H
#define TESTS_APISERVER_AS_H

#include "tests/unit/apiserver/server_fixture.h"

/* groups: words parted by spaces, may be "". */
static inline struct answer request_as(struct fixture *f, const char *user, const char *groups, const char *method,
                                       const char *path, const char *body) {
    struct answer a = {0};
    const char *type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : "application/json";
    _cleanup_free_ char *url = xasprintf("http://api%s", path), *sock = fixture_path(f, "sock"),
                        *ct = xasprintf("Content-Type: %s", type), *who = xasprintf("Impersonate-User: %s", user),
                        *rest = xstrdup(groups);
    struct curl_slist *h = curl_slist_append(NULL, ct);
    CURL *c = curl_easy_init();
    char *save = NULL;
    h = curl_slist_append(h, who);
    for (char *g = strtok_r(rest, " ", &save); g; g = strtok_r(NULL, " ", &save)) {
        _cleanup_free_ char *line = xasprintf("Impersonate-Group: %s", g);
        h = curl_slist_append(h, line);
    }
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    if (body)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &a.text);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    if (curl_easy_perform(c) == CURLE_OK)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.code);
    curl_slist_free_all(h);
    curl_easy_cleanup(c);
    if (json_parse(strbuf_str(&a.text), a.text.len, NULL, &a.body, NULL) < 0)
        a.body = NULL;
    return a;
}

#define RBAC_PATH "/apis/rbac.authorization.k8s.io/v1"

/* Made by root; must succeed. */
static inline void given(struct fixture *f, const char *path, const char *body) {
    _cleanup_answer_ struct answer a = ask(f, "POST", path, body);
    assert_code(a, 201);
}

/* A binding of a ClusterRole: in a namespace, or everywhere (ns NULL). kind: "User" or "Group". */
static inline void bind_to(struct fixture *f, const char *ns, const char *role, const char *kind, const char *name) {
    _cleanup_free_ char *path = ns ? xasprintf(RBAC_PATH "/namespaces/%s/rolebindings", ns)
                                   : xstrdup(RBAC_PATH "/clusterrolebindings"),
                        *body = xasprintf("{\"metadata\":{\"generateName\":\"b-\"},\"roleRef\":{\"apiGroup\":"
                                          "\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"%s\"},"
                                          "\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"%s\","
                                          "\"name\":\"%s\"}]}",
                                          role, kind, name);
    given(f, path, body);
}

#endif
