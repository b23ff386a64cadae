/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods as somebody may have written them: which objects they refer to. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/link/pod_refs.h"

static void count(void *userdata, const char *kind, const char *name) {
    size_t *n = userdata;

    *n += strlen(kind) + strlen(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *pod = NULL;
    size_t n = 0;

    if (json_parse((const char *) data, size, NULL, &pod, NULL) < 0)
        return 0;
    pod_references(pod, count, &n);
    return 0;
}
