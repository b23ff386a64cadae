/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ownership made visible: scope-bound release and explicit hand-over.
 *
 *   _cleanup_free_ char *name = NULL;          freed at scope exit
 *   _cleanup_close_ int fd = -EBADF;           closed at scope exit
 *   _cleanup_(thing_unrefp) struct thing *t;   any release function taking T**
 *   return steal(&name);                       hands the pointer to the caller
 */
#ifndef PODIUM_BASE_CLEANUP_H
#define PODIUM_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn)       __attribute__((cleanup(fn)))
#define _must_check_        __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_            __attribute__((unused))

/* Moves the pointer out of *pp, leaving NULL behind, so that its cleanup does nothing. */
#define steal(pp)                                                                                                      \
    ({                                                                                                                 \
        __typeof__(*(pp)) _s = *(pp);                                                                                  \
        *(pp) = NULL;                                                                                                  \
        _s;                                                                                                            \
    })

/* Like steal() for file descriptors. */
static inline int steal_fd(int *fdp) {
    int fd = *fdp;
    *fdp = -EBADF;
    return fd;
}

/* Defines NAMEp(T **) around a release function NAME(T *) that accepts NULL. */
#define DEFINE_CLEANUP(type, name)                                                                                     \
    static inline _unused_ void name##p(type *p) {                                                                     \
        if (*p)                                                                                                        \
            name(*p);                                                                                                  \
    }

static inline void freep(void *p) {
    free(*(void **) p);
}

static inline void closep(int *fd) {
    if (*fd >= 0) {
        int saved = errno;
        (void) close(*fd);
        errno = saved;
    }
}

static inline void fclosep(FILE **f) {
    if (*f)
        (void) fclose(*f);
}

static inline void closedirp(DIR **d) {
    if (*d)
        (void) closedir(*d);
}

#define _cleanup_free_     _cleanup_(freep)
#define _cleanup_close_    _cleanup_(closep)
#define _cleanup_fclose_   _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *) ((char *) (ptr) -offsetof(type, member)))

#endif
