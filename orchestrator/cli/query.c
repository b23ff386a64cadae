/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/query.h"

#include <ctype.h>
#include <string.h>

void query_add(struct strbuf *target, const char *name, const char *value) {
    if (!value)
        return;
    strbuf_addc(target, strchr(strbuf_str(target), '?') ? '&' : '?');
    strbuf_addf(target, "%s=", name);
    for (const unsigned char *p = (const unsigned char *) value; *p; p++) {
        if (isalnum(*p) || strchr("-._~", *p))
            strbuf_addc(target, (char) *p);
        else
            strbuf_addf(target, "%%%02X", *p);
    }
}
