/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An audit policy (audit.k8s.io/v1 Policy): which requests are recorded, and how much of them. The first rule that
 * matches decides; none: not recorded. Semantics of upstream's staging/src/k8s.io/apiserver/pkg/audit/policy.
 *
 * Pure, but for its memory; a policy never changes once parsed: any thread.
 */
#ifndef PODIUM_APISERVER_AUDIT_POLICY_H
#define PODIUM_APISERVER_AUDIT_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"

enum audit_level { AUDIT_NONE, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_REQUEST_RESPONSE };
/* Nothing here panics; the stage is known because policies may name it. */
enum audit_stage { AUDIT_RECEIVED, AUDIT_RESPONSE_STARTED, AUDIT_RESPONSE_COMPLETE, AUDIT_PANIC };

const char *audit_level_name(enum audit_level level);
const char *audit_stage_name(enum audit_stage stage);

/* What is asked about. Texts may not be NULL, but user (nobody known) and path or plural (the other kind). */
struct audit_question {
    const char *user;
    char *const *groups; /* NULL-terminated, or NULL */
    const char *verb;
    const char *path; /* set for requests of no resource */
    const char *group, *plural, *subname, *ns, *name;
};

struct audit_answer {
    enum audit_level level;
    unsigned omit_stages; /* 1 << enum audit_stage */
    bool omit_managed_fields;
};

struct audit_policy;
/* YAML or JSON. file: for messages. -EINVAL: what upstream refuses, too, unknown fields included. */
int audit_policy_parse(const char *file, const char *text, size_t n, struct audit_policy **ret,
                       struct error *err) _must_check_;
/* Metadata of everything, at every stage. */
struct audit_policy *audit_policy_metadata(void);
void audit_policy_free(struct audit_policy *p); /* NULL is fine */
struct audit_answer audit_policy_decide(const struct audit_policy *p, const struct audit_question *q);

#endif
