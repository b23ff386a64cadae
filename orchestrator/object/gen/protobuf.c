/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table by which protobuf is read: the numbers of each message in order, nested messages apart. */
#include "orchestrator/object/gen/typegen.h"

#include <stdlib.h>
#include <string.h>

static bool proto_under(const char *number, const char *prefix) {
    size_t n = strlen(prefix);
    return !n || (strncmp(number, prefix, n) == 0 && number[n] == '.');
}

/* Where the next entry of proto_table goes. */
static size_t n_protos;

size_t put_proto(FILE *o, const struct table *f, const struct type *t, const char *prefix, size_t *ret_at) {
    unsigned numbers[256], n = 0;
    size_t skip = *prefix ? strlen(prefix) + 1 : 0;
    for (size_t i = 0; i < t->n; i++) {
        const char *p = cell(f, t->first + i, "protobuf");
        if (!*p || !proto_under(p, prefix))
            continue;
        unsigned number = (unsigned) strtoul(p + skip, NULL, 10), at = 0;
        while (at < n && numbers[at] < number)
            at++;
        if (at < n && numbers[at] == number)
            continue;
        memmove(numbers + at + 1, numbers + at, (n - at) * sizeof(*numbers));
        numbers[at] = number;
        n++;
    }
    size_t lengths[256] = {0}, starts_at[256] = {0};
    long leaf[256];
    char child[256][32];
    for (unsigned k = 0; k < n; k++) {
        snprintf(child[k], sizeof(child[k]), "%.20s%s%u", prefix, *prefix ? "." : "", numbers[k]);
        leaf[k] = -1;
        for (size_t i = 0; i < t->n; i++)
            if (strcmp(cell(f, t->first + i, "protobuf"), child[k]) == 0)
                leaf[k] = (long) i;
        if (leaf[k] < 0)
            lengths[k] = put_proto(o, f, t, child[k], &starts_at[k]);
    }
    if (!n)
        return 0;
    *ret_at = n_protos;
    for (unsigned k = 0; k < n; k++) {
        if (leaf[k] >= 0)
            fprintf(o, "    {%u, %zu, 0, 0},\n", numbers[k], t->first + (size_t) leaf[k] + 1);
        else
            fprintf(o, "    {%u, 0, %zu, %zu},\n", numbers[k], starts_at[k], lengths[k]);
    }
    n_protos += n;
    return n;
}
