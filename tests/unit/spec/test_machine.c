/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.intelRdt, linux.netDevices and the security labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/spec/spec.h"

#define NET "\"namespaces\":[{\"type\":\"network\"}],"

static struct spec *parse(const char *linux_section, int code, const char *words) {
    _cleanup_json_ struct json *config = NULL, *section = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct spec *spec = NULL;

    assert_int_equal(json_parse(linux_section, strlen(linux_section), NULL, &section, NULL), 0);
    json_set(&config, "ociVersion", json_string("1.2.0"));
    json_set(&config, "linux", steal(&section));
    int r = spec_parse(config, &spec, &err);
    if (r != code)
        fail_msg("%s: %d %s", linux_section, r, error_text(&err, r));
    if (words && !strstr(error_text(&err, r), words))
        fail_msg("%s: no \"%s\" in \"%s\"", linux_section, words, error_text(&err, r));
    return spec;
}

static void test_rdt(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *full =
        parse("{\"intelRdt\":{\"closID\":\"guaranteed\",\"l3CacheSchema\":\"L3:0=f\",\"memBwSchema\":\"MB:0=20\","
              "\"schemata\":[\"L2:0=f\"],\"enableCMT\":true},\"mountLabel\":\"a:b:c:s0\"}",
              0, NULL);
    assert_string_equal(full->rdt->clos_id, "guaranteed");
    assert_string_equal(full->rdt->l3_cache, "L3:0=f");
    assert_string_equal(full->rdt->memory_bandwidth, "MB:0=20");
    assert_string_equal(full->rdt->schemata[0], "L2:0=f");
    assert_true(full->rdt->monitoring);
    assert_string_equal(full->mount_label, "a:b:c:s0");
    _cleanup_(spec_freep) struct spec *empty = parse("{\"intelRdt\":{}}", 0, NULL);
    assert_null(empty->rdt);
    assert_null(parse("{\"intelRdt\":{\"closID\":\"../x\"}}", -EINVAL, "linux.intelRdt.closID"));
    assert_null(parse("{\"intelRdt\":{\"closID\":\"..\"}}", -EINVAL, "linux.intelRdt.closID"));
    assert_null(parse("{\"intelRdt\":{\"schemata\":[\"L3:0=f\\nMB:0=1\"]}}", -EINVAL, "linux.intelRdt.schemata"));
    assert_null(parse("{\"intelRdt\":{\"enableMBM\":1}}", -EINVAL, "linux.intelRdt.enableMBM"));
}

static void test_net_devices(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec =
        parse("{" NET "\"netDevices\":{\"eth1\":{},\"ens3\":{\"name\":\"eth0\"}}}", 0, NULL);
    assert_int_equal(spec->n_net_devices, 2);
    assert_string_equal(spec->net_devices[0].name, "eth1");
    assert_string_equal(spec->net_devices[1].host_name, "ens3");
    assert_string_equal(spec->net_devices[1].name, "eth0");
    assert_null(parse("{\"netDevices\":{\"eth1\":{}}}", -EINVAL, "need a network namespace"));
    assert_null(parse("{" NET "\"netDevices\":{\"eth1\":{},\"eth2\":{\"name\":\"eth1\"}}}", -EINVAL, "comes twice"));
    assert_null(parse("{" NET "\"netDevices\":{\"eth1\":1}}", -EINVAL, "linux.netDevices.eth1"));
    static const char *const bad[] = {"a/b", "a b", "a:b", ".", "..", "longer-than-15-ch"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[128];

        (void) snprintf(text, sizeof(text), "{" NET "\"netDevices\":{\"eth1\":{\"name\":\"%s\"}}}", bad[i]);
        assert_null(parse(text, -EINVAL, "no name a network device can have"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rdt), cmocka_unit_test(test_net_devices)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
