/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans of EndpointSlice writes: full slices, few writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "orchestrator/controller/slices.h"
#include "podium/base/alloc.h"

/* A service's slices as the API would have them after each plan. */
struct world {
    struct json *labels, *owner, *http, *https, *slices; /* slices: array */
    unsigned names;
    size_t created, updated, removed; /* by the last plan */
    bool placeholder;
};

static struct json *parse(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    struct json *doc = NULL;
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(copy, strlen(copy), NULL, &doc, NULL), 0);
    return doc;
}

static int setup(void **state) {
    struct world *w = xnew0(struct world);
    w->labels = parse("{'kubernetes.io/service-name':'web'}");
    w->owner = parse("{'kind':'Service','name':'web','uid':'u'}");
    w->http = parse("[{'name':'','port':80,'protocol':'TCP'}]");
    w->https = parse("[{'name':'','port':443,'protocol':'TCP'}]");
    w->slices = json_array();
    w->placeholder = true;
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    json_unref(w->labels);
    json_unref(w->owner);
    json_unref(w->http);
    json_unref(w->https);
    json_unref(w->slices);
    free(w);
    return 0;
}

static struct json *endpoint(int number, bool ready) {
    _cleanup_free_ char *text =
        xasprintf("{'addresses':['10.0.%d.%d'],'conditions':{'ready':%s},'targetRef':{'kind':'Pod','uid':'u%d'}}",
                  number / 250, number % 250, ready ? "true" : "false", number);
    return parse(text);
}

static size_t index_of(const struct world *w, const char *name) {
    for (size_t i = 0; i < json_len(w->slices); i++)
        if (strcmp(json_str_or(json_path(json_at(w->slices, i), "metadata", "name"), ""), name) == 0)
            return i;
    fail_msg("no slice %s", name);
    return 0;
}

static const char *name_of(const struct json *slice) {
    return json_str(json_path(slice, "metadata", "name"));
}

/* Decides, and does what was decided. */
static void apply(struct world *w, const struct json *groups) {
    struct slice_set set = {.ns = "default",
                            .prefix = "web",
                            .labels = w->labels,
                            .owner = w->owner,
                            .max = 100,
                            .placeholder = w->placeholder};
    struct slice_plan plan;
    size_t n = json_len(w->slices);
    _cleanup_free_ struct json **existing = xcalloc(n + 1, sizeof(*existing));
    for (size_t i = 0; i < n; i++)
        existing[i] = json_at(w->slices, i);
    slices_decide(&set, groups, existing, n, &plan);
    w->created = json_len(plan.create);
    w->updated = json_len(plan.update);
    w->removed = json_len(plan.remove);
    for (size_t i = 0; i < w->removed; i++)
        json_remove_at(&w->slices, index_of(w, name_of(json_at(plan.remove, i))));
    for (size_t i = 0; i < w->updated; i++) {
        size_t at = index_of(w, name_of(json_at(plan.update, i)));
        json_remove_at(&w->slices, at);
        json_insert_at(&w->slices, at, json_ref(json_at(plan.update, i)));
    }
    for (size_t i = 0; i < w->created; i++) {
        struct json **slice = json_append(&w->slices, json_ref(json_at(plan.create, i)));
        assert_string_equal(json_str(json_path(*slice, "metadata", "generateName")), "web-");
        json_set_path(slice, json_stringf("web-%u", w->names++), "metadata", "name");
    }
    slice_plan_finish(&plan);
}

/* Endpoints first to last without `gone`, ready but `unready`. */
static void apply_range(struct world *w, const struct json *ports, int first, int last, int gone, int unready) {
    _cleanup_json_ struct json *groups = NULL;
    for (int i = first; i <= last; i++)
        if (i != gone)
            slice_group_add(&groups, "IPv4", ports, endpoint(i, i != unready));
    apply(w, groups);
}

static size_t size_of(const struct world *w, size_t i) {
    return json_len(json_get(json_at(w->slices, i), "endpoints"));
}

static size_t total(const struct world *w) {
    size_t n = 0;
    for (size_t i = 0; i < json_len(w->slices); i++)
        n += size_of(w, i);
    return n;
}

static void assert_writes(const struct world *w, size_t created, size_t updated, size_t removed) {
    if (w->created != created || w->updated != updated || w->removed != removed)
        fail_msg("%zu created, %zu updated, %zu removed", w->created, w->updated, w->removed);
}

static void test_slices_hold_a_hundred(void **state) {
    struct world *w = *state;
    apply_range(w, w->http, 1, 250, 0, 0);
    assert_writes(w, 3, 0, 0);
    assert_int_equal(size_of(w, 0), 100);
    assert_int_equal(size_of(w, 1), 100);
    assert_int_equal(size_of(w, 2), 50);
    apply_range(w, w->http, 1, 250, 0, 0);
    assert_writes(w, 0, 0, 0);
}

static void test_a_change_writes_one_slice(void **state) {
    struct world *w = *state;
    apply_range(w, w->http, 1, 250, 0, 0);
    apply_range(w, w->http, 1, 250, 0, 130);
    assert_writes(w, 0, 1, 0);
    apply_range(w, w->http, 1, 250, 130, 0);
    assert_writes(w, 0, 1, 0);
    assert_int_equal(total(w), 249);
    /* one goes, another comes: the newcomer takes the place in the slice that is written anyhow */
    apply_range(w, w->http, 1, 250, 7, 0);
    assert_int_equal(total(w), 249);
    assert_true(w->updated <= 2 && w->created == 0);
}

static void test_newcomers_fill_up_the_fullest_that_has_room(void **state) {
    struct world *w = *state;
    apply_range(w, w->http, 1, 250, 0, 0);
    apply_range(w, w->http, 1, 280, 0, 0);
    assert_writes(w, 0, 1, 0);
    assert_int_equal(size_of(w, 2), 80);
    apply_range(w, w->http, 1, 310, 0, 0); /* 30 more: 20 would fit; a new slice is one write instead of two */
    assert_writes(w, 1, 0, 0);
    assert_int_equal(total(w), 310);
}

static void test_ports_that_differ_make_slices_of_their_own(void **state) {
    struct world *w = *state;
    _cleanup_json_ struct json *groups = NULL;
    slice_group_add(&groups, "IPv4", w->http, endpoint(1, true));
    slice_group_add(&groups, "IPv4", w->https, endpoint(2, true));
    slice_group_add(&groups, "IPv4", w->http, endpoint(3, true));
    apply(w, groups);
    assert_writes(w, 2, 0, 0);
    assert_int_equal(json_len(json_get(json_at(groups, 0), "endpoints")), 2);
    /* all move to one port: one slice takes them, the other goes */
    apply_range(w, w->https, 1, 3, 0, 0);
    assert_writes(w, 0, 1, 1);
    assert_int_equal(total(w), 3);
}

static void test_a_slice_that_would_go_is_used_again(void **state) {
    struct world *w = *state;
    apply_range(w, w->http, 1, 10, 0, 0);
    apply_range(w, w->https, 1, 10, 0, 0);
    assert_writes(w, 0, 1, 0);
    assert_true(json_equal(json_get(json_at(w->slices, 0), "ports"), w->https));
    assert_string_equal(name_of(json_at(w->slices, 0)), "web-0");
}

static void test_one_empty_slice_says_that_there_is_nothing(void **state) {
    struct world *w = *state;
    apply(w, NULL);
    assert_writes(w, 1, 0, 0);
    assert_int_equal(json_len(json_get(json_at(w->slices, 0), "ports")), 0);
    apply(w, NULL);
    assert_writes(w, 0, 0, 0);
    apply_range(w, w->http, 1, 150, 0, 0);
    assert_writes(w, 1, 1, 0);
    apply(w, NULL);
    assert_writes(w, 0, 1, 1);
    assert_int_equal(total(w), 0);
    assert_int_equal(json_len(w->slices), 1);
    w->placeholder = false;
    apply(w, NULL);
    assert_writes(w, 0, 0, 1);
}

static void test_foreign_metadata_is_put_right(void **state) {
    struct world *w = *state;
    apply_range(w, w->http, 1, 3, 0, 0);
    json_set(json_edit(json_edit(json_edit_at(&w->slices, 0), "metadata"), "labels"), "stray", json_string("x"));
    apply_range(w, w->http, 1, 3, 0, 0);
    assert_writes(w, 0, 1, 0);
    assert_true(json_equal(json_path(json_at(w->slices, 0), "metadata", "labels"), w->labels));
    /* one that is being deleted is no place for endpoints */
    json_set_path(json_edit_at(&w->slices, 0), json_string("now"), "metadata", "deletionTimestamp");
    apply_range(w, w->http, 1, 3, 0, 0);
    assert_writes(w, 1, 0, 0);
}

/* --- whatever happens --- */

enum { PODS = 400, ROUNDS = 150 };

struct fleet {
    int state[PODS + 1]; /* 0: absent; 1, 2: not ready, ready on http; 3, 4: the same on https */
};

static struct json *groups_of(const struct world *w, const struct fleet *f) {
    struct json *groups = NULL;
    for (int i = 1; i <= PODS; i++)
        if (f->state[i])
            slice_group_add(&groups, "IPv4", f->state[i] > 2 ? w->https : w->http, endpoint(i, f->state[i] % 2 == 0));
    return groups;
}

/* Every endpoint once, in a slice of its ports, as it is now; no slice too full, none empty but the only one. */
static void assert_true_to(const struct world *w, const struct fleet *f) {
    int seen[PODS + 1] = {0};
    for (size_t i = 0; i < json_len(w->slices); i++) {
        const struct json *slice = json_at(w->slices, i), *list = json_get(slice, "endpoints");
        bool https = json_equal(json_get(slice, "ports"), w->https);
        assert_true(json_len(list) <= 100);
        assert_true(json_len(list) > 0 || json_len(w->slices) == 1);
        for (size_t k = 0; k < json_len(list); k++) {
            const struct json *e = json_at(list, k);
            int number = atoi(json_str(json_path(e, "targetRef", "uid")) + 1);
            seen[number] = https * 2 + 1 + json_bool_or(json_path(e, "conditions", "ready"), false);
        }
    }
    for (int i = 1; i <= PODS; i++)
        assert_int_equal(seen[i], f->state[i]);
}

static void test_any_sequence_of_changes_ends_right(void **state) {
    struct world *w = *state;
    struct fleet f = {0};
    unsigned seed = 20240229;
    for (int round = 0; round < ROUNDS; round++) {
        /* mostly small changes, now and then all at once */
        int changes = round % 20 == 19 ? PODS : 1 + rand_r(&seed) % 8;
        int quiet = round % 30 == 29; /* all go */
        for (int i = 0; i < changes; i++)
            f.state[1 + rand_r(&seed) % PODS] = quiet ? 0 : rand_r(&seed) % 5;
        for (int i = 1; quiet && i <= PODS; i++)
            f.state[i] = 0;
        _cleanup_json_ struct json *groups = groups_of(w, &f);
        apply(w, groups);
        assert_true_to(w, &f);
        if (changes <= 8 && !quiet)
            assert_true(w->created + w->updated + w->removed <= 2u * (unsigned) changes + 1);
        apply(w, groups);
        assert_writes(w, 0, 0, 0);
    }
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_slices_hold_a_hundred),
        T(test_a_change_writes_one_slice),
        T(test_newcomers_fill_up_the_fullest_that_has_room),
        T(test_ports_that_differ_make_slices_of_their_own),
        T(test_a_slice_that_would_go_is_used_again),
        T(test_one_empty_slice_says_that_there_is_nothing),
        T(test_foreign_metadata_is_put_right),
        T(test_any_sequence_of_changes_ends_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
