/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What moves images: skopeo, run as a child in a process group of its own, without a shell. Private to this folder.
 *
 * What it is. Three calls, each one run of skopeo: the raw manifest of a reference, the raw configuration, and copying
 * its blobs into a folder. The node's configuration is read as skopeo reads its own: CONFIG_DIR/registries.conf
 * (mirrors, insecure and blocked registries; containers-registries.conf(5)), CONFIG_DIR/policy.json (signatures;
 * without it the host's /etc/containers/policy.json, without that anything goes), CONFIG_DIR/certs.d/HOST[:PORT]/
 * (*.crt authorities, *.cert and *.key of the client; without the folder those of containers-certs.d(5)). A registry on
 * a loopback address that has no certs.d folder may speak plain HTTP, as elsewhere.
 *
 * Credentials go by a nameless file in memory (memfd), which no other process can open by name and which is gone with
 * the run; never on the command line or in the environment. Without credentials skopeo is given an empty file, so that
 * it doesn't take those of whoever started this program.
 *
 * Errors. What skopeo said, in its words without the decoration: -EACCES (refused for want of credentials), -ENOENT (no
 * such image), -ENOPKG (no skopeo on this node), -ETIMEDOUT, -EFBIG (more bytes than announced), else -EIO.
 *
 * Threads and processes. Blocks for as long as the network takes: for a process of its own (`podium image-worker`). The
 * child gets SIGKILL when this process ends. Single-threaded callers only (fork).
 */
#ifndef PODIUM_IMAGES_TRANSPORT_H
#define PODIUM_IMAGES_TRANSPORT_H

#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct image_transport {
    const char *skopeo;             /* NULL: looked for in PATH */
    const char *config_dir;         /* NULL: /etc/podium */
    const char *tmp_dir;            /* for what skopeo wants to put somewhere */
    uint64_t timeout_usec;          /* of one question; 0: a minute */
    uint64_t stall_usec;            /* copying: no new byte for so long ends it; 0: five minutes */
    const struct json *credentials; /* {"username", "password"}; NULL: none */
    const char *repository;         /* "docker.io/library/nginx": whose credentials, which certificates */
};

/* reference: "docker.io/library/nginx:1" or "…@sha256:…". Appends the bytes, at most IMAGE_MANIFEST_BYTES_MAX. */
int transport_manifest(const struct image_transport *t, const char *reference, struct strbuf *out,
                       struct error *err) _must_check_;
int transport_config(const struct image_transport *t, const char *reference, struct strbuf *out,
                     struct error *err) _must_check_;
/* Copies the blobs that are missing into blobs_dir/sha256/. bytes_all: of all that is missing, from the manifest; more
 * is refused. progress gets the bytes so far; may be NULL. */
int transport_copy(const struct image_transport *t, const char *reference, const char *blobs_dir, uint64_t bytes_all,
                   void (*progress)(void *userdata, uint64_t bytes), void *userdata, struct error *err) _must_check_;

/* skopeo's last words as a sentence: the message of its fatal line without level, quoting and the reference it names
 * first. Pure; the caller frees. */
char *transport_error_text(const char *output);
/* The error number that belongs to such a text. */
int transport_error_code(const char *text);

#endif
