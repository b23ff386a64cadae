/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/service_range.h"

#include <arpa/inet.h>
#include <string.h>

#include "podium/base/alloc.h"

char *service_range_address(const char *cidr, unsigned number) {
    _cleanup_free_ char *base = xstrndup(cidr, strcspn(cidr, "/"));
    unsigned long bits = strchr(cidr, '/') ? strtoul(strchr(cidr, '/') + 1, NULL, 10) : 0;
    char text[INET_ADDRSTRLEN];
    struct in_addr a;

    if (inet_pton(AF_INET, base, &a) != 1 || bits < 1 || bits > 31 || number + 1 >= 1ul << (32 - bits))
        return NULL;
    a.s_addr = htonl((ntohl(a.s_addr) & ~(uint32_t) ((1ul << (32 - bits)) - 1)) + number);
    return inet_ntop(AF_INET, &a, text, sizeof(text)) ? xstrdup(text) : NULL;
}
