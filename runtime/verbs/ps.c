/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

#define COMMAND_BYTES_MAX (1u << 20)

static const char usage[] = "ps [--format table|json] ID";

static void print_process(pid_t pid) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char path[64];

    (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
    if (file_read(path, COMMAND_BYTES_MAX, &text, NULL) < 0)
        return;
    for (size_t i = 0; i + 1 < text.len; i++)
        if ((unsigned char) text.data[i] < ' ')
            text.data[i] = ' ';
    printf("%-8d %s\n", (int) pid, strbuf_str(&text));
}

static int print_processes(const struct baton *b, const char *id, bool as_json, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_json_ struct json *list = json_array();
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;
    int r = container_file_open(b, id, &f, err);

    if (r < 0 || (r = container_file_cgroup(&f, &cg, err)) < 0 || (r = cgroup_pids(&cg, true, &pids, &n, err)) < 0)
        return r;
    if (!as_json)
        printf("%-8s %s\n", "PID", "COMMAND");
    for (size_t i = 0; i < n; i++)
        if (as_json)
            json_append(&list, json_int(pids[i]));
        else
            print_process(pids[i]);
    if (as_json)
        baton_print(list);
    return 0;
}

int verb_ps(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool as_json = false;
    int c;

    while ((c = getopt_long(argc, argv, "+f:", options, NULL)) >= 0)
        if (c == 'f' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "table") == 0))
            as_json = strcmp(optarg, "json") == 0;
        else
            return baton_usage(b, usage, c == 'f' ? "the format is table or json" : NULL);
    if (argc - optind < 1)
        return baton_usage(b, usage, "a container id is needed");
    int r = print_processes(b, argv[optind], as_json, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
