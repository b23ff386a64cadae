/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our protobuf against Kubernetes' own test vectors (one .json and one .pb per kind), byte by byte and back. They are
 * in Debian's package golang-k8s-api-dev; PODIUM_API_VECTORS names the folder they were unpacked to
 * (tests/clients/api-vectors). Without it there is nothing to compare with, and the test is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define VECTOR_BYTES_MAX (4u << 20)
#define VECTORS_MIN      60 /* kinds that must have been compared: fewer means that the folder is not what we think */

struct tally {
    unsigned compared, wrong;
};

static void complain(struct tally *t, const char *name, const char *what) {
    print_message("%s: %s\n", name, what);
    t->wrong++;
}

static int read_vector(const char *dir, const char *name, const char *suffix, struct strbuf *ret) {
    _cleanup_free_ char *file = xasprintf("%s%s", name, suffix), *path = path_join(dir, file);
    return file_read(path, VECTOR_BYTES_MAX, ret, NULL);
}

/* What a decoder makes of a document: times, quantities and empty members in one shape. */
static void normalize(struct json **doc) {
    const struct type_info *t = type_of_kind(json_str(json_get(*doc, "apiVersion")), json_str(json_get(*doc, "kind")));
    assert_int_equal(schema_decode(t, doc, NULL, NULL), 0);
}

static void compare_back(struct tally *t, const char *name, const struct strbuf *pb, const struct json *want) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (protobuf_decode(pb->data, pb->len, &doc, &err) < 0) {
        complain(t, name, error_text(&err, -EINVAL));
        return;
    }
    normalize(&doc);
    if (json_equal(doc, want))
        return;
    _cleanup_free_ char *a = json_to_text(doc), *b = json_to_text(want);
    size_t at = 0;
    while (a[at] && a[at] == b[at])
        at++;
    print_message("  got  …%.160s\n  want …%.160s\n", a + (at > 40 ? at - 40 : 0), b + (at > 40 ? at - 40 : 0));
    complain(t, name, "decodes to something else");
}

static void compare_bytes(struct tally *t, const char *name, const struct strbuf *pb, const struct json *doc) {
    _cleanup_strbuf_ struct strbuf mine = STRBUF_INIT;
    if (protobuf_encode(doc, &mine, NULL) < 0) {
        complain(t, name, "cannot be encoded");
        return;
    }
    size_t at = 0;
    while (at < mine.len && at < pb->len && mine.data[at] == pb->data[at])
        at++;
    if (at == mine.len && at == pb->len)
        return;
    print_message("  byte %zu of %zu, ours has %zu\n", at, pb->len, mine.len);
    complain(t, name, "other bytes");
}

static void compare(struct tally *t, const char *dir, const char *name) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT, pb = STRBUF_INIT;
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(read_vector(dir, name, ".json", &text), 0);
    assert_int_equal(json_parse(strbuf_str(&text), text.len, NULL, &doc, NULL), 0);
    const struct type_info *type = type_of_kind(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    if (!type || !type->n_proto || read_vector(dir, name, ".pb", &pb) < 0)
        return; /* an alpha or beta version we don't serve */
    t->compared++;
    normalize(&doc);
    compare_bytes(t, name, &pb, doc);
    compare_back(t, name, &pb, doc);
}

static void test_vectors(void **state) {
    const char *dir = getenv("PODIUM_API_VECTORS");
    struct tally t = {0};
    DIR *d = dir ? opendir(dir) : NULL;
    if (!d)
        skip();
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        _cleanup_free_ char *name = xstrndup(e->d_name, n - 5);
        compare(&t, dir, name);
    }
    (void) closedir(d);
    print_message("%u kinds compared, %u complaints\n", t.compared, t.wrong);
    assert_int_equal(t.wrong, 0);
    assert_true(t.compared >= VECTORS_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
