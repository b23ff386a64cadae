/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packed documents are as their trees to every reader and writer; parts of texts are found as a parser finds them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/limits.h"

static struct json *parse(const char *text) {
    struct json_parse_options o = {.seal = "fieldsV1"};
    struct json *v = NULL;

    assert_int_equal(json_parse(text, strlen(text), &o, &v, NULL), 0);
    return v;
}

static void assert_text(const struct json *v, const char *text) {
    _cleanup_free_ char *got = json_to_text(v);

    assert_string_equal(got, text);
}

static const char sample[] =
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"labels\":{\"a\":\"a\",\"b\":\"\"},"
    "\"managedFields\":[{\"fieldsV1\":{\"f:x\":{}},\"manager\":\"m\"}]},"
    "\"spec\":{\"n\":-5,\"d\":1.5,\"big\":9223372036854775807,\"yes\":true,\"no\":false,\"nil\":null,"
    "\"list\":[[],{},\"x\\ny\",[1,[2]]],\"empty\":{}}}";

static void a_packed_document_reads_like_its_tree(void **state) {
    _cleanup_json_ struct json *tree = parse(sample), *packed = json_packed(tree, NULL);

    assert_ptr_not_equal(tree, packed);
    assert_text(packed, sample);
    assert_true(json_equal(tree, packed));
    assert_true(json_equal(packed, tree));
    const struct json *spec = json_get(packed, "spec");
    assert_int_equal(json_int_or(json_get(spec, "n"), 0), -5);
    assert_true(json_double_or(json_get(spec, "d"), 0) == 1.5);
    assert_true(json_bool_or(json_get(spec, "yes"), false));
    assert_false(json_bool_or(json_get(spec, "no"), true));
    assert_true(json_is_null(json_get(spec, "nil")));
    assert_null(json_get(spec, "absent"));
    assert_null(json_at(json_get(spec, "list"), 4));
    assert_string_equal(json_str(json_at(json_get(spec, "list"), 2)), "x\ny");
    assert_string_equal(json_key_at(spec, 0), "n");
    assert_int_equal(json_line(spec), 0);
    const struct json *sealed = json_get(json_at(json_path(packed, "metadata", "managedFields"), 0), "fieldsV1");
    assert_int_equal(json_type(sealed), JSON_SEALED);
    _cleanup_json_ struct json *opened = json_opened(sealed);
    assert_true(json_is_object(json_get(opened, "f:x")));
    assert_true(json_within(packed, 100, 10));
    assert_false(json_within(packed, 5, 10));
    _cleanup_json_ struct json *again = json_packed(packed, NULL);
    assert_ptr_equal(again, packed); /* once is enough */
}

static struct json *parse_packed(const char *text) {
    struct json *v = NULL;

    assert_int_equal(json_parse_packed(text, strlen(text), &(struct json_packed_options){.seal = "fieldsV1"}, &v, NULL),
                     0);
    return v;
}

static void a_text_is_read_into_a_packed_document(void **state) {
    _cleanup_json_ struct json *tree = parse(sample), *packed = parse_packed(sample);

    assert_text(packed, sample);
    assert_true(json_equal(tree, packed));
    const struct json *sealed = json_get(json_at(json_path(packed, "metadata", "managedFields"), 0), "fieldsV1");
    assert_int_equal(json_type(sealed), JSON_SEALED);
    assert_string_equal(json_sealed_text(sealed, NULL), "{\"f:x\":{}}");
    assert_string_equal(json_get_str(json_at(json_path(packed, "metadata", "managedFields"), 0), "manager"), "m");
    _cleanup_json_ struct json *again = json_packed(packed, NULL);
    assert_ptr_equal(again, packed);
    /* what is kept in great number shares its words, however it was read */
    struct json_words *words = json_words_new();
    _cleanup_json_ struct json *kept = json_packed(packed, words), *kept_again = json_packed(kept, words);
    assert_ptr_not_equal(kept, packed);
    assert_ptr_equal(kept_again, kept);
    assert_text(kept, sample);
    json_words_free(words);
    _cleanup_json_ struct json *scalar = parse_packed(" 7 "), *text = parse_packed("\"fieldsV1\"");
    assert_int_equal(json_int_or(scalar, 0), 7);
    assert_string_equal(json_str(text), "fieldsV1");
}

/* Texts and trees come to the same: each holds once what the others hold, too. */
static void texts_are_read_with_a_vocabulary(void **state) {
    struct json_words *words = json_words_new();
    const struct json_packed_options how = {.seal = "fieldsV1", .words = words};
    struct json *all[40], *scalar = NULL;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(json_parse_packed(sample, strlen(sample), &how, &all[i], NULL), 0);
        assert_text(all[i], sample);
    }
    _cleanup_json_ struct json *tree = parse(sample), *packed = json_packed(tree, words), *again = NULL;
    struct json *last = all[ARRAY_LEN(all) - 1];
    assert_ptr_equal(json_key_value_at(last, 0), json_key_value_at(packed, 0));
    assert_ptr_equal(json_get(last, "kind"), json_get(packed, "kind"));
    assert_ptr_equal(json_get(json_at(json_path(last, "metadata", "managedFields"), 0), "fieldsV1"),
                     json_get(json_at(json_path(all[20], "metadata", "managedFields"), 0), "fieldsV1"));
    struct json_words *others = json_words_new();
    again = json_packed(last, others);
    assert_ptr_equal(again, last); /* whose words they are makes no difference */
    json_words_free(others);
    /* a word alone is a document of its own, with one reference */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(json_parse_packed("\"Pod\"", 5, &how, &scalar, NULL), 0);
        assert_string_equal(json_str(scalar), "Pod");
        assert_false(json_is_shared(scalar));
        json_unref(scalar);
    }
    json_words_free(words);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_text(all[i], sample);
        json_unref(all[i]);
    }
}

/* More strings, parts and words than a draft begins with. */
static void large_texts_grow_their_draft(void **state) {
    _cleanup_json_ struct json *tree = json_array(), *packed = NULL;

    for (int i = 0; i < 3000; i++)
        json_append(&tree, json_stringf("a text that comes once, number %d of many", i));
    _cleanup_free_ char *text = json_to_text(tree);
    packed = parse_packed(text);
    assert_true(json_equal(tree, packed));
    assert_text(packed, text);
}

static void a_blank_is_filled_in(void **state) {
    struct json_words *words = json_words_new();
    _cleanup_json_ struct json *tree = parse("{\"a\":\"    \",\"b\":{\"c\":\"    \"},\"d\":\"    \"}");
    struct json *blank = NULL;

    for (int i = 0; i < 40; i++) { /* also when the same text has become a word */
        _cleanup_json_ struct json *packed =
            json_packed_blank(tree, i % 2 ? words : NULL, json_path(tree, "b", "c"), &blank);
        assert_ptr_equal(blank, json_path(packed, "b", "c"));
        json_fill_blank(blank, "17", 2);
        assert_text(packed, "{\"a\":\"    \",\"b\":{\"c\":\"17\"},\"d\":\"    \"}");
    }
    assert_text(tree, "{\"a\":\"    \",\"b\":{\"c\":\"    \"},\"d\":\"    \"}");
    json_words_free(words);
}

static void what_cannot_be_packed_is_told(void **state) {
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"", -EINVAL}, {"{\"a\":", -EINVAL}, {"{}x", -EINVAL}, {"[1e999]", -EINVAL}, {"{\"a\":\"\xff\"}", -EINVAL}};
    char deep[2 * JSON_DEPTH_MAX + 3];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *v = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(json_parse_packed(rows[i].text, strlen(rows[i].text), NULL, &v, &err), rows[i].code);
        assert_null(v);
    }
    for (unsigned extra = 0; extra < 2; extra++) { /* the last level allowed, and one more */
        size_t n = JSON_DEPTH_MAX + extra;
        _cleanup_json_ struct json *v = NULL;
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        assert_int_equal(json_parse_packed(deep, 2 * n, NULL, &v, NULL), extra ? -ELOOP : 0);
    }
}

static void writing_copies_and_leaves_the_packed_alone(void **state) {
    _cleanup_json_ struct json *tree = parse(sample), *packed = json_packed(tree, NULL), *other = json_ref(packed);

    json_set_path(&other, json_string("b"), "metadata", "labels", "c");
    json_set_path(&other, json_int(7), "spec", "n");
    json_append(json_edit(json_edit(&other, "spec"), "list"), json_int(9));
    json_remove_at(json_edit(json_edit(&other, "spec"), "list"), 0);
    assert_true(json_del(json_edit(&other, "spec"), "yes"));
    assert_non_null(json_edit_at(json_edit(json_edit(&other, "spec"), "list"), 0));
    assert_text(packed, sample);
    assert_int_equal(json_int_or(json_path(other, "spec", "n"), 0), 7);
    assert_string_equal(json_get_str(json_path(other, "metadata", "labels"), "c"), "b");
    assert_int_equal(json_len(json_path(other, "spec", "list")), 4);
    assert_null(json_path(other, "spec", "yes"));
    /* a document of its own, parts of which are packed, can be packed, too */
    _cleanup_json_ struct json *repacked = json_packed(other, NULL);
    assert_true(json_equal(repacked, other));
}

static void a_part_holds_the_whole(void **state) {
    _cleanup_json_ struct json *tree = parse(sample);
    struct json *packed = json_packed(tree, NULL);
    _cleanup_json_ struct json *part = json_ref(json_path(packed, "metadata", "labels"));
    _cleanup_json_ struct json *key = json_ref(json_key_value_at(part, 1));

    assert_true(json_is_shared(packed));
    json_unref(packed);
    assert_text(part, "{\"a\":\"a\",\"b\":\"\"}");
    assert_string_equal(json_str(key), "b");
    _cleanup_json_ struct json *alone = json_packed(part, NULL);
    assert_text(alone, "{\"a\":\"a\",\"b\":\"\"}");
    _cleanup_json_ struct json *scalar = json_packed(json_get(part, "a"), NULL);
    assert_ptr_equal(scalar, json_get(part, "a"));
}

static void keys_in_common_outlive_the_vocabulary(void **state) {
    struct json_words *words = json_words_new();
    _cleanup_json_ struct json *tree = parse(sample), *one = json_packed(tree, words), *two = json_packed(tree, words);

    assert_ptr_equal(json_key_value_at(one, 0), json_key_value_at(two, 0));
    _cleanup_json_ struct json *key = json_ref(json_key_value_at(one, 1));
    json_words_free(words);
    assert_text(one, sample);
    json_unref(steal(&one));
    assert_text(two, sample);
    json_unref(steal(&two));
    assert_string_equal(json_str(key), "metadata");
}

static void values_that_come_often_are_held_once(void **state) {
    struct json_words *words = json_words_new();
    _cleanup_json_ struct json *tree = parse(sample), *last = NULL;

    for (int i = 0; i < 40; i++) {
        _cleanup_json_ struct json *packed = json_packed(tree, words);
        assert_text(packed, sample);
        assert_true(json_equal(packed, tree));
        json_unref(last);
        last = steal(&packed);
    }
    _cleanup_json_ struct json *other = json_packed(tree, words), *value = json_ref(json_get(other, "kind"));
    assert_ptr_equal(json_get(last, "kind"), value);
    assert_ptr_equal(json_get(json_at(json_path(last, "metadata", "managedFields"), 0), "fieldsV1"),
                     json_get(json_at(json_path(other, "metadata", "managedFields"), 0), "fieldsV1"));
    json_words_free(words);
    json_unref(steal(&other));
    json_unref(steal(&last));
    assert_string_equal(json_str(value), "Pod");
}

static void a_full_vocabulary_only_costs_memory(void **state) {
    struct json_words *words = json_words_new();
    char key[128];

    for (int round = 0; round < 60; round++) {
        _cleanup_json_ struct json *tree = json_object();
        for (int i = 0; i < 200; i++) {
            (void) snprintf(key, sizeof(key), "key-%d-%d-%s", round, i,
                            i % 50 == 0 ? "with-a-name-that-is-rather-long-"
                                          "for-a-vocabulary-of-keys-0123456789"
                                        : "");
            json_set(&tree, key, json_int(i));
        }
        _cleanup_json_ struct json *packed = json_packed(tree, words);
        assert_true(json_equal(tree, packed));
        for (int i = 0; i < 200; i++) /* by the index */
            assert_int_equal(json_int_or(json_get(packed, json_key_at(tree, (size_t) i)), -1), i);
        assert_null(json_get(packed, "absent"));
    }
    json_words_free(words);
}

/* --- random documents --- */

static struct json *random_value(unsigned *seed, unsigned depth) {
    int kind = rand_r(seed) % (depth > 0 ? 9 : 6), n = rand_r(seed) % (rand_r(seed) % 8 == 0 ? 40 : 6);
    char text[48];
    struct json *v;

    (void) snprintf(text, sizeof(text), "%.*s", rand_r(seed) % 20, "some words of text, \"quoted\\ and [so] {on}");
    switch (kind) {
    case 0:
        return json_null();
    case 1:
        return json_bool(rand_r(seed) % 2);
    case 2:
        return json_int((int64_t) rand_r(seed) * (rand_r(seed) % 2 ? 1 : -4294967296));
    case 3:
        return json_double((double) rand_r(seed) / 3);
    case 4:
    case 5:
        return json_string(text);
    case 6:
        v = json_array();
        for (int i = 0; i < n; i++)
            json_append(&v, random_value(seed, depth - 1));
        return v;
    default:
        v = json_object();
        for (int i = 0; i < n; i++) {
            (void) snprintf(text, sizeof(text), "k%d", rand_r(seed) % 60);
            json_set(&v, text, random_value(seed, depth - 1));
        }
        return v;
    }
}

static void assert_spans(const struct json *object, const char *text) {
    const struct json_span all = {text, strlen(text)};
    struct json_span got;

    for (size_t i = 0; i < json_len(object); i++) {
        _cleanup_free_ char *want = json_to_text(json_value_at(object, i));
        assert_true(json_span_member(all, json_key_at(object, i), &got));
        assert_int_equal(got.len, strlen(want));
        assert_memory_equal(got.text, want, got.len);
    }
    assert_false(json_span_member(all, "absent", &got));
    for (size_t n = 0; n < all.len; n++) { /* cut anywhere, it stays within what it was given */
        _cleanup_free_ char *cut = xmemdup(text, n + 1);
        (void) json_span_member((struct json_span){cut + 1, n}, "k59", &got);
        (void) json_span_member((struct json_span){cut, n}, "k59", &got);
    }
}

static void random_documents(void **state) {
    struct json_words *words = json_words_new();

    for (unsigned s = 1; s <= 400; s++) {
        unsigned seed = s;
        _cleanup_json_ struct json *tree = json_object(), *packed = NULL;
        for (int i = 0; i < 6; i++) {
            char key[16];
            (void) snprintf(key, sizeof(key), "m%d", i);
            json_set(&tree, key, random_value(&seed, 4));
        }
        packed = json_packed(tree, s % 2 ? words : NULL);
        _cleanup_free_ char *want = json_to_text(tree);
        assert_text(packed, want);
        assert_true(json_equal(tree, packed));
        _cleanup_json_ struct json *read = parse_packed(want);
        assert_text(read, want);
        assert_true(json_equal(tree, read));
        if (s % 20 == 0 && strlen(want) < 20000)
            assert_spans(tree, want);
        struct json **slot = json_edit(&packed, "m3"); /* writes go into a copy */
        json_unref(*slot);
        *slot = json_int(1);
        json_set(&tree, "m3", json_int(1));
        assert_true(json_equal(tree, packed));
    }
    json_words_free(words);
}

/* --- threads --- */

struct common {
    struct json *tree, *packed;
    struct json_words *words;
};

static void *use(void *userdata) {
    const struct common *c = userdata;

    for (int i = 0; i < 300; i++) {
        _cleanup_json_ struct json *mine = json_ref(c->packed), *part = json_ref(json_get(mine, "spec")),
                                   *own = json_packed(c->tree, c->words);
        json_set_path(&mine, json_int(i), "spec", "n");
        if (json_int_or(json_path(mine, "spec", "n"), -1) != i || !json_equal(own, c->packed) ||
            json_int_or(json_get(part, "n"), 0) != -5)
            return (void *) c;
    }
    return NULL;
}

static void threads_share_packed_documents(void **state) {
    struct common c = {.tree = parse(sample), .words = json_words_new()};
    pthread_t t[4];

    c.packed = json_packed(c.tree, c.words);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, use, &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *failed;
        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
    json_unref(c.tree);
    json_words_free(c.words);
    assert_text(c.packed, sample);
    json_unref(c.packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_document_reads_like_its_tree),
        cmocka_unit_test(a_text_is_read_into_a_packed_document),
        cmocka_unit_test(texts_are_read_with_a_vocabulary),
        cmocka_unit_test(large_texts_grow_their_draft),
        cmocka_unit_test(a_blank_is_filled_in),
        cmocka_unit_test(what_cannot_be_packed_is_told),
        cmocka_unit_test(writing_copies_and_leaves_the_packed_alone),
        cmocka_unit_test(a_part_holds_the_whole),
        cmocka_unit_test(keys_in_common_outlive_the_vocabulary),
        cmocka_unit_test(values_that_come_often_are_held_once),
        cmocka_unit_test(a_full_vocabulary_only_costs_memory),
        cmocka_unit_test(random_documents),
        cmocka_unit_test(threads_share_packed_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
