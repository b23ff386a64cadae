/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/oci_config.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/id_range.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/security.h"
#include "orchestrator/agent/volumes.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

#define DEFAULT_PATH      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CAP_SYS_RESOURCE_ 24

static const char *const masked_paths[] = {
    "/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
    "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

static struct json *string_list(const char *const *v, size_t n) {
    struct json *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_append(&list, json_string(v[i]));
    return list;
}

static struct json *strv_list(char *const *v) {
    return string_list((const char *const *) v, strv_len(v));
}

/* --- process --- */

static struct json *expanded(const struct json *list, char *const *env) {
    struct json *out = json_array();

    for (size_t i = 0; i < json_len(list); i++) {
        _cleanup_free_ char *s = env_expand(json_str_or(json_at(list, i), ""), env);
        json_append(&out, json_string(s));
    }
    return out;
}

static void append_all(struct json **list, const struct json *more) {
    for (size_t i = 0; i < json_len(more); i++)
        json_append(list, json_ref(json_at(more, i)));
}

/* command and args of the container go before Entrypoint and Cmd; a command without args drops Cmd, too. */
static struct json *make_args(const struct oci_config_input *in, char *const *env) {
    const struct json *command = json_get(in->container, "command"), *args = json_get(in->container, "args");
    struct json *own_args = expanded(args, env), *out;

    if (json_len(command) > 0) {
        out = expanded(command, env);
        append_all(&out, own_args);
    } else {
        out = json_array();
        append_all(&out, json_get(in->image->config, "Entrypoint"));
        append_all(&out, json_len(args) > 0 ? own_args : json_get(in->image->config, "Cmd"));
    }
    json_unref(own_args);
    return out;
}

static bool wants_terminal(const struct oci_config_input *in) {
    return json_bool_or(json_get(in->container, "tty"), false);
}

static char **full_env(const struct oci_config_input *in, char *const *own, const struct security *s) {
    const struct json *image_env = json_get(in->image->config, "Env");
    char **env = strv_new();

    for (size_t i = 0; i < json_len(image_env); i++)
        if (json_str(json_at(image_env, i)) && strchr(json_str(json_at(image_env, i)), '='))
            env_put(&env, xstrdup(json_str(json_at(image_env, i))));
    if (!env_get(env, "PATH"))
        env_put(&env, xstrdup(DEFAULT_PATH));
    env_put(&env, xasprintf("HOSTNAME=%s", *in->hostname ? in->hostname : in->ctx->node_name));
    if (wants_terminal(in))
        env_put(&env, xstrdup("TERM=xterm"));
    for (; own && *own; own++)
        env_put(&env, xstrdup(*own));
    if (!env_get(env, "HOME"))
        env_put(&env, xasprintf("HOME=%s", s->home ? s->home : "/"));
    return env;
}

static struct json *make_process(const struct oci_config_input *in, const struct security *s, char *const *own_env) {
    _cleanup_strv_ char **env = full_env(in, own_env, s);
    const char *cwd = json_str_or(json_get(in->container, "workingDir"), "");
    int oom = container_oom_score_adj(in->ctx->pod, in->container, in->ctx->node_memory);
    struct json *p = json_object();

    if (!*cwd)
        cwd = json_str_or(json_get(in->image->config, "WorkingDir"), "");
    json_set(&p, "terminal", json_bool(wants_terminal(in)));
    json_set_path(&p, json_int(s->uid), "user", "uid");
    json_set_path(&p, json_int(s->gid), "user", "gid");
    json_set_path(&p, json_ref(s->groups), "user", "additionalGids");
    json_set(&p, "args", make_args(in, own_env));
    json_set(&p, "env", strv_list(env));
    json_set(&p, "cwd", json_stringf("%s%s", *cwd == '/' ? "" : "/", cwd));
    json_set(&p, "capabilities", json_ref(s->capabilities));
    json_set(&p, "noNewPrivileges", json_bool(s->no_new_privileges));
    /* below zero takes a right that not every host gives its root; the default is right enough then */
    if (oom >= 0 || (in->ctx->capability_bounds & (UINT64_C(1) << CAP_SYS_RESOURCE_)))
        json_set(&p, "oomScoreAdj", json_int(oom));
    return p;
}

/* --- mounts --- */

static struct json *make_mount(const char *destination, const char *type, const char *source, const char *options) {
    struct json *m = json_object(), *list = json_array();
    _cleanup_free_ char *copy = xstrdup(options);
    char *rest = copy, *option;

    while ((option = strsep(&rest, ",")))
        json_append(&list, json_string(option));
    json_set(&m, "destination", json_string(destination));
    json_set(&m, "type", json_string(type));
    json_set(&m, "source", json_string(source));
    json_set(&m, "options", list);
    return m;
}

static bool is_mounted(const struct json *mounts, const char *destination) {
    for (size_t i = 0; i < json_len(mounts); i++)
        if (strcmp(json_str_or(json_get(json_at(mounts, i), "destination"), ""), destination) == 0)
            return true;
    return false;
}

static void add_file(struct json **mounts, const struct pod_context *ctx, const char *name, bool read_only) {
    _cleanup_free_ char *source = xasprintf("%s/etc/%s", ctx->run_dir, name);
    _cleanup_free_ char *destination = xasprintf("/etc/%s", name);

    if (!is_mounted(*mounts, destination))
        json_append(mounts, make_mount(destination, "bind", source, read_only ? "bind,ro" : "bind,rw"));
}

/* Where the supervisor finds what the container wrote to its terminationMessagePath. On disk: the container may write
 * as much as it likes, which must not be the node's memory. */
static char *termination_file(const struct oci_config_input *in) {
    return xasprintf("%s/termination/%s", in->ctx->state_dir, json_str_or(json_get(in->container, "name"), ""));
}

static void add_termination_file(const struct oci_config_input *in, struct json **mounts) {
    const char *path = json_str_or(json_get(in->container, "terminationMessagePath"), "/dev/termination-log");
    _cleanup_free_ char *source = termination_file(in);

    if (path[0] == '/' && path[1] && !is_mounted(*mounts, path))
        json_append(mounts, make_mount(path, "bind", source, "bind,rw"));
}

static int make_mounts(const struct oci_config_input *in, const struct security *s, struct json **ret,
                       struct pod_problem *problem) {
    const struct json *wanted = json_get(in->container, "volumeMounts");
    bool host_ipc = json_bool_or(json_path(in->ctx->pod, "spec", "hostIPC"), false);
    _cleanup_free_ char *shm = host_ipc ? xstrdup("/dev/shm") : path_join(in->ctx->run_dir, "shm");
    _cleanup_json_ struct json *m = json_array(), *own = json_array();
    const char *sys = s->privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro";
    const char *group = s->privileged ? "nosuid,noexec,nodev,relatime,rw" : "nosuid,noexec,nodev,relatime,ro";

    for (size_t i = 0; i < json_len(wanted); i++) {
        struct json *mount = NULL;
        int r = volume_mount(in->ctx, in->container, json_at(wanted, i), in->volumes, &mount, problem);
        if (r < 0)
            return r;
        json_append(&own, mount);
    }
    json_append(&m, make_mount("/proc", "proc", "proc", "nosuid,noexec,nodev"));
    json_append(&m, make_mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"));
    json_append(&m,
                make_mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"));
    json_append(&m, make_mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"));
    json_append(&m, make_mount("/sys", "sysfs", "sysfs", sys));
    json_append(&m, make_mount("/sys/fs/cgroup", "cgroup", "cgroup", group));
    if (!is_mounted(own, "/dev/shm"))
        json_append(&m, make_mount("/dev/shm", "bind", shm, "bind,nosuid,nodev,noexec,rw"));
    append_all(&m, own);
    add_file(&m, in->ctx, "hosts", false);
    add_file(&m, in->ctx, "resolv.conf", false);
    if (*in->hostname)
        add_file(&m, in->ctx, "hostname", false);
    add_termination_file(in, &m);
    *ret = steal(&m);
    return 0;
}

/* --- devices --- */

static struct json *device_rule(bool allow, const char *type, int major, int minor, const char *access) {
    struct json *rule = json_object();

    json_set(&rule, "allow", json_bool(allow));
    if (type)
        json_set(&rule, "type", json_string(type));
    if (major >= 0)
        json_set(&rule, "major", json_int(major));
    if (minor >= 0)
        json_set(&rule, "minor", json_int(minor));
    json_set(&rule, "access", json_string(access));
    return rule;
}

/* mknod anywhere, use of the standard nodes and of terminals: what engines allow by default. */
static struct json *device_rules(bool privileged) {
    static const int usable[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}};
    struct json *rules = json_array();

    if (privileged) {
        json_append(&rules, device_rule(true, NULL, -1, -1, "rwm"));
        return rules;
    }
    json_append(&rules, device_rule(false, NULL, -1, -1, "rwm"));
    json_append(&rules, device_rule(true, "c", -1, -1, "m"));
    json_append(&rules, device_rule(true, "b", -1, -1, "m"));
    for (size_t i = 0; i < ARRAY_LEN(usable); i++)
        json_append(&rules, device_rule(true, "c", usable[i][0], usable[i][1], "rwm"));
    return rules;
}

/* All device nodes of the host's /dev, one level of sub-folders, for a privileged container. */
static void add_host_devices(const char *dir, int depth, struct json **list) {
    _cleanup_closedir_ DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        _cleanup_free_ char *path = path_join(dir, e->d_name);
        if (S_ISDIR(st.st_mode) && depth > 0 && strcmp(e->d_name, "pts") != 0 && strcmp(e->d_name, "shm") != 0)
            add_host_devices(path, depth - 1, list);
        if ((!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) || strcmp(path, "/dev/console") == 0)
            continue;
        struct json *device = json_object();
        json_set(&device, "path", json_string(path));
        json_set(&device, "type", json_string(S_ISCHR(st.st_mode) ? "c" : "b"));
        json_set(&device, "major", json_int(major(st.st_rdev)));
        json_set(&device, "minor", json_int(minor(st.st_rdev)));
        json_set(&device, "fileMode", json_int(st.st_mode & 07777));
        json_set(&device, "uid", json_int(st.st_uid));
        json_set(&device, "gid", json_int(st.st_gid));
        json_append(list, device);
    }
}

/* --- linux --- */

static struct json *id_mapping(uint32_t base) {
    struct json *list = json_array(), *o = json_object();

    json_set(&o, "containerID", json_int(0));
    json_set(&o, "hostID", json_int(base));
    json_set(&o, "size", json_int(ID_RANGE_SIZE));
    json_append(&list, o);
    return list;
}

static struct json *make_namespaces(const struct json *spec, bool userns) {
    static const char *const kinds[] = {"pid", "mount", "cgroup"};
    struct json *list = json_array();

    for (size_t i = json_bool_or(json_get(spec, "hostPID"), false) ? 1 : 0; i < ARRAY_LEN(kinds); i++) {
        struct json *ns = json_object();
        json_set(&ns, "type", json_string(kinds[i]));
        json_append(&list, ns);
    }
    if (userns) {
        struct json *ns = json_object();
        json_set(&ns, "type", json_string("user"));
        json_append(&list, ns);
    }
    return list;
}

static struct json *make_linux(const struct oci_config_input *in, const struct security *s) {
    bool unmasked = strcmp(json_str_or(json_path(in->container, "securityContext", "procMount"), ""), "Unmasked") == 0;
    struct json *linux_ = json_object(),
                *resources = container_resources(in->ctx->pod, in->container, in->ctx->qos_memory);

    json_set(&resources, "devices", device_rules(s->privileged));
    json_set(&linux_, "namespaces", make_namespaces(json_get(in->ctx->pod, "spec"), in->ctx->id_base > 0));
    if (in->ctx->id_base) {
        json_set(&linux_, "uidMappings", id_mapping(in->ctx->id_base));
        json_set(&linux_, "gidMappings", id_mapping(in->ctx->id_base));
    }
    json_set(&linux_, "resources", resources);
    if (s->seccomp)
        json_set(&linux_, "seccomp", json_ref(s->seccomp));
    if (s->privileged) {
        struct json *devices = json_array();
        add_host_devices("/dev", 1, &devices);
        json_set(&linux_, "devices", devices);
    } else if (!unmasked) {
        json_set(&linux_, "maskedPaths", string_list(masked_paths, ARRAY_LEN(masked_paths)));
        json_set(&linux_, "readonlyPaths", string_list(readonly_paths, ARRAY_LEN(readonly_paths)));
    }
    /* the root alone: each volume has a propagation of its own */
    json_set(&linux_, "rootfsPropagation", json_string("slave"));
    return linux_;
}

/* --- the supervisor's part --- */

static int signal_number(const char *s) {
    if (strncmp(s, "SIG", 3) == 0)
        s += 3;
    if (*s >= '0' && *s <= '9')
        return (int) strtol(s, NULL, 10);
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), s) == 0)
            return i;
    if (strncmp(s, "RTMIN+", 6) == 0) {
        char *end;
        long rt = strtol(s + 6, &end, 10);
        return end > s + 6 && rt >= 0 && rt <= SIGRTMAX - SIGRTMIN ? SIGRTMIN + (int) rt : 0;
    }
    return strcmp(s, "RTMIN") == 0 ? SIGRTMIN : 0;
}

static struct json *make_rootfs(const struct oci_config_input *in, const char *name) {
    struct json *r = json_object();

    json_set(&r, "lower", strv_list(in->image->layer_dirs));
    json_set(&r, "upper", json_stringf("%s/containers/%s/upper", in->ctx->state_dir, name));
    json_set(&r, "work", json_stringf("%s/containers/%s/work", in->ctx->state_dir, name));
    return r;
}

static void add_hook(struct json **out, const char *member, const struct json *handler) {
    if (json_get(handler, "exec"))
        json_set_path(out, json_ref(json_path(handler, "exec", "command")), member, "exec");
    else if (json_get(handler, "sleep"))
        json_set_path(out, json_ref(json_path(handler, "sleep", "seconds")), member, "sleepSeconds");
    else if (json_get(handler, "httpGet"))
        json_set_path(out, json_bool(true), member, "http");
    /* tcpSocket was never run by anybody */
}

static int check(const struct oci_config_input *in, const struct json *process, const char *name,
                 struct pod_problem *problem) {
    if (json_len(json_get(process, "args")) == 0)
        return pod_problem_set(problem, "CreateContainerError", name,
                               "no command: neither the container nor the image names one");
    return 0;
}

int oci_config_build(const struct oci_config_input *in, struct json **ret, struct pod_problem *problem) {
    static const char *const copied[] = {"restartPolicy", "stdin", "stdinOnce"};
    const char *name = json_str_or(json_get(in->container, "name"), "");
    _cleanup_(security_finish) struct security s = {0};
    _cleanup_json_ struct json *config = json_object(), *out = json_object(), *mounts = NULL;
    _cleanup_strv_ char **env = NULL;

    int r = env_build(in->ctx, in->container, &env, problem);
    if (r == 0)
        r = security_resolve(in->ctx, in->container, json_str(json_get(in->image->config, "User")),
                             in->image->layer_dirs, &s, problem);
    if (r == 0)
        r = make_mounts(in, &s, &mounts, problem);
    if (r < 0)
        return r;
    struct json *process = make_process(in, &s, env);
    json_set(&config, "ociVersion", json_string("1.2.0"));
    json_set(&config, "process", process);
    r = check(in, process, name, problem);
    if (r < 0)
        return r;
    json_set_path(&config, json_string("rootfs"), "root", "path");
    json_set_path(&config, json_bool(s.read_only_root), "root", "readonly");
    json_set(&config, "mounts", steal(&mounts));
    json_set(&config, "linux", make_linux(in, &s));
    json_set(&out, "name", json_string(name));
    json_set(&out, "config", steal(&config));
    json_set(&out, "rootfs", make_rootfs(in, name));
    json_set(&out, "seccompDefault", json_bool(s.seccomp_default));
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_get(in->container, copied[i]))
            json_set(&out, copied[i], json_ref(json_get(in->container, copied[i])));
    int sig = signal_number(json_str_or(json_get(in->image->config, "StopSignal"), "SIGTERM"));
    json_set(&out, "stopSignal", json_int(sig > 0 ? sig : SIGTERM));
    add_hook(&out, "postStart", json_path(in->container, "lifecycle", "postStart"));
    add_hook(&out, "preStop", json_path(in->container, "lifecycle", "preStop"));
    if (json_is_object(json_get(in->container, "startupProbe")))
        json_set(&out, "startupProbe", json_bool(true));
    _cleanup_free_ char *words = termination_file(in);
    json_set(&out, "terminationMessageFile", json_string(words));
    *ret = steal(&out);
    return 0;
}
