/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a linux.seccomp section: compiled, or refused with a reason. */
#include <stddef.h>
#include <stdint.h>

#include "podium/base/limits.h"
#include "runtime/seccomp/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_parse_options options = {.bytes_max = CONFIG_JSON_BYTES_MAX};
    _cleanup_json_ struct json *section = NULL;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *filter = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse((const char *) data, size, &options, &section, &err) == 0 &&
        seccomp_compile(section, &filter, &err) < 0 && !err.text)
        __builtin_trap();
    return 0;
}
