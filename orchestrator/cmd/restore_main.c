/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium restore`: a server's folder, made of a file that `podium backup` wrote. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/cmd/verbs.h"
#include "orchestrator/store/backup.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define DATA_DIR_DEFAULT "/var/lib/podium/server"

static const char usage[] =
    "Usage: podium restore FILE [--data-dir DIR]\n"
    "\n"
    "Makes the store of a server of a backup, and its keys when they are in the file and the server has none.\n"
    "The server must be stopped, and an old store moved away: nothing is ever overwritten.\n"
    "\n"
    "  --data-dir DIR    the server's folder (default " DATA_DIR_DEFAULT ")\n"
    "\n"
    "  systemctl stop podium-server\n"
    "  mv /var/lib/podium/server/store /var/lib/podium/server/store.old\n"
    "  podium restore /var/backups/podium.jsonl\n"
    "  systemctl start podium-server\n";

static int write_key(const char *dir, const struct json *line, struct error *err) {
    const char *name = json_str_or(json_get(line, "file"), ""), *data = json_str_or(json_get(line, "data"), "");
    mode_t mode = (mode_t) json_int_or(json_get(line, "mode"), 0600) & 0644;
    unsigned char *bytes = NULL;
    size_t n = 0;

    if (file_name_is_unsafe(name) || base64_decode(data, strlen(data), &bytes, &n) < 0)
        return error_set(err, -EBADMSG, "a key in the backup is unusable: \"%s\"", name);
    _cleanup_free_ char *path = path_join(dir, name);
    int r = file_write_atomic(path, bytes, n, mode, true, err);
    free(bytes);
    return r;
}

/* The lines behind the heading of the keys. */
static int write_keys(FILE *file, const char *dir, struct error *err) {
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    int64_t n = 0;

    for (;;) {
        _cleanup_json_ struct json *doc = NULL;
        ssize_t len = getline(&line, &cap, file);
        if (len <= 0 || line[len - 1] != '\n' || json_parse(line, (size_t) len, NULL, &doc, NULL) < 0)
            return error_set(err, -EBADMSG, "the keys in the backup were cut short");
        if (json_get(doc, "end"))
            return json_int_or(json_get(doc, "files"), -1) == n
                       ? 0
                       : error_set(err, -EBADMSG, "keys are missing in the backup");
        int r = write_key(dir, doc, err);
        if (r < 0)
            return r;
        n++;
    }
}

/* Puts the file behind the heading of the keys. 1: there are some; 0: not, or the server has its own. */
static int find_keys(FILE *file, const char *pki, struct error *err) {
    static const char heading[] = "{\"format\":\"podium-keys\"", end[] = "{\"end\":\"podium-backup\"";
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    struct stat st;

    do /* what is before is checked by who reads it */
        len = getline(&line, &cap, file);
    while (len > 0 && strncmp(line, end, sizeof(end) - 1) != 0);
    len = len > 0 ? getline(&line, &cap, file) : 0;
    if (len <= 0)
        return 0;
    if (strncmp(line, heading, sizeof(heading) - 1) != 0)
        return error_set(err, -EBADMSG, "what follows the store in the backup is not known");
    if (lstat(pki, &st) < 0)
        return 1;
    fprintf(stderr, "Note: the keys in %s are kept, those of the backup are not used.\n", pki);
    return 0;
}

/* The keys of the file into a folder beside their place. 1: done, 0: there is nothing to do. */
static int prepare_keys(FILE *file, const char *pki, const char *beside, struct error *err) {
    int r = find_keys(file, pki, err);

    if (r > 0)
        r = rm_tree(beside, err) < 0 ? -EIO : 1;
    if (r > 0 && mkdir_parents(beside, 0700, err) < 0)
        r = -EIO;
    if (r > 0) {
        int k = write_keys(file, beside, err);
        r = k < 0 ? k : 1;
    }
    rewind(file);
    return r;
}

/* Keys first, so that Secrets are written sealed; into their places last: all or nothing. */
static int restore_all(FILE *file, const char *data_dir, struct error *err) {
    _cleanup_free_ char *store = path_join(data_dir, "store"), *pki = path_join(data_dir, "pki"),
                        *beside = xasprintf("%s.restoring", pki);
    int keys = prepare_keys(file, pki, beside, err);
    _cleanup_free_ char *key = path_join(keys > 0 ? beside : pki, "store.key");
    const struct store_options options = {.path = store, .key_file = key};
    size_t n = 0;

    int r = keys < 0 ? keys : store_restore_lmdb(&options, file, &n, err);
    if (r == 0 && keys > 0 && rename(beside, pki) < 0) {
        r = error_set_errno(err, -errno, "cannot move the keys to %s", pki);
        (void) rm_tree(store, NULL);
    }
    if (r < 0)
        (void) rm_tree(beside, NULL);
    else
        printf("%zu objects restored into %s%s\n", n, store, keys ? ", and the server's keys" : "");
    return r;
}

static int restore(const char *path, const char *data_dir, struct error *err) {
    FILE *file = fopen(path, "re");

    if (!file)
        return error_set_errno(err, -errno, "cannot open %s", path);
    int r = mkdir_parents(data_dir, 0755, err);
    if (r == 0)
        r = restore_all(file, data_dir, err);
    (void) fclose(file);
    return r;
}

int restore_main(int argc, char **argv) {
    static const struct option options[] = {
        {"data-dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *data_dir = DATA_DIR_DEFAULT;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (c != 'd') {
            fputs("Try: podium restore --help\n", stderr);
            return 2;
        }
        data_dir = optarg;
    }
    if (optind + 1 != argc || *data_dir != '/') {
        fputs("podium restore: one FILE is wanted, and a folder from the root. Try: podium restore --help\n", stderr);
        return 2;
    }
    int r = restore(argv[optind], data_dir, &err);
    if (r < 0)
        fprintf(stderr, "podium restore: %s\n", error_text(&err, r));
    return r < 0;
}
