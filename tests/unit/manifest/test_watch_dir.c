/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watched directory on a real file system with real events. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "orchestrator/manifest/watch_dir.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"

#define WAIT_USEC (10 * USEC_PER_SEC) /* for something to happen; normally 50 ms */

struct fixture {
    char *top, *dir; /* dir: the watched one, inside top */
    sd_event *event;
    struct watch_dir *watcher;
    unsigned calls;
    bool free_in_callback;
    char *text; /* what was told last, as text */
};

/* "id=file …", then "! problem" for each, or "missing". */
static void on_changed(void *userdata, const struct manifest_set *set) {
    struct fixture *f = userdata;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    if (set->missing)
        strbuf_adds(&b, "missing");
    for (size_t i = 0; i < set->n_objects; i++)
        strbuf_addf(&b, "%s%s=%s:%u", b.len ? " " : "", json_str(json_path(set->objects[i].doc, "metadata", "name")),
                    set->objects[i].file, set->objects[i].line);
    for (size_t i = 0; i < set->n_problems; i++)
        strbuf_addf(&b, "%s! %s", b.len ? " " : "", set->problems[i].text);
    free(f->text);
    f->text = strbuf_steal(&b);
    f->calls++;
    if (f->free_in_callback) {
        watch_dir_free(f->watcher);
        f->watcher = NULL;
    }
}

static char *in_dir(struct fixture *f, const char *name) {
    return path_join(f->dir, name);
}

static void write_at(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_file(struct fixture *f, const char *name, const char *text) {
    _cleanup_free_ char *path = in_dir(f, name);
    write_at(path, text);
}

static char *config_map(const char *name) {
    return xasprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n", name);
}

static void write_map(struct fixture *f, const char *file, const char *name) {
    _cleanup_free_ char *text = config_map(name);
    write_file(f, file, text);
}

static void make_folder(struct fixture *f, const char *name) {
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void rename_file(struct fixture *f, const char *from, const char *to) {
    _cleanup_free_ char *a = in_dir(f, from), *b = in_dir(f, to);
    assert_int_equal(rename(a, b), 0);
}

static void remove_file(struct fixture *f, const char *name) {
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(unlink(path), 0);
}

static void link_file(struct fixture *f, const char *target, const char *name) {
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(symlink(target, path), 0);
}

/* Runs the loop until `changed` has said this. */
static void expect(struct fixture *f, const char *text) {
    uint64_t end = now_monotonic_usec() + WAIT_USEC;
    while (!f->text || strcmp(f->text, text) != 0) {
        uint64_t now = now_monotonic_usec();
        if (now >= end)
            fail_msg("expected: %s\nlast told: %s", text, f->text ? f->text : "nothing");
        assert_true(sd_event_run(f->event, end - now) >= 0);
    }
}

/* Runs the loop for a time in which nothing may be told. */
static void expect_silence(struct fixture *f, uint64_t usec) {
    unsigned calls = f->calls;
    uint64_t end = now_monotonic_usec() + usec;
    for (uint64_t now; (now = now_monotonic_usec()) < end;)
        assert_true(sd_event_run(f->event, end - now) >= 0);
    if (f->calls != calls)
        fail_msg("unexpectedly told: %s", f->text);
}

static void start_watching(struct fixture *f) {
    assert_int_equal(watch_dir_new(f->event, f->dir, on_changed, f, &f->watcher, NULL), 0);
}

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    char template[] = "/tmp/podium-watch-XXXXXX";
    assert_non_null(mkdtemp(template));
    f->top = xstrdup(template);
    f->dir = path_join(f->top, "etc/manifests");
    assert_int_equal(mkdir_parents(f->dir, 0755, NULL), 0);
    assert_true(sd_event_new(&f->event) >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    watch_dir_free(f->watcher);
    sd_event_unref(f->event);
    rm_tree(f->top, NULL);
    free(f->top);
    free(f->dir);
    free(f->text);
    free(f);
    return 0;
}

static void files_come_change_and_go(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    assert_non_null(manifest_set_find(watch_dir_current(f->watcher), "/ConfigMap/default/one"));
    write_map(f, "b.yml", "two");
    expect(f, "one=a.yaml:1 two=b.yml:1");
    write_map(f, "a.yaml", "uno");
    expect(f, "uno=a.yaml:1 two=b.yml:1");
    write_file(f, "c.json", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"three\"}}");
    expect(f, "uno=a.yaml:1 two=b.yml:1 three=c.json:1");
    remove_file(f, "a.yaml");
    expect(f, "two=b.yml:1 three=c.json:1");
    rename_file(f, "b.yml", "z.yml");
    expect(f, "three=c.json:1 two=z.yml:1");
    remove_file(f, "z.yml");
    remove_file(f, "c.json");
    expect(f, "");
}

static void an_atomic_rename_is_one_change(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    unsigned calls = f->calls;
    write_map(f, ".a.yaml.tmp", "two");
    rename_file(f, ".a.yaml.tmp", "a.yaml");
    expect(f, "two=a.yaml:1");
    assert_int_equal(f->calls, calls + 1);
}

static void many_changes_are_told_together(void **state) {
    struct fixture *f = *state;
    start_watching(f);
    expect(f, "");
    unsigned calls = f->calls;
    for (int i = 0; i < 20; i++) {
        _cleanup_free_ char *file = xasprintf("f%d.yaml", i);
        write_map(f, file, "x");
        remove_file(f, file);
    }
    write_map(f, "last.yaml", "end");
    expect(f, "end=last.yaml:1");
    assert_int_equal(f->calls, calls + 1);
}

static void what_is_no_manifest_is_ignored(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    static const char *const names[] = {".b.yaml",    "b.yaml~", ".a.yaml.swp", "#b.yaml#",
                                        "b.yaml.bak", "README",  "4913"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        write_map(f, names[i], "two");
    make_folder(f, ".git");
    write_map(f, ".git/c.yaml", "three");
    _cleanup_free_ char *fifo = in_dir(f, "pipe.yaml");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_silence(f, 300 * USEC_PER_MSEC);
}

static void rewriting_the_same_is_no_change(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    write_map(f, "a.yaml", "one");
    expect_silence(f, 300 * USEC_PER_MSEC);
}

static void a_broken_file_keeps_what_it_held(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    write_map(f, "b.yaml", "two");
    start_watching(f);
    expect(f, "one=a.yaml:1 two=b.yaml:1");
    write_file(f, "a.yaml", "apiVersion: v1\nkind: [\n");
    expect(f, "one=a.yaml:1 two=b.yaml:1 ! a.yaml:3:1: did not find expected node content (while parsing a flow node)");
    write_map(f, "b.yaml", "zwei");
    expect(f,
           "one=a.yaml:1 zwei=b.yaml:1 ! a.yaml:3:1: did not find expected node content (while parsing a flow node)");
    write_file(f, "new.yaml", "kind: Pod\n");
    expect(f, "one=a.yaml:1 zwei=b.yaml:1 ! a.yaml:3:1: did not find expected node content (while parsing a flow node) "
              "! new.yaml:1:1: apiVersion is missing");
    remove_file(f, "new.yaml");
    write_map(f, "a.yaml", "uno");
    expect(f, "uno=a.yaml:1 zwei=b.yaml:1");
}

static void the_second_of_two_is_a_problem(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    write_file(f, "b.yaml",
               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\n---\n"
               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n");
    start_watching(f);
    expect(f, "one=a.yaml:1 two=b.yaml:5 ! b.yaml:1:1: ConfigMap \"one\" is already defined in a.yaml:1");
    remove_file(f, "a.yaml");
    expect(f, "one=b.yaml:1 two=b.yaml:5");
}

static void folders_come_and_go(void **state) {
    struct fixture *f = *state;
    start_watching(f);
    expect(f, "");
    make_folder(f, "sub");
    write_map(f, "sub/a.yaml", "one");
    expect(f, "one=sub/a.yaml:1");
    make_folder(f, "sub/deep");
    write_map(f, "sub/deep/b.yaml", "two");
    expect(f, "one=sub/a.yaml:1 two=sub/deep/b.yaml:1");
    rename_file(f, "sub", "other");
    expect(f, "one=other/a.yaml:1 two=other/deep/b.yaml:1");
    write_map(f, "other/deep/b.yaml", "zwei");
    expect(f, "one=other/a.yaml:1 zwei=other/deep/b.yaml:1");
    _cleanup_free_ char *deep = in_dir(f, "other/deep");
    assert_int_equal(rm_tree(deep, NULL), 0);
    expect(f, "one=other/a.yaml:1");
    _cleanup_free_ char *other = in_dir(f, "other"), *away = path_join(f->top, "away");
    assert_int_equal(rename(other, away), 0);
    expect(f, "");
}

static void kubernetes_style_swap(void **state) {
    struct fixture *f = *state;
    make_folder(f, "..v1");
    write_map(f, "..v1/a.yaml", "one");
    link_file(f, "..v1", "..data");
    link_file(f, "..data/a.yaml", "a.yaml");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    make_folder(f, "..v2");
    write_map(f, "..v2/a.yaml", "two");
    link_file(f, "..v2", "..data_tmp");
    rename_file(f, "..data_tmp", "..data");
    expect(f, "two=a.yaml:1");
}

static void links_are_followed_and_watched_where_they_lead(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *outside = path_join(f->top, "src"), *file = path_join(outside, "x.yaml"),
                        *one = config_map("one"), *two = config_map("two");
    assert_int_equal(mkdir(outside, 0755), 0);
    write_at(file, one);
    link_file(f, file, "a.yaml");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    write_at(file, two);
    expect(f, "two=a.yaml:1");
    /* the link itself replaced */
    write_map(f, "..other", "three");
    _cleanup_free_ char *other = in_dir(f, "..other");
    link_file(f, other, ".new");
    rename_file(f, ".new", "a.yaml");
    expect(f, "three=a.yaml:1");
    remove_file(f, "..other");
    expect(f, "three=a.yaml:1 ! a.yaml:1:1: the link leads nowhere: No such file or directory");
    write_map(f, "..other", "three");
    expect(f, "three=a.yaml:1");
    link_file(f, ".", "loop");
    expect_silence(f, 0);
}

static void a_loop_of_links_ends(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    link_file(f, ".", "loop");
    start_watching(f);
    while (f->calls == 0)
        assert_true(sd_event_run(f->event, WAIT_USEC) > 0);
    assert_non_null(strstr(f->text, "one=a.yaml:1"));
}

static void the_directory_may_be_missing_removed_and_made_again(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *etc = path_join(f->top, "etc"), *old = path_join(f->top, "old");
    assert_int_equal(rm_tree(etc, NULL), 0);
    start_watching(f);
    expect(f, "missing");
    assert_int_equal(mkdir(etc, 0755), 0);
    assert_int_equal(mkdir(f->dir, 0755), 0);
    write_map(f, "a.yaml", "one");
    expect(f, "one=a.yaml:1");
    assert_int_equal(rm_tree(f->dir, NULL), 0);
    expect(f, "missing");
    assert_int_equal(mkdir(f->dir, 0755), 0);
    expect(f, "");
    write_map(f, "b.yaml", "two");
    expect(f, "two=b.yaml:1");
    assert_int_equal(rename(etc, old), 0); /* the parent moves away with it */
    expect(f, "missing");
    assert_int_equal(rename(old, etc), 0);
    expect(f, "two=b.yaml:1");
}

static void a_file_being_written_keeps_what_it_held(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    _cleanup_free_ char *path = in_dir(f, "a.yaml"), *text = config_map("two");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    write_map(f, "b.yaml", "other"); /* makes it look at the tree while a.yaml is empty */
    expect(f, "one=a.yaml:1 other=b.yaml:1");
    assert_int_equal(write(fd, text, 20), 20);
    expect_silence(f, 200 * USEC_PER_MSEC);
    assert_int_equal(write(fd, text + 20, strlen(text) - 20), (ssize_t) strlen(text) - 20);
    closep(&fd);
    fd = -EBADF;
    expect(f, "two=a.yaml:1 other=b.yaml:1");
}

static void hard_links_count_at_once(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *outside = path_join(f->top, "x"), *text = config_map("one"), *path = in_dir(f, "a.yaml");
    write_at(outside, text);
    start_watching(f);
    expect(f, "");
    assert_int_equal(link(outside, path), 0);
    expect(f, "one=a.yaml:1");
}

static void an_overflowing_event_queue_loses_nothing(void **state) {
    struct fixture *f = *state;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    for (int i = 0; i < 7000; i++) { /* at least three events each; the kernel keeps 16384 by default */
        write_file(f, "x.yaml", "#");
        remove_file(f, "x.yaml");
    }
    make_folder(f, "sub");
    write_map(f, "sub/b.yaml", "two");
    remove_file(f, "a.yaml");
    expect(f, "two=sub/b.yaml:1");
    write_map(f, "sub/b.yaml", "zwei"); /* and it goes on */
    expect(f, "zwei=sub/b.yaml:1");
}

static void a_file_that_is_never_closed_counts_after_a_while(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *path = in_dir(f, "a.yaml"), *text = config_map("one");
    start_watching(f);
    expect(f, "");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    expect_silence(f, 300 * USEC_PER_MSEC);
    expect(f, "one=a.yaml:1");
}

static void the_watcher_may_be_freed_in_its_callback(void **state) {
    struct fixture *f = *state;
    f->free_in_callback = true;
    write_map(f, "a.yaml", "one");
    start_watching(f);
    expect(f, "one=a.yaml:1");
    assert_null(f->watcher);
    write_map(f, "b.yaml", "two");
    expect_silence(f, 100 * USEC_PER_MSEC);
}

static void a_relative_path_is_refused(void **state) {
    struct fixture *f = *state;
    struct watch_dir *w = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(watch_dir_new(f->event, "manifests", on_changed, f, &w, &err), -EINVAL);
    assert_string_equal(err.text, "the manifest directory must be an absolute path, not manifests");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_come_change_and_go),
        TEST(an_atomic_rename_is_one_change),
        TEST(many_changes_are_told_together),
        TEST(what_is_no_manifest_is_ignored),
        TEST(rewriting_the_same_is_no_change),
        TEST(a_broken_file_keeps_what_it_held),
        TEST(the_second_of_two_is_a_problem),
        TEST(folders_come_and_go),
        TEST(kubernetes_style_swap),
        TEST(links_are_followed_and_watched_where_they_lead),
        TEST(a_loop_of_links_ends),
        TEST(the_directory_may_be_missing_removed_and_made_again),
        TEST(a_file_being_written_keeps_what_it_held),
        TEST(hard_links_count_at_once),
        TEST(an_overflowing_event_queue_loses_nothing),
        TEST(a_file_that_is_never_closed_counts_after_a_while),
        TEST(the_watcher_may_be_freed_in_its_callback),
        TEST(a_relative_path_is_refused),
    };
    return cmocka_run_group_tests_name("watch_dir", tests, NULL, NULL);
}
