/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters kept in files, found by their section: an engine's profile of 400 calls takes 20 ms to compile, several times
 * as long as all else that a container needs, and is the same for all containers.
 *
 * A file holds a header, the whole section and the program. The name is a hash for finding only: what counts is that
 * the section in the file is the same text, so that nobody gets another's filter by finding a text with the same hash.
 * The folder is the runtime's own, like the state of the containers beside it; a file that others could have written is
 * not used. Nothing here can fail a creation: what cannot be read is compiled, what cannot be written is not.
 */
#include <fcntl.h>
#include <linux/limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"
#include "runtime/seccomp/filter.h"
#include "runtime/seccomp/seccomp.h"

#define FORMAT        1u /* to be raised with any change of compile.c that makes another program of a section */
#define MAGIC         0x70736331u
#define ENTRIES_MAX   64
#define CALLS_MIN     32 /* smaller ones are compiled as fast as they are found */
#define FILE_SIZE_MAX (sizeof(struct header) + CONFIG_JSON_BYTES_MAX + FILTER_BYTES_MAX)

struct header {
    uint32_t magic, key_n, n, flags, notifies, unused;
    uint64_t sum; /* of the program: a file system may lose the end of a file in a crash */
};

static uint64_t hash(const void *p, size_t n) {
    const unsigned char *at = p;
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * UINT64_C(1099511628211);
    return h;
}

static bool is_worth_it(const struct json *section) {
    const struct json *rules = json_get(section, "syscalls");
    size_t n = 0;

    for (size_t i = 0; i < json_len(rules); i++)
        n += json_len(json_get(json_at(rules, i), "names"));
    return n >= CALLS_MIN;
}

/* All that a program depends on. */
static char *make_key(const struct json *section) {
    const struct scmp_version *v = seccomp_version();
    _cleanup_free_ char *text = json_to_text(section);
    struct utsname u;

    if (!v || uname(&u) < 0)
        return NULL;
    return xasprintf("%u %u.%u.%u %s %s\n%s", FORMAT, v->major, v->minor, v->micro, u.machine, u.release, text);
}

/* The program of a file's bytes, NULL when they are none for the key. */
static struct seccomp_filter *parse(const struct strbuf *file, const char *key) {
    struct header h;

    if (file->len < sizeof(h))
        return NULL;
    memcpy(&h, file->data, sizeof(h));
    const size_t key_n = strlen(key), code_n = h.n * sizeof(struct sock_filter);
    const char *code = file->data + sizeof(h) + key_n;
    if (h.magic != MAGIC || h.key_n != key_n || h.n == 0 || h.n > BPF_MAXINSNS ||
        file->len != sizeof(h) + key_n + code_n || memcmp(file->data + sizeof(h), key, key_n) != 0 ||
        hash(code, code_n) != h.sum)
        return NULL;
    struct seccomp_filter *f = xnew0(struct seccomp_filter);
    f->flags = h.flags;
    f->notifies = h.notifies != 0;
    f->n = (unsigned short) h.n;
    f->code = xmemdup(code, code_n);
    return f;
}

static struct seccomp_filter *load(const char *path, const char *key) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    _cleanup_strbuf_ struct strbuf file = STRBUF_INIT;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) ||
        fd_read_all(fd, FILE_SIZE_MAX, &file, NULL) < 0)
        return NULL;
    return parse(&file, key);
}

/* Profiles change rarely: with many files most are of the past. */
static void make_place(const char *folder) {
    _cleanup_closedir_ DIR *d = opendir(folder);
    const struct dirent *e;
    size_t n = 0;

    while (d && readdir(d))
        n++;
    if (n < ENTRIES_MAX)
        return;
    rewinddir(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.')
            (void) unlinkat(dirfd(d), e->d_name, 0);
}

static void store(const char *folder, const char *path, const char *key, const struct seccomp_filter *f) {
    const size_t code_n = f->n * sizeof(*f->code);
    const struct header h = {.magic = MAGIC,
                             .key_n = (uint32_t) strlen(key),
                             .n = f->n,
                             .flags = f->flags,
                             .notifies = f->notifies,
                             .sum = hash(f->code, code_n)};
    _cleanup_strbuf_ struct strbuf file = STRBUF_INIT;

    if (mkdir_parents(folder, 0711, NULL) < 0)
        return;
    make_place(folder);
    strbuf_add(&file, &h, sizeof(h));
    strbuf_adds(&file, key);
    strbuf_add(&file, f->code, code_n);
    int r = file_write_atomic(path, file.data, file.len, 0600, false, NULL);
    (void) r;
}

int seccomp_compile_cached(const struct json *section, const char *folder, struct seccomp_filter **ret,
                           struct error *err) {
    _cleanup_free_ char *key = folder && is_worth_it(section) ? make_key(section) : NULL;

    if (!key)
        return seccomp_compile(section, ret, err);
    char name[20];
    (void) snprintf(name, sizeof(name), "%016llx", (unsigned long long) hash(key, strlen(key)));
    _cleanup_free_ char *path = path_join(folder, name);
    if ((*ret = load(path, key)))
        return 0;
    int r = seccomp_compile(section, ret, err);
    if (r == 0)
        store(folder, path, key, *ret);
    return r;
}
