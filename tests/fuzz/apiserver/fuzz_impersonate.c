/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Impersonate- headers, one "Key: value" a line. What they make must be text that JSON can hold, or be left out. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/apiserver/authz/impersonate.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct api_request req = {0};
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        if (colon)
            *colon++ = 0;
        impersonate_header(&req, line, colon ? colon + strspn(colon, " ") : NULL);
    }
    if (!req.as)
        return 0;
    _cleanup_free_ char *extra = json_to_text(req.as->extra);
    if (!*extra)
        abort();
    api_user_finish(req.as);
    free(req.as);
    return 0;
}
