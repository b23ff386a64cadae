/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real folder on one side, the fake API on the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "orchestrator/client/informer.h"
#include "orchestrator/cmd/manifest_applier.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "tests/unit/client/fake_client.c"

struct env {
    char dir[64];
    sd_event *loop;
    struct fake *fake;
    struct informer_set *informers;
    struct manifest_applier *applier;
};

static void start(struct env *e) {
    e->informers = informer_set_new(e->loop, fake_client(e->fake));
    assert_int_equal(manifest_applier_new(e->loop, fake_client(e->fake), e->informers, e->dir, &e->applier, NULL), 0);
}

static void stop(struct env *e) {
    manifest_applier_free(steal(&e->applier));
    informer_set_free(steal(&e->informers));
}

static int setup(void **state) {
    struct env *e = xnew0(struct env);

    strcpy(e->dir, "/tmp/podium-manifests-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    assert_true(sd_event_new(&e->loop) >= 0);
    e->fake = fake_new(e->loop);
    start(e);
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;

    stop(e);
    fake_free(e->fake);
    sd_event_unref(e->loop);
    (void) rm_tree(e->dir, NULL);
    free(e);
    return 0;
}

static void put(struct env *e, const char *file, const char *text) {
    _cleanup_free_ char *path = path_join(e->dir, file);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, false, NULL), 0);
}

static void take(struct env *e, const char *file) {
    _cleanup_free_ char *path = path_join(e->dir, file);

    assert_int_equal(unlink(path), 0);
}

#define CONFIG(name, value)                                                                                            \
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " name "\ndata:\n  key: \"" value "\"\n"

/* --- conditions --- */

struct expected {
    struct env *e;
    const char *name, *value; /* value NULL: absent */
};

static bool config_is(void *userdata) {
    const struct expected *x = userdata;
    const struct json *o = fake_get(x->e->fake, fake_resource("configmaps"), "default", x->name);

    return x->value ? strcmp(json_str_or(json_path(o, "data", "key"), ""), x->value) == 0 : !o;
}

static void await_config(struct env *e, const char *name, const char *value) {
    struct expected x = {e, name, value};

    if (!fake_wait(e->loop, config_is, &x))
        fail_msg("ConfigMap %s did not become \"%s\"", name, value ? value : "(gone)");
}

static const char *problems(struct env *e) {
    return json_str_or(json_path(fake_get(e->fake, fake_resource("configmaps"), "kube-system", "podium-manifests"),
                                 "data", "problems"),
                       "(no status)");
}

static bool problem_is_told(void *userdata) {
    const struct expected *x = userdata;

    return x->value ? strstr(problems(x->e), x->value) != NULL : strcmp(problems(x->e), "") == 0;
}

static void await_problem(struct env *e, const char *text) {
    struct expected x = {e, NULL, text};

    if (!fake_wait(e->loop, problem_is_told, &x))
        fail_msg("problems are \"%s\", not \"%s\"", problems(e), text ? text : "");
}

static void rest(struct env *e) {
    fake_run_for(e->loop, 250 * USEC_PER_MSEC);
}

/* --- tests --- */

static void files_are_followed(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    put(e, "a.yaml", CONFIG("a", "2"));
    await_config(e, "a", "2");
    put(e, "b.yaml", CONFIG("b", "1") "---\n" CONFIG("c", "1"));
    await_config(e, "c", "1");
    put(e, "b.yaml", CONFIG("c", "1"));
    await_config(e, "b", NULL);
    take(e, "a.yaml");
    await_config(e, "a", NULL);
    await_config(e, "c", "1");
    await_problem(e, NULL);
}

static void only_what_came_from_the_folder_is_removed(void **state) {
    struct env *e = *state;

    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'mine','namespace':"
                                    "'default'},'data':{'key':'hand'}}"));
    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    take(e, "a.yaml");
    await_config(e, "a", NULL);
    rest(e);
    await_config(e, "mine", "hand");
}

static void an_object_that_is_there_already_is_taken_over(void **state) {
    struct env *e = *state;

    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','namespace':"
                                    "'default'},'data':{'key':'hand','other':'kept'}}"));
    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    assert_string_equal(
        json_str(json_path(fake_get(e->fake, fake_resource("configmaps"), "default", "a"), "data", "other")), "kept");
}

static void a_broken_file_is_told_and_the_rest_goes_on(void **state) {
    struct env *e = *state;

    put(e, "good.yaml", CONFIG("good", "1"));
    put(e, "bad.yaml", CONFIG("bad", "1"));
    await_config(e, "bad", "1");
    await_config(e, "good", "1");
    put(e, "bad.yaml", "apiVersion: v1\nkind: [\n");
    await_problem(e, "bad.yaml:");
    put(e, "good.yaml", CONFIG("good", "2"));
    await_config(e, "good", "2");
    await_config(e, "bad", "1"); /* what it last asked for stays */
    fake_settle(e->loop);
    size_t events = fake_count(e->fake, fake_resource("events"), "kube-system");
    assert_true(events > 0);
    put(e, "good.yaml", CONFIG("good", "3"));
    await_config(e, "good", "3");
    rest(e);
    assert_int_equal(fake_count(e->fake, fake_resource("events"), "kube-system"), events); /* told once */
    put(e, "bad.yaml", CONFIG("bad", "2"));
    await_config(e, "bad", "2");
    await_problem(e, NULL);
}

static void a_kind_that_does_not_exist_is_named_with_its_place(void **state) {
    struct env *e = *state;

    put(e, "x.yaml", CONFIG("a", "1") "---\napiVersion: v1\nkind: Violin\nmetadata:\n  name: v\n");
    await_config(e, "a", "1");
    await_problem(e, "x.yaml:8");
    await_problem(e, "Violin");
}

static void a_deleted_object_comes_back(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    rest(e);
    fake_remove(e->fake, fake_resource("configmaps"), "default", "a");
    await_config(e, "a", "1");
}

static void what_others_change_stays(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    rest(e);
    fake_merge(e->fake, fake_resource("configmaps"), "default", "a", "{'data':{'key':'by hand'}}");
    put(e, "b.yaml", CONFIG("b", "1"));
    await_config(e, "b", "1");
    await_config(e, "a", "by hand");
}

static void failures_are_tried_again(void **state) {
    struct env *e = *state;

    rest(e);
    fake_fail(e->fake, CLIENT_CREATE, "configmaps", 500, "InternalError", 1);
    put(e, "a.yaml", CONFIG("a", "1") "---\n" CONFIG("b", "1"));
    await_config(e, "b", "1"); /* one failure does not hold up the rest */
    await_config(e, "a", "1");
    await_problem(e, NULL);
}

static void a_status_that_could_not_be_written_is_written_later(void **state) {
    struct env *e = *state;

    fake_fail(e->fake, CLIENT_CREATE, "configmaps", 404, "NotFound", 1); /* kube-system does not exist yet */
    await_problem(e, NULL);
    fake_remove(e->fake, fake_resource("configmaps"), "kube-system", "podium-manifests");
    put(e, "a.yaml", CONFIG("a", "1"));
    await_problem(e, NULL);
}

static void a_namespace_and_what_is_in_it_may_come_together(void **state) {
    struct env *e = *state;

    put(e, "a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: band\n---\n"
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: band\n");
    await_problem(e, NULL);
    rest(e);
    uint64_t ns = strtoull(
        json_str_or(
            json_path(fake_get(e->fake, fake_resource("namespaces"), "", "band"), "metadata", "resourceVersion"), "0"),
        NULL, 10);
    uint64_t config = strtoull(
        json_str_or(
            json_path(fake_get(e->fake, fake_resource("configmaps"), "band", "a"), "metadata", "resourceVersion"), "0"),
        NULL, 10);
    assert_true(ns > 0 && config > ns);
}

static void a_change_in_the_middle_of_a_pass_is_no_harm(void **state) {
    struct env *e = *state;

    for (unsigned round = 0; round < 8; round++) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
        char value[8];
        snprintf(value, sizeof(value), "%u", round);
        for (unsigned i = 0; i < 20; i++)
            strbuf_addf(&text, CONFIG("c%u", "%u") "---\n", i, round);
        put(e, "many.yaml", strbuf_str(&text));
        if (round % 3 == 2)
            await_config(e, "c19", value);
        for (unsigned k = 0; k < 60; k++)
            (void) sd_event_run(e->loop, USEC_PER_MSEC);
    }
    await_config(e, "c0", "7");
    await_config(e, "c19", "7");
    take(e, "many.yaml");
    await_config(e, "c0", NULL);
    await_config(e, "c19", NULL);
}

static void a_restart_changes_nothing(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    await_problem(e, NULL);
    rest(e);
    fake_merge(e->fake, fake_resource("configmaps"), "default", "a", "{'data':{'key':'by hand'}}");
    stop(e);
    unsigned writes = fake_requests(e->fake, CLIENT_PATCH, "configmaps") +
                      fake_requests(e->fake, CLIENT_CREATE, "configmaps") +
                      fake_requests(e->fake, CLIENT_DELETE, "configmaps");
    start(e);
    rest(e);
    assert_int_equal(fake_requests(e->fake, CLIENT_PATCH, "configmaps") +
                         fake_requests(e->fake, CLIENT_CREATE, "configmaps") +
                         fake_requests(e->fake, CLIENT_DELETE, "configmaps"),
                     writes);
    await_config(e, "a", "by hand");
}

static void what_went_while_we_were_away_is_removed(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    rest(e);
    stop(e);
    take(e, "a.yaml");
    start(e);
    await_config(e, "a", NULL);
}

static void a_folder_that_is_missing_empties_nothing(void **state) {
    struct env *e = *state;

    put(e, "a.yaml", CONFIG("a", "1"));
    await_config(e, "a", "1");
    rest(e);
    assert_int_equal(rm_tree(e->dir, NULL), 0);
    rest(e);
    await_config(e, "a", "1");
    assert_int_equal(mkdir(e->dir, 0755), 0); /* there and empty: that is a wish */
    await_config(e, "a", NULL);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(files_are_followed),
        T(only_what_came_from_the_folder_is_removed),
        T(an_object_that_is_there_already_is_taken_over),
        T(a_broken_file_is_told_and_the_rest_goes_on),
        T(a_kind_that_does_not_exist_is_named_with_its_place),
        T(a_deleted_object_comes_back),
        T(what_others_change_stays),
        T(failures_are_tried_again),
        T(a_status_that_could_not_be_written_is_written_later),
        T(a_namespace_and_what_is_in_it_may_come_together),
        T(a_change_in_the_middle_of_a_pass_is_no_harm),
        T(a_restart_changes_nothing),
        T(what_went_while_we_were_away_is_removed),
        T(a_folder_that_is_missing_empties_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
