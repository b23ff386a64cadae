/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "podium/base/alloc.h"
#include "runtime/spec/spec.h"

#define HEAD    "{\"ociVersion\":\"1.2.0\","
#define PROCESS "\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\""

static int parse(const char *text, struct spec **ret, struct error *err) {
    _cleanup_json_ struct json *config = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &config, NULL), 0);
    return spec_parse(config, ret, err);
}

/* The text must be refused with the code, and the message must hold the words. */
static void refused(const char *text, int code, const char *words) {
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = parse(text, &spec, &err);

    if (r != code || !strstr(error_text(&err, r), words))
        fail_msg("%s: got %d \"%s\", not \"%s\"", text, r, error_text(&err, r), words);
    assert_null(spec);
}

static struct spec *accepted(const char *text) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct spec *spec = NULL;

    if (parse(text, &spec, &err) < 0)
        fail_msg("%s: %s", text, error_text(&err, -1));
    return spec;
}

static void test_defaults(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec = accepted(HEAD PROCESS "},\"root\":{\"path\":\"r\"}}");

    assert_string_equal(spec->root_path, "r");
    assert_false(spec->root_readonly);
    assert_int_equal(spec->process->user.uid, 0);
    assert_false(spec->process->user.has_umask);
    assert_false(spec->process->capabilities.present);
    assert_false(spec->process->no_new_privileges);
    assert_non_null(spec->process->env);
    assert_null(spec->process->env[0]);
    assert_int_equal(spec->rootfs_propagation, SPEC_PROPAGATION_PRIVATE);
    for (int k = 0; k < SPEC_NS_MAX; k++)
        assert_false(spec->namespaces[k].present);
    assert_null(spec->overlay);
}

static void test_process(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec = accepted(
        HEAD "\"process\":{\"args\":[\"a\",\"b c\"],\"cwd\":\"/x\",\"env\":[\"A=b\"],\"terminal\":true,"
             "\"consoleSize\":{\"height\":24,\"width\":80},"
             "\"user\":{\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[3,4]},"
             "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"cap_checkpoint_restore\"],\"ambient\":[\"KILL\"]},"
             "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615}],"
             "\"noNewPrivileges\":true,\"oomScoreAdj\":-17,\"unknownProperty\":1}}");
    const struct spec_process *p = spec->process;

    assert_string_equal(p->args[1], "b c");
    assert_null(p->args[2]);
    assert_true(p->terminal);
    assert_int_equal(p->console_width, 80);
    assert_int_equal(p->user.umask, 022);
    assert_true(p->user.has_umask);
    assert_int_equal(p->user.n_additional_gids, 2);
    assert_int_equal(p->user.additional_gids[1], 4);
    assert_true(p->capabilities.bounding == ((UINT64_C(1) << 40) | 1));
    assert_true(p->capabilities.ambient == UINT64_C(1) << 5);
    assert_int_equal(p->rlimits[0].resource, RLIMIT_NOFILE);
    assert_true(p->rlimits[0].hard == RLIM_INFINITY);
    assert_true(p->has_oom_score_adj);
    assert_int_equal(p->oom_score_adj, -17);
}

static void test_bad_process(void **state) {
    (void) state;
    refused(HEAD "\"process\":{\"args\":[],\"cwd\":\"/\"}}", -EINVAL, "process.args");
    refused(HEAD "\"process\":{\"args\":[\"\"],\"cwd\":\"/\"}}", -EINVAL, "process.args");
    refused(HEAD "\"process\":{\"args\":[1],\"cwd\":\"/\"}}", -EINVAL, "process.args");
    refused(HEAD "\"process\":{\"args\":[\"a\\u0000b\"],\"cwd\":\"/\"}}", -EINVAL, "process.args");
    refused(HEAD "\"process\":{\"args\":[\"a\"],\"cwd\":\"rel\"}}", -EINVAL, "process.cwd");
    refused(HEAD "\"process\":{\"args\":[\"a\"]}}", -EINVAL, "process.cwd");
    refused(HEAD PROCESS ",\"user\":{\"uid\":-1}}}", -EINVAL, "process.user.uid");
    refused(HEAD PROCESS ",\"user\":{\"uid\":4294967296}}}", -EINVAL, "process.user.uid");
    refused(HEAD PROCESS ",\"user\":{\"additionalGids\":[\"x\"]}}}", -EINVAL, "additionalGids");
    refused(HEAD PROCESS ",\"rlimits\":[{\"type\":\"RLIMIT_X\"}]}}", -EINVAL, "process.rlimits[0].type");
    refused(HEAD PROCESS ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]}}", -EINVAL, "soft");
    refused(HEAD PROCESS ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\"},{\"type\":\"RLIMIT_CPU\"}]}}", -EINVAL, "twice");
    refused(HEAD PROCESS ",\"oomScoreAdj\":1001}}", -EINVAL, "oomScoreAdj");
    refused(HEAD PROCESS ",\"terminal\":\"yes\"}}", -EINVAL, "process.terminal");
}

static void test_what_is_not_implemented_is_refused(void **state) {
    (void) state;
    refused(HEAD "\"linux\":{\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"x\"]}}}", -EOPNOTSUPP,
            "linux.personality.flags");
    refused(HEAD "\"windows\":{\"a\":1}}", -EOPNOTSUPP, "windows");
    /* empty ones ask for nothing */
    _cleanup_(spec_freep) struct spec *spec = accepted(HEAD PROCESS ",\"apparmorProfile\":\"\"}}");
    assert_non_null(spec);
}

static void test_linux(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec = accepted(
        HEAD
        "\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"uts\"},{\"type\":\"network\",\"path\":\"/n\"},"
        "{\"type\":\"user\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":2}],"
        "\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":2}],"
        "\"devices\":[{\"path\":\"/dev/x\",\"type\":\"u\",\"major\":1,\"minor\":2,\"fileMode\":8576,\"uid\":3}],"
        "\"maskedPaths\":[\"/a\"],\"readonlyPaths\":[\"/b\"],\"cgroupsPath\":\"/c\",\"rootfsPropagation\":\"rslave\","
        "\"sysctl\":{\"net.a\":\"1\"},\"resources\":{\"pids\":{\"limit\":1}}}}");

    assert_true(spec->namespaces[SPEC_NS_UTS].present);
    assert_string_equal(spec->namespaces[SPEC_NS_NETWORK].path, "/n");
    assert_false(spec->namespaces[SPEC_NS_PID].present);
    assert_int_equal(spec->uid_mappings[0].host_id, 1000);
    assert_int_equal(spec->devices[0].type, 'c');
    assert_int_equal(spec->devices[0].mode, 0600);
    assert_int_equal(spec->rootfs_propagation, SPEC_PROPAGATION_SLAVE);
    assert_true(spec->rootfs_propagation_recursive);
    assert_string_equal(spec->masked_paths[0], "/a");
    assert_int_equal(json_int_or(json_path(spec->resources, "pids", "limit"), 0), 1);

    refused(HEAD "\"linux\":{\"namespaces\":[{\"type\":\"moon\"}]}}", -EINVAL, "linux.namespaces[0].type");
    refused(HEAD "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}", -EINVAL, "twice");
    refused(HEAD "\"linux\":{\"uidMappings\":[{\"size\":1}]}}", -EINVAL, "user namespace");
    refused(HEAD "\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}", -EINVAL, "linux.uidMappings");
    refused(HEAD "\"linux\":{\"namespaces\":[{\"type\":\"user\"}],\"uidMappings\":[{\"size\":1}]}}", -EINVAL,
            "linux.gidMappings");
    refused(HEAD "\"linux\":{\"devices\":[{\"path\":\"x\",\"type\":\"c\"}]}}", -EINVAL, "linux.devices[0].path");
    refused(HEAD "\"linux\":{\"maskedPaths\":[\"rel\"]}}", -EINVAL, "maskedPaths");
    refused(HEAD "\"linux\":{\"rootfsPropagation\":\"odd\"}}", -EINVAL, "rootfsPropagation");
    refused(HEAD "\"hostname\":\"h\"}", -EINVAL, "uts");
    refused(HEAD "\"linux\":{\"sysctl\":{\"a\":1}}}", -EINVAL, "linux.sysctl");
}

static void test_mounts_and_hooks(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec = accepted(
        HEAD "\"mounts\":[{\"destination\":\"rel\",\"type\":\"tmpfs\"},{\"destination\":\"/b\",\"source\":\"s\","
             "\"options\":[\"bind\"]}],\"hooks\":{\"poststop\":[{\"path\":\"/h\",\"timeout\":3}]}}");

    assert_string_equal(spec->mounts[0].destination, "/rel");
    assert_non_null(spec->mounts[0].options);
    assert_string_equal(spec->mounts[1].options[0], "bind");
    assert_int_equal(spec->hooks[SPEC_HOOK_POSTSTOP].n, 1);
    assert_int_equal(spec->hooks[SPEC_HOOK_POSTSTOP].hooks[0].timeout, 3);
    refused(HEAD "\"mounts\":[{\"type\":\"tmpfs\"}]}", -EINVAL, "mounts[0].destination");
    refused(HEAD "\"mounts\":[3]}", -EINVAL, "mounts[0]");
    refused(HEAD "\"mounts\":[{\"destination\":\"/x\",\"uidMappings\":[{\"size\":1}]}]}", -EINVAL, "gidMappings");
    refused(HEAD "\"mounts\":[{\"destination\":\"/x\",\"gidMappings\":[{}]}]}", -EINVAL,
            "mounts[0].gidMappings[0].size");
    refused(HEAD "\"hooks\":{\"prestart\":[{\"path\":\"rel\"}]}}", -EINVAL, "hooks.prestart[0].path");
    refused(HEAD "\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}}", -EINVAL, "timeout");
}

static void test_overlay_annotations(void **state) {
    (void) state;
    _cleanup_(spec_freep) struct spec *spec = accepted(
        HEAD "\"annotations\":{\"org.podium.overlay.lower\":\"/a:/b\\\\:c:\",\"org.podium.overlay.upper\":\"/u\","
             "\"org.podium.overlay.work\":\"/w\"}}");

    assert_int_equal(strv_len(spec->overlay->lower), 2);
    assert_string_equal(spec->overlay->lower[0], "/a");
    assert_string_equal(spec->overlay->lower[1], "/b:c");
    assert_string_equal(spec->overlay->upper, "/u");
    refused(HEAD "\"annotations\":{\"org.podium.overlay.lower\":\"/a\",\"org.podium.overlay.upper\":\"/u\"}}", -EINVAL,
            "overlay.work");
    refused(HEAD "\"annotations\":{\"org.podium.overlay.lower\":\"rel\"}}", -EINVAL, "absolute");
    refused(HEAD "\"annotations\":{\"a\":1}}", -EINVAL, "annotations");
}

static void test_documents(void **state) {
    (void) state;
    refused("{}", -EINVAL, "ociVersion");
    refused("{\"ociVersion\":\"2.0\"}", -EINVAL, "2.0");
    refused("[]", -EINVAL, "object");
    refused(HEAD "\"root\":{}}", -EINVAL, "root.path");
    refused(HEAD "\"process\":[]}", -EINVAL, "process");
    refused(HEAD "\"linux\":[]}", -EINVAL, "linux");
}

static void test_default_config_is_valid(void **state) {
    (void) state;
    _cleanup_json_ struct json *config = spec_default_config();
    _cleanup_(spec_freep) struct spec *spec = NULL;

    assert_int_equal(spec_parse(config, &spec, NULL), 0);
    assert_true(spec->process->no_new_privileges);
    assert_true(spec->namespaces[SPEC_NS_PID].present);
    assert_non_null(spec->masked_paths);
    assert_true(spec->process->capabilities.bounding != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_bad_process),
        cmocka_unit_test(test_what_is_not_implemented_is_refused),
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_mounts_and_hooks),
        cmocka_unit_test(test_overlay_annotations),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_default_config_is_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
