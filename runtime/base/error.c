/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/error.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"

static int set_text(struct error *err, int code, char *text) {
    if (code >= 0)
        code = -EINVAL;
    if (!err) {
        free(text);
        return code;
    }
    free(err->text);
    err->code = code;
    err->text = text;
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...) {
    va_list ap;

    if (!err)
        return code < 0 ? code : -EINVAL;
    va_start(ap, fmt);
    char *text = xvasprintf(fmt, ap);
    va_end(ap);
    return set_text(err, code, text);
}

int error_set_errno(struct error *err, int code, const char *fmt, ...) {
    va_list ap;

    if (!err)
        return code < 0 ? code : -EINVAL;
    va_start(ap, fmt);
    _cleanup_free_ char *what = xvasprintf(fmt, ap);
    va_end(ap);
    return set_text(err, code, xasprintf("%s: %s", what, strerror(-code)));
}

int error_prefix(struct error *err, int code, const char *fmt, ...) {
    va_list ap;

    if (!err)
        return code < 0 ? code : -EINVAL;
    va_start(ap, fmt);
    _cleanup_free_ char *prefix = xvasprintf(fmt, ap);
    va_end(ap);
    return set_text(err, code, xasprintf("%s: %s", prefix, error_text(err, code)));
}

const char *error_text(const struct error *err, int r) {
    if (err && err->text)
        return err->text;
    return strerror(r < 0 ? -r : r);
}

void error_clear(struct error *err) {
    if (!err)
        return;
    free(err->text);
    err->text = NULL;
    err->code = 0;
}
