/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases made from the words of a row. A rule is split at ";"; a clause that is understood gives the wrong values with
 * their causes, and the neighbouring right ones:
 *   required | immutable names of forms (dns1123-label …) | IP | CIDR | A|B|C (NotSupported) | >=0 | >0 | 1..100
 * A row whose clauses are all understood needs no typed case.
 */
#ifndef TESTS_APISERVER_ROWS_GENERATE_H
#define TESTS_APISERVER_ROWS_GENERATE_H

#include "orchestrator/object/schema.h"
#include "tests/unit/apiserver/rows_case.h"
#include "tests/unit/apiserver/rows_table.h"

/* Where the cases go: called with each case (borrowed). */
struct rows_sink {
    bool required; /* make those in which a member is missing: only where the rest of its object is there */
    void (*take)(void *userdata, const struct json *one);
    void *userdata;
};

/* --- fields --- */

/* "a.b/c[].d" -> "a.b[0].d", "a.c[0].d"; "*Probe" is each of the three. */
static inline void rows_fields(const char *done, const char *rest, char ***out) {
    static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    if (!*rest) {
        strv_push_dup(out, done);
        return;
    }
    size_t n = strcspn(rest, ".");
    _cleanup_free_ char *segment = xstrndup(rest, n);
    rest += n + (rest[n] == '.');
    char *save = NULL;
    for (char *part = strtok_r(segment, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        size_t len = strlen(part);
        bool list = len > 2 && strcmp(part + len - 2, "[]") == 0, probe = strcmp(part, "*Probe") == 0;
        if (list)
            part[len - 2] = '\0';
        for (size_t i = 0; i < (probe ? ARRAY_LEN(probes) : 1); i++) {
            _cleanup_free_ char *longer =
                xasprintf("%s%s%s%s", done, *done ? "." : "", probe ? probes[i] : part, list ? "[0]" : "");
            rows_fields(longer, rest, out);
        }
    }
}

/* --- cases --- */

/* How a value of the field is set and where its causes come: keys and values of maps are told of the map. */
struct rows_target {
    const struct rows_sink *sink;
    const struct row *row;
    char *path;                    /* of the field, or of the map */
    const struct field_info *info; /* of the field; NULL: not known */
    enum { ROWS_FIELD, ROWS_KEY, ROWS_VALUE } kind;
};

static inline void rows_take(const struct rows_target *t, struct json **one) {
    if (!strpbrk(t->row->op, "c"))
        json_set(one, "op", json_string(strchr(t->row->op, 's') ? "status" : "update"));
    t->sink->take(t->sink->userdata, *one);
}

static inline void rows_make(const struct rows_target *t, struct json *value, const char *message) {
    _cleanup_json_ struct json *one = json_object(), *set = json_object();
    if (t->kind == ROWS_KEY) {
        struct json *map = json_object();
        json_set(&map, json_str(value), json_string("v"));
        json_unref(value);
        value = map;
    } else if (t->kind == ROWS_VALUE) {
        struct json *map = json_object();
        json_set(&map, "k", value);
        value = map;
    }
    json_set(&set, t->path, value);
    json_set(&one, "set", json_ref(set));
    if (message) {
        json_set(&one, "error", json_stringf("%s: %s", t->path, message));
        json_set(&one, "among", json_bool(true));
    } else {
        json_set(&one, "quiet", json_string(t->path));
    }
    rows_take(t, &one);
}

static inline bool rows_clause_required(const struct rows_target *t) {
    _cleanup_json_ struct json *one = json_object(), *del = json_array();
    size_t n = strlen(t->path);
    if (t->kind != ROWS_FIELD || strstr(t->row->errors, "Required") == NULL || t->path[n - 1] == ']')
        return false;
    json_append(&del, json_string(t->path));
    json_set(&one, "del", json_ref(del));
    json_set(&one, "error", json_stringf("%s: Required value...", t->path));
    json_set(&one, "among", json_bool(true));
    rows_take(t, &one);
    return true;
}

static inline bool rows_clause_form(const struct rows_target *t, const char *clause) {
    static const struct {
        const char *name, *text, *bad, *good;
        unsigned max; /* longer is wrong too, with this count in the message; 0: not tried */
        const char *too_long;
    } forms[] = {
        {"dns1123-label", "dns1123-label", "Not_Valid", "a-1", 63, "must be no more than"},
        {"dns1123-subdomain", "dns1123-subdomain", "Not_Valid", "a-1.b", 253, "must be no more than"},
        {"dns1035-label", "dns1035-label", "1a", "a-1", 63, "must be no more than"},
        {"qualified-name", "qualified-name", "not valid", "a.b/C_d", 63, "name part must be no more than"},
        {"label-value", "label-value", "not valid", "a_B", 63, "must be no more than"},
        {"config-map-key", "config-map-key", "not valid", "a_B.c", 253, "must be no more than"},
        {"IP", "ip", "1.2.3", "10.1.2.3", 0, NULL},
        {"CIDR", "cidr", "10.0.0.0", "10.0.0.0/8", 0, NULL},
        {"http-header-name", "http-header-name", "not valid", "X-Name", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (strcmp(clause, forms[i].name) != 0 || (t->info && t->info->type != FIELD_STRING))
            continue;
        _cleanup_free_ char *message = xasprintf("Invalid value: \"%s\": ${%s}", forms[i].bad, forms[i].text);
        rows_make(t, json_string(forms[i].bad), message);
        rows_make(t, json_string(forms[i].good), NULL);
        if (forms[i].max) {
            _cleanup_free_ char *text = xasprintf("${a*%u}", forms[i].max + 1),
                                *fits = xasprintf("${a*%u}", forms[i].max);
            _cleanup_free_ char *long_message =
                xasprintf("Invalid value: \"%s\": %s %u characters", text, forms[i].too_long, forms[i].max);
            rows_make(t, json_string(text), long_message);
            rows_make(t, json_string(fits), NULL);
        }
        return true;
    }
    return false;
}

static inline bool rows_clause_range(const struct rows_target *t, const char *clause) {
    long long low, high;
    int used = 0;
    if (strcmp(clause, ">=0") == 0 || strcmp(clause, ">0") == 0) {
        low = clause[1] == '0';
        _cleanup_free_ char *message =
            xasprintf("Invalid value: %lld: must be greater than%s", low - 1, low ? "..." : " or equal to 0");
        rows_make(t, json_int(low - 1), message);
        rows_make(t, json_int(low), NULL);
        return true;
    }
    if (sscanf(clause, "%lld..%lld%n", &low, &high, &used) < 2 || clause[used])
        return false;
    _cleanup_free_ char *under = xasprintf("Invalid value: %lld...", low - 1),
                        *over = xasprintf("Invalid value: %lld...", high + 1);
    rows_make(t, json_int(low - 1), under);
    rows_make(t, json_int(high + 1), over);
    rows_make(t, json_int(low), NULL);
    rows_make(t, json_int(high), NULL);
    return true;
}

static inline int rows_by_text(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static inline bool rows_clause_enum(const struct rows_target *t, const char *clause) {
    if (!strchr(clause, '|') || strchr(clause, ' ') || !strstr(t->row->errors, "NotSupported"))
        return false;
    _cleanup_free_ char *copy = xstrdup(clause);
    _cleanup_strv_ char **values = strv_new();
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    char *save = NULL;
    for (char *v = strtok_r(copy, "|", &save); v; v = strtok_r(NULL, "|", &save))
        if (strcmp(v, "\"\"") != 0)
            strv_push_dup(&values, v);
    qsort(values, strv_len(values), sizeof(*values), rows_by_text);
    strbuf_adds(&message, "Unsupported value: \"Bogus\": supported values: ");
    for (size_t i = 0; values[i]; i++) {
        strbuf_addf(&message, "%s\"%s\"", i ? ", " : "", values[i]);
        rows_make(t, json_string(values[i]), NULL);
    }
    rows_make(t, json_string("Bogus"), strbuf_str(&message));
    return true;
}

static inline bool rows_clause(const struct rows_target *t, const char *clause) {
    return (strcmp(clause, "required") == 0 && t->sink->required && rows_clause_required(t)) ||
           rows_clause_form(t, clause) || rows_clause_range(t, clause) || rows_clause_enum(t, clause);
}

/* What the type tables say of "spec.ports[0].name" in a type; NULL when it is no such path. */
static inline const struct field_info *rows_field_info(const char *type, const char *path) {
    const struct type_info *t = type_by_name(type);
    const struct field_info *f = NULL;
    while (t && *path) {
        struct rows_step step = rows_step_next(&path);
        if (step.key) {
            f = type_field(t, step.key);
            t = f && field_object(f) ? field_object(f) : t;
        }
        bool known = f != NULL;
        free(step.key);
        if (!known)
            return NULL;
    }
    return f;
}

/* A list is wrong by its elements. */
static inline void rows_aim(struct rows_target *t) {
    size_t n = strlen(t->path);
    t->info = rows_field_info(t->row->type, t->path);
    if (t->kind != ROWS_FIELD || !t->info || t->info->container != FIELD_ARRAY || t->path[n - 1] == ']')
        return;
    char *longer = xasprintf("%s[0]", t->path);
    free(t->path);
    t->path = longer;
}

/* Whether all clauses were understood. */
static inline bool rows_generate(const struct row *row, const struct rows_sink *sink) {
    _cleanup_strv_ char **fields = strv_new();
    bool all = true, mapped = strstr(row->field, ".*key") || strstr(row->field, ".*value");
    _cleanup_free_ char *field = xstrdup(row->field);
    if (mapped)
        *strstr(field, ".*") = '\0';
    if (!strpbrk(row->op, "cus") || strpbrk(field, "(<") || strchr(field + (strncmp(field, "*Probe", 6) == 0), '*'))
        return false;
    rows_fields("", field, &fields);
    for (size_t i = 0; fields[i]; i++) {
        struct rows_target t = {.sink = sink, .row = row, .path = xstrdup(fields[i]), .kind = ROWS_FIELD};
        if (mapped)
            t.kind = strstr(row->field, ".*key") ? ROWS_KEY : ROWS_VALUE;
        rows_aim(&t);
        _cleanup_free_ char *rule = xstrdup(row->rule);
        for (char *rest = rule, *clause; (clause = strsep(&rest, ";"));) {
            clause += strspn(clause, " ");
            all = rows_clause(&t, clause) && all;
        }
        free(t.path);
    }
    return all;
}

#endif
