/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/images/pod_images.h"

#include <string.h>

#include "orchestrator/agent/images/policy.h"
#include "orchestrator/agent/images/pulls.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/images/credentials.h"
#include "orchestrator/images/reference.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define SHOW_ERROR_USEC (2 * USEC_PER_SEC) /* ErrImagePull, before it turns into ImagePullBackOff */
#define PROGRESS_USEC   (2 * USEC_PER_SEC) /* how often a waiting message may change */

/* One container's image. */
struct pod_image {
    struct agent_pod *pod;
    char *container, *image;
    struct image_wait *wait;
    bool pulled, told_present, told_back_off, told_missing;
    unsigned failures;
    uint64_t failed_at, next_at, progress_at;
    char *error; /* of the last pull */
};

static void pod_image_free(void *p) {
    struct pod_image *pi = p;

    image_wait_free(pi->wait);
    free(pi->container);
    free(pi->image);
    free(pi->error);
    free(pi);
}

static struct pod_image *pod_image_of(struct agent_pod *pod, const struct json *container) {
    const char *name = json_str_or(json_get(container, "name"), ""),
               *image = json_str_or(json_get(container, "image"), "");

    if (!pod->images)
        pod->images = hashmap_new(pod_image_free);
    struct pod_image *pi = hashmap_get(pod->images, name);
    if (pi && strcmp(pi->image, image) == 0)
        return pi;
    pi = xnew0(struct pod_image);
    pi->pod = pod;
    pi->container = xstrdup(name);
    pi->image = xstrdup(image);
    hashmap_put(pod->images, name, pi);
    return pi;
}

/* --- what is said --- */

static void set_waiting(struct pod_image *pi, const char *reason, const char *message) {
    struct json *o = json_object();

    json_set(&o, "reason", json_string(reason));
    json_set(&o, "message", json_string(message));
    json_set(&pi->pod->images_waiting, pi->container, o);
}

static void set_pulling(struct pod_image *pi, const char *progress) {
    _cleanup_free_ char *message = progress ? xasprintf("Pulling image \"%s\": %s", pi->image, progress)
                                            : xasprintf("Pulling image \"%s\"", pi->image);
    bool init = json_len(json_path(pi->pod->desired, "spec", "initContainers")) > 0;

    set_waiting(pi, init ? "PodInitializing" : "ContainerCreating", message);
}

static void tell_error(const struct pod_image *pi, const char *reason) {
    agent_event(pi->pod, pi->container, "Warning", "Failed", "Error: %s", reason);
}

/* --- pulling --- */

static void on_progress(void *userdata, const char *text) {
    struct pod_image *pi = userdata;
    uint64_t now = now_monotonic_usec();

    if (now < pi->progress_at)
        return;
    pi->progress_at = now + PROGRESS_USEC;
    set_pulling(pi, text);
    agent_pod_mark(pi->pod);
}

static void pull_failed(struct pod_image *pi, const struct image_pulled *pulled) {
    pi->failures++;
    pi->failed_at = now_monotonic_usec();
    pi->next_at = pi->failed_at + image_back_off(pi->failures);
    pi->told_back_off = false;
    free(pi->error);
    pi->error = xasprintf("failed to pull image \"%s\": %s", pi->image, pulled->error);
    agent_event(pi->pod, pi->container, "Warning", "Failed", "Failed to pull image \"%s\": %s", pi->image,
                pulled->error);
    tell_error(pi, "ErrImagePull");
}

static void on_done(void *userdata, const struct image_pulled *pulled) {
    struct pod_image *pi = userdata;

    image_wait_free(steal(&pi->wait));
    if (pulled->error) {
        pull_failed(pi, pulled);
    } else {
        pi->pulled = pi->told_present = true;
        pi->failures = 0;
        pi->next_at = 0;
        agent_event(pi->pod, pi->container, "Normal", "Pulled",
                    "Successfully pulled image \"%s\" in %llu.%03llus (%llu.%03llus including waiting). Image size: "
                    "%llu bytes.",
                    pi->image, (unsigned long long) (pulled->usec / USEC_PER_SEC),
                    (unsigned long long) (pulled->usec % USEC_PER_SEC / USEC_PER_MSEC),
                    (unsigned long long) (pulled->waited_usec / USEC_PER_SEC),
                    (unsigned long long) (pulled->waited_usec % USEC_PER_SEC / USEC_PER_MSEC),
                    (unsigned long long) pulled->size_bytes);
    }
    pi->pod->retry_at = 0;
    agent_pod_mark(pi->pod);
}

static const struct image_wait_callbacks wait_callbacks = {on_progress, on_done};

/* The credentials of the pod's imagePullSecrets for the repository. */
static struct json *credentials_of(const struct agent_pod *pod, const char *repository) {
    static const struct {
        const char *key;
        bool legacy;
    } kinds[] = {{".dockerconfigjson", false}, {".dockercfg", true}};
    const struct json *names = json_path(pod->desired, "spec", "imagePullSecrets");
    _cleanup_json_ struct json *list = NULL;
    _cleanup_strbuf_ struct strbuf missing = STRBUF_INIT;

    for (size_t i = 0; i < json_len(names); i++) {
        const char *name = json_str_or(json_get(json_at(names, i), "name"), "");
        _cleanup_free_ char *key = object_key("Secret", pod->namespace, name);
        const struct json *secret = hashmap_get(pod->agent->objects, key);
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(kinds) && secret; k++) {
            _cleanup_free_ uint8_t *bytes = NULL;
            size_t n = 0;
            if (object_value(secret, kinds[k].key, &bytes, &n) < 0)
                continue;
            found |= image_credentials_add(&list, bytes, n, kinds[k].legacy, NULL) == 0;
            explicit_bzero(bytes, n);
        }
        if (!found)
            strbuf_addf(&missing, "%s%s", missing.len ? ", " : "", name);
    }
    if (missing.len)
        agent_event((struct agent_pod *) pod, NULL, "Warning", "FailedToRetrieveImagePullSecret",
                    "Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.",
                    strbuf_str(&missing));
    return image_credentials_for(list, repository);
}

static void pull(struct pod_image *pi, const struct image_reference *reference) {
    struct agent *agent = pi->pod->agent;
    _cleanup_json_ struct json *credentials = credentials_of(pi->pod, reference->repository);
    _cleanup_free_ char *name = reference->digest ? xasprintf("%s@%s", reference->repository, reference->digest)
                                                  : image_reference_format(reference);

    agent_event(pi->pod, pi->container, "Normal", "Pulling", "Pulling image \"%s\"", pi->image);
    pi->progress_at = now_monotonic_usec() + PROGRESS_USEC;
    pi->wait = image_pulls_ask(agent->pulls, name, credentials, &wait_callbacks, pi);
    set_pulling(pi, NULL);
}

/* --- deciding --- */

static void invalid_name(struct pod_image *pi, const char *why) {
    _cleanup_free_ char *message = xasprintf(
        "Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": %s", pi->image, pi->image, why);

    if (!pi->told_missing) {
        agent_event(pi->pod, pi->container, "Warning", "InspectFailed", "%s", message);
        tell_error(pi, "InvalidImageName");
    }
    pi->told_missing = true;
    set_waiting(pi, "InvalidImageName", message);
}

static void missing(struct pod_image *pi) {
    _cleanup_free_ char *message =
        xasprintf("Container image \"%s\" is not present with pull policy of Never", pi->image);

    if (!pi->told_missing) {
        agent_event(pi->pod, pi->container, "Warning", "ErrImageNeverPull", "%s", message);
        tell_error(pi, "ErrImageNeverPull");
    }
    pi->told_missing = true;
    set_waiting(pi, "ErrImageNeverPull", message);
}

static void back_off(struct pod_image *pi, uint64_t now, bool present) {
    const char *hint = present ? "; the image is on this node, imagePullPolicy: IfNotPresent would use it" : "";

    if (now < pi->failed_at + SHOW_ERROR_USEC) {
        _cleanup_free_ char *message = xasprintf("%s%s", pi->error, hint);
        set_waiting(pi, "ErrImagePull", message);
        return;
    }
    _cleanup_free_ char *message =
        xasprintf("Back-off pulling image \"%s\": ErrImagePull: %s%s", pi->image, pi->error, hint);
    if (!pi->told_back_off) {
        agent_event(pi->pod, pi->container, "Normal", "BackOff", "Back-off pulling image \"%s\"", pi->image);
        tell_error(pi, "ImagePullBackOff");
    }
    pi->told_back_off = true;
    set_waiting(pi, "ImagePullBackOff", message);
}

/* 0 when the container's image is ready. */
static int look(struct pod_image *pi, const struct json *container) {
    _cleanup_(image_reference_finish) struct image_reference reference = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(image_finish) struct image image = {0};
    struct agent_pod *pod = pi->pod;

    if (image_reference_parse(pi->image, &reference, &err) < 0) {
        invalid_name(pi, error_text(&err, -EINVAL));
        return -EAGAIN;
    }
    const struct image_view view = {
        .policy = image_policy_of(container),
        .present = image_resolve(pod->agent->images, pi->image, &image, NULL) == 0,
        .pulled = pi->pulled,
        .pulling = pi->wait != NULL,
        .now = now_monotonic_usec(),
        .next_at = pi->next_at,
    };
    switch (image_step(&view)) {
    case IMAGE_STEP_USE:
        if (!pi->told_present)
            agent_event(pod, pi->container, "Normal", "Pulled", "Container image \"%s\" already present on machine",
                        pi->image);
        pi->told_present = true;
        pi->told_missing = false;
        (void) json_del(&pod->images_waiting, pi->container);
        return 0;
    case IMAGE_STEP_PULL:
        pull(pi, &reference);
        break;
    case IMAGE_STEP_WAIT:
        break;
    case IMAGE_STEP_BACK_OFF:
        back_off(pi, view.now, view.present);
        break;
    case IMAGE_STEP_MISSING:
        missing(pi);
        break;
    }
    return -EAGAIN;
}

void pod_images_ask(struct agent_pod *pod) {
    static const char *const lists[] = {"initContainers", "containers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *containers = json_path(pod->desired, "spec", lists[l]);
        for (size_t i = 0; i < json_len(containers); i++)
            (void) look(pod_image_of(pod, json_at(containers, i)), json_at(containers, i));
    }
}

bool pod_image_is_coming(const struct agent_pod *pod, const char *container) {
    const struct pod_image *pi = pod->images ? hashmap_get(pod->images, container) : NULL;

    return pi && pi->wait;
}

int pod_image_take(struct agent_pod *pod, const struct json *container, struct image *ret,
                   struct pod_problem *problem) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct pod_image *pi = pod_image_of(pod, container);

    int r = look(pi, container);
    if (r == 0)
        r = image_resolve_pinned(pod->agent->images, pi->image, pod->uid, ret, &err);
    if (r == 0 || r == -EAGAIN)
        return r;
    if (r != -ENOENT) /* it is here and cannot be pinned: a full disk */
        return pod_problem_set(problem, "CreateContainerError", pi->container, "%s", error_text(&err, r));
    pi->pulled = pi->told_present = false;
    (void) (look(pi, container) < 0);
    return -EAGAIN;
}

uint64_t pod_images_retry_at(const struct agent_pod *pod) {
    struct hashmap_iter it = {0};
    uint64_t at = UINT64_MAX;

    while (pod->images && hashmap_next(pod->images, &it)) {
        const struct pod_image *pi = it.value;
        if (pi->wait || pi->failures == 0)
            continue;
        uint64_t next = pi->told_back_off ? pi->next_at : pi->failed_at + SHOW_ERROR_USEC;
        if (next < at)
            at = next;
    }
    return at;
}

const struct json *pod_images_waiting(const struct agent_pod *pod) {
    return json_len(pod->images_waiting) ? pod->images_waiting : NULL;
}

void pod_images_started(struct agent_pod *pod) {
    pod_images_forget(pod);
}

void pod_images_forget(struct agent_pod *pod) {
    hashmap_free(steal(&pod->images));
    json_unref(steal(&pod->images_waiting));
}
