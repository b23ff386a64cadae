/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running skopeo (a script stands for it), and whose credentials are tried. */
#include "tests/unit/images/image_fixture.h"

#include "orchestrator/images/credentials.h"
#include "orchestrator/images/transport.h"
#include "podium/base/clock.h"

static char *script(const struct fixture *f, const char *body) {
    _cleanup_free_ char *text = xasprintf("#!/bin/sh\n%s\n", body);
    char *path = path_join(f->dir, "skopeo");

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0755, false, NULL), 0);
    return path;
}

static struct image_transport transport(const struct fixture *f, const char *skopeo) {
    return (struct image_transport){
        .skopeo = skopeo, .config_dir = f->dir, .tmp_dir = f->dir, .repository = "registry.example:5000/choir"};
}

static char *text_of(const struct fixture *f, const char *name) {
    _cleanup_free_ char *path = path_join(f->dir, name);
    struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
    return strbuf_steal(&text);
}

static void test_a_question(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *skopeo = script(f, "echo \"$@\" >$HOME/args; env >$HOME/env; for a; do case $a in "
                                            "--authfile=*) cat ${a#*=} >$HOME/auth; stat -Lc %a ${a#*=} >$HOME/mode;; "
                                            "esac; done; printf '{}'");
    struct image_transport t = transport(f, skopeo);
    _cleanup_json_ struct json *pair = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    json_set(&pair, "username", json_string("maestro"));
    json_set(&pair, "password", json_string("s3cret:with:colons"));
    t.credentials = pair;
    assert_int_equal(setenv("REGISTRY_AUTH_FILE", "/of/somebody/else", 1), 0);
    write_file(f->dir, "registries.conf", "", 0);
    write_file(f->dir, "certs.d/registry.example:5000/ca.crt", "", 0);
    assert_int_equal(transport_manifest(&t, "registry.example:5000/choir:1", &out, NULL), 0);
    assert_string_equal(strbuf_str(&out), "{}");
    _cleanup_free_ char *args = text_of(f, "args"), *env = text_of(f, "env"), *auth = text_of(f, "auth");
    _cleanup_free_ char *mode = text_of(f, "mode");
    assert_non_null(strstr(args, "--registries-conf"));
    assert_non_null(strstr(args, "certs.d/registry.example:5000"));
    assert_non_null(strstr(args, "inspect"));
    assert_non_null(strstr(args, " --raw docker://registry.example:5000/choir:1\n"));
    assert_null(strstr(args, "tls-verify"));
    /* secrets go by the file, whose name is nobody's */
    assert_null(strstr(args, "s3cret"));
    assert_null(strstr(env, "s3cret"));
    assert_null(strstr(env, "REGISTRY_AUTH_FILE"));
    assert_string_equal(mode, "600\n");
    assert_string_equal(auth,
                        "{\"auths\":{\"registry.example:5000\":{\"auth\":\"bWFlc3RybzpzM2NyZXQ6d2l0aDpjb2xvbnM=\"}}}");
}

static void test_failures(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *body;
        int code;
        const char *text;
    } cases[] = {
        {"echo 'time=\"now\" level=fatal msg=\"Error parsing image name \\\"docker://a:1\\\": reading manifest 1 in a: "
         "manifest unknown: no \\\"a\\\"\"' >&2; exit 1",
         -ENOENT, "reading manifest 1 in a: manifest unknown: no \"a\""},
        {"echo 'level=fatal msg=\"unauthorized: go away\"' >&2; exit 1", -EACCES, "unauthorized: go away"},
        {"printf 'first\\nlast words\\n' >&2; exit 2", -EIO, "last words"},
        {"exit 1", -EIO, "no reason given"},
        {"kill -KILL $$", -EIO, "skopeo was killed by signal 9"},
        {"head -c 5000000 /dev/zero", -EFBIG, "the answer is larger than 4194304 bytes"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *skopeo = script(f, cases[i].body);
        struct image_transport t = transport(f, skopeo);
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(transport_manifest(&t, "a:1", &out, &err), cases[i].code);
        assert_string_equal(error_text(&err, 0), cases[i].text);
    }
    struct image_transport none = transport(f, "/no/such/skopeo");
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    assert_int_equal(transport_manifest(&none, "a:1", &out, NULL), -ENOPKG);
}

static bool alive(const char *pid) {
    _cleanup_free_ char *path = xasprintf("/proc/%s", pid);
    return access(path, F_OK) == 0;
}

/* Neither silence nor a flood lasts; whatever it had started ends with it. */
static void test_silence_and_floods(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *blobs = path_join(f->dir, "blobs"), *sha256 = path_join(blobs, "sha256");
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    uint64_t start = now_monotonic_usec();

    assert_int_equal(mkdir_parents(sha256, 0755, NULL), 0);
    _cleanup_free_ char *silent = script(f, "sleep 1000 & printf %d $! >$HOME/child; wait");
    struct image_transport t = transport(f, silent);
    t.stall_usec = 500 * USEC_PER_MSEC;
    assert_int_equal(transport_copy(&t, "a:1", blobs, 1000, NULL, NULL, &err), -ETIMEDOUT);
    assert_true(now_monotonic_usec() - start < 10 * USEC_PER_SEC);
    _cleanup_free_ char *child = text_of(f, "child");
    for (int i = 0; alive(child) && i < 500; i++)
        (void) usleep(10000); /* killed; whoever inherited it reaps it */
    assert_false(alive(child));
    _cleanup_free_ char *flood = script(f, "cat /dev/zero >$HOME/blobs/sha256/x");
    t.skopeo = flood;
    assert_int_equal(transport_copy(&t, "a:1", blobs, 1000, NULL, NULL, &err), -EFBIG);
}

/* --- credentials --- */

static struct json *add(struct json *list, const char *config, bool legacy) {
    assert_int_equal(image_credentials_add(&list, config, strlen(config), legacy, NULL), 0);
    return list;
}

static char *users_for(const struct json *list, const char *repository) {
    _cleanup_json_ struct json *found = image_credentials_for(list, repository);
    struct strbuf out = STRBUF_INIT;

    for (size_t i = 0; i < json_len(found); i++)
        strbuf_addf(&out, "%s%s:%s", i ? " " : "", json_str(json_get(json_at(found, i), "username")),
                    json_str(json_get(json_at(found, i), "password")));
    return strbuf_steal(&out);
}

static void assert_users(const struct json *list, const char *repository, const char *wanted) {
    _cleanup_free_ char *users = users_for(list, repository);
    assert_string_equal(users, wanted);
}

static void test_matching(void **state) {
    _cleanup_json_ struct json *list = add(NULL,
                                           "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOjE=\"},"
                                           "\"reg.example\":{\"username\":\"wide\",\"password\":\"2\"},"
                                           "\"reg.example/team\":{\"username\":\"team\",\"password\":\"3\"},"
                                           "\"*.glob.example:5000\":{\"username\":\"glob\",\"password\":\"4\"}}}",
                                           false);
    list = add(list, "{\"reg.example\":{\"username\":\"old\",\"password\":\"5\",\"email\":\"x\"}}", true);

    assert_users(list, "docker.io/library/nginx", "hub:1");
    assert_users(list, "reg.example/other", "wide:2 old:5");
    assert_users(list, "reg.example/team/choir", "team:3 wide:2 old:5");
    assert_users(list, "reg.example:5000/other", "");
    assert_users(list, "a.glob.example:5000/x", "glob:4");
    assert_users(list, "a.b.glob.example:5000/x", "");
    assert_users(list, "a.glob.example/x", "");
    assert_users(list, "quay.io/x", "");
}

static void test_bad_secrets(void **state) {
    static const char *const bad[] = {"", "[]", "{\"auths\":[]}", "{\"auths\":{\"a\":{\"auth\":\"bm9jb2xvbg==\"}}}",
                                      "{\"auths\":{\"a\":{\"auth\":\"%\"}}}"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_json_ struct json *list = NULL;
        assert_int_equal(image_credentials_add(&list, bad[i], strlen(bad[i]), false, NULL), -EINVAL);
        assert_null(list);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_question),
        TEST(test_failures),
        TEST(test_silence_and_floods),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_bad_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
