/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What images a source holds: its documents read, verified and brought to one form. Private to this folder. */
#ifndef PODIUM_IMAGES_CONTENTS_H
#define PODIUM_IMAGES_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include <sys/utsname.h>

#include "orchestrator/images/source.h"
#include "podium/base/json.h"

#define IMAGE_OS "linux"
/* This machine in the words of GOARCH, which image platforms are written in; may point into name. */
const char *image_machine_architecture(struct utsname *name);

struct found_layer {
    char *file;    /* name in the source */
    char *digest;  /* of the file, NULL when the source doesn't say (docker archives) */
    uint64_t size; /* of the file, UINT64_MAX: unknown */
    char *diff_id;
};

struct found_image {
    char *digest, *config_digest;
    char **names; /* normalised */
    struct json *document;
    struct found_layer *layers; /* bottom first */
    size_t n_layers;
};

struct image_contents {
    struct found_image *items;
    size_t n, cap;
};

void image_contents_finish(struct image_contents *contents); /* usable with _cleanup_ */
/* path and name_override: for the names, as image_import() describes; "" gives no name at all. */
int image_contents_read(struct image_source *source, const char *path, const char *name_override,
                        struct image_contents *ret, struct error *err) _must_check_;

#endif
