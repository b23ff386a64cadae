/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every row of defaults.tsv, through the real server: what the tables alone decide in every place it may stand
 * (default_places.h), the rest by cases. A case of a file in cases/defaults:
 *
 *   - rows: [core.v1.PodSpec.priority = PriorityClass.value]   the rows it shows
 *     before: [{…}]                objects that must be there; all go when the case is over
 *     create: {…}                  the object
 *     expect: {spec.priority: 7}   in the answer and in the store; null: not there; ~TEXT: a regular expression
 *     refused: TEXT                instead of expect: 422 (or `code`), and TEXT is in the message
 *     given: {spec.priority: 7}    created again with these; they stay
 *     then:                        changes of the object, one after another
 *       - {verb: PATCH|PUT|POST, sub: status, body: {…}, expect: {…}}
 *                                  PUT: body is laid over the object as it is
 */
#include <regex.h>

#include "tests/unit/apiserver/default_places.h"
#include "tests/unit/apiserver/default_rows.h"

struct one_case {
    struct fixture *f;
    struct default_rows *rows;
    const struct json *spec;
    char *title; /* file:line */
    char *path;  /* of the object once created */
    char **made; /* paths to delete at the end */
    unsigned serial;
};

static bool fits(const struct json *want, const struct json *got) {
    const char *pattern = json_str_or(want, "");
    if (*pattern != '~')
        return json_is_null(want) ? json_is_null(got) : json_equal(want, got);
    regex_t re;
    assert_int_equal(regcomp(&re, pattern + 1, REG_EXTENDED | REG_NOSUB), 0);
    bool match = json_str(got) && regexec(&re, json_str(got), 0, NULL, 0) == 0;
    regfree(&re);
    return match;
}

static void check_members(struct one_case *c, const struct json *expect, const struct json *doc) {
    for (size_t i = 0; i < json_len(expect); i++) {
        const struct json *got = path_get(doc, json_key_at(expect, i)), *want = json_value_at(expect, i);
        if (fits(want, got))
            continue;
        _cleanup_free_ char *a = json_to_text(got), *b = json_to_text(want);
        row_fails(c->rows, "%s: %s: %s instead of %s", c->title, json_key_at(expect, i), a, b);
    }
}

/* Creates an object of any kind; its path is remembered for the end. Takes doc. */
static struct answer create(struct one_case *c, struct json *doc) {
    const char *version = json_str_or(json_get(doc, "apiVersion"), ""), *kind = json_str_or(json_get(doc, "kind"), "");
    const struct resource *r = resource_by_api_version(version, kind);
    if (!r)
        fail_msg("%s: no kind %s %s", c->title, version, kind);
    if (json_is_null(json_path(doc, "metadata", "name")) && json_is_null(json_path(doc, "metadata", "generateName")))
        json_set_path(&doc, json_stringf("h%u", c->serial++), "metadata", "name");
    _cleanup_free_ char *collection = collection_of(r, json_str(json_path(doc, "metadata", "namespace")));
    _cleanup_free_ char *body = json_to_text(doc);
    struct answer a = ask(c->f, "POST", collection, body);
    if (a.code == 201 && r->stored) {
        free(c->path);
        c->path = xasprintf("%s/%s", collection, json_str_or(json_path(a.body, "metadata", "name"), ""));
        strv_push_dup(&c->made, c->path);
    }
    json_unref(doc);
    return a;
}

static void expect_created(struct one_case *c, struct json *doc, const struct json *expect) {
    _cleanup_answer_ struct answer a = create(c, doc);
    if (a.code != 201) {
        row_fails(c->rows, "%s: %ld %s", c->title, a.code, message_of(&a));
        return;
    }
    check_members(c, expect, a.body);
    if (!c->path)
        return; /* nothing is stored */
    _cleanup_answer_ struct answer stored = ask(c->f, "GET", c->path, NULL);
    check_members(c, expect, stored.body);
}

static void lay_over(struct json **doc, const struct json *over) {
    for (size_t i = 0; i < json_len(over); i++) {
        const char *key = json_key_at(over, i);
        if (json_is_null(json_value_at(over, i)))
            (void) json_del(doc, key);
        else if (json_is_object(json_value_at(over, i)) && json_is_object(json_get(*doc, key)))
            lay_over(json_edit(doc, key), json_value_at(over, i));
        else
            json_set(doc, key, json_ref(json_value_at(over, i)));
    }
}

static void change(struct one_case *c, const struct json *step) {
    const char *verb = json_str_or(json_get(step, "verb"), "PATCH"), *sub = json_get_str(step, "sub");
    _cleanup_free_ char *path = xasprintf("%s%s%s", c->path, *sub ? "/" : "", sub);
    _cleanup_json_ struct json *body = json_ref(json_get(step, "body"));
    if (strcmp(verb, "PUT") == 0) {
        _cleanup_answer_ struct answer now = ask(c->f, "GET", c->path, NULL);
        struct json *doc = json_ref(now.body);
        lay_over(&doc, body);
        json_unref(body);
        body = doc;
    }
    _cleanup_free_ char *text = json_to_text(body);
    _cleanup_answer_ struct answer a = ask(c->f, verb, path, text);
    if (a.code != 200 && a.code != 201)
        row_fails(c->rows, "%s: %s %s: %ld %s", c->title, verb, sub, a.code, message_of(&a));
    else
        check_members(c, json_get(step, "expect"), a.body);
}

static struct json *with_given(struct one_case *c) {
    const struct json *given = json_get(c->spec, "given");
    struct json *doc = json_ref(json_get(c->spec, "create"));
    for (size_t i = 0; i < json_len(given); i++)
        path_set(&doc, json_key_at(given, i), json_ref(json_value_at(given, i)));
    if (json_path(doc, "metadata", "name") && !json_path(given, "metadata", "name"))
        json_set_path(&doc, json_stringf("%s-g", json_str(json_path(doc, "metadata", "name"))), "metadata", "name");
    return doc;
}

static void name_rows(struct one_case *c) {
    const struct json *names = json_get(c->spec, "rows");
    for (size_t i = 0; i < json_len(names); i++) {
        struct default_row *r = row_of(c->rows, json_str_or(json_at(names, i), ""));
        if (r)
            r->by_hand++;
        else
            row_fails(c->rows, "%s: no such row, or several: %s", c->title, json_str_or(json_at(names, i), ""));
    }
}

static void run_case(struct one_case *c) {
    const struct json *before = json_get(c->spec, "before"), *then = json_get(c->spec, "then");
    const char *refused = json_get_str(c->spec, "refused");
    for (size_t i = 0; i < json_len(before); i++)
        expect_created(c, json_ref(json_at(before, i)), NULL);
    free(steal(&c->path));
    if (*refused) {
        _cleanup_answer_ struct answer a = create(c, json_ref(json_get(c->spec, "create")));
        if (a.code != json_int_or(json_get(c->spec, "code"), 422) || !strstr(message_of(&a), refused))
            row_fails(c->rows, "%s: %ld %s", c->title, a.code, message_of(&a));
    } else {
        expect_created(c, json_ref(json_get(c->spec, "create")), json_get(c->spec, "expect"));
    }
    for (size_t i = 0; i < json_len(then) && c->path; i++)
        change(c, json_at(then, i));
    if (json_len(json_get(c->spec, "given")))
        expect_created(c, with_given(c), json_get(c->spec, "given"));
    for (size_t i = strv_len(c->made); i-- > 0;) {
        _cleanup_answer_ struct answer gone =
            ask(c->f, "DELETE", c->made[i], "{\"gracePeriodSeconds\":0,\"propagationPolicy\":\"Background\"}");
        /* no controller is here to let protected claims go */
        _cleanup_answer_ struct answer free = ask(c->f, "PATCH", c->made[i], "{\"metadata\":{\"finalizers\":null}}");
    }
}

static void case_file(struct fixture *f, struct default_rows *rows, const char *name, bool run) {
    _cleanup_free_ char *path = xasprintf(CASES "%s", name);
    _cleanup_json_ struct json *cases = read_yaml(path);
    assert_true(json_len(cases) > 0);
    for (size_t i = 0; i < json_len(cases); i++) {
        struct one_case c = {.f = f, .rows = rows, .spec = json_at(cases, i), .made = strv_new()};
        c.title = xasprintf("%s:%u", name, json_line(c.spec));
        if (run)
            run_case(&c);
        else
            name_rows(&c);
        free(c.title);
        free(c.path);
        strv_free(c.made);
    }
}

static const char *const case_files[] = {"core.yaml", "groups.yaml", "admission.yaml", "rest.yaml"};

/* Who is neither tested nor on the list fails; the list is shown. */
static void summary(struct default_rows *rows) {
    unsigned by_table = 0, by_hand = 0, not_done = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const struct default_row *r = &rows->items[i];
        if (r->not_done && (r->by_hand || r->by_table))
            row_fails(rows, "tested, and yet on the list of what is not done: %s", r->field);
        else if (!r->not_done && !r->by_hand && !r->by_table)
            row_fails(rows, "neither tested nor on the list: %s = %s (%s, %s)", r->field, r->value, r->condition,
                      r->stage);
        by_table += r->by_table > 0;
        by_hand += r->by_hand > 0;
        not_done += r->not_done != NULL;
        if (r->not_done)
            print_message("not done: %s = %s: %s\n", r->field, r->value, r->not_done);
    }
    print_message("defaults.tsv: %zu rows, %u tested from the tables, %u by cases, %u not done\n", rows->n, by_table,
                  by_hand, not_done);
}

static void test_rows(void **state) {
    struct fixture *f = *state;
    struct default_rows *rows = xnew0(struct default_rows);
    rows_read(rows);
    for (size_t i = 0; i < ARRAY_LEN(case_files); i++)
        case_file(f, rows, case_files[i], false);
    test_places(f, rows);
    for (size_t i = 0; i < ARRAY_LEN(case_files); i++)
        case_file(f, rows, case_files[i], true);
    summary(rows);
    unsigned failures = rows->failures;
    rows_finish(rows);
    free(rows);
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, fixture_setup_local, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
