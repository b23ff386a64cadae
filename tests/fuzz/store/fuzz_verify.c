/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any file may lie where the store's should: it is judged without a crash. The input is such a file, or, when it starts
 * with a P, a list of bytes (three for the place, one to put there) to change in a file that LMDB made. */
#include <fcntl.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "orchestrator/store/lmdb/verify.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t image[512 * 1024];
static size_t image_size;

static void must(int ok) {
    if (!ok)
        abort();
}

/* Two transactions on some hundred rows, a few of them on pages of their own. */
static void write_rows(MDB_env *env, MDB_dbi *dbi, int from) {
    static char value[9000];
    MDB_txn *txn;

    must(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, dbi) == 0);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t key = (uint64_t) from + i, old = i * 3;
        MDB_val k = {sizeof(key), &key}, v = {i % 50 ? 100 + i : sizeof(value), value};
        must(mdb_put(txn, *dbi, &k, &v, 0) == 0);
        k.mv_data = &old;
        if (from > 0)
            (void) mdb_del(txn, *dbi, &k, NULL);
    }
    must(mdb_txn_commit(txn) == 0);
}

static void make_image(void) {
    char folder[] = "/tmp/podium-fuzz-XXXXXX";
    MDB_env *env;
    MDB_dbi dbi;

    must(mkdtemp(folder) != NULL);
    _cleanup_free_ char *file = path_join(folder, "data.mdb");
    must(mdb_env_create(&env) == 0 && mdb_env_open(env, folder, MDB_NOLOCK | MDB_NOSYNC, 0600) == 0);
    for (int i = 0; i < 4; i++)
        write_rows(env, &dbi, i * 100);
    mdb_env_close(env);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, image, sizeof(image));
    must(n > 0 && n < (ssize_t) sizeof(image) && lmdb_verify(fd, "image", NULL) == 0);
    image_size = (size_t) n;
    close(fd);
    must(rm_tree(folder, NULL) == 0);
}

static void judge(const uint8_t *bytes, size_t size) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int fd = memfd_create("store", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, bytes, size) == (ssize_t) size);
    int r = lmdb_verify(fd, "store", &err);
    must(r == 0 || *error_text(&err, r));
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || data[0] != 'P') {
        judge(data, size);
        return 0;
    }
    if (image_size == 0)
        make_image();
    uint8_t *copy = xmemdup(image, image_size);
    for (size_t i = 1; i + 4 <= size; i += 4)
        copy[(data[i] | (size_t) data[i + 1] << 8 | (size_t) data[i + 2] << 16) % image_size] = data[i + 3];
    judge(copy, image_size);
    free(copy);
    return 0;
}
