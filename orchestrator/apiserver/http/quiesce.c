/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/quiesce.h"

#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES_MAX 1000000 /* then it is another fault, and the end */

/* Set while this thread is in MHD_quiesce_daemon(): the library's handler gets nothing to know it by. */
static _Thread_local jmp_buf *again;

static void panicked(void *cls, const char *file, unsigned line, const char *reason) {
    if (again)
        longjmp(*again, 1);
    fprintf(stderr, "libmicrohttpd %s:%u: %s\n", file, line, reason ? reason : "");
    abort();
}

int quiesce(struct MHD_Daemon *daemon) {
    volatile unsigned tries = 0;
    jmp_buf here;
    MHD_set_panic_func(panicked, NULL);
    if (setjmp(here))
        (void) sched_yield(); /* the worker is about to take note that it has stopped */
    again = ++tries < TRIES_MAX ? &here : NULL;
    int fd = MHD_quiesce_daemon(daemon);
    again = NULL;
    return fd;
}
