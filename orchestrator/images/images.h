/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image store of a node: layers unpacked once per digest, ready to be overlayfs lower folders.
 *
 * What it is. A folder (default /var/lib/podium/images) on a real file system:
 *
 *     layers/<hex of diff_id>/   one unpacked layer, whiteouts in overlayfs form (character device 0:0;
 *                                trusted.overlay.opaque=y on opaque folders)
 *     images/<hex of digest>.json  one record per image: names, config, its layers
 *     layers/<hex>.size          its unpacked bytes; layers/<hex>.orphan: a hint that only pins keep it
 *     used/<hex of digest>       its modification time: when a pod last took the image or gave it back
 *     pins/<owner>               layers a pod uses, one hex digest a line
 *     tmp/                       imports in progress, each flock()ed by its process; swept at open
 *     lock                       flock(): held for the short moments that change what is above
 *
 * Invariants. A layer folder is complete or absent (unpacked in tmp/, synced, renamed); a record is written after all
 * its layers are there; so a crash leaves at most garbage, which image_collect() takes. What is in layers/ had both
 * its compressed digest (from the manifest) and its diff_id (from the config) verified. A layer is removed only when
 * no record and no pin names it. An image has one record; a name belongs to at most one image (importing another
 * image under the name moves it; the old image stays, nameless, until removed).
 *
 * Unpacking trusts nothing: every path is resolved inside the layer (openat2 RESOLVE_IN_ROOT), the last component
 * never followed; ".." is refused, a leading "/" dropped; hard links are resolved the same way. Device nodes are
 * left out, though others unpack them: a node's device number is a key to the host's hardware that would lie about in
 * the store, containers get their /dev from the runtime, and refusing the whole image would refuse old base images
 * that carry /dev/console and nothing worse. Fifos are kept, sockets left out. Extended attributes are kept
 * only if user.* or security.capability (never *.overlay.*). Whiteouts with unsafe names are refused.
 *
 * Limits (struct image_limits) stop archives that grow without end.
 *
 * Pins. A pod pins the layers it mounts *before* mounting and unpins when its mounts are gone:
 * image_resolve_pinned() looks up and pins under one lock, so no removal comes between. Removing an image in use
 * removes its record at once and its layers when the last pin goes. After a restart, image_pins_retain() drops the
 * pins of pods that no longer exist.
 *
 * Ownership. Structs are filled with heap members; image_finish() / image_list_free() release them.
 *
 * Errors. -ENOENT (no such image, file or blob), -EINVAL (malformed archive, manifest or reference), -EBADMSG (a
 * digest differs), -EFBIG (a limit), -ENOTSUP (other architecture, unknown media type or digest algorithm), -EPERM
 * (needs CAP_MKNOD and CAP_SYS_ADMIN for whiteouts), file errors. A failed import leaves nothing behind.
 *
 * Threads and processes. Several processes may use one store (agent and `podium image`); within a process one
 * image_store belongs to one thread at a time. Importing takes seconds: not for an event loop, fork or use a thread
 * with a store opened there (locks
 * are shared with a forked child otherwise). Everything else takes milliseconds. No forks, no chdir, umask untouched.
 */
#ifndef PODIUM_IMAGES_H
#define PODIUM_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

#define IMAGE_STORE_DEFAULT "/var/lib/podium/images"
#define IMAGE_MANIFEST_BYTES_MAX                                                                                       \
    (4u * 1024u * 1024u)               /* a manifest, index or config (registries refuse above 4 MiB)                  \
                                        */
#define IMAGE_LAYERS_MAX          500u /* overlayfs takes 500 lower folders (OVL_MAX_STACK) */
#define IMAGE_INDEX_DEPTH_MAX     4u   /* indexes naming indexes */
#define IMAGE_REFERENCE_BYTES_MAX 512u
#define IMAGE_DIGEST_SIZE         72 /* "sha256:" + 64 hex + NUL */

struct image_store;

struct image_limits {
    uint64_t image_bytes_max;   /* unpacked bytes of one import (default 64 GiB) */
    uint64_t archive_bytes_max; /* bytes of one archive, uncompressed (default 64 GiB) */
    uint64_t entries_max;       /* files, folders and links of one layer (default 2,000,000) */
    uint64_t ratio_max;         /* unpacked : compressed of one layer beyond its first 64 MiB (default 2000, above
                                   the 1030 that gzip can reach) */
};

/* The store at root (NULL: IMAGE_STORE_DEFAULT), its folders made if absent, leftovers of crashed imports removed. */
struct image_store *image_store_open(const char *root, struct error *err) _must_check_;
void image_store_close(struct image_store *store);
DEFINE_CLEANUP(struct image_store *, image_store_close)
void image_store_set_limits(struct image_store *store, const struct image_limits *limits); /* members 0: default */

/* --- images --- */

struct image {
    char *digest;        /* "sha256:…": of the manifest (OCI), of the config (docker archives have no manifest) */
    char *config_digest; /* "sha256:…": Docker's image ID */
    char **names;        /* normalised, "docker.io/library/nginx:latest"; may be empty */
    char **repositories; /* names it ever had here, without tag: what name@sha256:… is checked against */
    char **repo_digests; /* "docker.io/library/nginx@sha256:…" as it was pulled by: of the index where there is one */
    struct json *document;  /* the whole OCI image configuration (architecture, config, rootfs, history …) */
    struct json *config;    /* its "config" member: Entrypoint, Cmd, Env, WorkingDir, User, StopSignal; ExposedPorts and
                               Volumes are nobody's concern here: a folder named by VOLUME is an ordinary one of the
                               container's writable layer, which goes with the container as an anonymous volume would */
    char **layers;          /* diff_ids "sha256:…", topmost first, each once */
    char **layer_dirs;      /* the same as absolute folders for overlayfs, topmost first */
    uint64_t size_bytes;    /* unpacked, all layers, whoever else shares them */
    uint64_t imported_usec; /* real time of the import */
    uint64_t used_usec;     /* real time a pod last took or gave it back; that of the import when none did */
};

void image_finish(struct image *image); /* frees the members; usable with _cleanup_ */

struct image_list {
    struct image *items; /* in order of the first name, nameless ones last */
    size_t n;
};

void image_list_finish(struct image_list *list); /* usable with _cleanup_ */

/* What image_import() tells while it works. Bytes are those of the compressed source. */
struct image_progress {
    const char *what;   /* "reading archive", "unpacking layer", "layer is there already", "writing to disk", "done" */
    const char *digest; /* of the layer; NULL when not about one */
    size_t layer, layers;      /* 1-based number of the layer and how many there are; 0 when not about one */
    uint64_t bytes, bytes_all; /* bytes_all 0: unknown */
};
typedef void (*image_progress_fn)(const struct image_progress *progress, void *userdata);

/* Imports from `path`: an OCI image layout (folder or tar archive, also compressed as a whole) or a docker archive
 * (`docker save`, skopeo docker-archive:). All images of the source are taken; of an index, the one for this machine
 * (linux/<arch>); images for other machines only: -ENOTSUP. name_override (NULL: none) names the image instead of
 * what the source says; -EINVAL when the source holds several. A source that gives no name, or only a tag, is named
 * after the file: /x/nginx.tar → nginx:latest. progress may be NULL. *ret_digest (may be NULL) is the digest of the
 * first image, the caller frees. Importing again what is there only adds the name. */
int image_import(struct image_store *store, const char *path, const char *name_override, image_progress_fn progress,
                 void *userdata, char **ret_digest, struct error *err) _must_check_;

/* The same for a folder of the caller's own that holds one image, which a registry gave: it gets the name and the
 * repository digest of the label instead of what the source says. Layers are removed from the folder as they are
 * unpacked. */
struct image_label {
    const char *name;        /* normalised with tag; NULL: none (pulled by digest) */
    const char *repository;  /* "docker.io/library/nginx" */
    const char *repo_digest; /* "docker.io/library/nginx@sha256:…" */
};
int image_import_labelled(struct image_store *store, const char *path, const struct image_label *label,
                          image_progress_fn progress, void *userdata, char **ret_digest,
                          struct error *err) _must_check_;
/* image_import() with the digests of all images of the source, NULL-terminated, the caller's (strv_free()). */
int image_import_all(struct image_store *store, const char *path, image_progress_fn progress, void *userdata,
                     char ***ret_digests, struct error *err) _must_check_;
/* Adds the label to an image that is there; -ENOENT when none has the digest. */
int image_add_label(struct image_store *store, const char *digest, const struct image_label *label,
                    struct error *err) _must_check_;
bool image_layer_is_here(struct image_store *store, const char *diff_id);

/* Finds an image by nginx, nginx:tag, docker.io/library/nginx:tag, name@sha256:…, sha256:<64 hex>, or the first 12 or
 * more hex digits of a digest. -ENOENT with a text that names the reference and what to do. Fills *ret. */
int image_resolve(struct image_store *store, const char *reference, struct image *ret, struct error *err) _must_check_;
/* The same, and pins its layers for owner (a pod's uid; several images add up) before anyone can remove them. */
int image_resolve_pinned(struct image_store *store, const char *reference, const char *owner, struct image *ret,
                         struct error *err) _must_check_;
int image_list(struct image_store *store, struct image_list *ret, struct error *err) _must_check_;
/* Removes by name or digest. A name among several of an image is only taken off it; a digest, or the last name,
 * removes the image, and its layers unless another image or a pod uses them. */
int image_remove(struct image_store *store, const char *reference, struct error *err) _must_check_;

/* --- pins --- */

/* Pins the layers of an image found earlier; -ENOENT when it was removed meanwhile: resolve again. */
int image_pin(struct image_store *store, const char *owner, const struct image *image, struct error *err) _must_check_;
/* Drops all pins of owner; absent is success. Layers waiting for that are removed. */
int image_unpin(struct image_store *store, const char *owner, struct error *err) _must_check_;
/* Drops the pins of every owner not in the vector (NULL-terminated). */
int image_pins_retain(struct image_store *store, char *const *owners, struct error *err) _must_check_;
/* Removes layers that no image and no pin uses. Returns how many. */
int image_collect(struct image_store *store, struct error *err);

#endif
