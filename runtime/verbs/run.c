/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <unistd.h>

#include "runtime/verbs/creation.h"
#include "runtime/verbs/foreground.h"
#include "runtime/verbs/verbs.h"

static const char usage[] =
    "run [-d] [--keep] [-b BUNDLE] [-f CONFIG] [--pid-file FILE] [--pidfd-socket PATH] [--console-socket PATH] "
    "[--preserve-fds N] [--no-pivot] [--no-new-keyring] ID";

/* Runs the poststart hooks; a failing one is logged only. */
static void poststart(const struct baton *b, const struct creation *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (c->spec->hooks[SPEC_HOOK_POSTSTART].n == 0)
        return;
    _cleanup_json_ struct json *doc = state_document(&c->dir, &c->state, STATE_RUNNING);
    int r = container_run_hooks(c->spec, SPEC_HOOK_POSTSTART, doc, &err);
    if (r < 0)
        baton_warn(b, error_text(&err, r));
}

/* What only the start needed is not carried along while the container runs, and its folder is unlocked. */
static void slim_down(struct creation *c) {
    closep(&c->dir.fd);
    c->dir.fd = -1;
    spec_free(c->spec);
    c->spec = NULL;
    cgroup_finish(&c->cgroup);
    cgroup_hierarchy_finish(&c->hierarchy);
}

static int clean_up(const struct baton *b, const char *id, struct creation *c, struct error *err) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;
    int r = state_dir_open(b->root, id, &dir, err);

    if (r == -ENOENT) { /* somebody deleted it meanwhile */
        error_clear(err);
        return 0;
    }
    return r < 0 ? r : creation_destroy(b, &dir, &c->state, err);
}

static int run(const struct baton *b, const struct creation_options *o, bool keep, struct error *err) {
    _cleanup_(creation_finish) struct creation c = CREATION_INIT;
    int status = 0, r;

    if (!o->detached)
        foreground_block_signals();
    if ((r = creation_make(b, o, &c, err)) < 0)
        return r;
    if (!o->detached)
        foreground_prepare(&c.process);
    if ((r = container_start(&c.process, err)) < 0) {
        creation_undo(b, &c);
        return r;
    }
    poststart(b, &c);
    if (o->detached)
        return 0;
    slim_down(&c);
    if ((status = foreground_wait(&c.process, err)) < 0) {
        /* nobody would learn of its end */
        container_abort(&c.process);
        if (o->pid_file)
            (void) unlink(o->pid_file);
        if ((r = clean_up(b, o->id, &c, NULL)) < 0)
            baton_warn(b, "the container could not be removed: delete --force tries again");
        return status;
    }
    if (!keep && (r = clean_up(b, o->id, &c, err)) < 0)
        return r;
    return status;
}

int verb_run(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {CREATION_LONG_OPTIONS,
                                            {"detach", no_argument, NULL, 'd'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct creation_options o = {0};
    bool keep = false;
    int c;

    while ((c = getopt_long(argc, argv, "+" CREATION_SHORT_OPTIONS "d", options, NULL)) >= 0)
        if (c == 'd')
            o.detached = true;
        else if (c == 'k')
            keep = true;
        else if (!creation_option(&o, c, optarg))
            return baton_usage(b, usage, NULL);
    if (argc - optind != 1)
        return baton_usage(b, usage, "exactly one container id is needed");
    o.id = argv[optind];
    int r = run(b, &o, keep, &err);
    return r < 0 ? baton_fail(b, &err, r) : r;
}
