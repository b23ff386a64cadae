/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes on their way to a journal stream, marked so that a reader can have them back as they were (podium/runtime.h,
 * "output in the journal"). Pure.
 */
#ifndef PODIUM_POD_ENCODE_H
#define PODIUM_POD_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/strbuf.h"

struct pod_encoder {
    bool in_text;  /* the line has something other than spaces */
    size_t length; /* of the line so far, as written */
};

/* Appends p's encoded form to out and returns true; or returns false when it is the same (nothing is appended). */
bool pod_encode(struct pod_encoder *e, const char *p, size_t n, struct strbuf *out);

#endif
