/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Pod Security Standards: each rule with pods that keep it and pods that break it, in the versions where it is
 * different; and what labels of a namespace mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/apiserver/podsecurity/checks.h"
#include "tests/unit/object/quoted_json.h"

/* --- pods --- */

/* A pod that keeps to every version of restricted, with room for more in the pod, its securityContext, the container
 * "a" and its securityContext. */
#define POD(in_spec, in_pod_security, in_container, in_security)                                                       \
    "{'spec':{" in_spec "'securityContext':{" in_pod_security                                                          \
    "'runAsNonRoot':true,'seccompProfile':{'type':'RuntimeDefault'}},"                                                 \
    "'containers':[{" in_container "'name':'a','securityContext':{" in_security                                        \
    "'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']}}}]}}"
#define SPEC(x)         POD(x, "", "", "")
#define POD_SECURITY(x) POD("", x, "", "")
#define CONTAINER(x)    POD("", "", x, "")
#define SECURITY(x)     POD("", "", "", x)
#define ADDING(capabilities)                                                                                           \
    "{'spec':{'securityContext':{'runAsNonRoot':true,'seccompProfile':{'type':'RuntimeDefault'}},'containers':[{'"     \
    "name':"                                                                                                           \
    "'a','securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL'],'add':[" capabilities      \
    "]}}}]}}"
#define BARE(x) "{'spec':{" x "'containers':[{'name':'a'}]}}"

#define EVERY  "baseline:v1.0 baseline:v1.18 baseline:v1.25 baseline:latest restricted:v1.0 restricted:v1.25 " STRICT
#define STRICT "restricted:v1.32 restricted:v1.99 restricted:latest"

#define ESCALATION                                                                                                     \
    "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false)"
#define CAPABILITIES "unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"])"
#define NON_ROOT     "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)"
#define SECCOMP                                                                                                        \
    "seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or "    \
    "\"Localhost\")"

static const struct pod_case {
    const char *standards, *pod, *details; /* details: NULL: allowed */
} pod_cases[] = {
    /* what asks for nothing */
    {"privileged:latest", BARE("'hostNetwork':true,"), NULL},
    {"baseline:v1.0 baseline:latest", BARE(""), NULL},
    {EVERY, SPEC(""), NULL},
    {"restricted:v1.0 restricted:v1.7", BARE(""), NON_ROOT},
    {"restricted:v1.8 restricted:v1.18", BARE(""), ESCALATION ", " NON_ROOT},
    {"restricted:v1.19 restricted:v1.21", BARE(""), ESCALATION ", " NON_ROOT ", " SECCOMP},
    {"restricted:v1.22 " STRICT, BARE(""), ESCALATION ", " CAPABILITIES ", " NON_ROOT ", " SECCOMP},
    /* the host's namespaces */
    {EVERY, SPEC("'hostNetwork':true,"), "host namespaces (hostNetwork=true)"},
    {EVERY, SPEC("'hostIPC':true,'hostPID':true,'hostNetwork':true,"),
     "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"},
    {EVERY, SPEC("'hostIPC':false,'hostPID':false,'hostNetwork':false,"), NULL},
    /* privileged */
    {EVERY, SECURITY("'privileged':true,"),
     "privileged (container \"a\" must not set securityContext.privileged=true)"},
    {EVERY, SECURITY("'privileged':false,"), NULL},
    {"baseline:latest",
     "{'spec':{'initContainers':[{'name':'i','securityContext':{'privileged':true}}],'containers':[{'name':'a',"
     "'securityContext':{'privileged':true}}],'ephemeralContainers':[{'name':'e','securityContext':{'privileged':true}}"
     "]}}",
     "privileged (containers \"i\", \"a\", \"e\" must not set securityContext.privileged=true)"},
    /* capabilities */
    {"baseline:v1.0 baseline:latest restricted:v1.0 restricted:v1.21", ADDING("'SYS_ADMIN','CHOWN','NET_RAW'"),
     "non-default capabilities (container \"a\" must not include \"NET_RAW\", \"SYS_ADMIN\" in "
     "securityContext.capabilities.add)"},
    {"baseline:v1.0 baseline:latest",
     ADDING("'AUDIT_WRITE','CHOWN','DAC_OVERRIDE','FOWNER','FSETID','KILL','MKNOD','NET_BIND_SERVICE','SETFCAP',"
            "'SETGID','SETPCAP','SETUID','SYS_CHROOT'"),
     NULL},
    {"restricted:v1.22 " STRICT,
     "{'spec':{'securityContext':{'runAsNonRoot':true,'seccompProfile':{'type':'Localhost'}},"
     "'containers':[{'name':'a','securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'add':['CHOWN',"
     "'NET_BIND_SERVICE']}}},{'name':'b','securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'drop':["
     "'ALL'],'add':['SYS_TIME']}}}]}}",
     "unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]; containers "
     "\"a\", \"b\" must not include \"CHOWN\", \"SYS_TIME\" in securityContext.capabilities.add)"},
    /* volumes */
    {"baseline:v1.0 baseline:latest",
     SPEC("'volumes':[{'name':'v','hostPath':{'path':'/'}},{'name':'w','hostPath':{'path':'/"
          "'}},{'name':'n','nfs':{}}],"),
     "hostPath volumes (volumes \"v\", \"w\")"},
    {"restricted:v1.0 " STRICT,
     SPEC("'volumes':[{'name':'v','hostPath':{'path':'/'}},{'name':'w','hostPath':{'path':'/"
          "'}},{'name':'n','nfs':{}}],"),
     "restricted volume types (volumes \"v\", \"w\", \"n\" use restricted volume types \"hostPath\", \"nfs\")"},
    {"restricted:v1.0 " STRICT, SPEC("'volumes':[{'name':'v','cephfs':{}}],"),
     "restricted volume types (volume \"v\" uses restricted volume type \"cephfs\")"},
    {"restricted:v1.0 " STRICT, SPEC("'volumes':[{'name':'v','future':{}}],"),
     "restricted volume types (volume \"v\" uses restricted volume type \"unknown\")"},
    {EVERY,
     SPEC("'volumes':[{'name':'a','configMap':{}},{'name':'b','csi':{}},{'name':'c','downwardAPI':{}},{'name':'d',"
          "'emptyDir':{}},{'name':'e','ephemeral':{}},{'name':'f','image':{}},{'name':'g','persistentVolumeClaim':{}},"
          "{'name':'h','projected':{}},{'name':'i','secret':{}}],"),
     NULL},
    /* ports */
    {EVERY, CONTAINER("'ports':[{'containerPort':80,'hostPort':80}],"), "hostPort (container \"a\" uses hostPort 80)"},
    {EVERY, CONTAINER("'ports':[{'containerPort':80},{'containerPort':81,'hostPort':0}],"), NULL},
    {"baseline:latest",
     "{'spec':{'containers':[{'name':'a','ports':[{'hostPort':9},{'hostPort':80}]},{'name':'b','ports':[{'hostPort':80}"
     "]}]}}",
     "hostPort (containers \"a\", \"b\" use hostPorts 80, 9)"},
    /* AppArmor */
    {EVERY, POD_SECURITY("'appArmorProfile':{'type':'RuntimeDefault'},"), NULL},
    {EVERY, SECURITY("'appArmorProfile':{'type':'Localhost','localhostProfile':'x'},"), NULL},
    {EVERY, POD_SECURITY("'appArmorProfile':{'type':'Unconfined'},"),
     "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\")"},
    {"baseline:v1.0 " STRICT,
     "{'metadata':{'annotations':{'container.apparmor.security.beta.kubernetes.io/a':'unconfined',"
     "'container.apparmor.security.beta.kubernetes.io/b':'localhost/x','other':'unconfined'}},"
     "'spec':{'securityContext':{'runAsNonRoot':true,'seccompProfile':{'type':'RuntimeDefault'}},'containers':[{'name':"
     "'a','securityContext':{'appArmorProfile':{'type':'Unconfined'},'allowPrivilegeEscalation':false,'capabilities':{"
     "'drop':['ALL']}}}]}}",
     "forbidden AppArmor profiles (container \"a\" and annotation must not set AppArmor profile type to "
     "\"Unconfined\", "
     "\"container.apparmor.security.beta.kubernetes.io/a=\"unconfined\"\")"},
    /* SELinux */
    {EVERY, SECURITY("'seLinuxOptions':{'type':'container_t','level':'s0'},"), NULL},
    {"baseline:v1.0 baseline:v1.30 restricted:v1.30", SECURITY("'seLinuxOptions':{'type':'container_engine_t'},"),
     "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"container_engine_t\")"},
    {"baseline:v1.31 restricted:v1.31 " STRICT, SECURITY("'seLinuxOptions':{'type':'container_engine_t'},"), NULL},
    {EVERY, POD("", "'seLinuxOptions':{'type':'x','user':'u'},", "", "'seLinuxOptions':{'type':'w','role':'r'},"),
     "seLinuxOptions (pod and container \"a\" set forbidden securityContext.seLinuxOptions: types \"w\", \"x\"; user "
     "may "
     "not be set; role may not be set)"},
    {EVERY, POD_SECURITY("'seLinuxOptions':{'user':'u'},"),
     "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set)"},
    /* /proc */
    {EVERY, SECURITY("'procMount':'Default',"), NULL},
    {EVERY, SECURITY("'procMount':'Unmasked',"),
     "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")"},
    /* seccomp */
    {"baseline:v1.0 baseline:v1.18 restricted:v1.18",
     "{'metadata':{'annotations':{'seccomp.security.alpha.kubernetes.io/pod':'unconfined',"
     "'container.seccomp.security.alpha.kubernetes.io/a':'x','container.seccomp.security.alpha.kubernetes.io/z':'x'}},"
     "'spec':{'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a','securityContext':{"
     "'allowPrivilegeEscalation':false}}]}}",
     "seccompProfile (forbidden annotations container.seccomp.security.alpha.kubernetes.io/a=\"x\", "
     "seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")"},
    {"baseline:v1.0 baseline:v1.18 baseline:v1.19",
     "{'metadata':{'annotations':{'seccomp.security.alpha.kubernetes.io/pod':'docker/default',"
     "'container.seccomp.security.alpha.kubernetes.io/a':'localhost/x'}},'spec':{'containers':[{'name':'a'}]}}",
     NULL},
    {"baseline:v1.19 baseline:latest restricted:v1.19 " STRICT, SECURITY("'seccompProfile':{'type':'Unconfined'},"),
     "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")"},
    {"baseline:v1.0 baseline:v1.18 restricted:v1.18", SECURITY("'seccompProfile':{'type':'Unconfined'},"), NULL},
    {"restricted:v1.19 " STRICT,
     "{'spec':{'securityContext':{'runAsNonRoot':true,'seccompProfile':{'type':'Unconfined'}},'containers':[{'name':'a'"
     ","
     "'securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'seccompProfile':{'type':"
     "'Bad'}}}]}}",
     "seccompProfile (pod and container \"a\" must not set securityContext.seccompProfile.type to \"Bad\", "
     "\"Unconfined\")"},
    {"restricted:v1.19 " STRICT,
     "{'spec':{'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a','securityContext':{"
     "'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'seccompProfile':{'type':'Localhost'}}}]}}",
     NULL},
    /* sysctls */
    {EVERY,
     POD_SECURITY("'sysctls':[{'name':'kernel.shm_rmid_forced'},{'name':'net.ipv4.ip_local_port_range'},{'name':"
                  "'net.ipv4.tcp_syncookies'},{'name':'net.ipv4.ping_group_range'},{'name':"
                  "'net.ipv4.ip_unprivileged_port_start'}],"),
     NULL},
    {EVERY, POD_SECURITY("'sysctls':[{'name':'kernel.msgmax'},{'name':'a.b'}],"),
     "forbidden sysctls (kernel.msgmax, a.b)"},
    {"baseline:v1.26 restricted:v1.26", POD_SECURITY("'sysctls':[{'name':'net.ipv4.ip_local_reserved_ports'}],"),
     "forbidden sysctls (net.ipv4.ip_local_reserved_ports)"},
    {"baseline:v1.27 " STRICT, POD_SECURITY("'sysctls':[{'name':'net.ipv4.ip_local_reserved_ports'}],"), NULL},
    {"baseline:v1.28",
     POD_SECURITY("'sysctls':[{'name':'net.ipv4.tcp_keepalive_time'},{'name':'net.ipv4.tcp_fin_timeout'"
                  "},{'name':'net.ipv4.tcp_keepalive_intvl'},{'name':'net.ipv4.tcp_keepalive_probes'}],"),
     "forbidden sysctls (net.ipv4.tcp_keepalive_time, net.ipv4.tcp_fin_timeout, net.ipv4.tcp_keepalive_intvl, "
     "net.ipv4.tcp_keepalive_probes)"},
    {"baseline:v1.29 " STRICT,
     POD_SECURITY("'sysctls':[{'name':'net.ipv4.tcp_keepalive_time'},{'name':'net.ipv4.tcp_fin_timeout'},{'name':"
                  "'net.ipv4.tcp_keepalive_intvl'},{'name':'net.ipv4.tcp_keepalive_probes'}],"),
     NULL},
    {"baseline:v1.31 restricted:v1.31",
     POD_SECURITY("'sysctls':[{'name':'net.ipv4.tcp_rmem'},{'name':'net.ipv4.tcp_wmem'}],"),
     "forbidden sysctls (net.ipv4.tcp_rmem, net.ipv4.tcp_wmem)"},
    {"baseline:v1.32 baseline:latest " STRICT,
     POD_SECURITY("'sysctls':[{'name':'net.ipv4.tcp_rmem'},{'name':'net.ipv4.tcp_wmem'}],"), NULL},
    /* Windows */
    {EVERY, POD("", "'windowsOptions':{'hostProcess':true},", "", "'windowsOptions':{'hostProcess':true},"),
     "hostProcess (pod and container \"a\" must not set securityContext.windowsOptions.hostProcess=true)"},
    {EVERY, POD_SECURITY("'windowsOptions':{'hostProcess':false},"), NULL},
    {"restricted:v1.24",
     "{'spec':{'os':{'name':'windows'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':"
     "'a'}]}}",
     ESCALATION ", " CAPABILITIES ", " SECCOMP},
    {"restricted:v1.25 " STRICT,
     "{'spec':{'os':{'name':'windows'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}}", NULL},
    {STRICT, "{'spec':{'os':{'name':'linux'},'securityContext':{'runAsNonRoot':true},'containers':[{'name':'a'}]}}",
     ESCALATION ", " CAPABILITIES ", " SECCOMP},
    /* users */
    {"restricted:v1.0 " STRICT, SECURITY("'runAsNonRoot':false,"),
     "runAsNonRoot != true (container \"a\" must not set securityContext.runAsNonRoot=false)"},
    {STRICT,
     "{'spec':{'securityContext':{'seccompProfile':{'type':'RuntimeDefault'}},'containers':[{'name':'a',"
     "'securityContext':{'runAsNonRoot':true,'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']}}}]}}",
     NULL},
    {"restricted:v1.23 " STRICT, POD("", "'runAsUser':0,", "", "'runAsUser':0,"),
     "runAsUser=0 (pod and container \"a\" must not set runAsUser=0)"},
    {"restricted:v1.22 baseline:latest", POD("", "'runAsUser':0,", "", "'runAsUser':0,"), NULL},
    {STRICT, POD("", "'runAsUser':1000,", "", "'runAsUser':1,"), NULL},
};

static void check_one(const struct pod_case *c, const char *standard, const struct json *doc) {
    const struct ps_pod pod = {json_get(doc, "metadata"), json_get(doc, "spec"), false};
    _cleanup_ps_findings_ struct ps_findings f = PS_FINDINGS_INIT;
    struct ps_standard s;
    char text[PS_STANDARD_TEXT_SIZE];

    assert_true(ps_standard_parse(standard, &s));
    assert_string_equal(ps_standard_text(s, text), standard);
    ps_check(s, &pod, &f);
    const char *want = c->details ? c->details : "";
    if (strcmp(strbuf_str(&f.details), want) != 0)
        fail_msg("%s of %s\n wanted %s\n    got %s", standard, c->pod, want, strbuf_str(&f.details));
    assert_int_equal(f.n == 0, c->details == NULL);
}

static void test_pods(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(pod_cases); i++) {
        const struct pod_case *c = &pod_cases[i];
        _cleanup_json_ struct json *doc = quoted_json(c->pod);
        _cleanup_free_ char *standards = xstrdup(c->standards);
        char *rest = NULL;
        for (char *s = strtok_r(standards, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
            check_one(c, s, doc);
    }
}

static void test_user_namespaces(void **state) {
    _cleanup_json_ struct json *doc =
        quoted_json("{'spec':{'hostUsers':false,'securityContext':{'seccompProfile':{'type':'RuntimeDefault'}},"
                    "'containers':[{'name':'a','securityContext':{'runAsUser':0,'procMount':'Unmasked',"
                    "'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']}}}]}}");
    const struct ps_standard s = {PS_RESTRICTED, POD_SECURITY_VERSION_LATEST};
    struct ps_pod pod = {NULL, json_get(doc, "spec"), false};
    _cleanup_ps_findings_ struct ps_findings strict = PS_FINDINGS_INIT, relaxed = PS_FINDINGS_INIT,
                                             host = PS_FINDINGS_INIT;

    ps_check(s, &pod, &strict);
    assert_string_equal(strbuf_str(&strict.reasons), "procMount, runAsNonRoot != true, runAsUser=0");
    pod.relax_user_namespaces = true;
    ps_check(s, &pod, &relaxed);
    assert_int_equal(relaxed.n, 0);
    json_set_path(&doc, json_bool(true), "spec", "hostUsers");
    pod.spec = json_get(doc, "spec");
    ps_check(s, &pod, &host);
    assert_int_equal(host.n, 3);
}

/* --- labels --- */

static const struct label_case {
    const char *labels, *policy, *errors;
} label_cases[] = {
    {"{}", "privileged:latest privileged:latest privileged:latest", ""},
    {"{'other':'x'}", "privileged:latest privileged:latest privileged:latest", ""},
    {"{'pod-security.kubernetes.io/enforce':'baseline','pod-security.kubernetes.io/enforce-version':'v1.22'}",
     "baseline:v1.22 privileged:latest baseline:v1.22", ""},
    {"{'pod-security.kubernetes.io/enforce':'restricted','pod-security.kubernetes.io/enforce-version':'v1.22',"
     "'pod-security.kubernetes.io/warn-version':'v1.0'}",
     "restricted:v1.22 privileged:latest restricted:v1.0", ""},
    {"{'pod-security.kubernetes.io/enforce':'restricted','pod-security.kubernetes.io/warn':'privileged',"
     "'pod-security.kubernetes.io/audit':'baseline','pod-security.kubernetes.io/audit-version':'latest'}",
     "restricted:latest baseline:latest privileged:latest", ""},
    {"{'pod-security.kubernetes.io/enforce':'Baseline'}", "restricted:latest privileged:latest privileged:latest",
     "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"Baseline\": must be one of privileged, "
     "baseline, restricted;"},
    {"{'pod-security.kubernetes.io/warn':'x','pod-security.kubernetes.io/audit':'','pod-security.kubernetes.io/"
     "enforce-version':'1.2','pod-security.kubernetes.io/warn-version':'v1.01','pod-security.kubernetes.io/"
     "audit-version':'v2.0'}",
     "privileged:latest privileged:latest privileged:latest",
     "metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: \"1.2\": must be \"latest\" or "
     "\"v1.x\";metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: \"\": must be one of privileged, "
     "baseline, restricted;metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: \"v2.0\": must be "
     "\"latest\" or \"v1.x\";metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"x\": must be one of "
     "privileged, baseline, restricted;metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "
     "\"v1.01\": must be \"latest\" or \"v1.x\";"},
};

static void test_labels(void **state) {
    const struct ps_policy none = {{{PS_PRIVILEGED, POD_SECURITY_VERSION_LATEST},
                                    {PS_PRIVILEGED, POD_SECURITY_VERSION_LATEST},
                                    {PS_PRIVILEGED, POD_SECURITY_VERSION_LATEST}}};

    for (size_t i = 0; i < ARRAY_LEN(label_cases); i++) {
        _cleanup_json_ struct json *labels = quoted_json(label_cases[i].labels);
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_strbuf_ struct strbuf said = STRBUF_INIT, got = STRBUF_INIT;
        struct ps_policy p = ps_policy_of(labels, &none, &errors);
        char text[PS_STANDARD_TEXT_SIZE];
        for (size_t m = 0; m < PS_MODES; m++)
            strbuf_addf(&got, "%s%s", m ? " " : "", ps_standard_text(p.modes[m], text));
        for (size_t k = 0; k < errors.n; k++)
            strbuf_addf(&said, "%s: %s;", errors.items[k].field, errors.items[k].message);
        assert_string_equal(strbuf_str(&got), label_cases[i].policy);
        assert_string_equal(strbuf_str(&said), label_cases[i].errors);
    }
}

static void test_defaults(void **state) {
    const struct ps_policy strict = {{{PS_BASELINE, 30}, {PS_RESTRICTED, 25}, {PS_RESTRICTED, 25}}};
    _cleanup_json_ struct json *labels = quoted_json("{'pod-security.kubernetes.io/enforce':'baseline'}");
    struct ps_policy p = ps_policy_of(NULL, &strict, NULL);

    assert_memory_equal(&p, &strict, sizeof(p));
    p = ps_policy_of(labels, &strict, NULL); /* warnings are stricter by default: they stay */
    assert_memory_equal(&p, &strict, sizeof(p));
    assert_false(ps_labels_changed(labels, labels));
    assert_true(ps_labels_changed(labels, NULL));
}

static void test_standards(void **state) {
    static const char *const bad[] = {
        "", "base", "baseline:", "baseline:1.2", "baseline:v1.", "restricted:v1.2x", "baseline:v1.99999999999"};
    struct ps_standard s;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ps_standard_parse(bad[i], &s));
    assert_true(ps_standard_parse("baseline", &s));
    assert_int_equal(s.minor, POD_SECURITY_VERSION_LATEST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods),     cmocka_unit_test(test_user_namespaces), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_standards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
