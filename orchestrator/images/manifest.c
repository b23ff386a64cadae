/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/manifest.h"

#include <string.h>

#include "orchestrator/images/images.h"
#include "podium/base/alloc.h"

static void descriptor_finish(struct image_descriptor *d) {
    free(d->media_type);
    free(d->digest);
    free(d->os);
    free(d->architecture);
    free(d->name);
    *d = (struct image_descriptor){0};
}

void image_descriptors_finish(struct image_descriptors *list) {
    for (size_t i = 0; i < list->n; i++)
        descriptor_finish(&list->items[i]);
    free(list->items);
    *list = (struct image_descriptors){0};
}

void image_manifest_finish(struct image_manifest *manifest) {
    descriptor_finish(&manifest->config);
    image_descriptors_finish(&manifest->layers);
}

void image_docker_manifest_finish(struct image_docker_manifest *manifest) {
    for (size_t i = 0; i < manifest->n; i++) {
        free(manifest->items[i].config);
        strv_free(manifest->items[i].names);
        strv_free(manifest->items[i].layer_paths);
    }
    free(manifest->items);
    *manifest = (struct image_docker_manifest){0};
}

bool image_digest_is_valid(const char *digest) {
    return digest && strncmp(digest, "sha256:", 7) == 0 && strlen(digest) == 71 &&
           strspn(digest + 7, "0123456789abcdef") == 64;
}

/* JSON of limited size whose strings hold no NUL where it matters (json_str() stops there; digests and paths are then
 * simply other, valid or invalid, strings). */
static int parse(const char *bytes, size_t n, const char *what, struct json **ret, struct error *err) {
    struct json_parse_options options = {.bytes_max = IMAGE_MANIFEST_BYTES_MAX};

    if (n > IMAGE_MANIFEST_BYTES_MAX)
        return error_set(err, -EFBIG, "%s is larger than %u bytes", what, IMAGE_MANIFEST_BYTES_MAX);
    int r = json_parse(bytes, n, &options, ret, err);
    return r < 0 ? error_prefix(err, r, "%s", what) : 0;
}

static int check_digest(const struct json *value, const char *what, struct error *err) {
    const char *digest = json_str(value);

    if (!digest)
        return error_set(err, -EINVAL, "%s has no digest", what);
    if (image_digest_is_valid(digest))
        return 0;
    if (strncmp(digest, "sha256:", 7) != 0 && strchr(digest, ':') && strlen(digest) < 160)
        return error_set(err, -ENOTSUP, "%s: digest algorithm of \"%s\" is not supported, only sha256", what, digest);
    return error_set(err, -EINVAL, "%s has a malformed digest", what);
}

static char *dup_or_null(const struct json *v) {
    const char *s = json_str(v);
    return s ? xstrdup(s) : NULL;
}

static int descriptor_parse(const struct json *v, const char *what, struct image_descriptor *ret, struct error *err) {
    const struct json *annotations = json_get(v, "annotations"), *platform = json_get(v, "platform");

    if (!json_is_object(v))
        return error_set(err, -EINVAL, "%s is no object", what);
    int r = check_digest(json_get(v, "digest"), what, err);
    if (r < 0)
        return r;
    int64_t size = json_int_or(json_get(v, "size"), -1);
    if (size < 0)
        return error_set(err, -EINVAL, "%s has no size", what);
    const struct json *name = json_get(annotations, "io.containerd.image.name");
    if (!json_is_string(name))
        name = json_get(annotations, "org.opencontainers.image.ref.name");
    *ret = (struct image_descriptor){
        .media_type = xstrdup(json_str_or(json_get(v, "mediaType"), "")),
        .digest = xstrdup(json_str(json_get(v, "digest"))),
        .size = (uint64_t) size,
        .os = dup_or_null(json_get(platform, "os")),
        .architecture = dup_or_null(json_get(platform, "architecture")),
        .name = dup_or_null(name),
    };
    return 0;
}

static int descriptors_parse(const struct json *array, const char *what, struct image_descriptors *ret,
                             struct error *err) {
    size_t n = json_len(array);
    struct image_descriptors list = {.items = xcalloc(n + 1, sizeof(*list.items))};

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *item = xasprintf("%s[%zu]", what, i);
        int r = descriptor_parse(json_at(array, i), item, &list.items[list.n], err);
        if (r < 0) {
            image_descriptors_finish(&list);
            return r;
        }
        list.n++;
    }
    *ret = list;
    return 0;
}

bool image_document_is_index(const char *bytes, size_t n) {
    _cleanup_json_ struct json *v = NULL;

    return parse(bytes, n, "document", &v, NULL) == 0 && json_is_array(json_get(v, "manifests"));
}

/* A document that is an index to one reader and a manifest to another must not exist (CVE-2021-41190). */
static int check_kind(const struct json *v, const char *wanted, const char *not_wanted, struct error *err) {
    if (!json_is_array(json_get(v, wanted)))
        return error_set(err, -EINVAL, "no \"%s\" array: not an OCI or Docker schema 2 document", wanted);
    if (json_get(v, not_wanted))
        return error_set(err, -EINVAL, "both \"manifests\" and \"layers\": ambiguous document refused");
    return 0;
}

int image_index_parse(const char *bytes, size_t n, struct image_descriptors *ret, struct error *err) {
    _cleanup_json_ struct json *v = NULL;

    int r = parse(bytes, n, "image index", &v, err);
    if (r >= 0)
        r = check_kind(v, "manifests", "layers", err);
    return r < 0 ? r : descriptors_parse(json_get(v, "manifests"), "manifests", ret, err);
}

static bool is_layer_type(const char *type) {
    static const char *const known[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t n = strlen(known[i]);
        if (strncmp(type, known[i], n) == 0 && (type[n] == 0 || type[n] == '+' || type[n] == '.'))
            return true;
    }
    return *type == 0;
}

int image_manifest_parse(const char *bytes, size_t n, struct image_manifest *ret, struct error *err) {
    _cleanup_json_ struct json *v = NULL;
    struct image_manifest out = {0};

    int r = parse(bytes, n, "image manifest", &v, err);
    if (r >= 0)
        r = check_kind(v, "layers", "manifests", err);
    if (r >= 0 && json_len(json_get(v, "layers")) > IMAGE_LAYERS_MAX)
        r = error_set(err, -EFBIG, "image has more than %u layers", IMAGE_LAYERS_MAX);
    if (r >= 0)
        r = descriptor_parse(json_get(v, "config"), "config", &out.config, err);
    if (r >= 0)
        r = descriptors_parse(json_get(v, "layers"), "layers", &out.layers, err);
    for (size_t i = 0; r >= 0 && i < out.layers.n; i++)
        if (!is_layer_type(out.layers.items[i].media_type))
            r = error_set(err, -ENOTSUP, "layers[%zu] is a \"%.128s\", no file system layer: not a container image", i,
                          out.layers.items[i].media_type);
    if (r < 0) {
        image_manifest_finish(&out);
        return r;
    }
    *ret = out;
    return 0;
}

static int strings_parse(const struct json *array, const char *what, char ***ret, struct error *err) {
    size_t n = json_len(array);

    if (!json_is_array(array) && !json_is_null(array))
        return error_set(err, -EINVAL, "%s is no array", what);
    char **v = xcalloc(n + 1, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        const char *s = json_str(json_at(array, i));
        if (!s) {
            strv_free(v);
            return error_set(err, -EINVAL, "%s[%zu] is no string", what, i);
        }
        v[i] = xstrdup(s);
    }
    *ret = v;
    return 0;
}

static int docker_entry_parse(const struct json *v, struct image_docker_entry *ret, struct error *err) {
    const char *config = json_str(json_get(v, "Config"));

    if (!config)
        return error_set(err, -EINVAL, "an image without \"Config\"");
    if (json_len(json_get(v, "Layers")) > IMAGE_LAYERS_MAX)
        return error_set(err, -EFBIG, "image has more than %u layers", IMAGE_LAYERS_MAX);
    ret->config = xstrdup(config);
    int r = strings_parse(json_get(v, "RepoTags"), "RepoTags", &ret->names, err);
    return r < 0 ? r : strings_parse(json_get(v, "Layers"), "Layers", &ret->layer_paths, err);
}

int image_docker_manifest_parse(const char *bytes, size_t n, struct image_docker_manifest *ret, struct error *err) {
    _cleanup_json_ struct json *v = NULL;
    _cleanup_(image_docker_manifest_finish) struct image_docker_manifest out = {0};

    int r = parse(bytes, n, "manifest.json", &v, err);
    if (r < 0)
        return r;
    if (!json_is_array(v) || json_len(v) == 0)
        return error_set(err, -EINVAL, "manifest.json: not a list of images");
    out.items = xcalloc(json_len(v), sizeof(*out.items));
    for (size_t i = 0; i < json_len(v); i++) {
        out.n++;
        r = docker_entry_parse(json_at(v, i), &out.items[i], err);
        if (r < 0)
            return error_prefix(err, r, "manifest.json");
    }
    *ret = out;
    out = (struct image_docker_manifest){0};
    return 0;
}

static int config_member_check(const struct json *config, struct error *err) {
    static const char *const vectors[] = {"Entrypoint", "Cmd", "Env"};
    static const char *const strings[] = {"WorkingDir", "User", "StopSignal"};
    static const char *const objects[] = {"ExposedPorts", "Volumes", "Labels"};

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        char **v = NULL;
        int r = strings_parse(json_get(config, vectors[i]), vectors[i], &v, err);
        if (r < 0)
            return r;
        strv_free(v);
    }
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        const struct json *v = json_get(config, strings[i]);
        if (!json_is_null(v) && !json_is_string(v))
            return error_set(err, -EINVAL, "%s is no string", strings[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        const struct json *v = json_get(config, objects[i]);
        if (!json_is_null(v) && !json_is_object(v))
            return error_set(err, -EINVAL, "%s is no object", objects[i]);
    }
    return 0;
}

int image_config_parse(const char *bytes, size_t n, struct json **ret, char ***ret_diff_ids, struct error *err) {
    _cleanup_json_ struct json *v = NULL;
    _cleanup_strv_ char **diff_ids = NULL;

    int r = parse(bytes, n, "image configuration", &v, err);
    if (r < 0)
        return r;
    const struct json *ids = json_path(v, "rootfs", "diff_ids"), *config = json_get(v, "config");
    if (!json_is_object(v) || !json_is_array(ids))
        return error_set(err, -EINVAL, "image configuration without rootfs.diff_ids: not a container image");
    if (json_len(ids) > IMAGE_LAYERS_MAX)
        return error_set(err, -EFBIG, "image has more than %u layers", IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < json_len(ids); i++)
        if ((r = check_digest(json_at(ids, i), "rootfs.diff_ids", err)) < 0)
            return r;
    if (!json_is_null(config) && !json_is_object(config))
        return error_set(err, -EINVAL, "image configuration: config is no object");
    r = config_member_check(config, err);
    if (r < 0)
        return error_prefix(err, r, "image configuration: config");
    r = strings_parse(ids, "rootfs.diff_ids", &diff_ids, err);
    if (r < 0)
        return r;
    *ret = steal(&v);
    *ret_diff_ids = steal(&diff_ids);
    return 0;
}

const struct image_descriptor *image_descriptor_choose(const struct image_descriptor *const *items, size_t n,
                                                       const char *os, const char *architecture) {
    const struct image_descriptor *unspecified = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct image_descriptor *d = items[i];
        if (!d->architecture && !unspecified)
            unspecified = d;
        if (d->architecture && strcmp(d->architecture, architecture) == 0 && (!d->os || strcmp(d->os, os) == 0))
            return d;
    }
    return unspecified;
}
