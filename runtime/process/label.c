/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/label.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

static bool has_apparmor(void) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    return file_read("/sys/module/apparmor/parameters/enabled", 64, &text, NULL) == 0 && strbuf_str(&text)[0] == 'Y';
}

static bool has_selinux(void) {
    struct statfs fs;

    return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

/* No profile and "unconfined" without AppArmor come to the same. */
static bool wants_apparmor(const struct spec_process *p) {
    return p->apparmor_profile && (strcmp(p->apparmor_profile, "unconfined") != 0 || has_apparmor());
}

int label_check(const struct spec *spec, const struct spec_process *p, struct error *err) {
    if (wants_apparmor(p) && !has_apparmor())
        return error_set(err, -EOPNOTSUPP, "config: process.apparmorProfile: %s: the kernel does not run AppArmor",
                         p->apparmor_profile);
    if (p->selinux_label && !has_selinux())
        return error_set(err, -EOPNOTSUPP, "config: process.selinuxLabel: %s: the kernel does not run SELinux",
                         p->selinux_label);
    if (spec->mount_label && !has_selinux())
        return error_set(err, -EOPNOTSUPP, "config: linux.mountLabel: %s: the kernel does not run SELinux",
                         spec->mount_label);
    if (spec->mount_label && spec->overlay)
        return error_set(err, -EOPNOTSUPP, "config: linux.mountLabel: not for roots from overlay annotations");
    return 0;
}

int label_open(const struct spec_process *p, struct label_files *ret, struct error *err) {
    int r;

    if (wants_apparmor(p)) {
        ret->apparmor = proc_open("thread-self/attr/apparmor/exec", NULL);
        if (ret->apparmor < 0) /* before Linux 5.1: one file for whatever module is there */
            ret->apparmor = proc_open("thread-self/attr/exec", err);
        if (ret->apparmor < 0)
            return ret->apparmor;
    }
    if (!p->selinux_label)
        return 0;
    if ((r = proc_write("thread-self/attr/keycreate", p->selinux_label, err)) < 0)
        return r;
    ret->selinux = proc_open("thread-self/attr/exec", err);
    return ret->selinux < 0 ? ret->selinux : 0;
}

static int tell(int fd, const char *text, const char *field, struct error *err) {
    size_t n = strlen(text);

    if (write(fd, text, n) == (ssize_t) n)
        return 0;
    return error_set_errno(err, errno ? -errno : -EIO, "config: process.%s: cannot apply \"%s\"%s", field, text,
                           errno == ENOENT ? " (it is not loaded)" : "");
}

int label_apply(const struct spec_process *p, const struct label_files *files, struct error *err) {
    int r = 0;

    if (files->apparmor >= 0) {
        _cleanup_free_ char *text = xasprintf("exec %s", p->apparmor_profile);

        r = tell(files->apparmor, text, "apparmorProfile", err);
    }
    return r == 0 && files->selinux >= 0 ? tell(files->selinux, p->selinux_label, "selinuxLabel", err) : r;
}
