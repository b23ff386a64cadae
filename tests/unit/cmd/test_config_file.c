/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium.conf(5): what it says, in which order, and where a mistake is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/cmd/config_file.h"
#include "orchestrator/cmd/server_options.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

static const struct option options[] = {
    {"service-cidr", required_argument, NULL, 1},
    {"node-heartbeat", required_argument, NULL, 2},
    {"no-sync", no_argument, NULL, 3},
    {"help", no_argument, NULL, 4},
    {NULL, 0, NULL, 0},
};

static char *dir;

static int setup(void **state) {
    char template[] = "/tmp/podium-config-XXXXXX";

    assert_non_null(mkdtemp(template));
    dir = xstrdup(template);
    return 0;
}

static int teardown(void **state) {
    assert_int_equal(rm_tree(dir, NULL), 0);
    free(steal(&dir));
    return 0;
}

static char *put(const char *name, const char *text) {
    char *path = path_join(dir, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, false, NULL), 0);
    return path;
}

static char *words_of(const char *section, const char *path, const char *more, struct error *err) {
    char *argv[] = {(char *) "podium", (char *) "--config", (char *) path, (char *) more, NULL};
    _cleanup_strv_ char **words = NULL;
    struct strbuf b = STRBUF_INIT;

    if (config_file_words(section, options, more ? 4 : 3, argv, &words, err) < 0)
        return NULL;
    for (char **w = words; *w; w++)
        strbuf_addf(&b, "%s%s", w == words ? "" : " ", *w);
    return strbuf_steal(&b);
}

static void test_settings_become_words_before_the_command_line(void **state) {
    _cleanup_free_ char *path = put("podium.conf", "# ours\n"
                                                   "[Server]\n"
                                                   "ServiceCIDR = 10.32.0.0/16\n"
                                                   "NodeHeartbeat=5\n"
                                                   "; off:\n"
                                                   "NoSync=no\n"
                                                   "[Agent]\n"
                                                   "NodeHeartbeat=99\n");
    _cleanup_free_ char *drop_ins = xasprintf("%s.d", path);
    assert_int_equal(mkdir_parents(drop_ins, 0755, NULL), 0);
    free(put("podium.conf.d/20-b.conf", "[Server]\nNodeHeartbeat=7"));
    free(put("podium.conf.d/10-a.conf", "[Server]\nNodeHeartbeat=6\nNoSync=on\n"));
    free(put("podium.conf.d/30-c.txt", "nonsense"));
    _cleanup_free_ char *server = words_of("Server", path, "--node-heartbeat=8", NULL);
    assert_string_equal(server, "podium --service-cidr=10.32.0.0/16 --node-heartbeat=5 --node-heartbeat=6 --no-sync "
                                "--node-heartbeat=7 --node-heartbeat=8");
    _cleanup_free_ char *agent = words_of("Agent", path, NULL, NULL);
    assert_string_equal(agent, "podium --node-heartbeat=99");
}

static void refused(const char *text, const char *where, const char *why) {
    _cleanup_free_ char *path = put("podium.conf", text);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_null(words_of("Server", path, NULL, &err));
    assert_non_null(strstr(error_text(&err, -EINVAL), where));
    assert_non_null(strstr(error_text(&err, -EINVAL), why));
}

static void test_mistakes_name_their_line(void **state) {
    refused("[Server]\n\nServiceCidrs=1\n", "podium.conf:3:", "ServiceCidrs");
    refused("[Server]\nNoSync=perhaps\n", "podium.conf:2:", "yes or no");
    refused("[Sever]\n", "podium.conf:1:", "[Sever]");
    refused("[Server]\nNodeHeartbeat 5\n", "podium.conf:2:", "Key=value");
    refused("[Server]\nHelp=yes\n", "podium.conf:2:", "Help");
    _cleanup_free_ char *absent = path_join(dir, "absent.conf");
    assert_null(words_of("Server", absent, NULL, NULL));
}

static void test_the_server_checks_them(void **state) {
    _cleanup_free_ char *path = put("podium.conf", "[Server]\nPort=7443\nNodeHeartbeat=3\nServiceCIDR=10.32.0.0/16\n");
    char *argv[] = {(char *) "server", (char *) "--port", (char *) "8443", (char *) "--config", path, NULL};
    struct server_options o;

    assert_int_equal(server_options_parse(5, argv, &o), 0);
    assert_int_equal(o.port, 8443);
    assert_int_equal(o.heartbeat_usec, 3 * USEC_PER_SEC);
    assert_string_equal(o.service_cidr, "10.32.0.0/16");
    strv_free(o.words);
    free(steal(&path));
    path = put("podium.conf", "[Server]\nPort=none\n");
    argv[4] = path;
    assert_true(server_options_parse(5, argv, &o) > 0);
    strv_free(o.words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings_become_words_before_the_command_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes_name_their_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_server_checks_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
