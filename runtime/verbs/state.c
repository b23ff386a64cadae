/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

int verb_state(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    int r;

    if (argc != 2)
        return baton_usage(b, "state ID", "exactly one container id is needed");
    if ((r = container_file_open(b, argv[1], &f, &err)) < 0)
        return baton_fail(b, &err, r);
    _cleanup_json_ struct json *doc = state_document(&f.dir, &f.state, f.status);
    baton_print(doc);
    return 0;
}
