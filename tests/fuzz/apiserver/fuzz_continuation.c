/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Continue tokens from strangers; what is understood says the same again as a token of ours. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/apiserver/verbs/continuation.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(const char *token) {
    struct continuation a, b;
    if (continuation_parse(token, &a) < 0)
        return;
    _cleanup_free_ char *again = continuation_text(a.revision, a.ns, a.name);
    if (continuation_parse(again, &b) < 0)
        abort();
    if (a.revision != b.revision || strcmp(a.ns, b.ns) != 0 || strcmp(a.name, b.name) != 0)
        abort();
    continuation_finish(&a);
    continuation_finish(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    try(text);
    _cleanup_free_ char *coded = base64_encode(data, size);
    try(coded);
    return 0;
}
