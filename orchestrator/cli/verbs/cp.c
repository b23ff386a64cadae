/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files to and from containers: a tar here, a tar there, an exec between them. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "orchestrator/cli/exec_stream.h"
#include "orchestrator/cli/pods.h"
#include "orchestrator/cli/query.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

const struct flag flags_cp[] = {
    {"container", 'c', FLAG_VALUE, NULL, "NAME", "which container (the pod's default or first one)"},
    {"no-preserve", 0, FLAG_BOOL, NULL, NULL, "leave out owner and mode of the copies in the container"},
    FLAG_END,
};

/* "[NAMESPACE/]POD:PATH", or a path here. */
struct place {
    char *pod; /* NULL: here */
    char *ns;  /* NULL: the one in use */
    char *path;
};

static void place_finish(struct place *p) {
    free(p->pod);
    free(p->ns);
    free(p->path);
}

/* Without the slashes at its end, "/" apart. */
static char *trimmed(const char *path) {
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return xstrndup(path, n);
}

static struct place place_parse(const char *typed) {
    const char *colon = strchr(typed, ':'), *slash = strchr(typed, '/');
    struct place p = {0};

    if (!colon || *typed == '/' || *typed == '.' ||
        (slash && slash < colon && strchr(slash + 1, '/') && strchr(slash + 1, '/') < colon)) {
        p.path = trimmed(typed);
        return p;
    }
    if (slash && slash < colon) {
        p.ns = xstrndup(typed, (size_t) (slash - typed));
        p.pod = xstrndup(slash + 1, (size_t) (colon - slash - 1));
    } else {
        p.pod = xstrndup(typed, (size_t) (colon - typed));
    }
    p.path = trimmed(colon + 1);
    return p;
}

static void split(const char *path, char **dir, char **base) {
    const char *slash = strrchr(path, '/');

    *base = xstrdup(slash ? slash + 1 : path);
    *dir = !slash ? xstrdup(".") : slash == path ? xstrdup("/") : xstrndup(path, (size_t) (slash - path));
}

/* tar's --transform for members and hard links, not for what symlinks say: the first component's name changes.
 * Characters with a meaning there are escaped. */
static char *rename_rule(const char *from, const char *to) {
    struct strbuf b = STRBUF_INIT;

    strbuf_adds(&b, "--transform=flags=rSh;s,^");
    for (; *from; from++) {
        if (strchr("\\.*[]^$,", *from))
            strbuf_addc(&b, '\\');
        strbuf_addc(&b, *from);
    }
    strbuf_adds(&b, "\\(/\\|$\\),");
    for (; *to; to++) {
        if (strchr("\\&,", *to))
            strbuf_addc(&b, '\\');
        strbuf_addc(&b, *to);
    }
    strbuf_adds(&b, "\\1,");
    return strbuf_steal(&b);
}

/* --- the other side --- */

struct remote {
    struct cli *c;
    struct json *pod;
    const char *container;
};

static char *exec_target(const struct remote *r, const char *const *argv, bool in) {
    const struct client_request get = {.verb = CLIENT_GET,
                                       .resource = resource_by_name("pods"),
                                       .ns = json_str(json_path(r->pod, "metadata", "namespace")),
                                       .name = json_str(json_path(r->pod, "metadata", "name")),
                                       .subresource = "exec"};
    _cleanup_free_ char *path = http_request_target(&get, false);
    struct strbuf b = STRBUF_INIT;

    strbuf_adds(&b, path);
    query_add(&b, "container", r->container);
    for (; *argv; argv++)
        query_add(&b, "command", *argv);
    if (in)
        query_add(&b, "stdin", "true");
    query_add(&b, "stdout", "true");
    query_add(&b, "stderr", "true");
    return strbuf_steal(&b);
}

/* The command's exit code, or -1: told. */
static int run_there(const struct remote *r, const char *const *argv, int in_fd, int out_fd) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *target = exec_target(r, argv, in_fd >= 0);
    const struct exec_options o = {.target = target, .in = in_fd >= 0, .in_fd = in_fd, .out_fd = out_fd};
    struct exec_result result;

    int e = exec_stream(&r->c->connection, &o, &result, &err);
    _cleanup_json_ struct json *status = result.status;
    if (e == 0)
        return result.exit_code;
    if (result.code)
        (void) cli_refused(r->c, "", result.code, status, error_text(&err, e));
    else
        (void) cli_fail("%s", error_text(&err, e));
    return -1;
}

/* --- this side --- */

static int spawn_tar(char *const *argv, int in_fd, int out_fd, pid_t *ret) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t defaults;

    (void) posix_spawn_file_actions_init(&actions);
    (void) posix_spawnattr_init(&attr);
    (void) sigemptyset(&defaults);
    (void) sigaddset(&defaults, SIGPIPE);
    (void) posix_spawnattr_setsigdefault(&attr, &defaults);
    (void) posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    if (in_fd >= 0)
        (void) posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
    if (out_fd >= 0)
        (void) posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    int r = posix_spawnp(ret, "tar", &actions, &attr, argv, environ);
    (void) posix_spawn_file_actions_destroy(&actions);
    (void) posix_spawnattr_destroy(&attr);
    return r == 0 ? 0 : cli_fail("cannot run tar: %s", strerror(r));
}

static bool finished_well(pid_t pid) {
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- both directions --- */

static int upload(const struct remote *r, const struct place *from, const struct place *to, bool preserve) {
    _cleanup_free_ char *dir = NULL, *base = NULL, *there_dir = NULL, *there_base = NULL, *rule = NULL;
    const char *const is_dir[] = {"test", "-d", to->path, NULL};
    int fds[2];
    pid_t pid;

    if (access(from->path, F_OK) < 0)
        return cli_fail("%s doesn't exist in local filesystem", from->path);
    split(from->path, &dir, &base);
    int e = run_there(r, is_dir, -1, STDOUT_FILENO);
    if (e < 0)
        return 1;
    if (e == 0) {
        there_dir = xstrdup(to->path);
        there_base = xstrdup(base);
    } else {
        split(to->path, &there_dir, &there_base);
    }
    rule = rename_rule(base, there_base);
    char *const tar_here[] = {(char *) "tar", (char *) "-cf", (char *) "-", (char *) "-C", dir,
                              rule,           (char *) "--",  base,         NULL};
    const char *const tar_there[] = {"tar", preserve ? "-xmf" : "-xmof", "-", "-C", there_dir, NULL};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return cli_fail("cannot make a pipe: %s", strerror(errno));
    _cleanup_close_ int out = fds[0], in = fds[1];
    if (spawn_tar(tar_here, -1, in, &pid) != 0)
        return 1;
    closep(&in);
    in = -EBADF;
    e = run_there(r, tar_there, out, STDOUT_FILENO);
    closep(&out);
    out = -EBADF;
    bool well = finished_well(pid);
    return e == 0 && well ? 0 : e > 0 ? cli_fail("tar in the container ended with exit code %d", e) : 1;
}

static bool is_folder(const char *path) {
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int download(const struct remote *r, const struct place *from, const struct place *to) {
    _cleanup_free_ char *dir = NULL, *base = NULL, *here_dir = NULL, *here_base = NULL, *rule = NULL;
    int fds[2];
    pid_t pid;

    split(from->path, &dir, &base);
    if (is_folder(to->path)) {
        here_dir = xstrdup(to->path);
        here_base = xstrdup(base);
    } else {
        split(to->path, &here_dir, &here_base);
    }
    rule = rename_rule(base, here_base);
    /* the archive comes from the container: what would leave the folder is refused by tar, owners are not taken over */
    char *const tar_here[] = {
        (char *) "tar", (char *) "-xf", (char *) "-", (char *) "-C", here_dir, rule, (char *) "--no-same-owner", NULL};
    const char *const tar_there[] = {"tar", "-cf", "-", "-C", dir, base, NULL};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return cli_fail("cannot make a pipe: %s", strerror(errno));
    _cleanup_close_ int out = fds[0], in = fds[1];
    if (spawn_tar(tar_here, out, -1, &pid) != 0)
        return 1;
    closep(&out);
    out = -EBADF;
    int e = run_there(r, tar_there, -1, in);
    closep(&in);
    in = -EBADF;
    bool well = finished_well(pid);
    return e == 0 && well ? 0 : e > 0 ? cli_fail("tar in the container ended with exit code %d", e) : 1;
}

int cli_verb_cp(struct cli *c) {
    char *const *words = c->args.words;
    _cleanup_json_ struct json *pod = NULL;

    if (strv_len(words) != 2)
        return cli_usage(c, "two places are wanted: podium cp FROM TO, one of them POD:PATH");
    _cleanup_(place_finish) struct place from = place_parse(words[0]), to = place_parse(words[1]);
    if (!from.pod == !to.pod)
        return cli_usage(c, "one place must be here, the other in a pod (POD:PATH)");
    const struct place *there = from.pod ? &from : &to;
    if (!*from.path || !*to.path)
        return cli_usage(c, "filepath can not be empty");
    int r = cli_connect(c);
    if (r != 0)
        return r;
    if (there->ns)
        c->ns = there->ns;
    r = pod_by_typed(c, there->pod, &pod);
    if (r != 0)
        return r;
    const struct remote remote = {.c = c, .pod = pod, .container = pod_container(c, pod)};
    (void) signal(SIGPIPE, SIG_IGN);
    return from.pod ? download(&remote, &from, &to)
                    : upload(&remote, &from, &to, !args_bool(&c->args, "no-preserve", false));
}
