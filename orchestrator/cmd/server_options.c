/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/server_options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/cmd/config_file.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

static const char usage[] =
    "Usage: podium server [OPTIONS]\n"
    "\n"
    "Runs the control plane: API server, store, controllers, scheduler, and the link to the node agents.\n"
    "\n"
    "  --data-dir DIR            store, authority and certificates (default /var/lib/podium/server)\n"
    "  --bind-address ADDRESS    where to listen (default: everywhere)\n"
    "  --advertise-address IP    the address clients and agents use (default: the default route's)\n"
    "  --port N                  HTTPS port of the API (default 6443)\n"
    "  --link-port N             port agents dial (default 6444)\n"
    "  --socket PATH             root-only API socket (default /run/podium-server/api.sock)\n"
    "  --link-socket PATH        socket for the agent of this host (default /run/podium-server/link.sock)\n"
    "  --manifests DIR           folder of YAML files to watch (default /etc/podium/manifests; \"\": none)\n"
    "  --cluster-cidr CIDR       range of pod addresses (default 10.244.0.0/16)\n"
    "  --service-cidr CIDR       range of service addresses (default 10.96.0.0/16)\n"
    "  --token-file FILE         one more join token of nodes\n"
    "  --node-heartbeat SECONDS  how often agents report (default 10)\n"
    "  --node-grace SECONDS      silence after which a node counts as lost (default 40)\n"
    "  --eviction SECONDS        how long pods stay bound to a lost node (default 300)\n"
    "  --certificate-lifetime S  seconds; renewed after two thirds (default 86400)\n"
    "  --event-ttl SECONDS       how long events are kept after they happened last (default 3600)\n"
    "  --audit-log FILE          record requests there, as audit.k8s.io/v1 events (\"journal\": in the journal)\n"
    "  --audit-policy FILE       which of them, and how much (default: metadata of all)\n"
    "  --audit-log-max-size MIB  size at which the file is renamed (default 100)\n"
    "  --audit-log-max-backups N renamed files that are kept (default: all)\n"
    "  --audit-log-max-age DAYS  age at which renamed files are removed (default: never)\n"
    "  --audit-log-mode MODE     batch (default: events are dropped when the disk is too slow) or blocking\n"
    "  --enable-admission-plugins LIST  also these: OwnerReferencesPermissionEnforcement\n"
    "  --pod-security-enforce STANDARD, --pod-security-audit STANDARD, --pod-security-warn STANDARD\n"
    "                            Pod Security of namespaces without labels: privileged (default), baseline or\n"
    "                            restricted, and perhaps a version: baseline:v1.30\n"
    "  --pod-security-exempt-namespaces LIST, --pod-security-exempt-users LIST,\n"
    "  --pod-security-exempt-runtime-classes LIST\n"
    "                            who is not asked\n"
    "  --pod-security-relax-user-namespaces\n"
    "                            pods with hostUsers: false may be root\n"
    "  --max-requests-inflight N, --max-mutating-requests-inflight N, --max-connections-per-address N\n"
    "                            more are told to come back (default 2000, 1000), or hung up on (4096)\n"
    "  --workers N               HTTP threads (default: one per processor, at most 4)\n"
    "  --local-cluster           short node times: heartbeat 1 s, grace 4 s, eviction 1 s\n"
    "  --no-sync                 do not wait for the disk (benchmarks only: a power loss loses writes)\n"
    "  --config FILE             settings of podium.conf(5) (default /etc/podium/podium.conf, where it exists)\n"
    "  --log-level LEVEL         error, warning, info (default), debug\n";

enum {
    OPT_DATA = 256,
    OPT_BIND,
    OPT_ADVERTISE,
    OPT_PORT,
    OPT_LINK_PORT,
    OPT_SOCKET,
    OPT_LINK_SOCKET,
    OPT_MANIFESTS,
    OPT_CLUSTER,
    OPT_SERVICE,
    OPT_TOKEN,
    OPT_HEARTBEAT,
    OPT_GRACE,
    OPT_EVICTION,
    OPT_CERTIFICATE,
    OPT_EVENT_TTL,
    OPT_WORKERS,
    OPT_INFLIGHT,
    OPT_MUTATING,
    OPT_PER_ADDRESS,
    OPT_AUDIT_LOG,
    OPT_AUDIT_POLICY,
    OPT_AUDIT_SIZE,
    OPT_AUDIT_BACKUPS,
    OPT_AUDIT_AGE,
    OPT_AUDIT_MODE,
    OPT_ADMISSION,
    OPT_PS_ENFORCE,
    OPT_PS_AUDIT,
    OPT_PS_WARN,
    OPT_PS_NAMESPACES,
    OPT_PS_USERS,
    OPT_PS_CLASSES,
    OPT_PS_RELAX,
    OPT_LOCAL,
    OPT_NO_SYNC,
    OPT_LOG,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"data-dir", required_argument, NULL, OPT_DATA},
    {"bind-address", required_argument, NULL, OPT_BIND},
    {"advertise-address", required_argument, NULL, OPT_ADVERTISE},
    {"port", required_argument, NULL, OPT_PORT},
    {"link-port", required_argument, NULL, OPT_LINK_PORT},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"link-socket", required_argument, NULL, OPT_LINK_SOCKET},
    {"manifests", required_argument, NULL, OPT_MANIFESTS},
    {"cluster-cidr", required_argument, NULL, OPT_CLUSTER},
    {"service-cidr", required_argument, NULL, OPT_SERVICE},
    {"token-file", required_argument, NULL, OPT_TOKEN},
    {"node-heartbeat", required_argument, NULL, OPT_HEARTBEAT},
    {"node-grace", required_argument, NULL, OPT_GRACE},
    {"eviction", required_argument, NULL, OPT_EVICTION},
    {"certificate-lifetime", required_argument, NULL, OPT_CERTIFICATE},
    {"event-ttl", required_argument, NULL, OPT_EVENT_TTL},
    {"max-requests-inflight", required_argument, NULL, OPT_INFLIGHT},
    {"max-mutating-requests-inflight", required_argument, NULL, OPT_MUTATING},
    {"max-connections-per-address", required_argument, NULL, OPT_PER_ADDRESS},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"audit-log", required_argument, NULL, OPT_AUDIT_LOG},
    {"audit-policy", required_argument, NULL, OPT_AUDIT_POLICY},
    {"audit-log-max-size", required_argument, NULL, OPT_AUDIT_SIZE},
    {"audit-log-max-backups", required_argument, NULL, OPT_AUDIT_BACKUPS},
    {"audit-log-max-age", required_argument, NULL, OPT_AUDIT_AGE},
    {"audit-log-mode", required_argument, NULL, OPT_AUDIT_MODE},
    {"enable-admission-plugins", required_argument, NULL, OPT_ADMISSION},
    {"pod-security-enforce", required_argument, NULL, OPT_PS_ENFORCE},
    {"pod-security-audit", required_argument, NULL, OPT_PS_AUDIT},
    {"pod-security-warn", required_argument, NULL, OPT_PS_WARN},
    {"pod-security-exempt-namespaces", required_argument, NULL, OPT_PS_NAMESPACES},
    {"pod-security-exempt-users", required_argument, NULL, OPT_PS_USERS},
    {"pod-security-exempt-runtime-classes", required_argument, NULL, OPT_PS_CLASSES},
    {"pod-security-relax-user-namespaces", no_argument, NULL, OPT_PS_RELAX},
    {"local-cluster", no_argument, NULL, OPT_LOCAL},
    {"no-sync", no_argument, NULL, OPT_NO_SYNC},
    {"log-level", required_argument, NULL, OPT_LOG},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

/* A number in [min, max], or a message and false. */
static bool number(const char *option, unsigned long min, unsigned long max, unsigned long *ret) {
    char *end;

    *ret = strtoul(optarg, &end, 10);
    if (*end == 0 && *optarg >= '0' && *optarg <= '9' && *ret >= min && *ret <= max)
        return true;
    fprintf(stderr, "podium server: %s wants a number from %lu to %lu, not \"%s\"\n", option, min, max, optarg);
    return false;
}

static bool take_number(int c, struct server_options *o) {
    unsigned long n;

    switch (c) {
    case OPT_PORT:
    case OPT_LINK_PORT:
        if (!number(c == OPT_PORT ? "--port" : "--link-port", 1, 65535, &n))
            return false;
        *(c == OPT_PORT ? &o->port : &o->link_port) = (int) n;
        return true;
    case OPT_HEARTBEAT:
    case OPT_GRACE:
        if (!number(c == OPT_HEARTBEAT ? "--node-heartbeat" : "--node-grace", 1, 86400, &n))
            return false;
        *(c == OPT_HEARTBEAT ? &o->heartbeat_usec : &o->node_grace_usec) = n * USEC_PER_SEC;
        return true;
    case OPT_EVICTION:
        if (!number("--eviction", 0, 86400, &n))
            return false;
        o->eviction_seconds = (unsigned) n;
        return true;
    case OPT_CERTIFICATE:
        if (!number("--certificate-lifetime", 10, 365ul * 86400, &n))
            return false;
        o->certificate_sec = n;
        return true;
    case OPT_EVENT_TTL:
        if (!number("--event-ttl", 1, 365ul * 86400, &n))
            return false;
        o->event_ttl_sec = n;
        return true;
    case OPT_AUDIT_SIZE:
        if (!number("--audit-log-max-size", 1, 1u << 20, &n))
            return false;
        o->audit_mib = (unsigned) n;
        return true;
    case OPT_AUDIT_BACKUPS:
        if (!number("--audit-log-max-backups", 0, 100000, &n))
            return false;
        o->audit_backups = (unsigned) n;
        return true;
    case OPT_AUDIT_AGE:
        if (!number("--audit-log-max-age", 0, 36500, &n))
            return false;
        o->audit_days = (unsigned) n;
        return true;
    case OPT_INFLIGHT:
    case OPT_MUTATING:
        if (!number(c == OPT_INFLIGHT ? "--max-requests-inflight" : "--max-mutating-requests-inflight", 1, 1000000, &n))
            return false;
        *(c == OPT_INFLIGHT ? &o->reading_max : &o->mutating_max) = (unsigned) n;
        return true;
    case OPT_PER_ADDRESS:
        if (!number("--max-connections-per-address", 1, 1000000, &n))
            return false;
        o->per_address_max = (unsigned) n;
        return true;
    default:
        if (!number("--workers", 1, 64, &n))
            return false;
        o->workers = (unsigned) n;
        return true;
    }
}

static const char **text_option(int c, struct server_options *o) {
    switch (c) {
    case OPT_DATA:
        return &o->data_dir;
    case OPT_BIND:
        return &o->bind_address;
    case OPT_ADVERTISE:
        return &o->advertise_address;
    case OPT_SOCKET:
        return &o->socket;
    case OPT_LINK_SOCKET:
        return &o->link_socket;
    case OPT_MANIFESTS:
        return &o->manifests;
    case OPT_CLUSTER:
        return &o->cluster_cidr;
    case OPT_SERVICE:
        return &o->service_cidr;
    case OPT_TOKEN:
        return &o->token_file;
    case OPT_AUDIT_LOG:
        return &o->audit_log;
    case OPT_AUDIT_POLICY:
        return &o->audit_policy;
    case OPT_ADMISSION:
        return &o->enable_admission_plugins;
    case OPT_PS_ENFORCE:
        return &o->pod_security.enforce;
    case OPT_PS_AUDIT:
        return &o->pod_security.audit;
    case OPT_PS_WARN:
        return &o->pod_security.warn;
    case OPT_PS_NAMESPACES:
        return &o->pod_security.exempt_namespaces;
    case OPT_PS_USERS:
        return &o->pod_security.exempt_users;
    case OPT_PS_CLASSES:
        return &o->pod_security.exempt_runtime_classes;
    default:
        return NULL;
    }
}

static int take_option(int c, struct server_options *o) {
    enum log_level level;

    switch (c) {
    case OPT_LOCAL:
        o->heartbeat_usec = USEC_PER_SEC;
        o->node_grace_usec = 4 * USEC_PER_SEC;
        o->eviction_seconds = 1;
        return 0;
    case OPT_NO_SYNC:
        o->no_sync = true;
        return 0;
    case OPT_AUDIT_MODE:
        o->audit_blocking = strcmp(optarg, "blocking") == 0;
        if (o->audit_blocking || strcmp(optarg, "batch") == 0)
            return 0;
        fprintf(stderr, "podium server: --audit-log-mode wants batch or blocking, not \"%s\"\n", optarg);
        return 3;
    case OPT_PS_RELAX:
        o->pod_security.relax_user_namespaces = true;
        return 0;
    case OPT_LOG:
        if (log_parse_level(optarg, &level) < 0) {
            fprintf(stderr, "podium server: unknown log level \"%s\"\n", optarg);
            return 3;
        }
        log_set_level(level);
        return 0;
    case OPT_HELP:
        fputs(usage, stdout);
        return 1;
    case '?':
        fputs("Try: podium server --help\n", stderr);
        return 3;
    default: {
        const char **text = text_option(c, o);
        if (text)
            *text = optarg;
        else if (!take_number(c, o))
            return 3;
        return 0;
    }
    }
}

static bool is_address(const char *text) {
    unsigned char a[16];

    return inet_pton(AF_INET, text, a) == 1 || inet_pton(AF_INET6, text, a) == 1;
}

struct range {
    uint32_t first;
    unsigned bits;
};

/* "10.244.0.0/16" with a prefix in [min, max] and nothing behind it, or a message and false. */
static bool take_range(const char *option, const char *text, unsigned min, unsigned max, struct range *ret) {
    char base[INET_ADDRSTRLEN], rest;
    struct in_addr a;

    if (sscanf(text, "%15[0-9.]/%2u%c", base, &ret->bits, &rest) != 2 || inet_pton(AF_INET, base, &a) != 1 ||
        ret->bits < min || ret->bits > max) {
        fprintf(stderr, "podium server: %s wants an IPv4 range like 10.244.0.0/16 (prefix %u to %u), not \"%s\"\n",
                option, min, max, text);
        return false;
    }
    ret->first = ntohl(a.s_addr);
    if (ret->first & (UINT32_MAX >> ret->bits)) {
        a.s_addr = htonl(ret->first & ~(UINT32_MAX >> ret->bits));
        (void) inet_ntop(AF_INET, &a, base, sizeof(base));
        fprintf(stderr, "podium server: %s %s has bits behind its prefix; meant is perhaps %s/%u\n", option, text, base,
                ret->bits);
        return false;
    }
    return true;
}

static bool check_ranges(const struct server_options *o) {
    struct range pods, services;

    /* each node gets a /24 of the pods' range, and the first is left alone */
    if (!take_range("--cluster-cidr", o->cluster_cidr, 8, 22, &pods) ||
        !take_range("--service-cidr", o->service_cidr, 8, 28, &services))
        return false;
    unsigned bits = pods.bits < services.bits ? pods.bits : services.bits;
    if ((pods.first ^ services.first) >> (32 - bits) == 0) {
        fprintf(stderr, "podium server: --cluster-cidr %s and --service-cidr %s overlap\n", o->cluster_cidr,
                o->service_cidr);
        return false;
    }
    return true;
}

static bool check_path(const char *option, const char *path) {
    if (!path || *path == '/')
        return true;
    fprintf(stderr, "podium server: %s wants a path from the root, not \"%s\"\n", option, path);
    return false;
}

static bool check(const struct server_options *o) {
    const struct {
        const char *option, *address;
    } addresses[] = {{"--bind-address", o->bind_address}, {"--advertise-address", o->advertise_address}};

    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        if (addresses[i].address && !is_address(addresses[i].address)) {
            fprintf(stderr, "podium server: %s wants an IP address, not \"%s\"\n", addresses[i].option,
                    addresses[i].address);
            return false;
        }
    if (!check_path("--data-dir", o->data_dir) || !check_path("--socket", o->socket) ||
        !check_path("--link-socket", o->link_socket) || !check_path("--manifests", o->manifests))
        return false;
    if (o->audit_log && strcmp(o->audit_log, "journal") != 0 && !check_path("--audit-log", o->audit_log))
        return false;
    if (!check_path("--audit-policy", o->audit_policy))
        return false;
    if (o->audit_policy && !o->audit_log) {
        fputs("podium server: --audit-policy says what is recorded, and --audit-log where: it is missing\n", stderr);
        return false;
    }
    if (o->port == o->link_port || strcmp(o->socket, o->link_socket) == 0) {
        fputs("podium server: the API and the link need a port and a socket each\n", stderr);
        return false;
    }
    if (o->node_grace_usec < 2 * o->heartbeat_usec) {
        fputs("podium server: --node-grace must be at least twice --node-heartbeat: one lost message is no lost node\n",
              stderr);
        return false;
    }
    return check_ranges(o);
}

/* What was given, with what the configuration files say in front of it. */
static int parse_words(int argc, char **argv, struct server_options *o) {
    int c, r;

    optind = 1;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if ((r = take_option(c, o)) != 0)
            return r;
    if (optind < argc) {
        fprintf(stderr, "podium server: unexpected argument \"%s\"\nTry: podium server --help\n", argv[optind]);
        return 3;
    }
    return 0;
}

int server_options_parse(int argc, char **argv, struct server_options *o) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r;

    *o = (struct server_options){
        .data_dir = "/var/lib/podium/server",
        .port = 6443,
        .link_port = 6444,
        .socket = "/run/podium-server/api.sock",
        .link_socket = "/run/podium-server/link.sock",
        .manifests = "/etc/podium/manifests",
        .cluster_cidr = "10.244.0.0/16",
        .service_cidr = "10.96.0.0/16",
        .heartbeat_usec = 10 * USEC_PER_SEC,
        .node_grace_usec = 40 * USEC_PER_SEC,
        .eviction_seconds = 300,
        .certificate_sec = 86400,
        .event_ttl_sec = 3600,
    };
    r = config_file_words("Server", long_options, argc, argv, &o->words, &err);
    if (r < 0) {
        fprintf(stderr, "podium server: %s\n", error_text(&err, r));
        return 3;
    }
    r = parse_words((int) strv_len(o->words), o->words, o);
    if (r != 0)
        return r;
    if (o->manifests && !*o->manifests)
        o->manifests = NULL;
    return check(o) ? 0 : 3;
}
