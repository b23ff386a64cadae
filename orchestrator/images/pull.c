/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/pull.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "orchestrator/images/contents.h"
#include "orchestrator/images/credentials.h"
#include "orchestrator/images/manifest.h"
#include "orchestrator/images/reference.h"
#include "orchestrator/images/store.h"
#include "orchestrator/images/transport.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define CONFIG_DIR_DEFAULT "/etc/podium"
#define AUTH_BYTES_MAX     (1024u * 1024u)
#define RESERVE_PERCENT    5 /* of the file system, left alone */

struct pull {
    struct image_store *store;
    const struct image_pull_options *options;
    struct image_reference reference;
    struct image_transport transport;
    struct image_label label;
    char *label_name, *repo_digest;
    char *digest; /* of the manifest for this machine */
    struct strbuf manifest_bytes, config_bytes;
    struct image_manifest manifest;
    char **diff_ids;
    char tmp[17], *dir;
    int tmpfd;
    uint64_t missing_bytes;
    size_t missing, layers;
};

void image_pull_result_finish(struct image_pull_result *result) {
    free(result->digest);
    *result = (struct image_pull_result){0};
}

static void pull_finish(struct pull *p) {
    if (p->tmpfd >= 0) {
        (void) rm_tree_at(p->store->tmpfd, p->tmp, NULL);
        closep(&p->tmpfd);
    }
    image_reference_finish(&p->reference);
    image_manifest_finish(&p->manifest);
    strbuf_finish(&p->manifest_bytes);
    strbuf_finish(&p->config_bytes);
    strv_free(p->diff_ids);
    free(p->label_name);
    free(p->repo_digest);
    free(p->digest);
    free(p->dir);
}

static char *by_digest(const struct pull *p, const char *digest) {
    return xasprintf("%s@%s", p->reference.repository, digest);
}

/* --- what the registry says --- */

static int check_digest(const struct strbuf *bytes, const char *wanted, const char *what, struct error *err) {
    char digest[IMAGE_DIGEST_SIZE];

    store_digest(bytes->data ? bytes->data : "", bytes->len, digest);
    if (strcmp(digest, wanted) == 0)
        return 0;
    return error_set(err, -EBADMSG, "the registry's %s has the digest %s, not %s: damaged or forged", what, digest,
                     wanted);
}

/* The digest of an image here that is this very manifest or was pulled by this index. */
static char *known_image(const struct pull *p, const char *digest) {
    _cleanup_(image_finish) struct image image = {0};
    _cleanup_free_ char *repo_digest = by_digest(p, digest);

    if (image_resolve(p->store, repo_digest, &image, NULL) < 0 && image_resolve(p->store, digest, &image, NULL) < 0)
        return NULL;
    /* a docker archive of the same image goes by its configuration's digest: that is not this manifest */
    bool same = strcmp(image.digest, digest) == 0;
    for (char **d = image.repo_digests; !same && *d; d++)
        same = strcmp(*d, repo_digest) == 0;
    return same ? xstrdup(image.digest) : NULL;
}

/* Of an index, the manifest for this machine takes its place. */
static int choose_platform(struct pull *p, struct error *err) {
    for (unsigned depth = 0; image_document_is_index(p->manifest_bytes.data, p->manifest_bytes.len); depth++) {
        _cleanup_(image_descriptors_finish) struct image_descriptors list = {0};
        struct utsname name;
        const char *architecture = image_machine_architecture(&name);

        if (depth >= IMAGE_INDEX_DEPTH_MAX)
            return error_set(err, -EINVAL, "indexes nested more than %u deep", IMAGE_INDEX_DEPTH_MAX);
        int r = image_index_parse(p->manifest_bytes.data, p->manifest_bytes.len, &list, err);
        if (r < 0)
            return r;
        _cleanup_free_ const struct image_descriptor **items = xcalloc(list.n + 1, sizeof(*items));
        for (size_t i = 0; i < list.n; i++)
            items[i] = &list.items[i];
        const struct image_descriptor *chosen = image_descriptor_choose(items, list.n, IMAGE_OS, architecture);
        if (!chosen)
            return error_set(err, -ENOTSUP, "no match for platform in manifest: there is no image for %s/%s", IMAGE_OS,
                             architecture);
        _cleanup_free_ char *reference = by_digest(p, chosen->digest);
        strbuf_reset(&p->manifest_bytes);
        r = transport_manifest(&p->transport, reference, &p->manifest_bytes, err);
        if (r >= 0)
            r = check_digest(&p->manifest_bytes, chosen->digest, "manifest", err);
        if (r < 0)
            return r;
        free(p->digest);
        p->digest = xstrdup(chosen->digest);
    }
    return 0;
}

/* The manifest asked for; *known is an image here that it is. */
static int ask_manifest(struct pull *p, char **known, struct error *err) {
    _cleanup_free_ char *reference =
        p->reference.digest ? by_digest(p, p->reference.digest) : image_reference_format(&p->reference);
    char digest[IMAGE_DIGEST_SIZE];

    strbuf_reset(&p->manifest_bytes);
    int r = transport_manifest(&p->transport, reference, &p->manifest_bytes, err);
    if (r >= 0 && p->reference.digest)
        r = check_digest(&p->manifest_bytes, p->reference.digest, "manifest", err);
    if (r < 0)
        return r;
    store_digest(p->manifest_bytes.data ? p->manifest_bytes.data : "", p->manifest_bytes.len, digest);
    p->digest = xstrdup(digest);
    p->repo_digest = by_digest(p, digest);
    p->label.repo_digest = p->repo_digest;
    *known = known_image(p, digest);
    if (*known)
        return 0;
    r = choose_platform(p, err);
    if (r >= 0)
        *known = known_image(p, p->digest);
    return r;
}

static int ask_config(struct pull *p, struct error *err) {
    _cleanup_free_ char *reference = by_digest(p, p->digest);
    _cleanup_json_ struct json *document = NULL;

    int r = image_manifest_parse(p->manifest_bytes.data, p->manifest_bytes.len, &p->manifest, err);
    if (r >= 0)
        r = transport_config(&p->transport, reference, &p->config_bytes, err);
    if (r >= 0)
        r = check_digest(&p->config_bytes, p->manifest.config.digest, "image configuration", err);
    if (r >= 0)
        r = image_config_parse(p->config_bytes.data, p->config_bytes.len, &document, &p->diff_ids, err);
    if (r >= 0 && strv_len(p->diff_ids) != p->manifest.layers.n)
        r = error_set(err, -EINVAL, "%zu layers in the manifest, %zu in the configuration", p->manifest.layers.n,
                      strv_len(p->diff_ids));
    return r;
}

/* --- the layout the blobs come into --- */

static int write_blob(const struct pull *p, const char *digest, const struct strbuf *bytes, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/blobs/sha256/%s", p->dir, store_hex(digest));
    return file_write_atomic(path, bytes->data, bytes->len, 0600, false, err);
}

/* A hole of the layer's size: skopeo takes it for the layer and does not fetch it, the import never reads it. */
static int write_placeholder(const struct pull *p, const struct image_descriptor *layer, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/blobs/sha256/%s", p->dir, store_hex(layer->digest));
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || ftruncate(fd, (off_t) layer->size) < 0)
        return error_set_errno(err, -errno, "cannot write %s", path);
    return 0;
}

static int write_index(const struct pull *p, struct error *err) {
    _cleanup_json_ struct json *index = json_object(), *list = json_array();
    struct json *descriptor = json_object();

    json_set(&descriptor, "mediaType", json_string("application/vnd.oci.image.manifest.v1+json"));
    json_set(&descriptor, "digest", json_string(p->digest));
    json_set(&descriptor, "size", json_int((int64_t) p->manifest_bytes.len));
    (void) json_append(&list, descriptor);
    json_set(&index, "schemaVersion", json_int(2));
    json_set(&index, "manifests", json_ref(list));
    _cleanup_free_ char *text = json_to_text(index), *path = path_join(p->dir, "index.json");
    return file_write_atomic(path, text, strlen(text), 0600, false, err);
}

static int make_layout(struct pull *p, struct error *err) {
    int r = store_lock(p->store, err);

    if (r < 0)
        return r;
    p->tmpfd = store_tmp_new(p->store, p->tmp, err);
    store_unlock(p->store);
    if (p->tmpfd < 0)
        return p->tmpfd;
    p->dir = xasprintf("%s/tmp/%s", p->store->root, p->tmp);
    p->transport.tmp_dir = p->dir;
    _cleanup_free_ char *blobs = path_join(p->dir, "blobs/sha256");
    r = mkdir_parents(blobs, 0700, err);
    if (r >= 0)
        r = write_blob(p, p->digest, &p->manifest_bytes, err);
    if (r >= 0)
        r = write_blob(p, p->manifest.config.digest, &p->config_bytes, err);
    if (r >= 0)
        r = write_index(p, err);
    p->layers = p->manifest.layers.n;
    for (size_t i = 0; r >= 0 && i < p->layers; i++) {
        const struct image_descriptor *layer = &p->manifest.layers.items[i];
        if (image_layer_is_here(p->store, p->diff_ids[i])) {
            r = write_placeholder(p, layer, err);
        } else if (layer->size > INT64_MAX / IMAGE_LAYERS_MAX) {
            r = error_set(err, -EFBIG, "layer %s claims to have %llu bytes", layer->digest,
                          (unsigned long long) layer->size);
        } else {
            p->missing++;
            p->missing_bytes += layer->size;
        }
    }
    return r;
}

/* --- room --- */

/* What may still be written without taking the last of the file system. */
static int check_room(struct pull *p, struct error *err) {
    struct statvfs disk;

    if (fstatvfs(p->tmpfd, &disk) < 0)
        return error_set_errno(err, -errno, "cannot look at the file system of %s", p->store->root);
    uint64_t free_bytes = (uint64_t) disk.f_bavail * disk.f_frsize;
    uint64_t reserve = (uint64_t) disk.f_blocks * disk.f_frsize / 100 * RESERVE_PERCENT;
    uint64_t room = free_bytes > reserve ? free_bytes - reserve : 0;
    if (p->missing_bytes > room)
        return error_set(err, -ENOSPC,
                         "not enough room: the image has %llu bytes to download, %llu are free for images",
                         (unsigned long long) p->missing_bytes, (unsigned long long) room);
    struct image_limits *limits = &p->store->limits;
    if (room - p->missing_bytes < limits->image_bytes_max)
        limits->image_bytes_max = room - p->missing_bytes;
    return 0;
}

/* --- all of it --- */

static void tell_download(void *userdata, uint64_t bytes) {
    const struct pull *p = userdata;
    struct image_progress progress = {
        .what = "downloading", .bytes = bytes, .bytes_all = p->missing_bytes, .layers = p->missing};

    if (p->options->progress)
        p->options->progress(&progress, p->options->userdata);
}

static int download(struct pull *p, struct error *err) {
    _cleanup_free_ char *reference = by_digest(p, p->digest), *blobs = path_join(p->dir, "blobs");

    int r = check_room(p, err);
    if (r < 0 || p->missing == 0)
        return r;
    tell_download(p, 0);
    return transport_copy(&p->transport, reference, blobs, p->missing_bytes, tell_download, p, err);
}

static int fetch(struct pull *p, struct error *err) {
    int r = ask_config(p, err);

    if (r >= 0)
        r = make_layout(p, err);
    if (r >= 0)
        r = download(p, err);
    if (r >= 0)
        r = image_import_labelled(p->store, p->dir, &p->label, p->options->progress, p->options->userdata, NULL, err);
    if (r < 0 && err && err->text) { /* its temporary folder means nothing to anyone */
        char *at = p->dir ? strstr(err->text, p->dir) : NULL;
        if (at && at[strlen(p->dir)] == ':')
            memmove(at, at + strlen(p->dir) + 2, strlen(at + strlen(p->dir) + 2) + 1);
    }
    return r;
}

static int attempt(struct image_store *store, const char *reference, const struct image_pull_options *options,
                   const struct json *credentials, struct image_pull_result *ret, struct error *err) {
    _cleanup_(image_finish) struct image image = {0};
    _cleanup_(pull_finish) struct pull p = {.store = store, .options = options, .tmpfd = -EBADF};
    _cleanup_free_ char *known = NULL;

    int r = image_reference_parse(reference, &p.reference, err);
    if (r < 0)
        return r;
    if (!p.reference.digest)
        p.label_name = image_reference_format(&p.reference);
    p.label = (struct image_label){.name = p.label_name, .repository = p.reference.repository};
    p.transport = (struct image_transport){.skopeo = options->skopeo,
                                           .config_dir = options->config_dir,
                                           .tmp_dir = store->root,
                                           .stall_usec = options->stall_usec,
                                           .credentials = credentials,
                                           .repository = p.reference.repository};
    r = ask_manifest(&p, &known, err);
    if (r >= 0 && known && (r = image_add_label(store, known, &p.label, err)) == -ENOENT) {
        free(steal(&known)); /* removed this moment: as if it had never been here */
        error_clear(err);
        r = choose_platform(&p, err);
    }
    if (r >= 0 && !known)
        r = fetch(&p, err);
    if (r >= 0)
        r = image_resolve(store, known ? known : p.digest, &image, err);
    if (r < 0)
        return r;
    ret->digest = steal(&image.digest);
    ret->size_bytes = image.size_bytes;
    ret->is_new = !known;
    return 0;
}

/* The pod's credentials, then the node's own. */
static struct json *credentials_of(const char *reference, const struct image_pull_options *options) {
    _cleanup_(image_reference_finish) struct image_reference parsed = {0};
    _cleanup_free_ char *path = path_join(options->config_dir ? options->config_dir : CONFIG_DIR_DEFAULT, "auth.json");
    _cleanup_json_ struct json *all = options->credentials ? json_ref(options->credentials) : json_array();
    _cleanup_json_ struct json *list = NULL, *own = NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (image_reference_parse(reference, &parsed, NULL) < 0 || file_read(path, AUTH_BYTES_MAX, &text, NULL) < 0 ||
        image_credentials_add(&list, text.data, text.len, false, NULL) < 0)
        return steal(&all);
    own = image_credentials_for(list, parsed.repository);
    for (size_t i = 0; i < json_len(own); i++)
        (void) json_append(&all, json_ref(json_at(own, i)));
    return steal(&all);
}

int image_pull(struct image_store *store, const char *reference, const struct image_pull_options *options,
               struct image_pull_result *ret, struct error *err) {
    _cleanup_json_ struct json *credentials = credentials_of(reference, options);
    const struct image_limits before = store->limits;
    size_t n = json_len(credentials);
    int r = -EACCES;

    for (size_t i = 0; r == -EACCES && i < (n ? n : 1); i++) {
        error_clear(err);
        r = attempt(store, reference, options, json_at(credentials, i), ret, err);
        store->limits = before;
    }
    return r;
}
