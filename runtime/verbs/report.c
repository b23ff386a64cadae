/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs tell people: errors on stderr and in the log file, documents on stdout. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "runtime/spec/spec.h"
#include "runtime/verbs/verbs.h"

static void write_log(const struct baton *b, const char *level, const char *text) {
    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
    _cleanup_json_ struct json *doc = NULL;
    time_t now = time(NULL);
    struct tm tm;
    char when[32];

    if (!b->log)
        return;
    _cleanup_close_ int fd = open(b->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return;
    (void) gmtime_r(&now, &tm);
    (void) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (b->log_json) {
        json_set(&doc, "level", json_string(level));
        json_set(&doc, "msg", json_string(text));
        json_set(&doc, "time", json_string(when));
        json_write(doc, 0, &line);
        strbuf_addc(&line, '\n');
    } else {
        strbuf_addf(&line, "time=\"%s\" level=%s msg=", when, level);
        json_write_string(text, strlen(text), &line);
        strbuf_addc(&line, '\n');
    }
    int r = fd_write_all(fd, line.data, line.len);
    (void) r;
}

int baton_fail(const struct baton *b, const struct error *err, int r) {
    const char *text = error_text(err, r);

    fprintf(stderr, "baton: %s\n", text);
    write_log(b, "error", text);
    return 1;
}

void baton_warn(const struct baton *b, const char *text) {
    if (b->errors_only)
        return;
    fprintf(stderr, "baton: warning: %s\n", text);
    write_log(b, "warning", text);
}

void baton_warn_capabilities(const struct baton *b, const struct spec_process *process) {
    for (char **u = process->capabilities.unknown; u && *u; u++) {
        _cleanup_free_ char *text = xasprintf("process.capabilities: unknown capability %s", *u);

        baton_warn(b, text);
    }
}

int baton_usage(const struct baton *b, const char *usage, const char *problem) {
    if (problem)
        fprintf(stderr, "baton: %s\n", problem);
    fprintf(stderr, "usage: baton [options] %s\n", usage);
    write_log(b, "error", problem ? problem : "wrong usage");
    return 1;
}

void baton_print(const struct json *doc) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_write(doc, JSON_WRITE_PRETTY, &text);
    strbuf_addc(&text, '\n');
    int r = fd_write_all(STDOUT_FILENO, text.data, text.len);
    (void) r;
}
