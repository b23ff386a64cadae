/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Label and field selectors: no crash; the text of a label selector reads back to the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *s = xstrndup((const char *) data, size);
    _cleanup_(selector_freep) struct selector *labels = NULL, *again = NULL;
    _cleanup_(field_selector_freep) struct field_selector *fields = NULL;
    _cleanup_json_ struct json *object = json_object();
    json_set_path(&object, json_string("x"), "metadata", "name");
    json_set_path(&object, json_string("1"), "metadata", "labels", "a");
    if (selector_parse(s, &labels, NULL) == 0) {
        _cleanup_free_ char *text = selector_to_text(labels);
        if (selector_parse(text, &again, NULL) < 0) {
            if (!strstr(text, "()")) /* upstream's text for "in (,)", which it cannot read either */
                abort();
            return 0;
        }
        _cleanup_free_ char *same = selector_to_text(again);
        const struct json *map = json_path(object, "metadata", "labels");
        if (strcmp(text, same) != 0 || selector_matches(labels, map) != selector_matches(again, map))
            abort();
    }
    if (field_selector_parse(s, "", "v1", "Pod", &fields, NULL) == 0)
        (void) field_selector_matches(fields, object);
    return 0;
}
