/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pod.json and an old state.json: whatever is in them, the supervisor refuses or understands it. */
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"
#include "runtime/pod/config.h"
#include "runtime/pod/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(pod_config_freep) struct pod_config *config = NULL;

    if (json_parse((const char *) data, size, NULL, &doc, NULL) < 0 || pod_config_parse(doc, &config, NULL) < 0)
        return 0;
    struct pod_model m;
    struct pod_record record = {0};
    struct pod_next next;
    pod_model_init(&m, config);
    pod_record_take_up(&m, doc, 1);
    pod_next(&m, 1, &next);
    json_unref(pod_record_make(&m, &record));
    pod_model_finish(&m);
    return 0;
}
