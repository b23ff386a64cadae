/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image references as Docker writes them: [host[:port]/]path[:tag][@sha256:hex]. Grammar: distribution/reference;
 * "nginx" means docker.io/library/nginx:latest, "foo/bar" docker.io/foo/bar:latest; the first component is a host when
 * it has a dot or colon or is "localhost". Pure functions; any thread.
 */
#ifndef PODIUM_IMAGES_REFERENCE_H
#define PODIUM_IMAGES_REFERENCE_H

#include "podium/base/error.h"

struct image_reference {
    char *repository; /* "docker.io/library/nginx" */
    char *tag;        /* "latest" unless given; NULL when only a digest was given */
    char *digest;     /* "sha256:…" or NULL */
};

void image_reference_finish(struct image_reference *reference); /* usable with _cleanup_ */
/* -EINVAL with the reason (empty, upper case, bad tag or digest, too long). */
int image_reference_parse(const char *text, struct image_reference *ret, struct error *err) _must_check_;
/* "docker.io/library/nginx:1.25"; the digest is left out unless there is no tag. The caller frees. */
char *image_reference_format(const struct image_reference *reference);
/* The repository as people write it: docker.io/library/ and docker.io/ taken off. Points into the argument. */
const char *image_reference_familiar(const char *name);

#endif
