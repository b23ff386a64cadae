/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/static_pods.h"

#include <errno.h>
#include <string.h>

#include "orchestrator/manifest/watch_dir.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/log.h"

struct static_pods {
    struct agent *agent;
    char *dir, *node_name;
    struct watch_dir *watch;
    struct hashmap *told; /* problems that were logged */
};

/* Its uid: the same as long as node, file and content are, so that an agent that starts again finds its pods. */
static char *make_uid(const struct json *doc, const char *file, const char *node) {
    _cleanup_free_ char *body = json_to_text(doc), *text = xasprintf("%s\n%s\n%s", node, file, body);
    uint64_t a = fnv1a(text, strlen(text)), b = fnv1a(text, strlen(text) / 2) ^ (a * 0x9e3779b97f4a7c15ull);

    return xasprintf("%016llx%016llx", (unsigned long long) a, (unsigned long long) b);
}

static void set_meta(struct json **doc, const char *member, const char *value) {
    json_set_path(doc, json_string(value), "metadata", member);
}

static void annotate(struct json **doc, const char *name, const char *value) {
    json_set_path(doc, json_string(value), "metadata", "annotations", name);
}

/* Whatever happens to the node, its own pods stay. */
static void tolerate_all(struct json **doc) {
    struct json *t = json_object();

    json_set(&t, "operator", json_string("Exists"));
    json_set(&t, "effect", json_string("NoExecute"));
    json_append(json_edit(json_edit(doc, "spec"), "tolerations"), t);
}

static void identify(struct json **doc, const char *uid, const char *node, uint64_t now) {
    _cleanup_free_ char *name = xasprintf("%s-%s", json_str_or(json_path(*doc, "metadata", "name"), ""), node);
    char text[TIMESTAMP_SIZE];

    timestamp_format(now, text);
    set_meta(doc, "name", name);
    if (!*json_str_or(json_path(*doc, "metadata", "namespace"), ""))
        set_meta(doc, "namespace", "default");
    set_meta(doc, "uid", uid);
    set_meta(doc, "creationTimestamp", text);
    annotate(doc, "kubernetes.io/config.source", "file");
    annotate(doc, "kubernetes.io/config.hash", uid);
    annotate(doc, "kubernetes.io/config.seen", text);
    json_set_path(doc, json_string(node), "spec", "nodeName");
    tolerate_all(doc);
}

static bool is_pod(const struct json *doc) {
    return strcmp(json_str_or(json_get(doc, "apiVersion"), ""), "v1") == 0 &&
           strcmp(json_str_or(json_get(doc, "kind"), ""), "Pod") == 0;
}

struct json *static_pod_make(const struct json *doc, const char *file, const char *node_name, uint64_t now,
                             struct error *err) {
    const struct resource *pods = resource_by_plural("", "v1", "pods");
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *pod = json_ref(doc);

    if (!is_pod(doc)) {
        (void) error_set(err, -EINVAL, "only v1 Pods can be static, this is %s %s",
                         json_str_or(json_get(doc, "apiVersion"), "?"), json_str_or(json_get(doc, "kind"), "?"));
        return NULL;
    }
    if (schema_decode(type_of_kind("v1", "Pod"), &pod, NULL, err) < 0)
        return NULL;
    _cleanup_free_ char *uid = make_uid(pod, file, node_name);
    schema_default("v1", "Pod", &pod);
    identify(&pod, uid, node_name, now);
    strategy_prepare_create(pods, &pod);
    validate_create(pods, pod, &errors);
    if (errors.n > 0) {
        _cleanup_free_ char *why =
            field_errors_message(&errors, "Pod", "", json_str_or(json_path(pod, "metadata", "name"), ""));
        (void) error_set(err, -EINVAL, "%s", why);
        return NULL;
    }
    return steal(&pod);
}

static void complain(struct static_pods *s, const char *file, const char *why) {
    _cleanup_free_ char *text = xasprintf("%s/%s: %s", s->dir, file, why);

    if (!hashmap_has(s->told, text))
        log_warning("static pod: %s", text);
    hashmap_put(s->told, text, NULL);
}

static void apply(struct static_pods *s, const struct manifest_object *object, char ***uids) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *pod =
        static_pod_make(object->doc, object->file, s->node_name, now_realtime_usec(), &err);

    if (!pod || agent_apply_static_pod(s->agent, pod, &err) < 0) {
        complain(s, object->file, error_text(&err, -EINVAL));
        return;
    }
    strv_push_dup(uids, json_str(json_path(pod, "metadata", "uid")));
}

static void on_changed(void *userdata, const struct manifest_set *set) {
    struct static_pods *s = userdata;
    _cleanup_strv_ char **uids = strv_new();

    for (size_t i = 0; i < set->n_problems; i++)
        complain(s, set->problems[i].file, set->problems[i].text);
    if (set->missing) /* what it asks for is not known: as with a manifest folder that goes, nothing is ended */
        return;
    for (size_t i = 0; i < set->n_objects; i++)
        apply(s, &set->objects[i], &uids);
    agent_retain_static_pods(s->agent, uids);
}

int static_pods_new(sd_event *loop, const char *dir, const char *node_name, struct agent *agent,
                    struct static_pods **ret, struct error *err) {
    struct static_pods *s = xnew0(struct static_pods);

    s->agent = agent;
    s->dir = xstrdup(dir);
    s->node_name = xstrdup(node_name);
    s->told = hashmap_new(NULL);
    int r = watch_dir_new(loop, dir, on_changed, s, &s->watch, err);
    if (r < 0) {
        static_pods_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void static_pods_free(struct static_pods *s) {
    if (!s)
        return;
    watch_dir_free(s->watch);
    hashmap_free(s->told);
    free(s->dir);
    free(s->node_name);
    free(s);
}
