/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor for real, without systemd: a child in a cgroup of its own, containers from busybox, and the test as
 * the agent on the control socket. Needs root, cgroup2 and a static busybox; skipped otherwise.
 */
#ifndef TESTS_UNIT_POD_STAGE_H
#define TESTS_UNIT_POD_STAGE_H

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

static const char *const applets[] = {"sh",       "sleep", "echo", "cat", "kill", "true", "ls",
                                      "hostname", "test",  "tty",  "rm",  "stty", "yes"};

static inline void make_root(const char *dir) {
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

static inline void stage_new(struct stage *s) {
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
static inline struct json *container(const struct stage *s, const char *name, const char *script, bool sidecar) {
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

static inline struct json *pod_doc(const char *policy, int grace) {
    struct json *doc = json_object();

    json_set(&doc, "uid", json_string("u1"));
    json_set(&doc, "namespace", json_string("default"));
    json_set(&doc, "name", json_string("web"));
    json_set(&doc, "hostname", json_string("pod-host"));
    json_set(&doc, "restartPolicy", json_string(policy));
    json_set(&doc, "terminationGracePeriodSeconds", json_int(grace));
    return doc;
}

static inline void add(struct json **doc, const char *list, struct json *take) {
    json_append(json_edit(doc, list), take);
}

static inline void launch(struct stage *s, struct json *take_doc) {
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
static inline struct json *receive(struct stage *s, int msec, int *fd) {
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

static inline void connect_to(struct stage *s) {
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

static inline void tell(struct stage *s, const char *text) {
    assert_true(fd_send_message(s->sock, text, strlen(text), NULL, 0) > 0);
}

static inline const struct json *of(const struct json *state, const char *name) {
    const struct json *list = json_get(state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

static inline const char *state_of(const struct stage *s, const char *name) {
    return json_str_or(json_get(of(s->state, name), "state"), "");
}

/* Reads states until the container is in this one (with at least so many restarts). */
static inline void wait_for(struct stage *s, const char *name, const char *state, int restarts) {
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

static inline int wait_exit(struct stage *s) {
    int status = -1;

    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline struct json *final_state(const struct stage *s) {
    _cleanup_free_ char *path = path_join(s->dir, POD_FILE_STATE);
    struct json *state = NULL;

    assert_int_equal(json_parse_file(path, 1 << 20, &state, NULL), 0);
    return state;
}

static inline void check_clean(const struct stage *s) {
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

static inline void stage_finish(struct stage *s) {
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

static inline char *shared_text(const struct stage *s, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/shared/%s", s->dir, name);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read(path, 65536, &text, NULL), 0);
    return xstrdup(strbuf_str(&text));
}

#endif
