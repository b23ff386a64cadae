/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the process.json of `exec --process`: a process, or refused with a reason. */
#include <stddef.h>
#include <stdint.h>

#include "podium/base/limits.h"
#include "runtime/spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_parse_options options = {.bytes_max = CONFIG_JSON_BYTES_MAX};
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(spec_process_freep) struct spec_process *process = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse((const char *) data, size, &options, &doc, &err) < 0)
        return 0;
    int r = spec_process_parse(doc, &process, &err);
    if (r < 0 && !err.text)
        __builtin_trap(); /* every refusal says why */
    if (r == 0 && (!process->args[0] || !process->env || process->cwd[0] != '/'))
        __builtin_trap(); /* what the header promises */
    return 0;
}
