/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/continuation.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/json.h"

void continuation_finish(struct continuation *c) {
    free(c->ns);
    free(c->name);
    *c = (struct continuation){0};
}

char *continuation_text(int64_t revision, const char *ns, const char *name) {
    _cleanup_json_ struct json *t = json_object();
    json_set(&t, "v", json_string("meta.k8s.io/v1"));
    json_set(&t, "rv", json_int(revision));
    json_set(&t, "start", json_stringf("%s/%s", ns, name));
    _cleanup_free_ char *text = json_to_text(t);
    return base64_encode(text, strlen(text));
}

int continuation_parse(const char *token, struct continuation *ret) {
    _cleanup_free_ uint8_t *bytes = NULL;
    _cleanup_json_ struct json *t = NULL;
    size_t n;
    int r = base64_decode(token, strlen(token), &bytes, &n);
    if (r < 0)
        return r;
    r = json_parse((const char *) bytes, n, NULL, &t, NULL);
    if (r < 0)
        return -EINVAL;
    const char *start = json_str(json_get(t, "start"));
    const char *slash = start ? strchr(start, '/') : NULL;
    int64_t revision = json_int_or(json_get(t, "rv"), 0);
    if (!slash || revision == 0 || revision < -1 || strcmp(json_str_or(json_get(t, "v"), ""), "meta.k8s.io/v1") != 0)
        return -EINVAL;
    *ret = (struct continuation){revision, xstrndup(start, (size_t) (slash - start)), xstrdup(slash + 1)};
    return 0;
}
