/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Pod Security Standards: does a pod keep to a level, as it was in a version, and if not, what is wrong with it.
 *
 * Pure functions on decoded and defaulted pods (or pod templates); any thread. Source: the standards as published, and
 * the words of Kubernetes 1.32.
 */
#ifndef PODIUM_APISERVER_PODSECURITY_CHECKS_H
#define PODIUM_APISERVER_PODSECURITY_CHECKS_H

#include "orchestrator/apiserver/podsecurity/policy.h"
#include "podium/base/strbuf.h"

struct ps_pod {
    const struct json *metadata, *spec; /* of the pod or template; either may be NULL */
    bool relax_user_namespaces;         /* a pod that is root only in a user namespace may say so */
};

struct ps_findings {
    struct strbuf reasons; /* "host namespaces, privileged" */
    struct strbuf details; /* "host namespaces (hostNetwork=true), privileged (container \"a\" must not …)" */
    size_t n;              /* checks that found something; 0: the pod keeps to the standard */
};
#define PS_FINDINGS_INIT                                                                                               \
    { STRBUF_INIT, STRBUF_INIT, 0 }
void ps_findings_finish(struct ps_findings *f);
#define _cleanup_ps_findings_ _cleanup_(ps_findings_finish)

/* Appends what the pod violates, in the order of upstream's messages. */
void ps_check(struct ps_standard standard, const struct ps_pod *pod, struct ps_findings *f);

/* --- for the checks (baseline.c, restricted.c), listed in registry.c --- */

typedef void (*ps_check_fn)(const struct ps_pod *pod, struct ps_findings *f);

void ps_found(struct ps_findings *f, const char *reason, const char *fmt, ...) _printf_(3, 4);

void ps_apparmor_profile(const struct ps_pod *pod, struct ps_findings *f);
void ps_capabilities_baseline(const struct ps_pod *pod, struct ps_findings *f);
void ps_host_namespaces(const struct ps_pod *pod, struct ps_findings *f);
void ps_host_path_volumes(const struct ps_pod *pod, struct ps_findings *f);
void ps_host_ports(const struct ps_pod *pod, struct ps_findings *f);
void ps_privileged(const struct ps_pod *pod, struct ps_findings *f);
void ps_proc_mount(const struct ps_pod *pod, struct ps_findings *f);
void ps_selinux_1_0(const struct ps_pod *pod, struct ps_findings *f);
void ps_selinux_1_31(const struct ps_pod *pod, struct ps_findings *f);
void ps_seccomp_baseline_1_0(const struct ps_pod *pod, struct ps_findings *f);
void ps_seccomp_baseline_1_19(const struct ps_pod *pod, struct ps_findings *f);
void ps_sysctls_1_0(const struct ps_pod *pod, struct ps_findings *f);
void ps_sysctls_1_27(const struct ps_pod *pod, struct ps_findings *f);
void ps_sysctls_1_29(const struct ps_pod *pod, struct ps_findings *f);
void ps_sysctls_1_32(const struct ps_pod *pod, struct ps_findings *f);
void ps_windows_host_process(const struct ps_pod *pod, struct ps_findings *f);
void ps_privilege_escalation_1_8(const struct ps_pod *pod, struct ps_findings *f);
void ps_privilege_escalation_1_25(const struct ps_pod *pod, struct ps_findings *f);
void ps_capabilities_restricted_1_22(const struct ps_pod *pod, struct ps_findings *f);
void ps_capabilities_restricted_1_25(const struct ps_pod *pod, struct ps_findings *f);
void ps_restricted_volumes(const struct ps_pod *pod, struct ps_findings *f);
void ps_run_as_non_root(const struct ps_pod *pod, struct ps_findings *f);
void ps_run_as_user(const struct ps_pod *pod, struct ps_findings *f);
void ps_seccomp_restricted_1_19(const struct ps_pod *pod, struct ps_findings *f);
void ps_seccomp_restricted_1_25(const struct ps_pod *pod, struct ps_findings *f);

/* A pod that has a user namespace of its own, where that counts. */
bool ps_is_relaxed(const struct ps_pod *pod);
bool ps_seccomp_type_is_allowed(const char *type);

#endif
