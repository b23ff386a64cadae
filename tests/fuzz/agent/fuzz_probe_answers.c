/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a probed container answers: any bytes as a gRPC message and as text for people. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/agent/probes/grpc.h"
#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = utf8_valid_text((const char *) data, size);
    _cleanup_json_ struct json *value = json_string(text), *back = NULL;
    _cleanup_free_ char *written = json_to_text(value);
    int status = grpc_health_answer(data, size);

    if (status >= 0 && !grpc_health_name(status))
        abort();
    /* JSON can carry it, which is what it is for */
    if (json_parse(written, strlen(written), NULL, &back, NULL) < 0 || !json_equal(value, back))
        abort();
    return 0;
}
