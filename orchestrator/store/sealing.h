/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a store that is encrypted at rest keeps beside its back-end; the store's own files only. */
#ifndef PODIUM_STORE_SEALING_H
#define PODIUM_STORE_SEALING_H

#include "orchestrator/store/internal.h"
#include "orchestrator/store/sealed_backend.h"

/* A store that was just opened on such a back-end: what is plain or sealed with older keys is written anew, then those
 * are struck from the file. A failure (no room) leaves them there and the store usable. */
int sealing_start(struct store *s, struct store_backend *sealed, const char *key_file, const struct seal_keys *keys,
                  const char *const *resources, struct error *err) _must_check_;
void sealing_free(struct seal *seal);

#endif
