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

static int write_spec(const char *bundle, struct error *err) {
    _cleanup_json_ struct json *config = spec_default_config();
    _cleanup_free_ char *path = path_join(bundle, "config.json");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_write(config, JSON_WRITE_PRETTY, &text);
    strbuf_addc(&text, '\n');
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : fd_write_all(fd, text.data, text.len);
    return r < 0 ? error_set_errno(err, r, "cannot write %s", path) : 0;
}

int verb_spec(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {{"bundle", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *bundle = ".";
    int c;

    while ((c = getopt_long(argc, argv, "+b:", options, NULL)) >= 0)
        if (c == 'b')
            bundle = optarg;
        else
            return baton_usage(b, "spec [-b BUNDLE]", NULL);
    int r = write_spec(bundle, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
