/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>

#include "runtime/verbs/creation.h"
#include "runtime/verbs/verbs.h"

static const char usage[] =
    "create [-b BUNDLE] [-f CONFIG] [--pid-file FILE] [--pidfd-socket PATH] [--console-socket PATH] "
    "[--preserve-fds N] [--no-pivot] [--no-new-keyring] ID";

int verb_create(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {CREATION_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(creation_finish) struct creation creation = CREATION_INIT;
    struct creation_options o = {.start_later = true, .detached = true};
    int c;

    while ((c = getopt_long(argc, argv, "+" CREATION_SHORT_OPTIONS, options, NULL)) >= 0)
        if (!creation_option(&o, c, optarg))
            return baton_usage(b, usage, NULL);
    if (argc - optind != 1)
        return baton_usage(b, usage, "exactly one container id is needed");
    o.id = argv[optind];
    int r = creation_make(b, &o, &creation, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
