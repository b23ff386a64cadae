/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address pool: a folder of symbolic links, mirrored in memory. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/path.h"
#include "podium/netns.h"

#define CURSOR_NAME "cursor"

enum { PREFIX_MIN = 8, PREFIX_MAX = 30, OWNER_BYTES_MAX = 255 };

struct ipam {
    char *dir;
    int dirfd;     /* holds the lock */
    uint32_t base; /* network address, host order */
    unsigned prefix;
    uint32_t n;             /* addresses in the range, network and broadcast included; up to 2^24 */
    uint32_t cursor;        /* offset given out last */
    uint8_t *used;          /* a bit per offset */
    struct hashmap *owners; /* owner → offset as a pointer */
};

static bool bit_get(const struct ipam *ipam, uint32_t offset) {
    return ipam->used[offset / 8] & (1u << offset % 8);
}

static void bit_set(struct ipam *ipam, uint32_t offset, bool on) {
    if (on)
        ipam->used[offset / 8] |= (uint8_t) (1u << offset % 8);
    else
        ipam->used[offset / 8] &= (uint8_t) ~(1u << offset % 8);
}

/* Offsets 0 (network), 1 (gateway) and the last (broadcast) are nobody's. */
static bool is_usable(const struct ipam *ipam, uint32_t offset) {
    return offset >= 2 && offset < ipam->n - 1;
}

static void format_address(const struct ipam *ipam, uint32_t offset, char out[NETNS_ADDRESS_SIZE]) {
    struct in_addr in = {.s_addr = htonl(ipam->base + offset)};

    (void) inet_ntop(AF_INET, &in, out, NETNS_ADDRESS_SIZE);
}

/* False for what is no usable address of the pool. */
static bool parse_offset(const struct ipam *ipam, const char *text, uint32_t *ret) {
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    *ret = ntohl(in.s_addr) - ipam->base; /* wraps to something huge below the base */
    return *ret < ipam->n && is_usable(ipam, *ret);
}

static int parse_cidr(struct ipam *ipam, const char *cidr, struct error *err) {
    char address[INET_ADDRSTRLEN] = "", *end;
    struct in_addr in;

    if (cidr && strchr(cidr, ':'))
        return error_set(err, -EAFNOSUPPORT, "%s: IPv6 is not supported yet", cidr);
    const char *slash = cidr ? strchr(cidr, '/') : NULL;
    if (!slash || (size_t) (slash - cidr) >= sizeof(address))
        return error_set(err, -EINVAL, "\"%s\" is no address range", cidr ? cidr : "");
    memcpy(address, cidr, (size_t) (slash - cidr));
    unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (inet_pton(AF_INET, address, &in) != 1 || end == slash + 1 || *end || slash[1] == '-' || slash[1] == '+')
        return error_set(err, -EINVAL, "\"%s\" is no address range", cidr);
    if (prefix < PREFIX_MIN || prefix > PREFIX_MAX)
        return error_set(err, -EINVAL, "%s: the prefix of a pod range must be from %d to %d", cidr, PREFIX_MIN,
                         PREFIX_MAX);
    ipam->prefix = (unsigned) prefix;
    ipam->n = 1u << (32 - prefix);
    ipam->base = ntohl(in.s_addr) & ~(ipam->n - 1);
    return 0;
}

/* The owner an entry points to: 1, 0 when there is none (no link, too long), -errno when that cannot be told. */
static int read_link(const struct ipam *ipam, const char *name, char owner[OWNER_BYTES_MAX + 2]) {
    ssize_t n = readlinkat(ipam->dirfd, name, owner, OWNER_BYTES_MAX + 1);

    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -errno;
    if (n == 0 || n > OWNER_BYTES_MAX)
        return 0;
    owner[n] = 0;
    return 1;
}

/* Takes over one entry of the folder, or removes it: not ours, outside the range, or a second one of an owner. One that
 * cannot be read at the moment is a pod's address all the same: an error. */
static int load_entry(struct ipam *ipam, const char *name) {
    char owner[OWNER_BYTES_MAX + 2];
    uint32_t offset;

    int r = read_link(ipam, name, owner);
    if (r < 0)
        return r;
    if (strcmp(name, CURSOR_NAME) == 0) {
        if (r && parse_offset(ipam, owner, &offset))
            ipam->cursor = offset;
        return 0;
    }
    if (!r || !parse_offset(ipam, name, &offset) || hashmap_has(ipam->owners, owner)) {
        (void) unlinkat(ipam->dirfd, name, 0);
        return 0;
    }
    bit_set(ipam, offset, true);
    hashmap_put(ipam->owners, owner, (void *) (uintptr_t) offset);
    return 0;
}

static int load(struct ipam *ipam, struct error *err) {
    int fd = openat(ipam->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot read %s", ipam->dir);
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        (void) close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    struct dirent *e;
    int r = 0;
    while (r >= 0 && (errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = load_entry(ipam, e->d_name);
    if (r >= 0 && errno)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot read %s", ipam->dir) : 0;
}

static int open_dir(struct ipam *ipam, struct error *err) {
    int r = mkdir_parents(ipam->dir, 0755, err);

    if (r < 0)
        return r;
    ipam->dirfd = open(ipam->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ipam->dirfd < 0)
        return error_set_errno(err, -errno, "cannot open %s", ipam->dir);
    if (flock(ipam->dirfd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? error_set(err, -EBUSY, "the address pool %s is in use by another process", ipam->dir)
                   : error_set_errno(err, -errno, "cannot lock %s", ipam->dir);
    return 0;
}

void ipam_close(struct ipam *ipam) {
    if (!ipam)
        return;
    closep(&ipam->dirfd);
    hashmap_free(ipam->owners);
    free(ipam->used);
    free(ipam->dir);
    free(ipam);
}

struct ipam *ipam_open(const char *dir, const char *cidr, struct error *err) {
    _cleanup_(ipam_closep) struct ipam *ipam = xnew0(struct ipam);

    ipam->dirfd = -EBADF;
    ipam->dir = xstrdup(dir);
    ipam->owners = hashmap_new(NULL);
    if (parse_cidr(ipam, cidr, err) < 0 || open_dir(ipam, err) < 0)
        return NULL;
    ipam->used = xcalloc(1, (ipam->n + 7) / 8);
    ipam->cursor = 1;
    if (load(ipam, err) < 0)
        return NULL;
    return steal(&ipam);
}

int ipam_lookup(const struct ipam *ipam, const char *owner, char out[NETNS_ADDRESS_SIZE]) {
    if (!hashmap_has(ipam->owners, owner))
        return -ENOENT;
    format_address(ipam, (uint32_t) (uintptr_t) hashmap_get(ipam->owners, owner), out);
    return 0;
}

/* The first free offset behind the cursor, round the end; 0 when all are used. */
static uint32_t next_free(const struct ipam *ipam) {
    uint32_t offset = ipam->cursor;

    for (uint32_t i = 0; i < ipam->n; i++) {
        offset = offset + 1 < ipam->n ? offset + 1 : 0;
        if (is_usable(ipam, offset) && !bit_get(ipam, offset))
            return offset;
    }
    return 0;
}

/* Replaced by rename. Losing it costs only the resting time of addresses. */
static void write_cursor(struct ipam *ipam, const char *address) {
    (void) unlinkat(ipam->dirfd, CURSOR_NAME ".new", 0);
    if (symlinkat(address, ipam->dirfd, CURSOR_NAME ".new") == 0)
        (void) renameat(ipam->dirfd, CURSOR_NAME ".new", ipam->dirfd, CURSOR_NAME);
}

int ipam_allocate(struct ipam *ipam, const char *owner, char out[NETNS_ADDRESS_SIZE], struct error *err) {
    size_t n = owner ? strlen(owner) : 0;
    char text[NETNS_ADDRESS_SIZE];

    if (n == 0 || n > OWNER_BYTES_MAX)
        return error_set(err, -EINVAL, "an owner of an address has 1 to %d bytes", OWNER_BYTES_MAX);
    if (ipam_lookup(ipam, owner, out) == 0)
        return 0;
    uint32_t offset = next_free(ipam);
    if (offset == 0) {
        format_address(ipam, 0, text);
        return error_set(err, -ENOSPC, "all %zu pod addresses of %s/%u are in use on this node", ipam_capacity(ipam),
                         text, ipam->prefix);
    }
    format_address(ipam, offset, text);
    if (symlinkat(owner, ipam->dirfd, text) < 0)
        return error_set_errno(err, -errno, "cannot write %s/%s", ipam->dir, text);
    write_cursor(ipam, text);
    bit_set(ipam, offset, true);
    hashmap_put(ipam->owners, owner, (void *) (uintptr_t) offset);
    ipam->cursor = offset;
    memcpy(out, text, sizeof(text));
    return 0;
}

int ipam_release(struct ipam *ipam, const char *owner, struct error *err) {
    char text[NETNS_ADDRESS_SIZE];

    if (!hashmap_has(ipam->owners, owner))
        return 0;
    uint32_t offset = (uint32_t) (uintptr_t) hashmap_get(ipam->owners, owner);
    format_address(ipam, offset, text);
    if (unlinkat(ipam->dirfd, text, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove %s/%s", ipam->dir, text);
    bit_set(ipam, offset, false);
    (void) hashmap_remove(ipam->owners, owner);
    return 0;
}

int ipam_retain(struct ipam *ipam, char *const *owners, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *keep = hashmap_new(NULL);
    _cleanup_strv_ char **gone = NULL;
    struct hashmap_iter it = {0};
    size_t n = 0, cap = 0;
    int released = 0;

    for (size_t i = 0; i < strv_len(owners); i++)
        hashmap_put(keep, owners[i], keep);
    while (hashmap_next(ipam->owners, &it)) {
        if (hashmap_has(keep, it.key))
            continue;
        xgrow(&gone, n, &cap);
        gone[n++] = xstrdup(it.key);
    }
    xgrow(&gone, n, &cap);
    gone[n] = NULL;
    for (size_t i = 0; i < n; i++) {
        int r = ipam_release(ipam, gone[i], err);
        if (r < 0)
            return r;
        released++;
    }
    return released;
}

void ipam_gateway(const struct ipam *ipam, char out[NETNS_ADDRESS_SIZE]) {
    format_address(ipam, 1, out);
}

unsigned ipam_prefix_length(const struct ipam *ipam) {
    return ipam->prefix;
}

size_t ipam_used(const struct ipam *ipam) {
    return hashmap_len(ipam->owners);
}

size_t ipam_capacity(const struct ipam *ipam) {
    return ipam->n - 3;
}
