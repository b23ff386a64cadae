/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registry credentials out of imagePullSecrets and of the node's own file, matched to images by Kubernetes' rules.
 * Source: pkg/credentialprovider (config.go, keyring.go): keys are hosts with an optional path; each part of the host
 * may be a glob; the longest keys are tried first; "docker.io" also takes the keys of index.docker.io. Pure functions;
 * any thread. Documents hold secrets: never log them.
 */
#ifndef PODIUM_IMAGES_CREDENTIALS_H
#define PODIUM_IMAGES_CREDENTIALS_H

#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* Adds what a docker configuration holds to *list (made if NULL): {"key", "username", "password"} each. legacy: a
 * .dockercfg, whose top level is the "auths" of the newer form. -EINVAL when malformed; then nothing is added. */
int image_credentials_add(struct json **list, const void *bytes, size_t n, bool legacy, struct error *err) _must_check_;
/* Those of the list that are for the repository ("docker.io/library/nginx"), in the order to try them; an array, maybe
 * empty, of {"username", "password"}. The caller unrefs. */
struct json *image_credentials_for(const struct json *list, const char *repository);

#endif
