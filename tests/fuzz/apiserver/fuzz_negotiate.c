/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accept headers: what is chosen has a media type of ours, and asking for that chooses the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/http/negotiate.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size), *type = media_type(text);
    if (strlen(type) > strlen(text))
        abort();
    (void) accept_gzip(text);
    for (unsigned offers = 0; offers < 8; offers++) {
        struct accepted a = {0}, again = {0};
        if (!accept_parse(text, offers, &a))
            continue;
        if (a.media == ACCEPT_YAML && (offers & OFFER_STREAM))
            abort();
        if (a.as != AS_ITSELF && a.as != AS_DISCOVERY && !(offers & OFFER_VIEWS))
            abort();
        if (a.as != AS_ITSELF)
            continue;
        _cleanup_free_ char *bare = xstrndup(accepted_media_type(&a), strcspn(accepted_media_type(&a), ";"));
        if (!accept_parse(bare, offers, &again) || again.media != a.media)
            abort();
    }
    return 0;
}
