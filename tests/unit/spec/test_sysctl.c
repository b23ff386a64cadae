/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.sysctl: names, and which settings a container may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "podium/base/alloc.h"
#include "runtime/spec/spec.h"

static void names(void **state) {
    static const char *const cases[][2] = {{"net.ipv4.ip_forward", "sys/net/ipv4/ip_forward"},
                                           {"net/ipv4/ip_forward", "sys/net/ipv4/ip_forward"},
                                           {"net/ipv4/conf/eth0.1/mtu", "sys/net/ipv4/conf/eth0.1/mtu"},
                                           {"net.ipv4.conf.eth0/1.mtu", "sys/net/ipv4/conf/eth0.1/mtu"}};

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *path = spec_sysctl_path(cases[i][0]);

        assert_string_equal(path, cases[i][1]);
    }
}

static int check(const char *key, const char *namespaces) {
    _cleanup_json_ struct json *config = spec_default_config();
    _cleanup_json_ struct json *list = NULL;
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_int_equal(json_parse(namespaces, strlen(namespaces), NULL, &list, &err), 0);
    json_set_path(&config, json_ref(list), "linux", "namespaces");
    json_set(json_edit(json_edit(&config, "linux"), "sysctl"), key, json_string("1"));
    json_set(&config, "hostname", NULL);
    assert_int_equal(spec_parse(config, &spec, &err), 0);
    return spec_sysctl_check(spec, &err);
}

static void only_the_containers_own(void **state) {
    const char *all = "[{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]";
    const char *none = "[{\"type\":\"mount\"}]";
    static const char *const own[] = {"net.ipv4.ip_forward", "kernel.shmmax",     "kernel.msgmax",
                                      "kernel.sem",          "fs.mqueue.msg_max", "kernel.domainname"};
    static const char *const hosts[] = {"kernel.core_pattern", "vm.swappiness", "fs.file-max", "kernel.modprobe"};

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        assert_int_equal(check(own[i], all), 0);
        assert_int_equal(check(own[i], none), -EPERM);
    }
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        assert_int_equal(check(hosts[i], all), -EPERM);
    assert_int_equal(check("net.ipv4.ip_forward", "[{\"type\":\"network\",\"path\":\"/proc/self/ns/net\"}]"), -EPERM);
    assert_int_equal(check("net/../kernel/core_pattern", all), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(only_the_containers_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
