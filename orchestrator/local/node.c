/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/node.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "orchestrator/local/node_config.h"
#include "orchestrator/local/node_files.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/json.h"
#include "podium/base/path.h"
#include "podium/netns.h"

#define SIGNAL_POWEROFF  "RTMIN+4" /* systemd(1): starts poweroff.target */
#define CONSOLE_TAIL_MAX 4096

int local_tools_find(struct local_tools *t, struct error *err) {
    static const char *const inits[] = {"/usr/lib/systemd/systemd", "/lib/systemd/systemd"};
    char self[4096];

    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return error_set_errno(err, -errno, "cannot find this program");
    self[n] = 0;
    *strrchr(self, '/') = 0;
    t->bin_dir = xstrdup(self);
    t->baton = path_join(self, "baton");
    if (access(t->baton, X_OK) < 0)
        return error_set(err, -ENOENT, "the runtime is missing: %s (build it with: make)", t->baton);
    for (size_t i = 0; i < ARRAY_LEN(inits) && !t->init; i++)
        if (access(inits[i], X_OK) == 0)
            t->init = xstrdup(inits[i]);
    if (!t->init)
        return error_set(err, -ENOENT,
                         "no systemd on this host: nodes boot the host's own; install it with: "
                         "apt-get install systemd dbus");
    if (access("/usr/bin/dbus-daemon", X_OK) < 0)
        return error_set(err, -ENOENT, "no D-Bus daemon on this host; install it with: apt-get install dbus");
    return 0;
}

void local_tools_finish(struct local_tools *t) {
    free(t->bin_dir);
    free(t->baton);
    free(t->init);
    *t = (struct local_tools){0};
}

/* Runs a program with its output going to the descriptor. Returns its exit code or -errno. */
static int run(const char *program, char *const *argv, int output_fd, struct error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    int r = posix_spawnp(&pid, program, &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return error_set_errno(err, -r, "cannot run %s", program);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(err, -errno, "cannot wait for %s", program);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_baton(const struct local_cluster *c, const struct local_tools *t, int output_fd, char *const *args,
                     struct error *err) {
    _cleanup_free_ char *root = local_path(c, "runtime");
    _cleanup_strv_ char **argv = strv_new();

    strv_push_dup(&argv, "baton");
    strv_push_dup(&argv, "--root");
    strv_push_dup(&argv, root);
    for (; *args; args++)
        strv_push_dup(&argv, *args);
    return run(t->baton, argv, output_fd, err);
}
#define BATON(c, t, fd, err, ...) run_baton((c), (t), (fd), (char *const[]){__VA_ARGS__, NULL}, (err))

static uint64_t bounding_set(void) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    if (file_read("/proc/self/status", 1u << 16, &b, NULL) < 0)
        return 0;
    const char *at = strstr(strbuf_str(&b), "CapBnd:");
    return at ? strtoull(at + strlen("CapBnd:"), NULL, 16) : 0;
}

static int write_config(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t,
                        int netns_fd, struct error *err) {
    _cleanup_free_ char *netns_path = xasprintf("/proc/%d/fd/%d", getpid(), netns_fd);
    _cleanup_free_ char *path = local_node_path(c, n, "bundle/config.json");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const struct node_config_inputs in = {
        .cluster = c,
        .node = n,
        .bin_dir = t->bin_dir,
        .init = t->init,
        .netns_path = netns_path,
        .capabilities = bounding_set(),
    };
    _cleanup_json_ struct json *config = node_config_new(&in);

    json_write(config, JSON_WRITE_PRETTY, &text);
    return file_write_atomic(path, text.data, text.len, 0600, false, err);
}

static int attach(const struct local_cluster *c, const struct local_node *n, int netns_fd, struct error *err) {
    _cleanup_free_ char *owner = local_container_id(c, n);
    _cleanup_free_ char *address = xasprintf("%s/24", n->address);
    _cleanup_free_ char *gateway = xasprintf("%s.1", c->subnet);
    const struct netns_attach a = {
        .owner = owner,
        .netns_fd = netns_fd,
        .bridge = c->bridge,
        .address = address,
        .gateway = gateway,
    };

    return netns_attach(&a, err);
}

static int detach(const struct local_cluster *c, const struct local_node *n, struct error *err) {
    _cleanup_free_ char *owner = local_container_id(c, n);
    char link[NETNS_LINK_NAME_SIZE];

    netns_link_name(owner, link);
    return netns_detach(link, err);
}

/* The end of a text, from the beginning of a line, without empty lines at its end. */
static const char *tail(struct strbuf *text, size_t max) {
    while (text->len && (text->data[text->len - 1] == '\n' || text->data[text->len - 1] == '\r'))
        text->data[--text->len] = 0;
    if (text->len <= max)
        return strbuf_str(text);
    const char *from = text->data + text->len - max, *line = strchr(from, '\n');
    return line ? line + 1 : from;
}

char *local_node_last_words(const struct local_cluster *c, const struct local_node *n, const char *unit) {
    _cleanup_free_ char *journal = local_node_path(c, n, "upper/var/log/journal");
    _cleanup_free_ char *console = local_node_path(c, n, "console.log");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *const argv[] = {(char *) "journalctl",
                          (char *) "--directory",
                          journal,
                          (char *) "--unit",
                          (char *) unit,
                          (char *) "--lines=10",
                          (char *) "-ocat",
                          (char *) "--no-pager",
                          (char *) "--quiet",
                          NULL};

    if (fd >= 0 && run("journalctl", argv, fd, NULL) == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
        fd_read_all(fd, 1u << 20, &text, NULL) == 0 && text.len > 0)
        return xstrdup(tail(&text, CONSOLE_TAIL_MAX));
    strbuf_reset(&text);
    if (file_read(console, 1u << 20, &text, NULL) < 0)
        return xstrdup("");
    return xstrdup(tail(&text, CONSOLE_TAIL_MAX));
}

static int start_failed(const struct local_cluster *c, const struct local_node *n, const char *console, int code,
                        struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read(console, 1u << 20, &text, NULL) < 0)
        strbuf_reset(&text);
    return error_set(err, -EIO, "node %s did not start (exit %d): %s", n->name, code,
                     text.len ? tail(&text, CONSOLE_TAIL_MAX) : "no message");
}

/* What an earlier life left that ended without our help: after a reboot, or when its systemd died. */
static void forget_container(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t) {
    _cleanup_free_ char *id = local_container_id(c, n);
    _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void) BATON(c, t, null, NULL, (char *) "delete", (char *) "--force", id);
    (void) detach(c, n, NULL);
}

int local_node_start(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t,
                     struct error *err) {
    _cleanup_free_ char *bundle = local_node_path(c, n, "bundle");
    _cleanup_free_ char *console = local_node_path(c, n, "console.log");
    _cleanup_free_ char *socket = local_node_path(c, n, "run/api.sock");
    _cleanup_free_ char *id = local_container_id(c, n);

    int r = node_files_write(c, n, err);
    if (r < 0)
        return r;
    (void) unlink(socket); /* of an earlier life: it is awaited */
    forget_container(c, n, t);
    _cleanup_close_ int netns_fd = netns_create(err);
    if (netns_fd < 0)
        return netns_fd;
    r = write_config(c, n, t, netns_fd, err);
    if (r < 0)
        return r;
    r = attach(c, n, netns_fd, err);
    if (r < 0) {
        (void) detach(c, n, NULL);
        return error_prefix(err, r, "node %s", n->name);
    }
    _cleanup_close_ int log = open(console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    r = log < 0 ? error_set_errno(err, -errno, "cannot create %s", console)
                : BATON(c, t, log, err, (char *) "run", (char *) "--detach", (char *) "--bundle", bundle, id);
    if (r > 0)
        r = start_failed(c, n, console, r, err);
    if (r < 0)
        forget_container(c, n, t);
    return r;
}

static int container_pid(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t) {
    _cleanup_free_ char *id = local_container_id(c, n);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_json_ struct json *state = NULL;
    _cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int r = BATON(c, t, fd, NULL, (char *) "state", id);
    if (r != 0)
        return -ENOENT;
    if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, 1u << 20, &text, NULL) < 0 ||
        json_parse(strbuf_str(&text), text.len, NULL, &state, NULL) < 0)
        return -EIO;
    const char *status = json_str_or(json_get(state, "status"), "");
    int64_t pid = json_int_or(json_get(state, "pid"), 0);
    return strcmp(status, "running") == 0 && pid > 0 ? (int) pid : -ENOENT;
}

int local_node_pidfd(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t) {
    int pid = container_pid(c, n, t);

    if (pid < 0)
        return pid;
    int fd = pidfd_open(pid, 0);
    return fd < 0 ? -errno : fd;
}

/* Waits until the process behind the pidfd is gone; 0, or -ETIMEDOUT. */
static int wait_gone(int pidfd, uint64_t usec) {
    uint64_t until = now_monotonic_usec() + usec;

    for (;;) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        uint64_t now = now_monotonic_usec();
        if (now >= until)
            return -ETIMEDOUT;
        int r = poll(&p, 1, (int) ((until - now) / USEC_PER_MSEC) + 1);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

int local_node_stop(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t,
                    uint64_t grace_usec, struct error *err) {
    _cleanup_free_ char *id = local_container_id(c, n);
    _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_close_ int pidfd = local_node_pidfd(c, n, t);

    bool gone = pidfd < 0;
    if (!gone && grace_usec > 0 && BATON(c, t, null, NULL, (char *) "kill", id, (char *) SIGNAL_POWEROFF) == 0)
        gone = wait_gone(pidfd, grace_usec) == 0;
    if (!gone) {
        (void) pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        if (wait_gone(pidfd, 30 * USEC_PER_SEC) < 0)
            return error_set(err, -ETIMEDOUT, "node %s does not end", n->name);
    }
    (void) BATON(c, t, null, NULL, (char *) "delete", (char *) "--force", id);
    return detach(c, n, err);
}
