/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Field selectors: terms over the few fields a kind offers (tables/fieldselectors.tsv). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/selector.h"
#include "orchestrator/object/type_tables.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

struct field_term {
    char *field, *value;
    bool negated;
};

struct field_selector {
    struct field_term *terms;
    size_t n, cap;
};

void field_selector_free(struct field_selector *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->terms[i].field);
        free(s->terms[i].value);
    }
    free(s->terms);
    free(s);
}

/* --- reading --- */

/* The end of the term at s: an unescaped comma or the end of the text. */
static const char *term_end(const char *s) {
    for (; *s != '\0' && *s != ','; s++)
        if (*s == '\\' && s[1] != '\0')
            s++;
    return s;
}

/* The first operator in [s, end); its length goes to *ret_n. NULL when there is none. */
static const char *find_operator(const char *s, const char *end, size_t *ret_n) {
    for (; s < end; s++) {
        if (*s == '\\') {
            s++;
            continue;
        }
        *ret_n = s + 1 < end && s[1] == '=' && (*s == '!' || *s == '=') ? 2 : *s == '=' ? 1 : 0;
        if (*ret_n > 0)
            return s;
    }
    return NULL;
}

static int unescape(const char *s, const char *end, char **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (; s < end; s++) {
        if (*s == '=' || *s == ',')
            return error_set(err, -EINVAL, "invalid field selector: unescaped character in value: %c", *s);
        if (*s == '\\') {
            s++;
            if (s == end || (*s != '\\' && *s != ',' && *s != '='))
                return error_set(err, -EINVAL, "invalid field selector: invalid escape sequence: \\%.*s", s < end, s);
        }
        strbuf_addc(&b, *s);
    }
    *ret = strbuf_steal(&b);
    return 0;
}

/* The kind's own row, or the one for kinds without. */
static const struct fieldselector_row *find_row(const char *group, const char *version, const char *kind) {
    const struct fieldselector_row *general = NULL;
    for (size_t i = 0; i < fieldselector_table_len; i++) {
        const struct fieldselector_row *row = &fieldselector_table[i];
        if (strcmp(row->group, group) == 0 && strcmp(row->version, version) == 0 && strcmp(row->kind, kind) == 0)
            return row;
        if (!general && strcmp(row->group, "*") == 0)
            general = row;
    }
    return general;
}

static bool lists_field(const char *fields, const char *field) {
    size_t n = strlen(field);
    for (const char *p = fields; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, field, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

static int check_field(const struct fieldselector_row *row, const char *field, struct error *err) {
    bool alias = strcmp(field, "spec.host") == 0 && strcmp(row->kind, "Pod") == 0;
    if (alias || lists_field(row->selectors, field))
        return 0;
    if (strcmp(row->group, "*") == 0)
        return error_set(err, -EINVAL,
                         "\"%s\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", field);
    return error_set(err, -EINVAL, "field label not supported: %s", field);
}

int field_selector_parse(const char *text, const char *group, const char *version, const char *kind,
                         struct field_selector **ret, struct error *err) {
    _cleanup_(field_selector_freep) struct field_selector *s = xnew0(struct field_selector);
    const struct fieldselector_row *row = find_row(group, version, kind);
    for (const char *p = text ? text : "", *end; *p != '\0'; p = *end ? end + 1 : end) {
        size_t n = 0;
        end = term_end(p);
        if (end == p)
            continue;
        const char *op = find_operator(p, end, &n);
        if (!op)
            return error_set(err, -EINVAL, "invalid selector: '%s'; can't understand '%.*s'", text, (int) (end - p), p);
        _cleanup_free_ char *field = xstrndup(p, (size_t) (op - p)), *value = NULL;
        int r = unescape(op + n, end, &value, err);
        if (r >= 0)
            r = check_field(row, field, err);
        if (r < 0)
            return r;
        if (strcmp(field, "spec.host") == 0) {
            free(field);
            field = xstrdup("spec.nodeName");
        }
        xgrow(&s->terms, s->n, &s->cap);
        s->terms[s->n++] = (struct field_term){steal(&field), steal(&value), *op == '!'};
    }
    *ret = steal(&s);
    return 0;
}

/* --- matching --- */

/* Fields that are not simply where their label says: other places to look, in order, and what absence means. */
static const struct field_rule {
    const char *label;
    const char *paths[3];
    const char *absent;
} rules[] = {
    {"spec.hostNetwork", {"spec.hostNetwork"}, "false"},
    {"spec.unschedulable", {"spec.unschedulable"}, "false"},
    {"status.replicas", {"status.replicas"}, "0"},
    {"status.successful", {"status.succeeded"}, "0"},
    {"source", {"source.component", "deprecatedSource.component", "reportingComponent"}, ""},
    {"reportingComponent", {"reportingComponent", "reportingController"}, ""},
    {"reportingController", {"reportingController", "reportingComponent"}, ""},
};

static const struct json *find_value(const struct json *object, const char *label, const char **ret_absent) {
    *ret_absent = "";
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].label, label) != 0)
            continue;
        *ret_absent = rules[i].absent;
        for (size_t k = 0; k < ARRAY_LEN(rules[i].paths) && rules[i].paths[k]; k++) {
            const struct json *v = field_path_get(object, rules[i].paths[k]);
            if (!json_is_null(v) && (!json_is_string(v) || json_str_len(v) > 0))
                return v;
        }
        return NULL;
    }
    /* An Event has the same reference under two names, by its API group. */
    static const char core[] = "involvedObject", events[] = "regarding";
    if (strncmp(label, core, strlen(core)) == 0 && !json_get(object, core))
        return field_path_get(json_get(object, events), label + strlen(core) + 1);
    if (strncmp(label, events, strlen(events)) == 0 && !json_get(object, events))
        return field_path_get(json_get(object, core), label + strlen(events) + 1);
    return field_path_get(object, label);
}

static bool term_matches(const struct field_term *t, const struct json *object) {
    const char *absent;
    const struct json *v = find_value(object, t->field, &absent);
    if (json_is_string(v) || json_is_null(v))
        return strcmp(json_is_null(v) ? absent : json_str(v), t->value) == 0;
    if (json_is_array(v)) { /* podIPs: any of them */
        for (size_t i = 0; i < json_len(v); i++)
            if (strcmp(json_str_or(json_get(json_at(v, i), "ip"), ""), t->value) == 0)
                return true;
        return false;
    }
    _cleanup_free_ char *text = json_to_text(v);
    return strcmp(text, t->value) == 0;
}

bool field_selector_matches(const struct field_selector *s, const struct json *object) {
    for (size_t i = 0; s && i < s->n; i++)
        if (term_matches(&s->terms[i], object) == s->terms[i].negated)
            return false;
    return true;
}

const char *field_selector_exact(const struct field_selector *s, const char *field) {
    for (size_t i = 0; s && i < s->n; i++)
        if (!s->terms[i].negated && strcmp(s->terms[i].field, field) == 0)
            return s->terms[i].value;
    return NULL;
}
