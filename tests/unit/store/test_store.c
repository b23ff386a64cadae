/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store as its users see it, on LMDB: writes, reads, lists, restart, room. */
#include "tests/unit/store/store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);

    fixture_init(f);
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void test_create_get_update_delete(void **state) {
    struct fixture *f = *state;
    uint64_t rev;

    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 1, 0, &rev), 0);
    assert_int_equal(rev, 1);
    assert_int_equal(store_revision(f->store), 1);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 2, 0, NULL), -EEXIST);
    assert_int_equal(value_of(f->store, "a", "x"), 1);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 3, 1, &rev), 0);
    assert_int_equal(rev, 2);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 4, 1, NULL), -ESTALE);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "y", 4, 0, NULL), -ENOENT);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "x", 0, 1, NULL), -ESTALE);
    assert_int_equal(value_of(f->store, "a", "x"), 3);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "x", 0, 2, &rev), 0);
    assert_int_equal(rev, 3);
    assert_int_equal(value_of(f->store, "a", "x"), -1);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "x", 0, 0, NULL), -ENOENT);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 5, 0, &rev), 0);
    assert_int_equal(rev, 4);
    assert_int_equal(store_count(f->store, "configmaps"), 1);
}

static void test_text_and_document_agree(void **state) {
    struct fixture *f = *state;
    _cleanup_json_ struct json *parsed = NULL;
    size_t n;

    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 2, 0, NULL), 0);
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(f->store, "configmaps", "a", "x");
    const char *text = store_item_text(i, &n);
    assert_int_equal(strlen(text), n);
    assert_int_equal(json_parse(text, n, NULL, &parsed, NULL), 0);
    assert_true(json_equal(parsed, store_item_doc(i)));
    assert_string_equal(json_str(json_path(parsed, "metadata", "resourceVersion")), "2");
    _cleanup_free_ char *again = json_to_text(store_item_doc(i));
    assert_string_equal(again, text);
    assert_ptr_equal(store_item_text(i, NULL), text);
}

/* userdata: how often it was called, and -1 when it is to fail. */
static int pack(void *userdata, const struct json *doc, struct strbuf *out) {
    int *calls = userdata;
    if (*calls < 0)
        return -EINVAL;
    ++*calls;
    strbuf_add(out, "\0packed", 7);
    return 0;
}

static const char *packed_of(struct fixture *f, const char *name, store_encode_fn encode, int *calls) {
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(f->store, "configmaps", "a", name);
    size_t n = 0;
    const char *p = store_item_packed(i, encode, calls, &n);
    if (p)
        assert_int_equal(n, 7);
    return p; /* only compared */
}

/* A second encoding is made once for all who want it, and goes with the documents of what is no longer fresh. */
static void test_packed_once(void **state) {
    struct fixture *f = *state;
    int calls = -1;

    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_null(packed_of(f, "x", NULL, NULL));
    assert_null(packed_of(f, "x", pack, &calls));
    calls = 0;
    const char *p = packed_of(f, "x", pack, &calls);
    assert_non_null(p);
    assert_ptr_equal(packed_of(f, "x", pack, &calls), p);
    assert_ptr_equal(packed_of(f, "x", NULL, NULL), p);
    assert_int_equal(calls, 1);
    for (int i = 0; i < 600; i++) { /* more than stay fresh */
        char name[16];
        (void) snprintf(name, sizeof(name), "y%d", i);
        assert_int_equal(put(f->store, STORE_CREATE, "a", name, 1, 0, NULL), 0);
    }
    assert_null(packed_of(f, "x", NULL, NULL));
    assert_non_null(packed_of(f, "x", pack, &calls));
    assert_int_equal(calls, 2);
}

static void test_caller_document_is_untouched(void **state) {
    struct fixture *f = *state;
    _cleanup_json_ struct json *doc = document("a", "x", 1);
    json_set_path(&doc, json_string("77"), "metadata", "resourceVersion");
    struct store_write w = {STORE_CREATE, "configmaps", "a", "x", doc, 0};
    struct waiter wait = WAITER_INIT;

    assert_int_equal(store_submit(f->store, &w, waiter_done, &wait), 0);
    waiter_wait(&wait, 1);
    assert_string_equal(json_str(json_path(doc, "metadata", "resourceVersion")), "77");
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(f->store, "configmaps", "a", "x");
    assert_string_equal(json_str(json_path(store_item_doc(i), "metadata", "resourceVersion")), "1");
}

static void test_bad_documents_are_refused(void **state) {
    struct fixture *f = *state;
    _cleanup_json_ struct json *array = json_array(), *odd = json_object(), *big = document("a", "x", 1);
    char *kilo = xmalloc(1600 * 1024 + 1);

    json_set(&odd, "metadata", json_int(1));
    memset(kilo, 'x', 1600 * 1024);
    kilo[1600 * 1024] = 0;
    json_set(&big, "data", json_string(kilo));
    free(kilo);
    struct store_write w = {STORE_CREATE, "configmaps", "a", "x", array, 0};
    assert_int_equal(store_submit(f->store, &w, waiter_done, NULL), -EINVAL);
    w.doc = odd;
    assert_int_equal(store_submit(f->store, &w, waiter_done, NULL), -EINVAL);
    w.doc = NULL;
    assert_int_equal(store_submit(f->store, &w, waiter_done, NULL), -EINVAL);
    w.doc = big;
    assert_int_equal(store_submit(f->store, &w, waiter_done, NULL), -E2BIG);
    assert_int_equal(store_revision(f->store), 0);
}

static void test_pipelined_writes_on_one_object(void **state) {
    struct fixture *f = *state;
    struct waiter w = WAITER_INIT;

    /* none waits for the one before: each is checked against the newest submitted state */
    assert_int_equal(submit(f->store, STORE_CREATE, "a", "x", 1, 0, &w), 0);
    assert_int_equal(submit(f->store, STORE_CREATE, "a", "x", 1, 0, &w), -EEXIST);
    for (int i = 2; i <= 100; i++)
        assert_int_equal(submit(f->store, STORE_UPDATE, "a", "x", i, (uint64_t) i - 1, &w), 0);
    assert_int_equal(submit(f->store, STORE_UPDATE, "a", "x", 0, 99, &w), -ESTALE);
    assert_int_equal(submit(f->store, STORE_DELETE, "a", "x", 0, 100, &w), 0);
    assert_int_equal(submit(f->store, STORE_UPDATE, "a", "x", 0, 0, &w), -ENOENT);
    assert_int_equal(submit(f->store, STORE_CREATE, "a", "x", 7, 0, &w), 0);
    waiter_wait(&w, 102);
    assert_int_equal(w.result, 0);
    assert_int_equal(w.revision, 102);
    assert_int_equal(value_of(f->store, "a", "x"), 7);
}

static void fill(struct store *s) {
    static const char *const spaces[] = {"b", "a", "ab", ""};

    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%02d", (i * 7) % 40);
        assert_int_equal(put(s, STORE_CREATE, spaces[i % 4], name, i, 0, NULL), 0);
    }
}

static void test_list_order_and_paging(void **state) {
    struct fixture *f = *state;
    struct store_list all, page;
    size_t seen = 0;

    fill(f->store);
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 0, &all), 0);
    assert_int_equal(all.n, 40);
    assert_false(all.more);
    assert_int_equal(all.revision, 40);
    for (size_t i = 1; i < all.n; i++) {
        int r = strcmp(store_item_namespace(all.items[i - 1]), store_item_namespace(all.items[i]));
        assert_true(r < 0 || (r == 0 && strcmp(store_item_name(all.items[i - 1]), store_item_name(all.items[i])) < 0));
    }
    const char *ns = NULL, *name = NULL;
    do {
        assert_int_equal(store_list(f->store, "configmaps", NULL, ns, name, 7, 0, &page), 0);
        assert_int_equal(page.remaining, 40 - seen - page.n);
        assert_int_equal(page.more, page.remaining > 0);
        for (size_t i = 0; i < page.n; i++)
            assert_ptr_equal(page.items[i], all.items[seen++]);
        ns = store_item_namespace(all.items[seen - 1]);
        name = store_item_name(all.items[seen - 1]);
        bool more = page.more;
        store_list_finish(&page);
        if (!more)
            break;
    } while (true);
    assert_int_equal(seen, 40);
    store_list_finish(&all);

    assert_int_equal(store_list(f->store, "configmaps", "a", NULL, NULL, 3, 0, &page), 0);
    assert_int_equal(page.n, 3);
    assert_int_equal(page.remaining, 7);
    for (size_t i = 0; i < page.n; i++)
        assert_string_equal(store_item_namespace(page.items[i]), "a");
    store_list_finish(&page);
    assert_int_equal(store_list(f->store, "configmaps", "a", "a", "n99", 3, 0, &page), 0);
    assert_int_equal(page.n, 0);
    store_list_finish(&page);
    assert_int_equal(store_list(f->store, "configmaps", "nothing", NULL, NULL, 0, 0, &page), 0);
    assert_int_equal(page.n, 0);
    store_list_finish(&page);
    assert_int_equal(store_list(f->store, "unknown", NULL, NULL, NULL, 0, 0, &page), 0);
    assert_int_equal(page.n, 0);
    store_list_finish(&page);
}

static void test_list_at_older_revision(void **state) {
    struct fixture *f = *state;
    struct store_list then, again;

    fill(f->store);
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 0, &then), 0);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "n07", 0, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "n06x", 0, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "n06x", 1, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "", "n21", 99, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "", "n21", 100, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_DELETE, "", "n21", 0, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "", "n21", 0, 0, NULL), 0);

    const char *ns = NULL, *name = NULL;
    size_t seen = 0;
    for (bool more = true; more;) {
        assert_int_equal(store_list(f->store, "configmaps", NULL, ns, name, 3, then.revision, &again), 0);
        assert_int_equal(again.revision, then.revision);
        assert_int_equal(again.remaining, then.n - seen - again.n);
        for (size_t i = 0; i < again.n; i++)
            assert_ptr_equal(again.items[i], then.items[seen++]);
        ns = store_item_namespace(then.items[seen - 1]);
        name = store_item_name(then.items[seen - 1]);
        more = again.more;
        store_list_finish(&again);
    }
    assert_int_equal(seen, then.n);
    store_list_finish(&then);
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 48, &again), -ERANGE);
}

static void test_reopen_keeps_everything(void **state) {
    struct fixture *f = *state;
    struct store_list list;

    fill(f->store);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "n07", 1000, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "last", 1, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "last", 0, 0, NULL), 0);
    store_close(f->store);
    fixture_open(f);
    /* the newest object is gone, its revision is not used again */
    assert_int_equal(store_revision(f->store), 43);
    assert_int_equal(store_count(f->store, "configmaps"), 40);
    assert_int_equal(value_of(f->store, "a", "n07"), 1000);
    assert_int_equal(value_of(f->store, "a", "last"), -1);
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(f->store, "configmaps", "a", "n07");
    assert_int_equal(store_item_revision(i), 41);
    assert_string_equal(json_str(json_path(store_item_doc(i), "metadata", "resourceVersion")), "41");
    uint64_t rev;
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "n07", 1, 41, &rev), 0);
    assert_int_equal(rev, 44);
    /* what was before the restart is out of the window */
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 42, &list), -ESTALE);
    assert_int_equal(store_list(f->store, "unknown", NULL, NULL, NULL, 0, 42, &list), -ESTALE);
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 43, &list), 0);
    assert_int_equal(list.n, 40);
    store_list_finish(&list);
}

static void test_file_modes_and_second_opener(void **state) {
    struct fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *data = path_join(f->path, "data.mdb");
    struct store *second;
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(data, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(store_open_lmdb(&f->options, &second, &err), -EBUSY);
    assert_non_null(strstr(error_text(&err, -EBUSY), "in use"));
}

static void assert_damage_is_told(struct fixture *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = store_open_lmdb(&f->options, &f->store, &err);

    assert_int_equal(r, -EBADMSG);
    assert_non_null(strstr(error_text(&err, r), "damaged"));
    assert_non_null(strstr(error_text(&err, r), f->path));
}

static void test_damaged_file_is_told(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *data = path_join(f->path, "data.mdb");
    struct stat st;

    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(put(f->store, STORE_CREATE, "a", name, i, 0, NULL), 0);
    }
    store_close(steal(&f->store));
    assert_int_equal(stat(data, &st), 0);

    /* one byte of the newest objects flipped: found by the checksum */
    _cleanup_close_ int fd = open(data, O_RDWR | O_CLOEXEC);
    _cleanup_free_ char *bytes = xmalloc((size_t) st.st_size);
    assert_int_equal(pread(fd, bytes, (size_t) st.st_size, 0), st.st_size);
    char *at = memmem(bytes, (size_t) st.st_size, "\"resourceVersion\":\"77\"", 22);
    assert_non_null(at);
    for (char *p = bytes; (p = memmem(p, (size_t) (bytes + st.st_size - p), "\"resourceVersion\":\"77\"", 22)); p++)
        assert_int_equal(pwrite(fd, "8", 1, p - bytes + 19), 1);
    assert_damage_is_told(f);

    /* cut off in the middle */
    assert_int_equal(pwrite(fd, bytes, (size_t) st.st_size, 0), st.st_size);
    assert_int_equal(ftruncate(fd, 3 * 4096), 0);
    assert_damage_is_told(f);

    /* not a store at all */
    memset(bytes, 'x', (size_t) st.st_size);
    assert_int_equal(pwrite(fd, bytes, (size_t) st.st_size, 0), st.st_size);
    assert_damage_is_told(f);
}

/* Of a size as before: that takes no room for long. 0, or what the first one that failed got. */
static int update_all(struct store *s, int n, const char *filler) {
    char name[32];

    for (int round = 0; round < 3; round++)
        for (int i = 0; i < n; i++) {
            struct waiter wait = WAITER_INIT;
            snprintf(name, sizeof(name), "n%05d", i);
            _cleanup_json_ struct json *doc = document("a", name, round);
            json_set(&doc, "data", json_string(filler));
            const struct store_write w = {STORE_UPDATE, "configmaps", "a", name, doc, 0};
            if (store_submit(s, &w, waiter_done, &wait) < 0)
                return -EINVAL;
            waiter_wait(&wait, 1);
            if (wait.result < 0)
                return wait.result;
        }
    return 0;
}

/* Until there is no room even for updates. */
static int grow_all(struct store *s, int n) {
    _cleanup_free_ char *filler = xmalloc(60001);

    memset(filler, 'y', 60000);
    filler[60000] = 0;
    return update_all(s, n, filler);
}

static void test_full_map_still_deletes(void **state) {
    struct fixture *f = *state;
    char name[32], *filler = xmalloc(2301);
    int n = 0, r;

    store_close(f->store);
    assert_int_equal(rm_tree(f->path, NULL), 0);
    f->options.map_bytes = 2 * 1024 * 1024;
    fixture_open(f);
    memset(filler, 'x', 2300);
    filler[2300] = 0;
    do {
        struct waiter wait = WAITER_INIT;
        snprintf(name, sizeof(name), "n%05d", n);
        _cleanup_json_ struct json *doc = document("a", name, n);
        json_set(&doc, "data", json_string(filler));
        struct store_write w = {STORE_CREATE, "configmaps", "a", name, doc, 0};
        r = store_submit(f->store, &w, waiter_done, &wait);
        assert_int_equal(r, 0);
        waiter_wait(&wait, 1);
        r = wait.result;
        if (r == 0)
            n++;
    } while (r == 0 && n < 10000);
    assert_int_equal(r, -ENOSPC);
    assert_in_range(n, 100, 1000);
    assert_int_equal(store_count(f->store, "configmaps"), (size_t) n);
    assert_int_equal(update_all(f->store, n, filler), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "b", "new", 0, 0, NULL), -ENOSPC);
    assert_int_equal(grow_all(f->store, n), -ENOSPC);
    /* a batch of both lets the deletions through */
    struct waiter wait = WAITER_INIT, created = WAITER_INIT;
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "n%05d", i);
        assert_int_equal(submit(f->store, STORE_DELETE, "a", name, 0, 0, &wait), 0);
        if (i == 0)
            assert_int_equal(submit(f->store, STORE_CREATE, "b", "new", 0, 0, &created), 0);
    }
    waiter_wait(&wait, (unsigned) n);
    waiter_wait(&created, 1);
    assert_int_equal(wait.result, 0);
    assert_in_range(store_count(f->store, "configmaps"), 0, 1);
    /* and there is room again, also after a restart */
    store_close(f->store);
    fixture_open(f);
    for (int i = 0; i < n / 2; i++) {
        snprintf(name, sizeof(name), "again%05d", i);
        assert_int_equal(put(f->store, STORE_CREATE, "a", name, i, 0, NULL), 0);
    }
    free(filler);
}

/* The disk may be full before the map is. A small file system of our own, in a mount namespace of a child. */
static int fill_small_disk(const char *path) {
    struct fixture f = {.path = xstrdup(path)};
    char name[32], *filler = xmalloc(2301);
    int n = 0, r = 0;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=8m") < 0)
        return 77;
    f.options.path = f.path;
    if (store_open_lmdb(&f.options, &f.store, NULL) < 0)
        return 1;
    memset(filler, 'x', 2300);
    filler[2300] = 0;
    for (; r == 0 && n < 10000; n++) {
        struct waiter wait = WAITER_INIT;
        snprintf(name, sizeof(name), "n%05d", n);
        _cleanup_json_ struct json *doc = document("a", name, n);
        json_set(&doc, "data", json_string(filler));
        const struct store_write w = {STORE_CREATE, "configmaps", "a", name, doc, 0};
        if (store_submit(f.store, &w, waiter_done, &wait) < 0)
            return 2;
        waiter_wait(&wait, 1);
        r = wait.result;
    }
    if (r != -ENOSPC || n < 100)
        return 3;
    _cleanup_free_ char *other = path_join(path, "other"); /* whatever is left goes to somebody else */
    _cleanup_close_ int fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, filler, 2300) > 0)
        ;
    if (update_all(f.store, n - 1, filler) != 0)
        return 6;
    if (grow_all(f.store, n - 1) != -ENOSPC)
        return 7;
    for (int i = 0; i < n - 1; i++) {
        snprintf(name, sizeof(name), "n%05d", i);
        if (put(f.store, STORE_DELETE, "a", name, 0, 0, NULL) != 0)
            return 4;
    }
    return put(f.store, STORE_CREATE, "a", "again", 1, 0, NULL) == 0 ? 0 : 5;
}

static void test_full_disk_still_deletes(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *disk = path_join(f->path, "disk");
    int status;

    assert_int_equal(mkdir(disk, 0700), 0);
    store_close(steal(&f->store)); /* no threads in a process that forks */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fill_small_disk(disk));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* not allowed to mount */
    assert_int_equal(status, 0);
}

/* Hours of lease renewals must not grow the file. */
static void test_churn_keeps_the_file_flat(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *data = path_join(f->path, "data.mdb");
    struct stat before, after;

    store_close(f->store);
    f->options.no_sync = true;
    fixture_open(f);
    for (int round = 0; round < 3000; round++) {
        char name[16];
        snprintf(name, sizeof(name), "lease%d", round % 20);
        assert_int_equal(put(f->store, round < 20 ? STORE_CREATE : STORE_UPDATE, "a", name, round, 0, NULL), 0);
        if (round == 500)
            assert_int_equal(stat(data, &before), 0);
    }
    assert_int_equal(stat(data, &after), 0);
    assert_in_range(after.st_size, 0, before.st_size + 16 * 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_get_update_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_and_document_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caller_document_is_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_documents_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelined_writes_on_one_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_order_and_paging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_at_older_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen_keeps_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_modes_and_second_opener, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_file_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_map_still_deletes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_still_deletes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_churn_keeps_the_file_flat, setup, teardown),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
