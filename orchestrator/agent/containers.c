/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/containers.h"

#include <string.h>

#include "orchestrator/agent/images/pod_images.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/oci_config.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/images/reference.h"
#include "podium/base/alloc.h"

static const char *name_of(const struct json *container) {
    return json_str_or(json_get(container, "name"), "");
}

static const struct json *named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(name_of(json_at(list, i)), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* --- which objects --- */

static bool names_object(const struct json *source, const char *config_map, const char *secret, const char *kind,
                         const char *name) {
    const struct json *map = json_get(source, config_map), *private = json_get(source, secret);

    if (!kind)
        return map || private;
    return strcmp(json_str_or(json_get(strcmp(kind, "Secret") == 0 ? private : map, "name"), ""), name) == 0;
}

static bool uses_object(const struct json *container, const char *kind, const char *name) {
    const struct json *from = json_get(container, "envFrom"), *env = json_get(container, "env");

    for (size_t i = 0; i < json_len(from); i++)
        if (names_object(json_at(from, i), "configMapRef", "secretRef", kind, name))
            return true;
    for (size_t i = 0; i < json_len(env); i++)
        if (names_object(json_get(json_at(env, i), "valueFrom"), "configMapKeyRef", "secretKeyRef", kind, name))
            return true;
    return false;
}

bool containers_use_object(const struct json *pod, const char *kind, const char *name) {
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (uses_object(json_at(list, i), kind, name))
                return true;
    }
    return false;
}

/* --- one container --- */

/* What tells which image runs: the digest it was pulled by under its name, its own when it came from an archive. */
static const char *image_id(const struct image *image, const struct json *container) {
    _cleanup_(image_reference_finish) struct image_reference reference = {0};

    if (image_reference_parse(json_str_or(json_get(container, "image"), ""), &reference, NULL) < 0)
        return image->digest;
    for (char **d = image->repo_digests; *d; d++) {
        size_t n = strlen(reference.repository);
        if (strncmp(*d, reference.repository, n) == 0 && (*d)[n] == '@' &&
            (!reference.digest || strcmp(*d + n + 1, reference.digest) == 0))
            return *d;
    }
    return image->digest;
}

/* A container that had an image since the pod's start keeps it. */
static int take_image(const struct containers_input *in, const struct json *container, struct image *ret,
                      struct pod_problem *problem) {
    struct agent_pod *pod = in->pod;
    const char *before = in->before ? json_str(json_get(pod->image_ids, name_of(container))) : NULL;

    if (before && image_resolve_pinned(pod->agent->images, before, pod->uid, ret, NULL) == 0)
        return 0;
    int r = pod_image_take(pod, container, ret, problem);
    if (r == 0)
        json_set(&pod->image_ids, name_of(container), json_string(image_id(ret, container)));
    return r;
}

/* The member of pod.json; -EAGAIN with the problem, which has no reason when the image is awaited. */
static int build_one(const struct containers_input *in, const struct json *container, struct json **ret,
                     struct pod_problem *problem) {
    _cleanup_(image_finish) struct image image = {0};

    int r = take_image(in, container, &image, problem);
    if (r < 0)
        return r;
    const struct oci_config_input config = {
        .ctx = in->ctx, .container = container, .image = &image, .volumes = in->volumes, .hostname = in->hostname};
    return oci_config_build(&config, ret, problem);
}

/* --- holding back --- */

/* What the supervisor is told of a container that cannot be started, and what the agent itself remembers. */
static struct json *hold(const struct containers_input *in, const struct json *container,
                         const struct pod_problem *problem) {
    struct agent_pod *pod = in->pod;
    const char *name = name_of(container);
    const struct json *image = json_get(pod_images_waiting(pod), name);
    struct json *held = json_object(), *out = json_object();

    if (problem->reason) {
        json_set(&held, "reason", json_string(problem->reason));
        json_set(&held, "message", json_string(problem->message));
        json_set(&pod->held, name, json_ref(held));
    } else {
        bool coming = pod_image_is_coming(pod, name);
        /* while it comes its message is that of the progress, which the status has from the agent */
        json_set(&held, "reason", coming ? json_string("ContainerCreating") : json_ref(json_get(image, "reason")));
        if (!coming && json_get(image, "message"))
            json_set(&held, "message", json_ref(json_get(image, "message")));
        json_set(&held, "inOrder", json_bool(coming));
        pod->images_awaited = true;
    }
    json_set(&out, "name", json_string(name));
    if (json_get(container, "restartPolicy"))
        json_set(&out, "restartPolicy", json_ref(json_get(container, "restartPolicy")));
    json_set(&out, "held", held);
    return out;
}

/* What it was, with the resources it was granted since. */
static struct json *resized(const struct containers_input *in, const struct json *container,
                            const struct json *before) {
    struct json *out = json_ref(before), *resources;
    const struct json *devices = json_path(before, "config", "linux", "resources", "devices");

    if (!resize_is_old(in->pod, name_of(container), before))
        return out;
    resources = container_resources(in->ctx->pod, container, in->ctx->qos_memory);
    if (devices)
        json_set(&resources, "devices", json_ref(devices));
    json_set_path(&out, resources, "config", "linux", "resources");
    resize_number(in->pod, name_of(container), &out);
    return out;
}

static struct json *build_or_hold(const struct containers_input *in, const struct json *container,
                                  const struct json *before) {
    _cleanup_(pod_problem_finish) struct pod_problem problem = {0};
    bool held = !before || json_get(before, "held"), old = resize_is_old(in->pod, name_of(container), before);
    struct json *out = NULL;

    if (!held && !old && !(in->pod->stale_env && uses_object(container, NULL, NULL)))
        return json_ref(before);
    if (build_one(in, container, &out, &problem) == 0) {
        resize_number(in->pod, name_of(container), &out);
        return out;
    }
    if (!held && (old || !problem.reason)) /* its image was removed; what runs goes on with its layers, and so may the
                                              next */
        return resized(in, container, before);
    return hold(in, container, &problem);
}

static bool is_held(const struct json *container) {
    return json_is_object(json_get(container, "held"));
}

/* --- all of them --- */

void containers_build(const struct containers_input *in, struct json **doc) {
    static const char *const lists[] = {"initContainers", "containers"};

    in->pod->images_awaited = false;
    json_unref(steal(&in->pod->held));
    if (!in->before)
        pod_images_ask(in->pod);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *specs = json_path(in->ctx->pod, "spec", lists[l]), *before = json_get(in->before, lists[l]);
        struct json *list = json_array();
        for (size_t i = 0; i < json_len(specs); i++) {
            const struct json *spec = json_at(specs, i);
            json_append(&list, build_or_hold(in, spec, named(before, name_of(spec))));
        }
        json_set(doc, lists[l], list);
    }
}

void containers_add_ephemeral(const struct containers_input *in, struct json **doc) {
    const struct json *wanted = json_path(in->ctx->pod, "spec", "ephemeralContainers");

    for (size_t i = 0; i < json_len(wanted); i++) {
        const struct json *spec = json_at(wanted, i), *target = json_get(spec, "targetContainerName");
        _cleanup_(pod_problem_finish) struct pod_problem problem = {0};
        struct json *out = NULL;

        if (named(json_get(*doc, "ephemeralContainers"), name_of(spec)))
            continue;
        if (build_one(in, spec, &out, &problem) < 0) {
            json_unref(hold(in, spec, &problem));
            continue;
        }
        if (json_str_len(target) > 0)
            json_set(&out, "target", json_ref(target));
        struct json **list = json_edit(doc, "ephemeralContainers");
        if (!*list)
            *list = json_array();
        json_append(list, out);
    }
}

bool containers_can_begin(const struct json *doc) {
    const struct json *init = json_get(doc, "initContainers"), *mains = json_get(doc, "containers");

    if (json_len(init) > 0)
        return !is_held(json_at(init, 0));
    for (size_t i = 0; i < json_len(mains); i++) {
        const struct json *c = json_at(mains, i);
        if (!is_held(c))
            return true;
        if (json_bool_or(json_path(c, "held", "inOrder"), false))
            return false;
    }
    return false;
}

bool containers_held(const struct json *doc) {
    static const char *const lists[] = {"initContainers", "containers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_get(doc, lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (is_held(json_at(list, i)))
                return true;
    }
    return false;
}
