/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Schedules of CronJobs: what robfig/cron's standard parser takes, and its complaints about the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define FIELDS 5u

static const struct bounds {
    long min, max;
    const char *const *names; /* of min, min + 1 …; NULL: none */
} bounds[FIELDS] = {
    {0, 59, NULL},
    {0, 23, NULL},
    {1, 31, NULL},
    {1, 12,
     (const char *const[]){"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL}},
    {0, 6, (const char *const[]){"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL}},
};

/* Each of these: NULL when fine, else the complaint; the caller frees. */

static char *parse_number(const char *s, const struct bounds *b, long *ret) {
    for (size_t i = 0; b->names && b->names[i]; i++)
        if (strcasecmp(b->names[i], s) == 0) {
            *ret = b->min + (long) i;
            return NULL;
        }
    char *end;
    errno = 0;
    *ret = strtol(s, &end, 10);
    if (!*s || *end || errno || *s == ' ')
        return xasprintf("failed to parse int from %s: strconv.Atoi: parsing \"%s\": invalid syntax", s, s);
    return *ret < 0 ? xasprintf("negative number (%ld) not allowed: %s", *ret, s) : NULL;
}

static char *check_range_expression(const char *text, const struct bounds *b) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *step = copy, *range = strsep(&step, "/"), *high = range, *low = strsep(&high, "-"), *problem;
    long start = b->min, end = b->max, every = 1;
    bool star = strcmp(low, "*") == 0 || strcmp(low, "?") == 0;
    if (!star) {
        if ((problem = parse_number(low, b, &start)))
            return problem;
        end = start;
        if (high && strchr(high, '-'))
            return xasprintf("too many hyphens: %s", text);
        if (high && (problem = parse_number(high, b, &end)))
            return problem;
    }
    if (step && strchr(step, '/'))
        return xasprintf("too many slashes: %s", text);
    if (step) {
        static const struct bounds any = {0, 0, NULL};
        if ((problem = parse_number(step, &any, &every)))
            return problem;
        if (!high && !star)
            end = b->max; /* "N/step" means "N-max/step" */
    }
    if (start < b->min)
        return xasprintf("beginning of range (%ld) below minimum (%ld): %s", start, b->min, text);
    if (end > b->max)
        return xasprintf("end of range (%ld) above maximum (%ld): %s", end, b->max, text);
    if (start > end)
        return xasprintf("beginning of range (%ld) beyond end of range (%ld): %s", start, end, text);
    return every ? NULL : xasprintf("step of range should be a positive number: %s", text);
}

static char *check_descriptor(const char *s) {
    static const char *const known[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                        "@daily",  "@midnight", "@hourly"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i], s) == 0)
            return NULL;
    if (strncmp(s, "@every ", 7) != 0)
        return xasprintf("unrecognized descriptor: %s", s);
    const char *d = s + 7;
    bool some = false;
    while (*d) {
        size_t n = strspn(d, "0123456789."), unit = n ? strspn(d + n, "nuµmsh") : 0;
        if (!n || !unit)
            return xasprintf("failed to parse duration %s: time: invalid duration \"%s\"", s, s + 7);
        d += n + unit;
        some = true;
    }
    return some ? NULL : xasprintf("failed to parse duration %s: time: invalid duration \"\"", s);
}

static char *check_fields(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    _cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
    char *fields[FIELDS], *save = NULL, *problem = NULL;
    size_t n = 0;
    for (char *f = strtok_r(copy, " \t\n", &save); f; f = strtok_r(NULL, " \t\n", &save)) {
        strbuf_addf(&list, "%s%s", n ? " " : "", f);
        if (n < FIELDS)
            fields[n] = f;
        n++;
    }
    if (n != FIELDS)
        return xasprintf("expected exactly %u fields, found %zu: [%s]", FIELDS, n, strbuf_str(&list));
    for (size_t i = 0; i < FIELDS && !problem; i++)
        for (char *rest = fields[i], *part; !problem && (part = strsep(&rest, ","));)
            if (*part)
                problem = check_range_expression(part, &bounds[i]);
    return problem;
}

void rules_schedule(struct field_errors *e, const struct place *at, const char *schedule) {
    _cleanup_free_ char *problem = *schedule == '@' ? check_descriptor(schedule) : check_fields(schedule);
    if (problem)
        complain_invalid_text(e, at, schedule, "%s", problem);
}
