/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows in LMDB, keyed by revision: every batch appends at the right edge of the tree (MDB_APPEND), which is several
 * times faster than keys in name order; the row a write replaces is deleted in the same transaction, so the file holds
 * current state only and cannot rot.
 *
 * One process owns the folder by an flock(2) on it. LMDB's own lock file is therefore not used (MDB_NOLOCK): no reader
 * slots that a killed process could leave behind, and nothing else may open the file meanwhile.
 *
 * Room. A full map must still take deletions, and a deletion in a copy-on-write tree needs pages before it frees any.
 * So batches that write rows are refused with -ENOSPC when fewer than `reserve` pages would be left.
 */
#include "orchestrator/store/store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "orchestrator/store/backend.h"
#include "orchestrator/store/lmdb/lmdb_backend.h"
#include "orchestrator/store/lmdb/map_pages.h"
#include "orchestrator/store/lmdb/row.h"
#include "orchestrator/store/lmdb/verify.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

enum {
    RESERVE_PAGES = 1024,  /* or a quarter of a small map */
    GROW_PAGES = 1024,     /* the file grows by this much */
    SOAK_PAGES = 64,       /* written with zeros ahead of use, at a time */
    SOAK_BATCH_PAGES = 24, /* for batches up to this: larger ones pay for one commit of the journal themselves */
    MAP_BYTES_MIN = 256 * 1024,
};
#define MAP_BYTES_DEFAULT (8ull << 30)
#define DATA_FILE         "data.mdb"

struct lmdb_backend {
    struct store_backend base;
    char *path;
    int folder; /* holds the lock */
    MDB_env *env;
    MDB_dbi dbi;
    size_t page_size, map_pages, reserve;
    struct map_pages map;
    size_t soaked; /* pages up to here have been written */
    bool failed;   /* an fsync failed: what is on disk is unknown */

    /* Only while opening and loading: where to go when LMDB finds its file inconsistent, and what to give up then. */
    jmp_buf *on_damage;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

/* LMDB's codes to errno: its own are large negative numbers, the system's are positive. */
static int lmdb_errno(int rc) {
    switch (rc) {
    case MDB_MAP_FULL:
        return -ENOSPC;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return -EBADMSG;
    case MDB_VERSION_MISMATCH:
        return -EPROTONOSUPPORT;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

static int lmdb_error(const struct lmdb_backend *b, int rc, const char *what, struct error *err) {
    int r = lmdb_errno(rc);

    if (r == -EBADMSG || r == -EPROTONOSUPPORT)
        return error_set(err, r,
                         "%s/" DATA_FILE " is damaged or not a Podium store (%s): restore it from a backup or move "
                         "it away to start empty",
                         b->path, mdb_strerror(rc));
    return error_set(err, r, "cannot %s %s/" DATA_FILE ": %s", what, b->path, mdb_strerror(rc));
}

/* LMDB calls this instead of assert(3). Loading can turn it into an error; elsewhere LMDB aborts after the return. */
static void damage_found(MDB_env *env, const char *msg) {
    struct lmdb_backend *b = mdb_env_get_userctx(env);

    (void) msg;
    if (b->on_damage)
        longjmp(*b->on_damage, 1);
}

/* --- loading --- */

static int read_rows(struct lmdb_backend *b, MDB_cursor *cursor, store_row_fn row, void *userdata,
                     uint64_t *ret_revision, struct error *err) {
    MDB_val key, value;
    struct store_row out;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST), r;

    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint64_t revision;
        if (key.mv_size != sizeof(revision))
            return lmdb_error(b, MDB_INVALID, "read", err);
        memcpy(&revision, key.mv_data, sizeof(revision));
        if (revision == 0) {
            r = identity_read(value.mv_data, value.mv_size, ret_revision);
            if (r < 0)
                return lmdb_error(b, r == -EPROTONOSUPPORT ? MDB_VERSION_MISMATCH : MDB_INVALID, "read", err);
            continue;
        }
        r = row_read(revision, value.mv_data, value.mv_size, &out);
        if (r < 0)
            return error_set(err, r,
                             "%s/" DATA_FILE " is damaged: the row of revision %llu is not intact: restore the file "
                             "from a backup",
                             b->path, (unsigned long long) revision);
        r = row(userdata, &out, err);
        if (r < 0)
            return r;
        if (revision > *ret_revision)
            *ret_revision = revision;
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(b, rc, "read", err);
}

static void end_transaction(struct lmdb_backend *b) {
    if (b->cursor)
        mdb_cursor_close(steal(&b->cursor));
    if (b->txn)
        mdb_txn_abort(steal(&b->txn));
    b->on_damage = NULL;
}

static int lmdb_load(struct store_backend *base, store_row_fn row, void *userdata, uint64_t *ret_revision,
                     struct error *err) {
    struct lmdb_backend *b = container_of(base, struct lmdb_backend, base);
    jmp_buf damage;

    *ret_revision = 0;
    if (setjmp(damage)) {
        end_transaction(b);
        return lmdb_error(b, MDB_CORRUPTED, "read", err);
    }
    b->on_damage = &damage;
    int rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &b->txn), r;
    if (rc == 0)
        rc = mdb_cursor_open(b->txn, b->dbi, &b->cursor);
    r = rc != 0 ? lmdb_error(b, rc, "read", err) : read_rows(b, b->cursor, row, userdata, ret_revision, err);
    end_transaction(b);
    int fd;
    (void) mdb_env_get_fd(b->env, &fd);
    map_pages_find(&b->map, fd);
    map_pages_forget(&b->map);
    return r;
}

/* --- committing --- */

/* Pages on LMDB's free list: records of {count, page numbers …}, in database 0, which only a read transaction may see.
 */
static size_t free_list_pages(const struct lmdb_backend *b) {
    MDB_cursor *cursor;
    MDB_txn *txn;
    MDB_val key, value;
    size_t pages = 0;

    if (mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    if (mdb_cursor_open(txn, 0, &cursor) == 0) {
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            size_t n;
            memcpy(&n, value.mv_data, sizeof(n));
            pages += n;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return pages;
}

/*
 * Pages at the end that were never used: those the file has, after an attempt to give it `want`. The reserve is thus on
 * the disk, not only in the map, and deletions get through when somebody else has filled the disk.
 */
static size_t unused_pages(const struct lmdb_backend *b, size_t want) {
    MDB_envinfo info;
    struct stat st;
    int fd;

    mdb_env_info(b->env, &info);
    mdb_env_get_fd(b->env, &fd);
    size_t used = info.me_last_pgno + 1, in_map = b->map_pages - used;
    if (fstat(fd, &st) < 0)
        return 0;
    size_t in_file = (size_t) st.st_size / b->page_size;
    if (in_map < want || in_file >= used + want)
        return in_file < used ? 0 : (in_file - used < in_map ? in_file - used : in_map);
    /* in steps, as a change of the size makes every fsync dearer */
    size_t step = in_map - want < GROW_PAGES ? in_map - want : GROW_PAGES;
    if (posix_fallocate(fd, 0, (off_t) ((used + want + step) * b->page_size)) == 0)
        return want + step;
    if (posix_fallocate(fd, 0, (off_t) ((used + want) * b->page_size)) == 0)
        return want;
    return in_file < used ? 0 : in_file - used;
}

/*
 * A page that was only allocated costs a commit of the file system's journal when it is first written: the disk is
 * waited for twice. So pages at the end are written before they are needed, many for one such commit. Single creations
 * are a third quicker with it. Nothing of these pages is the store's yet: LMDB's newest state ends before them.
 */
static void soak(struct lmdb_backend *b, size_t want) {
    static const char zeros[64 * 1024];
    MDB_envinfo info;
    struct stat st;
    int fd;

    mdb_env_info(b->env, &info);
    mdb_env_get_fd(b->env, &fd);
    size_t used = info.me_last_pgno + 1;
    if (b->soaked < used)
        b->soaked = used;
    if (want > SOAK_BATCH_PAGES || b->soaked >= used + want || fstat(fd, &st) < 0)
        return;
    size_t end = (size_t) st.st_size / b->page_size;
    if (end > used + want + SOAK_PAGES)
        end = used + want + SOAK_PAGES;
    off_t from = (off_t) (b->soaked * b->page_size), to = (off_t) (end * b->page_size);
    while (from < to) {
        size_t n = (size_t) (to - from) < sizeof(zeros) ? (size_t) (to - from) : sizeof(zeros);
        ssize_t done = pwrite(fd, zeros, n, from);
        if (done <= 0)
            return; /* it is but quicker with it */
        from += done;
    }
    b->soaked = end;
}

/*
 * Creations leave the whole reserve. Updates take from it, down to a quarter, as they give back what they take: the row
 * they replace. Without them most deletions would not go on at all (what has a grace period or finalizers is marked
 * first), and no node could say that it is alive. Removals may have the rest.
 */
static bool has_room(struct lmdb_backend *b, const struct store_change *changes, size_t n) {
    size_t want = 0, keep = b->reserve / 4;

    for (size_t i = 0; i < n; i++) {
        if (changes[i].remove)
            continue;
        want += row_size(&changes[i]) / b->page_size + 2;
        if (!changes[i].old_revision)
            keep = b->reserve;
    }
    if (want == 0)
        return true;
    size_t unused = unused_pages(b, want + keep);
    soak(b, want);
    want += keep;
    /* Walking the free list costs; only near the end it is needed. */
    return unused >= want || unused + free_list_pages(b) >= want;
}

static int put_row(MDB_txn *txn, MDB_dbi dbi, const struct store_change *ch) {
    uint64_t revision = ch->revision;
    MDB_val key = {sizeof(revision), &revision}, value = {row_size(ch), NULL};
    int rc = mdb_put(txn, dbi, &key, &value, MDB_APPEND | MDB_RESERVE);

    if (rc == 0)
        row_write(ch, value.mv_data);
    return rc;
}

static int put_identity(MDB_txn *txn, MDB_dbi dbi, uint64_t revision) {
    uint64_t zero = 0;
    char bytes[IDENTITY_SIZE];
    MDB_val key = {sizeof(zero), &zero}, value = {sizeof(bytes), bytes};

    identity_write(revision, bytes);
    return mdb_put(txn, dbi, &key, &value, 0);
}

static int write_batch(struct lmdb_backend *b, MDB_txn *txn, const struct store_change *changes, size_t n) {
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!changes[i].remove)
            rc = put_row(txn, b->dbi, &changes[i]);
        if (rc == 0 && changes[i].old_revision) {
            uint64_t old = changes[i].old_revision;
            MDB_val key = {sizeof(old), &old};
            rc = mdb_del(txn, b->dbi, &key, NULL);
        }
    }
    /* The newest row itself says which revision is the newest, except after a deletion. */
    if (rc == 0 && changes[n - 1].remove)
        rc = put_identity(txn, b->dbi, changes[n - 1].revision);
    return rc;
}

static int lmdb_commit(struct store_backend *base, const struct store_change *changes, size_t n, struct error *err) {
    struct lmdb_backend *b = container_of(base, struct lmdb_backend, base);
    MDB_txn *txn;

    if (b->failed)
        return error_set(err, -EIO, "%s/" DATA_FILE " could not be written earlier; restart after checking the disk",
                         b->path);
    if (!has_room(b, changes, n))
        return error_set(err, -ENOSPC, "%s/" DATA_FILE " is full", b->path);
    int rc = mdb_txn_begin(b->env, NULL, 0, &txn);
    if (rc != 0)
        return lmdb_error(b, rc, "write", err);
    rc = write_batch(b, txn, changes, n);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return lmdb_error(b, rc, "write", err);
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0) {
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
            bytes += changes[i].remove ? b->page_size : row_size(&changes[i]);
        map_pages_wrote(&b->map, bytes);
        return 0;
    }
    /* A full disk is found before anything points to the new pages. After any other failure nobody knows what a later
     * fsync would really have made durable. */
    if (rc != ENOSPC && rc != EDQUOT && rc != MDB_MAP_FULL)
        b->failed = true;
    int r = lmdb_error(b, rc, "write", err);
    return r == -EDQUOT ? -ENOSPC : r;
}

static void lmdb_close(struct store_backend *base) {
    struct lmdb_backend *b = container_of(base, struct lmdb_backend, base);

    if (b->env)
        mdb_env_close(b->env);
    closep(&b->folder);
    free(b->path);
    free(b);
}

static const struct store_backend_ops lmdb_ops = {
    .load = lmdb_load,
    .commit = lmdb_commit,
    .close = lmdb_close,
};

/* --- opening --- */

static int open_folder(struct lmdb_backend *b, struct error *err) {
    int r = mkdir_parents(b->path, 0700, err);

    if (r < 0)
        return r;
    b->folder = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->folder < 0)
        return error_set_errno(err, -errno, "cannot open %s", b->path);
    if (fchmod(b->folder, 0700) < 0) /* secrets are in there */
        return error_set_errno(err, -errno, "cannot restrict access to %s", b->path);
    if (flock(b->folder, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, -EBUSY, "%s is in use by another server", b->path);
        return error_set_errno(err, -errno, "cannot lock %s", b->path);
    }
    return 0;
}

/* A file shorter than its pages would kill the process by SIGBUS. LMDB legitimately leaves out pages at the end that it
 * freed before they were ever written, so fill up with zeros: a missing page that matters is then found by its checks.
 */
static int complete_file(struct lmdb_backend *b, struct error *err) {
    MDB_envinfo info;
    MDB_stat stat_;
    struct stat st;
    int fd;

    mdb_env_info(b->env, &info);
    mdb_env_stat(b->env, &stat_);
    b->page_size = stat_.ms_psize;
    b->map_pages = info.me_mapsize / b->page_size;
    b->reserve = b->map_pages / 4 < RESERVE_PAGES ? b->map_pages / 4 : RESERVE_PAGES;
    mdb_env_get_fd(b->env, &fd);
    off_t need = (off_t) ((info.me_last_pgno + 1) * b->page_size);
    if (fstat(fd, &st) < 0 || (st.st_size < need && ftruncate(fd, need) < 0))
        return error_set_errno(err, -errno, "cannot size %s/" DATA_FILE, b->path);
    /* the file's name in the folder, and the folder's in its own */
    _cleanup_close_ int parent = openat(b->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fsync(b->folder) < 0 || parent < 0 || fsync(parent) < 0)
        return error_set_errno(err, -errno, "cannot make %s durable", b->path);
    return 0;
}

/* Opens the one database, and makes it ours when it is new. */
static int open_rows(struct lmdb_backend *b, struct error *err) {
    uint64_t zero = 0;
    MDB_val key = {sizeof(zero), &zero}, value;
    MDB_stat rows;
    jmp_buf damage;

    if (setjmp(damage)) {
        end_transaction(b);
        return lmdb_error(b, MDB_CORRUPTED, "open", err);
    }
    b->on_damage = &damage;
    int rc = mdb_txn_begin(b->env, NULL, 0, &b->txn);
    if (rc == 0)
        rc = mdb_dbi_open(b->txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &b->dbi);
    if (rc == 0)
        rc = mdb_stat(b->txn, b->dbi, &rows);
    if (rc == 0 && rows.ms_entries == 0)
        rc = put_identity(b->txn, b->dbi, 0);
    else if (rc == 0)
        rc = mdb_get(b->txn, b->dbi, &key, &value);
    if (rc == MDB_NOTFOUND) /* rows, but not ours */
        rc = MDB_INVALID;
    if (rc == 0)
        rc = mdb_txn_commit(steal(&b->txn));
    end_transaction(b);
    return rc != 0 ? lmdb_error(b, rc, "open", err) : 0;
}

/* LMDB trusts its file; so it sees only one that is intact. */
static int verify_file(struct lmdb_backend *b, struct error *err) {
    _cleanup_free_ char *name = xasprintf("%s/" DATA_FILE, b->path);
    _cleanup_close_ int fd = openat(b->folder, DATA_FILE, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot open %s", name);
    return lmdb_verify(fd, name, err);
}

static int open_env(struct lmdb_backend *b, const struct store_options *options, struct error *err) {
    size_t map = options->map_bytes ? options->map_bytes : MAP_BYTES_DEFAULT;
    unsigned flags = MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOTLS | (options->no_sync ? MDB_NOSYNC : 0);

    if (map < MAP_BYTES_MIN)
        map = MAP_BYTES_MIN;
    int rc = mdb_env_create(&b->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(b->env, map);
    if (rc == 0)
        rc = mdb_env_open(b->env, b->path, flags, 0600);
    if (rc != 0)
        return lmdb_error(b, rc, "open", err);
    mdb_env_set_userctx(b->env, b);
    mdb_env_set_assert(b->env, damage_found);
    int r = complete_file(b, err);
    if (r < 0)
        return r;
    return open_rows(b, err);
}

int lmdb_backend_open(const struct store_options *options, struct store_backend **ret, struct error *err) {
    struct lmdb_backend *b = xnew0(struct lmdb_backend);

    b->base.ops = &lmdb_ops;
    b->path = xstrdup(options->path);
    b->folder = -EBADF;
    int r = open_folder(b, err);
    if (r == 0)
        r = verify_file(b, err);
    if (r == 0)
        r = open_env(b, options, err);
    if (r < 0) {
        lmdb_close(&b->base);
        return r;
    }
    *ret = &b->base;
    return 0;
}
