/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/contents.h"

#include <string.h>
#include <sys/utsname.h>

#include "orchestrator/images/manifest.h"
#include "orchestrator/images/reference.h"
#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"

#define OS_WANTED IMAGE_OS

struct reading {
    struct image_source *source;
    const char *path, *name_override;
    const char *architecture;
    struct image_contents *out;
};

static void found_image_finish(struct found_image *image) {
    free(image->digest);
    free(image->config_digest);
    strv_free(image->names);
    json_unref(image->document);
    for (size_t i = 0; i < image->n_layers; i++) {
        free(image->layers[i].file);
        free(image->layers[i].digest);
        free(image->layers[i].diff_id);
    }
    free(image->layers);
    *image = (struct found_image){0};
}

void image_contents_finish(struct image_contents *contents) {
    for (size_t i = 0; i < contents->n; i++)
        found_image_finish(&contents->items[i]);
    free(contents->items);
    *contents = (struct image_contents){0};
}

const char *image_machine_architecture(struct utsname *name) {
    static const char *const known[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"},   {"armv7l", "arm"},
        {"armv6l", "arm"},   {"i686", "386"},        {"ppc64le", "ppc64le"},
        {"s390x", "s390x"},  {"riscv64", "riscv64"}, {"loongarch64", "loong64"},
    };

    if (uname(name) < 0)
        return "unknown";
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i][0], name->machine) == 0)
            return known[i][1];
    return name->machine;
}

/* --- names --- */

/* "/x/nginx.tar.gz" → "nginx". */
static char *base_name(const char *path) {
    static const char *const suffixes[] = {".gz", ".zst", ".xz", ".tgz", ".tar", ".oci"};
    _cleanup_free_ char *copy = xstrdup(path);
    size_t n = strlen(copy);

    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = 0;
    char *name = strrchr(copy, '/');
    name = name ? name + 1 : copy;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        size_t len = strlen(name), cut = strlen(suffixes[i]);
        if (len > cut && strcmp(name + len - cut, suffixes[i]) == 0)
            name[len - cut] = 0;
    }
    return xstrdup(name);
}

static int push_name(char ***names, const char *text, struct error *err) {
    _cleanup_(image_reference_finish) struct image_reference reference = {0};

    int r = image_reference_parse(text, &reference, err);
    if (r < 0)
        return r;
    if (reference.digest)
        return error_set(err, -EINVAL, "image name \"%s\": a name to import under has a tag, not a digest", text);
    strv_push(names, image_reference_format(&reference));
    return 0;
}

/* The name of an image for which the source says `said` (a full reference, a bare tag, or NULL). */
static int name_image(const struct reading *reading, const char *said, char ***names, struct error *err) {
    if (reading->name_override && !*reading->name_override)
        return 0;
    if (reading->name_override)
        return push_name(names, reading->name_override, err);
    if (said && strpbrk(said, "/:"))
        return push_name(names, said, err);
    _cleanup_free_ char *base = base_name(reading->path);
    _cleanup_free_ char *text = xasprintf("%s:%s", base, said ? said : "latest");
    int r = push_name(names, text, NULL);
    return r < 0 ? error_set(err, r, "%s does not say what its image is called; give a name", reading->path) : 0;
}

/* --- documents --- */

static char *blob_file(const char *digest) {
    return xasprintf("blobs/sha256/%s", store_hex(digest));
}

static int read_blob(const struct reading *reading, const struct image_descriptor *descriptor, struct strbuf *out,
                     struct error *err) {
    _cleanup_free_ char *file = blob_file(descriptor->digest);
    char digest[IMAGE_DIGEST_SIZE];

    if (descriptor->size > IMAGE_MANIFEST_BYTES_MAX)
        return error_set(err, -EFBIG, "%s: document %s of more than %u bytes", reading->path, descriptor->digest,
                         IMAGE_MANIFEST_BYTES_MAX);
    int r = image_source_read(reading->source, file, out, err);
    if (r < 0)
        return r;
    store_digest(out->data, out->len, digest);
    if (out->len != descriptor->size || strcmp(digest, descriptor->digest) != 0)
        return error_set(err, -EBADMSG, "%s: document %s is damaged or forged (its digest is %s)", reading->path,
                         descriptor->digest, digest);
    return 0;
}

static int check_platform(const struct reading *reading, const struct json *document, struct error *err) {
    const char *os = json_str_or(json_get(document, "os"), OS_WANTED);
    const char *architecture = json_str_or(json_get(document, "architecture"), reading->architecture);

    if (strcmp(os, OS_WANTED) == 0 && strcmp(architecture, reading->architecture) == 0)
        return 0;
    return error_set(err, -ENOTSUP, "%s: the image is for %.32s/%.32s, this machine is %s/%s", reading->path, os,
                     architecture, OS_WANTED, reading->architecture);
}

static struct found_image *add_image(const struct reading *reading) {
    struct image_contents *out = reading->out;

    xgrow(&out->items, out->n, &out->cap);
    struct found_image *image = &out->items[out->n++];
    *image = (struct found_image){.names = strv_new()};
    return image;
}

static void drop_last_image(const struct reading *reading) {
    found_image_finish(&reading->out->items[--reading->out->n]);
}

/* --- OCI --- */

/* Follows indexes down to the manifest for this machine. Fills bytes and *ret_digest. */
static int find_manifest(const struct reading *reading, const struct image_descriptor *start, struct strbuf *bytes,
                         char **ret_digest, struct error *err) {
    _cleanup_(image_descriptors_finish) struct image_descriptors list = {0};
    const struct image_descriptor *at = start;

    for (unsigned depth = 0; depth <= IMAGE_INDEX_DEPTH_MAX; depth++) {
        strbuf_reset(bytes);
        int r = read_blob(reading, at, bytes, err);
        if (r < 0)
            return r;
        if (!image_document_is_index(bytes->data, bytes->len)) {
            *ret_digest = xstrdup(at->digest);
            return 0;
        }
        image_descriptors_finish(&list);
        r = image_index_parse(bytes->data, bytes->len, &list, err);
        if (r < 0)
            return r;
        _cleanup_free_ const struct image_descriptor **items = xcalloc(list.n + 1, sizeof(*items));
        for (size_t i = 0; i < list.n; i++)
            items[i] = &list.items[i];
        at = image_descriptor_choose(items, list.n, OS_WANTED, reading->architecture);
        if (!at)
            return error_set(err, -ENOTSUP, "%s has no image for %s/%s", reading->path, OS_WANTED,
                             reading->architecture);
    }
    return error_set(err, -EINVAL, "%s: indexes nested more than %u deep", reading->path, IMAGE_INDEX_DEPTH_MAX);
}

static int fill_oci(const struct reading *reading, const struct image_descriptor *descriptor, struct found_image *image,
                    struct error *err) {
    _cleanup_(image_manifest_finish) struct image_manifest manifest = {0};
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT, config = STRBUF_INIT;
    _cleanup_strv_ char **diff_ids = NULL;

    int r = find_manifest(reading, descriptor, &bytes, &image->digest, err);
    if (r >= 0)
        r = image_manifest_parse(bytes.data, bytes.len, &manifest, err);
    if (r >= 0)
        r = read_blob(reading, &manifest.config, &config, err);
    if (r >= 0)
        r = image_config_parse(config.data, config.len, &image->document, &diff_ids, err);
    if (r >= 0)
        r = check_platform(reading, image->document, err);
    if (r < 0)
        return r;
    if (strv_len(diff_ids) != manifest.layers.n)
        return error_set(err, -EINVAL, "%s: %zu layers in the manifest, %zu in the configuration", reading->path,
                         manifest.layers.n, strv_len(diff_ids));
    image->config_digest = steal(&manifest.config.digest);
    image->layers = xcalloc(manifest.layers.n + 1, sizeof(*image->layers));
    for (size_t i = 0; i < manifest.layers.n; i++)
        image->layers[image->n_layers++] = (struct found_layer){
            .file = blob_file(manifest.layers.items[i].digest),
            .digest = xstrdup(manifest.layers.items[i].digest),
            .size = manifest.layers.items[i].size,
            .diff_id = xstrdup(diff_ids[i]),
        };
    return 0;
}

static bool same_name(const struct image_descriptor *a, const struct image_descriptor *b) {
    return a->name && b->name ? strcmp(a->name, b->name) == 0 : a->name == b->name;
}

/* The image among the entries of one name, of which index->items[first] is the first. */
static int read_group(const struct reading *reading, const struct image_descriptors *index, size_t first,
                      struct error *err) {
    _cleanup_free_ const struct image_descriptor **items = xcalloc(index->n, sizeof(*items));
    size_t n = 0;

    for (size_t i = first; i < index->n; i++)
        if (same_name(&index->items[i], &index->items[first]))
            items[n++] = &index->items[i];
    const struct image_descriptor *chosen = image_descriptor_choose(items, n, OS_WANTED, reading->architecture);
    if (!chosen)
        return error_set(err, -ENOTSUP, "%s has no image for %s/%s", reading->path, OS_WANTED, reading->architecture);
    struct found_image *image = add_image(reading);
    int r = fill_oci(reading, chosen, image, err);
    if (r >= 0)
        r = name_image(reading, chosen->name, &image->names, err);
    if (r < 0)
        drop_last_image(reading);
    return r;
}

static int read_oci(const struct reading *reading, struct error *err) {
    _cleanup_(image_descriptors_finish) struct image_descriptors index = {0};
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;
    int skipped = 0;

    int r = image_source_read(reading->source, "index.json", &bytes, err);
    if (r >= 0)
        r = image_index_parse(bytes.data, bytes.len, &index, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < index.n; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = same_name(&index.items[k], &index.items[i]);
        if (seen)
            continue;
        r = read_group(reading, &index, i, err);
        if (r == -ENOTSUP)
            skipped = r; /* fine as long as another image can be taken */
        else if (r < 0)
            return r;
    }
    if (reading->out->n > 0) {
        error_clear(err);
        return 0;
    }
    return skipped ? skipped : error_set(err, -EINVAL, "%s holds no image", reading->path);
}

/* --- docker archives --- */

static int fill_docker(const struct reading *reading, const struct image_docker_entry *entry, struct found_image *image,
                       struct error *err) {
    _cleanup_strbuf_ struct strbuf config = STRBUF_INIT;
    _cleanup_strv_ char **diff_ids = NULL;
    char digest[IMAGE_DIGEST_SIZE];

    int r = image_source_read(reading->source, entry->config, &config, err);
    if (r >= 0)
        r = image_config_parse(config.data, config.len, &image->document, &diff_ids, err);
    if (r >= 0)
        r = check_platform(reading, image->document, err);
    if (r < 0)
        return r;
    size_t n = strv_len(entry->layer_paths);
    if (strv_len(diff_ids) != n)
        return error_set(err, -EINVAL, "%s: %zu layers in manifest.json, %zu in the configuration", reading->path, n,
                         strv_len(diff_ids));
    store_digest(config.data, config.len, digest);
    image->digest = xstrdup(digest);
    image->config_digest = xstrdup(digest);
    image->layers = xcalloc(n + 1, sizeof(*image->layers));
    for (size_t i = 0; i < n; i++)
        image->layers[image->n_layers++] = (struct found_layer){
            .file = xstrdup(entry->layer_paths[i]), .size = UINT64_MAX, .diff_id = xstrdup(diff_ids[i])};
    for (size_t i = 0; !reading->name_override && i < strv_len(entry->names); i++)
        if ((r = push_name(&image->names, entry->names[i], err)) < 0)
            return r;
    return strv_len(image->names) ? 0 : name_image(reading, NULL, &image->names, err);
}

static int read_docker(const struct reading *reading, struct error *err) {
    _cleanup_(image_docker_manifest_finish) struct image_docker_manifest manifest = {0};
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;

    int r = image_source_read(reading->source, "manifest.json", &bytes, err);
    if (r >= 0)
        r = image_docker_manifest_parse(bytes.data, bytes.len, &manifest, err);
    for (size_t i = 0; r >= 0 && i < manifest.n; i++)
        r = fill_docker(reading, &manifest.items[i], add_image(reading), err);
    return r;
}

int image_contents_read(struct image_source *source, const char *path, const char *name_override,
                        struct image_contents *ret, struct error *err) {
    _cleanup_(image_contents_finish) struct image_contents out = {0};
    struct utsname name;
    struct reading reading = {.source = source,
                              .path = path,
                              .name_override = name_override,
                              .architecture = image_machine_architecture(&name),
                              .out = &out};
    int r;

    if (image_source_has(source, "index.json")) /* `docker save` writes both forms; this one has the real digests */
        r = read_oci(&reading, err);
    else if (image_source_has(source, "manifest.json"))
        r = read_docker(&reading, err);
    else
        r = error_set(err, -EINVAL,
                      "%s is no container image: it has neither index.json (OCI layout) nor "
                      "manifest.json (docker archive)",
                      path);
    if (r < 0)
        return r;
    if (name_override && out.n > 1)
        return error_set(err, -EINVAL, "%s holds %zu images; one name cannot be given to all", path, out.n);
    *ret = out;
    out = (struct image_contents){0};
    return 0;
}
