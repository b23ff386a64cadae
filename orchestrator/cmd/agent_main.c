/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium agent`: the node agent, wired: system bus, units, agent, link. */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <sys/utsname.h>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/eviction/thresholds.h"
#include "orchestrator/agent/node_api.h"
#include "orchestrator/agent/sysctls.h"
#include "orchestrator/cmd/agent_streams.h"
#include "orchestrator/cmd/config_file.h"
#include "orchestrator/cmd/static_pods.h"
#include "orchestrator/cmd/verbs.h"
#include "orchestrator/link/agent_link.h"
#include "orchestrator/object/validation.h"
#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

struct agent_settings {
    const char *server, *node_name, *node_address, *token_file, *ca_file, *ca_hash, *baton, *state_dir, *run_dir;
    bool controllers_required;
    bool memory_qos;
    /* parallel_pulls, image_gc_high, image_gc_low, image_gc_min_age, pod_pids_limit, eviction_max_pod_grace */
    unsigned numbers[6];
    struct eviction_settings eviction;
    struct eviction_config eviction_config; /* made of them */
    const char *static_pods, *unsafe_sysctls;
    char **words; /* the texts above point into them */
};

struct agent_process {
    struct agent_settings settings;
    char *host_name;
    sd_event *loop;
    sd_bus *bus;
    struct unit_manager *units;
    struct agent *agent;
    struct agent_link *link;
    struct static_pods *static_pods;
};

static const char usage[] =
    "Usage: podium agent --server HOST:PORT|unix:PATH [OPTIONS]\n"
    "\n"
    "Runs this node's agent: makes the pods the control plane wants, as transient systemd units.\n"
    "\n"
    "  --server HOST:PORT       the control plane's link (default unix:/run/podium-server/link.sock)\n"
    "  --node-name NAME         (default: the host name)\n"
    "  --node-address IP        address other nodes reach this one by (default: the default route's)\n"
    "  --token-file FILE        join token, for the first start\n"
    "  --ca-file FILE           authority of the control plane (default STATE_DIR/ca.crt)\n"
    "  --ca-hash sha256:HEX     trust the authority with this hash at the first start\n"
    "  --baton PATH             the runtime (default: beside this program)\n"
    "  --state-dir DIR          (default /var/lib/podium)\n"
    "  --run-dir DIR            (default /run/podium)\n"
    "  --cgroup-controllers preferred|required\n"
    "                           what to do about limits that this host cannot set (default preferred)\n"
    "  --static-pods DIR        folder of Pods this node runs by itself (default /etc/podium/static-pods; \"\": none)\n"
    "  --parallel-pulls N       images pulled at the same time (default 3)\n"
    "  --image-gc-high PERCENT  of disk use above which images nobody uses are removed (default 85; 100: never)\n"
    "  --image-gc-low PERCENT   of disk use at which that ends (default 80)\n"
    "  --image-gc-min-age SECONDS\n"
    "                           images younger than that stay (default 120)\n"
    "  --eviction-hard LIST     thresholds below which pods are evicted at once, SIGNAL<AMOUNT[,…] (default\n"
    "                           memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,\n"
    "                           imagefs.available<15%,imagefs.inodesFree<5%; \"\": none)\n"
    "  --eviction-soft LIST     thresholds that may be crossed for a while\n"
    "  --eviction-soft-grace-period LIST\n"
    "                           for how long, SIGNAL=DURATION[,…]\n"
    "  --eviction-minimum-reclaim LIST\n"
    "                           how much more than the threshold is wanted once it was crossed, SIGNAL=AMOUNT[,…]\n"
    "  --eviction-max-pod-grace-period SECONDS\n"
    "                           what a pod has that goes for a soft threshold, at most (default 0)\n"
    "  --eviction-pressure-transition-period DURATION\n"
    "                           how long a condition stays after it was observed last (default 5m0s)\n"
    "  --pod-pids-limit N       processes and threads a pod may have (default 0: as many as all pods together)\n"
    "  --allowed-unsafe-sysctls NAMES\n"
    "                           kernel settings pods may ask for beside the safe ones: kernel.msg*,net.core.somaxconn\n"
    "  --memory-qos             keep for pods the memory they request, slow them down before their limit\n"
    "  --config FILE            settings of podium.conf(5) (default /etc/podium/podium.conf, where it exists)\n"
    "  --log-level LEVEL        error, warning, info (default), debug\n";

/* Options whose value is a number, and the smallest and largest it may be. */
enum { NUMBER_PULLS = 256, NUMBER_GC_HIGH, NUMBER_GC_LOW, NUMBER_GC_MIN_AGE, NUMBER_PIDS, NUMBER_MAX_POD_GRACE };
static const struct {
    unsigned min, max;
} number_ranges[] = {{1, 64}, {1, 100}, {0, 99}, {0, 366 * 86400}, {0, 4194304}, {0, 366 * 86400}};

static bool take_number(struct agent_settings *s, int option, const char *text) {
    size_t i = (size_t) (option - NUMBER_PULLS);
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < number_ranges[i].min || n > number_ranges[i].max)
        return false;
    s->numbers[i] = (unsigned) n;
    return true;
}

static const struct option long_options[] = {
    {"server", required_argument, NULL, 's'},
    {"node-name", required_argument, NULL, 'n'},
    {"node-address", required_argument, NULL, 'a'},
    {"token-file", required_argument, NULL, 't'},
    {"ca-file", required_argument, NULL, 'c'},
    {"ca-hash", required_argument, NULL, 'H'},
    {"baton", required_argument, NULL, 'b'},
    {"state-dir", required_argument, NULL, 'd'},
    {"run-dir", required_argument, NULL, 'r'},
    {"cgroup-controllers", required_argument, NULL, 'C'},
    {"static-pods", required_argument, NULL, 'p'},
    {"parallel-pulls", required_argument, NULL, NUMBER_PULLS},
    {"image-gc-high", required_argument, NULL, NUMBER_GC_HIGH},
    {"image-gc-low", required_argument, NULL, NUMBER_GC_LOW},
    {"image-gc-min-age", required_argument, NULL, NUMBER_GC_MIN_AGE},
    {"pod-pids-limit", required_argument, NULL, NUMBER_PIDS},
    {"eviction-max-pod-grace-period", required_argument, NULL, NUMBER_MAX_POD_GRACE},
    {"eviction-hard", required_argument, NULL, 'E'},
    {"eviction-soft", required_argument, NULL, 'S'},
    {"eviction-soft-grace-period", required_argument, NULL, 'G'},
    {"eviction-minimum-reclaim", required_argument, NULL, 'M'},
    {"eviction-pressure-transition-period", required_argument, NULL, 'T'},
    {"allowed-unsafe-sysctls", required_argument, NULL, 'u'},
    {"memory-qos", no_argument, NULL, 'm'},
    {"log-level", required_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int parse(int argc, char **argv, struct agent_settings *s) {
    enum log_level level;
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        const char **texts[] = {['s'] = &s->server,
                                ['n'] = &s->node_name,
                                ['a'] = &s->node_address,
                                ['t'] = &s->token_file,
                                ['c'] = &s->ca_file,
                                ['H'] = &s->ca_hash,
                                ['b'] = &s->baton,
                                ['d'] = &s->state_dir,
                                ['r'] = &s->run_dir,
                                ['p'] = &s->static_pods,
                                ['u'] = &s->unsafe_sysctls,
                                ['E'] = &s->eviction.hard,
                                ['S'] = &s->eviction.soft,
                                ['G'] = &s->eviction.soft_grace,
                                ['M'] = &s->eviction.minimum_reclaim,
                                ['T'] = &s->eviction.transition};
        if (c == 'h') {
            fputs(usage, stdout);
            return 1;
        }
        if (c == 'l' && log_parse_level(optarg, &level) == 0) {
            log_set_level(level);
        } else if (c == 'm') {
            s->memory_qos = true;
        } else if (c == 'C' && (strcmp(optarg, "required") == 0 || strcmp(optarg, "preferred") == 0)) {
            s->controllers_required = strcmp(optarg, "required") == 0;
        } else if (c >= NUMBER_PULLS && take_number(s, c, optarg)) {
            continue;
        } else if (c != '?' && (size_t) c < ARRAY_LEN(texts) && texts[c]) {
            *texts[c] = optarg;
        } else {
            if (c != '?')
                fprintf(stderr, "podium agent: \"%s\" is no value for that option\n", optarg);
            fputs("Try: podium agent --help\n", stderr);
            return 3;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "podium agent: unexpected argument \"%s\"\nTry: podium agent --help\n", argv[optind]);
        return 3;
    }
    return 0;
}

static int read_settings(int argc, char **argv, struct agent_settings *s) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    *s = (struct agent_settings){
        .server = "unix:/run/podium-server/link.sock",
        .state_dir = "/var/lib/podium",
        .run_dir = "/run/podium",
        .static_pods = "/etc/podium/static-pods",
        .numbers = {3, IMAGE_GC_HIGH_DEFAULT, IMAGE_GC_LOW_DEFAULT, IMAGE_GC_MIN_AGE_DEFAULT / USEC_PER_SEC}};
    int r = config_file_words("Agent", long_options, argc, argv, &s->words, &err);
    if (r < 0) {
        fprintf(stderr, "podium agent: %s\n", error_text(&err, r));
        return 3;
    }
    return parse((int) strv_len(s->words), s->words, s);
}

static bool check(struct agent_settings *s) {
    _cleanup_free_ char *sysctl = s->unsafe_sysctls ? sysctls_unsafe_problem(s->unsafe_sysctls) : NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    unsigned char address[16];
    const char *wrong = name_is_dns1123_subdomain(s->node_name ? s->node_name : "");

    if (wrong) {
        fprintf(stderr, "podium agent: \"%s\" is no node name: %s; give one with --node-name\n",
                s->node_name ? s->node_name : "", wrong);
        return false;
    }
    if (sysctl) {
        fprintf(stderr, "podium agent: --allowed-unsafe-sysctls: %s\n", sysctl);
        return false;
    }
    if (s->node_address && inet_pton(AF_INET, s->node_address, address) != 1 &&
        inet_pton(AF_INET6, s->node_address, address) != 1) {
        fprintf(stderr, "podium agent: --node-address wants an IP address, not \"%s\"\n", s->node_address);
        return false;
    }
    if (*s->state_dir != '/' || *s->run_dir != '/') {
        fputs("podium agent: --state-dir and --run-dir want paths from the root\n", stderr);
        return false;
    }
    s->eviction.max_pod_grace = s->numbers[5];
    int r = eviction_config_parse(&s->eviction, &s->eviction_config, &err);
    if (r < 0) {
        fprintf(stderr, "podium agent: %s\n", error_text(&err, r));
        return false;
    }
    if (s->numbers[2] >= s->numbers[1]) {
        fputs("podium agent: --image-gc-low must be below --image-gc-high\n", stderr);
        return false;
    }
    return true;
}

/* --- link → agent --- */

static void on_connected(void *userdata, bool connected);

static void on_retell(void *userdata) {
    on_connected(userdata, true);
}

static void on_sync_begin(void *userdata) {
    agent_sync_begin(((struct agent_process *) userdata)->agent);
}

static void on_sync_end(void *userdata) {
    agent_sync_end(((struct agent_process *) userdata)->agent);
}

static int on_apply_pod(void *userdata, const struct json *pod, struct error *err) {
    return agent_apply_pod(((struct agent_process *) userdata)->agent, pod, err);
}

static void on_remove_pod(void *userdata, const char *uid) {
    agent_remove_pod(((struct agent_process *) userdata)->agent, uid);
}

static void on_apply_object(void *userdata, const struct json *object) {
    agent_apply_object(((struct agent_process *) userdata)->agent, object);
}

static void on_remove_object(void *userdata, const char *kind, const char *ns, const char *name) {
    agent_remove_object(((struct agent_process *) userdata)->agent, kind, ns, name);
}

static int parse_network(const char *text, struct json **ret, struct error *err) {
    const struct json_parse_options options = {.bytes_max = DBUS_PAYLOAD_MAX};

    return json_parse(text, strlen(text), &options, ret, err);
}

static int on_set_network(void *userdata, const char *text, struct error *err) {
    _cleanup_json_ struct json *network = NULL;

    int r = parse_network(text, &network, err);
    return r < 0 ? r : agent_set_network(((struct agent_process *) userdata)->agent, network, err);
}

static int on_update_peers(void *userdata, const char *text, struct error *err) {
    _cleanup_json_ struct json *changes = NULL;

    int r = parse_network(text, &changes, err);
    return r < 0 ? r : agent_update_peers(((struct agent_process *) userdata)->agent, changes, err);
}

static struct json *get_node_status(void *userdata) {
    return agent_node_status(((struct agent_process *) userdata)->agent);
}

static struct json *get_node_labels(void *userdata) {
    const struct agent_process *p = userdata;
    struct json *labels = json_object();
    struct utsname u;

    json_set(&labels, "kubernetes.io/hostname", json_string(p->settings.node_name));
    json_set(&labels, "kubernetes.io/os", json_string("linux"));
    if (uname(&u) == 0) { /* Kubernetes names architectures as Go does */
        const char *arch = strcmp(u.machine, "x86_64") == 0    ? "amd64"
                           : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                                               : u.machine;
        json_set(&labels, "kubernetes.io/arch", json_string(arch));
    }
    return labels;
}

static int on_open_log(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                       struct error *err) {
    return agent_streams_open_log(((struct agent_process *) userdata)->agent, stream, options, ret_userdata, err);
}

static int on_open_exec(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                        struct error *err) {
    return agent_streams_open_exec(((struct agent_process *) userdata)->agent, stream, options, ret_userdata, err);
}

static void on_token(void *userdata, const char *uid, const char *audience, int64_t seconds, const char *token,
                     const char *expires, const char *error) {
    agent_token_answer(((struct agent_process *) userdata)->agent, uid, audience, seconds, token, expires, error);
}

static int on_open_forward(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                           struct error *err) {
    return agent_streams_open_forward(((struct agent_process *) userdata)->agent, stream, options, ret_userdata, err);
}

static int on_open_query(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                         struct error *err) {
    return agent_streams_open_query(((struct agent_process *) userdata)->agent, stream, options, ret_userdata, err);
}

static struct json *get_pods(void *userdata) {
    return agent_list_pods(((struct agent_process *) userdata)->agent);
}

static const struct agent_link_handler link_handler = {
    .connected = on_connected,
    .sync_begin = on_sync_begin,
    .sync_end = on_sync_end,
    .apply_pod = on_apply_pod,
    .remove_pod = on_remove_pod,
    .retell = on_retell,
    .apply_object = on_apply_object,
    .remove_object = on_remove_object,
    .set_network = on_set_network,
    .update_peers = on_update_peers,
    .node_status = get_node_status,
    .node_labels = get_node_labels,
    .open_log = on_open_log,
    .open_exec = on_open_exec,
    .open_forward = on_open_forward,
    .open_query = on_open_query,
    .log_ops = &agent_log_stream_ops,
    .exec_ops = &agent_exec_stream_ops,
    .forward_ops = &agent_forward_stream_ops,
    .query_ops = &agent_query_stream_ops,
    .token = on_token,
    .list_pods = get_pods,
};

/* --- agent → link --- */

static void on_pod_status(void *userdata, const char *ns, const char *name, const char *uid,
                          const struct json *status) {
    agent_link_pod_status(((struct agent_process *) userdata)->link, ns, name, uid, status);
}

static void on_pod_finished(void *userdata, const char *ns, const char *name, const char *uid) {
    agent_link_pod_finished(((struct agent_process *) userdata)->link, ns, name, uid);
}

static void on_event(void *userdata, const struct json *involved, const char *type, const char *reason,
                     const char *message) {
    agent_link_event(((struct agent_process *) userdata)->link, involved, type, reason, message);
}

static void on_node_status(void *userdata) {
    agent_link_node_status(((struct agent_process *) userdata)->link);
}

static int request_token(void *userdata, const char *ns, const char *name, const char *uid, const char *audience,
                         int64_t seconds) {
    return agent_link_request_token(((struct agent_process *) userdata)->link, ns, name, uid, audience, seconds);
}

static void on_mirror_pod(void *userdata, const struct json *pod) {
    agent_link_mirror_pod(((struct agent_process *) userdata)->link, pod);
}

static const struct agent_callbacks agent_callbacks = {
    .pod_status = on_pod_status,
    .pod_finished = on_pod_finished,
    .mirror_pod = on_mirror_pod,
    .event = on_event,
    .request_token = request_token,
    .node_status = on_node_status,
};

static void on_connected(void *userdata, bool connected) {
    struct agent_process *p = userdata;

    /* setting them again makes the agent tell every status once more: what was said meanwhile is lost */
    agent_set_callbacks(p->agent, connected ? &agent_callbacks : NULL, p);
    (void) sd_notifyf(0, "STATUS=%s", connected ? "Connected to the control plane." : "Waiting for the control plane.");
}

/* --- life --- */

static int start_agent(struct agent_process *p, struct error *err) {
    const struct agent_options o = {
        .node_name = p->settings.node_name,
        .run_dir = p->settings.run_dir,
        .state_dir = p->settings.state_dir,
        .baton = p->settings.baton,
        .node_address = p->settings.node_address,
        .controllers = p->settings.controllers_required ? AGENT_CONTROLLERS_REQUIRED : AGENT_CONTROLLERS_PREFERRED,
        .units = p->units,
        .parallel_pulls = p->settings.numbers[0],
        .image_gc_high = p->settings.numbers[1],
        .image_gc_low = p->settings.numbers[2],
        .image_gc_min_age_usec = p->settings.numbers[3] * USEC_PER_SEC,
        .pod_pids_limit = p->settings.numbers[4],
        .eviction = &p->settings.eviction_config,
        .memory_qos = p->settings.memory_qos,
        .allowed_unsafe_sysctls = p->settings.unsafe_sysctls,
    };

    return agent_new(p->loop, &o, &p->agent, err);
}

static int start_link(struct agent_process *p, struct error *err) {
    _cleanup_strbuf_ struct strbuf token = STRBUF_INIT;
    _cleanup_free_ char *cert_dir = path_join(p->settings.state_dir, "agent");
    _cleanup_free_ char *ca_file =
        p->settings.ca_file ? xstrdup(p->settings.ca_file) : path_join(p->settings.state_dir, "ca.crt");

    if (p->settings.token_file) {
        int r = file_read(p->settings.token_file, 4096, &token, err);
        if (r < 0)
            return r;
        if (token.len)
            token.data[strcspn(token.data, "\r\n")] = 0;
        if (!token.len || !*token.data)
            return error_set(err, -EINVAL, "%s holds no token", p->settings.token_file);
    }
    const struct agent_link_options o = {
        .server = p->settings.server,
        .node_name = p->settings.node_name,
        .cert_dir = cert_dir,
        .ca_file = ca_file,
        .ca_hash = p->settings.ca_hash,
        .token = token.len ? token.data : NULL,
        .version = PODIUM_VERSION,
        .system_bus = p->bus,
    };
    return agent_link_new(p->loop, &o, &link_handler, p, &p->link, err);
}

static int start(struct agent_process *p, struct error *err) {
    int r = sd_event_default(&p->loop);

    if (r < 0)
        return error_set_errno(err, r, "cannot make an event loop");
    (void) sd_event_add_signal(p->loop, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    (void) sd_event_add_signal(p->loop, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) sd_event_set_watchdog(p->loop, 1);
    r = sd_bus_open_system(&p->bus);
    if (r >= 0)
        r = sd_bus_attach_event(p->bus, p->loop, SD_EVENT_PRIORITY_NORMAL);
    if (r < 0)
        return error_set_errno(err, r, "cannot connect to the system bus");
    (void) sd_bus_set_exit_on_disconnect(p->bus, 1); /* systemd starts us again, and the bus with it */
    r = unit_manager_new_systemd(p->bus, 0, &p->units, err);
    if (r >= 0)
        r = start_agent(p, err);
    if (r >= 0 && *p->settings.static_pods)
        r = static_pods_new(p->loop, p->settings.static_pods, p->settings.node_name, p->agent, &p->static_pods, err);
    if (r >= 0)
        r = start_link(p, err);
    return r;
}

static void finish(struct agent_process *p) {
    agent_link_free(p->link);
    static_pods_free(p->static_pods);
    agent_free(p->agent);
    unit_manager_free(p->units);
    if (p->bus)
        sd_bus_flush_close_unref(p->bus);
    sd_event_unref(p->loop);
    free(p->host_name);
    strv_free(p->settings.words);
}

int agent_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct agent_process p = {0};
    struct utsname u;

    int r = read_settings(argc, argv, &p.settings);
    if (r != 0) {
        strv_free(p.settings.words);
        return r - 1;
    }
    if (!p.settings.node_name && uname(&u) == 0) {
        p.settings.node_name = p.host_name = xstrdup(u.nodename);
        for (char *c = p.host_name; *c; c++) /* as kubelet does: names of objects have small letters only */
            *c = *c >= 'A' && *c <= 'Z' ? (char) (*c - 'A' + 'a') : *c;
    }
    if (!check(&p.settings)) {
        free(p.host_name);
        strv_free(p.settings.words);
        return 2;
    }
    r = start(&p, &err);
    if (r < 0) {
        log_errno(r, "podium agent: %s", error_text(&err, r));
    } else {
        (void) sd_notify(0, "READY=1\nSTATUS=Waiting for the control plane.");
        r = sd_event_loop(p.loop);
        (void) sd_notify(0, "STOPPING=1");
    }
    finish(&p);
    return r < 0 ? 1 : 0;
}
