/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The documents of images and references, as bytes from outside. The first byte says which parser. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/images/manifest.h"
#include "orchestrator/images/reference.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 1)
        return 0;
    const char *bytes = (const char *) data + 1;
    size_t len = n - 1;

    switch (data[0] % 5) {
    case 0: {
        _cleanup_(image_descriptors_finish) struct image_descriptors list = {0};
        (void) !image_index_parse(bytes, len, &list, NULL);
        break;
    }
    case 1: {
        _cleanup_(image_manifest_finish) struct image_manifest manifest = {0};
        (void) !image_manifest_parse(bytes, len, &manifest, NULL);
        break;
    }
    case 2: {
        _cleanup_(image_docker_manifest_finish) struct image_docker_manifest manifest = {0};
        (void) !image_docker_manifest_parse(bytes, len, &manifest, NULL);
        break;
    }
    case 3: {
        _cleanup_json_ struct json *document = NULL;
        _cleanup_strv_ char **ids = NULL;
        (void) !image_config_parse(bytes, len, &document, &ids, NULL);
        break;
    }
    default: {
        _cleanup_(image_reference_finish) struct image_reference reference = {0};
        _cleanup_free_ char *text = xstrndup(bytes, len);
        if (image_reference_parse(text, &reference, NULL) == 0) {
            /* what was accepted, normalised, must be accepted again and mean the same */
            _cleanup_(image_reference_finish) struct image_reference again = {0};
            _cleanup_free_ char *name = image_reference_format(&reference);
            if (image_reference_parse(name, &again, NULL) < 0 || strcmp(again.repository, reference.repository) != 0)
                __builtin_trap();
        }
    }
    }
    return 0;
}
