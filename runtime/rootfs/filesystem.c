/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "podium/base/alloc.h"
#include "runtime/rootfs/steps.h"

/* The kernel explains a refused option in messages "e tmpfs: Unknown parameter 'x'" read from the context. */
static int context_error(int fs_fd, int code, const char *type, const char *word, struct error *err) {
    char text[256];
    ssize_t n = read(fs_fd, text, sizeof(text) - 1);

    if (n > 2) {
        text[n] = 0;
        if (text[n - 1] == '\n')
            text[n - 1] = 0;
        return error_set(err, code, "cannot mount %s: %s", type, text + 2);
    }
    return error_set_errno(err, code, "cannot mount %s%s%s", type, *word ? ": option " : "", word);
}

static int set_option(int fs_fd, const char *type, const char *word, struct error *err) {
    const char *equals = strchr(word, '=');
    _cleanup_free_ char *key = NULL;
    int r;

    if (!equals) {
        r = fsconfig(fs_fd, FSCONFIG_SET_FLAG, word, NULL, 0);
    } else {
        key = xstrndup(word, (size_t) (equals - word));
        r = fsconfig(fs_fd, FSCONFIG_SET_STRING, key, equals + 1, 0);
    }
    return r < 0 ? context_error(fs_fd, -errno, type, word, err) : 0;
}

int filesystem_new(const char *type, const char *source, const char *const *data, size_t n_data, uint64_t attr,
                   struct error *err) {
    _cleanup_close_ int fs_fd = fsopen(type, FSOPEN_CLOEXEC);
    int r;

    if (fs_fd < 0)
        return error_set_errno(err, -errno, "cannot mount: file system type %s", type);
    if (source && fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        return context_error(fs_fd, -errno, type, "source", err);
    for (size_t i = 0; i < n_data; i++)
        if ((r = set_option(fs_fd, type, data[i], err)) < 0)
            return r;
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return context_error(fs_fd, -errno, type, "", err);
    int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned) attr);
    return fd < 0 ? error_set_errno(err, -errno, "cannot mount %s", type) : fd;
}
