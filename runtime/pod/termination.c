/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/termination.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define REPLACEMENT "\xEF\xBF\xBD"

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

/* The length of the UTF-8 character at p, 0 when there is none. */
static size_t character(const unsigned char *p, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *p < 0x80 ? 1 : (*p & 0xE0) == 0xC0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : (*p & 0xF8) == 0xF0 ? 4 : 0;
    uint32_t code = len > 1 ? *p & (0xFFu >> (len + 1)) : *p;

    if (len == 0 || len > n || *p == 0)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return len > 1 && (code < least[len] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) ? 0 : len;
}

static char *valid_text(const char *p, size_t n) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    while (n > 0) {
        size_t len = character((const unsigned char *) p, n);
        if (len > 0)
            strbuf_add(&out, p, len);
        else
            strbuf_adds(&out, REPLACEMENT);
        p += len ? len : 1;
        n -= len ? len : 1;
    }
    return strbuf_steal(&out);
}

char *termination_file_read(const char *path, size_t max) {
    _cleanup_free_ char *bytes = xmalloc(max);
    struct stat st;
    /* the path is ours, but what is there was writable by anybody: nothing that blocks or is followed */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    ssize_t n = pread(fd, bytes, max, 0);
    return n > 0 ? valid_text(bytes, (size_t) n) : NULL;
}
