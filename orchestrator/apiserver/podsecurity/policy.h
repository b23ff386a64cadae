/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Pod Security Standard counts for a namespace: a level and a version for each of the modes enforce, audit and
 * warn, from its labels pod-security.kubernetes.io/MODE and MODE-version.
 *
 * Pure; any thread. Source of the behaviour: Kubernetes 1.32's Pod Security admission.
 */
#ifndef PODIUM_APISERVER_PODSECURITY_POLICY_H
#define PODIUM_APISERVER_PODSECURITY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "orchestrator/object/schema.h"
#include "podium/base/json.h"

#define POD_SECURITY_PREFIX         "pod-security.kubernetes.io/"
#define POD_SECURITY_VERSION_LATEST (-1)

enum ps_level { PS_PRIVILEGED, PS_BASELINE, PS_RESTRICTED }; /* by strictness */
enum ps_mode { PS_ENFORCE, PS_AUDIT, PS_WARN, PS_MODES };

struct ps_standard {
    enum ps_level level;
    int minor; /* version v1.MINOR, or POD_SECURITY_VERSION_LATEST */
};

struct ps_policy {
    struct ps_standard modes[PS_MODES];
};

/* "enforce", "audit", "warn" */
const char *ps_mode_name(enum ps_mode mode);
bool ps_standard_equal(struct ps_standard a, struct ps_standard b);
bool ps_policy_is_privileged(const struct ps_policy *p); /* in all modes: there is nothing to check */
/* "restricted:latest", "baseline:v1.30"; static buffers are no business of ours, so: into text. */
#define PS_STANDARD_TEXT_SIZE 32
const char *ps_standard_text(struct ps_standard s, char text[PS_STANDARD_TEXT_SIZE]);
/* "baseline" or "baseline:v1.30". False when it is neither. */
bool ps_standard_parse(const char *text, struct ps_standard *ret);

/* labels: of the namespace, may be NULL. What they say wrong becomes an error (errors may be NULL) and counts as
 * restricted and latest when enforced, as privileged in the other modes. Warnings follow the enforced level where
 * nothing else is said and the default is less strict. */
struct ps_policy ps_policy_of(const struct json *labels, const struct ps_policy *defaults, struct field_errors *errors);
/* Whether any of the labels that count differs: cheap, for updates that touch others. */
bool ps_labels_changed(const struct json *labels, const struct json *old);

#endif
