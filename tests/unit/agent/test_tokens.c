/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the node asks for tokens of its pods: once, again when they grow old, again after a connection was lost. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

static int64_t set_by; /* seconds */

uint64_t now_realtime_usec(void) {
    struct timespec t;

    (void) clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t) (t.tv_sec + set_by) * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

struct fixture {
    struct agent agent;
    struct agent_pod *pod;
    unsigned asked;
    int answer; /* of the request */
    char last[128];
};

static int on_request(void *userdata, const char *ns, const char *name, const char *uid, const char *audience,
                      int64_t seconds) {
    struct fixture *f = userdata;

    if (f->answer < 0)
        return f->answer;
    f->asked++;
    (void) snprintf(f->last, sizeof(f->last), "%s/%s %s %lld", ns, name, audience, (long long) seconds);
    return 0;
}

static const struct agent_callbacks callbacks = {.request_token = on_request};

static int setup(void **state) {
    static const char text[] =
        "{\"spec\":{\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[{\"configMap\":{}},"
        "{\"serviceAccountToken\":{\"path\":\"t\",\"audience\":\"a\",\"expirationSeconds\":1}}]}}"
        "]}}";
    struct fixture *f = xnew0(struct fixture);

    assert_true(sd_event_new(&f->agent.loop) >= 0);
    f->agent.run_dir = f->agent.state_dir = (char *) "/nowhere";
    f->agent.pods = hashmap_new(NULL);
    f->agent.by_unit = hashmap_new(NULL);
    list_init(&f->agent.work);
    f->agent.callbacks = &callbacks;
    f->agent.userdata = f;
    f->pod = agent_pod_new(&f->agent, "u", "ns", "p");
    assert_int_equal(json_parse(text, sizeof(text) - 1, NULL, &f->pod->desired, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    tokens_free(f->pod->tokens);
    json_unref(f->pod->desired);
    free(f->pod->uid);
    free(f->pod->namespace);
    free(f->pod->name);
    free(f->pod->unit);
    free(f->pod->run_dir);
    free(f->pod->state_dir);
    free(f->pod);
    hashmap_free(f->agent.pods);
    hashmap_free(f->agent.by_unit);
    sd_event_unref(f->agent.loop);
    free(f);
    return 0;
}

static enum token_state look(const struct fixture *f, const char **text) {
    return tokens_get(f->pod->tokens, "a", 1, text);
}

static void test_asked_once(void **state) {
    struct fixture *f = *state;
    const char *text;

    assert_int_equal(look(f, &text), TOKEN_NONE);
    tokens_request(f->pod);
    tokens_request(f->pod);
    assert_int_equal(f->asked, 1);
    assert_string_equal(f->last, "ns/p a 1");
    assert_int_equal(look(f, &text), TOKEN_WAITING);
    assert_true(tokens_awaited(f->pod));
    agent_token_answer(&f->agent, "u", "a", 1, "secret", "2100-01-01T00:00:00Z", NULL);
    assert_int_equal(look(f, &text), TOKEN_THERE);
    assert_string_equal(text, "secret");
    assert_false(tokens_awaited(f->pod));
    tokens_request(f->pod);
    assert_int_equal(f->asked, 1);
    /* an answer nobody asked for */
    agent_token_answer(&f->agent, "u", "b", 1, "other", NULL, NULL);
    agent_token_answer(&f->agent, "gone", "a", 1, "other", NULL, NULL);
    assert_int_equal(look(f, &text), TOKEN_THERE);
    assert_string_equal(text, "secret");
}

static void test_renewed_at_80_percent(void **state) {
    struct fixture *f = *state;
    uint64_t now = now_monotonic_usec();
    const char *text;

    tokens_request(f->pod);
    agent_token_answer(&f->agent, "u", "a", 1, "first", "2100-01-01T00:00:00Z", NULL);
    tokens_request(f->pod);
    assert_in_range(f->pod->tokens_at, now + 700000, now + 1500000);
    while (now_monotonic_usec() < f->pod->tokens_at)
        (void) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    tokens_request(f->pod);
    assert_int_equal(f->asked, 2);
    /* the old one is good until the new one is there; a refusal changes nothing */
    assert_int_equal(look(f, &text), TOKEN_THERE);
    assert_false(tokens_awaited(f->pod));
    agent_token_answer(&f->agent, "u", "a", 1, NULL, NULL, "no");
    assert_int_equal(look(f, &text), TOKEN_THERE);
    assert_string_equal(text, "first");
    tokens_request(f->pod);
    assert_int_equal(f->asked, 2); /* in ten seconds */
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    const char *text;

    tokens_request(f->pod);
    agent_token_answer(&f->agent, "u", "a", 1, NULL, NULL, "serviceaccounts \"x\" not found");
    assert_int_equal(look(f, &text), TOKEN_REFUSED);
    assert_string_equal(text, "serviceaccounts \"x\" not found");
    tokens_request(f->pod);
    assert_int_equal(f->asked, 1);
    tokens_retry(f->pod);
    tokens_request(f->pod);
    assert_int_equal(f->asked, 2);
}

static void test_connection(void **state) {
    struct fixture *f = *state;
    const char *text;

    f->answer = -ENOTCONN;
    tokens_request(f->pod);
    assert_int_equal(look(f, &text), TOKEN_NONE); /* a pod may start without: there is no API to use it at */
    assert_false(tokens_awaited(f->pod));
    f->answer = 0;
    tokens_request(f->pod);
    assert_int_equal(f->asked, 1);
    tokens_connection_changed(&f->agent);
    assert_false(tokens_awaited(f->pod));
    tokens_request(f->pod);
    assert_int_equal(f->asked, 2);
}

/* A token that is over by a clock that was set, or from its future, is of no use to the pod. */
static void test_clock_is_set(void **state) {
    static const int64_t jumps[] = {0, 365 * 86400, -3600};
    static const unsigned asked[] = {1, 2, 3};
    struct fixture *f = *state;

    tokens_request(f->pod);
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        agent_token_answer(&f->agent, "u", "a", 1, "secret", NULL, NULL);
        set_by = jumps[i];
        tokens_clock_changed(&f->agent);
        tokens_request(f->pod);
        assert_int_equal(f->asked, asked[i]);
    }
    set_by = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asked_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewed_at_80_percent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock_is_set, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
