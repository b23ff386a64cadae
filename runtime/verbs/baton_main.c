/* SPDX-License-Identifier: GPL-2.0-or-later */
/* baton: the container runtime. Options, then a verb; the verbs are a table. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "podium/base/cleanup.h"
#include "podium/runtime.h"
#include "runtime/process/self.h"
#include "runtime/spec/spec.h"
#include "runtime/state/state.h"
#include "runtime/verbs/verbs.h"

/* The supervisor has nothing to do with state folders and logs of the other verbs. */
static int verb_pod(const struct baton *b, int argc, char **argv) {
    return pod_main(argc, argv);
}

static int verb_help(const struct baton *b, int argc, char **argv);

static const struct verb {
    const char *name;
    int (*run)(const struct baton *b, int argc, char **argv);
    bool executes; /* makes processes in containers: the program file needs protection */
    const char *help;
} verbs[] = {
    {"create", verb_create, true, "create a container from a bundle; it waits for start"},
    {"start", verb_start, false, "start a created container"},
    {"run", verb_run, true, "create and start a container, and wait for it"},
    {"exec", verb_exec, true, "run one more process in a container"},
    {"kill", verb_kill, false, "send a signal to a container"},
    {"delete", verb_delete, false, "remove a stopped container (--force: any)"},
    {"state", verb_state, false, "print a container's state as JSON"},
    {"list", verb_list, false, "list containers"},
    {"ps", verb_ps, false, "list a container's processes"},
    {"pause", verb_pause, false, "freeze a container's processes"},
    {"resume", verb_resume, false, "thaw them"},
    {"update", verb_update, false, "change a container's limits"},
    {"events", verb_events, false, "print a container's statistics and out-of-memory events"},
    {"spec", verb_spec, false, "write a config.json to start from"},
    {"pod", verb_pod, true, "supervise the containers of a pod (started by podium's agent)"},
    {"features", verb_features, false, "print what this runtime can as JSON"},
    {"help", verb_help, false, "print the options of a verb"},
    {"checkpoint", verb_cannot, false, NULL},
    {"restore", verb_cannot, false, NULL},
};

static void print_help(FILE *to) {
    fprintf(to, "usage: baton [options] VERB [arguments]\n\nverbs:\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (verbs[i].help)
            fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    fprintf(to, "\noptions:\n"
                "  --root DIR                             state folder (default " STATE_ROOT_DEFAULT ")\n"
                "  --log FILE, --log-format text|json     also write errors there\n"
                "  --log-level debug|info|warning|error, --debug\n"
                "  --cgroup-manager cgroupfs|systemd|disabled\n"
                "  --systemd-cgroup                       the same as --cgroup-manager systemd\n"
                "  --rootless true|false|auto             accepted: baton finds out by itself\n"
                "  --cgroup-controllers required|optional limits whose controller is missing: fail, or warn\n"
                "  --version, --help\n");
}

static int verb_help(const struct baton *b, int argc, char **argv) {
    if (argc < 2) {
        print_help(stdout);
        return 0;
    }
    return help_print(argv[1]) ? 0 : baton_usage(b, "help [VERB]", "there is no such verb");
}

enum {
    OPTION_ROOT = 256,
    OPTION_LOG,
    OPTION_LOG_FORMAT,
    OPTION_LOG_LEVEL,
    OPTION_DEBUG,
    OPTION_SYSTEMD,
    OPTION_MANAGER,
    OPTION_ROOTLESS,
    OPTION_CONTROLLERS
};

static const struct option options[] = {{"root", required_argument, NULL, OPTION_ROOT},
                                        {"log", required_argument, NULL, OPTION_LOG},
                                        {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
                                        {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                                        {"debug", no_argument, NULL, OPTION_DEBUG},
                                        {"systemd-cgroup", no_argument, NULL, OPTION_SYSTEMD},
                                        {"cgroup-manager", required_argument, NULL, OPTION_MANAGER},
                                        {"rootless", required_argument, NULL, OPTION_ROOTLESS},
                                        {"cgroup-controllers", required_argument, NULL, OPTION_CONTROLLERS},
                                        {"version", no_argument, NULL, 'v'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static int set_manager(struct baton *b, const char *value) {
    static const char *const names[] = {"cgroupfs", "systemd", "disabled"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], value) == 0) {
            b->cgroup_manager = (enum cgroup_manager) i;
            return -1;
        }
    return baton_usage(b, "VERB", "the cgroup manager is cgroupfs, systemd or disabled");
}

/* debug, info, warning and error are those of runc and crun; baton has nothing to say between errors and warnings. */
static int set_level(struct baton *b, const char *value) {
    static const char *const levels[] = {"panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"};

    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(levels[i], value) == 0) {
            b->debug = i >= ARRAY_LEN(levels) - 2;
            b->errors_only = i < 3;
            return -1;
        }
    return baton_usage(b, "VERB", "the log level is debug, info, warning or error");
}

/* Returns -1 to go on, else the exit status. */
static int set_option(struct baton *b, int c, const char *value) {
    switch (c) {
    case OPTION_ROOT:
        b->root = value;
        return -1;
    case OPTION_LOG:
        b->log = strcmp(value, "/dev/stderr") == 0 ? NULL : value; /* errors go there anyway */
        return -1;
    case OPTION_LOG_FORMAT:
        b->log_json = strcmp(value, "json") == 0;
        return b->log_json || strcmp(value, "text") == 0 ? -1
                                                         : baton_usage(b, "VERB", "the log format is text or json");
    case OPTION_LOG_LEVEL:
        return set_level(b, value);
    case OPTION_DEBUG:
        b->debug = true;
        return -1;
    case OPTION_SYSTEMD:
        b->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
        return -1;
    case OPTION_MANAGER:
        return set_manager(b, value);
    case OPTION_ROOTLESS:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 || strcmp(value, "auto") == 0
                   ? -1
                   : baton_usage(b, "VERB", "--rootless is true, false or auto");
    case OPTION_CONTROLLERS:
        b->controllers_optional = strcmp(value, "optional") == 0;
        return b->controllers_optional || strcmp(value, "required") == 0
                   ? -1
                   : baton_usage(b, "VERB", "--cgroup-controllers is required or optional");
    case 'v':
        printf("baton version " BATON_VERSION "\nspec: " SPEC_OCI_VERSION "\n");
        return 0;
    case 'h':
        print_help(stdout);
        return 0;
    default:
        return 1;
    }
}

int main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct baton b = {.root = STATE_ROOT_DEFAULT};
    int c, status;

    while ((c = getopt_long(argc, argv, "+vh", options, NULL)) >= 0)
        if ((status = set_option(&b, c, optarg)) >= 0)
            return status;
    if (optind >= argc) {
        print_help(stderr);
        return 1;
    }
    const char *name = argv[optind];
    char **whole = argv;
    argc -= optind;
    argv += optind;
    optind = 0; /* glibc: start anew */
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0) {
            if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) && help_print(name))
                return 0;
            if (verbs[i].executes && (status = self_protect(whole, &err)) < 0)
                return baton_fail(&b, &err, status);
            return verbs[i].run(&b, argc, argv);
        }
    fprintf(stderr, "baton: unknown verb \"%s\"; see baton --help\n", name);
    return 1;
}
