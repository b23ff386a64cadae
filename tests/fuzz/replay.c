/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gives files to one of the fuzz targets, all of which are linked in: `make check` replays the corpora so, under the
 * sanitizers, without libFuzzer. usage: replay TARGET FILE...   replay: lists the targets */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "tests/fuzz/replay.h"

#define FILE_BYTES_MAX (1u << 20)

/* In memory of its very size, so that a read beyond the end is seen. */
static int replay(const struct fuzz_target *t, const char *path) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    int r = file_read(path, FILE_BYTES_MAX, &b, NULL);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
        return 1;
    }
    uint8_t *exact = malloc(b.len ? b.len : 1);
    if (!exact)
        return 1;
    if (b.len > 0)
        memcpy(exact, b.data, b.len);
    (void) fprintf(stderr, "%s %s\n", t->name, path); /* the last line is the one that crashed */
    (void) t->run(exact, b.len);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (size_t i = 0; i < fuzz_targets_n; i++) {
        if (argc < 2)
            puts(fuzz_targets[i].name);
        if (argc < 2 || strcmp(fuzz_targets[i].name, argv[1]) != 0)
            continue;
        for (int k = 2; k < argc; k++)
            failed |= replay(&fuzz_targets[i], argv[k]);
        return failed;
    }
    return argc < 2 ? 0 : 2;
}
