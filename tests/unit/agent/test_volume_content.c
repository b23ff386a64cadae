/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What volumes with content from the API hold, and how it is put on disk. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/payload.h"
#include "orchestrator/agent/volume_content.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/path.h"

static struct json *parse(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    struct json *v = NULL;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(json_parse(copy, strlen(copy), NULL, &v, NULL), 0);
    return v;
}

/* "path=bytes(mode);…" of a volume of a pod that knows a ConfigMap "map" {a: 1, b: 2, bin: <ff>} and a Secret. */
static char *content(const char *volume_text, const char *security, int *ret, struct pod_problem *problem) {
    _cleanup_(hashmap_freep) struct hashmap *objects = hashmap_new((void (*)(void *)) json_unref);
    _cleanup_free_ char *pod_text =
        xasprintf("{'metadata':{'namespace':'ns','name':'p','labels':{'z':'1','a':'2'}},'spec':{'securityContext':%s,"
                  "'containers':[{'name':'c'},{'name':'d'}]}}",
                  security);
    _cleanup_json_ struct json *pod = parse(pod_text), *volume = parse(volume_text);
    _cleanup_(payload_finish) struct payload files = {0};
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    bool is_content = false;

    hashmap_put(objects, "ConfigMap/ns/map",
                parse("{'kind':'ConfigMap','data':{'b':'2','a':'1'},'binaryData':{'bin':'/w=='}}"));
    hashmap_put(objects, "Secret/ns/keys", parse("{'kind':'Secret','data':{'k':'c2VjcmV0'}}"));
    const struct pod_context ctx = {.pod = pod, .objects = objects, .node_name = "n", .host_ip = "", .pod_ip = ""};
    *ret = volume_content(&ctx, volume, false, &files, &is_content, problem);
    assert_true(is_content);
    strbuf_adds(&out, "");
    for (size_t i = 0; i < files.n; i++)
        strbuf_addf(&out, "%s=%s(%o);", files.files[i].path, (char *) files.files[i].data, files.files[i].mode);
    return strbuf_steal(&out);
}

static void assert_content(const char *volume, const char *want) {
    _cleanup_(pod_problem_finish) struct pod_problem problem = {0};
    int r;
    _cleanup_free_ char *got = content(volume, "{}", &r, &problem);

    assert_string_equal(got, want);
    assert_int_equal(r, 0);
}

static void assert_problem(const char *volume, const char *want) {
    _cleanup_(pod_problem_finish) struct pod_problem problem = {0};
    int r;

    free(content(volume, "{}", &r, &problem));
    assert_int_equal(r, -EAGAIN);
    assert_string_equal(problem.message, want);
}

static void test_sources(void **state) {
    assert_content("{'name':'v','configMap':{'name':'map'}}", "a=1(644);b=2(644);bin=\xff(644);");
    assert_content(
        "{'name':'v','configMap':{'name':'map','defaultMode':256,'items':[{'key':'b','path':'x/y','mode':384}"
        ",{'key':'a','path':'a'}]}}",
        "x/y=2(600);a=1(400);");
    assert_content("{'name':'v','secret':{'secretName':'keys'}}", "k=secret(644);");
    assert_content("{'name':'v','secret':{'secretName':'none','optional':true}}", "");
    assert_content(
        "{'name':'v','projected':{'defaultMode':292,'sources':[{'configMap':{'name':'map','items':[{'key':'a'"
        ",'path':'f'}]}},{'secret':{'name':'keys'}},{'downwardAPI':{'items':[{'path':'l','fieldRef':{"
        "'fieldPath':'metadata.labels'}}]}},{'configMap':{'name':'map','items':[{'key':'b','path':'f'}]}}]}}",
        "f=2(444);k=secret(444);l=a=\"2\"\nz=\"1\"(444);");
}

static void test_problems(void **state) {
    assert_problem("{'name':'v','configMap':{'name':'none'}}",
                   "MountVolume.SetUp failed for volume \"v\" : configmap \"none\" not found");
    assert_problem("{'name':'v','configMap':{'name':'map','items':[{'key':'c','path':'c'}]}}",
                   "MountVolume.SetUp failed for volume \"v\" : references non-existent configmap key: c");
    assert_problem("{'name':'v','configMap':{'name':'map','items':[{'key':'a','path':'../a'}]}}",
                   "MountVolume.SetUp failed for volume \"v\" : \"../a\" is not usable as a file name in a volume");
    assert_problem("{'name':'v','projected':{'sources':[{'clusterTrustBundle':{}}]}}",
                   "MountVolume.SetUp failed for volume \"v\" : projected sources of kind clusterTrustBundle are not "
                   "supported");
}

static void test_shown_metadata(void **state) {
    static const struct {
        const char *volume;
        bool shows;
    } cases[] = {
        {"{'downwardAPI':{'items':[{'fieldRef':{'fieldPath':'metadata.name'}}]}}", false},
        {"{'downwardAPI':{'items':[{'fieldRef':{'fieldPath':'metadata.labels'}}]}}", true},
        {"{'projected':{'sources':[{'secret':{}},{'downwardAPI':{'items':[{'fieldRef':{'fieldPath':"
         "'metadata.annotations[\\\"x\\\"]'}}]}}]}}",
         true},
        {"{'configMap':{'name':'labels'}}", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *v = parse(cases[i].volume);
        assert_int_equal(volume_shows_metadata(v), cases[i].shows);
    }
}

/* --- on disk --- */

static void put(struct payload *p, const char *path, const char *text, mode_t mode) {
    assert_int_equal(payload_add(p, path, (uint8_t *) xstrdup(text), strlen(text), mode, NULL), 0);
}

static char *link_of(const char *dir) {
    _cleanup_free_ char *path = path_join(dir, "..data");
    char target[128];
    ssize_t n = readlink(path, target, sizeof(target));

    assert_true(n > 0);
    return xstrndup(target, (size_t) n);
}

static struct stat stat_of(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void test_replaced_at_once(void **state) {
    char dir[] = "/tmp/podium-payload-XXXXXX";
    _cleanup_(payload_finish) struct payload first = {0}, second = {0};

    assert_non_null(mkdtemp(dir));
    put(&first, "a", "1", 0600);
    put(&first, "deep/er", "2", 0644);
    assert_int_equal(payload_write(&first, dir, -1, NULL), 0);
    _cleanup_free_ char *before = link_of(dir);
    assert_int_equal(payload_write(&first, dir, -1, NULL), 0);
    _cleanup_free_ char *again = link_of(dir);
    assert_string_equal(before, again); /* nothing changed: nothing written */
    assert_int_equal(stat_of(dir, "a").st_mode & 07777, 0600);
    put(&second, "a", "9", 0644);
    assert_int_equal(payload_write(&second, dir, -1, NULL), 0);
    _cleanup_free_ char *after = link_of(dir), *gone = path_join(dir, "deep"), *old = path_join(dir, before);
    assert_string_not_equal(before, after);
    assert_int_equal(access(gone, F_OK), -1);
    assert_int_equal(access(old, F_OK), -1);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *a = path_join(dir, "a");
    assert_true(file_read(a, 16, &text, NULL) >= 0);
    assert_string_equal(strbuf_str(&text), "9");
    assert_int_equal(rm_tree(dir, NULL), 0);
}

static void test_group_and_owner(void **state) {
    char dir[] = "/tmp/podium-payload-XXXXXX";
    _cleanup_(payload_finish) struct payload p = {0};

    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(dir));
    put(&p, "sub/t", "x", 0600);
    payload_set_owner(&p, "sub/t", 1234);
    assert_int_equal(payload_write(&p, dir, 99, NULL), 0);
    struct stat file = stat_of(dir, "sub/t"), folder = stat_of(dir, "sub"), top = stat_of(dir, ".");
    assert_int_equal(file.st_mode & 07777, 0640);
    assert_int_equal(file.st_uid, 1234);
    assert_int_equal(file.st_gid, 99);
    assert_int_equal(folder.st_gid, 99);
    assert_int_equal(folder.st_mode & 07777, 02755);
    assert_int_equal(top.st_gid, 99);
    _cleanup_free_ char *before = link_of(dir);
    assert_int_equal(payload_write(&p, dir, 99, NULL), 0);
    _cleanup_free_ char *after = link_of(dir);
    assert_string_equal(before, after);
    /* the same in a user namespace: all owners are its own, root too */
    p.id_base = 655360;
    assert_int_equal(payload_write(&p, dir, 99, NULL), 0);
    file = stat_of(dir, "sub/t");
    folder = stat_of(dir, "sub");
    assert_int_equal(file.st_uid, 655360 + 1234);
    assert_int_equal(file.st_gid, 655360 + 99);
    assert_int_equal(folder.st_uid, 655360);
    assert_int_equal(folder.st_gid, 655360 + 99);
    _cleanup_free_ char *own = link_of(dir);
    assert_string_not_equal(own, before);
    assert_int_equal(payload_write(&p, dir, 99, NULL), 0);
    _cleanup_free_ char *again = link_of(dir);
    assert_string_equal(again, own);
    assert_int_equal(rm_tree(dir, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),         cmocka_unit_test(test_problems),
        cmocka_unit_test(test_shown_metadata),  cmocka_unit_test(test_replaced_at_once),
        cmocka_unit_test(test_group_and_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
