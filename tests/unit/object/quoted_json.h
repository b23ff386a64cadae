/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON in which ' stands for ", to keep cases readable. */
#ifndef PODIUM_TESTS_OBJECT_QUOTED_JSON_H
#define PODIUM_TESTS_OBJECT_QUOTED_JSON_H

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"

/* The caller's reference. Fails the test on bad JSON: include it after cmocka.h. */
static inline struct json *quoted_json(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    struct json *v = NULL;
    if (json_parse(copy, strlen(copy), NULL, &v, NULL) < 0)
        fail_msg("bad JSON: %s", text);
    return v;
}

#endif
