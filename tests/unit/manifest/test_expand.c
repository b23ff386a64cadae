/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/manifest/expand.h"
#include "orchestrator/manifest/yaml.h"

/* "Kind/name …" of what a text holds, or the error. */
static char *expand(const char *text) {
    struct json **objects = NULL;
    size_t n = 0;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    if (manifest_parse("f.yaml", text, strlen(text), &objects, &n, &err) < 0)
        strbuf_adds(&b, err.text);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&b, "%s%s/%s/%s", i ? " " : "", json_str(json_get(objects[i], "apiVersion")),
                    json_str(json_get(objects[i], "kind")),
                    json_str_or(json_path(objects[i], "metadata", "name"), "?"));
    yaml_documents_free(objects, n);
    return strbuf_steal(&b);
}

static void check(const char *text, const char *expected) {
    _cleanup_free_ char *got = expand(text);
    assert_string_equal(got, expected);
}

static void lists_are_opened(void **state) {
    check("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n"
          "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n"
          "- {apiVersion: v1, kind: List, items: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: c}}]}\n",
          "v1/Pod/a v1/Secret/b apps/v1/Deployment/c");
    check("{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}, {metadata: {name: b}}]}",
          "v1/Pod/a v1/Pod/b");
    check("{apiVersion: v1, kind: List}", "");
    check("{apiVersion: example.org/v1, kind: Wishlist, metadata: {name: x}}", "example.org/v1/Wishlist/x");
    check("{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}", "v1/Pod/?");
}

static void what_is_no_object_is_named_with_its_place(void **state) {
    check("\n- 1\n", "f.yaml:2:1: a Kubernetes object (a mapping with apiVersion and kind) is expected");
    check("kind: Pod\n", "f.yaml:1:1: apiVersion is missing");
    check("apiVersion: v1\nkind: 3\n", "f.yaml:2:7: kind must be a string and not empty");
    check("apiVersion: v1\nkind: Pod\n", "f.yaml:1:1: metadata is missing");
    check("apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n", "f.yaml:4:3: name is missing");
    check("apiVersion: v1\nkind: List\nitems: 3\n", "f.yaml:3:8: items must be a list");
    check("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n", "f.yaml:4:3: kind is missing");
    check("a: [\n", "f.yaml:2:1: did not find expected node content (while parsing a flow node)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_opened),
        cmocka_unit_test(what_is_no_object_is_named_with_its_place),
    };
    return cmocka_run_group_tests_name("expand", tests, NULL, NULL);
}
