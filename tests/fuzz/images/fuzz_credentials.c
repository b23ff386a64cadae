/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pull secrets, a repository to match them with, and what skopeo says: "<repository>\n<bytes>". */
#include <stdint.h>
#include <string.h>

#include "orchestrator/images/credentials.h"
#include "orchestrator/images/transport.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *end = memchr(data, '\n', n);
    if (!end)
        return 0;
    _cleanup_free_ char *repository = xstrndup((const char *) data, (size_t) (end - data));
    _cleanup_json_ struct json *list = NULL;
    size_t left = n - (size_t) (end + 1 - data);

    (void) !image_credentials_add(&list, end + 1, left, false, NULL);
    (void) !image_credentials_add(&list, end + 1, left, true, NULL);
    json_unref(image_credentials_for(list, repository));
    _cleanup_free_ char *output = xstrndup((const char *) end + 1, left);
    _cleanup_free_ char *text = transport_error_text(output);
    return transport_error_code(text) == 0;
}
