/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

/* The verbs that are not of this module: their own --help has the details. */
static const struct {
    const char *name, *summary;
} others[] = {
    {"up", "start a local cluster on this machine, with one node or more"},
    {"down", "stop it and leave nothing behind"},
    {"node start|stop", "start or stop a node of the local cluster"},
    {"image", "import, list and remove container images"},
    {"restore", "make a server's store of a backup"},
    {"server", "run the control plane (podium-server.service)"},
    {"agent", "run a node's agent (podium-agent.service)"},
};

static void heading(const char *text) {
    char on[16], off[16];
    printf("\n%s%s%s\n", cli_color(STDOUT_FILENO, "1", on), text, cli_color(STDOUT_FILENO, "0", off));
}

static void print_flags(const char *title, const struct flag *f) {
    _cleanup_columns_ struct columns c = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    if (!f || !f->name)
        return;
    for (; f->name; f++) {
        columns_line(&c);
        columns_cellf(&c, "%c%c%c --%s%s%s", f->letter ? '-' : ' ', f->letter ? f->letter : ' ', f->letter ? ',' : ' ',
                      f->name,
                      f->type == FLAG_OPTIONAL ? "[="
                      : f->placeholder         ? " "
                                               : "",
                      f->placeholder ? f->placeholder : "");
        if (f->type == FLAG_OPTIONAL) {
            char **cell = &c.lines[c.n - 1][0];
            char *closed = xasprintf("%s]", *cell);
            free(*cell);
            *cell = closed;
        }
        columns_cell(&c, f->help);
    }
    columns_print(&c, "  ", 2, &out);
    heading(title);
    fputs(strbuf_str(&out), stdout);
}

static void print_usage(const struct verb *v) {
    printf("%s: %s\n", v->name, v->summary);
    heading("Usage");
    for (const char *p = v->usage; *p;) {
        size_t n = strcspn(p, "\n");
        printf("  podium %.*s\n", (int) n, p);
        p += n + (p[n] == '\n');
    }
    if (v->details) {
        heading("Examples");
        fputs(v->details, stdout);
    }
    print_flags("Flags", v->flags);
    print_flags("Flags of every verb", cli_global_flags);
}

static void overview(void) {
    _cleanup_columns_ struct columns c = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    puts("podium runs containers under systemd on one machine or many, with the Kubernetes API.\n"
         "\n"
         "Begin with:   podium up                 a cluster on this machine\n"
         "              podium apply -f FILE      what shall run\n"
         "              podium status             is all well, and if not, why");
    const char *group = NULL;
    for (const struct verb *v = cli_verbs; v->name; v++) {
        if (!group || strcmp(group, v->group) != 0) {
            columns_line(&c);
            columns_line(&c);
            columns_cell(&c, v->group); /* a heading: alone in its line */
        }
        group = v->group;
        columns_line(&c);
        columns_cellf(&c, "  %s", v->name);
        columns_cell(&c, v->summary);
    }
    columns_line(&c);
    columns_line(&c);
    columns_cell(&c, "This machine");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        columns_line(&c);
        columns_cellf(&c, "  %s", others[i].name);
        columns_cell(&c, others[i].summary);
    }
    columns_print(&c, "", 2, &out);
    fputs(strbuf_str(&out), stdout);
    puts("\n`podium help VERB` or `podium VERB --help` tells more; so does podium(1).");
}

int cli_verb_help(struct cli *c) {
    bool asked_for_help = strcmp(c->verb->name, "help") == 0;
    const char *name = asked_for_help ? c->args.words[0] : c->verb->name;
    if (!name || (asked_for_help && strcmp(name, "help") == 0)) {
        overview();
        return 0;
    }
    for (const struct verb *v = cli_verbs; v->name; v++)
        if (strcmp(v->name, name) == 0) {
            print_usage(v);
            return 0;
        }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strncmp(others[i].name, name, strlen(name)) == 0) {
            printf("%s: %s\n\nIts flags: podium %s --help\n", name, others[i].summary, others[i].name);
            return 0;
        }
    return cli_usage(NULL, "unknown command \"%s\" for \"podium\"", name);
}
