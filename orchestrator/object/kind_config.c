/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ConfigMaps and Secrets. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define DATA_BYTES_MAX (1024u * 1024u)

static const struct place data_place = {.name = "data"};

/* How many bytes a base64 text stands for. */
static size_t bytes_of(const struct json *v) {
    size_t n = json_str_len(v);
    const char *s = json_str_or(v, "");
    return n / 4 * 3 - (n >= 4 && s[n - 1] == '=') - (n >= 4 && s[n - 2] == '=');
}

void rules_config_map(struct field_errors *e, const struct json *object) {
    static const struct place binary_place = {.name = "binaryData"}, root = {.name = ""};
    const struct json *data = json_get(object, "data"), *binary = json_get(object, "binaryData");
    size_t total = 0;
    for (size_t i = 0; i < json_len(data); i++) {
        const char *key = json_key_at(data, i);
        struct place at = place_key(&data_place, key);
        check_name(e, &at, key, name_form_config_map_key);
        if (json_get(binary, key))
            complain_invalid_text(e, &at, key, "duplicate of key present in binaryData");
        total += json_str_len(json_value_at(data, i));
    }
    for (size_t i = 0; i < json_len(binary); i++) {
        const char *key = json_key_at(binary, i);
        struct place at = place_key(&binary_place, key);
        check_name(e, &at, key, name_form_config_map_key);
        total += bytes_of(json_value_at(binary, i));
    }
    if (total > DATA_BYTES_MAX)
        complain_too_long(e, &root, DATA_BYTES_MAX);
}

/* Once immutable, always immutable. */
static void check_frozen(struct field_errors *e, const struct json *object, const struct json *old,
                         const char *const *keys) {
    static const struct place immutable = {.name = "immutable"};
    if (!json_bool_or(json_get(old, "immutable"), false))
        return;
    if (!json_bool_or(json_get(object, "immutable"), false))
        complain_forbidden(e, &immutable, "field is immutable when `immutable` is set");
    for (; *keys; keys++) {
        struct place at = {.name = *keys};
        const struct json *a = json_get(object, *keys), *b = json_get(old, *keys);
        if ((json_len(a) || json_len(b)) && !json_equal(a, b))
            complain_forbidden(e, &at, "field is immutable when `immutable` is set");
    }
}

void rules_config_map_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const keys[] = {"data", "binaryData", NULL};
    check_frozen(e, object, old, keys);
}

/* --- Secret --- */

static const struct json *required_data(struct field_errors *e, const struct json *object, const char *key) {
    struct place at = place_key(&data_place, key);
    const struct json *v = json_path(object, "data", key);
    if (!v)
        complain_required(e, &at, "");
    return v;
}

static void check_json_data(struct field_errors *e, const struct json *object, const char *key) {
    struct place at = place_key(&data_place, key);
    const struct json *v = required_data(e, object, key);
    _cleanup_free_ uint8_t *bytes = NULL;
    _cleanup_json_ struct json *parsed = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    size_t n;
    if (!v || base64_decode(json_str_or(v, ""), json_str_len(v), &bytes, &n) < 0)
        return;
    if (json_parse((const char *) bytes, n, NULL, &parsed, &err) < 0)
        complain_invalid_text(e, &at, "<secret contents redacted>", "%s", error_text(&err, -EINVAL));
}

void rules_secret(struct field_errors *e, const struct json *object) {
    static const struct place metadata = {.name = "metadata"};
    const struct json *data = json_get(object, "data");
    const char *type = json_str_or(json_get(object, "type"), "");
    size_t total = 0;
    for (size_t i = 0; i < json_len(data); i++) {
        struct place at = place_key(&data_place, json_key_at(data, i));
        check_name(e, &at, json_key_at(data, i), name_form_config_map_key);
        total += bytes_of(json_value_at(data, i));
    }
    if (total > DATA_BYTES_MAX)
        complain_too_long(e, &data_place, DATA_BYTES_MAX);
    if (strcmp(type, "kubernetes.io/service-account-token") == 0) {
        struct place annotations = place_in(&metadata, "annotations");
        struct place at = place_key(&annotations, "kubernetes.io/service-account.name");
        if (!json_str_len(json_path(object, "metadata", "annotations", at.name)))
            complain_required(e, &at, "");
    } else if (strcmp(type, "kubernetes.io/dockercfg") == 0) {
        check_json_data(e, object, ".dockercfg");
    } else if (strcmp(type, "kubernetes.io/dockerconfigjson") == 0) {
        check_json_data(e, object, ".dockerconfigjson");
    } else if (strcmp(type, "kubernetes.io/basic-auth") == 0) {
        if (!json_get(data, "username") && !json_get(data, "password")) {
            (void) required_data(e, object, "username");
            (void) required_data(e, object, "password");
        }
    } else if (strcmp(type, "kubernetes.io/ssh-auth") == 0) {
        struct place at = place_key(&data_place, "ssh-privatekey");
        if (!json_str_len(json_get(data, "ssh-privatekey")))
            complain_required(e, &at, "");
    } else if (strcmp(type, "kubernetes.io/tls") == 0) {
        (void) required_data(e, object, "tls.crt");
        (void) required_data(e, object, "tls.key");
    }
}

void rules_secret_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const keys[] = {"data", NULL};
    static const struct place type = {.name = "type"};
    check_immutable(e, &type, json_get(object, "type"), json_get(old, "type"));
    check_frozen(e, object, old, keys);
}
