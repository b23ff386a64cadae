/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/podsecurity/settings.h"

#include <errno.h>
#include <string.h>

#include "orchestrator/apiserver/apiserver.h"
#include "podium/base/alloc.h"

static int take_standard(enum ps_mode mode, const char *text, struct ps_standard *ret, struct error *err) {
    *ret = (struct ps_standard){PS_PRIVILEGED, POD_SECURITY_VERSION_LATEST};
    if (!text || !*text || ps_standard_parse(text, ret))
        return 0;
    return error_set(err, -EINVAL,
                     "Pod Security (%s): \"%s\" is no standard; one of privileged, baseline, restricted, and perhaps a "
                     "version (baseline:v1.30)",
                     ps_mode_name(mode), text);
}

/* "a,b, c" */
static char **split(const char *text) {
    char **list = strv_new();

    while (text && *text) {
        size_t n = strcspn(text, ", ");
        if (n > 0)
            strv_push(&list, xstrndup(text, n));
        text += n + (text[n] != 0);
    }
    return list;
}

int ps_settings_new(const struct api_pod_security *o, struct ps_settings **ret, struct error *err) {
    struct ps_settings *s = xnew0(struct ps_settings);
    int r = take_standard(PS_ENFORCE, o->enforce, &s->defaults.modes[PS_ENFORCE], err);

    if (r == 0)
        r = take_standard(PS_AUDIT, o->audit, &s->defaults.modes[PS_AUDIT], err);
    if (r == 0)
        r = take_standard(PS_WARN, o->warn, &s->defaults.modes[PS_WARN], err);
    if (r < 0) {
        free(s);
        return r;
    }
    s->namespaces = split(o->exempt_namespaces);
    s->users = split(o->exempt_users);
    s->runtime_classes = split(o->exempt_runtime_classes);
    s->relax_user_namespaces = o->relax_user_namespaces;
    *ret = s;
    return 0;
}

void ps_settings_free(struct ps_settings *s) {
    if (!s)
        return;
    strv_free(s->namespaces);
    strv_free(s->users);
    strv_free(s->runtime_classes);
    free(s);
}

bool ps_is_exempt(char *const *list, const char *name) {
    for (; name && *name && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}
