/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The targets of replay.c; the table is generated from the names of the files. */
#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name; /* "object/patch" for tests/fuzz/object/fuzz_patch.c */
    int (*run)(const uint8_t *data, size_t size);
};
extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_targets_n;

#endif
