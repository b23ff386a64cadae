/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of the archives in a node's folder of archives (images.d): ROOT/archives.json in the image store, an
 * object from file name to {"stamp", "digests" or "error"}. The stamp tells a file from a changed one of the same name.
 * The agent writes it; whoever collects images reads it: what an archive there holds is never collected.
 */
#ifndef PODIUM_IMAGES_ARCHIVES_H
#define PODIUM_IMAGES_ARCHIVES_H

#include <sys/stat.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* The document; an empty object when there is none or it is unreadable. The caller unrefs. */
struct json *image_archives_load(const char *root);
int image_archives_save(const char *root, const struct json *archives, struct error *err) _must_check_;
/* What changes whenever the file does; the caller frees. */
char *image_archive_stamp(const struct stat *st);
/* Digests of all images from archives, NULL-terminated; the caller's (strv_free()). */
char **image_archives_digests(const struct json *archives);

#endif
