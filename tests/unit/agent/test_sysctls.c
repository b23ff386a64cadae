/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel settings that pods may and may not ask for, in the kubelet's words. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/sysctls.h"
#include "podium/base/alloc.h"

static void check(const char *spec, const char *expected) {
    _cleanup_free_ char *text = xasprintf("{\"spec\":{%s}}", spec);
    _cleanup_json_ struct json *pod = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &pod, NULL), 0);
    _cleanup_free_ char *why = sysctls_forbidden(pod, "net/core/somaxconn, kernel.sem,fs.mqueue.*");
    if (expected)
        assert_string_equal(why ? why : "nothing", expected);
    else
        assert_null(why);
}

static void test_admission(void **state) {
#define SYSCTL(name) "\"securityContext\":{\"sysctls\":[{\"name\":\"" name "\",\"value\":\"1\"}]}"
    check("\"containers\":[]", NULL);
    check(SYSCTL("net.ipv4.tcp_syncookies"), NULL);
    check(SYSCTL("net/ipv4/tcp_syncookies"), NULL);
    check(SYSCTL("kernel.shm_rmid_forced"), NULL);
    check(SYSCTL("kernel.msgmax"), "forbidden sysctl: \"kernel.msgmax\" not allowlisted");
    check(SYSCTL("net.core.rmem_default"), "forbidden sysctl: \"net.core.rmem_default\" not allowlisted");
    /* beside them what the administrator names, under the same conditions */
    check(SYSCTL("net.core.somaxconn"), NULL);
    check(SYSCTL("net/core/somaxconn"), NULL);
    check(SYSCTL("fs.mqueue.msg_max"), NULL);
    check(SYSCTL("kernel.semmns"), "forbidden sysctl: \"kernel.semmns\" not allowlisted");
    check(SYSCTL("fs.mqueue.msg_max") ",\"hostIPC\":true",
          "forbidden sysctl: \"fs.mqueue.msg_max\" not allowed with host ipc enabled");
    check(SYSCTL("net.ipv4.tcp_syncookies") ",\"hostNetwork\":true",
          "forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host net enabled");
    check(SYSCTL("kernel.shm_rmid_forced") ",\"hostIPC\":true",
          "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host ipc enabled");
}

static void test_unsafe_names(void **state) {
    static const char *const good[] = {"", "kernel.msg*", "net.core.somaxconn,kernel.sem , fs/mqueue/msg_max", "net.*"};
    static const char *const bad[] = {"kernel.sysrq", "net.core.somaxconn,vm.swappiness", "*"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_null(sysctls_unsafe_problem(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_free_ char *why = sysctls_unsafe_problem(bad[i]);
        assert_non_null(why);
    }
}

static void test_names(void **state) {
    static const char *const names[][2] = {
        {"net.ipv4.ip_forward", "net.ipv4.ip_forward"},
        {"net/ipv4/ip_forward", "net.ipv4.ip_forward"},
        {"net/ipv4/conf/eth0.1/mtu", "net.ipv4.conf.eth0/1.mtu"},
        {"net.ipv4.conf.eth0/1.mtu", "net.ipv4.conf.eth0/1.mtu"},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *name = sysctl_normal_name(names[i][0]);
        assert_string_equal(name, names[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_admission), cmocka_unit_test(test_unsafe_names),
                                       cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
