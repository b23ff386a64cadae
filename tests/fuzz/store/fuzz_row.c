/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the LMDB file: whatever the bytes, reading must stay inside them; what is written must be read back. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/store/lmdb/row.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok)
        abort();
}

static void read_any(const uint8_t *data, size_t size) {
    struct store_row row;
    uint64_t revision;

    if (row_read(1, data, size, &row) == 0) {
        volatile size_t n = strlen(row.resource) + strlen(row.ns) + strlen(row.name) + row.text_len;
        (void) n;
    }
    (void) !identity_read(data, size, &revision);
}

/* The input as names and text of a row; then with one byte changed. */
static void round_trip(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    size_t len = strlen(text);
    const struct store_change ch = {
        .revision = 7, .resource = "pods", .ns = "", .name = "x", .text = text, .text_len = len};
    _cleanup_free_ char *bytes = xmalloc(row_size(&ch));
    struct store_row row;

    row_write(&ch, bytes);
    must(row_read(7, bytes, row_size(&ch), &row) == 0);
    must(row.text_len == len && memcmp(row.text, text, len) == 0 && strcmp(row.name, "x") == 0);
    must(row_read(8, bytes, row_size(&ch), &row) < 0);
    bytes[size % row_size(&ch)] ^= 1;
    must(row_read(7, bytes, row_size(&ch), &row) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_any(data, size);
    round_trip(data, size);
    return 0;
}
