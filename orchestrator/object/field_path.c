/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/field_path.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64u

const struct json *field_path_get(const struct json *v, const char *path) {
    char name[NAME_MAX_BYTES];
    while (v && *path != '\0') {
        if (*path == '[') {
            char *end;
            v = json_at(v, strtoul(path + 1, &end, 10));
            path = *end == ']' ? end + 1 : end;
        } else {
            size_t n = strcspn(path, ".[");
            if (n >= sizeof(name))
                return NULL;
            memcpy(name, path, n);
            name[n] = '\0';
            v = json_get(v, name);
            path += n;
        }
        path += *path == '.';
    }
    return v;
}
