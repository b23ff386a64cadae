/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "podium/base/sys.h"
#include "runtime/rootfs/options.h"
#include "runtime/rootfs/steps.h"

static int create_file(int rootfd, const char *path) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *parent = xstrndup(path, slash ? (size_t) (slash - path) : 0);
    int fd = *parent ? mkdir_in_root(rootfd, parent, 0755) : open_in_root(rootfd, ".", O_PATH | O_DIRECTORY, 0);

    if (fd < 0)
        return fd;
    (void) close(fd);
    return open_in_root(rootfd, path, O_CREAT | O_RDONLY | O_NOCTTY | O_NONBLOCK, 0644);
}

static bool is_below(const char *path, const char *folder) {
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == 0 || path[n] == '/');
}

int mount_target_open(int rootfd, const char *path, bool folder, struct error *err) {
    struct statfs fs;
    int fd = open_in_root(rootfd, path, O_PATH | (folder ? O_DIRECTORY : 0), 0);

    if (fd == -ENOENT)
        fd = folder ? mkdir_in_root(rootfd, path, 0755) : create_file(rootfd, path);
    if (fd < 0)
        return error_set_errno(err, fd, "cannot make the mount point %s in the container", path);
    /* a link in the image that leads into /proc could make us hide or fake files that security depends on */
    if (!is_below(path, "/proc") && fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) {
        (void) close(fd);
        return error_set(err, -EPERM, "the mount point %s leads into the container's /proc: refused", path);
    }
    return fd;
}

int mount_attach(int mount_fd, int target_fd, const char *path, struct error *err) {
    if (move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_set_errno(err, -errno, "cannot mount on %s", path);
    return 0;
}

int mount_change(int mount_fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation) {
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};

    if (!set && !clear && !propagation)
        return 0;
    if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr)) < 0)
        return -errno;
    return 0;
}

/* A folder inside the source that is not there yet, as the kubelet makes it: with the mode of the source itself. */
static int make_sub_path(int rootfd, const char *path) {
    struct stat st;

    if (fstat(rootfd, &st) < 0)
        return -errno;
    _cleanup_close_ int made = mkdir_in_root(rootfd, path, st.st_mode & 0777);
    if (made < 0)
        return made;
    int fd = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void) fchmod(fd, st.st_mode & 03777); /* whatever the umask made of it; the group comes with a setgid bit */
    return fd;
}

/* Opens a part of the source. The container's users write there: every link is resolved inside the source, and what was
 * opened is what is mounted, however they move things meanwhile. */
static int open_sub_path(const char *source, const char *path, struct error *err) {
    _cleanup_close_ int root = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return error_set_errno(err, -errno, "cannot open %s", source);
    int fd = open_in_root(root, path, O_PATH, 0);
    if (fd == -ENOENT)
        fd = make_sub_path(root, path);
    return fd < 0 ? error_set_errno(err, fd, "cannot use the sub-path \"%s\" of the volume", path) : fd;
}

/* A copy of a part of the host's tree, detached. */
int mount_clone_source(const struct rootfs *rootfs, const struct spec_mount *m, bool recursive, bool *ret_folder,
                       struct error *err) {
    _cleanup_free_ char *joined =
        m->source && m->source[0] != '/' ? path_join(rootfs->params->bundle, m->source) : NULL;
    const char *source = joined ? joined : m->source;
    struct stat st;

    if (!source)
        return error_set(err, -EINVAL, "a bind mount needs a source");
    _cleanup_close_ int part = m->sub_path ? open_sub_path(source, m->sub_path, err) : -EBADF;
    if (m->sub_path && part < 0)
        return part;
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
    _cleanup_close_ int fd =
        part >= 0 ? open_tree(part, "", flags | AT_EMPTY_PATH) : open_tree(AT_FDCWD, source, flags);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot bind %s", source);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot read %s", source);
    *ret_folder = S_ISDIR(st.st_mode);
    return steal_fd(&fd);
}

/* The descriptor is of the caller's mount namespace, and only mounts of our own can be copied: the same folder is found
 * again by its path. */
static int clone_cgroup(int cgroup_fd) {
    char link[32], path[PATH_MAX];
    struct stat wanted, found;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", cgroup_fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return -errno;
    path[n] = 0;
    _cleanup_close_ int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (fd < 0 || fstat(cgroup_fd, &wanted) < 0 || fstat(fd, &found) < 0)
        return -errno;
    return found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino ? steal_fd(&fd) : -ESTALE;
}

/* cgroup2 whose root is the container's group: by the cgroup namespace, or by binding that group. */
static int new_cgroup_mount(const struct rootfs *rootfs, struct mount_options *o, struct error *err) {
    if (rootfs->params->cgroup_fd < 0 || rootfs->params->spec->namespaces[SPEC_NS_CGROUP].present)
        return filesystem_new("cgroup2", NULL, o->data, o->n_data, o->attr_set, err);
    _cleanup_close_ int fd = clone_cgroup(rootfs->params->cgroup_fd);
    if (fd < 0)
        return error_set_errno(err, fd, "cannot bind the container's cgroup");
    int r = mount_change(fd, false, o->attr_set, 0, 0);
    return r < 0 ? error_set_errno(err, r, "cannot set the options of the cgroup mount") : steal_fd(&fd);
}

static bool owns_network(const struct spec *spec) {
    return spec->namespaces[SPEC_NS_NETWORK].present && !spec->namespaces[SPEC_NS_NETWORK].path &&
           !spec->namespaces[SPEC_NS_USER].present;
}

static int new_filesystem(struct rootfs *rootfs, const struct spec_mount *m, struct mount_options *o,
                          struct error *err) {
    static const char *const pseudo[] = {"proc", "sysfs", "mqueue", "devpts"};
    const char *source = m->source;

    if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0)
        return new_cgroup_mount(rootfs, o, err);
    for (size_t i = 0; i < ARRAY_LEN(pseudo); i++)
        if (strcmp(m->type, pseudo[i]) == 0)
            source = NULL;
    /* the devices are still to be made in it */
    if (strcmp(m->destination, "/dev") == 0 && (o->attr_set & MOUNT_ATTR_RDONLY)) {
        o->attr_set &= ~(uint64_t) MOUNT_ATTR_RDONLY;
        rootfs->dev_readonly = true;
    }
    _cleanup_free_ char *context = NULL;
    if (rootfs->params->spec->mount_label && strcmp(m->type, "proc") != 0 && strcmp(m->type, "sysfs") != 0 &&
        strcmp(m->type, "mqueue") != 0) { /* those label their files themselves; there is room for one word more */
        context = xasprintf("context=%s", rootfs->params->spec->mount_label);
        o->data[o->n_data++] = context;
    }
    uint64_t attr = o->copy_up ? o->attr_set & ~(uint64_t) MOUNT_ATTR_RDONLY : o->attr_set;
    int fd = filesystem_new(m->type, source, o->data, o->n_data, attr, err);
    if (fd == -EPERM && strcmp(m->type, "sysfs") == 0 && !owns_network(rootfs->params->spec)) {
        /* a user namespace that does not own its network namespace may not mount sysfs, only show the host's */
        error_clear(err);
        fd = open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (fd < 0)
            return error_set_errno(err, -errno, "cannot bind /sys");
        int r = mount_change(fd, true, o->attr_set, 0, 0);
        if (r < 0)
            return error_set_errno(err, r, "cannot set the options of /sys");
    }
    return fd;
}

static bool is_folder(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_kernels_own(const struct spec_mount *m) {
    return m->type && (strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0);
}

/* The host is protected by what is read-only and masked in /proc and /sys, and security settings are written there:
 * they come to where the configuration says, never to where a link of the image leads. */
static int open_kernel_target(int rootfd, const struct spec_mount *m, struct error *err) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = sys_openat2(rootfd, m->destination, &how);

    if (fd == -ENOENT) {
        fd = mount_target_open(rootfd, m->destination, true, err);
        if (fd < 0)
            return fd;
        (void) close(fd);
        fd = sys_openat2(rootfd, m->destination, &how);
    }
    if (fd == -ELOOP || fd == -ENOTDIR)
        return error_set(err, -EPERM, "the mount point of %s is a link in the image, or no folder: refused", m->type);
    return fd < 0 ? error_set_errno(err, fd, "cannot open the mount point %s", m->destination) : fd;
}

/* Nothing is mounted into /proc but more of it, and what shows the container's own figures there. */
static int check_proc(const struct spec_mount *m, int mount_fd, struct error *err) {
    static const char *const figures[] = {"/proc/cpuinfo",
                                          "/proc/diskstats",
                                          "/proc/loadavg",
                                          "/proc/meminfo",
                                          "/proc/slabinfo",
                                          "/proc/stat",
                                          "/proc/swaps",
                                          "/proc/uptime",
                                          "/proc/sys/kernel/ns_last_pid",
                                          "/proc/sys/crypto/fips_enabled"};
    struct statfs fs;

    if (!is_below(m->destination, "/proc") || is_kernels_own(m))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        if (strcmp(m->destination, figures[i]) == 0)
            return 0;
    if (fstatfs(mount_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
        return 0;
    return error_set(err, -EPERM, "something else than procfs on %s: refused", m->destination);
}

/* early: what mounts_take_shared() took for it, or -1. */
static int add_mount(struct rootfs *rootfs, const struct spec_mount *m, struct mount_options *o, int *early,
                     struct error *err) {
    bool bind = o->bind || (m->type && strcmp(m->type, "bind") == 0), folder = true;
    int r;

    if (!bind && !m->type)
        return error_set(err, -EINVAL, "has no type");
    for (size_t i = 0; bind && i < o->n_data; i++)
        if (!mount_option_is_usual(o->data[i]))
            return error_set(err, -EINVAL, "option %s is not known for a bind mount", o->data[i]);
    if (o->copy_up && (bind || strcmp(m->type, "tmpfs") != 0))
        return error_set(err, -EINVAL, "option tmpcopyup needs type tmpfs");
    _cleanup_close_ int fd = steal_fd(early);
    if (fd < 0)
        fd = bind ? mount_clone_source(rootfs, m, o->recursive, &folder, err) : new_filesystem(rootfs, m, o, err);
    else
        folder = is_folder(fd);
    if (fd < 0)
        return fd;
    r = bind ? mount_change(fd, false, o->attr_set, o->attr_clear, 0) : 0;
    if (r == 0)
        r = mount_change(fd, true, o->attr_set_all, o->attr_clear_all, 0);
    if (r == 0)
        r = mount_change(fd, o->propagation_recursive, 0, 0, o->propagation);
    if (r < 0)
        return error_set_errno(err, r, "cannot set the options");
    if ((r = check_proc(m, fd, err)) < 0)
        return r;
    _cleanup_close_ int target = is_kernels_own(m) ? open_kernel_target(rootfs->fd, m, err)
                                                   : mount_target_open(rootfs->fd, m->destination, folder, err);
    if (target < 0)
        return target;
    if (o->copy_up && (r = mount_copy_up(target, fd, o, err)) < 0)
        return r;
    return mount_attach(fd, target, m->destination, err);
}

/* Then it may be an earlier mount, which is not there yet. */
static bool source_is_in_root(const struct rootfs *rootfs, const struct spec_mount *m) {
    const struct rootfs_params *p = rootfs->params;

    if (!p->spec->root_path) /* refused later */
        return false;
    _cleanup_free_ char *root = path_join(p->spec->root_path[0] == '/' ? "/" : p->bundle, p->spec->root_path);
    _cleanup_free_ char *source =
        path_join(m->source && m->source[0] == '/' ? "/" : p->bundle, m->source ? m->source : "");

    return is_below(source, root);
}

int mounts_take_shared(struct rootfs *rootfs, struct error *err) {
    const struct spec *spec = rootfs->params->spec;
    int r = 0;

    rootfs->early = xcalloc(spec->n_mounts + 1, sizeof(*rootfs->early));
    for (size_t i = 0; i < spec->n_mounts; i++) {
        _cleanup_(mount_options_finish) struct mount_options o;
        bool folder;

        mount_options_parse(spec->mounts[i].options, &o);
        rootfs->early[i] = rootfs->params->mapped ? rootfs->params->mapped[i] : -EBADF;
        if (r < 0 || rootfs->early[i] >= 0 || !o.bind)
            continue;
        if (o.propagation == MS_SHARED) {
            rootfs->early[i] = mount_clone_source(rootfs, &spec->mounts[i], o.recursive, &folder, err);
            if (rootfs->early[i] < 0)
                r = error_prefix(err, rootfs->early[i], "mount %s", spec->mounts[i].destination);
        } else if (!o.propagation && spec->rootfs_propagation == SPEC_PROPAGATION_SHARED &&
                   !source_is_in_root(rootfs, &spec->mounts[i])) {
            /* as the host has it; what fails now may be there once an earlier mount is */
            rootfs->early[i] = mount_clone_source(rootfs, &spec->mounts[i], o.recursive, &folder, NULL);
        }
    }
    return r;
}

int mounts_add(struct rootfs *rootfs, struct error *err) {
    const struct spec *spec = rootfs->params->spec;
    int r = 0;

    for (size_t i = 0; r == 0 && i < spec->n_mounts; i++) {
        _cleanup_(mount_options_finish) struct mount_options o;

        mount_options_parse(spec->mounts[i].options, &o);
        int none = -EBADF;
        r = add_mount(rootfs, &spec->mounts[i], &o, rootfs->early ? &rootfs->early[i] : &none, err);
        if (r < 0)
            error_prefix(err, r, "mount %s", spec->mounts[i].destination);
    }
    free(steal(&rootfs->early));
    return r;
}
