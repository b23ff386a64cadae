/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits against a folder of plain files that looks like a group; the rest on the machine's own cgroup2, if there is
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/cgroups.h"

struct fake {
    char path[64];
    struct cgroup cg;
};

static int fake_setup(void **state) {
    struct fake *f = xnew0(struct fake);

    (void) snprintf(f->path, sizeof(f->path), "/tmp/test-cgroups-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->cg.fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->cg.path = xstrdup("/fake");
    *state = f;
    return 0;
}

static int fake_teardown(void **state) {
    struct fake *f = *state;

    cgroup_finish(&f->cg);
    assert_int_equal(rm_tree(f->path, NULL), 0);
    free(f);
    return 0;
}

static void put(struct fake *f, const char *file, const char *text) {
    _cleanup_close_ int fd = openat(f->cg.fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void holds(struct fake *f, const char *file, const char *text) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    assert_int_equal(file_read_at(f->cg.fd, file, 4096, &b, NULL), 0);
    assert_string_equal(strbuf_str(&b), text);
}

static int apply(struct fake *f, const char *text, char ***skipped, struct error *err) {
    _cleanup_json_ struct json *resources = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &resources, NULL), 0);
    return cgroup_apply(&f->cg, resources, skipped, err);
}

static void test_limits_are_converted(void **state) {
    struct fake *f = *state;
    static const char *const files[] = {"memory.max",      "memory.low", "memory.swap.max", "cpu.weight",
                                        "cpu.max",         "pids.max",   "cpuset.cpus",     "io.weight",
                                        "hugetlb.2MB.max", "memory.high"};

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        put(f, files[i], "");
    assert_int_equal(apply(f,
                           "{\"memory\":{\"limit\":1048576,\"reservation\":4096,\"swap\":1052672},"
                           "\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000,\"cpus\":\"0-1\"},"
                           "\"pids\":{\"limit\":10},\"blockIO\":{\"weight\":500},"
                           "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],"
                           "\"unified\":{\"memory.high\":\"900000\"}}",
                           NULL, NULL),
                     0);
    holds(f, "memory.max", "1048576");
    holds(f, "memory.low", "4096");
    holds(f, "memory.swap.max", "4096");
    holds(f, "cpu.weight", "39");
    holds(f, "cpu.max", "50000 100000");
    holds(f, "pids.max", "10");
    holds(f, "cpuset.cpus", "0-1");
    holds(f, "io.weight", "4950");
    holds(f, "hugetlb.2MB.max", "0");
    holds(f, "memory.high", "900000");
}

static void test_weights_of_a_disk_that_bfq_schedules(void **state) {
    struct fake *f = *state;
    static const struct {
        int given;
        const char *text;
    } cases[] = {{10, "10"}, {11, "11"}, {100, "100"}, {499, "499"}, {500, "500"}, {999, "999"}, {1000, "1000"}};

    put(f, "io.bfq.weight", "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{\"blockIO\":{\"weight\":%d}}", cases[i].given);
        put(f, "io.bfq.weight", "");
        assert_int_equal(apply(f, text, NULL, NULL), 0);
        holds(f, "io.bfq.weight", cases[i].text);
    }
    put(f, "io.bfq.weight", "");
    assert_int_equal(
        apply(f, "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":300}]}}", NULL, NULL), 0);
    holds(f, "io.bfq.weight", "8:16 300");
    /* and where nothing weighs, that is said */
    assert_int_equal(unlinkat(f->cg.fd, "io.bfq.weight", 0), 0);
    assert_int_equal(apply(f, "{\"blockIO\":{\"weight\":500}}", NULL, NULL), -ENODEV);
}

static void test_the_extremes_of_shares(void **state) {
    struct fake *f = *state;

    put(f, "cpu.weight", "");
    assert_int_equal(apply(f, "{\"cpu\":{\"shares\":2}}", NULL, NULL), 0);
    holds(f, "cpu.weight", "1");
    put(f, "cpu.weight", "");
    assert_int_equal(apply(f, "{\"cpu\":{\"shares\":262144}}", NULL, NULL), 0);
    holds(f, "cpu.weight", "10000");
    put(f, "cpu.max", "");
    assert_int_equal(apply(f, "{\"cpu\":{\"quota\":-1}}", NULL, NULL), 0);
    holds(f, "cpu.max", "max 100000");
}

static void test_idle_and_burst(void **state) {
    struct fake *f = *state;

    put(f, "cpu.idle", "");
    put(f, "cpu.weight", "");
    put(f, "cpu.max.burst", "");
    assert_int_equal(apply(f, "{\"cpu\":{\"idle\":1,\"shares\":1024,\"burst\":0}}", NULL, NULL), 0);
    holds(f, "cpu.idle", "1");
    holds(f, "cpu.weight", ""); /* the kernel refuses the weight of an idle group */
    holds(f, "cpu.max.burst", "0");
    put(f, "cpu.idle", "");
    assert_int_equal(apply(f, "{\"cpu\":{\"idle\":0,\"shares\":1024}}", NULL, NULL), 0);
    holds(f, "cpu.idle", "0");
    holds(f, "cpu.weight", "39");
    assert_int_equal(apply(f, "{\"cpu\":{\"shares\":\"1024\"}}", NULL, NULL), -EINVAL);
    /* what is so without the file anyway needs none */
    assert_int_equal(unlinkat(f->cg.fd, "cpu.idle", 0), 0);
    assert_int_equal(apply(f, "{\"cpu\":{\"idle\":0}}", NULL, NULL), 0);
    assert_int_equal(apply(f, "{\"cpu\":{\"idle\":1}}", NULL, NULL), -ENODEV);
}

static void test_missing_controllers(void **state) {
    struct fake *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **skipped = strv_new();

    put(f, "pids.max", "");
    assert_int_equal(apply(f, "{\"memory\":{\"limit\":4096},\"pids\":{\"limit\":5}}", NULL, &err), -ENODEV);
    assert_non_null(strstr(err.text, "memory"));
    assert_int_equal(apply(f, "{\"memory\":{\"limit\":4096},\"pids\":{\"limit\":5}}", &skipped, NULL), 0);
    assert_int_equal(strv_len(skipped), 1);
    assert_non_null(strstr(skipped[0], "memory.max"));
    holds(f, "pids.max", "5");
    /* no limit needs no controller */
    assert_int_equal(apply(f, "{\"memory\":{\"limit\":-1}}", NULL, NULL), 0);
}

static void test_bad_resources(void **state) {
    struct fake *f = *state;

    put(f, "x", "");
    assert_int_equal(apply(f, "{\"memory\":{\"limit\":\"4096\"}}", NULL, NULL), -EINVAL);
    assert_int_equal(apply(f, "{\"memory\":{\"swap\":4096}}", NULL, NULL), -EINVAL);
    assert_int_equal(apply(f, "{\"memory\":{\"swap\":4096,\"limit\":8192}}", NULL, NULL), -EINVAL);
    assert_int_equal(apply(f, "{\"memory\":{\"swappiness\":10}}", NULL, NULL), -EOPNOTSUPP);
    assert_int_equal(apply(f, "{\"unified\":{\"../x\":\"1\"}}", NULL, NULL), -EINVAL);
    assert_int_equal(apply(f, "{\"unified\":{\"cgroup.procs\":\"1\"}}", NULL, NULL), -EINVAL);
}

static void test_needed_controllers(void **state) {
    (void) state;
    const char *text = "{\"memory\":{\"limit\":1},\"cpu\":{\"quota\":1},\"unified\":{\"io.max\":\"8:0 rbps=1\"}}";
    _cleanup_json_ struct json *resources = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &resources, NULL), 0);
    unsigned set = cgroup_resources_controllers(resources);
    _cleanup_free_ char *names = cgroup_controllers_text(set);
    assert_string_equal(names, "cpu io memory");
    assert_int_equal(cgroup_resources_controllers(NULL), 0);
}

static void test_statistics(void **state) {
    struct fake *f = *state;
    _cleanup_json_ struct json *doc = NULL;
    struct cgroup_memory_events ev;

    put(f, "memory.current", "4096\n");
    put(f, "memory.max", "max\n");
    put(f, "cpu.stat", "usage_usec 12\nuser_usec 7\n");
    put(f, "memory.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=33\n");
    put(f, "memory.events", "low 0\noom 2\noom_kill 1\n");
    assert_int_equal(cgroup_statistics(&f->cg, &doc, NULL), 0);
    assert_int_equal(json_int_or(json_path(doc, "memory", "current"), 0), 4096);
    assert_null(json_path(doc, "memory", "max"));
    assert_int_equal(json_int_or(json_path(doc, "cpu", "stat", "usage_usec"), 0), 12);
    assert_true(json_double_or(json_path(doc, "pressure", "memory", "some", "avg10"), 0) == 1.5);
    assert_int_equal(cgroup_memory_events(&f->cg, &ev, NULL), 0);
    assert_int_equal(ev.oom, 2);
    assert_int_equal(ev.oom_kill, 1);
}

/* --- the real thing --- */

static pid_t sleeper(const struct cgroup *cg) {
    pid_t pid = fork();

    if (pid == 0) {
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    assert_int_equal(cgroup_attach(cg, pid, NULL), 0);
    return pid;
}

static void test_life_of_a_group(void **state) {
    (void) state;
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT, sub = CGROUP_INIT;
    _cleanup_free_ char *name = xasprintf("/test-cgroups-%d/inner", (int) getpid());
    _cleanup_free_ char *top = xasprintf("/test-cgroups-%d", (int) getpid());
    _cleanup_close_ int events = -1;
    struct cgroup_events ev;
    bool created = false;
    int status;

    if (geteuid() != 0 || cgroup_hierarchy_open(&h, NULL) < 0)
        skip();
    assert_int_equal(cgroup_create(&h, "/a/../../b", &cg, NULL, NULL), -EINVAL);
    assert_int_equal(cgroup_create(&h, name, &cg, &created, NULL), 0);
    assert_true(created);
    assert_int_equal(cgroup_create_child(&cg, "sub", &sub, NULL), 0);
    assert_int_equal(cgroup_create_child(&cg, "../x", &sub, NULL), -EINVAL);
    assert_int_equal(cgroup_events_open(&cg, &events, NULL), 0);
    assert_int_equal(cgroup_events_read(events, &ev, NULL), 0);
    assert_false(ev.populated);

    pid_t pid = sleeper(&sub);
    struct pollfd p = {.fd = events, .events = POLLPRI};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(cgroup_events_read(events, &ev, NULL), 0);
    assert_true(ev.populated);
    _cleanup_free_ char *where = NULL, *expected = xasprintf("%s/sub", name);
    assert_int_equal(cgroup_path_of(&h, pid, &where, NULL), 0);
    assert_string_equal(where, expected);
    _cleanup_free_ pid_t *pids = NULL;
    size_t n;
    assert_int_equal(cgroup_pids(&cg, true, &pids, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(pids[0], pid);

    assert_int_equal(cgroup_remove(&h, top, NULL), -EBUSY);
    assert_int_equal(cgroup_freeze(&cg, true, NULL), 0);
    assert_int_equal(cgroup_events_read(events, &ev, NULL), 0);
    assert_true(ev.frozen);
    assert_int_equal(cgroup_freeze(&cg, false, NULL), 0);
    assert_int_equal(cgroup_wait_empty(&cg, 20, NULL), -ETIMEDOUT);
    assert_int_equal(cgroup_kill(&cg, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(cgroup_wait_empty(&cg, 5000, NULL), 0);
    assert_int_equal(cgroup_remove(&h, top, NULL), 0);
    assert_int_equal(cgroup_remove(&h, top, NULL), 0); /* absent is success */
    assert_int_equal(cgroup_open(&h, top, &cg, NULL), -ENOENT);
}

int main(void) {
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FAKE(test_limits_are_converted),
        WITH_FAKE(test_the_extremes_of_shares),
        WITH_FAKE(test_idle_and_burst),
        WITH_FAKE(test_missing_controllers),
        WITH_FAKE(test_bad_resources),
        WITH_FAKE(test_statistics),
        WITH_FAKE(test_weights_of_a_disk_that_bfq_schedules),
        cmocka_unit_test(test_needed_controllers),
        cmocka_unit_test(test_life_of_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
