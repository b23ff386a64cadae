/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any schemata, wanted and found: a wanted one is always among itself. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "runtime/verbs/rdt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *first = xstrndup((const char *) data, size);
    char *second = strchr(first, '|');
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (second)
        *second++ = 0;
    struct spec_rdt rdt = {.l3_cache = first, .memory_bandwidth = second};
    rdt_schemata(&rdt, &text);
    if (!rdt_schemata_match(strbuf_str(&text), strbuf_str(&text)))
        __builtin_trap();
    (void) rdt_schemata_match(first, second ? second : "");
    return 0;
}
