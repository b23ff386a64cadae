/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unpacking a hostile layer: after each input, nothing but the layer folder may exist in the sandbox. Needs root. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/images/unpack.h"
#include "podium/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct bytes {
    const uint8_t *data;
    size_t n;
};

static ssize_t next(void *userdata, const void **ret, struct error *err) {
    struct bytes *b = userdata;
    size_t n = b->n;

    *ret = b->data;
    b->n = 0;
    return (ssize_t) n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char sandbox[] = "/tmp/podium-fuzz-XXXXXX";
    struct image_limits limits = {
        .image_bytes_max = 1 << 20, .archive_bytes_max = 1 << 20, .entries_max = 1000, .ratio_max = 2000};
    struct bytes bytes = {data, n};
    struct byte_stream stream = {next, &bytes};
    uint64_t left = limits.image_bytes_max, size;
    size_t names = 0;

    if (!mkdtemp(sandbox))
        abort();
    int top = open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0 || mkdirat(top, "layer", 0755) < 0)
        abort();
    int fd = openat(top, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack_request request = {
        .dirfd = fd, .source = &stream, .size = n, .diff_id = "sha256:none", .limits = &limits, .bytes_left = &left};
    (void) !layer_unpack(&request, &size, NULL);
    DIR *dir = fdopendir(top);
    while (readdir(dir))
        names++;
    if (names != 3)
        __builtin_trap();
    closedir(dir);
    close(fd);
    if (rm_tree(sandbox, NULL) < 0)
        __builtin_trap();
    return 0;
}
