/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is recorded of a cluster, and what happens when the record is damaged. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "orchestrator/local/cluster.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

static int setup(void **state) {
    char *dir = xstrdup("/tmp/podium-cluster-XXXXXX");

    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int teardown(void **state) {
    (void) rm_tree(*state, NULL);
    free(*state);
    return 0;
}

static void write_text(const char *dir, const char *name, const char *text) {
    _cleanup_free_ char *path = path_join(dir, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, false, NULL), 0);
}

static void make_dir(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name);

    assert_int_equal(mkdir_parents(path, 0755, NULL), 0);
}

static struct local_cluster *planned(const char *dir, unsigned nodes) {
    struct local_cluster *c = local_cluster_new("unit-t", dir);

    assert_int_equal(local_cluster_plan(c, nodes, "/m", NULL), 0);
    return c;
}

static void a_plan_names_everything_once(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = planned(*state, 3);

    assert_int_equal(c->n_nodes, 3);
    assert_string_equal(c->bridge, "pdm-unit-t");
    assert_string_equal(c->cgroup, "/podium-local-unit-t");
    assert_string_equal(c->nodes[2].name, "podium-3");
    assert_true(c->nodes[0].server && !c->nodes[1].server && !c->nodes[2].server);
    assert_memory_equal(c->subnet, "10.89.", 6);
    for (size_t i = 0; i < 3; i++) {
        _cleanup_free_ char *address = xasprintf("%s.%zu", c->subnet, i + 2);
        assert_string_equal(c->nodes[i].address, address);
    }
    assert_true(strlen(c->token) == 23);
}

static void the_number_of_nodes_is_bounded(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new("unit-t", *state);

    assert_int_equal(local_cluster_plan(c, 0, "/m", NULL), -EINVAL);
    assert_int_equal(local_cluster_plan(c, LOCAL_NODES_MAX + 1, "/m", NULL), -EINVAL);
}

/* Two that plan at the same time would choose the same subnet, since no bridge has an address in it yet. */
static void plans_are_made_one_after_another(void **state) {
    _cleanup_close_ int other = open("/sys/class/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(local_cluster_freep) struct local_cluster *c = planned(*state, 1);

    assert_true(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    local_cluster_settle(c);
    assert_int_equal(flock(other, LOCK_EX), 0);
}

static void what_is_saved_is_loaded(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *a = planned(*state, 2),
                                                        *b = local_cluster_new(LOCAL_CLUSTER_NAME, *state);
    _cleanup_free_ char *path = path_join(*state, "cluster.json");
    struct stat st;

    a->nodes[1].stopped = true;
    a->made_manifests = true;
    free(a->cgroup);
    a->cgroup = xstrdup("/machine.slice/x.scope");
    assert_int_equal(local_cluster_save(a, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* the token is in it */
    assert_int_equal(local_cluster_load(b, NULL), 0);
    assert_string_equal(b->name, "unit-t"); /* its ids and links are named so, whatever was asked for */
    assert_string_equal(b->bridge, a->bridge);
    assert_string_equal(b->subnet, a->subnet);
    assert_string_equal(b->token, a->token);
    assert_string_equal(b->manifests, "/m");
    assert_string_equal(b->cgroup, "/machine.slice/x.scope");
    assert_true(b->made_manifests);
    assert_int_equal(b->n_nodes, 2);
    assert_true(b->nodes[0].server && !b->nodes[1].server);
    assert_true(b->nodes[1].stopped && !b->nodes[0].stopped);
    assert_string_equal(b->nodes[1].address, a->nodes[1].address);
}

static void another_clusters_folder_is_not_taken_for_this_one(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *a = planned(*state, 1), *b = local_cluster_new("b", *state);

    assert_int_equal(local_cluster_save(a, NULL), 0);
    assert_int_equal(local_cluster_load(b, NULL), -EINVAL);
}

static void no_file_is_no_cluster(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new("unit-t", *state);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_int_equal(local_cluster_load(c, &err), -ENOENT);
    assert_non_null(strstr(err.text, "podium up"));
    assert_int_equal(local_cluster_recover(c, NULL), -ENOENT); /* never a reason to remove somebody's folder */
}

static void damaged_files_are_told_apart_from_none(void **state) {
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "7",
        "{\"name\":\"t\"}",
        "{\"name\":\"t\",\"bridge\":\"pdm-a-name-that-is-too-long\",\"nodes\":[]}",
        "{\"name\":\"../t\",\"bridge\":\"b\",\"nodes\":[]}",
        "{\"name\":\"t\",\"bridge\":\"b\",\"token\":\"x\",\"manifests\":\"/m\",\"nodes\":[]}",
        "{\"name\":\"t\",\"bridge\":\"b\",\"token\":\"x\",\"manifests\":\"/m\",\"nodes\":[{\"name\":\"../../etc\","
        "\"address\":\"10.0.0.1\",\"server\":true}]}",
        "{\"name\":\"t\",\"bridge\":\"b\",\"token\":\"x\",\"manifests\":\"/m\",\"nodes\":[{\"name\":\"n\","
        "\"address\":\"nowhere\",\"server\":true}]}",
        "{\"name\":\"t\",\"bridge\":\"b\",\"token\":\"x\",\"manifests\":\"/m\",\"nodes\":[{\"name\":\"n\","
        "\"address\":\"10.0.0.1\",\"server\":false}]}",
        "{\"name\":\"t\",\"bridge\":\"b\",\"token\":\"x\",\"manifests\":\"/m\",\"cgroup\":\"/../..\",\"nodes\":[{"
        "\"name\":\"n\",\"address\":\"10.0.0.1\",\"server\":true}]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new(LOCAL_CLUSTER_NAME, *state);
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        write_text(*state, "cluster.json", damaged[i]);
        int r = local_cluster_load(c, &err);
        if (r != -EBADMSG || !strstr(err.text, "podium down"))
            fail_msg("%s: %d %s", damaged[i], r, error_text(&err, r));
    }
}

static void the_folder_tells_what_to_remove(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new(LOCAL_CLUSTER_NAME, *state);

    write_text(*state, "cluster.json", "{");
    make_dir(*state, "nodes/podium-1");
    make_dir(*state, "nodes/podium-2");
    make_dir(*state, "runtime/band-podium-2");
    assert_int_equal(local_cluster_recover(c, NULL), 0);
    assert_int_equal(c->n_nodes, 2);
    assert_non_null(local_cluster_node(c, "podium-1"));
    assert_non_null(local_cluster_node(c, "podium-2"));
    assert_string_equal(c->name, "band");
    assert_string_equal(c->bridge, "pdm-band");
    assert_string_equal(c->cgroup, "/podium-local-band");
}

static void one_command_at_a_time(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *a = local_cluster_new("unit-t", *state);
    _cleanup_(local_cluster_freep) struct local_cluster *b = local_cluster_new("unit-t", *state);

    assert_int_equal(local_cluster_lock(a, true, NULL), 0);
    assert_int_equal(local_cluster_lock(b, true, NULL), -EBUSY);
    local_cluster_free(steal(&a));
    assert_int_equal(local_cluster_lock(b, true, NULL), 0);
}

static void a_folder_with_other_things_never_becomes_a_clusters(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new("unit-t", *state);
    struct stat before, after;

    write_text(*state, "letter", "dear");
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(stat(*state, &before), 0);
    assert_int_equal(local_cluster_lock(c, true, NULL), -ENOTEMPTY);
    assert_int_equal(stat(*state, &after), 0);
    assert_int_equal(before.st_mode, after.st_mode);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_plan_names_everything_once),
        T(plans_are_made_one_after_another),
        T(the_number_of_nodes_is_bounded),
        T(what_is_saved_is_loaded),
        T(another_clusters_folder_is_not_taken_for_this_one),
        T(no_file_is_no_cluster),
        T(damaged_files_are_told_apart_from_none),
        T(the_folder_tells_what_to_remove),
        T(one_command_at_a_time),
        T(a_folder_with_other_things_never_becomes_a_clusters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
