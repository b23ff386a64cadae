/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

static const char usage[] = "list [-q] [--format table|json]";

static void print_row(const struct json *doc) {
    printf("%-32s %-8lld %-10s %-40s %s\n", json_str_or(json_get(doc, "id"), ""),
           (long long) json_int_or(json_get(doc, "pid"), 0), json_str_or(json_get(doc, "status"), ""),
           json_str_or(json_get(doc, "bundle"), ""), json_str_or(json_get(doc, "created"), ""));
}

static int list(const struct baton *b, bool quiet, bool as_json, struct error *err) {
    _cleanup_strv_ char **ids = NULL;
    _cleanup_json_ struct json *all = json_array();
    int r = state_list(b->root, &ids, err);

    if (r < 0)
        return r;
    if (!quiet && !as_json)
        printf("%-32s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    for (size_t i = 0; ids[i]; i++) {
        _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;

        if (container_file_open(b, ids[i], &f, NULL) < 0)
            continue; /* deleted meanwhile, or damaged: `state` tells */
        struct json *doc = state_document(&f.dir, &f.state, f.status);
        if (quiet)
            printf("%s\n", ids[i]);
        else if (!as_json)
            print_row(doc);
        json_append(&all, doc);
    }
    if (as_json && !quiet)
        baton_print(all);
    return 0;
}

int verb_list(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {
        {"quiet", no_argument, NULL, 'q'}, {"format", required_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool quiet = false, as_json = false;
    int c;

    while ((c = getopt_long(argc, argv, "+qf:", options, NULL)) >= 0)
        if (c == 'q')
            quiet = true;
        else if (c == 'f' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "table") == 0))
            as_json = strcmp(optarg, "json") == 0;
        else
            return baton_usage(b, usage, c == 'f' ? "the format is table or json" : NULL);
    if (argc != optind)
        return baton_usage(b, usage, "no arguments are taken");
    int r = list(b, quiet, as_json, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
