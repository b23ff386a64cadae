/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/images/images.h"
#include "orchestrator/images/manifest.h"
#include "orchestrator/images/reference.h"
#include "podium/base/alloc.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void test_references_are_normalised(void **state) {
    static const struct {
        const char *text, *repository, *tag, *digest, *name, *familiar;
    } cases[] = {
        {"nginx", "docker.io/library/nginx", "latest", NULL, "docker.io/library/nginx:latest", "nginx:latest"},
        {"nginx:1.25", "docker.io/library/nginx", "1.25", NULL, "docker.io/library/nginx:1.25", "nginx:1.25"},
        {"docker.io/library/nginx:1", "docker.io/library/nginx", "1", NULL, "docker.io/library/nginx:1", "nginx:1"},
        {"docker.io/nginx", "docker.io/library/nginx", "latest", NULL, "docker.io/library/nginx:latest",
         "nginx:latest"},
        {"index.docker.io/nginx", "docker.io/library/nginx", "latest", NULL, "docker.io/library/nginx:latest",
         "nginx:latest"},
        {"foo/bar", "docker.io/foo/bar", "latest", NULL, "docker.io/foo/bar:latest", "foo/bar:latest"},
        {"localhost/bar", "localhost/bar", "latest", NULL, "localhost/bar:latest", "localhost/bar:latest"},
        {"reg:5000/a/b__c-d.e:V1_2", "reg:5000/a/b__c-d.e", "V1_2", NULL, "reg:5000/a/b__c-d.e:V1_2",
         "reg:5000/a/b__c-d.e:V1_2"},
        {"[::1]:5000/a", "[::1]:5000/a", "latest", NULL, "[::1]:5000/a:latest", "[::1]:5000/a:latest"},
        {"nginx@" DIGEST, "docker.io/library/nginx", NULL, DIGEST, "docker.io/library/nginx@" DIGEST, "nginx@" DIGEST},
        {"nginx:1@" DIGEST, "docker.io/library/nginx", "1", DIGEST, "docker.io/library/nginx:1", "nginx:1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(image_reference_finish) struct image_reference r = {0};
        assert_int_equal(image_reference_parse(cases[i].text, &r, NULL), 0);
        assert_string_equal(r.repository, cases[i].repository);
        assert_string_equal(r.tag ? r.tag : "-", cases[i].tag ? cases[i].tag : "-");
        assert_string_equal(r.digest ? r.digest : "-", cases[i].digest ? cases[i].digest : "-");
        _cleanup_free_ char *name = image_reference_format(&r);
        assert_string_equal(name, cases[i].name);
        assert_string_equal(image_reference_familiar(name), cases[i].familiar);
    }
}

static void test_bad_references(void **state) {
    static const char *const bad[] = {
        "",       "Nginx",  "a b",          "nginx:",  "nginx:-x", "nginx:a/b:c ",     "/nginx",         "nginx/",
        "a//b",   "a..b",   "-a",           "a_",      "nginx@",   "nginx@sha256:12",  "nginx@md5:" HEX, "../x",
        "a/../b", "reg:/a", "reg:123456/a", "nginx\n", "a___b",    "nginx@" DIGEST "0"};
    char big[IMAGE_REFERENCE_BYTES_MAX + 2];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct image_reference r = {0};
        if (image_reference_parse(bad[i], &r, NULL) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    memset(big, 'a', sizeof(big));
    big[sizeof(big) - 1] = 0;
    struct image_reference r = {0};
    assert_int_equal(image_reference_parse(big, &r, NULL), -EINVAL);
    assert_int_equal(image_reference_parse(NULL, &r, NULL), -EINVAL);
}

static void test_bad_documents(void **state) {
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", -EINVAL},
        {"[]", -EINVAL},
        {"{\"layers\":[]}", -EINVAL},
        {"{\"layers\":{},\"config\":{}}", -EINVAL},
        {"{\"layers\":[],\"config\":{\"digest\":\"" DIGEST "\",\"size\":-1}}", -EINVAL},
        {"{\"layers\":[],\"config\":{\"digest\":\"sha256:" HEX "00\",\"size\":1}}", -EINVAL},
        {"{\"layers\":[],\"config\":{\"digest\":\"sha256:../../../etc/passwd\",\"size\":1}}", -EINVAL},
        {"{\"layers\":[],\"config\":{\"digest\":\"sha512:" HEX "\",\"size\":1}}", -ENOTSUP},
        {"{\"layers\":[3],\"config\":{\"digest\":\"" DIGEST "\",\"size\":1}}", -EINVAL},
        {"{\"manifests\":[],\"layers\":[],\"config\":{\"digest\":\"" DIGEST "\",\"size\":1}}", -EINVAL},
        {"{\"config\":{\"digest\":\"" DIGEST
         "\",\"size\":1},\"layers\":[{\"mediaType\":\"application/vnd.in-toto+json\","
         "\"digest\":\"" DIGEST "\",\"size\":1}]}",
         -ENOTSUP},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct image_manifest m = {0};
        int r = image_manifest_parse(cases[i].text, strlen(cases[i].text), &m, NULL);
        if (r != cases[i].code)
            fail_msg("%s: %d", cases[i].text, r);
    }
}

static void test_bad_configurations(void **state) {
    static const char *const bad[] = {
        "{}",
        "{\"rootfs\":{\"diff_ids\":{}}}",
        "{\"rootfs\":{\"diff_ids\":[\"x\"]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":[]}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Cmd\":\"sh\"}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Env\":[1]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"User\":0}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"ExposedPorts\":[]}}",
    };
    struct json *document = NULL;
    char **ids = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (image_config_parse(bad[i], strlen(bad[i]), &document, &ids, NULL) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
    const char *fine = "{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]},\"config\":{\"Cmd\":null}}";
    assert_int_equal(image_config_parse(fine, strlen(fine), &document, &ids, NULL), 0);
    assert_string_equal(ids[0], DIGEST);
    json_unref(document);
    strv_free(ids);
}

static void test_platform_choice(void **state) {
    struct image_descriptor arm = {.architecture = "arm64", .os = "linux"}, none = {0};
    struct image_descriptor amd = {.architecture = "amd64", .os = "linux"};
    struct image_descriptor windows = {.architecture = "amd64", .os = "windows"};
    struct image_descriptor attestation = {.architecture = "unknown", .os = "unknown"};
    const struct image_descriptor *all[] = {&attestation, &none, &arm, &windows, &amd};

    assert_ptr_equal(image_descriptor_choose(all, 5, "linux", "amd64"), &amd);
    assert_ptr_equal(image_descriptor_choose(all, 5, "linux", "arm64"), &arm);
    assert_ptr_equal(image_descriptor_choose(all, 5, "linux", "s390x"), &none);
    assert_null(image_descriptor_choose(all, 1, "linux", "amd64"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_are_normalised),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_platform_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
