/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spec: writes a config.json to start from. */
#include <fcntl.h>
#include <getopt.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"
#include "runtime/spec/spec.h"
#include "runtime/verbs/verbs.h"

static int write_spec(const char *bundle, const char *name, bool rootless, struct error *err) {
    _cleanup_json_ struct json *config = rootless ? spec_rootless_config(geteuid(), getegid()) : spec_default_config();
    _cleanup_free_ char *path = path_join(bundle, name);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_write(config, JSON_WRITE_PRETTY, &text);
    strbuf_addc(&text, '\n');
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : fd_write_all(fd, text.data, text.len);
    return r < 0 ? error_set_errno(err, r, "cannot write %s", path) : 0;
}

int verb_spec(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {{"bundle", required_argument, NULL, 'b'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"rootless", no_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *bundle = ".", *name = "config.json";
    bool rootless = false;
    int c;

    while ((c = getopt_long(argc, argv, "+b:f:", options, NULL)) >= 0)
        if (c == 'b')
            bundle = optarg;
        else if (c == 'f')
            name = optarg;
        else if (c == 'r')
            rootless = true;
        else
            return baton_usage(b, "spec [-b BUNDLE] [-f FILE] [--rootless]", NULL);
    if (argc != optind)
        return baton_usage(b, "spec [-b BUNDLE] [-f FILE] [--rootless]", "no arguments are taken");
    int r = write_spec(bundle, name, rootless, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
