/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/lmdb/row.h"

#include <string.h>

struct row_header {
    uint32_t checksum; /* of everything behind it, and the revision */
    uint32_t text_len;
    uint16_t resource_size, ns_size, name_size; /* with NUL */
    uint16_t version;
};

struct identity {
    char magic[12];
    uint32_t version;
    uint64_t revision;
    uint64_t checksum;
};

#define IDENTITY_MAGIC "podium store"
enum { ROW_VERSION = 1, IDENTITY_VERSION = 1 };

_Static_assert(sizeof(struct identity) == IDENTITY_SIZE, "the identity row has no holes");
_Static_assert(sizeof(struct row_header) == 16, "the row header has no holes");

/* Eight bytes a step; against accidents, not against adversaries. */
static uint64_t checksum(const void *p, size_t n, uint64_t seed) {
    const unsigned char *s = p;
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15ull), word;

    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, s, n);
    h = (h ^ word) * 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 29);
}

static uint32_t row_checksum(uint64_t revision, const void *p, size_t n) {
    uint64_t h = checksum((const char *) p + sizeof(uint32_t), n - sizeof(uint32_t), revision);

    return (uint32_t) (h ^ (h >> 32));
}

size_t row_size(const struct store_change *ch) {
    return sizeof(struct row_header) + strlen(ch->resource) + strlen(ch->ns) + strlen(ch->name) + 3 + ch->text_len;
}

void row_write(const struct store_change *ch, void *p) {
    struct row_header h = {
        .text_len = (uint32_t) ch->text_len,
        .resource_size = (uint16_t) (strlen(ch->resource) + 1),
        .ns_size = (uint16_t) (strlen(ch->ns) + 1),
        .name_size = (uint16_t) (strlen(ch->name) + 1),
        .version = ROW_VERSION,
    };
    char *at = (char *) p + sizeof(h);

    at = mempcpy(at, ch->resource, h.resource_size);
    at = mempcpy(at, ch->ns, h.ns_size);
    at = mempcpy(at, ch->name, h.name_size);
    memcpy(at, ch->text, ch->text_len);
    memcpy(p, &h, sizeof(h));
    h.checksum = row_checksum(ch->revision, p, row_size(ch));
    memcpy(p, &h, sizeof(h));
}

int row_read(uint64_t revision, const void *p, size_t n, struct store_row *ret) {
    struct row_header h;
    const char *at = (const char *) p + sizeof(h);

    if (n < sizeof(h))
        return -EBADMSG;
    memcpy(&h, p, sizeof(h));
    if (h.version != ROW_VERSION || !h.resource_size || !h.ns_size || !h.name_size ||
        n != sizeof(h) + h.resource_size + h.ns_size + h.name_size + h.text_len ||
        h.checksum != row_checksum(revision, p, n))
        return -EBADMSG;
    *ret = (struct store_row){
        .revision = revision,
        .resource = at,
        .ns = at + h.resource_size,
        .name = at + h.resource_size + h.ns_size,
        .text = at + h.resource_size + h.ns_size + h.name_size,
        .text_len = h.text_len,
    };
    if (ret->ns[-1] || ret->name[-1] || ret->text[-1])
        return -EBADMSG;
    return 0;
}

void identity_write(uint64_t revision, char p[IDENTITY_SIZE]) {
    struct identity id = {.version = IDENTITY_VERSION, .revision = revision};

    memcpy(id.magic, IDENTITY_MAGIC, sizeof(id.magic));
    id.checksum = checksum(&id, offsetof(struct identity, checksum), 0);
    memcpy(p, &id, sizeof(id));
}

int identity_read(const void *p, size_t n, uint64_t *ret_revision) {
    struct identity id;

    if (n != sizeof(id) || memcmp(p, IDENTITY_MAGIC, sizeof(id.magic)) != 0)
        return -EINVAL;
    memcpy(&id, p, sizeof(id));
    if (id.version != IDENTITY_VERSION)
        return -EPROTONOSUPPORT;
    if (id.checksum != checksum(&id, offsetof(struct identity, checksum), 0))
        return -EBADMSG;
    *ret_revision = id.revision;
    return 0;
}
