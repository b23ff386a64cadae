/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor for real, without systemd: a child in a cgroup of its own, containers from busybox, and this test as
 * the agent on the control socket. Needs root, cgroup2 and a static busybox; skipped otherwise.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/json.h"
#include "podium/base/path.h"
#include "podium/cgroups.h"
#include "podium/runtime.h"

struct stage {
    char *dir, *cgroup; /* below the mount */
    struct cgroup_hierarchy h;
    pid_t pid;
    int sock;
    struct json *state; /* the newest */
};

#define NETWORK "{\"op\":\"network\"}"

static const char *const applets[] = {"sh", "sleep",    "echo", "cat", "kill", "true",
                                      "ls", "hostname", "test", "tty", "rm"};

static void make_root(const char *dir) {
    _cleanup_free_ char *bin = xasprintf("%s/lower/bin", dir), *box = path_join(bin, "busybox");
    _cleanup_free_ char *copy = xasprintf("cp /bin/busybox %s 2>/dev/null || cp /usr/bin/busybox %s", box, box);
    static const char *const folders[] = {"proc", "dev", "tmp", "shared"};

    assert_int_equal(mkdir_parents(bin, 0755, NULL), 0);
    assert_int_equal(system(copy), 0);
    for (size_t i = 0; i < ARRAY_LEN(applets); i++) {
        _cleanup_free_ char *link = path_join(bin, applets[i]);
        assert_int_equal(symlink("busybox", link), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        _cleanup_free_ char *path = xasprintf("%s/lower/%s", dir, folders[i]);
        assert_int_equal(mkdir_parents(path, 0755, NULL), 0);
    }
}

static void stage_new(struct stage *s) {
    char template[] = "/tmp/podium-pod-XXXXXX";

    *s = (struct stage){.sock = -1, .h = CGROUP_HIERARCHY_INIT};
    if (geteuid() != 0 || (access("/bin/busybox", X_OK) < 0 && access("/usr/bin/busybox", X_OK) < 0) ||
        cgroup_hierarchy_open(&s->h, NULL) < 0)
        skip();
    s->dir = xstrdup(mkdtemp(template));
    s->cgroup = xasprintf("%s/podium-test-%d", strcmp(s->h.own, "/") == 0 ? "" : s->h.own, (int) getpid());
    make_root(s->dir);
    _cleanup_free_ char *shared = path_join(s->dir, "shared");
    assert_int_equal(mkdir(shared, 0777), 0);
}

/* A container that runs a shell script, with the folder DIR/shared at /shared. */
static struct json *container(const struct stage *s, const char *name, const char *script, bool sidecar) {
    _cleanup_free_ char *text = xasprintf(
        "{\"name\":\"%s\",\"seccompDefault\":true,\"config\":{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},"
        "\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/bin/sh\",\"-c\"],\"env\":[\"PATH=/bin\"],"
        "\"cwd\":\"/\"},\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
        "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\"]},"
        "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\","
        "\"ptmxmode=0666\"]},"
        "{\"destination\":\"/shared\",\"type\":\"bind\",\"source\":\"%s/shared\",\"options\":[\"bind\"]}],"
        "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]}},"
        "\"rootfs\":{\"lower\":[\"%s/lower\"],\"upper\":\"%s/%s/upper\",\"work\":\"%s/%s/work\"}}",
        name, s->dir, s->dir, s->dir, name, s->dir, name);
    struct json *c = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &c, NULL), 0);
    json_append(json_edit(json_edit(json_edit(&c, "config"), "process"), "args"), json_string(script));
    if (sidecar)
        json_set(&c, "restartPolicy", json_string("Always"));
    return c;
}

static struct json *pod_doc(const char *policy, int grace) {
    struct json *doc = json_object();

    json_set(&doc, "uid", json_string("u1"));
    json_set(&doc, "namespace", json_string("default"));
    json_set(&doc, "name", json_string("web"));
    json_set(&doc, "hostname", json_string("pod-host"));
    json_set(&doc, "restartPolicy", json_string(policy));
    json_set(&doc, "terminationGracePeriodSeconds", json_int(grace));
    return doc;
}

static void add(struct json **doc, const char *list, struct json *take) {
    json_append(json_edit(doc, list), take);
}

static void launch(struct stage *s, struct json *take_doc) {
    _cleanup_free_ char *spec = path_join(s->dir, POD_FILE_SPEC), *text = json_to_text(take_doc);
    _cleanup_free_ char *err = path_join(s->dir, "stderr");
    struct cgroup cg = CGROUP_INIT;

    json_unref(take_doc);
    assert_int_equal(file_write_atomic(spec, text, strlen(text), 0600, false, NULL), 0);
    assert_int_equal(cgroup_create(&s->h, s->cgroup, &cg, NULL, NULL), 0);
    s->pid = fork();
    if (s->pid == 0) {
        char *argv[] = {(char *) "pod", (char *) "--dir", s->dir, NULL};
        if (cgroup_attach(&cg, 0, NULL) < 0)
            _exit(99);
        int fd = open(err, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void) dup2(fd, 2);
        _exit(pod_main(3, argv));
    }
    cgroup_finish(&cg);
}

/* One message; NULL at the end or after the time. */
static struct json *receive(struct stage *s, int msec, int *fd) {
    static char text[POD_MESSAGE_MAX];
    struct pollfd p = {.fd = s->sock, .events = POLLIN};
    int fds[2] = {-1, -1};
    size_t n_fds = 2;
    struct json *m = NULL;

    if (poll(&p, 1, msec) <= 0)
        return NULL;
    ssize_t n = fd_recv_message(s->sock, text, sizeof(text), fds, &n_fds);
    if (n <= 0)
        return NULL;
    assert_int_equal(json_parse(text, (size_t) n, NULL, &m, NULL), 0);
    if (fd)
        *fd = fds[0];
    else
        closep(&fds[0]);
    if (strcmp(json_str_or(json_get(m, "event"), ""), "state") == 0) {
        json_unref(s->state);
        s->state = json_ref(m);
    }
    return m;
}

static void connect_to(struct stage *s) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    uint64_t until = now_monotonic_usec() + 10 * USEC_PER_SEC;

    (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", s->dir, POD_FILE_CONTROL);
    s->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    while (connect(s->sock, (struct sockaddr *) &a, sizeof(a)) < 0) {
        assert_true(now_monotonic_usec() < until);
        usleep(2000);
    }
    int netns = -1;
    _cleanup_json_ struct json *sandbox = receive(s, 5000, &netns);
    assert_string_equal(json_str_or(json_get(sandbox, "event"), ""), "sandbox");
    assert_true(netns >= 0);
    closep(&netns);
    _cleanup_json_ struct json *state = receive(s, 5000, NULL);
    assert_string_equal(json_str_or(json_get(state, "event"), ""), "state");
}

static void tell(struct stage *s, const char *text) {
    assert_true(fd_send_message(s->sock, text, strlen(text), NULL, 0) > 0);
}

static const struct json *of(const struct json *state, const char *name) {
    const struct json *list = json_get(state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

static const char *state_of(const struct stage *s, const char *name) {
    return json_str_or(json_get(of(s->state, name), "state"), "");
}

/* Reads states until the container is in this one (with at least so many restarts). */
static void wait_for(struct stage *s, const char *name, const char *state, int restarts) {
    uint64_t until = now_monotonic_usec() + 15 * USEC_PER_SEC;

    while (strcmp(state_of(s, name), state) != 0 ||
           json_int_or(json_get(of(s->state, name), "restartCount"), 0) < restarts) {
        _cleanup_json_ struct json *m = receive(s, 15000, NULL);
        if (!m || now_monotonic_usec() > until) {
            _cleanup_free_ char *text = json_to_text(s->state);
            fail_msg("%s never became %s: %s", name, state, text);
        }
    }
}

static int wait_exit(struct stage *s) {
    int status = -1;

    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static struct json *final_state(const struct stage *s) {
    _cleanup_free_ char *path = path_join(s->dir, POD_FILE_STATE);
    struct json *state = NULL;

    assert_int_equal(json_parse_file(path, 1 << 20, &state, NULL), 0);
    return state;
}

static void check_clean(const struct stage *s) {
    _cleanup_strbuf_ struct strbuf mounts = STRBUF_INIT;
    _cleanup_free_ char *control = path_join(s->dir, POD_FILE_CONTROL);
    struct cgroup cg = CGROUP_INIT;
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;

    assert_int_equal(file_read("/proc/self/mountinfo", 1 << 22, &mounts, NULL), 0);
    assert_null(strstr(strbuf_str(&mounts), s->dir));
    assert_int_equal(access(control, F_OK), -1);
    assert_int_equal(cgroup_open(&s->h, s->cgroup, &cg, NULL), 0);
    assert_int_equal(cgroup_pids(&cg, true, &pids, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(cgroup_remove_child(&cg, POD_CGROUP_SELF, NULL), 0);
    /* no container's group is left: the unit's own can go */
    DIR *d = fdopendir(dup(cg.fd));
    struct dirent *e;
    while ((e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            fail_msg("the cgroup %s is left", e->d_name);
    closedir(d);
    cgroup_finish(&cg);
    assert_int_equal(cgroup_remove(&s->h, s->cgroup, NULL), 0);
}

static void stage_finish(struct stage *s) {
    if (s->pid > 0) {
        (void) kill(s->pid, SIGKILL);
        (void) wait_exit(s);
    }
    struct cgroup cg = CGROUP_INIT; /* what systemd does with the unit */
    if (cgroup_open(&s->h, s->cgroup, &cg, NULL) == 0) {
        assert_int_equal(cgroup_kill(&cg, NULL), 0);
        assert_int_equal(cgroup_wait_empty(&cg, 5000, NULL), 0);
        cgroup_finish(&cg);
        assert_int_equal(cgroup_remove(&s->h, s->cgroup, NULL), 0);
    }
    cgroup_hierarchy_finish(&s->h);
    closep(&s->sock);
    (void) rm_tree(s->dir, NULL);
    json_unref(s->state);
    free(s->dir);
    free(s->cgroup);
}

static char *shared_text(const struct stage *s, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/shared/%s", s->dir, name);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read(path, 65536, &text, NULL), 0);
    return xstrdup(strbuf_str(&text));
}

static void test_order_and_stop(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 10);
    add(&doc, "initContainers", container(&s, "first", "echo first >> /shared/order", false));
    add(&doc, "initContainers",
        container(&s, "side",
                  "trap 'echo side-ends >> /shared/order; exit 0' TERM; echo side >> /shared/order; while :; do sleep "
                  "0.05; done",
                  true));
    add(&doc, "initContainers", container(&s, "second", "sleep 0.2; echo second >> /shared/order", false));
    add(&doc, "containers",
        container(&s, "main",
                  "trap 'sleep 0.3; echo main-ends >> /shared/order; exit 0' TERM; echo main $(hostname) >> "
                  "/shared/order; while :; do sleep 0.05; done",
                  false));
    launch(&s, doc);
    connect_to(&s);
    assert_string_equal(state_of(&s, "main"), "waiting");
    assert_string_equal(json_str(json_get(of(s.state, "main"), "reason")), "PodInitializing");
    tell(&s, NETWORK);
    wait_for(&s, "main", "running", 0);
    usleep(200000);
    _cleanup_free_ char *order = shared_text(&s, "order");
    assert_string_equal(order, "first\nside\nsecond\nmain pod-host\n");
    assert_int_equal(kill(s.pid, SIGTERM), 0); /* as systemd does */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *ended = shared_text(&s, "order");
    assert_string_equal(ended, "first\nside\nsecond\nmain pod-host\nmain-ends\nside-ends\n");
    _cleanup_json_ struct json *final = final_state(&s);
    assert_true(json_bool_or(json_get(final, "finished"), false));
    assert_string_equal(json_str(json_get(of(final, "main"), "reason")), "Completed");
    check_clean(&s);
    stage_finish(&s);
}

static void test_restart(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    /* leaves a file in its writable layer, which must be gone after the restart */
    add(&doc, "containers",
        container(&s, "a", "test -e /mark && echo dirty > /shared/dirty; echo > /mark; sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    uint64_t before = now_monotonic_usec();
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "a", "running", 1); /* the first time at once */
    assert_true(now_monotonic_usec() - before < 2 * USEC_PER_SEC);
    const struct json *last = json_get(of(s.state, "a"), "last");
    assert_int_equal(json_int_or(json_get(last, "exitCode"), 0), 137);
    assert_int_equal(json_int_or(json_get(last, "signal"), 0), 9);
    assert_string_equal(json_str(json_get(last, "reason")), "Error");
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "a", "waiting", 1);
    assert_string_equal(json_str(json_get(of(s.state, "a"), "reason")), "CrashLoopBackOff");
    assert_true(json_int_or(json_get(of(s.state, "a"), "retryAt"), 0) >
                (int64_t) (now_realtime_usec() + 8 * USEC_PER_SEC));
    tell(&s, "{\"op\":\"stop\"}"); /* in back-off nothing runs: at once */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *dirty = xasprintf("%s/shared/dirty", s.dir);
    assert_int_equal(access(dirty, F_OK), -1);
    check_clean(&s);
    stage_finish(&s);
}

static void test_grace(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 600);
    add(&doc, "containers", container(&s, "stubborn", "trap '' TERM; while :; do sleep 1; done", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "stubborn", "running", 0);
    uint64_t before = now_monotonic_usec();
    tell(&s, "{\"op\":\"stop\",\"gracePeriodSeconds\":600}");
    tell(&s, "{\"op\":\"stop\",\"gracePeriodSeconds\":1}"); /* a second word can only shorten it */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    uint64_t took = now_monotonic_usec() - before;
    assert_true(took > 900 * USEC_PER_MSEC && took < 4 * USEC_PER_SEC);
    _cleanup_json_ struct json *final = final_state(&s);
    assert_int_equal(json_int_or(json_get(of(final, "stubborn"), "exitCode"), 0), 137);
    check_clean(&s);
    stage_finish(&s);
}

static void test_never(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Never", 5);
    add(&doc, "initContainers", container(&s, "side", "trap 'exit 0' TERM; while :; do sleep 0.05; done", true));
    add(&doc, "containers", container(&s, "job", "exit 7", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK); /* all by itself, the sidecar told to go */
    _cleanup_json_ struct json *final = final_state(&s);
    assert_int_equal(json_int_or(json_get(of(final, "job"), "exitCode"), 0), 7);
    assert_string_equal(json_str(json_get(of(final, "side"), "state")), "terminated");
    check_clean(&s);
    stage_finish(&s);
}

static void exec_in(struct stage *s, const char *command, bool tty, int out_fd) {
    _cleanup_free_ char *text = xasprintf("{\"op\":\"exec\",\"id\":\"e\",\"container\":\"a\",\"args\":[\"/bin/sh\",\"-"
                                          "c\",\"%s\"],\"tty\":%s,\"stdout\":%s}",
                                          command, tty ? "true" : "false", tty ? "false" : "true");
    assert_true(fd_send_message(s->sock, text, strlen(text), &out_fd, tty ? 0 : 1) > 0);
}

static int wait_exec_exit(struct stage *s, int *console) {
    for (;;) {
        int fd = -1;
        _cleanup_json_ struct json *m = receive(s, 5000, &fd);
        assert_non_null(m);
        if (fd >= 0 && console)
            *console = fd;
        if (strcmp(json_str_or(json_get(m, "event"), ""), "exec-exit") == 0)
            return (int) json_int_or(json_get(m, "exitCode"), -1);
    }
}

static void test_exec(void **state) {
    struct stage s;
    char text[256] = "";
    int fds[2], console = -1;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    add(&doc, "containers", container(&s, "a", "echo here > /tmp/x; sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    usleep(100000);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    exec_in(&s, "cat /tmp/x; hostname; exit 3", false, fds[1]);
    closep(&fds[1]);
    assert_int_equal(wait_exec_exit(&s, NULL), 3);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "here\npod-host\n");
    closep(&fds[0]);

    exec_in(&s, "tty && echo yes", true, -1);
    assert_int_equal(wait_exec_exit(&s, &console), 0);
    assert_true(console >= 0);
    memset(text, 0, sizeof(text));
    size_t n = 0;
    ssize_t k;
    while (n < sizeof(text) - 1 && (k = read(console, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t) k;
    assert_non_null(strstr(text, "/dev/pts/"));
    assert_non_null(strstr(text, "yes"));
    closep(&console);

    tell(&s, "{\"op\":\"exec\",\"id\":\"e\",\"container\":\"nobody\",\"args\":[\"x\"]}");
    assert_int_equal(wait_exec_exit(&s, NULL), -1);
    tell(&s, "{\"op\":\"dance\"}");
    _cleanup_json_ struct json *answer = receive(&s, 2000, NULL);
    assert_string_equal(json_str_or(json_get(answer, "event"), ""), "error");
    stage_finish(&s);
}

static void test_agent_comes_and_goes(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    add(&doc, "containers", container(&s, "a", "sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    pid_t pid = (pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0);
    closep(&s.sock); /* the agent is gone; healing goes on without it */
    assert_int_equal(kill(pid, SIGKILL), 0);
    usleep(500000);
    connect_to(&s);
    assert_string_equal(state_of(&s, "a"), "running");
    assert_int_equal(json_int_or(json_get(of(s.state, "a"), "restartCount"), 0), 1);
    assert_true(json_int_or(json_get(of(s.state, "a"), "pid"), 0) != pid);
    _cleanup_json_ struct json *file = final_state(&s);
    assert_true(json_equal(json_get(file, "containers"), json_get(s.state, "containers")));
    stage_finish(&s);
}

static void test_failures_leave_nothing(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Never", 1);
    struct json *c = container(&s, "a", "x", false);
    json_set_path(&c, json_array(), "config", "process", "args");
    json_append(json_edit(json_edit(json_edit(&c, "config"), "process"), "args"), json_string("/no/such/program"));
    add(&doc, "containers", c);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_json_ struct json *final = final_state(&s);
    assert_string_equal(json_str(json_get(of(final, "a"), "reason")), "StartError");
    assert_int_equal(json_int_or(json_get(of(final, "a"), "exitCode"), 0), 128);
    assert_non_null(strstr(json_str(json_get(of(final, "a"), "message")), "/no/such/program"));
    check_clean(&s);

    /* a sandbox that cannot be made */
    doc = pod_doc("Never", 1);
    add(&doc, "containers", container(&s, "a", "true", false));
    json_set_path(&doc, json_string("1"), "sysctls", "net.no.such.thing");
    closep(&s.sock);
    launch(&s, doc);
    assert_int_equal(wait_exit(&s), POD_EXIT_SANDBOX);
    _cleanup_json_ struct json *failed = final_state(&s);
    assert_non_null(strstr(json_str_or(json_get(failed, "error"), ""), "net.no.such.thing"));
    check_clean(&s);
    stage_finish(&s);
}

static void test_hooks_and_sharing(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 5);
    json_set(&doc, "shareProcessNamespace", json_bool(true));
    struct json *a =
        container(&s, "a", "echo a-$$ >> /shared/pids; trap 'exit 0' TERM; while :; do sleep 0.05; done", false);
    struct json *post = json_array(), *pre = json_array();
    static const char *const words[2][3] = {{"/bin/sh", "-c", "sleep 0.3; echo post >> /shared/hooks"},
                                            {"/bin/sh", "-c", "echo pre >> /shared/hooks"}};
    for (size_t i = 0; i < 3; i++) {
        json_append(&post, json_string(words[0][i]));
        json_append(&pre, json_string(words[1][i]));
    }
    json_set_path(&a, post, "postStart", "exec");
    json_set_path(&a, pre, "preStop", "exec");
    add(&doc, "containers", a);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    assert_false(json_bool_or(json_get(of(s.state, "a"), "started"), true)); /* the hook still sleeps */
    while (!json_bool_or(json_get(of(s.state, "a"), "started"), false)) {
        _cleanup_json_ struct json *m = receive(&s, 5000, NULL);
        assert_non_null(m);
    }
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *hooks = shared_text(&s, "hooks"), *pids = shared_text(&s, "pids");
    assert_string_equal(hooks, "post\npre\n");
    assert_string_not_equal(pids, "a-1\n"); /* somebody else is PID 1 there */
    check_clean(&s);
    stage_finish(&s);
}

/* The next event of this name. */
static struct json *event(struct stage *s, const char *name) {
    for (;;) {
        struct json *m = receive(s, 10000, NULL);
        assert_non_null(m);
        if (strcmp(json_str_or(json_get(m, "event"), ""), name) == 0)
            return m;
        json_unref(m);
    }
}

static void answer(struct stage *s, const struct json *hook, const char *error) {
    struct json *m = json_ref(hook);

    json_set(&m, "op", json_string("hook-done"));
    if (error)
        json_set(&m, "error", json_string(error));
    _cleanup_free_ char *text = json_to_text(m);
    tell(s, text);
    json_unref(m);
}

static struct json *hooked_container(struct stage *s, const char *script) {
    struct json *c = container(s, "a", script, false);
    _cleanup_free_ char *words = xasprintf("%s/words/a", s->dir);
    struct json *mounts = json_object(), *options = json_array();

    json_set_path(&c, json_bool(true), "postStart", "http");
    json_set_path(&c, json_bool(true), "preStop", "http");
    json_set(&c, "startupProbe", json_bool(true));
    json_set(&c, "terminationMessageFile", json_string(words));
    json_append(&options, json_string("bind"));
    json_set(&mounts, "destination", json_string("/dev/words"));
    json_set(&mounts, "type", json_string("bind"));
    json_set(&mounts, "source", json_string(words));
    json_set(&mounts, "options", options);
    json_append(json_edit(json_edit(&c, "config"), "mounts"), mounts);
    return c;
}

/* Hooks the agent runs: asked for, asked again of the next agent, their outcome obeyed. Last words are kept. */
static void test_hooks_of_the_agent(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 2);
    add(&doc, "containers",
        hooked_container(
            &s, "trap 'echo bye; echo -n last \xff words > /dev/words; exit 3' TERM; while :; do sleep 0.05; done"));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    _cleanup_json_ struct json *asked = event(&s, "hook");
    assert_string_equal(json_str(json_get(asked, "hook")), "postStart");
    closep(&s.sock); /* this agent ends; the next is asked */
    connect_to(&s);
    _cleanup_json_ struct json *again = event(&s, "hook");
    assert_string_equal(json_str(json_get(again, "containerID")), json_str(json_get(asked, "containerID")));
    answer(&s, again, NULL);
    while (!json_bool_or(json_get(of(s.state, "a"), "postStartDone"), false))
        json_unref(event(&s, "state"));
    assert_false(json_bool_or(json_get(of(s.state, "a"), "started"), true)); /* the startup probe is missing */
    _cleanup_free_ char *started = xasprintf("{\"op\":\"started\",\"container\":\"a\",\"containerID\":\"%s\"}",
                                             json_str(json_get(of(s.state, "a"), "containerID")));
    tell(&s, started);
    while (!json_bool_or(json_get(of(s.state, "a"), "started"), false))
        json_unref(event(&s, "state"));

    /* restarted for its probe: preStop first, then the signal; the next run's postStart fails: that run ends, too */
    tell(&s, "{\"op\":\"restart\",\"container\":\"a\",\"message\":\"probe\"}");
    _cleanup_json_ struct json *pre = event(&s, "hook");
    assert_string_equal(json_str(json_get(pre, "hook")), "preStop");
    answer(&s, pre, NULL);
    wait_for(&s, "a", "running", 1);
    assert_string_equal(json_str(json_path(of(s.state, "a"), "last", "message")), "last \xEF\xBF\xBD words");
    assert_int_equal(json_int_or(json_path(of(s.state, "a"), "last", "exitCode"), 0), 3);
    _cleanup_json_ struct json *post = event(&s, "hook");
    answer(&s, post, "refused");
    _cleanup_json_ struct json *failed = event(&s, "hook-failed");
    assert_string_equal(json_str(json_get(failed, "message")), "refused");
    assert_string_equal(json_str(json_get(failed, "hook")), "postStart");

    /* nobody answers its preStop: the grace ends, then it still has its two seconds, in which it ends by itself */
    wait_for(&s, "a", "waiting", 1);
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

/* A preStop hook that never ends takes the grace, not the program's own two seconds. */
static void test_hook_without_end(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    struct json *c = container(
        &s, "a", "trap 'sleep 0.3; echo ended > /shared/end; exit 0' TERM; while :; do sleep 0.05; done", false);
    json_set_path(&c, json_bool(true), "preStop", "http");
    add(&doc, "containers", c);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    usleep(200000); /* for its trap */
    tell(&s, "{\"op\":\"stop\"}");
    _cleanup_json_ struct json *failed = event(&s, "hook-failed");
    assert_string_equal(json_str(json_get(failed, "hook")), "preStop");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *end = shared_text(&s, "end");
    assert_string_equal(end, "ended\n");
    check_clean(&s);
    stage_finish(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_stop),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_grace),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_agent_comes_and_goes),
        cmocka_unit_test(test_failures_leave_nothing),
        cmocka_unit_test(test_hooks_and_sharing),
        cmocka_unit_test(test_hooks_of_the_agent),
        cmocka_unit_test(test_hook_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
