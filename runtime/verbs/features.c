/* SPDX-License-Identifier: GPL-2.0-or-later */
/* features: what this runtime can, as the specification's features.md wants it. */
#include "podium/base/capability.h"
#include "podium/base/cleanup.h"
#include "runtime/process/container.h"
#include "runtime/spec/spec.h"
#include "runtime/verbs/verbs.h"

static const char *const hooks[] = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL};
static const char *const mount_options[] = {"async",
                                            "atime",
                                            "bind",
                                            "defaults",
                                            "dev",
                                            "diratime",
                                            "dirsync",
                                            "exec",
                                            "idmap",
                                            "lazytime",
                                            "loud",
                                            "mand",
                                            "noatime",
                                            "nodev",
                                            "nodiratime",
                                            "noexec",
                                            "noiversion",
                                            "nolazytime",
                                            "nomand",
                                            "norelatime",
                                            "nostrictatime",
                                            "nosuid",
                                            "nosymfollow",
                                            "private",
                                            "ratime",
                                            "rbind",
                                            "rdev",
                                            "rdiratime",
                                            "relatime",
                                            "rexec",
                                            "ridmap",
                                            "rnoatime",
                                            "rnodev",
                                            "rnodiratime",
                                            "rnoexec",
                                            "rnorelatime",
                                            "rnostrictatime",
                                            "rnosuid",
                                            "rnosymfollow",
                                            "ro",
                                            "rprivate",
                                            "rrelatime",
                                            "rro",
                                            "rrw",
                                            "rshared",
                                            "rslave",
                                            "rstrictatime",
                                            "rsuid",
                                            "rsymfollow",
                                            "runbindable",
                                            "rw",
                                            "shared",
                                            "silent",
                                            "slave",
                                            "strictatime",
                                            "suid",
                                            "symfollow",
                                            "sync",
                                            "tmpcopyup",
                                            "unbindable",
                                            NULL};
static const char *const actions[] = {
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO",  "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",   "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",         NULL};
static const char *const operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE",        "SCMP_CMP_GT", "SCMP_CMP_LE",
                                        "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL};
static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};

/* Those that change what the runtime does on the host; a prefix ends in a dot. */
static const char *const unsafe_annotations[] = {"org.podium.overlay.", "org.systemd.property.", NULL};

static struct json *strings(const char *const *items) {
    struct json *list = json_array();

    for (; *items; items++)
        json_append(&list, json_string(*items));
    return list;
}

int verb_features(const struct baton *b, int argc, char **argv) {
    _cleanup_json_ struct json *doc = NULL;
    struct json *namespaces = json_array(), *capabilities = json_array();

    (void) argv;
    if (argc != 1)
        return baton_usage(b, "features", "no arguments are taken");
    for (int k = 0; k < SPEC_NS_MAX; k++)
        json_append(&namespaces, json_string(spec_namespace_name((enum spec_namespace_kind) k)));
    for (unsigned n = 0; capability_name(n); n++)
        json_append(&capabilities, json_string(capability_name(n)));
    json_set(&doc, "ociVersionMin", json_string("1.0.0"));
    json_set(&doc, "ociVersionMax", json_string(SPEC_OCI_VERSION));
    json_set(&doc, "hooks", strings(hooks));
    json_set(&doc, "mountOptions", strings(mount_options));
    json_set_path(&doc, namespaces, "linux", "namespaces");
    json_set_path(&doc, capabilities, "linux", "capabilities");
    json_set_path(&doc, json_bool(false), "linux", "cgroup", "v1");
    json_set_path(&doc, json_bool(true), "linux", "cgroup", "v2");
    json_set_path(&doc, json_bool(true), "linux", "cgroup", "systemd");
    json_set_path(&doc, json_bool(false), "linux", "cgroup", "systemdUser");
    json_set_path(&doc, json_bool(true), "linux", "cgroup", "rdma");
    json_set_path(&doc, json_bool(true), "linux", "seccomp", "enabled");
    json_set_path(&doc, strings(actions), "linux", "seccomp", "actions");
    json_set_path(&doc, strings(operators), "linux", "seccomp", "operators");
    json_set_path(&doc, container_seccomp_architectures(), "linux", "seccomp", "archs");
    json_set_path(&doc, strings(flags), "linux", "seccomp", "knownFlags");
    json_set_path(&doc, strings(flags), "linux", "seccomp", "supportedFlags");
    json_set_path(&doc, json_bool(true), "linux", "apparmor", "enabled");
    json_set_path(&doc, json_bool(true), "linux", "selinux", "enabled");
    json_set_path(&doc, json_bool(true), "linux", "intelRdt", "enabled");
    json_set_path(&doc, json_bool(true), "linux", "intelRdt", "schemata");
    json_set_path(&doc, json_bool(true), "linux", "intelRdt", "monitoring");
    json_set_path(&doc, json_bool(true), "linux", "netDevices", "enabled");
    json_set_path(&doc, json_bool(true), "linux", "mountExtensions", "idmap", "enabled");
    json_set_path(&doc, json_string(BATON_VERSION), "annotations", "org.podium.baton.version");
    json_set(&doc, "potentiallyUnsafeConfigAnnotations", strings(unsafe_annotations));
    baton_print(doc);
    return 0;
}
