/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/termination.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/utf8.h"

int termination_file_make(const char *path, struct error *err) {
    if (unlink(path) < 0 && errno == ENOENT) {
        _cleanup_free_ char *dir = xstrndup(path, (size_t) (strrchr(path, '/') - path));
        int r = mkdir_parents(dir, 0755, err);
        if (r < 0)
            return r;
    }
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0666) < 0)
        return error_set_errno(err, -errno, "cannot make %s", path);
    return 0;
}

char *termination_file_read(const char *path, size_t max) {
    _cleanup_free_ char *bytes = xmalloc(max);
    struct stat st;
    /* the path is ours, but what is there was writable by anybody: nothing that blocks or is followed */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    ssize_t n = pread(fd, bytes, max, 0);
    return n > 0 ? utf8_valid_text(bytes, (size_t) n) : NULL;
}
