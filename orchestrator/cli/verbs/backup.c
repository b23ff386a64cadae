/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium backup: the store of the cluster in use, and this host's keys, into one file. podium rotate-key: a new key for
 * that store. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define DATA_DIR_DEFAULT "/var/lib/podium/server"
#define KEY_BYTES_MAX    (1u << 20)

const struct flag flags_backup[] = {
    {"data-dir", 0, FLAG_VALUE, NULL, "DIR", "also the keys of the server with this folder (" DATA_DIR_DEFAULT ")"},
    {"no-keys", 0, FLAG_BOOL, NULL, NULL, "leave the keys out"},
    FLAG_END,
};

struct copying {
    FILE *out;
    uint64_t bytes;
};

static int on_bytes(void *userdata, const char *p, size_t n) {
    struct copying *k = userdata;
    k->bytes += n;
    return fwrite(p, 1, n, k->out) == n ? 0 : -EIO;
}

static int fetch_store(struct cli *c, struct copying *k) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    _cleanup_json_ struct json *status = NULL;
    const struct plain_request request = {
        .target = "/podium/v1/backup", .accept = "*/*", .bytes = on_bytes, .userdata = k, .endless = true};
    int code = 0;
    int r = connection_get(&c->connection, &request, &code, &answer, &err);
    if (r < 0)
        return cli_refused(c, "", 0, NULL, error_text(&err, r));
    if (code == 200)
        return 0;
    r = json_parse(strbuf_str(&answer), answer.len, NULL, &status, NULL);
    return cli_refused(c, "", code, status,
                       json_str_or(r == 0 ? json_get(status, "message") : NULL, strbuf_str(&answer)));
}

static int add_key(FILE *out, const char *dir, const char *name, struct error *err) {
    _cleanup_free_ char *path = path_join(dir, name);
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;
    _cleanup_json_ struct json *line = json_object();
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    int r = file_read(path, KEY_BYTES_MAX, &bytes, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *data = base64_encode(strbuf_str(&bytes), bytes.len);
    json_set(&line, "file", json_string(name));
    json_set(&line, "mode", json_int(st.st_mode & 07777));
    json_set(&line, "data", json_string(data));
    _cleanup_free_ char *text = json_to_text(line);
    return fprintf(out, "%s\n", text) < 0 ? -EIO : 1;
}

/* The certificate authority and the key that signs tokens: without them every node would have to join again. */
static int add_keys(FILE *out, const char *data_dir, struct error *err) {
    _cleanup_free_ char *pki = path_join(data_dir, "pki");
    _cleanup_closedir_ DIR *d = opendir(pki);
    struct dirent *e;
    int n = 0;

    if (!d)
        return error_set_errno(err, -errno, "cannot read %s", pki);
    fputs("{\"format\":\"podium-keys\",\"version\":1}\n", out);
    while ((e = readdir(d))) {
        int r = e->d_name[0] == '.' ? 0 : add_key(out, pki, e->d_name, err);
        if (r < 0)
            return r;
        n += r;
    }
    return fprintf(out, "{\"end\":\"podium-keys\",\"files\":%d}\n", n) < 0 ? -EIO : n;
}

static int write_all(struct cli *c, struct copying *k) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *data_dir = args_str(&c->args, "data-dir");
    int failed = fetch_store(c, k);

    if (failed || args_bool(&c->args, "no-keys", false))
        return failed;
    int r = add_keys(k->out, data_dir ? data_dir : DATA_DIR_DEFAULT, &err);
    if (r >= 0)
        return 0;
    if (data_dir || r != -ENOENT)
        return cli_fail("%s", error_text(&err, r));
    fprintf(stderr, "Note: without the server's keys, which are not on this host (--data-dir names another folder). "
                    "Nodes join again after a restore.\n");
    return 0;
}

int cli_verb_backup(struct cli *c) {
    char *const *words = c->args.words;
    if (!words[0] || words[1])
        return cli_usage(c, "one file is wanted");
    if (cli_connect(c))
        return 1;
    _cleanup_free_ char *beside = xasprintf("%s.part", words[0]);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct copying k = {.out = fd < 0 ? NULL : fdopen(fd, "w")};
    if (!k.out)
        return cli_fail("cannot write %s: %s", beside, strerror(errno));
    int failed = write_all(c, &k);
    bool written = fflush(k.out) == 0 && fsync(fd) == 0;
    if (fclose(k.out) != 0 || (!written && !failed))
        failed = cli_fail("cannot write %s: %s", beside, strerror(errno));
    if (!failed && rename(beside, words[0]) < 0)
        failed = cli_fail("cannot write %s: %s", words[0], strerror(errno));
    if (failed)
        (void) unlink(beside);
    else
        printf("%s: %llu bytes\n", words[0], (unsigned long long) k.bytes);
    return failed;
}

int cli_verb_rotate_key(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    _cleanup_json_ struct json *status = NULL;
    const struct plain_request request = {.target = "/podium/v1/rotate-key", .endless = true, .post = true};
    int code = 0;
    if (*c->args.words)
        return cli_usage(c, "nothing more is wanted");
    if (cli_connect(c))
        return 1;
    int r = connection_get(&c->connection, &request, &code, &answer, &err);
    if (r < 0)
        return cli_refused(c, "", 0, NULL, error_text(&err, r));
    r = json_parse(strbuf_str(&answer), answer.len, NULL, &status, NULL);
    const char *message = json_str_or(r == 0 ? json_get(status, "message") : NULL, strbuf_str(&answer));
    if (code != 200)
        return cli_refused(c, "", code, status, message);
    puts(message);
    return 0;
}
