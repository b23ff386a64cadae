/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiled filter, between compile.c and cache.c. Not for other folders. */
#ifndef PODIUM_RUNTIME_SECCOMP_FILTER_H
#define PODIUM_RUNTIME_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#define FILTER_BYTES_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))

struct seccomp_filter {
    unsigned flags; /* SECCOMP_FILTER_FLAG_* */
    bool notifies;  /* some call is for a listener to answer */
    unsigned short n;
    struct sock_filter *code;
};

#endif
