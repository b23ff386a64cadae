/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/args.h"

#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"

#define TYPO_MAX 64 /* longer words are not compared */

const struct flag *flag_by_name(const struct flag *table, const char *name, size_t n) {
    for (; table && table->name; table++)
        if (strncmp(table->name, name, n) == 0 && !table->name[n])
            return table;
    return NULL;
}

const struct flag *flag_by_letter(const struct flag *table, char letter) {
    for (; table && table->name; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

size_t edit_distance(const char *a, const char *b) {
    size_t row[TYPO_MAX + 1], n = strlen(b);
    if (n > TYPO_MAX || strlen(a) > TYPO_MAX)
        return TYPO_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; *a; a++, i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < least ? change : least;
        }
    }
    return row[n];
}

static void free_values(void *p) {
    strv_free(p);
}

static void add_value(struct args *a, const struct flag *f, const char *value) {
    char **v = hashmap_steal(a->values, f->name);
    if (!v)
        v = strv_new();
    strv_push_dup(&v, value);
    hashmap_put(a->values, f->name, v);
}

static const struct flag *find_long(const struct args *a, const char *name, size_t n) {
    for (size_t i = 0; i < ARRAY_LEN(a->tables); i++) {
        const struct flag *f = flag_by_name(a->tables[i], name, n);
        if (f)
            return f;
    }
    return NULL;
}

/* The verb's own letters come first: "-p" is a patch in one verb and "previous" in another. */
static const struct flag *find_letter(const struct args *a, char letter) {
    const struct flag *f = flag_by_letter(a->tables[1], letter);
    return f ? f : flag_by_letter(a->tables[0], letter);
}

static int unknown_long(const struct args *a, const char *name, size_t n, struct error *err) {
    _cleanup_free_ char *typed = xstrndup(name, n);
    const char *near = NULL;
    size_t least = 3; /* more edits than this is another word */
    for (size_t i = 0; i < ARRAY_LEN(a->tables); i++)
        for (const struct flag *f = a->tables[i]; f && f->name; f++) {
            size_t d = edit_distance(typed, f->name);
            if (d < least) {
                least = d;
                near = f->name;
            }
        }
    if (near)
        return error_set(err, -EINVAL, "unknown flag: --%s (did you mean --%s?)", typed, near);
    return error_set(err, -EINVAL, "unknown flag: --%s", typed);
}

static int take_bool(struct args *a, const struct flag *f, const char *value, struct error *err) {
    static const char *const yes[] = {"true", "1", "t", "yes", "on"}, *const no[] = {"false", "0", "f", "no", "off"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
            add_value(a, f, strcasecmp(value, yes[i]) == 0 ? "true" : "false");
            return 0;
        }
    }
    return error_set(err, -EINVAL, "invalid argument \"%s\" for --%s: true or false is wanted", value, f->name);
}

static int parse_long(struct args *a, int argc, char *const *argv, int *i, struct error *err) {
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t) (equals - name) : strlen(name);
    const struct flag *f = find_long(a, name, n);
    if (!f)
        return unknown_long(a, name, n, err);
    if (f->type == FLAG_BOOL && equals)
        return take_bool(a, f, equals + 1, err);
    if (f->type == FLAG_VALUE && !equals && *i + 1 >= argc)
        return error_set(err, -EINVAL, "flag needs an argument: --%s %s", f->name, f->placeholder);
    if (equals)
        add_value(a, f, equals + 1);
    else if (f->type == FLAG_VALUE)
        add_value(a, f, argv[++*i]);
    else
        add_value(a, f, f->type == FLAG_BOOL ? "true" : f->otherwise);
    return 0;
}

/* "-it", "-n default", "-ndefault", "-n=default" */
static int parse_letters(struct args *a, int argc, char *const *argv, int *i, struct error *err) {
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct flag *f = find_letter(a, *p);
        if (!f)
            return error_set(err, -EINVAL, "unknown shorthand flag: '%c' in %s", *p, argv[*i]);
        if (f->type != FLAG_VALUE) {
            if (p[1] == '=')
                return f->type == FLAG_BOOL ? take_bool(a, f, p + 2, err) : (add_value(a, f, p + 2), 0);
            add_value(a, f, f->type == FLAG_BOOL ? "true" : f->otherwise);
            continue;
        }
        if (p[1]) {
            add_value(a, f, p[1] == '=' ? p + 2 : p + 1);
            return 0;
        }
        if (*i + 1 >= argc)
            return error_set(err, -EINVAL, "flag needs an argument: -%c %s", *p, f->placeholder);
        add_value(a, f, argv[++*i]);
        return 0;
    }
    return 0;
}

int args_parse(int argc, char *const *argv, const struct flag *global, const struct flag *own, struct args *ret,
               struct error *err) {
    *ret = (struct args){.tables = {global, own}, .values = hashmap_new(free_values)};
    ret->words = strv_new();
    ret->rest = strv_new();
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        int r = 0;
        if (strcmp(arg, "--") == 0) {
            ret->has_rest = true;
            for (i++; i < argc; i++)
                strv_push_dup(&ret->rest, argv[i]);
            break;
        }
        if (strncmp(arg, "--", 2) == 0)
            r = parse_long(ret, argc, argv, &i, err);
        else if (arg[0] == '-' && arg[1])
            r = parse_letters(ret, argc, argv, &i, err);
        else
            strv_push_dup(&ret->words, arg);
        if (r < 0)
            return r;
    }
    return 0;
}

void args_finish(struct args *a) {
    hashmap_free(a->values);
    strv_free(a->words);
    strv_free(a->rest);
    *a = (struct args){0};
}

static char **values_of(const struct args *a, const char *name) {
    if (!find_long(a, name, strlen(name)))
        abort(); /* a verb reads a flag it does not declare */
    return hashmap_get(a->values, name);
}

bool args_has(const struct args *a, const char *name) {
    return values_of(a, name) != NULL;
}

const char *args_str(const struct args *a, const char *name) {
    char **v = values_of(a, name);
    return v ? v[strv_len(v) - 1] : NULL;
}

char *const *args_all(const struct args *a, const char *name) {
    static char *const none[] = {NULL};
    char **v = values_of(a, name);
    return v ? v : none;
}

bool args_bool(const struct args *a, const char *name, bool otherwise) {
    const char *v = args_str(a, name);
    return v ? strcmp(v, "true") == 0 : otherwise;
}

int args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *ret, struct error *err) {
    const char *v = args_str(a, name);
    char *end;
    if (!v)
        return 0;
    errno = 0;
    int64_t n = strtoll(v, &end, 10);
    if (!*v || *end || errno || n < min || n > max)
        return error_set(err, -EINVAL, "invalid argument \"%s\" for --%s: a number from %lld to %lld is wanted", v,
                         name, (long long) min, (long long) max);
    *ret = n;
    return 0;
}

int args_duration(const struct args *a, const char *name, int64_t *ret_usec, struct error *err) {
    const char *v = args_str(a, name);
    char *end;
    if (!v)
        return 0;
    errno = 0;
    int64_t n = strtoll(v, &end, 10);
    if (*v && !*end && !errno && n < INT64_MAX / 1000000 && n > INT64_MIN / 1000000) {
        *ret_usec = n * 1000000;
        return 0;
    }
    if (duration_parse_go(v, &n) < 0)
        return error_set(err, -EINVAL, "invalid argument \"%s\" for --%s: a duration like 30s or 1m30s is wanted", v,
                         name);
    *ret_usec = n / 1000;
    return 0;
}
