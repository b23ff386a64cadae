/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the administrator says about Pod Security: the standard of namespaces without labels, and who is not asked.
 * Made once with the server, then read-only: any thread.
 */
#ifndef PODIUM_APISERVER_PODSECURITY_SETTINGS_H
#define PODIUM_APISERVER_PODSECURITY_SETTINGS_H

#include "orchestrator/apiserver/podsecurity/policy.h"
#include "podium/base/error.h"

struct api_pod_security;

struct ps_settings {
    struct ps_policy defaults;
    char **namespaces, **users, **runtime_classes; /* exempt; never NULL */
    bool relax_user_namespaces;
};

/* -EINVAL when a standard is none. */
int ps_settings_new(const struct api_pod_security *options, struct ps_settings **ret, struct error *err) _must_check_;
void ps_settings_free(struct ps_settings *s);
/* name NULL or "": not exempt */
bool ps_is_exempt(char *const *list, const char *name);

#endif
