/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of rules as a set of tests, one per type: the typed cases of a folder of YAML files and those generated from
 * the rows themselves. A file holds documents
 *
 *   type: core.v1.PodSpec
 *   rows:
 *   - field: dnsConfig.options[].name
 *     rule: required            exactly as in the table (may be left out when the field has one row only)
 *     with: {path: value}       for all cases of this row, generated ones too
 *     generate: false           the words of the row are not to be taken literally
 *     cases: [...]              rows_case.h
 *
 * A row without a case and not wholly understood by rows_generate.h must stand in a not-done*.tsv; a row that stands
 * there although its cases pass is an error as well.
 */
#ifndef TESTS_APISERVER_ROWS_SUITE_H
#define TESTS_APISERVER_ROWS_SUITE_H

#include <dirent.h>
#include <stdio.h>

#include "orchestrator/manifest/yaml.h"
#include "tests/unit/apiserver/rows_generate.h"

struct rows_suite {
    struct rows_world world;
    struct row_table table;
    struct json **documents;
    size_t n, cap;
};

/* What runs as one test. */
struct rows_group {
    struct rows_suite *suite;
    const char *type;
};

/* --- files --- */

static inline void rows_read(const char *path, struct json ***ret, size_t *ret_n) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    FILE *f = fopen(path, "re");
    char buf[4096];
    if (!f)
        fail_msg("cannot open %s", path);
    for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
        strbuf_add(&text, buf, n);
    fclose(f);
    if (yaml_parse_documents(path, strbuf_str(&text), text.len, ret, ret_n, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
}

static inline int rows_cases_only(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0 && strcmp(entry->d_name, "bases.yaml") != 0;
}
static inline int rows_lists_only(const struct dirent *entry) {
    return strncmp(entry->d_name, "not-done", 8) == 0;
}

static inline void rows_documents(struct rows_suite *s, const char *path) {
    struct json **documents;
    size_t n;
    rows_read(path, &documents, &n);
    for (size_t i = 0; i < n; i++) {
        xgrow(&s->documents, s->n, &s->cap);
        s->documents[s->n++] = json_ref(documents[i]);
    }
    yaml_documents_free(documents, n);
}

/* folder: of the cases and the not-done*.tsv. bases: the file of the bases. */
static inline void rows_suite_load(struct rows_suite *s, const char *table, bool defaults, const char *folder,
                                   const char *bases) {
    struct dirent **names;
    struct json **documents;
    size_t n_documents;
    row_table_load(&s->table, table, defaults);
    rows_read(bases, &documents, &n_documents);
    s->world.bases = json_ref(json_get(documents[0], "bases"));
    s->world.sites = json_ref(json_get(documents[0], "sites"));
    s->world.texts = json_ref(json_get(documents[0], "texts"));
    yaml_documents_free(documents, n_documents);
    for (int lists = 0; lists < 2; lists++) {
        int n = scandir(folder, &names, lists ? rows_lists_only : rows_cases_only, alphasort);
        assert_true(n >= 0);
        for (int i = 0; i < n; i++) {
            _cleanup_free_ char *path = path_join(folder, names[i]->d_name);
            if (lists)
                row_table_not_done(&s->table, path);
            else
                rows_documents(s, path);
            free(names[i]);
        }
        free(names);
    }
}

/* Objects that cases need to be there: "objects" of bases.yaml; those with finalizers are deleted, and so stay. */
static inline void rows_suite_objects(struct rows_suite *s, const char *bases) {
    struct json **documents;
    size_t n;
    rows_read(bases, &documents, &n);
    const struct json *objects = json_get(documents[0], "objects");
    for (size_t i = 0; i < json_len(objects); i++) {
        _cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
        _cleanup_free_ char *text = json_to_text(json_at(objects, i));
        rows_list_url(&url, json_at(objects, i));
        _cleanup_answer_ struct answer a = ask(&s->world.fixture, "POST", strbuf_str(&url), text);
        if (a.code != 201 && a.code != 409)
            fail_msg("%s: %s", strbuf_str(&url), message_of(&a));
        if (json_len(json_path(json_at(objects, i), "metadata", "finalizers"))) { /* meant to be on its way out */
            strbuf_addf(&url, "/%s", json_str(json_path(json_at(objects, i), "metadata", "name")));
            _cleanup_answer_ struct answer gone = ask(&s->world.fixture, "DELETE", strbuf_str(&url), NULL);
            assert_int_equal(gone.code / 100, 2);
        }
    }
    yaml_documents_free(documents, n);
}

static inline void rows_suite_finish(struct rows_suite *s) {
    for (size_t i = 0; i < s->n; i++)
        json_unref(s->documents[i]);
    free(s->documents);
    json_unref(s->world.bases);
    json_unref(s->world.sites);
    json_unref(s->world.texts);
    row_table_finish(&s->table);
}

/* --- rows --- */

struct rows_attempt {
    struct rows_suite *suite;
    struct row *row;
    const struct json *with;
    bool generated;
};

static inline void rows_attempt(void *userdata, const struct json *one) {
    struct rows_attempt *a = userdata;
    _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
    const struct json *site = json_get(a->suite->world.sites, a->row->type);
    if (!site)
        fail_msg("%s has no site in bases.yaml", a->row->type);
    *(a->generated ? &a->row->n_generated : &a->row->n_typed) += 1;
    if (rows_try(&a->suite->world, site, a->with, one, &why))
        return;
    a->row->n_failed++;
    if (a->row->not_done)
        return;
    _cleanup_free_ char *text = json_to_text(one);
    printf("# %s %s: %s\n      %s case %.600s\n%s", a->row->type, a->row->field, a->row->rule,
           a->generated ? "generated" : "typed", text, strbuf_str(&why));
}

/* The typed cases of an entry; false when it names no row. */
static inline bool rows_entry(struct rows_suite *s, const char *type, const struct json *entry) {
    struct row *row = row_find(&s->table, type, json_get_str(entry, "field"), json_get_str(entry, "rule"));
    if (!row) {
        printf("# no such row: %s %s: %s\n", type, json_get_str(entry, "field"), json_get_str(entry, "rule"));
        return false;
    }
    struct rows_attempt a = {.suite = s, .row = row, .with = json_get(entry, "with")};
    for (size_t i = 0; i < json_len(json_get(entry, "cases")); i++)
        rows_attempt(&a, json_at(json_get(entry, "cases"), i));
    return true;
}

static inline const struct json *rows_entry_of(const struct rows_suite *s, const struct row *row) {
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0;
             json_get_is(s->documents[i], "type", row->type) && k < json_len(json_get(s->documents[i], "rows")); k++) {
            const struct json *entry = json_at(json_get(s->documents[i], "rows"), k);
            if (json_get_is(entry, "field", row->field) &&
                (!json_get(entry, "rule") || json_get_is(entry, "rule", row->rule)))
                return entry;
        }
    return NULL;
}

static inline void rows_generated(struct rows_suite *s, struct row *row) {
    const struct json *entry = rows_entry_of(s, row);
    struct rows_attempt a = {.suite = s, .row = row, .with = json_get(entry, "with"), .generated = true};
    struct rows_sink sink = {.take = rows_attempt, .userdata = &a};
    sink.required = json_get(entry, "with") || !json_get(entry, "cases");
    if (json_bool_or(json_get(entry, "generate"), true) && json_get(s->world.sites, row->type))
        row->all_generated = rows_generate(row, &sink) && row->n_generated;
}

static inline const char *rows_verdict(const struct row *row) {
    bool tested = row->n_typed || row->all_generated;
    if (row->not_done)
        return tested && !row->n_failed ? "passes: take it off the list of what is not done" : NULL;
    return row->n_failed ? "fails" : tested ? NULL : "has no test and is not on the list of what is not done";
}

static inline void rows_test(void **state) {
    struct rows_group *g = *state;
    struct rows_suite *s = g->suite;
    unsigned wrong = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0;
             json_get_is(s->documents[i], "type", g->type) && k < json_len(json_get(s->documents[i], "rows")); k++)
            wrong += !rows_entry(s, g->type, json_at(json_get(s->documents[i], "rows"), k));
    for (size_t i = 0; i < s->table.n; i++) {
        struct row *row = &s->table.items[i];
        if (strcmp(row->type, g->type) != 0)
            continue;
        rows_generated(s, row);
        if (rows_verdict(row) && ++wrong)
            printf("# %s\t%s\t%s\t%s\n", row->type, row->field, row->rule, rows_verdict(row));
    }
    if (wrong)
        fail_msg("%u rows of %s", wrong, g->type);
}

/* The rows that are not done, with the reason, and the counts. */
static inline void rows_summary(void **state) {
    const struct rows_group *g = *state;
    const struct row_table *t = &g->suite->table;
    size_t n = 0, typed = 0, generated = 0, cases = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct row *row = &t->items[i];
        cases += row->n_typed + row->n_generated;
        typed += !row->not_done && row->n_typed > 0;
        generated += !row->not_done && !row->n_typed && row->all_generated;
        if (row->not_done && ++n)
            printf("# not done: %s %s: %s (%s)\n", row->type, row->field, row->rule, row->not_done);
    }
    printf("# %zu rows: %zu with typed cases, %zu wholly generated, %zu not done; %zu cases\n", t->n, typed, generated,
           n, cases);
}

/* One test per type that has rows here, in the order of the table, then the summary. */
static inline int rows_suite_run(struct rows_suite *s, const char *name) {
    struct rows_group *groups = xcalloc(s->table.n + 1, sizeof(*groups));
    struct CMUnitTest *tests = xcalloc(s->table.n + 1, sizeof(*tests));
    size_t n = 0;
    for (size_t i = 0; i < s->table.n; i++) {
        bool known = false;
        for (size_t k = 0; k < n && !known; k++)
            known = strcmp(groups[k].type, s->table.items[i].type) == 0;
        if (known)
            continue;
        groups[n] = (struct rows_group){.suite = s, .type = s->table.items[i].type};
        tests[n] = (struct CMUnitTest){.name = groups[n].type, .test_func = rows_test, .initial_state = &groups[n]};
        n++;
    }
    groups[n].suite = s;
    tests[n] = (struct CMUnitTest){.name = "summary", .test_func = rows_summary, .initial_state = &groups[n]};
    int rc = _cmocka_run_group_tests(name, tests, n + 1, NULL, NULL);
    free(tests);
    free(groups);
    return rc;
}

#endif
