/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pod and a supervisor's state, both arbitrary: a status comes out, whatever goes in. */
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *doc = NULL;
    struct pod_limits limits;

    if (json_parse((const char *) data, size, NULL, &doc, NULL) < 0)
        return 0;
    const struct status_input in = {.pod = json_get(doc, "pod"),
                                    .state = json_get(doc, "state"),
                                    .previous = json_get(doc, "previous"),
                                    .running = true,
                                    .now = 1,
                                    .host_ip = "192.0.2.1",
                                    .pod_ip = "192.0.2.2"};
    json_unref(status_make(&in));
    (void) status_is_final(in.pod, in.state);
    pod_limits_compute(in.pod, &limits);
    return 0;
}
