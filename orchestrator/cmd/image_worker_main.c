/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `podium image-worker`: what takes long with images, in a process of its own, for the agent. Not for people.
 *
 * One JSON request on standard input (a file in memory: it may hold credentials):
 *   {"op":"pull","root":DIR,"reference":…,"credentials":[{"username","password"}…],"configDir":DIR}
 *   {"op":"import","root":DIR,"path":FILE}
 *   {"op":"sweep","root":DIR}              only removes what interrupted work has left, as all the others do first
 *   {"op":"collect","root":DIR,"bytes":N,"minAgeSeconds":N}    bytes < 0: all there is
 * Lines of JSON on standard output: any number of {"progress":{"what","bytes","bytesAll","layer","layers"}}, then one
 * of
 *   {"ok":{"digest","sizeBytes","isNew"}}   {"ok":{"digests":[…]}}   {"ok":{"images":N,"freed":N}}
 *   {"error":{"code":N,"text":…}}
 * Ends with its parent.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "orchestrator/cmd/verbs.h"
#include "orchestrator/images/archives.h"
#include "orchestrator/images/garbage.h"
#include "orchestrator/images/pull.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define REQUEST_BYTES_MAX (4u * 1024u * 1024u)
#define PROGRESS_USEC     (500 * USEC_PER_MSEC)

struct worker {
    uint64_t told_at;
};

static void say(const char *what, struct json *take) {
    _cleanup_json_ struct json *line = json_object();

    json_set(&line, what, take);
    _cleanup_free_ char *text = json_to_text(line);
    _cleanup_free_ char *with_end = xasprintf("%s\n", text);
    if (fd_write_all(STDOUT_FILENO, with_end, strlen(with_end)) < 0)
        _exit(1); /* nobody listens any more */
}

static void on_progress(const struct image_progress *p, void *userdata) {
    struct worker *w = userdata;
    uint64_t now = now_monotonic_usec();

    if (now - w->told_at < PROGRESS_USEC)
        return;
    w->told_at = now;
    struct json *o = json_object();
    json_set(&o, "what", json_string(p->what));
    json_set(&o, "bytes", json_int((int64_t) p->bytes));
    json_set(&o, "bytesAll", json_int((int64_t) p->bytes_all));
    json_set(&o, "layer", json_int((int64_t) p->layer));
    json_set(&o, "layers", json_int((int64_t) p->layers));
    say("progress", o);
}

static int do_pull(struct worker *w, struct image_store *store, const struct json *request, struct json **ret,
                   struct error *err) {
    _cleanup_(image_pull_result_finish) struct image_pull_result result = {0};
    const struct image_pull_options options = {.config_dir = json_str(json_get(request, "configDir")),
                                               .skopeo = json_str(json_get(request, "skopeo")),
                                               .credentials = json_get(request, "credentials"),
                                               .progress = on_progress,
                                               .userdata = w};

    int r = image_pull(store, json_str_or(json_get(request, "reference"), ""), &options, &result, err);
    if (r < 0)
        return r;
    json_set(ret, "digest", json_string(result.digest));
    json_set(ret, "sizeBytes", json_int((int64_t) result.size_bytes));
    json_set(ret, "isNew", json_bool(result.is_new));
    return 0;
}

static int do_import(struct worker *w, struct image_store *store, const struct json *request, struct json **ret,
                     struct error *err) {
    _cleanup_strv_ char **digests = NULL;
    struct json *list = json_array();

    int r = image_import_all(store, json_str_or(json_get(request, "path"), ""), on_progress, w, &digests, err);
    for (size_t i = 0; r >= 0 && digests[i]; i++)
        (void) json_append(&list, json_string(digests[i]));
    json_set(ret, "digests", list);
    return r;
}

static int do_collect(struct image_store *store, const struct json *request, struct json **ret, struct error *err) {
    _cleanup_json_ struct json *archives = image_archives_load(json_str_or(json_get(request, "root"), ""));
    _cleanup_strv_ char **keep = image_archives_digests(archives);
    const struct image_gc_policy policy = {
        .min_age_usec = (uint64_t) json_int_or(json_get(request, "minAgeSeconds"), 0) * USEC_PER_SEC};
    struct image_gc_result result;

    int64_t bytes = json_int_or(json_get(request, "bytes"), 0);
    int r =
        image_gc(store, &policy, bytes < 0 ? UINT64_MAX : (uint64_t) bytes, now_realtime_usec(), keep, &result, err);
    json_set(ret, "images", json_int((int64_t) result.images));
    json_set(ret, "freed", json_int((int64_t) result.freed));
    return r;
}

static int perform(const struct json *request, struct json **ret, struct error *err) {
    const char *op = json_str_or(json_get(request, "op"), "");
    _cleanup_(image_store_closep) struct image_store *store =
        image_store_open(json_str(json_get(request, "root")), err);
    struct worker w = {0};

    if (!store)
        return err->code ? err->code : -EIO;
    if (strcmp(op, "pull") == 0)
        return do_pull(&w, store, request, ret, err);
    if (strcmp(op, "import") == 0)
        return do_import(&w, store, request, ret, err);
    if (strcmp(op, "collect") == 0)
        return do_collect(store, request, ret, err);
    if (strcmp(op, "sweep") == 0)
        return 0; /* opening it did */
    return error_set(err, -EINVAL, "image-worker: unknown operation \"%s\"", op);
}

int image_worker_main(int argc, char **argv) {
    _cleanup_json_ struct json *request = NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *result = json_object();
    pid_t parent = getppid();

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        return 1;
    /* the agent is spared by the OOM killer, this need not be */
    int r = file_write_at(AT_FDCWD, "/proc/self/oom_score_adj", "0", NULL);
    (void) r;
    r = fd_read_all(STDIN_FILENO, REQUEST_BYTES_MAX, &text, &err);
    if (r >= 0)
        r = json_parse(strbuf_str(&text), text.len, NULL, &request, &err);
    if (r >= 0)
        r = perform(request, &result, &err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (r >= 0) {
        say("ok", result);
        return 0;
    }
    json_unref(result);
    result = json_object();
    json_set(&result, "code", json_int(r));
    json_set(&result, "text", json_string(error_text(&err, r)));
    say("error", result);
    return 1;
}
