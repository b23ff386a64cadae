/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a registry into the store.
 *
 * What it does. Asks for the manifest; when the store has that digest, only the name is moved (so `Always` downloads
 * nothing when nothing changed). Of an index, takes the manifest for this machine. Asks for the configuration; layers
 * that are here already (by diff_id) are not fetched. The rest is copied into tmp/ of the store by skopeo
 * (transport.h), then imported like any archive: manifest, configuration, compressed and unpacked layers are verified
 * by us against the digest asked for, whatever skopeo thinks of them. Afterwards, or after a failure or a crash,
 * nothing is left in tmp/.
 *
 * Limits. What is announced must fit on the disk, what comes must be what was announced, and what is unpacked may not
 * take the last 5 % of the file system (beside the limits of images.h).
 *
 * Credentials are tried in the order given; when there are none, or all are refused, the error of the last says so.
 *
 * Errors. Those of transport.h and images.h; -EINVAL: malformed reference. Threads and processes: as transport.h.
 */
#ifndef PODIUM_IMAGES_PULL_H
#define PODIUM_IMAGES_PULL_H

#include "orchestrator/images/images.h"

struct image_pull_options {
    const char *skopeo;             /* NULL: looked for in PATH */
    const char *config_dir;         /* NULL: /etc/podium; its auth.json, when there, is tried last */
    const struct json *credentials; /* array of {"username", "password"}; NULL: none */
    uint64_t stall_usec;            /* 0: five minutes */
    image_progress_fn progress;     /* "downloading", then image_import()'s; may be NULL */
    void *userdata;
};

struct image_pull_result {
    char *digest;        /* of the image in the store */
    uint64_t size_bytes; /* unpacked, as the node tells it */
    bool is_new;         /* something was downloaded */
};

void image_pull_result_finish(struct image_pull_result *result); /* usable with _cleanup_ */
int image_pull(struct image_store *store, const char *reference, const struct image_pull_options *options,
               struct image_pull_result *ret, struct error *err) _must_check_;

#endif
