/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kubeconfig files: which server, who we are, which namespace.
 *
 * What it is. The parts of a kubeconfig that one context names, with the contents of the files it refers to (relative
 * paths are relative to the kubeconfig, as upstream has it).
 *
 * Ownership. The struct owns its strings; secrets are wiped by kubeconfig_finish(). Errors: -EINVAL with a sentence
 * that names the file and what is wrong; what cannot be done (exec and auth-provider plug-ins) is -ENOTSUP. Threads:
 * none.
 */
#ifndef PODIUM_CLI_KUBECONFIG_H
#define PODIUM_CLI_KUBECONFIG_H

#include <stdbool.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct kubeconfig {
    char *context, *cluster, *user; /* names */
    char *server, *ns;              /* ns: NULL when the context has none */
    char *ca, *cert, *key;          /* PEM text, NULL when there is none */
    char *token;
    bool insecure;
};

/* context: NULL for the file's current-context. Missing user is fine (anonymous). */
int kubeconfig_load(const char *path, const char *context, struct kubeconfig *ret, struct error *err) _must_check_;
/* The same from a document already read; path names it in errors and anchors relative file names. */
int kubeconfig_from_document(const struct json *doc, const char *path, const char *context, struct kubeconfig *ret,
                             struct error *err) _must_check_;
void kubeconfig_finish(struct kubeconfig *k);

#endif
