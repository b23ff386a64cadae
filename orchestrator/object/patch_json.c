/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RFC 6902 on a copy-on-write document: operations write into a reference of their own, which is dropped on failure. */
#include <string.h>

#include "orchestrator/object/patch.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

#define DEPTH_CHECK_EVERY 64u /* operations; each adds at most JSON_DEPTH_MAX levels, so recursion stays bounded */

struct state {
    struct json *doc;
    size_t copied; /* bytes that copy operations have multiplied */
    struct error *err;
};

/* --- JSON pointers --- */

static int pointer_error(struct error *err, const char *text, const char *why) {
    return error_set(err, -EINVAL, "invalid JSON pointer \"%s\": %s", text, why);
}

/* "/a/b~1c" becomes {"a", "b/c"}; "" the empty vector. */
static int pointer_parse(const char *text, char ***ret, struct error *err) {
    _cleanup_strv_ char **tokens = strv_new();
    size_t n = 0;
    if (*text != '\0' && *text != '/')
        return pointer_error(err, text, "it must be empty or begin with /");
    for (const char *p = text; *p != '\0';) {
        p++;
        size_t len = strcspn(p, "/");
        char *token = xmalloc(len + 1), *out = token;
        for (size_t i = 0; i < len; i++) {
            bool escape = p[i] == '~';
            if (escape && (i + 1 == len || (p[i + 1] != '0' && p[i + 1] != '1'))) {
                free(token);
                return pointer_error(err, text, "~ must be written ~0");
            }
            *out++ = !escape ? p[i] : p[i + 1] == '0' ? '~' : '/';
            i += escape;
        }
        *out = '\0';
        strv_push(&tokens, token);
        p += len;
        if (++n > JSON_DEPTH_MAX)
            return pointer_error(err, text, "too many parts");
    }
    *ret = steal(&tokens);
    return 0;
}

/* An index below `count`: decimal without leading zeros. */
static bool parse_index(const char *token, size_t count, size_t *ret) {
    size_t n = strspn(token, "0123456789"), v = 0;
    if (n == 0 || n > 9 || token[n] != '\0' || (n > 1 && token[0] == '0'))
        return false;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (size_t) (token[i] - '0');
    *ret = v;
    return v < count;
}

static struct json *child(const struct json *v, const char *token) {
    size_t i;
    if (json_is_array(v))
        return parse_index(token, json_len(v), &i) ? json_at(v, i) : NULL;
    return json_get(v, token);
}

static struct json *find(const struct json *root, char *const *tokens) {
    for (; root && *tokens; tokens++)
        root = child(root, *tokens);
    return (struct json *) root;
}

/* The slot of the container that holds the last token, for writing; NULL when it does not exist. */
static struct json **find_parent(struct state *s, char *const *tokens) {
    struct json **slot = &s->doc;
    for (; slot && tokens[0] && tokens[1]; tokens++) {
        size_t i;
        if (!child(*slot, tokens[0]))
            return NULL;
        if (json_is_object(*slot))
            slot = json_edit(slot, tokens[0]);
        else
            slot = parse_index(tokens[0], json_len(*slot), &i) ? json_edit_at(slot, i) : NULL;
    }
    return slot && (json_is_object(*slot) || json_is_array(*slot)) ? slot : NULL;
}

/* --- operations --- */

static int missing(struct state *s, const char *op, const char *path) {
    return error_set(s->err, -EBADMSG, "%s operation does not apply: doc is missing path: \"%s\": missing value", op,
                     path);
}

static int put(struct state *s, const char *op, const char *path, char *const *tokens, struct json *take) {
    _cleanup_json_ struct json *value = take;
    if (!tokens[0]) {
        json_unref(s->doc);
        s->doc = steal(&value);
        return 0;
    }
    struct json **parent = find_parent(s, tokens);
    if (!parent)
        return missing(s, op, path);
    const char *last = tokens[strv_len(tokens) - 1];
    if (json_is_object(*parent)) {
        json_set(parent, last, steal(&value));
        return 0;
    }
    size_t at = json_len(*parent);
    if (strcmp(last, "-") != 0 && !parse_index(last, json_len(*parent) + 1, &at))
        return error_set(s->err, -EBADMSG, "%s operation does not apply: \"%s\": invalid index referenced", op, path);
    json_insert_at(parent, at, steal(&value));
    return 0;
}

static int take_out(struct state *s, const char *op, const char *path, char *const *tokens) {
    if (!tokens[0])
        return error_set(s->err, -EBADMSG, "%s operation does not apply: the whole document cannot be removed", op);
    struct json **parent = find(s->doc, tokens) ? find_parent(s, tokens) : NULL;
    if (!parent)
        return missing(s, op, path);
    const char *last = tokens[strv_len(tokens) - 1];
    size_t i;
    if (json_is_object(*parent))
        json_del(parent, last);
    else if (parse_index(last, json_len(*parent), &i))
        json_remove_at(parent, i);
    return 0;
}

static int replace(struct state *s, const char *path, char *const *tokens, const struct json *value) {
    if (!find(s->doc, tokens))
        return missing(s, "replace", path);
    if (!tokens[0])
        return put(s, "replace", path, tokens, json_ref(value));
    struct json **parent = find_parent(s, tokens);
    const char *last = tokens[strv_len(tokens) - 1];
    size_t i;
    if (json_is_object(*parent)) {
        json_set(parent, last, json_ref(value));
    } else if (parse_index(last, json_len(*parent), &i)) {
        struct json **slot = json_edit_at(parent, i);
        json_unref(*slot);
        *slot = json_ref(value);
    }
    return 0;
}

/* About the bytes of text a value takes; stops counting beyond max. */
static size_t measure(const struct json *v, size_t max) {
    size_t sum = 8 + json_str_len(v);
    for (size_t i = 0; i < json_len(v) && sum <= max; i++) {
        const struct json *key = json_key_value_at(v, i);
        sum += json_str_len(key) + measure(key ? json_value_at(v, i) : json_at(v, i), max - sum);
    }
    return sum;
}

static int copy(struct state *s, const char *from_path, char *const *from, const char *path, char *const *tokens) {
    struct json *value = find(s->doc, from);
    if (!value)
        return missing(s, "copy", from_path);
    s->copied += measure(value, OBJECT_BYTES_MAX);
    if (s->copied > OBJECT_BYTES_MAX)
        return error_set(s->err, -E2BIG, "the copy operations add up to more than %u bytes", OBJECT_BYTES_MAX);
    return put(s, "copy", path, tokens, json_ref(value));
}

static int move(struct state *s, const char *from_path, char *const *from, const char *path, char *const *tokens) {
    size_t n = strv_len(from), same = 0;
    while (from[same] && tokens[same] && strcmp(from[same], tokens[same]) == 0)
        same++;
    _cleanup_json_ struct json *value = json_ref(find(s->doc, from));
    if (!value)
        return missing(s, "move", from_path);
    if (same == n && !tokens[same])
        return 0; /* onto itself */
    if (same == n)
        return error_set(s->err, -EBADMSG, "move operation does not apply: \"%s\" lies inside \"%s\"", path, from_path);
    int r = take_out(s, "move", from_path, from);
    return r < 0 ? r : put(s, "move", path, tokens, steal(&value));
}

static int test(struct state *s, const char *path, char *const *tokens, const struct json *value) {
    const struct json *found = find(s->doc, tokens);
    if (found && json_equal(found, value))
        return 0;
    return error_set(s->err, -EBADMSG, "testing value %s failed: test failed", path);
}

enum op { OP_ADD, OP_REMOVE, OP_REPLACE, OP_MOVE, OP_COPY, OP_TEST };

static const struct {
    const char *name;
    bool value, from; /* the members it must have */
} ops[] = {
    [OP_ADD] = {"add", true, false},   [OP_REMOVE] = {"remove", false, false}, [OP_REPLACE] = {"replace", true, false},
    [OP_MOVE] = {"move", false, true}, [OP_COPY] = {"copy", false, true},      [OP_TEST] = {"test", true, false},
};

static int perform(struct state *s, enum op op, const char *path, const char *from_path, const struct json *value) {
    _cleanup_strv_ char **tokens = NULL, **from = NULL;
    int r = pointer_parse(path, &tokens, s->err);
    if (r >= 0 && ops[op].from)
        r = pointer_parse(from_path, &from, s->err);
    if (r < 0)
        return r;
    switch (op) {
    case OP_ADD:
        return put(s, "add", path, tokens, json_ref(value));
    case OP_REMOVE:
        return take_out(s, "remove", path, tokens);
    case OP_REPLACE:
        return replace(s, path, tokens, value);
    case OP_MOVE:
        return move(s, from_path, from, path, tokens);
    case OP_COPY:
        return copy(s, from_path, from, path, tokens);
    case OP_TEST:
        return test(s, path, tokens, value);
    }
    return -EINVAL;
}

/* Sealed objects (json.h) occur in one place; who looks inside gets them open. */
static void open_owned_fields(struct json **doc) {
    for (size_t i = 0; i < json_len(json_path(*doc, "metadata", "managedFields")); i++) {
        struct json **entry = json_edit_at(json_edit(json_edit(doc, "metadata"), "managedFields"), i);
        struct json *set = json_get(*entry, "fieldsV1");
        if (json_type(set) == JSON_SEALED)
            json_set(entry, "fieldsV1", json_opened(set));
    }
}

static bool looks_inside(const char *path) {
    return path && strstr(path, "/fieldsV1");
}

static int operate(struct state *s, const struct json *operation) {
    const char *name = json_str(json_get(operation, "op")), *path = json_str(json_get(operation, "path"));
    const char *from = json_str(json_get(operation, "from"));
    const struct json *value = json_get(operation, "value");
    if (!name || !path)
        return error_set(s->err, -EINVAL, "a patch operation must have \"op\" and \"path\"");
    if (looks_inside(path) || looks_inside(from))
        open_owned_fields(&s->doc);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (strcmp(name, ops[i].name) != 0)
            continue;
        if (ops[i].value && !value)
            return error_set(s->err, -EINVAL, "%s operation on \"%s\" needs a \"value\"", name, path);
        if (ops[i].from && !from)
            return error_set(s->err, -EINVAL, "%s operation to \"%s\" needs a \"from\"", name, path);
        return perform(s, (enum op) i, path, from, value);
    }
    return error_set(s->err, -EINVAL, "unexpected kind of patch operation: \"%s\"", name);
}

static int check_depth(const struct state *s) {
    if (json_within(s->doc, SIZE_MAX, JSON_DEPTH_MAX))
        return 0;
    return error_set(s->err, -ELOOP, "the patched document is nested deeper than %u levels", JSON_DEPTH_MAX);
}

int patch_json(const struct json *doc, const struct json *operations, struct json **ret, struct error *err) {
    if (!json_is_array(operations))
        return error_set(err, -EINVAL, "a JSON patch must be a list of operations, not %s", json_type_name(operations));
    size_t n = json_len(operations);
    if (n > JSON_PATCH_OPS_MAX)
        return error_set(err, -E2BIG, "The allowed maximum operations in a JSON patch is %u, got %zu",
                         JSON_PATCH_OPS_MAX, n);
    struct state s = {.doc = json_ref(doc), .err = err};
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        r = operate(&s, json_at(operations, i));
        if (r >= 0 && (i + 1 == n || i % DEPTH_CHECK_EVERY == 0))
            r = check_depth(&s);
    }
    if (r < 0) {
        json_unref(s.doc);
        return r;
    }
    *ret = s.doc;
    return 0;
}
