/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/pod_refs.h"

typedef void (*add_fn)(void *userdata, const char *kind, const char *name);

static void note(const struct json *name, const char *kind, add_fn add, void *userdata) {
    const char *text = json_str(name);

    if (text && *text)
        add(userdata, kind, text);
}

static void container_references(const struct json *container, add_fn add, void *userdata) {
    const struct json *env = json_get(container, "env"), *from = json_get(container, "envFrom");

    for (size_t i = 0; i < json_len(env); i++) {
        const struct json *source = json_get(json_at(env, i), "valueFrom");
        note(json_path(source, "configMapKeyRef", "name"), "ConfigMap", add, userdata);
        note(json_path(source, "secretKeyRef", "name"), "Secret", add, userdata);
    }
    for (size_t i = 0; i < json_len(from); i++) {
        const struct json *source = json_at(from, i);
        note(json_path(source, "configMapRef", "name"), "ConfigMap", add, userdata);
        note(json_path(source, "secretRef", "name"), "Secret", add, userdata);
    }
}

static void volume_references(const struct json *volume, add_fn add, void *userdata) {
    const struct json *sources = json_path(volume, "projected", "sources");

    note(json_path(volume, "configMap", "name"), "ConfigMap", add, userdata);
    note(json_path(volume, "secret", "secretName"), "Secret", add, userdata);
    for (size_t i = 0; i < json_len(sources); i++) {
        const struct json *source = json_at(sources, i);
        note(json_path(source, "configMap", "name"), "ConfigMap", add, userdata);
        note(json_path(source, "secret", "name"), "Secret", add, userdata);
    }
}

void pod_references(const struct json *pod, add_fn add, void *userdata) {
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct json *spec = json_get(pod, "spec");
    const struct json *volumes = json_get(spec, "volumes"), *pulls = json_get(spec, "imagePullSecrets");

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *containers = json_get(spec, lists[l]);
        for (size_t i = 0; i < json_len(containers); i++)
            container_references(json_at(containers, i), add, userdata);
    }
    for (size_t i = 0; i < json_len(volumes); i++)
        volume_references(json_at(volumes, i), add, userdata);
    for (size_t i = 0; i < json_len(pulls); i++)
        note(json_get(json_at(pulls, i), "name"), "Secret", add, userdata);
}
