/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes and lifecycle hooks of a container, and the handlers both consist of. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/cleanup.h"

static void check_http_get(struct field_errors *e, const struct place *at, const struct json *get) {
    struct place port = place_in(at, "port"), headers = place_in(at, "httpHeaders");
    check_required_text(e, at, get, "path");
    check_port_or_name(e, &port, json_get(get, "port"));
    for (size_t i = 0; i < json_len(json_get(get, "httpHeaders")); i++)
        check_name(e, &headers, json_get_str(json_at(json_get(get, "httpHeaders"), i), "name"), name_form_http_header);
}

static void check_sleep(struct field_errors *e, const struct place *at, const struct json *sleep, int64_t grace) {
    int64_t seconds = json_int_or(json_get(sleep, "seconds"), 0);
    _cleanup_json_ struct json *shown = json_int(seconds);
    if (seconds <= 0 || seconds > grace)
        complain_invalid(e, at, shown,
                         "must be greater than 0 and less than terminationGracePeriodSeconds (%lld). Enable "
                         "AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.",
                         (long long) grace);
}

/* exec, httpGet, tcpSocket, grpc, sleep: exactly one. */
static void check_handler(struct field_errors *e, const struct place *at, const struct json *handler, int64_t grace) {
    static const char *const kinds[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *v = json_get(handler, kinds[i]);
        struct place place = place_in(at, kinds[i]), command = place_in(&place, "command"),
                     port = place_in(&place, "port");
        if (json_is_null(v))
            continue;
        if (n++)
            complain_forbidden(e, &place, "may not specify more than 1 handler type");
        else if (i == 0 && !json_len(json_get(v, "command")))
            complain_required(e, &command, "");
        else if (i == 1)
            check_http_get(e, &place, v);
        else if (i == 2)
            check_port_or_name(e, &port, json_get(v, "port"));
        else if (i == 3)
            check_port(e, &port, json_get(v, "port"));
        else if (i == 4)
            check_sleep(e, &place, v, grace);
    }
    if (!n)
        complain_required(e, at, "must specify a handler type");
}

static void check_probe(struct field_errors *e, const struct place *container, const struct json *object,
                        const char *kind, int64_t pod_grace) {
    static const char *const counts[] = {"initialDelaySeconds", "timeoutSeconds",   "periodSeconds",
                                         "successThreshold",    "failureThreshold", NULL};
    const struct json *probe = json_get(object, kind);
    struct place at = place_in(container, kind), grace = place_in(&at, "terminationGracePeriodSeconds");
    struct place success = place_in(&at, "successThreshold");
    bool readiness = strcmp(kind, "readinessProbe") == 0;
    if (json_is_null(probe))
        return;
    check_handler(e, &at, probe, pod_grace);
    check_non_negative(e, &at, probe, counts);
    const struct json *grace_value = json_get(probe, "terminationGracePeriodSeconds");
    if (json_int_or(grace_value, 1) <= 0)
        complain_invalid(e, &grace, grace_value, "must be greater than 0");
    if (!json_is_null(grace_value) && readiness)
        complain_invalid(e, &grace, grace_value, "must not be set for readinessProbes");
    if (!readiness && json_int_or(json_get(probe, "successThreshold"), 1) != 1)
        complain_invalid(e, &success, json_get(probe, "successThreshold"), "must be 1");
}

void rules_container_probes(struct field_errors *e, const struct place *container, const struct json *object,
                            const struct pod_context *pod) {
    static const char *const hooks[] = {"postStart", "preStop"};
    static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    int64_t grace = json_int_or(json_get(pod->spec, "terminationGracePeriodSeconds"), 0);
    struct place at = place_in(container, "lifecycle");
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        struct place hook = place_in(&at, hooks[i]);
        const struct json *v = json_path(object, "lifecycle", hooks[i]);
        if (!json_is_null(v))
            check_handler(e, &hook, v, grace);
    }
    for (size_t i = 0; i < ARRAY_LEN(probes); i++)
        check_probe(e, container, object, probes[i], grace);
}
