/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/podsecurity/policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"

static const struct {
    const char *name, *level_label, *version_label;
} modes[PS_MODES] = {
    [PS_ENFORCE] = {"enforce", POD_SECURITY_PREFIX "enforce", POD_SECURITY_PREFIX "enforce-version"},
    [PS_AUDIT] = {"audit", POD_SECURITY_PREFIX "audit", POD_SECURITY_PREFIX "audit-version"},
    [PS_WARN] = {"warn", POD_SECURITY_PREFIX "warn", POD_SECURITY_PREFIX "warn-version"},
};

static const char *const level_names[] = {"privileged", "baseline", "restricted"};

const char *ps_mode_name(enum ps_mode mode) {
    return modes[mode].name;
}

bool ps_standard_equal(struct ps_standard a, struct ps_standard b) {
    return a.level == b.level && a.minor == b.minor;
}

bool ps_policy_is_privileged(const struct ps_policy *p) {
    for (size_t m = 0; m < PS_MODES; m++)
        if (p->modes[m].level != PS_PRIVILEGED)
            return false;
    return true;
}

const char *ps_standard_text(struct ps_standard s, char text[PS_STANDARD_TEXT_SIZE]) {
    if (s.minor == POD_SECURITY_VERSION_LATEST)
        snprintf(text, PS_STANDARD_TEXT_SIZE, "%s:latest", level_names[s.level]);
    else
        snprintf(text, PS_STANDARD_TEXT_SIZE, "%s:v1.%d", level_names[s.level], s.minor);
    return text;
}

static bool parse_level(const char *text, size_t n, enum ps_level *ret) {
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strlen(level_names[i]) == n && strncmp(text, level_names[i], n) == 0) {
            *ret = (enum ps_level) i;
            return true;
        }
    return false;
}

/* "latest" or "v1.N" without leading zeros */
static bool parse_version(const char *text, int *ret) {
    const char *digits = text + strlen("v1.");
    char *end;

    if (strcmp(text, "latest") == 0) {
        *ret = POD_SECURITY_VERSION_LATEST;
        return true;
    }
    if (strncmp(text, "v1.", 3) != 0 || *digits < '0' || *digits > '9' || (*digits == '0' && digits[1]))
        return false;
    unsigned long n = strtoul(digits, &end, 10);
    if (*end || n > INT_MAX)
        return false;
    *ret = (int) n;
    return true;
}

bool ps_standard_parse(const char *text, struct ps_standard *ret) {
    size_t n = strcspn(text, ":");

    ret->minor = POD_SECURITY_VERSION_LATEST;
    return parse_level(text, n, &ret->level) && (!text[n] || parse_version(text + n + 1, &ret->minor));
}

static void complain(struct field_errors *errors, const char *label, const struct json *value, const char *what) {
    if (!errors)
        return;
    _cleanup_free_ char *field = xasprintf("metadata.labels[%s]", label);
    field_errors_add(errors, "FieldValueInvalid", field, value, "%s", what);
}

/* Whether the level was given, and well. */
static bool take_level(const struct json *labels, enum ps_mode mode, struct ps_standard *s,
                       struct field_errors *errors) {
    const struct json *value = json_get(labels, modes[mode].level_label);

    if (!value)
        return false;
    if (parse_level(json_str_or(value, ""), json_str_len(value), &s->level))
        return true;
    complain(errors, modes[mode].level_label, value, "must be one of privileged, baseline, restricted");
    s->level = mode == PS_ENFORCE ? PS_RESTRICTED : PS_PRIVILEGED;
    return false;
}

static void take_version(const struct json *labels, enum ps_mode mode, struct ps_standard *s,
                         struct field_errors *errors) {
    const struct json *value = json_get(labels, modes[mode].version_label);

    if (!value || parse_version(json_str_or(value, ""), &s->minor))
        return;
    complain(errors, modes[mode].version_label, value, "must be \"latest\" or \"v1.x\"");
    s->minor = POD_SECURITY_VERSION_LATEST;
}

struct ps_policy ps_policy_of(const struct json *labels, const struct ps_policy *defaults,
                              struct field_errors *errors) {
    struct ps_policy p = *defaults;
    struct ps_standard *enforce = &p.modes[PS_ENFORCE], *warn = &p.modes[PS_WARN];
    bool enforce_given = false;

    if (json_len(labels) == 0)
        return p;
    for (enum ps_mode m = PS_ENFORCE; m < PS_MODES; m++) {
        bool given = take_level(labels, m, &p.modes[m], errors);
        enforce_given |= given && m == PS_ENFORCE;
        take_version(labels, m, &p.modes[m], errors);
    }
    if (enforce_given && !json_get(labels, modes[PS_WARN].level_label) && enforce->level > warn->level) {
        warn->level = enforce->level;
        if (!json_get(labels, modes[PS_WARN].version_label))
            warn->minor = enforce->minor;
    }
    return p;
}

bool ps_labels_changed(const struct json *labels, const struct json *old) {
    if (labels == old)
        return false;
    for (size_t m = 0; m < PS_MODES; m++) {
        const char *const keys[] = {modes[m].level_label, modes[m].version_label};
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            if (!json_equal(json_get(labels, keys[k]), json_get(old, keys[k])))
                return true;
    }
    return false;
}
