/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets a worker's time next, and how much may be under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "orchestrator/apiserver/http/inflight.h"
#include "orchestrator/apiserver/http/turns.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define MAX 64

struct client {
    struct api_user user;
    struct api_request req;
    struct turn turn;
};

static struct client *last; /* whose turn came last */

static void resumed(struct api_request *req) {
    last = req->transport;
}

static void client_init(struct client *c, const char *user) {
    *c = (struct client){.user = {.name = xstrdup(user)}};
    c->req.user = &c->user;
    c->req.transport = c;
    c->req.resume = resumed;
}

static uint64_t worked_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void work(uint64_t usec) {
    uint64_t until = worked_usec() + usec;
    while (worked_usec() < until)
        ;
}

static void clients_free(struct client *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        api_user_finish(&c[i].user);
}

/* One user with twenty connections, then one with a single one: he is second, and then every second. */
static void a_user_with_many_connections_does_not_starve_another(void **state) {
    struct client c[MAX], good;
    struct turns *t = turns_new();
    unsigned bad_between = 0, served = 0;
    last = NULL;
    for (size_t i = 0; i < 20; i++) {
        client_init(&c[i], "bad");
        turn_wait(t, &c[i].turn, &c[i].req);
        turn_offer(&c[i].turn);
    }
    assert_ptr_equal(last, &c[0]);
    client_init(&good, "good");
    turn_wait(t, &good.turn, &good.req);
    turn_offer(&good.turn);
    assert_ptr_equal(last, &c[0]); /* one at a time */
    while (served < 5) {
        struct client *now = last;
        turn_begin(&now->turn);
        work(300);
        assert_false(turn_end(&now->turn));
        if (now != &good) {
            assert_true(++bad_between <= 2);
            turn_wait(t, &now->turn, &now->req);
            turn_offer(&now->turn);
            continue;
        }
        bad_between = 0;
        served++;
        turn_wait(t, &good.turn, &good.req);
        turn_offer(&good.turn);
    }
    /* all leave, whoever waits and whoever has the turn */
    for (size_t i = 0; i < 20; i++)
        (void) turn_end(&c[i].turn);
    (void) turn_end(&good.turn);
    uint64_t waited, waiting;
    turns_counts(t, &waited, &waiting);
    assert_int_equal(waiting, 0);
    clients_free(c, 20);
    clients_free(&good, 1);
    turns_free(t);
}

/* Who has worked little for long has nothing saved up: the two alternate from now on. */
static void idleness_is_not_saved_up(void **state) {
    struct client a[2], b[2];
    struct turns *t = turns_new();
    unsigned of_b = 0;
    for (size_t i = 0; i < 2; i++) {
        client_init(&a[i], "a");
        client_init(&b[i], "b");
    }
    for (size_t i = 0; i < 10; i++) { /* a alone */
        turn_wait(t, &a[0].turn, &a[0].req);
        turn_offer(&a[0].turn);
        turn_begin(&a[0].turn);
        work(200);
        (void) turn_end(&a[0].turn);
    }
    for (size_t i = 0; i < 2; i++) {
        turn_wait(t, &a[i].turn, &a[i].req);
        turn_wait(t, &b[i].turn, &b[i].req);
    }
    turn_offer(&a[0].turn);
    for (size_t i = 0; i < 10; i++) {
        struct client *now = last;
        of_b += now >= b && now < b + 2;
        turn_begin(&now->turn);
        work(200);
        (void) turn_end(&now->turn);
        turn_wait(t, &now->turn, &now->req);
        turn_offer(&now->turn);
    }
    assert_in_range(of_b, 4, 8);
    for (size_t i = 0; i < 2; i++) {
        (void) turn_end(&a[i].turn);
        (void) turn_end(&b[i].turn);
    }
    clients_free(a, 2);
    clients_free(b, 2);
    turns_free(t);
}

static void who_leaves_while_waiting_is_never_called(void **state) {
    struct client c[3];
    struct turns *t = turns_new();
    for (size_t i = 0; i < 3; i++) {
        client_init(&c[i], "u");
        turn_wait(t, &c[i].turn, &c[i].req);
        turn_offer(&c[i].turn);
    }
    assert_true(turn_end(&c[1].turn));
    assert_false(turn_end(&c[0].turn)); /* had it, and gone before it began */
    assert_ptr_equal(last, &c[2]);
    assert_false(turn_end(&c[2].turn));
    assert_false(turn_end(&c[2].turn));
    clients_free(c, 3);
    turns_free(t);
}

static void one_user_gets_half_and_masters_all(void **state) {
    struct inflight *f = inflight_new(8, 4);
    char *masters[] = {(char[]){"system:masters"}, NULL};
    struct api_user a = {.name = (char[]){"a"}}, root = {.name = (char[]){"a"}, .groups = masters};
    struct inflight_user *ua = inflight_user(f, &a), *again = inflight_user(f, &a), *ub = inflight_user(f, NULL),
                         *ur = inflight_user(f, &root);
    assert_ptr_equal(ua, again);
    assert_ptr_not_equal(ua, ur);
    for (unsigned i = 0; i < 4; i++)
        assert_true(inflight_enter(f, ua, false));
    assert_false(inflight_enter(f, ua, false));
    assert_true(inflight_enter(f, ua, true)); /* changes are counted apart */
    for (unsigned i = 0; i < 4; i++)
        assert_true(inflight_enter(f, ub, false));
    assert_false(inflight_enter(f, ub, false)); /* all are taken */
    for (unsigned i = 0; i < 20; i++)
        assert_true(inflight_enter(f, ur, false));
    assert_int_equal(inflight_dropped(f, false), 2);
    inflight_leave(f, ua, false);
    assert_true(inflight_enter(f, ua, false));
    inflight_unref(f, ua);
    inflight_unref(f, again);
    inflight_unref(f, ub);
    inflight_unref(f, ur);
    inflight_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_with_many_connections_does_not_starve_another),
        cmocka_unit_test(idleness_is_not_saved_up),
        cmocka_unit_test(who_leaves_while_waiting_is_never_called),
        cmocka_unit_test(one_user_gets_half_and_masters_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
