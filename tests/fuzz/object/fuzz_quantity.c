/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quantities, times and durations: no crash; a canonical quantity is worth the same, and settled when read again
 * ("62.5Ki" is "64000", which without its binary suffix is "64k"). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/quantity.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quantity(const char *s) {
    int64_t v, w;
    _cleanup_free_ char *canonical = quantity_canonical(s);
    if ((quantity_parse(s, &v, NULL) < 0) != (canonical == NULL))
        abort();
    if (!canonical)
        return;
    _cleanup_free_ char *again = quantity_canonical(canonical);
    _cleanup_free_ char *settled = again ? quantity_canonical(again) : NULL;
    if (!settled || strcmp(again, settled) != 0 || quantity_parse(canonical, &w, NULL) < 0 || v != w)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *s = xstrndup((const char *) data, size);
    uint64_t usec;
    int64_t ns, back;
    char text[TIMESTAMP_SIZE];
    check_quantity(s);
    if (timestamp_parse(s, &usec) == 0) {
        uint64_t again;
        timestamp_format_micro(usec, text);
        if (timestamp_parse(text, &again) < 0 || again != usec)
            abort();
    }
    if (duration_parse_go(s, &ns) == 0) {
        duration_format_go(ns, text);
        if (duration_parse_go(text, &back) < 0 || back != ns)
            abort();
    }
    return 0;
}
