/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/lmdb/verify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"

enum {
    PAGE_HEADER = 16,
    NODE_HEADER = 8,
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    NODE_BIG = 0x01, /* the value lies on overflow pages */
    INTEGER_KEYS = 0x08,
    META_MAGIC = (int) 0xbeefc0de,
    META_VERSION = 1,
    DEPTH_MAX = 32,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768,
};
#define NO_PAGE UINT64_MAX

/* As they lie in the file. */
struct page_header {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of overflow pages one number: how many */
};
struct tree {
    uint32_t pad; /* of the free list's: the page size */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree free, main;
    uint64_t last_page, transaction;
};
struct node {
    uint16_t low, high, flags, key_size;
};
_Static_assert(sizeof(struct page_header) == PAGE_HEADER && sizeof(struct node) == NODE_HEADER &&
                   sizeof(struct tree) == 48 && sizeof(struct meta) == 136,
               "the structures are those of the file");

struct check {
    const unsigned char *map;
    size_t size, page_size, n_pages;
    unsigned char *seen; /* per page: used */
    struct meta meta;
    const char *name;
    struct error *err;

    /* the tree being walked */
    bool free_list;
    uint64_t next_key; /* the smallest key that may come */
    struct tree found; /* what it really has */
};

#define damaged(c, page, fmt, ...)                                                                                     \
    error_set((c)->err, -EBADMSG,                                                                                      \
              "%s is damaged: page %llu " fmt ": restore it from a backup or move it away to start empty", (c)->name,  \
              (unsigned long long) (page), ##__VA_ARGS__)

/* Takes note of n pages; nobody else may have them. */
static int use_pages(struct check *c, uint64_t page, uint64_t n) {
    if (page < 2 || n == 0 || n > c->n_pages || page > c->n_pages - n || page + n - 1 > c->meta.last_page)
        return damaged(c, page, "lies outside");
    for (uint64_t i = page; i < page + n; i++) {
        if (c->seen[i])
            return damaged(c, i, "is used twice");
        c->seen[i] = 1;
    }
    return 0;
}

static int read_header(struct check *c, uint64_t page, struct page_header *h) {
    memcpy(h, c->map + page * c->page_size, sizeof(*h));
    return h->number == page ? 0 : damaged(c, page, "says it is page %llu", (unsigned long long) h->number);
}

static int overflow(struct check *c, uint64_t page, size_t size) {
    struct page_header h;
    uint64_t n = (PAGE_HEADER - 1 + size) / c->page_size + 1;
    int r = use_pages(c, page, n);
    if (r == 0)
        r = read_header(c, page, &h);
    if (r < 0)
        return r;
    c->found.overflows += n;
    if (h.flags != PAGE_OVERFLOW || (h.lower | (uint32_t) h.upper << 16) != n)
        return damaged(c, page, "is no start of %llu pages for one value", (unsigned long long) n);
    return 0;
}

/* The numbers of free pages: a count and that many, falling. Those that were freed before they were ever written may
 * lie behind the end of the file. */
static int free_pages(struct check *c, uint64_t page, const unsigned char *value, size_t size) {
    uint64_t count, number, before = NO_PAGE;
    if (size < sizeof(count))
        return damaged(c, page, "has a bad list of free pages");
    memcpy(&count, value, sizeof(count));
    if (count > size / sizeof(count) - 1)
        return damaged(c, page, "has a bad list of free pages");
    for (uint64_t i = 1; i <= count; i++, before = number) {
        memcpy(&number, value + i * sizeof(number), sizeof(number));
        if (number >= before || number > c->meta.last_page)
            return damaged(c, page, "has a bad list of free pages");
        int r = number < c->n_pages ? use_pages(c, number, 1) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int leaf_node(struct check *c, uint64_t page, const struct node *n, const unsigned char *data, size_t room) {
    size_t size = n->low | (size_t) n->high << 16, stored = n->flags & NODE_BIG ? sizeof(uint64_t) : size;
    const unsigned char *value = data + n->key_size;
    if ((n->flags & ~NODE_BIG) || stored > room - n->key_size)
        return damaged(c, page, "has a bad value");
    c->found.entries++;
    if (n->flags & NODE_BIG) {
        uint64_t first;
        memcpy(&first, value, sizeof(first));
        int r = overflow(c, first, size);
        if (r < 0)
            return r;
        value = c->map + first * c->page_size + PAGE_HEADER;
    }
    return c->free_list ? free_pages(c, page, value, size) : 0;
}

/* The node at `at` of the page; *key is its key, *room what is left of the page behind its header. */
static int read_node(struct check *c, uint64_t page, unsigned i, struct node *n, size_t *ret_at, uint64_t *key) {
    const unsigned char *p = c->map + page * c->page_size;
    struct page_header h;
    uint16_t at;
    memcpy(&h, p, sizeof(h));
    memcpy(&at, p + PAGE_HEADER + 2 * i, sizeof(at));
    if (at < h.upper || at > c->page_size - NODE_HEADER)
        return damaged(c, page, "has an entry outside");
    memcpy(n, p + at, sizeof(*n));
    *ret_at = at + NODE_HEADER;
    *key = 0;
    if (i == 0 && (h.flags & PAGE_BRANCH)) /* its key is the parent's */
        return 0;
    if (n->key_size != sizeof(*key) || c->page_size - *ret_at < sizeof(*key))
        return damaged(c, page, "has a bad key");
    memcpy(key, p + *ret_at, sizeof(*key));
    return 0;
}

static int walk(struct check *c, uint64_t page, unsigned depth, uint64_t end);

/* Keys are below `end`; the child's lie between its own and the next one. */
static int walk_entries(struct check *c, uint64_t page, unsigned n, bool branch, unsigned depth, uint64_t end) {
    for (unsigned i = 0; i < n; i++) {
        struct node node, after;
        uint64_t key, child_end = end;
        size_t at, after_at;
        int r = read_node(c, page, i, &node, &at, &key);
        if (r == 0 && branch && i + 1 < n)
            r = read_node(c, page, i + 1, &after, &after_at, &child_end);
        if (r < 0)
            return r;
        if (!branch) {
            if (key < c->next_key || key >= end)
                return damaged(c, page, "has keys out of order");
            c->next_key = key + 1;
            r = leaf_node(c, page, &node, c->map + page * c->page_size + at, c->page_size - at);
        } else {
            if (key > c->next_key)
                c->next_key = key;
            if (child_end > end || (i > 0 && key >= child_end))
                return damaged(c, page, "has keys out of order");
            uint64_t child = node.low | (uint64_t) node.high << 16 | (uint64_t) node.flags << 32;
            r = walk(c, child, depth + 1, child_end);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int walk(struct check *c, uint64_t page, unsigned depth, uint64_t end) {
    struct page_header h;
    int r = use_pages(c, page, 1);
    if (r == 0)
        r = read_header(c, page, &h);
    if (r < 0)
        return r;
    bool branch = h.flags == PAGE_BRANCH;
    unsigned n = (h.lower - PAGE_HEADER) / 2u;
    if ((!branch && h.flags != PAGE_LEAF) || h.lower < PAGE_HEADER + (branch ? 4 : 2) || (h.lower & 1) ||
        h.lower > h.upper || h.upper > c->page_size)
        return damaged(c, page, "is no page of a tree");
    if (depth > DEPTH_MAX || branch == (depth == c->found.depth)) /* leaves are all equally deep */
        return damaged(c, page, "stands at the wrong depth");
    if (branch)
        c->found.branches++;
    else
        c->found.leaves++;
    return walk_entries(c, page, n, branch, depth, end);
}

static int check_tree(struct check *c, const struct tree *t, bool free_list) {
    c->free_list = free_list;
    c->next_key = 0;
    c->found = (struct tree){.depth = t->depth};
    /* nothing was ever committed: the very first start ended here */
    bool untouched = c->meta.transaction == 0 && t->root == NO_PAGE && t->flags == 0;
    if (((t->flags & 0xff) != INTEGER_KEYS && !untouched) || (t->root == NO_PAGE) != (t->depth == 0))
        return damaged(c, c->meta.transaction & 1, "describes no tree of ours");
    int r = t->root == NO_PAGE ? 0 : walk(c, t->root, 1, NO_PAGE);
    if (r < 0)
        return r;
    if (c->found.branches != t->branches || c->found.leaves != t->leaves || c->found.overflows != t->overflows ||
        c->found.entries != t->entries)
        return damaged(c, c->meta.transaction & 1, "counts other pages or entries than there are");
    return 0;
}

static int read_meta(struct check *c, unsigned page, struct meta *m) {
    struct page_header h;
    if ((page + 1) * c->page_size > c->size)
        return damaged(c, page, "is missing");
    int r = read_header(c, page, &h);
    if (r < 0)
        return r;
    memcpy(m, c->map + page * c->page_size + PAGE_HEADER, sizeof(*m));
    if (h.flags != PAGE_META || m->magic != (uint32_t) META_MAGIC)
        return damaged(c, page, "is no meta page of LMDB");
    if (m->version != META_VERSION)
        return error_set(c->err, -EPROTONOSUPPORT, "%s was written by another version of LMDB", c->name);
    if (m->free.pad != c->page_size || (m->transaction && (m->transaction & 1) != page))
        return damaged(c, page, "is no meta page of this file");
    return 0;
}

static int check_metas(struct check *c) {
    struct meta m[2] = {0};
    uint32_t page_size;
    memcpy(&page_size, c->map + PAGE_HEADER + offsetof(struct meta, free.pad), sizeof(page_size));
    if (page_size < PAGE_SIZE_MIN || page_size > PAGE_SIZE_MAX || (page_size & (page_size - 1)))
        return damaged(c, 0, "is no meta page of LMDB");
    c->page_size = page_size;
    c->n_pages = c->size / page_size;
    for (unsigned i = 0; i < 2; i++) {
        int r = read_meta(c, i, &m[i]);
        if (r < 0)
            return r;
    }
    uint64_t older = m[0].transaction < m[1].transaction ? m[0].transaction : m[1].transaction;
    uint64_t newer = m[0].transaction < m[1].transaction ? m[1].transaction : m[0].transaction;
    if (newer - older != (newer != 0))
        return damaged(c, newer & 1, "does not follow the other meta page");
    c->meta = m[newer & 1];
    return 0;
}

static int check_file(struct check *c) {
    int r = check_metas(c);
    if (r < 0)
        return r;
    c->seen = xcalloc(c->n_pages, 1);
    r = check_tree(c, &c->meta.main, false);
    if (r == 0)
        r = check_tree(c, &c->meta.free, true);
    free(c->seen);
    return r;
}

int lmdb_verify(int fd, const char *name, struct error *err) {
    struct check c = {.name = name, .err = err};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot read %s", name);
    if (st.st_size == 0)
        return 0;
    c.size = (size_t) st.st_size;
    if (c.size < PAGE_HEADER + sizeof(struct meta))
        return damaged(&c, 0, "is missing");
    void *map = mmap(NULL, c.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return error_set_errno(err, -errno, "cannot read %s", name);
    c.map = map;
    int r = check_file(&c);
    (void) munmap(map, c.size);
    return r;
}
