/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificate signing requests. What is inside the PEM is looked at by the API server, which can read X.509; the rules
 * here follow upstream's pkg/apis/certificates/validation. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define EXPIRATION_SECONDS_MIN 600
#define DOMAIN_MAX             253
#define SIGNER_NAME_MAX        (DOMAIN_MAX + 1 + DOMAIN_MAX + 1 + 63)
#define BYTES_SHOWN_MAX        4096 /* of a request that is none */
#define LEGACY_SIGNER          "kubernetes.io/legacy-unknown"

/* --- bytes --- */

char *certificate_bytes(const struct json *value) {
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t n = 0;
    const char *text = json_str_or(value, "");
    if (base64_decode(text, strlen(text), &bytes, &n) < 0 || memchr(bytes, 0, n))
        return xstrdup("");
    return (char *) steal(&bytes);
}

void complain_bytes(struct field_errors *e, const char *field, const char *bytes, const char *detail) {
    _cleanup_strbuf_ struct strbuf shown = STRBUF_INIT;
    size_t n = strlen(bytes);
    for (size_t i = 0; n <= BYTES_SHOWN_MAX && i < n; i++)
        strbuf_addf(&shown, "%s0x%x", i ? ", " : "", (unsigned char) bytes[i]);
    if (n > BYTES_SHOWN_MAX)
        strbuf_adds(&shown, "...");
    field_errors_add(e, "FieldValueInvalid", field, NULL, "[]byte{%s}: %s", strbuf_str(&shown), detail);
}

static void check_request(struct field_errors *e, const struct json *spec) {
    static const char begin[] = "-----BEGIN CERTIFICATE REQUEST-----";
    _cleanup_free_ char *pem = certificate_bytes(json_get(spec, "request"));
    const char *at = strstr(pem, "-----BEGIN ");
    if (!at || strncmp(at, begin, sizeof(begin) - 1) != 0)
        complain_bytes(e, "spec.request", pem, "PEM block type must be CERTIFICATE REQUEST");
}

/* --- the signer's name --- */

static void check_segment(struct field_errors *e, const struct place *at, const char *segment, char **labels,
                          name_form form) {
    for (size_t i = 0; labels[i]; i++) {
        const char *problems[NAME_PROBLEMS_MAX];
        size_t n = form(labels[i], problems);
        for (size_t k = 0; k < n; k++)
            complain_invalid_text(e, at, segment, "validating label \"%s\": %s", labels[i], problems[k]);
    }
}

static char **split(const char *text, char separator) {
    char **parts = strv_new();
    for (;;) {
        const char *end = strchrnul(text, separator);
        strv_push(&parts, xstrndup(text, (size_t) (end - text)));
        if (!*end)
            return parts;
        text = end + 1;
    }
}

void rules_signer_name(struct field_errors *e, const struct place *at, const char *name) {
    if (!*name) {
        complain_required(e, at, "");
        return;
    }
    _cleanup_strv_ char **segments = split(name, '/');
    if (strv_len(segments) != 2) {
        complain_invalid_text(e, at, name,
                              "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        return;
    }
    _cleanup_strv_ char **domain = split(segments[0], '.'), **path = split(segments[1], '.');
    if (strlen(segments[0]) > DOMAIN_MAX)
        complain_too_long(e, at, DOMAIN_MAX);
    check_segment(e, at, segments[0], domain, name_form_dns1123_label);
    if (strv_len(domain) < 2)
        complain_invalid_text(e, at, segments[0], "should be a domain with at least two segments separated by dots");
    check_segment(e, at, segments[1], path, name_form_dns1123_subdomain);
    if (strlen(name) > SIGNER_NAME_MAX)
        complain_too_long(e, at, SIGNER_NAME_MAX);
}

/* --- spec --- */

/* Which there are is in the tables. */
static void check_usages(struct field_errors *e, const struct place *spec, const struct json *list) {
    struct place usages = place_in(spec, "usages");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    if (json_len(list) == 0)
        complain_required(e, &usages, "");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&usages, i);
        if (seen_before(&seen, json_str_or(json_at(list, i), "")))
            complain_duplicate(e, &one, json_str_or(json_at(list, i), ""));
    }
}

static void check_spec(struct field_errors *e, const struct json *spec) {
    static const struct place at = {.name = "spec"};
    struct place signer = place_in(&at, "signerName"), expiration = place_in(&at, "expirationSeconds");
    const char *name = json_str_or(json_get(spec, "signerName"), "");
    check_request(e, spec);
    check_usages(e, &at, json_get(spec, "usages"));
    if (strcmp(name, LEGACY_SIGNER) == 0)
        complain_invalid_text(e, &signer, name, "the legacy signerName is not allowed via this API version");
    else
        rules_signer_name(e, &signer, name);
    if (json_int_or(json_get(spec, "expirationSeconds"), EXPIRATION_SECONDS_MIN) < EXPIRATION_SECONDS_MIN)
        complain_invalid(e, &expiration, json_get(spec, "expirationSeconds"),
                         "may not specify a duration less than 600 seconds (10 minutes)");
}

/* --- status --- */

static bool is_final(const char *type) {
    return strcmp(type, "Approved") == 0 || strcmp(type, "Denied") == 0 || strcmp(type, "Failed") == 0;
}

static void check_condition_status(struct field_errors *e, const struct place *at, const struct json *c) {
    static const char *const any[] = {"False", "True", "Unknown", NULL}, *const only_true[] = {"True", NULL};
    check_one_of(e, at, c, "status", true, is_final(json_str_or(json_get(c, "type"), "")) ? only_true : any);
}

static void check_conditions(struct field_errors *e, const struct json *conditions) {
    static const struct place status = {.name = "status"};
    struct place at = place_in(&status, "conditions");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(conditions); i++) {
        const struct json *c = json_at(conditions, i);
        struct place one = place_at(&at, i), type = place_in(&one, "type");
        const char *name = json_str_or(json_get(c, "type"), "");
        const char *other = strcmp(name, "Approved") == 0 ? "Denied" : strcmp(name, "Denied") == 0 ? "Approved" : NULL;
        check_required_text(e, &one, c, "type");
        check_condition_status(e, &one, c);
        if (other && seen && hashmap_has(seen, other))
            complain_invalid_text(e, &type, name, "Approved and Denied conditions are mutually exclusive");
        if (seen_before(&seen, name))
            complain_duplicate(e, &type, name);
    }
}

void rules_certificate_request(struct field_errors *e, const struct json *object) {
    check_spec(e, json_get(object, "spec"));
    check_conditions(e, json_path(object, "status", "conditions"));
}

/* --- what may change --- */

static const struct json *condition(const struct json *object, const char *type) {
    const struct json *list = json_path(object, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "type", type))
            return json_at(list, i);
    return NULL;
}

static void check_kept_conditions(struct field_errors *e, const struct json *object, const struct json *old,
                                  bool may_approve) {
    static const char *const types[] = {"Approved", "Denied", "Failed"};
    static const struct place status = {.name = "status"};
    struct place at = place_in(&status, "conditions");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (condition(old, types[i]) && !condition(object, types[i]))
            complain_forbidden(e, &at, "updates may not remove a condition of type \"%s\"", types[i]);
    for (size_t i = 0; i < 2 && !may_approve; i++) {
        const struct json *was = condition(old, types[i]), *is = condition(object, types[i]);
        if (is && !was)
            complain_forbidden(e, &at, "updates may not add a condition of type \"%s\"", types[i]);
        else if (is && !json_equal(was, is))
            complain_forbidden(e, &at, "updates may not modify a condition of type \"%s\"", types[i]);
    }
}

void rules_certificate_request_update(struct field_errors *e, const char *subresource, const struct json *object,
                                      const struct json *old) {
    static const struct place status = {.name = "status"};
    struct place certificate = place_in(&status, "certificate");
    const char *was = json_str_or(json_path(old, "status", "certificate"), "");
    const char *is = json_str_or(json_path(object, "status", "certificate"), "");
    rules_certificate_request(e, object);
    check_kept_conditions(e, object, old, subresource && strcmp(subresource, "approval") == 0);
    if (strcmp(was, is) == 0)
        return;
    if (!subresource || strcmp(subresource, "status") != 0)
        complain_forbidden(e, &certificate, "updates may not set certificate content");
    else if (*was)
        complain_forbidden(e, &certificate, "updates may not modify existing certificate content");
}
