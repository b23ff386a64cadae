/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backup and restore of the store, whatever its back-end.
 *
 * What it is. A backup is one consistent state, at one revision, as text, a JSON document a line:
 *     {"format":"podium-backup","version":1,"revision":1234,"created":"2026-01-31T12:00:00Z"}
 *     {"resource":"pods","namespace":"default","name":"web","revision":17,"object":{…}}     in the order of revisions
 *     {"end":"podium-backup","lines":42,"crc32":"0badcafe"}     the lines before it, and the sum of all their bytes
 * Secrets are in it as they are: keep it as one keeps a key.
 *
 * Invariants. Making one never holds up writers: items are shared, their texts are copied as they are read. A restored
 * store continues far behind the newest revision of the backup (RESTORE_REVISION_GAP): what was handed out after the
 * backup and is forgotten by it is never used for something else, and every watch begins anew.
 *
 * Threads. Opening: any. A backup is read by one thread at a time. The store must outlive it.
 */
#ifndef PODIUM_STORE_BACKUP_H
#define PODIUM_STORE_BACKUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "orchestrator/store/store.h"

#define BACKUP_FORMAT        "podium-backup"
#define BACKUP_VERSION       1
#define RESTORE_REVISION_GAP 1000000u

struct store_backup;

/* now: real time in microseconds, for the heading. */
struct store_backup *store_backup_new(struct store *s, uint64_t now);
void store_backup_free(struct store_backup *b);
DEFINE_CLEANUP(struct store_backup *, store_backup_free)
/* The next bytes; 0 at the end. */
size_t store_backup_read(struct store_backup *b, void *p, size_t max);

/* Makes a new store (options->path must not exist) of the backup that begins at the file's position, which must be
 * seekable and is left behind the backup's last line. The file is read whole and checked before anything is made.
 * Secrets are sealed with options->key_file if that is there; if not, the first start of the server does it. -EEXIST:
 * there is a store already; -EBADMSG: no backup, cut short, or changed since (with the line); -EPROTONOSUPPORT: of
 * another version. A failure leaves nothing. */
int store_restore_lmdb(const struct store_options *options, FILE *file, size_t *ret_objects,
                       struct error *err) _must_check_;

#endif
