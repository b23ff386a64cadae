/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The embedded back-end by itself, without the store above it: for restoring. */
#ifndef PODIUM_STORE_LMDB_BACKEND_H
#define PODIUM_STORE_LMDB_BACKEND_H

#include "orchestrator/store/backend.h"

/* Opens or makes the folder and its file; errors as store_open_lmdb(). The caller closes it by its ops. */
int lmdb_backend_open(const struct store_options *options, struct store_backend **ret, struct error *err) _must_check_;

#endif
