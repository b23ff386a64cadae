/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "runtime/process/container.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/creation.h"
#include "runtime/verbs/foreground.h"
#include "runtime/verbs/verbs.h"

#define FAILURE_STATUS 255 /* as runc: cannot be mistaken for most commands' own */

static const char usage[] =
    "exec [-d] [-t] [-p PROCESS.json | --cwd DIR -e K=V … -u UID[:GID] -g GID … -c CAP …] [--pid-file FILE] "
    "[--console-socket PATH] [--preserve-fds N] ID COMMAND [ARG …]";

struct exec_options {
    const char *id, *process_file, *cwd, *cgroup, *apparmor, *label, *user, *pid_file, *console_socket, *pidfd_socket;
    char **args;
    char **env, **caps, **gids;
    int preserve_fds;
    bool tty, detached, no_new_privs, ignore_paused;
};

/* What root gets by --cap is not inheritable: files' own inheritable sets would give it to whoever runs them. Other
 * users keep a capability over execve only as ambient, which has to be inheritable. */
static void add_capabilities(struct json **process, char *const *caps) {
    static const char *const sets[] = {"bounding", "effective", "permitted", "inheritable", "ambient"};
    bool root = json_int_or(json_path(*process, "user", "uid"), 0) == 0;

    for (size_t s = 0; caps[0] && s < (root ? 3 : ARRAY_LEN(sets)); s++) {
        struct json **set = json_edit(json_edit(process, "capabilities"), sets[s]);

        for (size_t i = 0; caps[i]; i++)
            json_append(set, json_string(caps[i]));
    }
}

static int set_user(struct json **process, const char *user, struct error *err) {
    struct json **o = json_edit(process, "user");
    char *end;
    unsigned long uid = strtoul(user, &end, 10), gid = 0;
    bool ok = end != user && uid < UINT32_MAX;

    if (ok && *end == ':') {
        const char *group = end + 1;

        gid = strtoul(group, &end, 10);
        ok = end != group && gid < UINT32_MAX;
    }
    if (!ok || *end)
        return error_set(err, -EINVAL, "--user: \"%s\" is not UID or UID:GID", user);
    *o = (json_unref(*o), json_object());
    json_set(o, "uid", json_int((int64_t) uid));
    json_set(o, "gid", json_int((int64_t) gid));
    return 0;
}

/* The container's own process object with what the options change. */
static int build_process(const struct exec_options *o, const struct json *config, struct spec_process **ret,
                         struct error *err) {
    _cleanup_json_ struct json *process = NULL;
    int r = 0;

    if (o->process_file) {
        if ((r = json_parse_file(o->process_file, CONFIG_JSON_BYTES_MAX, &process, err)) < 0)
            return r;
        return spec_process_parse(process, ret, err);
    }
    process = json_ref(json_get(config, "process"));
    json_set(&process, "terminal", json_bool(o->tty));
    json_set(&process, "args", json_array());
    for (char **a = o->args; *a; a++)
        json_append(json_edit(&process, "args"), json_string(*a));
    for (char **e = o->env; *e; e++)
        json_append(json_edit(&process, "env"), json_string(*e));
    if (o->cwd)
        json_set(&process, "cwd", json_string(o->cwd));
    if (o->user && (r = set_user(&process, o->user, err)) < 0)
        return r;
    for (char **g = o->gids; *g; g++)
        json_append(json_edit(json_edit(&process, "user"), "additionalGids"), json_int(strtol(*g, NULL, 10)));
    if (o->apparmor)
        json_set(&process, "apparmorProfile", json_string(o->apparmor));
    if (o->label)
        json_set(&process, "selinuxLabel", json_string(o->label));
    if (o->no_new_privs)
        json_set(&process, "noNewPrivileges", json_bool(true));
    add_capabilities(&process, o->caps);
    return spec_process_parse(process, ret, err);
}

/* The container's group or the wanted one below it; when the former has been divided (a service manager inside), the
 * one that the container's first process is in. */
static int execute(struct exec_params *p, const struct container_file *f, const char *below,
                   struct container_process *ret, struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT, inner = CGROUP_INIT;
    _cleanup_free_ char *path = NULL;
    int r;

    if (!f->state.cgroup && below)
        return error_set(err, -EINVAL, "--cgroup: container %s has no cgroup", f->dir.id);
    if (!f->state.cgroup)
        return container_exec(p, ret, err);
    _cleanup_free_ char *wanted = below ? path_join(f->state.cgroup, below) : xstrdup(f->state.cgroup);
    if ((r = cgroup_hierarchy_open(&h, err)) < 0 || (r = cgroup_open(&h, wanted, &cg, err)) < 0)
        return r;
    p->cgroup_fd = cg.fd;
    r = container_exec(p, ret, err);
    if (r != -EBUSY || below)
        return r;
    error_clear(err);
    if ((r = cgroup_path_of(&h, f->state.pid, &path, err)) < 0 || (r = cgroup_open(&h, path, &inner, err)) < 0)
        return r;
    p->cgroup_fd = inner.fd;
    return container_exec(p, ret, err);
}

static int write_pid(const char *file, pid_t pid, struct error *err) {
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", (int) pid);

    return file_write_atomic(file, text, (size_t) n, 0644, false, err);
}

static int prepare(const struct exec_options *o, struct container_file *f, struct spec **ret_spec,
                   struct spec_process **ret_process, struct error *err) {
    int r;

    if (f->status != STATE_RUNNING && f->status != STATE_CREATED && !(f->status == STATE_PAUSED && o->ignore_paused))
        return error_set(err, -EINVAL, "cannot exec in a container that is %s", state_status_name(f->status));
    if ((r = spec_parse(f->state.config, ret_spec, err)) < 0 ||
        (r = build_process(o, f->state.config, ret_process, err)) < 0)
        return r;
    if ((*ret_process)->terminal && o->detached && !o->console_socket)
        return error_set(err, -EINVAL, "a terminal needs --console-socket when detached");
    return 0;
}

static int run_exec(const struct baton *b, const struct exec_options *o, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    _cleanup_(container_process_finish) struct container_process child = CONTAINER_PROCESS_INIT;
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(spec_process_freep) struct spec_process *process = NULL;
    _cleanup_(rdt_close) struct rdt_group rdt = RDT_GROUP_INIT;
    _cleanup_close_ int console_fd = -1, rdt_root = -1;
    int preserved[PRESERVE_FDS_MAX];
    struct exec_params p = EXEC_PARAMS_INIT;
    int r;

    if ((r = preserve_fds_check(o->preserve_fds, err)) < 0 || (r = container_file_open(b, o->id, &f, err)) < 0 ||
        (r = prepare(o, &f, &spec, &process, err)) < 0 ||
        (o->console_socket && (r = console_fd = unix_connect(o->console_socket, err)) < 0))
        return r;
    baton_warn_capabilities(b, process);
    if (spec->rdt &&
        ((r = rdt_root = rdt_open_root(err)) < 0 || (r = rdt_open(rdt_root, spec->rdt, o->id, &rdt, err)) < 0))
        return r;
    p.tasks_fds = rdt.tasks;
    p.n_tasks_fds = ARRAY_LEN(rdt.tasks);
    for (int i = 0; i < o->preserve_fds; i++)
        preserved[i] = 3 + i;
    p.spec = spec;
    p.process = process;
    _cleanup_free_ char *filters = path_join(b->root, STATE_SECCOMP_FOLDER);
    p.seccomp_folder = filters;
    p.init_pidfd = f.pidfd;
    p.console_socket_fd = console_fd;
    p.extra_fds = preserved;
    p.n_extra_fds = (size_t) o->preserve_fds;
    p.new_session = true;
    _cleanup_json_ struct json *state = state_document(&f.dir, &f.state, f.status);
    p.state = state;
    if (!o->detached)
        foreground_block_signals();
    if ((r = execute(&p, &f, o->cgroup, &child, err)) < 0)
        return r;
    if (!o->detached)
        foreground_prepare(&child);
    if ((o->pidfd_socket && (r = send_pidfd(o->pidfd_socket, child.pidfd, err)) < 0) ||
        (o->pid_file && (r = write_pid(o->pid_file, child.pid, err)) < 0)) {
        container_abort(&child);
        return r;
    }
    container_file_finish(&f); /* unlocked while it runs */
    return o->detached ? 0 : foreground_wait(&child, err);
}

enum {
    OPTION_CWD = 256,
    OPTION_PID_FILE,
    OPTION_CONSOLE_SOCKET,
    OPTION_PRESERVE_FDS,
    OPTION_NO_NEW_PRIVS,
    OPTION_IGNORE_PAUSED,
    OPTION_CGROUP,
    OPTION_APPARMOR,
    OPTION_LABEL,
    OPTION_PIDFD_SOCKET
};

static bool set_option(struct exec_options *o, int c, char *value) {
    switch (c) {
    case 'd':
        o->detached = true;
        return true;
    case 't':
        o->tty = true;
        return true;
    case 'p':
        o->process_file = value;
        return true;
    case 'u':
        o->user = value;
        return true;
    case 'e':
        strv_push_dup(&o->env, value);
        return true;
    case 'c':
        strv_push_dup(&o->caps, value);
        return true;
    case 'g':
        strv_push_dup(&o->gids, value);
        return true;
    case OPTION_CWD:
        o->cwd = value;
        return true;
    case OPTION_PID_FILE:
        o->pid_file = value;
        return true;
    case OPTION_PIDFD_SOCKET:
        o->pidfd_socket = value;
        return true;
    case OPTION_CONSOLE_SOCKET:
        o->console_socket = value;
        return true;
    case OPTION_PRESERVE_FDS:
        return parse_preserve_fds(value, &o->preserve_fds);
    case OPTION_CGROUP:
        o->cgroup = value;
        return true;
    case OPTION_APPARMOR:
        o->apparmor = value;
        return true;
    case OPTION_LABEL:
        o->label = value;
        return true;
    case OPTION_NO_NEW_PRIVS:
        o->no_new_privs = true;
        return true;
    case OPTION_IGNORE_PAUSED:
        o->ignore_paused = true;
        return true;
    default:
        return false;
    }
}

int verb_exec(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {{"detach", no_argument, NULL, 'd'},
                                            {"tty", no_argument, NULL, 't'},
                                            {"process", required_argument, NULL, 'p'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"env", required_argument, NULL, 'e'},
                                            {"cap", required_argument, NULL, 'c'},
                                            {"additional-gids", required_argument, NULL, 'g'},
                                            {"cwd", required_argument, NULL, OPTION_CWD},
                                            {"pid-file", required_argument, NULL, OPTION_PID_FILE},
                                            {"console-socket", required_argument, NULL, OPTION_CONSOLE_SOCKET},
                                            {"pidfd-socket", required_argument, NULL, OPTION_PIDFD_SOCKET},
                                            {"preserve-fds", required_argument, NULL, OPTION_PRESERVE_FDS},
                                            {"no-new-privs", no_argument, NULL, OPTION_NO_NEW_PRIVS},
                                            {"cgroup", required_argument, NULL, OPTION_CGROUP},
                                            {"apparmor", required_argument, NULL, OPTION_APPARMOR},
                                            {"process-label", required_argument, NULL, OPTION_LABEL},
                                            {"ignore-paused", no_argument, NULL, OPTION_IGNORE_PAUSED},
                                            {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **env = NULL, **caps = NULL, **gids = NULL;
    struct exec_options o = {.env = strv_new(), .caps = strv_new(), .gids = strv_new()};
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "+dtp:u:e:c:g:", options, NULL)) >= 0)
        ok = set_option(&o, c, optarg);
    env = o.env;
    caps = o.caps;
    gids = o.gids;
    if (!ok)
        return baton_usage(b, usage, NULL);
    if (argc - optind < (o.process_file ? 1 : 2))
        return baton_usage(b, usage, "a container id and a command are needed");
    o.id = argv[optind];
    o.args = argv + optind + 1;
    int r = run_exec(b, &o, &err);
    if (r >= 0)
        return r;
    (void) baton_fail(b, &err, r);
    return FAILURE_STATUS;
}
