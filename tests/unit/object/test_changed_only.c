/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random documents of every kind, members of which a write replaced: going through the changed members alone makes of
 * them what going through all does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "tests/unit/object/random_document.h"

#define ROUNDS 20

static void normalize(const struct resource *r, const struct json *known, struct json **doc) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (schema_decode_changed(type_by_name(r->type), known, doc, NULL, &err) < 0)
        fail_msg("%s: %s", r->kind, error_text(&err, 0));
    schema_default_changed(r->api_version, r->kind, known, doc);
}

/* Takes some members, as they came, from another document: what a patch does. Returns how many stayed. */
static unsigned replace_members(struct dice *d, const struct json *other, struct json **doc) {
    unsigned left = 0;
    for (size_t i = json_len(*doc); i-- > 0;) {
        _cleanup_free_ char *key = xstrdup(json_key_at(*doc, i));
        struct json *v = json_get(other, key);
        bool take = dice_roll(d, 2) == 0 && strcmp(key, "apiVersion") != 0 && strcmp(key, "kind") != 0;
        if (take && v)
            json_set(doc, key, json_ref(v));
        else if (take)
            json_del(doc, key);
        else
            left++;
    }
    return left;
}

static unsigned compare(const struct resource *r, uint64_t seed) {
    struct dice d = {.state = seed, .density = 20 + (unsigned) (seed % 3) * 30, .depth_max = 8};
    _cleanup_json_ struct json *old = random_document(&d, r), *other = random_document(&d, r);
    normalize(r, NULL, &old);
    _cleanup_json_ struct json *all = json_ref(old);
    unsigned left = replace_members(&d, other, &all);
    _cleanup_json_ struct json *changed = json_ref(all);
    normalize(r, NULL, &all);
    normalize(r, old, &changed);
    if (!json_equal(changed, all)) {
        _cleanup_free_ char *a = json_to_text(changed), *b = json_to_text(all);
        fail_msg("%s, seed %llu:\n got  %s\n want %s", r->kind, (unsigned long long) seed, a, b);
    }
    return left;
}

static void changed_members_are_enough(void **state) {
    size_t n;
    unsigned left = 0;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++)
        for (uint64_t seed = 1; all[i].stored && seed <= ROUNDS; seed++)
            left += compare(&all[i], seed * 0x9e3779b97f4a7c15ull + i);
    assert_true(left > 1000);
}

/* A member that is not what it was is gone through, also where the other looks the same. */
static void other_members_are_gone_through(void **state) {
    static const char *const pod = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"name\":\"a\","
                                   "\"image\":\"b\"}]},\"status\":{\"unheard\":1}}";
    const struct resource *r = resource_by_plural("", "v1", "pods");
    _cleanup_json_ struct json *known = NULL, *doc = NULL;
    assert_int_equal(json_parse(pod, strlen(pod), NULL, &known, NULL), 0);
    assert_int_equal(json_parse(pod, strlen(pod), NULL, &doc, NULL), 0);
    normalize(r, known, &doc);
    assert_string_equal(json_str(json_path(doc, "spec", "restartPolicy")), "Always");
    assert_null(json_path(doc, "status", "unheard"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_members_are_enough),
        cmocka_unit_test(other_members_are_gone_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
