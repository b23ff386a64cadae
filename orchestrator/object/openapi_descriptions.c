/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/openapi_descriptions.h"

#include <ctype.h>
#include <string.h>

#include "orchestrator/object/type_tables.h"

static const char *find(const char *key) {
    size_t lo = 0, hi = description_table_len;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(&type_strings[description_table[mid].key_at], key);
        if (c == 0)
            return &type_strings[description_table[mid].text_at];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static const char *find_field(const char *type, const char *field) {
    char key[256];
    int n = snprintf(key, sizeof(key), "%s.%s", type, field);
    return n > 0 && (size_t) n < sizeof(key) ? find(key) : NULL;
}

/* "hostIPs" -> "Host IPs", "fsType" -> "Fs type": capitals that stand together, or alone before an s, stay. */
static void spell_out(const char *name, struct strbuf *out) {
    for (const char *p = name; *p; p++) {
        bool capital = isupper((unsigned char) *p) != 0;
        bool run = capital && (isupper((unsigned char) p[1]) || (p > name && isupper((unsigned char) p[-1])));
        if (p == name)
            strbuf_addc(out, (char) toupper((unsigned char) *p));
        else if (capital && !isupper((unsigned char) p[-1]))
            strbuf_addf(out, " %c", run ? *p : tolower((unsigned char) *p));
        else
            strbuf_addc(out, *p);
    }
    strbuf_addc(out, '.');
}

void openapi_describe_type(const struct type_info *t, struct strbuf *out) {
    const char *text = find(t->name);
    size_t n = strlen(t->name);
    if (text)
        strbuf_adds(out, text);
    else if (n > 4 && strcmp(t->name + n - 4, "List") == 0 && type_field(t, "items"))
        strbuf_adds(out, "A list.");
}

void openapi_describe_field(const struct type_info *t, const struct field_info *f, struct strbuf *out) {
    const char *name = field_name(f), *text = find_field(t->name, name), *value = field_default_value(f);
    if (!text)
        text = find_field("*", name);
    if (text)
        strbuf_adds(out, text);
    else
        spell_out(name, out);
    if (value && *value && f->type != FIELD_OBJECT && f->container == FIELD_PLAIN)
        strbuf_addf(out, " Default: %s.", value);
}
