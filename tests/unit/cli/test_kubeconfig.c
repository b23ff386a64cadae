/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kubeconfig files and the choice among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "orchestrator/cli/connection.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

static const char config[] = "apiVersion: v1\n"
                             "kind: Config\n"
                             "current-context: one\n"
                             "clusters:\n"
                             "- name: c1\n"
                             "  cluster: {server: 'https://10.0.0.1:6443', certificate-authority-data: Q0E=}\n"
                             "- name: c2\n"
                             "  cluster: {server: 'https://10.0.0.2:6443', certificate-authority: ca.pem}\n"
                             "- name: broken\n"
                             "  cluster: {server: 'https://10.0.0.3', certificate-authority-data: '*'}\n"
                             "contexts:\n"
                             "- name: one\n"
                             "  context: {cluster: c1, user: u1, namespace: blue}\n"
                             "- name: two\n"
                             "  context: {cluster: c2, user: u2}\n"
                             "- name: lost\n"
                             "  context: {cluster: nowhere, user: u1}\n"
                             "- name: bad\n"
                             "  context: {cluster: broken, user: u1}\n"
                             "- name: plugin\n"
                             "  context: {cluster: c1, user: u3}\n"
                             "users:\n"
                             "- name: u1\n"
                             "  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}\n"
                             "- name: u2\n"
                             "  user: {token: secret}\n"
                             "- name: u3\n"
                             "  user: {exec: {command: login}}\n";

struct place {
    char dir[64];
    char *path;
};

static int set_up(void **state) {
    struct place *p = xnew0(struct place);
    strcpy(p->dir, "/tmp/podium-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->path = path_join(p->dir, "config");
    _cleanup_free_ char *ca = path_join(p->dir, "ca.pem");
    assert_int_equal(file_write_atomic(p->path, config, strlen(config), 0600, false, NULL), 0);
    assert_int_equal(file_write_atomic(ca, "FILE CA", 7, 0600, false, NULL), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    struct place *p = *state;
    int r = rm_tree(p->dir, NULL);
    free(p->path);
    free(p);
    return r;
}

static void the_current_context_counts(void **state) {
    const struct place *p = *state;
    struct kubeconfig k;
    assert_int_equal(kubeconfig_load(p->path, NULL, &k, NULL), 0);
    assert_string_equal(k.context, "one");
    assert_string_equal(k.server, "https://10.0.0.1:6443");
    assert_string_equal(k.ca, "CA");
    assert_string_equal(k.cert, "CERT");
    assert_string_equal(k.key, "KEY");
    assert_string_equal(k.ns, "blue");
    assert_null(k.token);
    kubeconfig_finish(&k);
}

static void files_are_relative_to_the_kubeconfig(void **state) {
    const struct place *p = *state;
    struct kubeconfig k;
    assert_int_equal(kubeconfig_load(p->path, "two", &k, NULL), 0);
    assert_string_equal(k.ca, "FILE CA");
    assert_string_equal(k.token, "secret");
    assert_null(k.ns);
    kubeconfig_finish(&k);
}

static void mistakes_name_file_and_thing(void **state) {
    static const struct {
        const char *context, *says;
        int code;
    } cases[] = {
        {"three", "context \"three\" does not exist", -EINVAL},
        {"lost", "cluster \"nowhere\" of context \"lost\" does not exist", -EINVAL},
        {"bad", "certificate-authority-data is no base64", -EINVAL},
        {"plugin", "wants a login plug-in", -ENOTSUP},
    };
    const struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        struct kubeconfig k;
        assert_int_equal(kubeconfig_load(p->path, cases[i].context, &k, &err), cases[i].code);
        assert_non_null(strstr(error_text(&err, 0), p->path));
        assert_non_null(strstr(error_text(&err, 0), cases[i].says));
    }
}

static void the_flag_goes_before_the_environment(void **state) {
    const struct place *p = *state;
    struct connection c;
    _cleanup_free_ char *list = xasprintf("/nonexistent/a:%s", p->path);
    assert_int_equal(setenv("KUBECONFIG", "/nonexistent/x", 1), 0);
    assert_int_equal(connection_open(&(struct connection_options){.kubeconfig = p->path}, &c, NULL), 0);
    assert_string_equal(c.source, p->path);
    connection_close(&c);
    assert_int_equal(setenv("KUBECONFIG", list, 1), 0);
    assert_int_equal(connection_open(&(struct connection_options){.context = "two"}, &c, NULL), 0);
    assert_string_equal(connection_server(&c), "https://10.0.0.2:6443");
    connection_close(&c);
}

static void server_and_token_override(void **state) {
    const struct place *p = *state;
    struct connection c;
    struct connection_options o = {.kubeconfig = p->path, .server = "https://other:1", .token = "mine"};
    assert_int_equal(connection_open(&o, &c, NULL), 0);
    assert_string_equal(connection_server(&c), "https://other:1");
    assert_string_equal(c.kube.token, "mine");
    connection_close(&c);
    o.server = "unix:/run/x.sock";
    assert_int_equal(connection_open(&o, &c, NULL), 0);
    assert_string_equal(c.unix_socket, "/run/x.sock");
    assert_null(c.kube.server);
    connection_close(&c);
}

/* A key given as data must not be found in any file that others may open. */
static void keys_stay_in_memory(void **state) {
    const struct place *p = *state;
    struct connection c;
    struct stat st;
    assert_int_equal(connection_open(&(struct connection_options){.kubeconfig = p->path}, &c, NULL), 0);
    assert_non_null(c.pem_paths[2]);
    assert_int_equal(strncmp(c.pem_paths[2], "/proc/self/fd/", 14), 0);
    assert_int_equal(fstat(c.pem_fds[2], &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_nlink, 0);
    connection_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_current_context_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_relative_to_the_kubeconfig, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_name_file_and_thing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_flag_goes_before_the_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(server_and_token_override, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_stay_in_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
