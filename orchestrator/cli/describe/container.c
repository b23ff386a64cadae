/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers, probes, environment, mounts and volumes, of pods and of templates. */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"

static const struct json *named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_get_str(json_at(list, i), "name"), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* A number or a word: ports of probes, quantities. */
static void add_scalar(const struct json *v, struct strbuf *out) {
    if (json_is_string(v))
        strbuf_adds(out, json_str(v));
    else if (!json_is_null(v))
        json_write(v, 0, out);
}

static void add_ports(const struct json *ports, const char *indent, struct strbuf *out) {
    const char *const titles[] = {"Port", "Host Port"}, *const keys[] = {"containerPort", "hostPort"};
    for (size_t t = 0; t < 2; t++) {
        strbuf_addf(out, "%s  %s%s:\t", indent, titles[t], json_len(ports) > 1 ? "s" : "");
        for (size_t i = 0; i < json_len(ports); i++)
            strbuf_addf(out, "%s%lld/%s", i ? ", " : "",
                        (long long) json_int_or(json_get(json_at(ports, i), keys[t]), 0),
                        json_str_or(json_get(json_at(ports, i), "protocol"), "TCP"));
        strbuf_adds(out, json_len(ports) ? "\n" : "<none>\n");
    }
}

static void add_state(const char *title, const struct json *state, const char *indent, struct strbuf *out) {
    static const struct {
        const char *key, *shown;
    } states[] = {{"running", "Running"}, {"waiting", "Waiting"}, {"terminated", "Terminated"}};
    char time[40];
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        const struct json *s = json_get(state, states[i].key);
        if (json_is_null(s))
            continue;
        strbuf_addf(out, "%s  %s:\t%s\n", indent, title, states[i].shown);
        if (*json_get_str(s, "reason"))
            strbuf_addf(out, "%s    Reason:\t%s\n", indent, json_get_str(s, "reason"));
        if (*json_get_str(s, "message"))
            strbuf_addf(out, "%s    Message:\t%s\n", indent, json_get_str(s, "message"));
        if (i == 2)
            strbuf_addf(out, "%s    Exit Code:\t%lld\n", indent, (long long) json_int_or(json_get(s, "exitCode"), 0));
        if (json_int_or(json_get(s, "signal"), 0) > 0)
            strbuf_addf(out, "%s    Signal:\t%lld\n", indent, (long long) json_int_or(json_get(s, "signal"), 0));
        if (json_str(json_get(s, "startedAt")))
            strbuf_addf(out, "%s    Started:\t%s\n", indent, describe_time(json_get_str(s, "startedAt"), time));
        if (json_str(json_get(s, "finishedAt")))
            strbuf_addf(out, "%s    Finished:\t%s\n", indent, describe_time(json_get_str(s, "finishedAt"), time));
    }
}

static void add_words(const char *title, const struct json *words, const char *indent, struct strbuf *out) {
    if (json_len(words) == 0)
        return;
    strbuf_addf(out, "%s  %s:\n", indent, title);
    for (size_t i = 0; i < json_len(words); i++)
        strbuf_addf(out, "%s    %s\n", indent, json_str_or(json_at(words, i), ""));
}

static void add_amounts(const char *title, const struct json *amounts, const char *indent, struct strbuf *out) {
    _cleanup_json_ struct json *sorted = json_sorted(amounts);
    if (json_len(sorted) == 0)
        return;
    strbuf_addf(out, "%s  %s:\n", indent, title);
    for (size_t i = 0; i < json_len(sorted); i++) {
        strbuf_addf(out, "%s    %s:\t", indent, json_key_at(sorted, i));
        add_scalar(json_value_at(sorted, i), out);
        strbuf_addc(out, '\n');
    }
}

static void add_probe(const char *title, const struct json *probe, const char *indent, struct strbuf *out) {
    const struct json *http = json_get(probe, "httpGet"), *tcp = json_get(probe, "tcpSocket");
    if (json_is_null(probe))
        return;
    strbuf_addf(out, "%s  %s:\t", indent, title);
    if (http) {
        strbuf_addf(out, "http-get %s://%s:", strcmp(json_get_str(http, "scheme"), "HTTPS") == 0 ? "https" : "http",
                    json_get_str(http, "host"));
        add_scalar(json_get(http, "port"), out);
        strbuf_adds(out, json_get_str(http, "path"));
    } else if (tcp) {
        strbuf_adds(out, "tcp-socket :");
        add_scalar(json_get(tcp, "port"), out);
    } else {
        strbuf_adds(out, "exec");
        json_write(json_path(probe, "exec", "command"), 0, out);
    }
    strbuf_addf(out, " delay=%llds timeout=%llds period=%llds #success=%lld #failure=%lld\n",
                (long long) json_int_or(json_get(probe, "initialDelaySeconds"), 0),
                (long long) json_int_or(json_get(probe, "timeoutSeconds"), 1),
                (long long) json_int_or(json_get(probe, "periodSeconds"), 10),
                (long long) json_int_or(json_get(probe, "successThreshold"), 1),
                (long long) json_int_or(json_get(probe, "failureThreshold"), 3));
}

static void add_env(const struct json *c, const char *indent, struct strbuf *out) {
    const struct json *from = json_get(c, "envFrom"), *env = json_get(c, "env");
    if (json_len(from) > 0)
        strbuf_addf(out, "%s  Environment Variables from:\n", indent);
    for (size_t i = 0; i < json_len(from); i++) {
        const struct json *e = json_at(from, i);
        bool secret = json_get(e, "secretRef") != NULL;
        strbuf_addf(out, "%s    %s\t%s\n", indent,
                    json_get_str(json_get(e, secret ? "secretRef" : "configMapRef"), "name"),
                    secret ? "Secret" : "ConfigMap");
    }
    strbuf_addf(out, "%s  Environment:%s\n", indent, json_len(env) ? "" : "\t<none>");
    for (size_t i = 0; i < json_len(env); i++) {
        const struct json *e = json_at(env, i), *source = json_get(e, "valueFrom");
        const struct json *secret = json_get(source, "secretKeyRef"), *config = json_get(source, "configMapKeyRef");
        strbuf_addf(out, "%s    %s:\t", indent, json_get_str(e, "name"));
        if (secret)
            strbuf_addf(out, "<set to the key '%s' in secret '%s'>\n", json_get_str(secret, "key"),
                        json_get_str(secret, "name"));
        else if (config)
            strbuf_addf(out, "<set to the key '%s' of config map '%s'>\n", json_get_str(config, "key"),
                        json_get_str(config, "name"));
        else if (source)
            strbuf_addf(out, "(%s)\n",
                        json_str_or(json_path(source, "fieldRef", "fieldPath"),
                                    json_str_or(json_path(source, "resourceFieldRef", "resource"), "")));
        else
            strbuf_addf(out, "%s\n", json_get_str(e, "value"));
    }
}

static void add_mounts(const struct json *mounts, const char *indent, struct strbuf *out) {
    strbuf_addf(out, "%s  Mounts:%s\n", indent, json_len(mounts) ? "" : "\t<none>");
    for (size_t i = 0; i < json_len(mounts); i++) {
        const struct json *m = json_at(mounts, i);
        strbuf_addf(out, "%s    %s from %s (%s%s%s)\n", indent, json_get_str(m, "mountPath"), json_get_str(m, "name"),
                    json_bool_or(json_get(m, "readOnly"), false) ? "ro" : "rw",
                    *json_get_str(m, "subPath") ? ",path=" : "",
                    *json_get_str(m, "subPath") ? json_get_str(m, "subPath") : "");
    }
}

static void add_container(const struct json *c, const struct json *status, const char *indent, struct strbuf *out) {
    strbuf_addf(out, "%s%s:\n", indent, json_get_str(c, "name"));
    if (status) {
        strbuf_addf(out, "%s  Container ID:\t%s\n", indent, json_get_str(status, "containerID"));
        strbuf_addf(out, "%s  Image:\t%s\n%s  Image ID:\t%s\n", indent, json_get_str(c, "image"), indent,
                    json_get_str(status, "imageID"));
    } else {
        strbuf_addf(out, "%s  Image:\t%s\n", indent, json_get_str(c, "image"));
    }
    add_ports(json_get(c, "ports"), indent, out);
    add_words("Command", json_get(c, "command"), indent, out);
    add_words("Args", json_get(c, "args"), indent, out);
    if (status) {
        add_state("State", json_get(status, "state"), indent, out);
        add_state("Last State", json_get(status, "lastState"), indent, out);
        strbuf_addf(out, "%s  Ready:\t%s\n", indent, json_bool_or(json_get(status, "ready"), false) ? "True" : "False");
        strbuf_addf(out, "%s  Restart Count:\t%lld\n", indent,
                    (long long) json_int_or(json_get(status, "restartCount"), 0));
    }
    add_amounts("Limits", json_path(c, "resources", "limits"), indent, out);
    add_amounts("Requests", json_path(c, "resources", "requests"), indent, out);
    add_probe("Liveness", json_get(c, "livenessProbe"), indent, out);
    add_probe("Readiness", json_get(c, "readinessProbe"), indent, out);
    add_probe("Startup", json_get(c, "startupProbe"), indent, out);
    add_env(c, indent, out);
    add_mounts(json_get(c, "volumeMounts"), indent, out);
}

void describe_containers(const char *title, const struct json *list, const struct json *statuses, const char *indent,
                         struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf inner = STRBUF_INIT;
    if (json_len(list) == 0)
        return;
    strbuf_addf(&inner, "%s  ", indent);
    strbuf_addf(out, "%s%s:\n", indent, title);
    for (size_t i = 0; i < json_len(list); i++)
        add_container(json_at(list, i), named(statuses, json_get_str(json_at(list, i), "name")), strbuf_str(&inner),
                      out);
}

void describe_volumes(const struct json *volumes, const char *indent, struct strbuf *out) {
    static const struct {
        const char *key, *type, *title, *member;
    } sources[] = {
        {"emptyDir", "EmptyDir (a temporary directory that shares a pod's lifetime)", "Medium", "medium"},
        {"hostPath", "HostPath (bare host directory volume)", "Path", "path"},
        {"configMap", "ConfigMap (a volume populated by a ConfigMap)", "Name", "name"},
        {"secret", "Secret (a volume populated by a Secret)", "SecretName", "secretName"},
        {"persistentVolumeClaim", "PersistentVolumeClaim (a reference to a claim in the same namespace)", "ClaimName",
         "claimName"},
        {"projected", "Projected (a volume that contains injected data from multiple sources)", NULL, NULL},
        {"downwardAPI", "DownwardAPI (a volume populated by information about the pod)", NULL, NULL},
    };
    if (json_len(volumes) == 0)
        return;
    strbuf_addf(out, "%sVolumes:\n", indent);
    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *v = json_at(volumes, i);
        strbuf_addf(out, "%s  %s:\n", indent, json_get_str(v, "name"));
        for (size_t j = 0; j < ARRAY_LEN(sources); j++) {
            const struct json *s = json_get(v, sources[j].key);
            if (!s)
                continue;
            strbuf_addf(out, "%s    Type:\t%s\n", indent, sources[j].type);
            if (sources[j].title)
                strbuf_addf(out, "%s    %s:\t%s\n", indent, sources[j].title, json_get_str(s, sources[j].member));
        }
    }
}

void describe_template(const struct json *pod_template, struct strbuf *out) {
    const struct json *spec = json_get(pod_template, "spec");
    strbuf_adds(out, "Pod Template:\n");
    describe_map("  Labels", json_path(pod_template, "metadata", "labels"), "=", out);
    if (json_len(json_path(pod_template, "metadata", "annotations")) > 0)
        describe_map("  Annotations", json_path(pod_template, "metadata", "annotations"), ": ", out);
    describe_containers("Init Containers", json_get(spec, "initContainers"), NULL, "  ", out);
    describe_containers("Containers", json_get(spec, "containers"), NULL, "  ", out);
    describe_volumes(json_get(spec, "volumes"), "  ", out);
}
