/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of a mapped file that a process has touched count as its memory until it lets go of them, though the kernel
 * keeps them anyway: after reading a whole store that is its size, and a writer touches each page it fills. Letting go
 * costs a fault for each page that is used again.
 */
#ifndef PODIUM_STORE_MAP_PAGES_H
#define PODIUM_STORE_MAP_PAGES_H

#include <stddef.h>

struct map_pages {
    void *at; /* NULL: not found, nothing is done */
    size_t len;
    size_t touched; /* bytes written since the last letting go */
};
/* Where this process has mapped the file. */
void map_pages_find(struct map_pages *m, int fd);
void map_pages_forget(struct map_pages *m);
/* Bytes were written; now and then everything is let go. */
void map_pages_wrote(struct map_pages *m, size_t bytes);

#endif
