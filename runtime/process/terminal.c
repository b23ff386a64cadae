/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "podium/base/path.h"

static int open_master(struct error *err) {
    /* descriptors of the host are still open here: no link of the image may lead to one of them */
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd =
        root < 0 ? -errno : open_in_root(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0);
    struct statfs fs;
    struct stat st;

    if (fd < 0)
        return error_set_errno(err, fd, "process.terminal: cannot open /dev/pts/ptmx of the container");
    /* the image must not give us something else in its place */
    if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fstatfs(fd, &fs) < 0 ||
        fs.f_type != DEVPTS_SUPER_MAGIC)
        return error_set(err, -ENODEV, "process.terminal: /dev/pts/ptmx of the container is no terminal multiplexer");
    if (fcntl(fd, F_SETFL, O_RDWR) < 0)
        return error_set_errno(err, -errno, "process.terminal");
    return steal_fd(&fd);
}

static int configure(const struct spec_process *p, struct terminal *t) {
    struct winsize size = {.ws_row = p->console_height, .ws_col = p->console_width};

    if (size.ws_row && size.ws_col && ioctl(t->master, TIOCSWINSZ, &size) < 0)
        return -errno;
    /* ONLCR stays on: whoever relays the terminal to a person's has put that one into raw mode, where nothing else
     * makes a new line begin at the left */
    if (p->user.uid != 0 && fchown(t->slave, p->user.uid, (gid_t) -1) < 0)
        return -errno;
    return 0;
}

int terminal_open(const struct spec_process *p, struct terminal *ret, struct error *err) {
    struct terminal t = {.master = open_master(err), .slave = -EBADF};
    unsigned number = 0;
    int unlock = 0, r;

    if (t.master < 0)
        return t.master;
    if (ioctl(t.master, TIOCSPTLCK, &unlock) < 0 || ioctl(t.master, TIOCGPTN, &number) < 0 ||
        (t.slave = ioctl(t.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        r = -errno;
    else
        r = configure(p, &t);
    if (r < 0) {
        terminal_close(&t);
        return error_set_errno(err, r, "process.terminal: cannot set up a terminal");
    }
    (void) snprintf(t.name, sizeof(t.name), "/dev/pts/%u", number);
    *ret = t;
    return 0;
}

int terminal_bind_console(const struct terminal *t, struct error *err) {
    _cleanup_close_ int tree = open_tree(t->slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int target = -EBADF;
    struct statfs fs;

    if (tree < 0 || root < 0)
        return error_set_errno(err, -errno, "process.terminal: cannot bind /dev/console");
    target = open_in_root(root, "dev/console", O_PATH | O_NOFOLLOW, 0);
    if (target == -ENOENT)
        target = open_in_root(root, "dev/console", O_CREAT | O_EXCL | O_RDONLY | O_NOCTTY, 0620);
    if (target == -EROFS)
        return 0; /* a read-only /dev without a console: nothing to show it as */
    if (target < 0)
        return error_set_errno(err, target, "process.terminal: cannot make /dev/console");
    /* /dev can be a link of the image: not into /proc, where a mount would hide what protects something */
    if (fstatfs(target, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC)
        return error_set(err, -EPERM, "process.terminal: /dev/console leads into /proc or /sys: refused");
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_set_errno(err, -errno, "process.terminal: cannot bind /dev/console");
    return 0;
}

int terminal_control(const struct terminal *t, struct error *err) {
    return ioctl(t->slave, TIOCSCTTY, 0) < 0 ? error_set_errno(err, -errno, "process.terminal: no controlling terminal")
                                             : 0;
}

void terminal_close(struct terminal *t) {
    closep(&t->master);
    closep(&t->slave);
    t->master = t->slave = -EBADF;
}
