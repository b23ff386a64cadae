/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever the JSON reader takes, the writer writes so that it reads back as the same document, also as a packed one.
 */
#include <stdint.h>
#include <stdlib.h>

#include "podium/base/base64.h"
#include "podium/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void ignore_duplicate(void *userdata, const char *path) {
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    const struct json_parse_options options = {.duplicate = ignore_duplicate};
    _cleanup_json_ struct json *first = NULL, *second = NULL, *pretty = NULL, *packed = NULL, *sealed = NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT, indented = STRBUF_INIT;
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t n_bytes;

    if (base64_decode((const char *) p, n, &bytes, &n_bytes) == 0) {
        _cleanup_free_ char *again = base64_encode(bytes, n_bytes);
        if (!again)
            abort();
    }
    /* of members that come twice it keeps both: only that it survives is looked at */
    if (json_parse_packed((const char *) p, n, &(struct json_packed_options){.seal = "a"}, &sealed, NULL) == 0 &&
        json_within(sealed, 1, 1))
        (void) json_type(sealed);
    if (json_parse((const char *) p, n, &options, &first, NULL) < 0)
        return 0;
    json_write(first, 0, &text);
    json_write(first, JSON_WRITE_PRETTY, &indented);
    if (json_parse(text.data, text.len, NULL, &second, NULL) < 0 || !json_equal(first, second))
        abort();
    if (json_parse(indented.data, indented.len, NULL, &pretty, NULL) < 0 || !json_equal(first, pretty))
        abort();
    if (json_parse_packed(text.data, text.len, NULL, &packed, NULL) < 0 || !json_equal(first, packed))
        abort();
    return 0;
}
