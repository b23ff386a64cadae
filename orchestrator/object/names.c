/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/validation.h"
#include "podium/base/cleanup.h"

#define LABEL_FMT "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define QUALIFIED_TEXT                                                                                                 \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " \
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "                                      \
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define SUBDOMAIN_TEXT                                                                                                 \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "   \
    "and "                                                                                                             \
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is '" LABEL_FMT                 \
    "(\\." LABEL_FMT ")*')"

static bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? over n bytes. */
static bool is_label(const char *s, size_t n) {
    if (!n || !is_lower_alnum(s[0]) || !is_lower_alnum(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_lower_alnum(s[i]) && s[i] != '-')
            return false;
    return true;
}

static bool is_subdomain(const char *s) {
    for (;;) {
        size_t n = strcspn(s, ".");
        if (!is_label(s, n))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_qualified_part(const char *s) {
    size_t n = strlen(s);
    if (!n || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alnum(s[i]) && !strchr("-_.", s[i]))
            return false;
    return true;
}

size_t name_form_dns1123_label(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0, len = strlen(s);
    if (len > 63)
        problems[n++] = "must be no more than 63 characters";
    if (!is_label(s, len) && is_subdomain(s))
        problems[n++] = "must not contain dots";
    else if (!is_label(s, len))
        problems[n++] =
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'" LABEL_FMT "')";
    return n;
}

size_t name_form_dns1123_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    if (strlen(s) > 253)
        problems[n++] = "must be no more than 253 characters";
    if (!is_subdomain(s))
        problems[n++] = SUBDOMAIN_TEXT;
    return n;
}

/* _?[a-z0-9]([-_a-z0-9]*[a-z0-9])? over n bytes. */
static bool is_underscored_label(const char *s, size_t n) {
    if (n && s[0] == '_')
        s++, n--;
    if (!n || !is_lower_alnum(s[0]) || !is_lower_alnum(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_lower_alnum(s[i]) && s[i] != '-' && s[i] != '_')
            return false;
    return true;
}

size_t name_form_underscored_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    bool good = true;
    for (const char *label = s; good; label += strcspn(label, ".") + 1) {
        good = is_underscored_label(label, strcspn(label, "."));
        if (!label[strcspn(label, ".")])
            break;
    }
    if (strlen(s) > 253)
        problems[n++] = "must be no more than 253 characters";
    if (!good)
        problems[n++] =
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and "
            "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
    return n;
}

size_t name_form_wildcard_subdomain(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    if (strlen(s) > 253)
        problems[n++] = "must be no more than 253 characters";
    if (s[0] != '*' || s[1] != '.' || !is_subdomain(s + 2))
        problems[n++] =
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            "'*.example.com', regex used for validation is '\\*\\." LABEL_FMT "(\\." LABEL_FMT ")*')";
    return n;
}

size_t name_form_dns1035_label(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0, len = strlen(s);
    if (len > 63)
        problems[n++] = "must be no more than 63 characters";
    if (!is_label(s, len) || (s[0] >= '0' && s[0] <= '9'))
        problems[n++] =
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    return n;
}

size_t name_form_qualified(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;
    if (slash && strchr(name, '/')) {
        problems[n++] = "a qualified name " QUALIFIED_TEXT
                        " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
        return n;
    }
    if (slash == s) {
        problems[n++] = "prefix part must be non-empty";
    } else if (slash) {
        char prefix[256];
        size_t len = (size_t) (slash - s);
        memcpy(prefix, s, len < sizeof(prefix) ? len : sizeof(prefix) - 1);
        prefix[len < sizeof(prefix) ? len : sizeof(prefix) - 1] = 0;
        if (len > 253)
            problems[n++] = "prefix part must be no more than 253 characters";
        if (!is_subdomain(prefix))
            problems[n++] = "prefix part " SUBDOMAIN_TEXT;
    }
    if (!*name)
        problems[n++] = "name part must be non-empty";
    else if (strlen(name) > 63)
        problems[n++] = "name part must be no more than 63 characters";
    if (!is_qualified_part(name))
        problems[n++] = "name part " QUALIFIED_TEXT;
    return n;
}

size_t name_form_label_value(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    if (strlen(s) > 63)
        problems[n++] = "must be no more than 63 characters";
    if (*s && !is_qualified_part(s))
        problems[n++] =
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
            "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    return n;
}

size_t name_form_path_segment(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0;
    if (strcmp(s, ".") == 0)
        problems[n++] = "may not be '.'";
    else if (strcmp(s, "..") == 0)
        problems[n++] = "may not be '..'";
    if (strchr(s, '/'))
        problems[n++] = "may not contain '/'";
    if (strchr(s, '%'))
        problems[n++] = "may not contain '%'";
    return n;
}

size_t name_form_config_map_key(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0, ok = 0;
    if (strlen(s) > 253)
        problems[n++] = "must be no more than 253 characters";
    while (s[ok] && (is_alnum(s[ok]) || strchr("-._", s[ok])))
        ok++;
    if (!*s || s[ok])
        problems[n++] =
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    if (strcmp(s, ".") == 0)
        problems[n++] = "must not be '.'";
    else if (strcmp(s, "..") == 0)
        problems[n++] = "must not be '..'";
    else if (strncmp(s, "..", 2) == 0)
        problems[n++] = "must not start with '..'";
    return n;
}

size_t name_form_port(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    size_t n = 0, len = strlen(s), ok = 0;
    bool letter = false;
    for (size_t i = 0; i < len; i++) {
        ok += is_lower_alnum(s[i]) || s[i] == '-';
        letter = letter || (s[i] >= 'a' && s[i] <= 'z');
    }
    if (len > 15)
        problems[n++] = "must be no more than 15 characters";
    if (!len || ok != len)
        problems[n++] = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    if (!letter)
        problems[n++] = "must contain at least one letter (a-z)";
    if (strstr(s, "--"))
        problems[n++] = "must not contain consecutive hyphens";
    if (len && (s[0] == '-' || s[len - 1] == '-'))
        problems[n++] = "must not begin or end with a hyphen";
    return n;
}

size_t name_form_env_var(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    for (size_t i = 0; i == 0 || s[i]; i++)
        if (s[i] < ' ' || s[i] > '~' || s[i] == '=') {
            problems[0] =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            return 1;
        }
    return 0;
}

size_t name_form_http_header(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    for (size_t i = 0; i == 0 || s[i]; i++)
        if (!is_alnum(s[i]) && s[i] != '-') {
            problems[0] =
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
                "for validation is '[-A-Za-z0-9]+')";
            return 1;
        }
    return 0;
}

bool name_is_ipv6(const char *s) {
    struct in6_addr a;
    return inet_pton(AF_INET6, s, &a) == 1;
}

static bool is_ipv4(const char *s) {
    struct in_addr a;
    return inet_pton(AF_INET, s, &a) == 1;
}

size_t name_form_ip(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    if (is_ipv4(s) || name_is_ipv6(s))
        return 0;
    problems[0] = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    return 1;
}

size_t name_form_cidr(const char *s, const char *problems[NAME_PROBLEMS_MAX]) {
    char address[64];
    const char *slash = strchr(s, '/');
    if (slash && slash[1] >= '0' && slash[1] <= '9' && strlen(slash + 1) <= 3 &&
        (size_t) (slash - s) < sizeof(address)) {
        char *end;
        unsigned long bits = strtoul(slash + 1, &end, 10);
        memcpy(address, s, (size_t) (slash - s));
        address[slash - s] = 0;
        if (!*end && ((is_ipv4(address) && bits <= 32) || (name_is_ipv6(address) && bits <= 128)))
            return 0;
    }
    problems[0] = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    return 1;
}

static const char *first_problem(name_form form, const char *s) {
    const char *problems[NAME_PROBLEMS_MAX];
    return form(s, problems) ? problems[0] : NULL;
}

const char *name_is_dns1123_subdomain(const char *s) {
    return first_problem(name_form_dns1123_subdomain, s);
}

const char *name_is_qualified(const char *s) {
    return first_problem(name_form_qualified, s);
}

const char *name_is_label_value(const char *s) {
    return first_problem(name_form_label_value, s);
}
