/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a config.json: refused with an error or parsed, never a crash or a leak. */
#include <stddef.h>
#include <stdint.h>

#include "podium/base/limits.h"
#include "runtime/spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_parse_options options = {.bytes_max = CONFIG_JSON_BYTES_MAX};
    _cleanup_json_ struct json *config = NULL;
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse((const char *) data, size, &options, &config, &err) == 0 && spec_parse(config, &spec, &err) < 0 &&
        !err.text)
        __builtin_trap(); /* every refusal says why */
    return 0;
}
