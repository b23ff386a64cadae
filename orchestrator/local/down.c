/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdint.h>
#include <string.h>

#include "orchestrator/local/await.h"
#include "orchestrator/local/cluster.h"
#include "orchestrator/local/node.h"
#include "orchestrator/local/remove.h"
#include "orchestrator/local/scope.h"
#include "orchestrator/local/verbs.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"

#define STOP_GRACE_DEFAULT_SEC 90
#define READY_TIMEOUT_USEC     (60 * USEC_PER_SEC)

struct verb_options {
    const char *verb, *name, *dir, *node;
    uint64_t grace_usec;
    bool want_node;
};

static void usage(const struct verb_options *o, FILE *to) {
    if (!o->want_node)
        fputs("Usage: podium down [--name NAME] [--dir DIR]\n\n"
              "Ends a local cluster and removes everything it made: nodes, pods, networks, files.\n",
              to);
    else
        fprintf(to, "Usage: podium node %s NODE [--name CLUSTER] [--dir DIR]%s\n\n%s a node of a local cluster.\n",
                o->verb, strcmp(o->verb, "stop") == 0 ? " [--grace SECONDS | --force]" : "",
                strcmp(o->verb, "stop") == 0 ? "Powers off (--force: cuts the power of)" : "Boots");
}

static int parse(int argc, char **argv, struct verb_options *o) {
    static const struct option options[] = {
        {"name", required_argument, NULL, 'N'},  {"dir", required_argument, NULL, 'd'},
        {"grace", required_argument, NULL, 'g'}, {"force", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    int c;

    o->name = LOCAL_CLUSTER_NAME;
    o->grace_usec = STOP_GRACE_DEFAULT_SEC * USEC_PER_SEC;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        char *end;
        switch (c) {
        case 'N':
            o->name = optarg;
            break;
        case 'd':
            o->dir = optarg;
            break;
        case 'g': {
            unsigned long long seconds = strtoull(optarg, &end, 10);
            if (*end || !*optarg || seconds > 86400) {
                fprintf(stderr, "podium: --grace wants seconds (0 to 86400), not \"%s\"\n", optarg);
                return 2;
            }
            o->grace_usec = seconds * USEC_PER_SEC;
            break;
        }
        case 'f':
            o->grace_usec = 0;
            break;
        case 'h':
            usage(o, stdout);
            return -1;
        default:
            usage(o, stderr);
            return 2;
        }
    }
    if (o->want_node && optind < argc)
        o->node = argv[optind++];
    if (optind < argc || (o->want_node && !o->node)) {
        usage(o, stderr);
        return 2;
    }
    return 0;
}

static int open_cluster(const struct verb_options *o, struct local_tools *t, struct local_cluster **ret,
                        struct error *err) {
    _cleanup_free_ char *dir = o->dir ? realpath(o->dir, NULL) : NULL;
    _cleanup_(local_cluster_freep) struct local_cluster *c = local_cluster_new(o->name, dir ? dir : o->dir);

    if (geteuid() != 0)
        return error_set(err, -EPERM, "needs root");
    int r = local_tools_find(t, err);
    if (r == 0)
        r = local_cluster_lock(c, false, err);
    if (r == 0)
        r = local_cluster_load(c, err);
    if ((r == -EBADMSG || r == -ENOENT) && c->lock_fd >= 0 && !o->want_node) {
        error_clear(err); /* what is left can be removed all the same */
        r = local_cluster_recover(c, err);
    }
    if (r < 0)
        return r;
    *ret = steal(&c);
    return 0;
}

static int report(const struct verb_options *o, int r, const struct error *err) {
    if (r >= 0)
        return 0;
    fprintf(stderr, "podium %s%s: %s\n", o->want_node ? "node " : "", o->verb, error_text(err, r));
    return 1;
}

int local_down_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(local_cluster_freep) struct local_cluster *c = NULL;
    _cleanup_(local_tools_finish) struct local_tools t = {0};
    struct verb_options o = {.verb = "down"};

    int r = parse(argc, argv, &o);
    if (r != 0)
        return r < 0 ? 0 : r;
    r = open_cluster(&o, &t, &c, &err);
    if (r == 0)
        r = local_cluster_remove(c, &t, &err);
    if (r == 0)
        printf("Cluster \"%s\" is gone.\n", c->name);
    return report(&o, r, &err);
}

static struct local_node *find_node(const struct local_cluster *c, const char *name, struct error *err) {
    struct local_node *n = local_cluster_node(c, name);

    if (!n)
        error_set(err, -ENOENT, "cluster \"%s\" has no node \"%s\"", c->name, name);
    return n;
}

int local_node_stop_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(local_cluster_freep) struct local_cluster *c = NULL;
    _cleanup_(local_tools_finish) struct local_tools t = {0};
    struct verb_options o = {.verb = "stop", .want_node = true};

    int r = parse(argc, argv, &o);
    if (r != 0)
        return r < 0 ? 0 : r;
    r = open_cluster(&o, &t, &c, &err);
    struct local_node *n = r == 0 ? find_node(c, o.node, &err) : NULL;
    if (n) {
        n->stopped = true;
        r = local_node_stop(c, n, &t, o.grace_usec, &err);
        if (r == 0)
            r = local_cluster_save(c, &err);
    } else if (r == 0) {
        r = -ENOENT;
    }
    return report(&o, r, &err);
}

static void ignore_progress(void *userdata, const char *what) {
}

int local_node_start_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(local_cluster_freep) struct local_cluster *c = NULL;
    _cleanup_(local_tools_finish) struct local_tools t = {0};
    struct verb_options o = {.verb = "start", .want_node = true};

    int r = parse(argc, argv, &o);
    if (r != 0)
        return r < 0 ? 0 : r;
    r = open_cluster(&o, &t, &c, &err);
    struct local_node *n = r == 0 ? find_node(c, o.node, &err) : NULL;
    if (n) {
        _cleanup_close_ int running = local_node_pidfd(c, n, &t);
        uint64_t since = running >= 0 ? 0 : now_realtime_usec();
        n->stopped = false;
        r = local_scope_enter(c, &err);
        if (r == 0 && running < 0)
            r = local_node_start(c, n, &t, &err);
        if (r == 0)
            r = local_cluster_save(c, &err);
        if (r == 0)
            r = local_await_ready(c, &t, since, READY_TIMEOUT_USEC, ignore_progress, NULL, &err);
    } else if (r == 0) {
        r = -ENOENT;
    }
    return report(&o, r, &err);
}
