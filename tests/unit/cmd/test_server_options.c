/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium server`'s options: what is accepted, what is refused and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "orchestrator/cmd/server_options.h"
#include "podium/base/alloc.h"
#include "podium/base/cleanup.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

static char said[4096]; /* what went to standard error */
static char **words;    /* what the options of the last parse() point into */

static int parse(struct server_options *o, const char *const *args) {
    char *argv[64] = {(char *) "server"};
    int argc = 1, out[2], err[2], saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    for (; *args; args++)
        argv[argc++] = (char *) *args;
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    fflush(NULL);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    strv_free(steal(&words));
    int r = server_options_parse(argc, argv, o);
    words = o->words;
    fflush(NULL);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(out[1]);
    close(err[1]);
    close(saved_out);
    close(saved_err);
    assert_true(fd_read_all(err[0], sizeof(said) - 1, &text, NULL) >= 0);
    snprintf(said, sizeof(said), "%s", strbuf_str(&text));
    close(out[0]);
    close(err[0]);
    return r;
}
#define PARSE(o, ...) parse(o, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void the_defaults_are_good(void **state) {
    struct server_options o;

    assert_int_equal(PARSE(&o), 0);
    assert_string_equal(o.data_dir, "/var/lib/podium/server");
    assert_string_equal(o.socket, "/run/podium-server/api.sock");
    assert_string_equal(o.link_socket, "/run/podium-server/link.sock");
    assert_string_equal(o.manifests, "/etc/podium/manifests");
    assert_int_equal(o.port, 6443);
    assert_int_equal(o.link_port, 6444);
    assert_null(o.token_file);
}

static void values_are_taken(void **state) {
    struct server_options o;

    assert_int_equal(PARSE(&o, "--port", "1", "--link-port", "65535", "--bind-address", "::1", "--advertise-address",
                           "192.0.2.1", "--cluster-cidr", "10.0.0.0/8", "--service-cidr", "192.168.0.0/24",
                           "--manifests", "", "--local-cluster", "--audit-log", "journal", "--audit-log-max-size", "7",
                           "--audit-log-max-backups", "3", "--audit-log-max-age", "2", "--audit-log-mode", "blocking",
                           "--audit-policy", "/etc/podium/audit.yaml", "--max-requests-inflight", "11",
                           "--max-mutating-requests-inflight", "12", "--max-connections-per-address", "13"),
                     0);
    assert_string_equal(o.audit_log, "journal");
    assert_string_equal(o.audit_policy, "/etc/podium/audit.yaml");
    assert_int_equal(o.audit_mib, 7);
    assert_int_equal(o.audit_backups, 3);
    assert_int_equal(o.audit_days, 2);
    assert_true(o.audit_blocking);
    assert_int_equal(o.reading_max, 11);
    assert_int_equal(o.mutating_max, 12);
    assert_int_equal(o.per_address_max, 13);
    assert_int_equal(o.port, 1);
    assert_int_equal(o.link_port, 65535);
    assert_null(o.manifests);
    assert_true(o.heartbeat_usec == USEC_PER_SEC);
    assert_true(o.node_grace_usec == 4 * USEC_PER_SEC);
    assert_string_equal(o.cluster_cidr, "10.0.0.0/8");
}

static void what_makes_no_sense_is_refused_with_its_option(void **state) {
    static const struct {
        const char *option, *value, *says;
    } bad[] = {
        {"--port", "0", "--port"},
        {"--port", "65536", "--port"},
        {"--port", "-1", "--port"},
        {"--port", "80x", "--port"},
        {"--port", "", "--port"},
        {"--link-port", "99999999999999999999", "--link-port"},
        {"--link-port", "6443", "a port and a socket each"},
        {"--link-socket", "/run/podium-server/api.sock", "a port and a socket each"},
        {"--bind-address", "localhost", "--bind-address wants an IP address"},
        {"--advertise-address", "10.0.0.256", "--advertise-address wants an IP address"},
        {"--cluster-cidr", "10.244.0.0", "--cluster-cidr wants an IPv4 range"},
        {"--cluster-cidr", "10.244.0.0/24", "prefix 8 to 22"},
        {"--cluster-cidr", "10.244.0.0/0", "prefix 8 to 22"},
        {"--cluster-cidr", "10.244.0.0/16x", "--cluster-cidr wants an IPv4 range"},
        {"--cluster-cidr", "10.244.1.0/16", "perhaps 10.244.0.0/16"},
        {"--cluster-cidr", "fd00::/64", "--cluster-cidr wants an IPv4 range"},
        {"--cluster-cidr", "10.0.0.0/8", "overlap"},
        {"--service-cidr", "10.244.7.0/24", "overlap"},
        {"--service-cidr", "10.96.0.0/30", "prefix 8 to 28"},
        {"--service-cidr", "", "--service-cidr"},
        {"--node-heartbeat", "0", "--node-heartbeat"},
        {"--node-heartbeat", "30", "at least twice"},
        {"--eviction", "-5", "--eviction"},
        {"--workers", "0", "--workers"},
        {"--audit-log", "audit.log", "--audit-log wants a path from the root"},
        {"--audit-policy", "/etc/policy", "--audit-log where: it is missing"},
        {"--audit-log-mode", "never", "batch or blocking"},
        {"--audit-log-max-size", "0", "--audit-log-max-size"},
        {"--max-requests-inflight", "0", "--max-requests-inflight"},
        {"--socket", "api.sock", "--socket wants a path from the root"},
        {"--manifests", "here", "--manifests wants a path from the root"},
        {"--log-level", "loud", "unknown log level"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct server_options o;
        int r = PARSE(&o, bad[i].option, bad[i].value);
        if (r != 3 || !strstr(said, bad[i].says))
            fail_msg("%s \"%s\": %d, said: %s", bad[i].option, bad[i].value, r, said);
    }
    struct server_options o;
    assert_int_equal(PARSE(&o, "more"), 3);
    assert_int_equal(PARSE(&o, "--no-such"), 3);
    assert_int_equal(PARSE(&o, "--help"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_good),
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_its_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
