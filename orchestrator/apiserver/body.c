/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/body.h"

#include <ctype.h>
#include <string.h>

#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/manifest/yaml.h"
#include "orchestrator/object/protobuf.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

#define WARNINGS_MAX 20 /* upstream truncates the headers near 4 KiB */

enum field_validation { VALIDATION_WARN, VALIDATION_STRICT, VALIDATION_IGNORE };

static bool field_validation(struct api_request *req, enum field_validation *ret) {
    const char *v = api_param(req, "fieldValidation");
    if (!v || !*v || strcmp(v, "Warn") == 0)
        *ret = VALIDATION_WARN;
    else if (strcmp(v, "Strict") == 0)
        *ret = VALIDATION_STRICT;
    else if (strcmp(v, "Ignore") == 0)
        *ret = VALIDATION_IGNORE;
    else {
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_json_ struct json *value = json_string(v);
        field_errors_add(&errors, "FieldValueNotSupported", "fieldValidation", value,
                         "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"");
        (void) api_invalid(req, manage_options_kind(req), "meta.k8s.io", "", &errors);
        return false;
    }
    return true;
}

char *media_type(const char *header) {
    if (!header)
        return xstrdup("");
    while (isspace((unsigned char) *header))
        header++;
    size_t n = strcspn(header, ";, \t");
    char *m = xstrndup(header, n);
    for (char *p = m; *p; p++)
        *p = (char) tolower((unsigned char) *p);
    return m;
}

static void note_duplicate(void *userdata, const char *path) {
    char ***notes = userdata;
    if (strv_len(*notes) < WARNINGS_MAX)
        strv_push(notes, xasprintf("duplicate field \"%s\"", path));
}

static void note_yaml_duplicate(void *userdata, unsigned line, const char *key) {
    struct strbuf quoted = STRBUF_INIT;
    char ***notes = userdata;
    json_write_string(key, strlen(key), &quoted);
    if (strv_len(*notes) < WARNINGS_MAX)
        strv_push(notes, xasprintf("line %u: key %s already set in map", line, strbuf_str(&quoted)));
    strbuf_finish(&quoted);
}

static int parse_yaml(struct api_request *req, char ***notes, struct json **ret, struct error *err) {
    return yaml_parse_one_noting("body", strbuf_str(&req->body), req->body.len, note_yaml_duplicate, notes, ret, err);
}

/* Bytes to a document by content type. -ENOTSUP: unknown type. */
static int parse_bytes(struct api_request *req, const char *type, char ***notes, struct json **ret, struct error *err) {
    struct json_parse_options o = {.bytes_max = OBJECT_BYTES_MAX, .duplicate = note_duplicate, .userdata = notes};
    if (!*type || strcmp(type, "application/json") == 0)
        return json_parse(strbuf_str(&req->body), req->body.len, &o, ret, err);
    if (strcmp(type, "application/yaml") == 0)
        return parse_yaml(req, notes, ret, err);
    if (strcmp(type, "application/vnd.kubernetes.protobuf") == 0)
        return protobuf_decode(strbuf_str(&req->body), req->body.len, ret, err);
    return -ENOTSUP;
}

bool body_unsupported(struct api_request *req) {
    (void) api_fail(req, 415, "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: "
                    "application/json, application/yaml, application/vnd.kubernetes.protobuf");
    return false;
}

static bool check_kind(struct api_request *req, const char *api_version, const char *kind, const struct json *doc) {
    const char *got_version = json_str_or(json_get(doc, "apiVersion"), "");
    const char *got_kind = json_str_or(json_get(doc, "kind"), "");
    const char *short_version = strchr(api_version, '/') ? strchr(api_version, '/') + 1 : api_version;
    if (*got_kind && strcmp(got_kind, kind) != 0) {
        (void) api_bad_request(req,
                               "%s in version \"%s\" cannot be handled as a %s: the kind in the data (%s) does not "
                               "match the expected kind (%s)",
                               got_kind, *got_version ? got_version : short_version, kind, got_kind, kind);
        return false;
    }
    if (*got_version && strcmp(got_version, api_version) != 0) {
        (void) api_bad_request(req, "the API version in the data (%s) does not match the expected API version (%s)",
                               got_version, api_version);
        return false;
    }
    return true;
}

/* Makes apiVersion and kind the first members: lists cut them off the stored text. */
static void put_kind_first(const char *api_version, const char *kind, struct json **doc) {
    struct json *d = json_object();
    json_set(&d, "apiVersion", json_string(api_version));
    json_set(&d, "kind", json_string(kind));
    for (size_t i = 0; i < json_len(*doc); i++) {
        const char *key = json_key_at(*doc, i);
        if (strcmp(key, "apiVersion") != 0 && strcmp(key, "kind") != 0)
            json_set(&d, key, json_ref(json_value_at(*doc, i)));
    }
    json_unref(*doc);
    *doc = d;
}

/* Keys that come twice in YAML are one error of the YAML reader, in its words. */
static void strict_error(char **notes, struct strbuf *out) {
    bool lines = false;
    for (size_t i = 0; notes[i]; i++) {
        bool line = strncmp(notes[i], "line ", 5) == 0;
        if (line && !lines)
            strbuf_adds(out, "yaml: unmarshal errors:");
        strbuf_addf(out, "%s%s", line ? "\n  " : i ? ", " : "", notes[i]);
        lines = lines || line;
    }
}

/* "managedFields: []" means to forget all managers; Go keeps the empty list apart from none, the tables do not. */
static void keep_reset(struct json **doc) {
    const struct json *list = json_path(*doc, "metadata", "managedFields");
    struct json *reset = NULL;
    if (!json_is_array(list) || json_len(list) > 0)
        return;
    json_append(&reset, json_object());
    json_set_path(doc, reset, "metadata", "managedFields");
}

/* Members that are unknown and come twice are unknown only, as upstream has it. */
static void forget_unknown(char ***notes, char **unknown) {
    size_t kept = 0;
    for (size_t i = 0; (*notes)[i]; i++) {
        const char *path = strncmp((*notes)[i], "duplicate field ", 16) == 0 ? (*notes)[i] + 16 : NULL;
        bool found = false;
        for (size_t k = 0; path && unknown && unknown[k] && !found; k++)
            found = strncmp(unknown[k], "unknown field ", 14) == 0 && strcmp(unknown[k] + 14, path) == 0;
        if (found)
            free((*notes)[i]);
        else
            (*notes)[kept++] = (*notes)[i];
    }
    while ((*notes)[kept]) /* the vector ends where the kept ones end */
        (*notes)[kept++] = NULL;
}

/* Prunes by the tables, but for what is of `old`; collects unknown fields into notes. */
static int prune(const char *api_version, const char *kind, const struct json *old, struct json **doc, char ***notes,
                 struct error *err) {
    const struct type_info *t = type_of_kind(api_version, kind);
    if (!t)
        return error_set(err, -EINVAL, "no kind \"%s\" is registered for version \"%s\"", kind, api_version);
    _cleanup_strv_ char **unknown = NULL;
    keep_reset(doc);
    int r = schema_decode_changed(t, old, doc, &unknown, err);
    forget_unknown(notes, unknown);
    for (size_t i = 0; unknown && unknown[i] && strv_len(*notes) < WARNINGS_MAX; i++)
        strv_push_dup(notes, unknown[i]);
    if (r < 0)
        return r;
    put_kind_first(api_version, kind, doc);
    return 0;
}

static void cannot_be_handled(struct api_request *req, const char *api_version, const char *kind, const char *why) {
    const char *v = strchr(api_version, '/') ? strchr(api_version, '/') + 1 : api_version;
    (void) api_bad_request(req, "%s in version \"%s\" cannot be handled as a %s: %s", kind, v, kind, why);
}

bool body_decode(struct api_request *req, const char *api_version, const char *kind) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **notes = strv_new();
    _cleanup_json_ struct json *doc = json_ref(req->body_doc);
    enum field_validation validation;
    if (!field_validation(req, &validation))
        return false;
    if (!doc) {
        _cleanup_free_ char *type = media_type(req->content_type);
        int r = parse_bytes(req, type, &notes, &doc, &err);
        if (r == -ENOTSUP)
            return body_unsupported(req);
        if (r < 0) {
            (void) api_bad_request(req, "the object provided is unrecognized (must be of type %s): %s", kind,
                                   error_text(&err, r));
            return false;
        }
    }
    if (!json_is_object(doc)) {
        cannot_be_handled(req, api_version, kind, "the body must be an object");
        return false;
    }
    if (!check_kind(req, api_version, kind, doc))
        return false;
    int r = prune(api_version, kind, NULL, &doc, &notes, &err);
    if (r < 0) {
        cannot_be_handled(req, api_version, kind, error_text(&err, r));
        return false;
    }
    if (notes[0] && validation == VALIDATION_STRICT) {
        _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
        strbuf_adds(&why, "strict decoding error: ");
        strict_error(notes, &why);
        cannot_be_handled(req, api_version, kind, strbuf_str(&why));
        return false;
    }
    for (size_t i = 0; validation == VALIDATION_WARN && notes[i]; i++)
        api_warn(req, "%s", notes[i]);
    json_unref(req->input);
    req->input = steal(&doc);
    return true;
}

static bool looks_like_json(const struct api_request *req) {
    const char *p = strbuf_str(&req->body);
    return p[strspn(p, " \t\r\n")] == '{';
}

/* Members that came twice in an applied document (for other patches upstream looks at the result). */
static bool report_duplicates(struct api_request *req, char **notes) {
    enum field_validation validation;
    if (!field_validation(req, &validation))
        return false;
    if (notes[0] && validation == VALIDATION_STRICT) {
        _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
        strict_error(notes, &why);
        (void) api_bad_request(req, "error strict decoding YAML: error converting YAML to JSON: %s", strbuf_str(&why));
        return false;
    }
    for (size_t i = 0; validation == VALIDATION_WARN && notes[i]; i++)
        api_warn(req, "%s", notes[i]);
    return true;
}

static int parse_json(struct api_request *req, char ***notes, struct json **ret, struct error *err) {
    struct json_parse_options o = {.bytes_max = OBJECT_BYTES_MAX, .duplicate = note_duplicate, .userdata = notes};
    return json_parse(strbuf_str(&req->body), req->body.len, &o, ret, err);
}

/* Most who apply send JSON; YAML that begins with a brace is nearly always JSON, too. */
static int parse_applied(struct api_request *req, char ***notes, struct json **ret, struct error *err) {
    _cleanup_strv_ char **twice = strv_new();
    int r = looks_like_json(req) ? parse_json(req, &twice, ret, err) : -EINVAL;
    if (r == 0 && twice[0]) { /* the YAML reader has words of its own for it */
        json_unref(steal(ret));
        r = -EINVAL;
    }
    if (r != -EINVAL)
        return r;
    error_clear(err);
    return parse_yaml(req, notes, ret, err);
}

bool body_parse(struct api_request *req, bool yaml_allowed) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = json_ref(req->body_doc);
    _cleanup_strv_ char **notes = strv_new();
    if (!doc) {
        int r = yaml_allowed ? parse_applied(req, &notes, &doc, &err) : parse_json(req, &notes, &doc, &err);
        if (r < 0) {
            (void) api_bad_request(req, "error decoding %s: %s", yaml_allowed ? "YAML" : "patch", error_text(&err, r));
            return false;
        }
    }
    if (yaml_allowed && !report_duplicates(req, notes))
        return false;
    json_unref(req->input);
    req->input = steal(&doc);
    return true;
}

bool body_check_patched(struct api_request *req, const char *api_version, const char *kind, const struct json *old,
                        struct json **doc) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **notes = strv_new();
    enum field_validation validation;
    if (!field_validation(req, &validation) || !check_kind(req, api_version, kind, *doc))
        return false;
    int r = prune(api_version, kind, old, doc, &notes, &err);
    if (r < 0) {
        cannot_be_handled(req, api_version, kind, error_text(&err, r));
        return false;
    }
    if (notes[0] && validation == VALIDATION_STRICT) {
        _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        strbuf_adds(&why, "strict decoding error: ");
        strict_error(notes, &why);
        _cleanup_free_ char *text = json_to_text(req->input);
        _cleanup_json_ struct json *value = json_string(text);
        field_errors_add(&errors, "FieldValueInvalid", "patch", value, "%s", strbuf_str(&why));
        (void) api_invalid(req, "", "", "", &errors);
        return false;
    }
    for (size_t i = 0; validation == VALIDATION_WARN && notes[i]; i++)
        api_warn(req, "%s", notes[i]);
    return true;
}
