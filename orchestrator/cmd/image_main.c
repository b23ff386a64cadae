/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium image import|pull|ls|rm|prune`: the image stores of this host, or of all nodes of a local cluster. */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "orchestrator/cmd/verbs.h"
#include "orchestrator/images/archives.h"
#include "orchestrator/images/garbage.h"
#include "orchestrator/images/pull.h"
#include "orchestrator/local/cluster.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct image_settings {
    const char *root, *cluster, *dir, *name, *config_dir;
    bool cluster_given, quiet;
};

static const char usage[] = "Usage: podium image import PATH [--name NAME]   import an OCI layout or a docker archive\n"
                            "       podium image pull NAME...                fetch from a registry (with skopeo)\n"
                            "       podium image ls                          list images\n"
                            "       podium image rm NAME|DIGEST...           remove images\n"
                            "       podium image prune                       remove images no pod uses\n"
                            "\n"
                            "      --name NAME      call the image this instead of what the archive says\n"
                            "      --cluster NAME   every node of this local cluster (the default where one is up)\n"
                            "      --dir DIR        the local cluster in this folder\n"
                            "      --root DIR       this image store (default " IMAGE_STORE_DEFAULT ")\n"
                            "      --config-dir DIR registries.conf, certs.d, auth.json, policy.json (default "
                            "/etc/podium)\n"
                            "  -q, --quiet          no progress\n";

static int parse(int argc, char **argv, struct image_settings *s) {
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},
        {"cluster", required_argument, NULL, 'c'},
        {"dir", required_argument, NULL, 'd'},
        {"root", required_argument, NULL, 'r'},
        {"config-dir", required_argument, NULL, 'C'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    *s = (struct image_settings){.cluster = LOCAL_CLUSTER_NAME};
    while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            s->name = optarg;
            break;
        case 'c':
            s->cluster = optarg;
            s->cluster_given = true;
            break;
        case 'd':
            s->dir = optarg;
            s->cluster_given = true;
            break;
        case 'C':
            s->config_dir = optarg;
            break;
        case 'r':
            s->root = optarg;
            break;
        case 'q':
            s->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        default:
            fputs("Try: podium image --help\n", stderr);
            return 3;
        }
    }
    return 0;
}

/* The stores to work on, with a label each: NULL-terminated vectors. */
static int find_stores(const struct image_settings *s, char ***roots, char ***labels, struct error *err) {
    _cleanup_free_ char *dir = s->dir ? realpath(s->dir, NULL) : NULL;
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new(s->cluster, dir ? dir : s->dir);
    _cleanup_(error_clear) struct error why = ERROR_INIT;

    int r = s->root ? -ENOENT : local_cluster_load(c, &why);
    if (r < 0 && !s->root && (s->cluster_given || r != -ENOENT))
        return error_set(err, r, "%s", error_text(&why, r));
    if (r < 0) {
        strv_push_dup(roots, s->root ? s->root : IMAGE_STORE_DEFAULT);
        strv_push_dup(labels, "");
        return 0;
    }
    for (size_t i = 0; i < c->n_nodes; i++) {
        strv_push(roots, local_node_path(c, &c->nodes[i], "state/images"));
        strv_push_dup(labels, c->nodes[i].name);
    }
    return 0;
}

static void show_progress(const struct image_progress *p, void *userdata) {
    const char *label = userdata;

    if (p->layers && p->bytes_all)
        fprintf(stderr, "\r\033[K%s%s%s %zu/%zu (%" PRIu64 "%%)", label, *label ? ": " : "", p->what, p->layer,
                p->layers, p->bytes * 100 / p->bytes_all);
    else
        fprintf(stderr, "\r\033[K%s%s%s", label, *label ? ": " : "", p->what);
}

static int import(const struct image_settings *s, struct image_store *store, const char *label, const char *path,
                  struct error *err) {
    bool progress = !s->quiet && isatty(STDERR_FILENO);
    _cleanup_free_ char *digest = NULL;

    int r = image_import(store, path, s->name, progress ? show_progress : NULL, (void *) label, &digest, err);
    if (progress)
        fputs("\r\033[K", stderr);
    if (r >= 0)
        printf("%s%s%s\n", label, *label ? ": " : "", digest);
    return r;
}

static int pull(const struct image_settings *s, struct image_store *store, const char *label, const char *name,
                struct error *err) {
    bool progress = !s->quiet && isatty(STDERR_FILENO);
    _cleanup_(image_pull_result_finish) struct image_pull_result result = {0};
    const struct image_pull_options options = {
        .config_dir = s->config_dir, .progress = progress ? show_progress : NULL, .userdata = (void *) label};

    int r = image_pull(store, name, &options, &result, err);
    if (progress)
        fputs("\r\033[K", stderr);
    if (r >= 0)
        printf("%s%s%s\n", label, *label ? ": " : "", result.digest);
    return r < 0 ? error_prefix(err, r, "%s", name) : 0;
}

static int prune(struct image_store *store, const char *root, const char *label, struct error *err) {
    _cleanup_json_ struct json *archives = image_archives_load(root);
    _cleanup_strv_ char **keep = image_archives_digests(archives);
    const struct image_gc_policy policy = {0};
    struct image_gc_result result;

    int r = image_gc(store, &policy, UINT64_MAX, now_realtime_usec(), keep, &result, err);
    if (r >= 0)
        printf("%s%sremoved %zu images, %.1fM\n", label, *label ? ": " : "", result.images,
               (double) result.freed / 1e6);
    return r;
}

static int list(struct image_store *store, const char *label, bool header, struct error *err) {
    _cleanup_(image_list_finish) struct image_list l = {0};
    char age[TIMESTAMP_SIZE];

    int r = image_list(store, &l, err);
    if (r < 0)
        return r;
    if (header)
        printf("%s%-48s %-15s %10s  %s\n", *label ? "NODE         " : "", "NAME", "IMAGE", "SIZE", "AGE");
    for (size_t i = 0; i < l.n; i++) {
        const struct image *m = &l.items[i];
        duration_human((int64_t) ((now_realtime_usec() - m->imported_usec) / USEC_PER_SEC), age);
        for (size_t k = 0; k == 0 || m->names[k]; k++) {
            if (*label)
                printf("%-12s ", label);
            printf("%-48s %-15.12s %9.1fM  %s\n", m->names[k] ? m->names[k] : "<none>", m->digest + strlen("sha256:"),
                   (double) m->size_bytes / 1e6, age);
            if (!m->names[k])
                break;
        }
    }
    return 0;
}

static int work_on(const struct image_settings *s, const char *sub, char **args, const char *root, const char *label,
                   bool first, struct error *err) {
    _cleanup_(image_store_closep) struct image_store *store = image_store_open(root, err);
    int r = 0;

    if (!store)
        return err->code ? err->code : -EIO;
    if (strcmp(sub, "ls") == 0)
        return list(store, label, first, err);
    if (strcmp(sub, "prune") == 0)
        return prune(store, root, label, err);
    for (; *args && r >= 0; args++)
        r = strcmp(sub, "import") == 0 ? import(s, store, label, *args, err)
            : strcmp(sub, "pull") == 0 ? pull(s, store, label, *args, err)
                                       : image_remove(store, *args, err);
    return r < 0 && *label ? error_prefix(err, r, "node %s", label) : r;
}

int image_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **roots = strv_new(), **labels = strv_new();
    struct image_settings s;

    int r = parse(argc, argv, &s);
    if (r != 0)
        return r - 1;
    const char *sub = optind < argc ? argv[optind++] : "";
    bool is_ls = strcmp(sub, "ls") == 0 || strcmp(sub, "list") == 0;
    bool alone = is_ls || strcmp(sub, "prune") == 0;
    if (strcmp(sub, "remove") == 0)
        sub = "rm";
    bool known = alone || strcmp(sub, "import") == 0 || strcmp(sub, "pull") == 0 || strcmp(sub, "rm") == 0;
    if (!known || (!alone && optind >= argc) || (alone && optind < argc) ||
        (s.name && (strcmp(sub, "import") != 0 || optind + 1 < argc))) {
        fputs(usage, stderr);
        return 2;
    }
    r = find_stores(&s, &roots, &labels, &err);
    for (size_t i = 0; r >= 0 && roots[i]; i++)
        r = work_on(&s, is_ls ? "ls" : sub, argv + optind, roots[i], labels[i], i == 0, &err);
    if (r < 0) {
        fprintf(stderr, "podium image: %s\n", error_text(&err, r));
        return 1;
    }
    return 0;
}
