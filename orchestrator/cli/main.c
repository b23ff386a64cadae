/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <string.h>

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"

const struct flag cli_global_flags[] = {
    {"kubeconfig", 0, FLAG_VALUE, NULL, "FILE", "which cluster and who we are ($KUBECONFIG, the host's own cluster)"},
    {"context", 0, FLAG_VALUE, NULL, "NAME", "a context of the kubeconfig"},
    {"namespace", 'n', FLAG_VALUE, NULL, "NAME", "the namespace (that of the context, or default)"},
    {"all-namespaces", 'A', FLAG_BOOL, NULL, NULL, "objects of every namespace"},
    {"server", 's', FLAG_VALUE, NULL, "URL", "https://host:port or unix:/path"},
    {"token", 0, FLAG_VALUE, NULL, "TOKEN", "bearer token"},
    {"help", 'h', FLAG_BOOL, NULL, NULL, "help on the verb"},
    {"verbose", 'v', FLAG_OPTIONAL, "1", "LEVEL", "tell more on stderr"},
    FLAG_END,
};

static bool verb_flag_takes_value(const char *arg) {
    bool is_long = strncmp(arg, "--", 2) == 0;
    const char *name = arg + 2;
    if (strchr(arg, '=') || (!is_long && arg[2]))
        return false;
    for (const struct verb *v = cli_verbs; v->name; v++) {
        const struct flag *f = is_long ? flag_by_name(v->flags, name, strlen(name)) : flag_by_letter(v->flags, arg[1]);
        if (f && f->type == FLAG_VALUE)
            return true;
    }
    const struct flag *f =
        is_long ? flag_by_name(cli_global_flags, name, strlen(name)) : flag_by_letter(cli_global_flags, arg[1]);
    return f && f->type == FLAG_VALUE;
}

/* The first word that is no flag and no flag's value; argc when there is none. */
static int find_verb(int argc, char *const *argv) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (argv[i][0] != '-' || !argv[i][1])
            return i;
        i += verb_flag_takes_value(argv[i]);
    }
    return argc;
}

static int unknown_verb(const char *typed) {
    const char *near = NULL;
    size_t least = 3;
    for (const struct verb *v = cli_verbs; v->name; v++) {
        size_t d = edit_distance(typed, v->name);
        if (d < least) {
            least = d;
            near = v->name;
        }
    }
    if (near)
        (void) cli_fail("unknown command \"%s\" for \"podium\"\n\nDid you mean this?\n\t%s\n", typed, near);
    else
        (void) cli_fail("unknown command \"%s\" for \"podium\"", typed);
    fputs("Run 'podium help' for the list.\n", stderr);
    return 2;
}

static const struct verb *verb_by_name(const char *name) {
    for (const struct verb *v = cli_verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

static void finish(struct cli *c) {
    client_free(c->client);
    if (c->connected)
        connection_close(&c->connection);
    sd_event_unref(c->loop);
    args_finish(&c->args);
}

/* "podium node cordon x" is "podium cordon x", "podium node list" is "podium get nodes". words: the command line
 * without the verb; the new verb. */
static const char *rewrite_node(char **words, char ***ret) {
    static const struct {
        const char *typed, *verb, *kind;
    } subs[] = {{"list", "get", "nodes"},          {"ls", "get", "nodes"},        {"get", "get", "nodes"},
                {"describe", "describe", "nodes"}, {"cordon", "cordon", NULL},    {"uncordon", "uncordon", NULL},
                {"label", "label", "nodes"},       {"delete", "delete", "nodes"}, {"top", "top", NULL}};
    int n = (int) strv_len(words), at = find_verb(n, words);
    for (size_t i = 0; i < ARRAY_LEN(subs) && at < n; i++) {
        if (strcmp(words[at], subs[i].typed) != 0)
            continue;
        *ret = strv_new();
        for (int j = 0; j < n; j++)
            if (j != at || subs[i].kind)
                strv_push_dup(ret, j == at ? subs[i].kind : words[j]);
        return subs[i].verb;
    }
    return "node";
}

int cli_main(int argc, char **argv) {
    struct cli c = {.ns = "default"};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int n = argc - 1, at = find_verb(n, argv + 1);
    const char *name = at < n ? argv[at + 1] : "help";
    (void) signal(SIGPIPE, SIG_IGN); /* a reader that has gone shows as a failed write at the end */
    c.verb = verb_by_name(name);
    if (!c.verb)
        return unknown_verb(name);
    char **rest = strv_new(); /* without the verb */
    for (int i = 0; i < n; i++)
        if (i != at)
            strv_push_dup(&rest, argv[i + 1]);
    char **rewritten = NULL;
    if (strcmp(name, "node") == 0)
        c.verb = verb_by_name(rewrite_node(rest, &rewritten));
    if (rewritten) {
        strv_free(rest);
        rest = rewritten;
    }
    int r = args_parse((int) strv_len(rest), rest, cli_global_flags, c.verb->flags, &c.args, &err);
    if (r == 0 && args_has(&c.args, "verbose"))
        log_set_level(LOG_LEVEL_DEBUG);
    if (r < 0)
        r = cli_usage(&c, "%s", error_text(&err, r));
    else
        r = args_bool(&c.args, "help", false) ? cli_verb_help(&c) : c.verb->run(&c);
    strv_free(rest);
    finish(&c);
    if (fflush(stdout) != 0 && r == 0)
        r = errno == EPIPE ? 0 : cli_fail("cannot write the output: %s", strerror(errno));
    return r;
}
