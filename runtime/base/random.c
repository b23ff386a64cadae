/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *p, size_t n) {
    unsigned char *at = p;

    while (n > 0) {
        ssize_t k = getrandom(at, n, 0);
        if (k < 0)
            continue; /* only EINTR is possible for a valid buffer */
        at += k;
        n -= (size_t) k;
    }
}

uint64_t random_u64(void) {
    uint64_t v;

    random_bytes(&v, sizeof(v));
    return v;
}

void random_uuid(char out[37]) {
    unsigned char b[16];

    random_bytes(b, sizeof(b));
    b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void random_name_suffix(char *out, size_t n) {
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* 27 letters: no vowels, no look-alikes */

    for (size_t i = 0; i < n; i++) {
        unsigned char b;
        do
            random_bytes(&b, 1);
        while (b >= 27 * 9); /* no bias */
        out[i] = alphabet[b % 27];
    }
    out[n] = 0;
}
