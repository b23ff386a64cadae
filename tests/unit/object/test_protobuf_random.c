/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random documents of every kind through protobuf and back: nothing is lost, nothing comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/protobuf.h"
#include "podium/base/alloc.h"
#include "tests/unit/object/random_document.h"

#define ROUNDS 9

static void normalize(const struct resource *r, struct json **doc) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (schema_decode(type_by_name(r->type), doc, NULL, &err) < 0)
        fail_msg("%s: %s", r->kind, error_text(&err, 0));
    schema_default(r->api_version, r->kind, doc);
}

static void round_trip(const struct resource *r, uint64_t seed) {
    struct dice d = {.state = seed, .density = 20 + (unsigned) (seed % 3) * 30, .depth_max = 8};
    _cleanup_json_ struct json *doc = random_document(&d, r), *back = NULL;
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT, again = STRBUF_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    normalize(r, &doc);
    if (protobuf_encode(doc, &bytes, &err) < 0 || protobuf_decode(bytes.data, bytes.len, &back, &err) < 0)
        fail_msg("%s, seed %llu: %s", r->kind, (unsigned long long) seed, error_text(&err, 0));
    normalize(r, &back);
    if (!json_equal(back, doc)) {
        _cleanup_free_ char *a = json_to_text(back), *b = json_to_text(doc);
        fail_msg("%s, seed %llu:\n got  %s\n want %s", r->kind, (unsigned long long) seed, a, b);
    }
    assert_int_equal(protobuf_encode(back, &again, NULL), 0);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.data, bytes.data, bytes.len);
}

static void random_documents_round_trip(void **state) {
    size_t n, kinds = 0;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].stored || !protobuf_has_form(all[i].api_version, all[i].kind))
            continue;
        kinds++;
        for (uint64_t seed = 1; seed <= ROUNDS; seed++)
            round_trip(&all[i], seed * 0x9e3779b97f4a7c15ull + i);
    }
    assert_true(kinds > 45);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_documents_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
