/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/sandbox.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/sys.h"
#include "podium/runtime.h"
#include "runtime/pod/userns.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

int pod_sandbox_cgroup(struct pod_sandbox *s, struct error *err) {
    _cleanup_(cgroup_finish) struct cgroup self = CGROUP_INIT;
    unsigned controllers = 0;

    int r = cgroup_hierarchy_open(&s->hierarchy, err);
    if (r == 0)
        r = cgroup_open(&s->hierarchy, s->hierarchy.own, &s->cgroup, err);
    if (r == 0)
        r = cgroup_create_child(&s->cgroup, POD_CGROUP_SELF, &self, err);
    if (r == 0)
        r = cgroup_attach(&self, 0, err);
    if (r == 0)
        r = cgroup_controllers(&s->cgroup, &controllers, err);
    if (r == 0 && controllers)
        r = cgroup_enable(&s->cgroup, controllers, err);
    return r < 0 ? error_prefix(err, r, "cannot set up the pod's cgroup") : 0;
}

static int loopback_up(struct error *err) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, -errno, "cannot bring up the loopback link");
    return 0;
}

static bool has_value(const char *path, const char *value) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    size_t n = strlen(value);

    return file_read(path, 4096, &text, NULL) >= 0 && text.len >= n && memcmp(text.data, value, n) == 0 &&
           (text.len == n || text.data[n] == '\n');
}

int pod_sandbox_sysctls(const struct pod_config *config, bool network, struct error *err) {
    for (size_t i = 0; i < config->n_sysctls; i++) {
        const char *name = config->sysctls[i].name;
        if ((strncmp(name, "net", 3) == 0 && (name[3] == '.' || name[3] == '/')) != network)
            continue;
        _cleanup_free_ char *path = path_join("/proc/sys", config->sysctls[i].name);

        /* "net.ipv4.conf.eth0.mtu" or, with dots inside names, "net/ipv4/conf/eth0.1/mtu" */
        if (!strchr(config->sysctls[i].name, '/'))
            for (char *p = path + strlen("/proc/sys/"); *p; p++)
                if (*p == '.')
                    *p = '/';
        int r = proc_write(path + strlen("/proc/"), config->sysctls[i].value, err);
        /* where the IPC namespace is a user namespace's, newer kernels let only its root write, who did */
        if ((r == -EACCES || r == -EPERM) && config->userns_size > 0 && has_value(path, config->sysctls[i].value)) {
            error_clear(err);
            continue;
        }
        if (r < 0)
            return error_prefix(err, r, "sysctl %s", config->sysctls[i].name);
    }
    return 0;
}

static int mount_tmpfs(const struct pod_config *config, const struct pod_tmpfs *t, struct error *err) {
    _cleanup_free_ char *size = t->size ? xasprintf(",size=%llu", (unsigned long long) t->size) : xstrdup("");
    long long user = config->userns_base, group = user + (t->gid >= 0 ? t->gid : 0);
    _cleanup_free_ char *options = xasprintf("mode=%o%s,uid=%lld,gid=%lld", t->mode, size, user, group);
    int r = mkdir_parents(t->path, 0755, err);

    if (r < 0)
        return r;
    if (mount("tmpfs", t->path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return error_set_errno(err, -errno, "cannot mount a tmpfs on %s", t->path);
    return 0;
}

/* The init process of a shared PID namespace: reaps what is left to it and waits to be killed. */
_Noreturn void pod_sandbox_hold_pids(void) {
    sigset_t all;

    sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, NULL);
    for (;;) {
        int sig = 0;
        if (sigwait(&all, &sig) == 0 && sig == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
    }
}

static int share_pid_namespace(struct pod_sandbox *s, struct error *err) {
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    pid_t parent = getpid();
    pid_t pid = sys_clone3(&args);

    if (pid < 0)
        return error_set_errno(err, pid, "cannot make the pod's PID namespace");
    if (pid == 0) {
        (void) parent;
        pod_sandbox_hold_pids();
    }
    s->pidns_pid = pid;
    _cleanup_free_ char *path = xasprintf("/proc/%d/ns/pid", (int) pid);
    s->pidns_fd = open(path, O_RDONLY | O_CLOEXEC);
    return s->pidns_fd < 0 ? error_set_errno(err, -errno, "cannot open %s", path) : 0;
}

static int set_names(const struct pod_config *config, struct error *err) {
    if (config->hostname && sethostname(config->hostname, strlen(config->hostname)) < 0)
        return error_set_errno(err, -errno, "cannot set the host name %s", config->hostname);
    if (config->domainname && setdomainname(config->domainname, strlen(config->domainname)) < 0)
        return error_set_errno(err, -errno, "cannot set the domain name %s", config->domainname);
    return 0;
}

/* Cuts our mounts off from the host's. Slave: unmounts on the host reach us, so that we don't pin its devices; nothing
 * of ours reaches it, but through the shared mounts: copies taken before are still of the host's peer groups. */
static int detach_mounts(const struct pod_config *config, struct error *err) {
    _cleanup_free_ int *fds = xcalloc(config->n_shared_mounts + 1, sizeof(*fds));
    int r = 0;

    for (size_t i = 0; i < config->n_shared_mounts; i++) {
        fds[i] =
            open_tree(AT_FDCWD, config->shared_mounts[i].source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (fds[i] < 0 && r == 0)
            r = error_set_errno(err, -errno, "cannot bind %s", config->shared_mounts[i].source);
    }
    if (r == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        r = error_set_errno(err, -errno, "cannot detach the mounts from the host's");
    for (size_t i = 0; i < config->n_shared_mounts; i++) {
        const char *path = config->shared_mounts[i].path;
        if (r == 0)
            r = mkdir_parents(path, 0700, err);
        if (r == 0 && move_mount(fds[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
            r = error_set_errno(err, -errno, "cannot mount on %s", path);
        closep(&fds[i]);
    }
    return r;
}

/* With a user namespace: first it, then those that belong to it. */
static int enter_userns(struct pod_sandbox *s, const struct pod_config *config, const char *dir, struct error *err) {
    int r = pod_userns_enter(s, config, err);
    return r < 0 ? r : pod_userns_show_kernel(dir, err);
}

int pod_sandbox_namespaces(struct pod_sandbox *s, const struct pod_config *config, const char *dir, struct error *err) {
    const bool userns = config->userns_size > 0;
    int flags = CLONE_NEWUTS | (config->host_network ? 0 : CLONE_NEWNET) | (config->host_ipc ? 0 : CLONE_NEWIPC);

    if (unshare(CLONE_NEWNS | (userns ? 0 : flags)) < 0)
        return error_set_errno(err, -errno, "cannot make the pod's namespaces");
    int r = detach_mounts(config, err);
    if (r == 0 && userns)
        r = enter_userns(s, config, dir, err);
    if (r < 0)
        return r;
    s->netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (s->netns_fd < 0)
        return error_set_errno(err, -errno, "cannot open the network namespace");
    r = set_names(config, err);
    if (r == 0 && !config->host_network)
        r = loopback_up(err);
    if (r == 0)
        r = pod_sandbox_sysctls(config, false, err);
    if (r == 0 && !userns)
        r = pod_sandbox_sysctls(config, true, err);
    for (size_t i = 0; r == 0 && i < config->n_tmpfs; i++)
        r = mount_tmpfs(config, &config->tmpfs[i], err);
    if (r == 0 && config->share_process_namespace && !userns)
        r = share_pid_namespace(s, err);
    return r;
}

void pod_sandbox_finish(struct pod_sandbox *s) {
    if (s->pidns_pid > 0) {
        (void) kill(s->pidns_pid, SIGKILL);
        (void) waitpid(s->pidns_pid, NULL, 0);
        s->pidns_pid = 0;
    }
    closep(&s->netns_fd);
    closep(&s->pidns_fd);
    closep(&s->userns_fd);
    s->netns_fd = s->pidns_fd = s->userns_fd = -1;
    cgroup_finish(&s->cgroup);
    cgroup_hierarchy_finish(&s->hierarchy);
}
