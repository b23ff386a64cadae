/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/lmdb/map_pages.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FORGET_BYTES (4u * 1024u * 1024u)

void map_pages_find(struct map_pages *m, int fd) {
    char line[512];
    struct stat st;
    FILE *f = fopen("/proc/self/maps", "re");

    *m = (struct map_pages){0};
    while (f && fstat(fd, &st) == 0 && fgets(line, sizeof(line), f)) {
        uintptr_t from, to;
        unsigned major_, minor_;
        uint64_t inode;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %x:%x %" SCNu64, &from, &to, &major_, &minor_, &inode) !=
                5 ||
            inode != st.st_ino || makedev(major_, minor_) != st.st_dev)
            continue;
        m->at = (void *) from;
        m->len = to - from;
        break;
    }
    if (f)
        (void) fclose(f);
}

/* Nothing is lost: what a shared mapping of a file shows is the file. */
void map_pages_forget(struct map_pages *m) {
    if (m->at)
        (void) madvise(m->at, m->len, MADV_DONTNEED);
    m->touched = 0;
}

void map_pages_wrote(struct map_pages *m, size_t bytes) {
    m->touched += bytes;
    if (m->touched >= FORGET_BYTES)
        map_pages_forget(m);
}
