/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's configuration: the OCI runtime-spec 1.2 config.json as a struct.
 *
 * What it is. spec_parse() turns the JSON document into typed fields with every default filled in, so that the code
 * which acts on it (namespaces, rootfs, process) never looks at JSON. Sections that one module alone reads
 * (linux.resources, linux.seccomp, linux.sysctl, annotations) stay JSON.
 *
 * Invariants. A `struct spec` is immutable after parsing. Properties unknown to the specification are ignored, as it
 * demands; properties it defines and that baton does not implement are refused with -EOPNOTSUPP and their dotted name,
 * never silently ignored. Destinations and root are not checked against the file system here.
 *
 * Ownership. The spec owns all its strings and arrays and holds a reference on the JSON sections. NULL strings mean
 * absent. Arrays come with a count; string vectors are NULL-terminated and NULL when absent.
 *
 * Errors. -EINVAL: wrong type or value, text names the field ("linux.namespaces[2].type: ..."); -EOPNOTSUPP as above.
 *
 * Source: github.com/opencontainers/runtime-spec config.md, config-linux.md (1.2).
 */
#ifndef PODIUM_RUNTIME_SPEC_H
#define PODIUM_RUNTIME_SPEC_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

#define SPEC_OCI_VERSION "1.2.0"

/* In the order in which they are entered. */
enum spec_namespace_kind {
    SPEC_NS_USER,
    SPEC_NS_PID,
    SPEC_NS_NETWORK,
    SPEC_NS_IPC,
    SPEC_NS_UTS,
    SPEC_NS_CGROUP,
    SPEC_NS_TIME,
    SPEC_NS_MOUNT,
    SPEC_NS_MAX,
};

struct spec_namespace {
    bool present; /* in the config: a new one, or the one at path; absent: the caller's is inherited */
    char *path;   /* NULL: a new one */
};

struct spec_id_mapping {
    uint32_t container_id, host_id, size;
};

struct spec_user {
    uid_t uid;
    gid_t gid;
    bool has_umask;
    mode_t umask;
    gid_t *additional_gids;
    size_t n_additional_gids;
};

/* Bit n is capability number n of <linux/capability.h>. */
struct spec_capabilities {
    bool present; /* absent: the process gets none */
    uint64_t bounding, effective, inheritable, permitted, ambient;
    char **unknown; /* names nobody knows, NULL: none. The specification: to be warned about, not to fail */
};

struct spec_rlimit {
    char *type;          /* "RLIMIT_NOFILE" */
    int resource;        /* RLIMIT_* */
    uint64_t soft, hard; /* RLIM_INFINITY for "unlimited" (2^64-1) */
};

/* The arguments of sched_setattr(2). */
struct spec_scheduler {
    bool present;
    uint32_t policy; /* SCHED_* */
    uint64_t flags;  /* SCHED_FLAG_* */
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* nanoseconds, of SCHED_DEADLINE */
};

/* The `process` object; also what `exec --process` reads. */
struct spec_process {
    bool terminal;
    unsigned short console_height, console_width; /* 0: unset */
    struct spec_user user;
    char **args; /* at least one */
    char **env;  /* "K=V"; never NULL */
    char *cwd;   /* absolute */
    struct spec_capabilities capabilities;
    struct spec_rlimit *rlimits;
    size_t n_rlimits;
    bool no_new_privileges;
    bool has_oom_score_adj;
    int oom_score_adj;
    struct spec_scheduler scheduler;
    bool has_io_priority;
    int io_priority; /* as ioprio_set(2) takes it */
    /* Of `exec` only, NULL: unchanged. Processors while the process moves into the container's cgroup, and afterwards.
     */
    cpu_set_t *exec_cpus_initial, *exec_cpus_final;
    char *apparmor_profile, *selinux_label; /* NULL: none */
};

struct spec_mount {
    char *destination; /* absolute, inside the container */
    char *type;        /* NULL: a bind mount if options say so, else refused */
    char *source;      /* NULL: the type's name */
    char **options;    /* never NULL */
    char *sub_path;    /* of a bind mount, NULL: none. Ours, not OCI's: see podium/runtime.h */
    /* Of an id-mapped mount. None with the option idmap or ridmap: those of the container's user namespace. */
    struct spec_id_mapping *uid_mappings, *gid_mappings;
    size_t n_uid_mappings, n_gid_mappings;
};

struct spec_device {
    char *path; /* absolute, inside the container */
    char type;  /* 'c', 'b' or 'p' */
    unsigned major, minor;
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
};

enum spec_hook_kind {
    SPEC_HOOK_PRESTART,         /* runtime's namespaces, after the container's exist, before pivot_root (deprecated) */
    SPEC_HOOK_CREATE_RUNTIME,   /* the same moment, after prestart */
    SPEC_HOOK_CREATE_CONTAINER, /* container's namespaces, before pivot_root */
    SPEC_HOOK_START_CONTAINER,  /* container's namespaces, after start, before the process is executed */
    SPEC_HOOK_POSTSTART,        /* runtime's namespaces, after the process is executed */
    SPEC_HOOK_POSTSTOP,         /* runtime's namespaces, after delete */
    SPEC_HOOK_MAX,
};

struct spec_hook {
    char *path;
    char **args; /* NULL: just the path */
    char **env;  /* never NULL */
    int timeout; /* seconds, 0: none */
};

struct spec_hooks {
    struct spec_hook *hooks;
    size_t n;
};

/*
 * A root assembled by overlayfs in the container's own mount namespace, instead of a folder. From the annotations
 * org.podium.overlay.lower (colon-separated, topmost first; "\:" is a colon), org.podium.overlay.upper and
 * org.podium.overlay.work, or made by the pod supervisor. Without upper the root is read-only.
 */
struct overlay_root {
    char **lower; /* absolute paths, topmost first */
    char *upper;  /* NULL: none; then work is NULL too */
    char *work;
    bool scratch; /* upper is thrown away with the container: never synced ("volatile"), not even when unmounted */
};

enum spec_propagation {
    SPEC_PROPAGATION_PRIVATE,
    SPEC_PROPAGATION_SLAVE,
    SPEC_PROPAGATION_SHARED,
    SPEC_PROPAGATION_UNBINDABLE
};

#define SPEC_MEMORY_NODES_MAX 1024

/* The arguments of set_mempolicy(2). */
struct spec_memory_policy {
    int mode; /* MPOL_* and MPOL_F_* */
    unsigned long nodes[SPEC_MEMORY_NODES_MAX / (8 * sizeof(unsigned long))];
};

/* How far the clocks of a new time namespace are ahead of the host's. */
struct spec_time_offsets {
    int64_t monotonic_sec, boottime_sec;
    uint32_t monotonic_nsec, boottime_nsec;
};

/* A class of service of the processor's cache and memory bandwidth (resctrl). */
struct spec_rdt {
    char *clos_id; /* one that several containers share; NULL: the container's own, named by its id */
    char **schemata, *l3_cache, *memory_bandwidth; /* lines of the schemata file; NULL: none */
    bool monitoring;
};

/* A network device that moves from the runtime's network namespace to the container's. */
struct spec_net_device {
    char *host_name, *name;
};

struct spec {
    char *oci_version;
    struct spec_process *process; /* NULL when absent (allowed until start) */
    char *root_path;              /* as written: relative to the bundle; NULL when absent */
    bool root_readonly;
    char *hostname, *domainname;
    struct spec_mount *mounts;
    size_t n_mounts;
    struct spec_hooks hooks[SPEC_HOOK_MAX];
    struct json *annotations; /* object of strings, or NULL */

    struct spec_namespace namespaces[SPEC_NS_MAX];
    struct spec_id_mapping *uid_mappings, *gid_mappings;
    size_t n_uid_mappings, n_gid_mappings;
    struct spec_device *devices;
    size_t n_devices;
    char **masked_paths, **readonly_paths; /* may be NULL */
    char *cgroups_path;                    /* as written */
    struct json *resources;                /* linux.resources, for cgroup_apply() */
    struct json *seccomp;                  /* linux.seccomp, for seccomp_compile() */
    struct json *sysctl;                   /* object of strings */
    enum spec_propagation rootfs_propagation;
    bool rootfs_propagation_recursive; /* "rslave" and so on */
    bool has_personality;
    unsigned long personality;                /* PER_* */
    struct spec_memory_policy *memory_policy; /* NULL: the caller's */
    struct spec_time_offsets *time_offsets;   /* NULL: none */
    char *mount_label;                        /* of SELinux, for new file systems; NULL: none */
    struct spec_rdt *rdt;                     /* NULL: none */
    struct spec_net_device *net_devices;
    size_t n_net_devices;

    struct overlay_root *overlay; /* from the annotations, or NULL */
};

/* Parses a whole config.json. */
int spec_parse(const struct json *config, struct spec **ret, struct error *err) _must_check_;
/* linux.sysctl: refuses what would change the host: a setting that is no namespace's, or is that of a namespace which
 * is not the container's own (absent, or by path the caller's). -EPERM, -EINVAL. */
int spec_sysctl_check(const struct spec *spec, struct error *err) _must_check_;
/* The file below /proc of a setting, "net.ipv4.ip_forward" or "net/ipv4/conf/eth0.1/mtu". The caller frees. */
char *spec_sysctl_path(const char *key);
/* Reads and parses a file; CONFIG_JSON_BYTES_MAX bounds it. */
int spec_parse_file(const char *path, struct spec **ret, struct error *err) _must_check_;
void spec_free(struct spec *spec); /* NULL is fine */
DEFINE_CLEANUP(struct spec *, spec_free)

/* Parses a `process` object on its own. */
int spec_process_parse(const struct json *process, struct spec_process **ret, struct error *err) _must_check_;
void spec_process_free(struct spec_process *process);
DEFINE_CLEANUP(struct spec_process *, spec_process_free)

void overlay_root_free(struct overlay_root *overlay);
DEFINE_CLEANUP(struct overlay_root *, overlay_root_free)

/* "pid", "network", ... as the specification spells them; NULL beyond the end. */
const char *spec_namespace_name(enum spec_namespace_kind kind);
/* The CLONE_NEW* flag of a kind. */
int spec_namespace_flag(enum spec_namespace_kind kind);
/* "RLIMIT_NOFILE" -> RLIMIT_NOFILE; -1 when unknown. */
int spec_rlimit_number(const char *name);

/* The config.json that `baton spec` prints: a shell in ./rootfs, all namespaces but user, Docker's capabilities. */
struct json *spec_default_config(void);
/* The same for a user without rights, who is root of a user namespace: with the host's network and cgroups. */
struct json *spec_rootless_config(uid_t uid, gid_t gid);
/* The masked and read-only paths that engines use by default, as JSON arrays (one reference each, the caller's). */
struct json *spec_default_masked_paths(void);
struct json *spec_default_readonly_paths(void);

#endif
