/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/client/informer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/unit/client/fake_client.c"

struct env {
    sd_event *loop;
    struct fake *fake;
    const struct resource *pods;
    struct informer *informer;
    char seen[2048]; /* "+a" added, "~a" changed, "-a" deleted, "!" synced */
};

static void on_changed(void *userdata, struct json *old, struct json *object) {
    struct env *e = userdata;
    snprintf(e->seen + strlen(e->seen), sizeof(e->seen) - strlen(e->seen), "%c%s ",
             !old     ? '+'
             : object ? '~'
                      : '-',
             json_str(json_path(object ? object : old, "metadata", "name")));
}

static void on_synced(void *userdata) {
    struct env *e = userdata;
    strcat(e->seen, "! ");
}

static void by_node(const struct json *object, char ***keys) {
    const char *node = json_str(json_path(object, "spec", "nodeName"));
    if (node)
        strv_push_dup(keys, node);
}

static void start(struct env *e) {
    e->informer = informer_new(e->loop, fake_client(e->fake), &(struct informer_options){.resource = e->pods});
    informer_add_index(e->informer, "node", by_node);
    informer_add_handlers(e->informer, &(struct informer_handlers){on_changed, on_synced, e});
}

static void pod(struct env *e, const char *name, const char *node) {
    _cleanup_free_ char *text =
        xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{'nodeName':'%s'}}", name, node);
    json_unref(fake_create(e->fake, text));
}

static const char *seen(struct env *e) {
    static char copy[2048];
    memcpy(copy, e->seen, sizeof(copy));
    e->seen[0] = 0;
    return copy;
}

static size_t on_node(struct env *e, const char *node) {
    size_t n;
    free(informer_list(e->informer, "node", node, &n));
    return n;
}

static int setup(void **state) {
    static struct env e;
    memset(&e, 0, sizeof(e));
    assert_true(sd_event_new(&e.loop) >= 0);
    e.fake = fake_new(e.loop);
    e.pods = fake_resource("pods");
    *state = &e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;
    informer_free(e->informer);
    fake_free(e->fake);
    sd_event_unref(e->loop);
    return 0;
}

static void test_lists_then_follows_changes(void **state) {
    struct env *e = *state;
    pod(e, "a", "n1");
    start(e);
    assert_false(informer_synced(e->informer));
    fake_settle(e->loop);
    assert_true(informer_synced(e->informer));
    assert_string_equal(seen(e), "+a ! ");
    pod(e, "b", "n1");
    fake_merge(e->fake, e->pods, "default", "a", "{'metadata':{'labels':{'x':'y'}}}");
    fake_remove(e->fake, e->pods, "default", "b");
    fake_settle(e->loop);
    assert_string_equal(seen(e), "+b ~a -b ");
    assert_null(informer_get(e->informer, "default", "b"));
    assert_string_equal(json_str(json_path(informer_get_key(e->informer, "default/a"), "metadata", "labels", "x")),
                        "y");
}

static void test_objects_of_a_list_get_their_kind(void **state) {
    struct env *e = *state;
    pod(e, "a", "n1");
    start(e);
    fake_settle(e->loop);
    struct json *a = informer_get(e->informer, "default", "a");
    assert_string_equal(json_str(json_get(a, "kind")), "Pod");
    assert_string_equal(json_str(json_get(a, "apiVersion")), "v1");
}

static void test_indexes_follow_moves_and_deletions(void **state) {
    struct env *e = *state;
    pod(e, "a", "n1");
    pod(e, "b", "n1");
    start(e);
    fake_settle(e->loop);
    assert_int_equal(on_node(e, "n1"), 2);
    fake_merge(e->fake, e->pods, "default", "a", "{'spec':{'nodeName':'n2'}}");
    fake_settle(e->loop);
    assert_int_equal(on_node(e, "n1"), 1);
    assert_int_equal(on_node(e, "n2"), 1);
    fake_remove(e->fake, e->pods, "default", "b");
    fake_settle(e->loop);
    assert_int_equal(on_node(e, "n1"), 0);
    assert_int_equal(on_node(e, "nowhere"), 0);
}

static void test_pages_are_one_list(void **state) {
    struct env *e = *state;
    for (int i = 0; i < 7; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        pod(e, name, "n1");
    }
    fake_set_page(e->fake, 3);
    start(e);
    fake_settle(e->loop);
    assert_int_equal(informer_len(e->informer), 7);
    assert_int_equal(fake_requests(e->fake, CLIENT_LIST, "pods"), 3);
}

static void test_a_watch_that_ends_goes_on_without_a_new_list(void **state) {
    struct env *e = *state;
    start(e);
    fake_settle(e->loop);
    (void) seen(e);
    fake_break_watches(e->fake, false);
    fake_settle(e->loop);
    pod(e, "late", "n1");
    fake_settle(e->loop);
    assert_string_equal(seen(e), "+late ");
    assert_int_equal(fake_requests(e->fake, CLIENT_LIST, "pods"), 1);
}

static bool late_is_there(void *userdata) {
    struct env *e = userdata;
    return informer_get(e->informer, "default", "late") != NULL;
}

static void test_a_watch_too_old_lists_again_and_reports_only_differences(void **state) {
    struct env *e = *state;
    pod(e, "stays", "n1");
    pod(e, "goes", "n1");
    pod(e, "again", "n1");
    start(e);
    fake_settle(e->loop);
    (void) seen(e);
    fake_break_watches(e->fake, true);
    fake_remove(e->fake, e->pods, "default", "goes");
    fake_remove(e->fake, e->pods, "default", "again");
    pod(e, "again", "n2"); /* same name, another life */
    pod(e, "late", "n1");
    /* the watch skips what was lost: only the new list can tell */
    fake_break_watches(e->fake, true);
    assert_true(fake_wait(e->loop, late_is_there, e));
    fake_settle(e->loop);
    const char *s = seen(e);
    assert_non_null(strstr(s, "-goes "));
    assert_non_null(strstr(s, "-again +again "));
    assert_non_null(strstr(s, "+late "));
    assert_null(strstr(s, "stays"));
    assert_null(strstr(s, "!"));
}

static bool synced(void *userdata) {
    struct env *e = userdata;
    return informer_synced(e->informer);
}

static void test_a_failing_list_is_tried_again(void **state) {
    struct env *e = *state;
    pod(e, "a", "n1");
    fake_fail(e->fake, CLIENT_LIST, "pods", 503, "ServiceUnavailable", 2);
    start(e);
    fake_settle(e->loop);
    assert_false(informer_synced(e->informer));
    assert_true(fake_wait(e->loop, synced, e));
    assert_string_equal(seen(e), "+a ! ");
}

static void test_late_handlers_hear_of_everything_and_removed_ones_of_nothing(void **state) {
    struct env *e = *state;
    pod(e, "a", "n1");
    start(e);
    fake_settle(e->loop);
    informer_remove_handlers(e->informer, e);
    (void) seen(e);
    fake_merge(e->fake, e->pods, "default", "a", "{'metadata':{'labels':{'x':'y'}}}");
    fake_settle(e->loop);
    assert_string_equal(seen(e), "");
    informer_add_handlers(e->informer, &(struct informer_handlers){on_changed, on_synced, e});
    assert_string_equal(seen(e), "+a ! ");
}

static void test_a_set_shares_one_informer_per_resource(void **state) {
    struct env *e = *state;
    struct informer_set *s = informer_set_new(e->loop, fake_client(e->fake));
    struct informer *a = informer_set_get(s, e->pods);
    assert_ptr_equal(a, informer_set_get(s, e->pods));
    assert_ptr_not_equal(a, informer_set_get(s, fake_resource("nodes")));
    assert_false(informer_set_synced(s));
    fake_settle(e->loop);
    assert_true(informer_set_synced(s));
    assert_int_equal(fake_requests(e->fake, CLIENT_LIST, "pods"), 1);
    informer_set_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_lists_then_follows_changes),
        T(test_objects_of_a_list_get_their_kind),
        T(test_indexes_follow_moves_and_deletions),
        T(test_pages_are_one_list),
        T(test_a_watch_that_ends_goes_on_without_a_new_list),
        T(test_a_watch_too_old_lists_again_and_reports_only_differences),
        T(test_a_failing_list_is_tried_again),
        T(test_late_handlers_hear_of_everything_and_removed_ones_of_nothing),
        T(test_a_set_shares_one_informer_per_resource),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
