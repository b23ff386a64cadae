/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which requests an audit policy records, and the rotation of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "orchestrator/apiserver/audit/log.h"
#include "orchestrator/apiserver/audit/policy.h"
#include "orchestrator/apiserver/audit/rotate.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"

#define HEAD "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

static struct audit_policy *policy(const char *rules) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *text = xasprintf(HEAD "%s", rules);
    struct audit_policy *p = NULL;
    if (audit_policy_parse("policy", text, strlen(text), &p, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    return p;
}

static char *const staff[] = {(char *) "staff", (char *) "system:authenticated", NULL};

static struct audit_question about(const char *user, const char *verb, const char *group, const char *plural,
                                   const char *sub, const char *ns, const char *name) {
    return (struct audit_question){.user = user,
                                   .groups = staff,
                                   .verb = verb,
                                   .path = "/x",
                                   .group = group,
                                   .plural = plural,
                                   .subname = sub,
                                   .ns = ns,
                                   .name = name};
}

static enum audit_level level(const struct audit_policy *p, struct audit_question q) {
    return audit_policy_decide(p, &q).level;
}

static void first_fit_decides(void **state) {
    struct audit_policy *p = policy("rules:\n"
                                    "- {level: None, users: [quiet], verbs: [watch]}\n"
                                    "- {level: Metadata, resources: [{resources: [secrets]}]}\n"
                                    "- {level: RequestResponse, userGroups: [staff], namespaces: [prod]}\n"
                                    "- {level: Request, resources: [{group: apps}]}\n");
    assert_int_equal(level(p, about("quiet", "watch", "", "pods", "", "prod", "")), AUDIT_NONE);
    assert_int_equal(level(p, about("quiet", "get", "", "pods", "", "prod", "x")), AUDIT_REQUEST_RESPONSE);
    assert_int_equal(level(p, about("a", "get", "", "secrets", "", "prod", "x")), AUDIT_METADATA);
    assert_int_equal(level(p, about("a", "get", "apps", "deployments", "scale", "dev", "x")), AUDIT_REQUEST);
    assert_int_equal(level(p, about("a", "get", "", "pods", "", "dev", "x")), AUDIT_NONE);
    audit_policy_free(p);
}

static void resources_and_their_parts(void **state) {
    static const struct {
        const char *listed, *plural, *sub;
        bool fits;
    } cases[] = {
        {"pods", "pods", "", true},           {"pods", "pods", "log", false},
        {"pods/log", "pods", "log", true},    {"pods/log", "pods", "", false},
        {"pods/*", "pods", "exec", true},     {"pods/*", "pods", "", true},
        {"*/status", "pods", "status", true}, {"*/status", "pods", "", false},
        {"*", "pods", "exec", true},          {"po", "pods", "", false},
        {"pods", "podtemplates", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *rules =
            xasprintf("rules:\n- {level: Request, resources: [{resources: ['%s']}]}\n", cases[i].listed);
        struct audit_policy *p = policy(rules);
        bool fits = level(p, about("a", "get", "", cases[i].plural, cases[i].sub, "n", "x")) == AUDIT_REQUEST;
        if (fits != cases[i].fits)
            fail_msg("%s on %s/%s", cases[i].listed, cases[i].plural, cases[i].sub);
        audit_policy_free(p);
    }
}

static void names_and_the_cluster(void **state) {
    struct audit_policy *p = policy("rules:\n"
                                    "- {level: Request, resources: [{resources: [configmaps], resourceNames: "
                                    "[leader]}], namespaces: [kube-system]}\n"
                                    "- {level: Metadata, resources: [{resources: [nodes]}], namespaces: ['']}\n");
    assert_int_equal(level(p, about("a", "get", "", "configmaps", "", "kube-system", "leader")), AUDIT_REQUEST);
    assert_int_equal(level(p, about("a", "get", "", "configmaps", "", "kube-system", "other")), AUDIT_NONE);
    assert_int_equal(level(p, about("a", "get", "", "configmaps", "", "default", "leader")), AUDIT_NONE);
    assert_int_equal(level(p, about("a", "get", "", "nodes", "", "", "n1")), AUDIT_METADATA);
    audit_policy_free(p);
}

static void paths(void **state) {
    struct audit_policy *p = policy("rules:\n- {level: None, nonResourceURLs: ['/healthz*', /version]}\n"
                                    "- {level: Metadata}\n");
    struct audit_question q = about("a", "get", "", NULL, "", "", "");
    q.path = "/healthz/ping";
    assert_int_equal(level(p, q), AUDIT_NONE);
    q.path = "/version";
    assert_int_equal(level(p, q), AUDIT_NONE);
    q.path = "/versions";
    assert_int_equal(level(p, q), AUDIT_METADATA);
    assert_int_equal(level(p, about(NULL, "get", "", "pods", "", "", "")), AUDIT_METADATA);
    audit_policy_free(p);
}

static void stages_add_up_and_a_rule_decides_on_managers(void **state) {
    struct audit_policy *p = policy("omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
                                    "- {level: Request, users: [a], omitStages: [ResponseStarted]}\n"
                                    "- {level: Request, omitManagedFields: false}\n");
    struct audit_question q = about("a", "get", "", "pods", "", "", "");
    struct audit_answer a = audit_policy_decide(p, &q);
    assert_int_equal(a.omit_stages, 1u << AUDIT_RECEIVED | 1u << AUDIT_RESPONSE_STARTED);
    assert_true(a.omit_managed_fields);
    q.user = "b";
    a = audit_policy_decide(p, &q);
    assert_int_equal(a.omit_stages, 1u << AUDIT_RECEIVED);
    assert_false(a.omit_managed_fields);
    audit_policy_free(p);
}

static void mistakes_are_refused(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"kind: Policy\n", "not an audit.k8s.io/v1 Policy"},
        {HEAD, "without rules"},
        {"- 1\n", "not an audit.k8s.io/v1 Policy"},
        {HEAD "rules: [1]\n", "a rule must be an object"},
        {HEAD "rules: [[{}]]\n", "a rule must be an object"},
        {HEAD "rules: [{}]\n", "level must be"},
        {HEAD "rules: [{level: metadata}]\n", "level must be"},
        {HEAD "rules: [{level: None, user: [a]}]\n", "unknown field \"user\""},
        {HEAD "rules: [{level: None, users: [1]}]\n", "users must be a list of strings"},
        {HEAD "rules: [{level: None, resources: [pods]}]\n", "resources must name groups"},
        {HEAD "rules: [{level: None, resources: [{resourceNames: [a]}]}]\n", "requires at least one resource"},
        {HEAD "rules: [{level: None, nonResourceURLs: [healthz]}]\n", "must begin with '/'"},
        {HEAD "rules: [{level: None, nonResourceURLs: ['/a*b']}]\n", "'*' only at its end"},
        {HEAD "rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]\n", "cannot apply to both"},
        {HEAD "omitStages: [Later]\nrules: [{level: None}]\n", "unknown stage \"Later\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        struct audit_policy *p = NULL;
        int r = audit_policy_parse("policy", cases[i].text, strlen(cases[i].text), &p, &err);
        if (r != -EINVAL || !strstr(error_text(&err, r), cases[i].says))
            fail_msg("%s: %s", cases[i].text, error_text(&err, r));
    }
}

/* --- the file --- */

static size_t lines_of(const char *path) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = 0;
    if (file_read(path, 1u << 20, &b, NULL) < 0)
        return 0;
    for (const char *p = strbuf_str(&b); (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static size_t files_in(const char *dir, size_t *ret_lines) {
    _cleanup_free_ char *cmd = xasprintf("ls %s", dir);
    FILE *f = popen(cmd, "r");
    char name[256];
    size_t n = 0;
    *ret_lines = 0;
    while (fgets(name, sizeof(name), f)) {
        name[strcspn(name, "\n")] = 0;
        _cleanup_free_ char *path = path_join(dir, name);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        *ret_lines += lines_of(path);
        n++;
    }
    (void) pclose(f);
    return n;
}

static void the_file_is_rotated_at_line_ends(void **state) {
    char dir[] = "/tmp/podium-audit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = path_join(dir, "audit.log");
    struct audit_log_options o = {.path = path, .bytes_max = 100, .blocking = true};
    struct audit_log *l;
    size_t lines;
    assert_int_equal(audit_log_new(&o, &l, NULL), 0);
    for (unsigned i = 0; i < 25; i++)
        audit_log_put(l, "a line of twenty-five ch\n", 25);
    audit_log_free(l);
    assert_int_equal(files_in(dir, &lines), 7); /* four in each, and one more */
    assert_int_equal(lines, 25);
    o.backups_max = 2;
    assert_int_equal(audit_log_new(&o, &l, NULL), 0);
    for (unsigned i = 0; i < 8; i++)
        audit_log_put(l, "a line of twenty-five ch\n", 25);
    audit_log_free(l);
    assert_int_equal(files_in(dir, &lines), 3);
    assert_int_equal(lines, 9);
    assert_int_equal(rm_tree(dir, NULL), 0);
}

static void old_files_go(void **state) {
    char dir[] = "/tmp/podium-audit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = path_join(dir, "audit.log"), *other = path_join(dir, "audit-copy.log");
    const uint64_t day = 86400 * USEC_PER_SEC, start = 1000 * day;
    size_t lines;
    assert_int_equal(file_write_atomic(other, "not ours\n", 9, 0600, false, NULL), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(file_write_atomic(path, "x\n", 2, 0600, false, NULL), 0);
        assert_int_equal(audit_rotate(path, start + i * day, 2 * 86400, 0, NULL), 0);
    }
    assert_int_equal(files_in(dir, &lines), 4); /* today's, and of the two days before; and the copy */
    assert_int_equal(rm_tree(dir, NULL), 0);
}

static void a_file_renamed_by_others_is_opened_anew(void **state) {
    char dir[] = "/tmp/podium-audit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = path_join(dir, "audit.log"), *away = path_join(dir, "audit.log.1");
    struct audit_log_options o = {.path = path, .blocking = true};
    struct audit_log *l;
    assert_int_equal(audit_log_new(&o, &l, NULL), 0);
    assert_int_equal(rename(path, away), 0);
    audit_log_put(l, "later\n", 6);
    audit_log_free(l);
    assert_int_equal(lines_of(path), 1);
    assert_int_equal(lines_of(away), 0);
    assert_int_equal(rm_tree(dir, NULL), 0);
}

/* A disk that does not take it: lines are counted as lost, nobody waits. */
static void what_cannot_be_written_is_counted(void **state) {
    struct audit_log_options o = {.path = "/dev/full"};
    struct audit_log *l;
    assert_int_equal(audit_log_new(&o, &l, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        audit_log_put(l, "lost\n", 5);
    for (unsigned i = 0; i < 1000 && audit_log_dropped(l) < 3; i++)
        (void) usleep(10000);
    assert_int_equal(audit_log_dropped(l), 3);
    audit_log_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_fit_decides),
        cmocka_unit_test(resources_and_their_parts),
        cmocka_unit_test(names_and_the_cluster),
        cmocka_unit_test(paths),
        cmocka_unit_test(stages_add_up_and_a_rule_decides_on_managers),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(the_file_is_rotated_at_line_ends),
        cmocka_unit_test(old_files_go),
        cmocka_unit_test(a_file_renamed_by_others_is_opened_anew),
        cmocka_unit_test(what_cannot_be_written_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
