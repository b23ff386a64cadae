/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any words, one a line, as the options of a mount. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>

#include "podium/base/alloc.h"
#include "runtime/rootfs/options.h"

#ifndef MOUNT_ATTR__ATIME
#define MOUNT_ATTR__ATIME 0x70
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    _cleanup_strv_ char **words = strv_new();
    _cleanup_(mount_options_finish) struct mount_options o = {0};

    for (char *rest = text, *word; strv_len(words) < 256 && (word = strsep(&rest, "\n"));)
        strv_push_dup(&words, word);
    mount_options_parse(words, &o);
    /* the times are a number, not bits: it is set by clearing all of them first */
    if (o.n_data > strv_len(words) || (o.attr_set & o.attr_clear & ~(uint64_t) MOUNT_ATTR__ATIME) != 0 ||
        (o.attr_set_all & o.attr_clear_all & ~(uint64_t) MOUNT_ATTR__ATIME) != 0)
        __builtin_trap();
    for (size_t i = 0; i < o.n_data; i++)
        (void) mount_option_is_usual(o.data[i]);
    return 0;
}
