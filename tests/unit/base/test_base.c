/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/path.h"
#include "podium/base/random.h"
#include "podium/base/strbuf.h"

static void hashmap_behaves_like_a_map(void **state) {
    _cleanup_(hashmap_freep) struct hashmap *map = hashmap_new(free);
    char key[16];
    bool present[512] = {false};

    for (int step = 0; step < 20000; step++) {
        unsigned k = (unsigned) random_u64() % 512;
        snprintf(key, sizeof(key), "k%u", k);
        if (random_u64() & 1) {
            hashmap_put(map, key, xstrdup(key));
            present[k] = true;
        } else {
            assert_int_equal(hashmap_remove(map, key), present[k]);
            present[k] = false;
        }
    }
    size_t n = 0;
    for (unsigned k = 0; k < 512; k++) {
        snprintf(key, sizeof(key), "k%u", k);
        assert_int_equal(hashmap_has(map, key), present[k]);
        if (present[k]) {
            n++;
            assert_string_equal(hashmap_get(map, key), key);
        }
    }
    assert_int_equal(hashmap_len(map), n);
    struct hashmap_iter it = {0};
    while (hashmap_next(map, &it))
        n--;
    assert_int_equal(n, 0);
}

static void strbuf_stops_at_its_maximum(void **state) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT_MAX(10);

    strbuf_adds(&b, "12345");
    strbuf_addf(&b, "%d", 678);
    assert_false(b.overflow);
    strbuf_adds(&b, "too long");
    assert_true(b.overflow);
    assert_string_equal(strbuf_str(&b), "12345678");
}

static void base64_is_strict(void **state) {
    static const struct {
        const char *plain, *text;
    } good[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    static const char *const bad[] = {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "Zm9v!", "Zg==Zg==", "Zm 9"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_free_ char *text = base64_encode(good[i].plain, strlen(good[i].plain));
        _cleanup_free_ uint8_t *plain = NULL;
        size_t n;
        assert_string_equal(text, good[i].text);
        assert_int_equal(base64_decode(text, strlen(text), &plain, &n), 0);
        assert_int_equal(n, strlen(good[i].plain));
        assert_memory_equal(plain, good[i].plain, n);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t *plain = NULL;
        size_t n;
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &plain, &n), -EINVAL);
    }
}

static void trees_are_made_and_removed_without_following_links(void **state) {
    char dir[] = "/tmp/podium-base-XXXXXX";
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *deep = path_join(dir, "tree/a/b/c");
    _cleanup_free_ char *outside = path_join(dir, "outside");
    _cleanup_free_ char *kept = path_join(outside, "kept");
    _cleanup_free_ char *link = path_join(dir, "tree/a/link");
    _cleanup_free_ char *tree = path_join(dir, "tree");
    assert_int_equal(mkdir_parents(deep, 0755, &err), 0);
    assert_int_equal(mkdir_parents(kept, 0755, &err), 0);
    assert_int_equal(symlink(outside, link), 0);

    _cleanup_close_ int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(open_in_root(root, "a/link/kept", O_PATH, 0), -ENOENT); /* absolute link stays inside */
    assert_true(open_beneath(root, "a/link", O_PATH, 0) < 0);
    _cleanup_close_ int made = mkdir_in_root(root, "/x/../y//z", 0700);
    assert_true(made >= 0);
    _cleanup_close_ int z = open_beneath(root, "y/z", O_PATH, 0);
    assert_true(z >= 0);

    assert_int_equal(rm_tree(tree, &err), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(rm_tree(dir, &err), 0);
    assert_int_equal(rm_tree(dir, &err), 0); /* absent is success */
}

static void atomic_write_replaces_and_leaves_no_temporary(void **state) {
    char dir[] = "/tmp/podium-base-XXXXXX";
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = path_join(dir, "file");
    assert_int_equal(file_write_atomic(path, "one", 3, 0600, false, NULL), 0);
    assert_int_equal(file_write_atomic(path, "two!", 4, 0640, true, NULL), 0);
    assert_int_equal(file_read(path, 100, &b, NULL), 0);
    assert_string_equal(strbuf_str(&b), "two!");
    assert_int_equal(file_read(path, 3, &b, NULL), -EFBIG);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* empty: nothing left behind */
}

static void descriptors_travel_with_messages(void **state) {
    int pair[2], got[4];
    size_t n = ARRAY_LEN(got);
    char buf[8];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int sent[2] = {0, 1};
    assert_int_equal(fd_send_message(pair[0], "hello", 5, sent, 2), 5);
    assert_int_equal(fd_recv_message(pair[1], buf, sizeof(buf), got, &n), 5);
    assert_int_equal(n, 2);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    close(got[0]);
    close(got[1]);
    assert_int_equal(fd_send_message(pair[0], "too long a message", 18, NULL, 0), 18);
    assert_int_equal(fd_recv_message(pair[1], buf, sizeof(buf), NULL, NULL), -EMSGSIZE);
    close(pair[0]);
    close(pair[1]);
}

struct item {
    int n;
    struct list link;
};

static void list_survives_removal_while_walking(void **state) {
    struct item items[5], *i;
    struct list head;
    int sum = 0;

    list_init(&head);
    for (int k = 0; k < 5; k++) {
        items[k].n = k;
        list_append(&head, &items[k].link);
    }
    list_foreach(i, &head, link) if (i->n % 2) list_remove(&i->link);
    list_foreach(i, &head, link) sum += i->n;
    assert_int_equal(sum, 0 + 2 + 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashmap_behaves_like_a_map),
        cmocka_unit_test(strbuf_stops_at_its_maximum),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(trees_are_made_and_removed_without_following_links),
        cmocka_unit_test(atomic_write_replaces_and_leaves_no_temporary),
        cmocka_unit_test(descriptors_travel_with_messages),
        cmocka_unit_test(list_survives_removal_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
