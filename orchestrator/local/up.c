/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/local/await.h"
#include "orchestrator/local/cluster.h"
#include "orchestrator/local/kubeconfig.h"
#include "orchestrator/local/node.h"
#include "orchestrator/local/remove.h"
#include "orchestrator/local/scope.h"
#include "orchestrator/local/verbs.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/netns.h"

#define READY_TIMEOUT_USEC    (60 * USEC_PER_SEC)
#define ADMIN_LIFETIME_SEC    (365ull * 24 * 3600) /* the cluster's own folder holds its authority anyway */
#define MANIFESTS_DIR_DEFAULT "/etc/podium/manifests"

struct up_options {
    const char *name, *dir, *manifests;
    unsigned nodes;
    bool keep, manifests_given;
    uint64_t started_usec;
};

/* What this call has made, to be undone when it fails. */
struct attempt {
    bool fresh;    /* the cluster itself */
    bool *started; /* per node */
    uint64_t since_usec;
};

static const char usage[] =
    "Usage: podium up [--nodes N] [--name NAME] [--dir DIR] [--manifests DIR] [--keep]\n"
    "\n"
    "Brings up a local cluster: each node is a container that boots this host's own systemd from an\n"
    "overlay of the host's root. The first node runs the control plane, too.\n"
    "\n"
    "  -n, --nodes N        how many nodes (default 1)\n"
    "      --name NAME      name of the cluster (default \"default\")\n"
    "      --dir DIR        where the cluster lives (default " LOCAL_CLUSTERS_DIR "/NAME)\n"
    "      --manifests DIR  folder of YAML files to watch (default " MANIFESTS_DIR_DEFAULT ")\n"
    "      --keep           when it fails, leave everything as it is for a look\n";

static int parse(int argc, char **argv, struct up_options *o) {
    static const struct option options[] = {
        {"nodes", required_argument, NULL, 'n'},
        {"name", required_argument, NULL, 'N'},
        {"dir", required_argument, NULL, 'd'},
        {"manifests", required_argument, NULL, 'm'},
        {"keep", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    *o = (struct up_options){.name = LOCAL_CLUSTER_NAME, .manifests = MANIFESTS_DIR_DEFAULT, .nodes = 1};
    while ((c = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
        char *end;
        switch (c) {
        case 'n': {
            unsigned long n = strtoul(optarg, &end, 10);
            if (*end || !*optarg || n < 1 || n > LOCAL_NODES_MAX) {
                fprintf(stderr, "podium up: --nodes wants a number from 1 to %u, not \"%s\"\n", LOCAL_NODES_MAX,
                        optarg);
                return 2;
            }
            o->nodes = (unsigned) n;
            break;
        }
        case 'N':
            o->name = optarg;
            break;
        case 'd':
            o->dir = optarg;
            break;
        case 'm':
            o->manifests = optarg;
            o->manifests_given = true;
            break;
        case 'k':
            o->keep = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            fputs("Try: podium up --help\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "podium up: unexpected argument \"%s\"\nTry: podium up --help\n", argv[optind]);
        return 2;
    }
    if (file_name_is_unsafe(o->name) || strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(o->name) ||
        strlen(o->name) > 40) {
        fprintf(stderr, "podium up: --name wants at most 40 lower-case letters, digits and '-', not \"%s\"\n", o->name);
        return 2;
    }
    return 0;
}

static void progress(void *userdata, const char *what) {
    const struct up_options *o = userdata;

    printf("  %-12s ready after %.2f s\n", what, (double) (now_monotonic_usec() - o->started_usec) / 1e6);
    (void) fflush(stdout);
}

/* The authority exists before the first boot: the kubeconfig and the agents' trust come from it. */
static int prepare_trust(const struct local_cluster *c, struct error *err) {
    const struct local_node *server = local_cluster_server(c);
    _cleanup_free_ char *pki = local_node_path(c, server, "state/server/pki");
    _cleanup_free_ char *kubeconfig = local_path(c, "kubeconfig");
    _cleanup_free_ char *ca_path = path_join(pki, "ca.crt");
    _cleanup_free_ char *url = xasprintf("https://%s:%d", server->address, LOCAL_API_PORT);
    _cleanup_free_ char *cluster_name = xasprintf("podium-%s", c->name);
    _cleanup_strbuf_ struct strbuf ca = STRBUF_INIT;

    int r = mkdir_parents(pki, 0755, err);
    if (r == 0)
        r = pki_ca_ensure(pki, "podium-ca", err);
    if (r >= 0)
        r = kubeconfig_write(kubeconfig, pki, cluster_name, url, ADMIN_LIFETIME_SEC, err);
    if (r == 0)
        r = file_read(ca_path, PKI_PEM_BYTES_MAX, &ca, err);
    for (size_t i = 0; i < c->n_nodes && r == 0; i++) {
        _cleanup_free_ char *state = local_node_path(c, &c->nodes[i], "state");
        _cleanup_free_ char *copy = path_join(state, "agent-ca.crt");
        r = mkdir_parents(state, 0755, err);
        if (r == 0)
            r = file_write_atomic(copy, ca.data, ca.len, 0644, false, err);
    }
    return r;
}

static bool is_interrupted(void) {
    sigset_t pending;

    return sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
                                         sigismember(&pending, SIGHUP) == 1);
}

static int start_nodes(struct local_cluster *c, const struct local_tools *t, struct attempt *a, struct error *err) {
    _cleanup_free_ char *gateway = xasprintf("%s.1/24", c->subnet);

    int r = netns_bridge_ensure(c->bridge, gateway, 0, err);
    local_cluster_settle(c);
    for (size_t i = 0; i < c->n_nodes && r == 0; i++) {
        if (c->nodes[i].stopped)
            continue;
        if (is_interrupted())
            return error_set(err, -EINTR, "interrupted");
        _cleanup_close_ int running = local_node_pidfd(c, &c->nodes[i], t);
        if (running >= 0)
            continue;
        if (a->since_usec == 0)
            a->since_usec = now_realtime_usec();
        r = local_node_start(c, &c->nodes[i], t, err);
        a->started[i] = r == 0;
    }
    return r;
}

/* Loads the cluster that is there, or plans a new one. */
static int load_or_plan(struct local_cluster *c, const struct up_options *o, struct attempt *a, struct error *err) {
    _cleanup_free_ char *manifests = NULL;
    _cleanup_(error_clear) struct error none = ERROR_INIT;
    bool made = access(o->manifests, F_OK) != 0;

    int r = mkdir_parents(o->manifests, 0755, err);
    if (r < 0)
        return r;
    manifests = realpath(o->manifests, NULL);
    if (!manifests)
        return error_set_errno(err, -errno, "cannot find %s", o->manifests);
    r = local_cluster_load(c, &none);
    if (r < 0 && r != -ENOENT)
        return error_set(err, r, "%s", error_text(&none, r));
    if (r == 0) {
        if (o->nodes > c->n_nodes)
            return error_set(
                err, -EEXIST,
                "cluster \"%s\" exists with %zu node(s); to change their number: podium down, then podium up", c->name,
                c->n_nodes);
        if (o->manifests_given && strcmp(manifests, c->manifests) != 0)
            return error_set(err, -EEXIST,
                             "cluster \"%s\" exists and watches %s; to change that: podium down, then podium up",
                             c->name, c->manifests);
        return 0;
    }
    a->fresh = true;
    r = local_cluster_plan(c, o->nodes, manifests, err);
    c->made_manifests = made;
    if (r < 0) { /* nothing was recorded yet: nothing stays */
        if (made)
            (void) rmdir(manifests);
        (void) rmdir(c->dir);
    }
    return r;
}

static int boot(struct local_cluster *c, const struct local_tools *t, struct up_options *o, struct attempt *a,
                struct error *err) {
    int r = local_scope_enter(c, err);

    if (r == 0)
        r = local_cluster_save(c, err);
    if (r == 0)
        r = prepare_trust(c, err);
    if (r < 0)
        return r;
    printf("Cluster \"%s\": %zu node(s) in %s\n", c->name, c->n_nodes, c->dir);
    (void) fflush(stdout);
    r = start_nodes(c, t, a, err);
    return r < 0 ? r : local_await_ready(c, t, a->since_usec, READY_TIMEOUT_USEC, progress, o, err);
}

/* A failed start leaves nothing of its own; what it was about is said before its journal goes. */
static void undo(const struct local_cluster *c, const struct local_tools *t, const struct up_options *o,
                 const struct attempt *a, int why) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = 0;

    if (why != -EINTR) {
        _cleanup_free_ char *words = local_node_last_words(c, local_cluster_server(c), "podium-server.service");
        if (*words)
            fprintf(stderr, "--- last words of the control plane:\n%s\n---\n", words);
    }
    if (o->keep) {
        fprintf(stderr, "Everything stays in %s; remove it with: podium down\n", c->dir);
        return;
    }
    if (a->fresh) {
        r = local_cluster_remove(c, t, &err);
    } else {
        for (size_t i = 0; i < c->n_nodes && r == 0; i++)
            if (a->started[i])
                r = local_node_stop(c, &c->nodes[i], t, 0, &err);
    }
    if (r < 0)
        fprintf(stderr, "podium up: cannot undo all of it: %s\n", error_text(&err, r));
    else
        fputs(a->fresh ? "What was made has been removed (--keep leaves it for a look).\n"
                       : "The nodes started by this have been stopped again (--keep leaves them for a look).\n",
              stderr);
}

static int bring_up(struct up_options *o, struct error *err) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = NULL;
    _cleanup_(local_tools_finish) struct local_tools tools = {0};
    _cleanup_free_ char *dir = NULL;
    struct attempt a = {0};

    if (o->dir) {
        int r = mkdir_parents(o->dir, 0700, err);
        if (r < 0)
            return r;
        dir = realpath(o->dir, NULL);
        if (!dir)
            return error_set_errno(err, -errno, "cannot find %s", o->dir);
    }
    c = local_cluster_new(o->name, dir);
    int r = local_tools_find(&tools, err);
    if (r == 0)
        r = local_cluster_lock(c, true, err);
    if (r == 0)
        r = load_or_plan(c, o, &a, err);
    if (r < 0)
        return r;
    _cleanup_free_ bool *started = xcalloc(c->n_nodes, sizeof(*started));
    a.started = started;
    r = boot(c, &tools, o, &a, err);
    if (r < 0) {
        undo(c, &tools, o, &a, r);
        return r;
    }
    printf("Ready. For kubectl:  export KUBECONFIG=%s/kubeconfig\n"
           "Manifests put into %s are applied.\n",
           c->dir, c->manifests);
    return 0;
}

int local_up_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct up_options o;
    sigset_t signals;

    int r = parse(argc, argv, &o);
    if (r != 0)
        return r < 0 ? 0 : r;
    if (geteuid() != 0) {
        fputs("podium up: needs root (nodes are containers)\n", stderr);
        return 1;
    }
    /* Ctrl-C is looked at between steps, and what was made until then is undone */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);
    o.started_usec = now_monotonic_usec();
    r = bring_up(&o, &err);
    if (r < 0) {
        fprintf(stderr, "podium up: %s\n", error_text(&err, r));
        return 1;
    }
    return 0;
}
