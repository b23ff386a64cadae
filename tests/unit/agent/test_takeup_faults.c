/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call on files fails in turn while an agent starts: what an earlier one left running keeps its folder and its
 * layers, whether the agent starts or says why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "orchestrator/agent/agent.h"
#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/runtime.h"
#include "tests/unit/failing_calls.h"

struct place {
    char *dir, *run, *state, *spec, *layer, *half;
    sd_event *loop;
};

static int setup(void **state) {
    char template[] = "/tmp/podium-takeup-XXXXXX";
    struct place *p = xnew0(struct place);

    if (!mkdtemp(template) || sd_event_new(&p->loop) < 0)
        return -1;
    p->dir = xstrdup(template);
    p->run = path_join(p->dir, "run");
    p->state = path_join(p->dir, "state");
    p->spec = xasprintf("%s/pods/u1/%s", p->run, POD_FILE_SPEC);
    p->layer = xasprintf("%s/pods/u1/upper", p->state);
    p->half = xasprintf("%s/pods/half", p->run);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    struct place *p = *state;
    int r = rm_tree(p->dir, NULL);

    sd_event_unref(p->loop);
    free(p->dir), free(p->run), free(p->state), free(p->spec), free(p->layer), free(p->half);
    free(p);
    return r;
}

/* A pod that runs, and one whose start was interrupted. */
static void leave_pods(const struct place *p) {
    static const char text[] = "{\"namespace\":\"default\",\"name\":\"runs\",\"uid\":\"u1\"}";
    _cleanup_free_ char *folder = xasprintf("%s/pods/u1", p->run);

    assert_int_equal(mkdir_parents(folder, 0700, NULL), 0);
    assert_int_equal(mkdir_parents(p->layer, 0700, NULL), 0);
    assert_int_equal(mkdir_parents(p->half, 0700, NULL), 0);
    assert_int_equal(file_write_atomic(p->spec, text, strlen(text), 0600, false, NULL), 0);
}

static int start(const struct place *p, struct unit_manager *units, struct error *err) {
    const struct agent_options options = {.node_name = "n1",
                                          .run_dir = p->run,
                                          .state_dir = p->state,
                                          .baton = "/bin/true",
                                          .node_address = "192.0.2.9",
                                          .units = units,
                                          .no_network = true};
    struct agent *agent = NULL;

    int r = agent_new(p->loop, &options, &agent, err);
    if (r == 0)
        agent_free(agent);
    return r;
}

static void test_what_runs_is_kept(void **state) {
    struct place *p = *state;
    const struct unit_fake_options fake = {.loop = p->loop, .cgroup_root = p->dir};
    struct unit_manager *units;

    assert_int_equal(unit_manager_new_fake(&fake, &units, NULL), 0);
    leave_pods(p);
    assert_int_equal(start(p, units, NULL), 0); /* the loop keeps descriptors of its own */
    FAILING_EACH(EMFILE) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        leave_pods(p);
        failing_begin();
        int r = start(p, units, &err);
        failing_end();
        assert_held(r == 0 || err.code == r);
        assert_held(access(p->spec, F_OK) == 0);
        assert_held(access(p->layer, F_OK) == 0);
        assert_held(start(p, units, NULL) == 0);
        assert_held(access(p->spec, F_OK) == 0);
        assert_held(access(p->half, F_OK) < 0);
    }
    unit_manager_free(units);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_what_runs_is_kept, setup, teardown)};

    return cmocka_run_group_tests_name("an agent starts when calls fail", tests, NULL, NULL);
}
