/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent for real but for systemd and the network: units are child processes in cgroups of their own, their main
 * process the `baton` beside the test's build folder, the image is made here from busybox. Needs root; skipped
 * otherwise.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/eviction/thresholds.h"
#include "orchestrator/agent/node_api.h"
#include "orchestrator/images/images.h"
#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/cgroups.h"

struct node {
    char *dir, *baton, *cgroup_root, *cgroup;
    sd_event *loop;
    struct unit_manager *units;
    struct agent *agent;
    struct cgroup_hierarchy h;
    struct hashmap *statuses; /* uid → struct json */
    struct strbuf events;     /* "Reason;" */
    struct strbuf finished;   /* "name;" */
    const struct eviction_config *eviction;
};

static void on_pod_status(void *u, const char *ns, const char *name, const char *uid, const struct json *status) {
    hashmap_put(((struct node *) u)->statuses, uid, json_ref(status));
}
static void on_finished(void *u, const char *ns, const char *name, const char *uid) {
    strbuf_addf(&((struct node *) u)->finished, "%s;", name);
}
static void on_event(void *u, const struct json *involved, const char *type, const char *reason, const char *message) {
    strbuf_addf(&((struct node *) u)->events, "%s;", reason);
}
static void on_node_status(void *u) {
}
static const struct agent_callbacks callbacks = {
    .pod_status = on_pod_status, .pod_finished = on_finished, .event = on_event, .node_status = on_node_status};

static char *find_baton(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    assert_true(n > 0);
    self[n] = 0;
    char *unit = strstr(self, "/unit/agent/");
    assert_non_null(unit);
    *unit = 0;
    return xasprintf("%s/baton", self);
}

/* An image worker for which no registry has anything. */
static char *worker_without_registry(const struct node *n) {
    static const char script[] = "#!/bin/sh\ncat >/dev/null\n"
                                 "echo '{\"progress\":{\"what\":\"downloading\",\"bytes\":1,\"bytesAll\":2}}'\n"
                                 "echo '{\"error\":{\"code\":-2,\"text\":\"manifest unknown\"}}'\n";
    char *path = path_join(n->dir, "worker");

    assert_int_equal(file_write_atomic(path, script, strlen(script), 0755, false, NULL), 0);
    return path;
}

static void start_agent(struct node *n) {
    _cleanup_free_ char *worker = worker_without_registry(n);
    _cleanup_free_ char *run = path_join(n->dir, "run"), *state = path_join(n->dir, "state");
    struct unit_fake_options fake = {.loop = n->loop, .cgroup_root = n->cgroup_root};
    struct agent_options options = {.node_name = "n1",
                                    .run_dir = run,
                                    .state_dir = state,
                                    .baton = n->baton,
                                    .node_address = "192.0.2.9",
                                    .podium = worker,
                                    .eviction = n->eviction,
                                    .no_network = true};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!n->units)
        assert_int_equal(unit_manager_new_fake(&fake, &n->units, &err), 0);
    options.units = n->units;
    int r = agent_new(n->loop, &options, &n->agent, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    agent_set_callbacks(n->agent, &callbacks, n);
}

static void node_new(struct node *n) {
    char template[] = "/tmp/podium-agent-XXXXXX";
    struct cgroup cg = CGROUP_INIT;
    sigset_t child;
    if (getenv("DEBUG"))
        log_set_level(LOG_LEVEL_DEBUG);

    *n = (struct node){.h = CGROUP_HIERARCHY_INIT, .events = STRBUF_INIT, .finished = STRBUF_INIT};
    n->baton = find_baton();
    if (geteuid() != 0 || access("/usr/bin/busybox", X_OK) < 0 || access(n->baton, X_OK) < 0 ||
        cgroup_hierarchy_open(&n->h, NULL) < 0)
        skip();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    assert_int_equal(sigprocmask(SIG_BLOCK, &child, NULL), 0);
    n->dir = xstrdup(mkdtemp(template));
    n->cgroup = xasprintf("%s/podium-agent-test-%d", strcmp(n->h.own, "/") == 0 ? "" : n->h.own, (int) getpid());
    n->cgroup_root = xasprintf("%s%s", n->h.mount, n->cgroup);
    assert_int_equal(cgroup_create(&n->h, n->cgroup, &cg, NULL, NULL), 0);
    cgroup_finish(&cg);
    assert_true(sd_event_new(&n->loop) >= 0);
    n->statuses = hashmap_new((void (*)(void *)) json_unref);
    start_agent(n);
}

/* A docker archive of busybox, imported while the agent runs. */
static void import_image(const struct node *n) {
    _cleanup_free_ char *script = xasprintf(
        "set -e; cd %s; mkdir -p img/root/bin img/root/etc img/root/tmp; cp /usr/bin/busybox img/root/bin/; "
        "for a in sh sleep cat id env ls hostname true; do ln -s busybox img/root/bin/$a; done; "
        "echo 'web:x:100:101::/home/web:/bin/sh' > img/root/etc/passwd; echo 'web:x:101:' > img/root/etc/group; "
        "tar -C img/root -cf img/layer.tar .; id=$(sha256sum img/layer.tar | cut -d' ' -f1); "
        "arch=$(dpkg --print-architecture); "
        "echo '{\"architecture\":\"'$arch'\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/sleep\",\"1000\"],"
        "\"Env\":[\"FROM_IMAGE=1\"],\"User\":\"web\",\"WorkingDir\":\"/tmp\"},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:'$id'\"]}}' > img/config.json; "
        "echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"box:1\"],\"Layers\":[\"layer.tar\"]}]' > "
        "img/manifest.json; "
        "tar -C img -cf box.tar manifest.json config.json layer.tar",
        n->dir);
    _cleanup_free_ char *images = xasprintf("%s/state/images", n->dir), *archive = path_join(n->dir, "box.tar");
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_int_equal(system(script), 0);
    struct image_store *store = image_store_open(images, &err);
    assert_non_null(store);
    int r = image_import(store, archive, NULL, NULL, NULL, NULL, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    image_store_close(store);
}

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse(text, strlen(text), NULL, &v, &err) < 0)
        fail_msg("%s: %s", error_text(&err, -1), text);
    return v;
}

#define POD(name, uid, meta, spec, container)                                                                          \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name                                           \
    "\",\"namespace\":\"default\",\"uid\":\"" uid "\"" meta                                                            \
    "},\"spec\":{\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":1" spec                                \
    ",\"containers\":[{\"name\":\"main\",\"image\":\"box:1\",\"imagePullPolicy\":\"IfNotPresent\"" container "}]}}"

static void apply(struct node *n, const char *text) {
    _cleanup_json_ struct json *pod = parse(text);

    assert_int_equal(agent_apply_pod(n->agent, pod, NULL), 0);
}

static const struct json *container(const struct node *n, const char *uid) {
    return json_at(json_get(hashmap_get(n->statuses, uid), "containerStatuses"), 0);
}

static bool is_running(const struct node *n, const char *uid) {
    return json_path(container(n, uid), "state", "running") != NULL;
}

static const char *waiting_reason(const struct node *n, const char *uid) {
    return json_str_or(json_path(container(n, uid), "state", "waiting", "reason"), "");
}

#define WAIT(node, condition)                                                                                          \
    do {                                                                                                               \
        uint64_t _until = now_monotonic_usec() + 15 * USEC_PER_SEC;                                                    \
        while (!(condition)) {                                                                                         \
            assert_true(sd_event_run((node)->loop, 100000) >= 0);                                                      \
            if (now_monotonic_usec() > _until)                                                                         \
                fail_msg("never: %s (events %s)", #condition, strbuf_str(&(node)->events));                            \
        }                                                                                                              \
    } while (0)

static void settle(struct node *n, unsigned msec) {
    uint64_t until = now_monotonic_usec() + msec * USEC_PER_MSEC;

    while (now_monotonic_usec() < until)
        assert_true(sd_event_run(n->loop, 20000) >= 0);
}

static void node_finish(struct node *n) {
    agent_sync_begin(n->agent);
    agent_sync_end(n->agent); /* nothing is wanted any more */
    _cleanup_free_ char *pods = xasprintf("%s/run/pods", n->dir);
    uint64_t until = now_monotonic_usec() + 15 * USEC_PER_SEC;
    for (bool empty = false; !empty && now_monotonic_usec() < until;) {
        assert_true(sd_event_run(n->loop, 20000) >= 0);
        empty = true;
        DIR *d = opendir(pods);
        struct dirent *e;
        while (d && (e = readdir(d)))
            empty = empty && e->d_name[0] == '.';
        closedir(d);
    }
    settle(n, 100);
    agent_free(n->agent);
    unit_manager_free(n->units);
    /* only works when all of it is empty; supervisors that are slow to end have until then */
    while (cgroup_remove(&n->h, n->cgroup, NULL) < 0) {
        assert_true(now_monotonic_usec() < until);
        sd_event_run(n->loop, 20000);
    }
    sd_event_unref(n->loop);
    hashmap_free(n->statuses);
    strbuf_finish(&n->events);
    strbuf_finish(&n->finished);
    cgroup_hierarchy_finish(&n->h);
    assert_int_equal(rm_tree(n->dir, NULL), 0);
    free(n->dir);
    free(n->baton);
    free(n->cgroup_root);
    free(n->cgroup);
}

static void synced(struct node *n) {
    agent_sync_begin(n->agent);
    agent_sync_end(n->agent);
}

static void test_image_arrives(void **state) {
    struct node n;

    node_new(&n);
    synced(&n);
    apply(&n, POD("web", "u1", "", "", ""));
    WAIT(&n, strcmp(waiting_reason(&n, "u1"), "ErrImagePull") == 0);
    assert_string_equal(json_str(json_get(hashmap_get(n.statuses, "u1"), "phase")), "Pending");
    assert_string_equal(json_str(json_path(container(&n, "u1"), "state", "waiting", "message")),
                        "failed to pull image \"box:1\": manifest unknown");
    static const char *const told[] = {"Pulling", "Failed"};
    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        assert_non_null(strstr(strbuf_str(&n.events), told[i]));
    WAIT(&n, strcmp(waiting_reason(&n, "u1"), "ImagePullBackOff") == 0);
    assert_non_null(strstr(strbuf_str(&n.events), "BackOff"));
    import_image(&n); /* seen by itself: no need to wait for the back-off */
    WAIT(&n, is_running(&n, "u1"));
    const struct json *status = hashmap_get(n.statuses, "u1");
    assert_string_equal(json_str(json_get(status, "phase")), "Running");
    assert_string_equal(json_str(json_get(status, "hostIP")), "192.0.2.9");
    assert_true(json_bool_or(json_get(container(&n, "u1"), "ready"), false));
    assert_int_equal(strncmp(json_str_or(json_get(container(&n, "u1"), "imageID"), ""), "sha256:", 7), 0);
    assert_non_null(strstr(strbuf_str(&n.events), "Started"));
    node_finish(&n);
}

/* --- what a container sees --- */

struct output {
    struct strbuf text;
    int code;
    bool done;
};

static void on_data(void *u, enum agent_exec_stream stream, const void *p, size_t n) {
    strbuf_add(&((struct output *) u)->text, p, n);
}
static void on_exit_code(void *u, int code, const char *error) {
    ((struct output *) u)->code = code;
    ((struct output *) u)->done = true;
}
static const struct agent_exec_callbacks exec_callbacks = {on_data, on_exit_code, NULL};

static char *run_in(struct node *n, const char *uid, const char *script, const char *input, bool tty) {
    char *const args[] = {(char *) "/bin/sh", (char *) "-c", (char *) script, NULL};
    struct agent_exec_options options = {.uid = uid,
                                         .container = "main",
                                         .args = args,
                                         .tty = tty,
                                         .stdin_ = input != NULL,
                                         .stdout_ = true,
                                         .stderr_ = !tty};
    struct output out = {.text = STRBUF_INIT};
    struct agent_exec *e = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = agent_exec_open(n->agent, &options, &exec_callbacks, &out, &e, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    if (input) {
        (void) agent_exec_write(e, input, strlen(input));
        agent_exec_write_end(e);
    }
    WAIT(n, out.done);
    agent_exec_close(e);
    strbuf_addf(&out.text, "[%d]", out.code);
    return strbuf_steal(&out.text);
}

static void test_container_environment(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n,
          POD("web", "u2", ",\"labels\":{\"app\":\"x\"}",
              ",\"volumes\":[{\"name\":\"cfg\",\"configMap\":{\"name\":\"site\",\"defaultMode\":420}},"
              "{\"name\":\"tmp\",\"emptyDir\":{}},{\"name\":\"mem\",\"emptyDir\":{\"medium\":\"Memory\"}},"
              "{\"name\":\"key\",\"secret\":{\"secretName\":\"key\",\"defaultMode\":288}}]",
              ",\"command\":[\"/bin/sh\",\"-c\",\"sleep 1000\",\"$(NAME)\"],"
              "\"env\":[{\"name\":\"NAME\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}},"
              "{\"name\":\"BOTH\",\"value\":\"$(NAME)-$$(NAME)-$(NONE)\"},"
              "{\"name\":\"MSG\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"site\",\"key\":\"msg\"}}},"
              "{\"name\":\"CPU\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"requests.cpu\","
              "\"divisor\":\"1m\"}}}],"
              "\"resources\":{\"requests\":{\"cpu\":\"250m\"}},"
              "\"securityContext\":{\"readOnlyRootFilesystem\":true,\"capabilities\":{\"drop\":[\"ALL\"]}},"
              "\"volumeMounts\":[{\"name\":\"cfg\",\"mountPath\":\"/cfg\"},{\"name\":\"tmp\",\"mountPath\":\"/data\"},"
              "{\"name\":\"mem\",\"mountPath\":\"/mem\"},{\"name\":\"key\",\"mountPath\":\"/key\"},"
              "{\"name\":\"cfg\",\"mountPath\":\"/one\",\"subPath\":\"index.html\"}]"));
    WAIT(&n, strstr(strbuf_str(&n.events), "FailedMount") != NULL); /* nobody told of the ConfigMap yet */
    _cleanup_json_ struct json *map = parse("{\"kind\":\"ConfigMap\",\"metadata\":{\"namespace\":\"default\",\"name\":"
                                            "\"site\"},\"data\":{\"index.html\":\"hello\\n\",\"msg\":\"hi\"}}");
    _cleanup_json_ struct json *secret = parse("{\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"default\",\"name\":"
                                               "\"key\"},\"data\":{\"token\":\"czNjcjN0\"}}");
    agent_apply_object(n.agent, map);
    agent_apply_object(n.agent, secret);
    WAIT(&n, is_running(&n, "u2"));
    _cleanup_free_ char *env = run_in(&n, "u2",
                                      "echo $NAME $BOTH $MSG $CPU $FROM_IMAGE $HOME $HOSTNAME; pwd; id -u; "
                                      "id -g; hostname",
                                      NULL, false);
    assert_string_equal(env, "web web-$(NAME)-$(NONE) hi 250 1 /home/web web\n/tmp\n100\n101\nweb\n[0]");
    _cleanup_free_ char *files =
        run_in(&n, "u2",
               "exec 2>&1; cat /cfg/index.html /one; ls /cfg; echo x > /data/f && cat /data/f; "
               "echo y > /mem/g && cat /mem/g; cat /key/token; "
               "echo z 2>/dev/null > /root-file || echo read-only",
               NULL, false);
    assert_string_equal(files, "hello\nhello\nindex.html\nmsg\nx\ny\ncat: can't open '/key/token': Permission denied\n"
                               "read-only\n[0]");
    _cleanup_free_ char *caps = run_in(&n, "u2",
                                       "cat /proc/self/status | while read k v r; do case $k in CapBnd:|"
                                       "Seccomp:) echo $k $v;; esac; done",
                                       NULL, false);
    assert_string_equal(caps, "CapBnd: 0000000000000000\nSeccomp: 2\n[0]");
    /* a changed ConfigMap reaches the running container */
    json_set_path(&map, json_string("changed\n"), "data", "index.html");
    agent_apply_object(n.agent, map);
    _cleanup_free_ char *changed = run_in(&n, "u2", "cat /cfg/index.html; exit 4", NULL, false);
    assert_string_equal(changed, "changed\n[4]");
    _cleanup_free_ char *echo = run_in(&n, "u2", "cat", "back and forth", false);
    assert_string_equal(echo, "back and forth[0]");
    _cleanup_free_ char *tty = run_in(&n, "u2", "test -t 0 && echo terminal", NULL, true);
    assert_string_equal(tty, "terminal\r\n[0]");
    node_finish(&n);
}

static void test_config_errors(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, POD("a", "ua", "", "",
                  ",\"env\":[{\"name\":\"X\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"no\","
                  "\"key\":\"k\"}}}]"));
    apply(&n, POD("b", "ub", "", "", ",\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":0}"));
    apply(&n, POD("c", "uc", "", "", ",\"command\":[\"/no/such\"]"));
    WAIT(&n, strcmp(waiting_reason(&n, "ua"), "CreateContainerConfigError") == 0);
    assert_string_equal(json_str(json_path(container(&n, "ua"), "state", "waiting", "message")),
                        "secret \"no\" not found");
    WAIT(&n, strcmp(waiting_reason(&n, "ub"), "CreateContainerConfigError") == 0);
    WAIT(&n, strcmp(waiting_reason(&n, "uc"), "CrashLoopBackOff") == 0);
    const struct json *last = json_path(container(&n, "uc"), "lastState", "terminated");
    assert_string_equal(json_str(json_get(last, "reason")), "StartError");
    assert_non_null(strstr(json_str_or(json_get(last, "message"), ""), "/no/such"));
    node_finish(&n);
}

static const char *state_of(const struct node *n, const char *uid, const char *name) {
    const struct json *list = json_get(hashmap_get(n->statuses, uid), "containerStatuses");

    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i), *st = json_get(c, "state");
        if (strcmp(json_get_str(c, "name"), name) == 0)
            return json_get(st, "waiting") ? json_get_str(json_get(st, "waiting"), "reason") : json_key_at(st, 0);
    }
    return "";
}

static void set_map(struct node *n, const char *value) {
    _cleanup_free_ char *text = xasprintf("{\"kind\":\"ConfigMap\",\"metadata\":{\"namespace\":\"default\","
                                          "\"name\":\"site\"},\"data\":{\"k\":\"%s\"}}",
                                          value);
    _cleanup_json_ struct json *map = parse(text);

    agent_apply_object(n->agent, map);
}

static void kill_main(struct node *n, const char *uid) {
    _cleanup_free_ char *path = xasprintf("%s/run/pods/%s/state.json", n->dir, uid);
    _cleanup_json_ struct json *st = NULL;

    assert_int_equal(json_parse_file(path, 1 << 20, &st, NULL), 0);
    pid_t pid = (pid_t) json_int_or(json_get(json_at(json_get(st, "containers"), 0), "pid"), 0);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

#define HELD_POD                                                                                                       \
    POD("h", "h1", "", "",                                                                                             \
        ",\"env\":[{\"name\":\"X\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"site\",\"key\":\"k\"}}}]},"          \
        "{\"name\":\"image\",\"image\":\"absent:1\",\"imagePullPolicy\":\"IfNotPresent\"},"                            \
        "{\"name\":\"root\",\"image\":\"box:1\",\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":0}},"         \
        "{\"name\":\"well\",\"image\":\"box:1\",\"imagePullPolicy\":\"IfNotPresent\"")

/* What one container lacks holds that one. Each start has the environment of its time, also one after the agent was
 * away; what a container names and is no more holds its next start. */
static void test_held_containers(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, HELD_POD);
    WAIT(&n, strcmp(state_of(&n, "h1", "well"), "running") == 0);
    assert_string_equal(state_of(&n, "h1", "main"), "CreateContainerConfigError");
    assert_string_equal(json_str(json_path(container(&n, "h1"), "state", "waiting", "message")),
                        "configmap \"site\" not found");
    assert_string_equal(state_of(&n, "h1", "root"), "CreateContainerConfigError");
    WAIT(&n, strcmp(state_of(&n, "h1", "image"), "ImagePullBackOff") == 0);
    assert_string_equal(json_str(json_get(hashmap_get(n.statuses, "h1"), "phase")), "Pending");
    set_map(&n, "one");
    WAIT(&n, is_running(&n, "h1"));
    set_map(&n, "two");
    settle(&n, 100);
    _cleanup_free_ char *first = run_in(&n, "h1", "echo $X", NULL, false);
    assert_string_equal(first, "one\n[0]");
    kill_main(&n, "h1");
    WAIT(&n, is_running(&n, "h1") && json_int_or(json_get(container(&n, "h1"), "restartCount"), 0) == 1);
    _cleanup_free_ char *second = run_in(&n, "h1", "echo $X", NULL, false);
    assert_string_equal(second, "two\n[0]");

    agent_free(n.agent);
    hashmap_clear(n.statuses);
    start_agent(&n);
    agent_sync_begin(n.agent);
    set_map(&n, "two");
    apply(&n, HELD_POD);
    agent_sync_end(n.agent);
    WAIT(&n, is_running(&n, "h1"));
    assert_string_equal(state_of(&n, "h1", "well"), "running");
    WAIT(&n, strcmp(state_of(&n, "h1", "root"), "CreateContainerConfigError") == 0);
    agent_remove_object(n.agent, "ConfigMap", "default", "site");
    WAIT(&n, strstr(strbuf_str(&n.events), "Failed") != NULL);
    assert_true(is_running(&n, "h1"));
    kill_main(&n, "h1");
    WAIT(&n, strcmp(state_of(&n, "h1", "main"), "CreateContainerConfigError") == 0);
    set_map(&n, "three");
    WAIT(&n, is_running(&n, "h1"));
    _cleanup_free_ char *third = run_in(&n, "h1", "echo $X", NULL, false);
    assert_string_equal(third, "three\n[0]");
    node_finish(&n);
}

static void test_delete(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, POD("web", "u3", "", "", ""));
    WAIT(&n, is_running(&n, "u3"));
    _cleanup_free_ char *run = xasprintf("%s/run/pods/u3", n.dir), *disk = xasprintf("%s/state/pods/u3", n.dir);
    assert_int_equal(access(run, F_OK), 0);
    apply(&n,
          POD("web", "u3", ",\"deletionTimestamp\":\"2020-01-01T00:00:00Z\",\"deletionGracePeriodSeconds\":1", "", ""));
    WAIT(&n, n.finished.len > 0);
    assert_string_equal(strbuf_str(&n.finished), "web;");
    const struct json *ended = json_path(container(&n, "u3"), "state", "terminated");
    assert_int_equal(json_int_or(json_get(ended, "exitCode"), 0), 137); /* sleep is PID 1: no SIGTERM for it */
    assert_int_equal(access(run, F_OK), -1);
    assert_int_equal(access(disk, F_OK), -1);
    assert_non_null(strstr(strbuf_str(&n.events), "Killing"));
    agent_remove_pod(n.agent, "u3");
    settle(&n, 50);
    _cleanup_json_ struct json *left = agent_list_pods(n.agent);
    assert_int_equal(json_len(left), 0);
    node_finish(&n);
}

static int64_t started(const struct node *n, const char *uid) {
    const char *s = json_str_or(json_get(container(n, uid), "containerID"), "");
    return (int64_t) fnv1a(s, strlen(s));
}

static int no_answer(struct unit_manager *m, struct error *err) {
    return 0;
}

static void test_agent_restart(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, POD("keep", "k1", "", "", ""));
    apply(&n, POD("drop", "d1", "", "", ""));
    WAIT(&n, is_running(&n, "k1") && is_running(&n, "d1"));
    int64_t run = started(&n, "k1");
    agent_free(n.agent);
    hashmap_clear(n.statuses);
    start_agent(&n);
    settle(&n, 300); /* before the control plane has spoken nothing happens */
    assert_int_equal(hashmap_len(n.statuses), 0);
    agent_sync_begin(n.agent);
    apply(&n, POD("keep", "k1", "", "", ""));
    agent_sync_end(n.agent);
    WAIT(&n, is_running(&n, "k1"));
    assert_true(started(&n, "k1") == run); /* the same process */
    _cleanup_free_ char *gone = xasprintf("%s/run/pods/d1", n.dir);
    WAIT(&n, access(gone, F_OK) < 0);
    assert_string_equal(strbuf_str(&n.finished), ""); /* its object is gone: nobody to tell */

    agent_free(n.agent);
    hashmap_clear(n.statuses);
    const struct unit_ops *ops = n.units->ops;
    struct unit_ops slow = *ops;
    slow.list = no_answer;
    n.units->ops = &slow;
    start_agent(&n);
    agent_sync_begin(n.agent);
    apply(&n, POD("keep", "k1", "", "", ""));
    agent_sync_end(n.agent);
    settle(&n, 100); /* the control plane is quicker than systemd: nothing is said of what is not known */
    assert_int_equal(hashmap_len(n.statuses), 0);
    n.units->ops = ops;
    assert_int_equal(unit_list(n.units, NULL), 0);
    WAIT(&n, is_running(&n, "k1"));
    node_finish(&n);
}

/* --- resize --- */

#define SIZED(policy, cpu, memory)                                                                                     \
    POD("size", "r1", "", "",                                                                                          \
        ",\"resizePolicy\":[" policy "],\"resources\":{\"requests\":{\"cpu\":\"" cpu "\",\"memory\":\"" memory "\"}}")
#define ON_CPU "{\"resourceName\":\"cpu\",\"restartPolicy\":\"RestartContainer\"}"

static const char *resize_of(const struct node *n, const char *uid) {
    return json_str_or(json_get(hashmap_get(n->statuses, uid), "resize"), "");
}

/* The request for the processor that the container has, as its status says. */
static const char *has_cpu(const struct node *n, const char *uid, const char *of) {
    const struct json *c = container(n, uid);
    const struct json *list =
        strcmp(of, "granted") == 0 ? json_get(c, "allocatedResources") : json_path(c, "resources", "requests");
    return json_str_or(json_get(list, "cpu"), "");
}

static int64_t restarts(const struct node *n, const char *uid) {
    return json_int_or(json_get(container(n, uid), "restartCount"), -1);
}

/* Another size while it runs, one that must wait, one that can never be, and one that takes a restart. */
static void test_resize(void **state) {
    struct node n;
    struct unit_limits limits;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, SIZED("", "100m", "16Mi"));
    WAIT(&n, is_running(&n, "r1"));
    assert_string_equal(has_cpu(&n, "r1", "granted"), "100m");
    assert_string_equal(has_cpu(&n, "r1", "real"), "100m");
    _cleanup_free_ char *unit = unit_pod_name("default", "size", "r1");
    assert_false(unit_fake_limits(n.units, unit, &limits)); /* it was never resized: systemd is left alone */
    apply(&n, SIZED("", "200m", "16Mi"));
    WAIT(&n, strcmp(has_cpu(&n, "r1", "real"), "200m") == 0 && !*resize_of(&n, "r1"));
    assert_string_equal(has_cpu(&n, "r1", "granted"), "200m");
    assert_int_equal(restarts(&n, "r1"), 0);
    assert_true(unit_fake_limits(n.units, unit, &limits));
    assert_int_equal(limits.cpu_weight, 1 + (204 - 2) * 9999 / (262144 - 2));

    apply(&n, SIZED("", "100000", "16Mi"));
    WAIT(&n, strcmp(resize_of(&n, "r1"), "Infeasible") == 0);
    assert_string_equal(has_cpu(&n, "r1", "granted"), "200m");
    apply(&n, SIZED("", "200m", "16Mi")); /* taken back */
    WAIT(&n, !*resize_of(&n, "r1"));

    apply(&n, SIZED(ON_CPU, "300m", "16Mi"));
    WAIT(&n, restarts(&n, "r1") == 1 && is_running(&n, "r1"));
    WAIT(&n, strcmp(has_cpu(&n, "r1", "real"), "300m") == 0 && !*resize_of(&n, "r1"));
    assert_non_null(strstr(strbuf_str(&n.events), "Killing"));
    settle(&n, 200);
    assert_int_equal(restarts(&n, "r1"), 1);
    node_finish(&n);
}

/* A pod whose wish does not fit beside another gets it when that one is gone. */
static void test_resize_deferred(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    _cleanup_free_ char *most =
        xasprintf(POD("most", "m1", "", "", ",\"resources\":{\"requests\":{\"cpu\":\"%ldm\"}}"), cpus * 1000 - 500);
    apply(&n, most);
    apply(&n, SIZED("", "100m", "16Mi"));
    WAIT(&n, is_running(&n, "r1") && is_running(&n, "m1"));
    apply(&n, SIZED("", "900m", "16Mi"));
    WAIT(&n, strcmp(resize_of(&n, "r1"), "Deferred") == 0);
    assert_string_equal(has_cpu(&n, "r1", "granted"), "100m");
    agent_remove_pod(n.agent, "m1");
    WAIT(&n, strcmp(has_cpu(&n, "r1", "real"), "900m") == 0 && !*resize_of(&n, "r1"));
    node_finish(&n);
}

/* The agent is away when the size changes, and again before its supervisor has heard of it. */
static void test_resize_over_restart(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, SIZED("", "100m", "16Mi"));
    WAIT(&n, is_running(&n, "r1"));
    agent_free(n.agent);
    hashmap_clear(n.statuses);
    start_agent(&n);
    agent_sync_begin(n.agent);
    apply(&n, SIZED("", "200m", "16Mi"));
    agent_sync_end(n.agent);
    WAIT(&n, strcmp(has_cpu(&n, "r1", "real"), "200m") == 0 && !*resize_of(&n, "r1"));

    /* granted and written, not told: as if it had died in between */
    agent_free(n.agent);
    hashmap_clear(n.statuses);
    _cleanup_free_ char *path = xasprintf("%s/run/pods/r1/pod.json", n.dir);
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(json_parse_file(path, 1 << 20, &doc, NULL), 0);
    assert_int_equal(json_int_or(json_path(doc, "allocated", "main", "number"), 0), 1);
    json_set_path(&doc, json_int(2), "allocated", "main", "number");
    json_set_path(&doc, json_string("300m"), "allocated", "main", "resources", "requests", "cpu");
    json_set(json_edit_at(json_edit(&doc, "containers"), 0), "allocation", json_int(2));
    _cleanup_free_ char *text = json_to_text(doc);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, false, NULL), 0);
    start_agent(&n);
    agent_sync_begin(n.agent);
    apply(&n, SIZED("", "300m", "16Mi"));
    agent_sync_end(n.agent);
    WAIT(&n, strcmp(has_cpu(&n, "r1", "real"), "300m") == 0 && !*resize_of(&n, "r1"));
    _cleanup_free_ char *state_path = xasprintf("%s/run/pods/r1/state.json", n.dir);
    _cleanup_json_ struct json *seen = NULL;
    assert_int_equal(json_parse_file(state_path, 1 << 20, &seen, NULL), 0);
    assert_int_equal(json_int_or(json_get(json_at(json_get(seen, "containers"), 0), "allocation"), 0), 2);
    assert_int_equal(restarts(&n, "r1"), 0);
    node_finish(&n);
}

/* A supervisor that is killed takes its pod along (as systemd kills the unit); the agent starts the pod anew, and the
 * restart count goes on. */
static void test_supervisor_killed(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, POD("web", "u5", "", "", ""));
    WAIT(&n, is_running(&n, "u5"));
    int64_t run = started(&n, "u5");
    _cleanup_free_ char *path = xasprintf("%s/run/pods/u5/state.json", n.dir);
    _cleanup_json_ struct json *st = NULL;
    assert_int_equal(json_parse_file(path, 1 << 20, &st, NULL), 0);
    assert_int_equal(kill((pid_t) json_int_or(json_get(st, "supervisorPid"), 0), SIGKILL), 0);
    WAIT(&n, is_running(&n, "u5") && started(&n, "u5") != run);
    assert_int_equal(json_int_or(json_get(container(&n, "u5"), "restartCount"), 0), 1);
    node_finish(&n);
}

static void test_job_and_deadline(void **state) {
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"job\",\"namespace\":\"default\",\"uid\":\"j1\"},\"spec\":{"
              "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"main\",\"image\":\"box:1\",\"command\":[\"/bin/"
              "sh\",\"-c\",\"exit 0\"]}]}}");
    apply(&n, POD("slow", "s1", "", ",\"activeDeadlineSeconds\":2", ""));
    WAIT(&n, strcmp(json_str_or(json_get(hashmap_get(n.statuses, "j1"), "phase"), ""), "Succeeded") == 0);
    WAIT(&n, is_running(&n, "s1"));
    WAIT(&n, strcmp(json_str_or(json_get(hashmap_get(n.statuses, "s1"), "reason"), ""), "DeadlineExceeded") == 0);
    WAIT(&n, json_path(container(&n, "s1"), "state", "terminated") != NULL);
    assert_string_equal(json_str(json_get(hashmap_get(n.statuses, "s1"), "phase")), "Failed");
    settle(&n, 200);
    assert_string_equal(json_str(json_get(hashmap_get(n.statuses, "j1"), "phase")), "Succeeded");
    node_finish(&n);
}

static const char *reason_of(const struct node *n, const char *uid) {
    return json_str_or(json_get(hashmap_get(n->statuses, uid), "reason"), "");
}

static bool is_failed(const struct node *n, const char *uid) {
    return strcmp(json_str_or(json_get(hashmap_get(n->statuses, uid), "phase"), ""), "Failed") == 0;
}

#define WRITES(k)                                                                                                      \
    ",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}],\"command\":[\"/bin/sh\",\"-c\",\"busybox dd "          \
    "if=/dev/zero "                                                                                                    \
    "of=/v/x bs=1k count=" k " && sleep 1000\"]"
#define VOLUME ",\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"

/* A node on which nothing is enough: whoever holds most goes first, nobody comes, the system's own pods do both. */
static void test_disk_pressure(void **state) {
    static const struct eviction_settings short_of_disk = {.hard = "nodefs.available<99.9%"}, none = {.hard = ""};
    struct eviction_config config;
    struct node n;

    node_new(&n);
    import_image(&n);
    synced(&n);
    apply(&n, POD("small", "e1", "", VOLUME, WRITES("4")));
    apply(&n, POD("large", "e2", "", VOLUME, WRITES("3000")));
    apply(&n, POD("system", "e3", "", VOLUME ",\"priority\":2000000000", WRITES("5000")));
    WAIT(&n, is_running(&n, "e1") && is_running(&n, "e2") && is_running(&n, "e3"));
    _cleanup_free_ char *folder = xasprintf("%s/state/pods/e2", n.dir), *file = path_join(folder, "volumes/v/x");
    WAIT(&n, access(file, F_OK) == 0);
    settle(&n, 300); /* it is written */
    agent_free(n.agent);
    assert_int_equal(eviction_config_parse(&short_of_disk, &config, NULL), 0);
    n.eviction = &config;
    strbuf_reset(&n.events);
    start_agent(&n);
    agent_sync_begin(n.agent);
    apply(&n, POD("small", "e1", "", VOLUME, WRITES("4")));
    apply(&n, POD("large", "e2", "", VOLUME, WRITES("3000")));
    apply(&n, POD("system", "e3", "", VOLUME ",\"priority\":2000000000", WRITES("5000")));
    agent_sync_end(n.agent);
    WAIT(&n, is_failed(&n, "e2"));
    assert_false(is_failed(&n, "e1"));
    assert_string_equal(reason_of(&n, "e2"), "Evicted");
    assert_non_null(strstr(json_str(json_get(hashmap_get(n.statuses, "e2"), "message")),
                           "The node was low on resource: ephemeral-storage. Threshold quantity: "));
    assert_non_null(strstr(strbuf_str(&n.events), "EvictionThresholdMet;"));
    assert_int_equal(access(folder, F_OK), -1); /* what it held is given back */
    apply(&n, POD("late", "e4", "", "", ""));
    apply(&n, POD("urgent", "e5", "", ",\"priority\":2000001000", ""));
    WAIT(&n, is_failed(&n, "e4") && is_running(&n, "e5"));
    assert_string_equal(reason_of(&n, "e4"), "Evicted");
    assert_string_equal(json_str(json_get(hashmap_get(n.statuses, "e4"), "message")),
                        "Pod was rejected: The node had condition: [DiskPressure]. ");
    WAIT(&n, is_failed(&n, "e1"));
    assert_true(is_running(&n, "e3"));
    /* evicted is evicted, also for the next agent, on a node that has enough */
    agent_free(n.agent);
    assert_int_equal(eviction_config_parse(&none, &config, NULL), 0);
    start_agent(&n);
    agent_sync_begin(n.agent);
    apply(&n, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"large\",\"namespace\":\"default\",\"uid\":\"e2\"},\"spec\":{"
              "\"restartPolicy\":\"Always\",\"containers\":[{\"name\":\"main\",\"image\":\"box:1\"}]},\"status\":{"
              "\"phase\":\"Failed\",\"reason\":\"Evicted\"}}");
    apply(&n, POD("next", "e6", "", "", ""));
    agent_sync_end(n.agent);
    WAIT(&n, is_running(&n, "e6"));
    assert_true(is_failed(&n, "e2"));
    assert_string_equal(reason_of(&n, "e2"), "Evicted");
    node_finish(&n);
}

static void test_node_status(void **state) {
    struct node n;

    node_new(&n);
    _cleanup_json_ struct json *s = agent_node_status(n.agent);
    assert_non_null(json_str(json_path(s, "capacity", "cpu")));
    assert_string_equal(json_str(json_path(s, "capacity", "pods")), "110");
    assert_string_equal(json_str(json_path(json_at(json_get(s, "addresses"), 0), "address")), "192.0.2.9");
    assert_string_equal(json_str(json_path(s, "nodeInfo", "operatingSystem")), "linux");
    assert_true(json_len(json_get(s, "conditions")) >= 4);
    node_finish(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_arrives),
        cmocka_unit_test(test_container_environment),
        cmocka_unit_test(test_config_errors),
        cmocka_unit_test(test_held_containers),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_agent_restart),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_deferred),
        cmocka_unit_test(test_resize_over_restart),
        cmocka_unit_test(test_supervisor_killed),
        cmocka_unit_test(test_job_and_deadline),
        cmocka_unit_test(test_disk_pressure),
        cmocka_unit_test(test_node_status),
    };
    if (getenv("ONLY"))
        cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
