/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/manifest/apply_plan.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"

static struct json *object(const char *kind, const char *name) {
    _cleanup_free_ char *text = xasprintf("{apiVersion: %s, kind: %s, metadata: {name: %s}}",
                                          strcmp(kind, "Deployment") == 0 ? "apps/v1" : "v1", kind, name);
    struct json *v = NULL;
    assert_int_equal(yaml_parse_one(NULL, text, strlen(text), &v, NULL), 0);
    return v;
}

static void want(struct manifest_set *set, const char *file, const char *kind, const char *name) {
    _cleanup_json_ struct json *doc = object(kind, name);
    manifest_set_add(set, file, doc);
}

/* A live object that was applied from the file as it is. */
static void have(struct manifest_inventory *inventory, const char *file, const char *kind, const char *name) {
    _cleanup_manifest_set_ struct manifest_set set = MANIFEST_SET_INIT;
    want(&set, file, kind, name);
    _cleanup_json_ struct json *applied = manifest_apply_doc(&set.objects[0]), *live = json_ref(applied);
    _cleanup_free_ char *text = json_to_text(applied);
    json_set_path(&live, json_string(text), "metadata", "annotations",
                  "kubectl.kubernetes.io/last-applied-configuration");
    json_set_path(&live, json_string("Active"), "status", "phase");
    assert_true(manifest_inventory_add(inventory, live));
}

static void check(const struct manifest_set *set, const struct manifest_inventory *inventory, const char *expected) {
    _cleanup_manifest_plan_ struct manifest_plan plan = {0};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    manifest_plan_make(set, inventory, &plan);
    for (size_t i = 0; i < plan.n; i++) {
        const struct manifest_action *a = &plan.actions[i];
        const char *verb = a->verb == MANIFEST_PRUNE ? "prune"
                           : a->unchanged            ? "keep"
                           : a->applied              ? "update"
                                                     : "create";
        strbuf_addf(&b, "%s%s %s", i ? ", " : "", verb, a->object ? a->object->id : a->applied->id);
    }
    assert_string_equal(strbuf_str(&b), expected);
}

static void what_is_new_changed_and_gone(void **state) {
    _cleanup_manifest_set_ struct manifest_set set = MANIFEST_SET_INIT;
    _cleanup_manifest_inventory_ struct manifest_inventory inventory = MANIFEST_INVENTORY_INIT;
    check(&set, &inventory, "");
    want(&set, "a.yaml", "ConfigMap", "new");
    want(&set, "a.yaml", "ConfigMap", "same");
    want(&set, "moved.yaml", "ConfigMap", "moved");
    have(&inventory, "a.yaml", "ConfigMap", "same");
    have(&inventory, "a.yaml", "ConfigMap", "moved");
    have(&inventory, "old.yaml", "ConfigMap", "gone");
    json_unref(inventory.items[0].last_applied);
    inventory.items[0].last_applied = NULL;
    check(&set, &inventory,
          "update /ConfigMap/default/moved, create /ConfigMap/default/new, update /ConfigMap/default/same, "
          "prune /ConfigMap/default/gone");
    manifest_inventory_finish(&inventory);
    have(&inventory, "a.yaml", "ConfigMap", "same");
    check(&set, &inventory,
          "create /ConfigMap/default/moved, create /ConfigMap/default/new, keep /ConfigMap/default/same");
}

static void kinds_come_in_order_and_go_in_the_opposite_one(void **state) {
    _cleanup_manifest_set_ struct manifest_set set = MANIFEST_SET_INIT, empty = MANIFEST_SET_INIT;
    _cleanup_manifest_inventory_ struct manifest_inventory inventory = MANIFEST_INVENTORY_INIT;
    static const char *const kinds[] = {"Deployment", "Service", "ConfigMap", "Namespace", "Widget"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        want(&set, "a.yaml", kinds[i], "x");
        have(&inventory, "a.yaml", kinds[i], "x");
    }
    check(&set, &inventory,
          "keep /Namespace//x, keep /ConfigMap/default/x, keep /Service/default/x, keep /Widget//x, "
          "keep apps/Deployment/default/x");
    check(&empty, &inventory,
          "prune apps/Deployment/default/x, prune /Widget//x, prune /Service/default/x, prune /ConfigMap/default/x, "
          "prune /Namespace//x");
}

static void what_is_not_known_is_not_pruned(void **state) {
    _cleanup_manifest_set_ struct manifest_set set = MANIFEST_SET_INIT;
    _cleanup_manifest_inventory_ struct manifest_inventory inventory = MANIFEST_INVENTORY_INIT;
    have(&inventory, "a.yaml", "ConfigMap", "a");
    have(&inventory, "sub/b.yaml", "ConfigMap", "b");
    have(&inventory, "c.yaml", "ConfigMap", "c");
    manifest_set_add_problem(&set, "a.yaml", "a.yaml:1:1: broken");
    manifest_set_add_problem(&set, "sub/", "sub/:1:1: cannot open the folder");
    check(&set, &inventory, "prune /ConfigMap/default/c");
    set.missing = true;
    check(&set, &inventory, "");
    set.missing = false;
    manifest_set_add_problem(&set, "", ".:1:1: cannot open the folder");
    check(&set, &inventory, "");
}

static void only_what_came_from_the_directory_is_in_the_inventory(void **state) {
    _cleanup_manifest_inventory_ struct manifest_inventory inventory = MANIFEST_INVENTORY_INIT;
    static const char others[] = "{apiVersion: v1, kind: Pod, metadata: {name: x, annotations: {a: b}}}";
    static const char copied[] =
        "{apiVersion: v1, kind: Pod, metadata: {name: x, annotations: {podium.org/manifest: a.yaml}, "
        "ownerReferences: [{controller: true}]}}";
    _cleanup_json_ struct json *a = NULL, *b = NULL;
    assert_int_equal(yaml_parse_one(NULL, others, strlen(others), &a, NULL), 0);
    assert_int_equal(yaml_parse_one(NULL, copied, strlen(copied), &b, NULL), 0);
    assert_false(manifest_inventory_add(&inventory, a));
    assert_false(manifest_inventory_add(&inventory, b));
    assert_int_equal(inventory.n, 0);
}

static void sets_give_objects_their_place(void **state) {
    _cleanup_manifest_set_ struct manifest_set set = MANIFEST_SET_INIT;
    want(&set, "a.yaml", "ConfigMap", "x");
    assert_string_equal(json_str(json_path(set.objects[0].doc, "metadata", "namespace")), "default");
    want(&set, "a.yaml", "Namespace", "x");
    assert_null(json_path(set.objects[1].doc, "metadata", "namespace"));
    static const char generated[] = "\n{apiVersion: v1, kind: Pod, metadata: {generateName: x-}}";
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(yaml_parse_one(NULL, generated, strlen(generated), &doc, NULL), 0);
    manifest_set_add(&set, "g.yaml", doc);
    assert_int_equal(set.n_objects, 2);
    assert_string_equal(set.problems[0].text,
                        "g.yaml:2:1: metadata.name is missing: generateName would make a new object at each change");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_new_changed_and_gone),
        cmocka_unit_test(kinds_come_in_order_and_go_in_the_opposite_one),
        cmocka_unit_test(what_is_not_known_is_not_pruned),
        cmocka_unit_test(only_what_came_from_the_directory_is_in_the_inventory),
        cmocka_unit_test(sets_give_objects_their_place),
    };
    return cmocka_run_group_tests_name("apply_plan", tests, NULL, NULL);
}
