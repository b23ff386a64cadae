/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "orchestrator/apiserver/podsecurity/checks.h"
#include "podium/base/alloc.h"

#define REVISIONS_MAX 4

/*
 * Every check with what it became in which minor version. In the order of messages: baseline before restricted, each
 * sorted by name. `instead`: a restricted check that says more than this baseline check, which is then silent.
 */
static const struct check {
    const char *name;
    enum ps_level level;
    struct revision {
        ps_check_fn check;
        int since;
    } revisions[REVISIONS_MAX];
    const char *instead;
} checks[] = {
    {"appArmorProfile", PS_BASELINE, {{ps_apparmor_profile, 0}}, NULL},
    {"capabilities_baseline", PS_BASELINE, {{ps_capabilities_baseline, 0}}, "capabilities_restricted"},
    {"hostNamespaces", PS_BASELINE, {{ps_host_namespaces, 0}}, NULL},
    {"hostPathVolumes", PS_BASELINE, {{ps_host_path_volumes, 0}}, "restrictedVolumes"},
    {"hostPorts", PS_BASELINE, {{ps_host_ports, 0}}, NULL},
    {"privileged", PS_BASELINE, {{ps_privileged, 0}}, NULL},
    {"procMount", PS_BASELINE, {{ps_proc_mount, 0}}, NULL},
    {"seLinuxOptions", PS_BASELINE, {{ps_selinux_1_0, 0}, {ps_selinux_1_31, 31}}, NULL},
    {"seccompProfile_baseline",
     PS_BASELINE,
     {{ps_seccomp_baseline_1_0, 0}, {ps_seccomp_baseline_1_19, 19}},
     "seccompProfile_restricted"},
    {"sysctls",
     PS_BASELINE,
     {{ps_sysctls_1_0, 0}, {ps_sysctls_1_27, 27}, {ps_sysctls_1_29, 29}, {ps_sysctls_1_32, 32}},
     NULL},
    {"windowsHostProcess", PS_BASELINE, {{ps_windows_host_process, 0}}, NULL},
    {"allowPrivilegeEscalation",
     PS_RESTRICTED,
     {{ps_privilege_escalation_1_8, 8}, {ps_privilege_escalation_1_25, 25}},
     NULL},
    {"capabilities_restricted",
     PS_RESTRICTED,
     {{ps_capabilities_restricted_1_22, 22}, {ps_capabilities_restricted_1_25, 25}},
     NULL},
    {"restrictedVolumes", PS_RESTRICTED, {{ps_restricted_volumes, 0}}, NULL},
    {"runAsNonRoot", PS_RESTRICTED, {{ps_run_as_non_root, 0}}, NULL},
    {"runAsUser", PS_RESTRICTED, {{ps_run_as_user, 23}}, NULL},
    {"seccompProfile_restricted",
     PS_RESTRICTED,
     {{ps_seccomp_restricted_1_19, 19}, {ps_seccomp_restricted_1_25, 25}},
     NULL},
};

/* What the check was in that version; NULL: it was not yet. */
static ps_check_fn in_version(const struct check *c, int minor) {
    ps_check_fn found = NULL;

    for (size_t i = 0; i < REVISIONS_MAX && c->revisions[i].check; i++)
        if (c->revisions[i].since <= minor)
            found = c->revisions[i].check;
    return found;
}

static bool replaced(const struct check *c, int minor) {
    for (size_t i = 0; c->instead && i < ARRAY_LEN(checks); i++)
        if (strcmp(checks[i].name, c->instead) == 0)
            return in_version(&checks[i], minor) != NULL;
    return false;
}

void ps_check(struct ps_standard standard, const struct ps_pod *pod, struct ps_findings *f) {
    int minor = standard.minor == POD_SECURITY_VERSION_LATEST ? INT_MAX : standard.minor;

    for (size_t i = 0; i < ARRAY_LEN(checks) && standard.level != PS_PRIVILEGED; i++) {
        ps_check_fn check = in_version(&checks[i], minor);
        if (!check || checks[i].level > standard.level)
            continue;
        if (standard.level == PS_RESTRICTED && replaced(&checks[i], minor))
            continue;
        check(pod, f);
    }
}

void ps_found(struct ps_findings *f, const char *reason, const char *fmt, ...) {
    const char *separator = f->n++ ? ", " : "";
    va_list ap;

    strbuf_addf(&f->reasons, "%s%s", separator, reason);
    strbuf_addf(&f->details, "%s%s (", separator, reason);
    va_start(ap, fmt);
    strbuf_vaddf(&f->details, fmt, ap);
    va_end(ap);
    strbuf_addc(&f->details, ')');
}

void ps_findings_finish(struct ps_findings *f) {
    strbuf_finish(&f->reasons);
    strbuf_finish(&f->details);
    f->n = 0;
}
