/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any interleaving of writers and watchers gives every watcher the same order, nothing lost, nothing twice: across
 * restarts of the store, and when a slow watcher falls out of the window.
 *
 * The truth is what writers were told: revision, operation and value of each acknowledged write. Afterwards each
 * watcher's notes are held against it: every list must be the state the truth has at its revision, and what follows a
 * list must be the truth's writes behind it, one by one, up to where the watcher gave up or was turned away.
 */
#include "tests/unit/store/store_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "podium/base/random.h"

enum { NAMESPACES = 2, OBJECTS = 6, WRITERS = 3, WATCHERS = 6, LIVES = 4, WRITES = 250, WINDOW = 48 };

struct note {
    enum { NOTE_LIST, NOTE_ADDED, NOTE_MODIFIED, NOTE_DELETED, NOTE_END } what;
    uint64_t revision;
    int ns, object;
    int64_t value;                       /* what it has; of a deletion, what it had */
    int64_t state[NAMESPACES * OBJECTS]; /* NOTE_LIST: values, -1 for absent */
};

struct notes {
    struct note *at;
    size_t n, cap;
};

static struct note *notes_add(struct notes *notes) {
    if (notes->n == notes->cap) {
        notes->cap = notes->cap ? 2 * notes->cap : 64;
        notes->at = xreallocarray(notes->at, notes->cap, sizeof(*notes->at));
    }
    notes->at[notes->n] = (struct note){0};
    return &notes->at[notes->n++];
}

static const char *ns_name(int ns) {
    return ns == 0 ? "a" : "b";
}

static void object_of(const struct store_item *i, int *ns, int *object) {
    *ns = strcmp(store_item_namespace(i), "b") == 0;
    *object = store_item_name(i)[1] - '0';
}

/* --- writers --- */
struct writer {
    struct store *store;
    pthread_t thread;
    unsigned seed;
    int64_t value; /* unique to the writer and the write */
    struct notes truth;
    int failed;
};

static void *write_on(void *userdata) {
    struct writer *w = userdata;
    for (int i = 0; i < WRITES; i++) {
        int ns = rand_r(&w->seed) % NAMESPACES, object = rand_r(&w->seed) % OBJECTS;
        char name[8];
        snprintf(name, sizeof(name), "n%d", object);
        enum store_op op = rand_r(&w->seed) % 4 == 0 ? STORE_DELETE : STORE_UPDATE;
        uint64_t revision = 0;
        int r = put(w->store, op, ns_name(ns), name, w->value, 0, &revision);
        if (r == -ENOENT && op == STORE_UPDATE) {
            op = STORE_CREATE;
            r = put(w->store, op, ns_name(ns), name, w->value, 0, &revision);
        }
        if (r == 0) {
            struct note *t = notes_add(&w->truth);
            t->what = op == STORE_DELETE ? NOTE_DELETED : op == STORE_CREATE ? NOTE_ADDED : NOTE_MODIFIED;
            t->revision = revision;
            t->ns = ns, t->object = object;
            t->value = op == STORE_DELETE ? -1 : w->value;
            w->value++;
        } else if (r != -ENOENT && r != -EEXIST) {
            w->failed = r;
        }
    }
    return NULL;
}

/* --- watchers --- */
struct watcher {
    struct store *store;
    pthread_t thread;
    const char *ns;       /* NULL: all */
    unsigned seed, pause; /* pause: longest sleep after an event, microseconds */
    atomic_bool *stop;
    uint64_t position; /* 0: must list */
    struct notes notes;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    unsigned turned_away;
    int failed;
};

static void wake(void *userdata) {
    struct watcher *w = userdata;
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static void wait_woken(struct watcher *w) {
    pthread_mutex_lock(&w->lock);
    while (!w->woken && !atomic_load(w->stop))
        pthread_cond_wait(&w->cond, &w->lock);
    w->woken = false;
    pthread_mutex_unlock(&w->lock);
}

static void list_all(struct watcher *w) {
    struct store_list l;
    w->failed = store_list(w->store, "configmaps", w->ns, NULL, NULL, 0, 0, &l);
    struct note *n = notes_add(&w->notes);
    n->what = NOTE_LIST;
    n->revision = w->position = l.revision;
    for (int i = 0; i < NAMESPACES * OBJECTS; i++)
        n->state[i] = -1;
    for (size_t i = 0; i < l.n; i++) {
        int ns, object;
        object_of(l.items[i], &ns, &object);
        n->state[ns * OBJECTS + object] = json_int_or(json_get(store_item_doc(l.items[i]), "value"), -2);
    }
    store_list_finish(&l);
}

static void take_note(struct watcher *w, const struct store_event *e) {
    struct note *n = notes_add(&w->notes);
    n->what = NOTE_ADDED + (e->type - STORE_EVENT_ADDED);
    n->revision = w->position = e->revision;
    object_of(e->item, &n->ns, &n->object);
    n->value = e->type == STORE_EVENT_DELETED ? -1 : json_int_or(json_get(store_item_doc(e->item), "value"), -2);
    if (w->pause && rand_r(&w->seed) % 8 == 0)
        usleep((useconds_t) rand_r(&w->seed) % w->pause);
}

static void note_end(struct watcher *w, uint64_t position) {
    struct note *n = notes_add(&w->notes);
    n->what = NOTE_END;
    n->revision = position;
}

/* Until told to stop and nothing is left. False: fell out of the window. */
static bool follow(struct watcher *w, struct store_watch *watch) {
    struct store_event e;
    for (;;) {
        bool last = atomic_load(w->stop);
        int r = store_watch_next(watch, &e);
        if (r == 1) {
            take_note(w, &e);
        } else if (r < 0) {
            w->failed = r != -ESTALE ? r : w->failed;
            return false;
        } else if (last) {
            w->position = store_watch_position(watch);
            return true;
        } else {
            wait_woken(w);
        }
    }
}

static void *watch_on(void *userdata) {
    struct watcher *w = userdata;
    for (bool done = false; !done && !w->failed;) {
        struct store_watch *watch;
        if (w->position == 0)
            list_all(w);
        int r = store_watch_open(w->store, "configmaps", w->ns, w->position, wake, w, &watch);
        if (r == 0) {
            done = follow(w, watch);
            store_watch_close(watch);
        }
        note_end(w, w->position);
        if (r < 0 || !done) {
            w->failed = r != 0 && r != -ESTALE ? r : w->failed;
            w->turned_away++;
            w->position = 0;
        }
    }
    return NULL;
}

/* --- judging --- */
static int by_revision(const void *a, const void *b) {
    const struct note *x = a, *y = b;
    return x->revision < y->revision ? -1 : x->revision > y->revision;
}

static bool watched(const struct watcher *w, int ns) {
    return !w->ns || strcmp(w->ns, ns_name(ns)) == 0;
}

static void judge_list(const struct watcher *w, const struct notes *truth, const struct note *list) {
    int64_t state[NAMESPACES * OBJECTS];
    for (int i = 0; i < NAMESPACES * OBJECTS; i++)
        state[i] = -1;
    for (size_t i = 0; i < truth->n && truth->at[i].revision <= list->revision; i++)
        if (watched(w, truth->at[i].ns))
            state[truth->at[i].ns * OBJECTS + truth->at[i].object] = truth->at[i].value;
    for (int i = 0; i < NAMESPACES * OBJECTS; i++)
        assert_int_equal(list->state[i], state[i]);
}

static void judge(const struct watcher *w, const struct notes *truth) {
    size_t next = 0; /* the first write of the truth the watcher has not seen */
    for (size_t i = 0; i < w->notes.n; i++) {
        const struct note *n = &w->notes.at[i];
        if (n->what == NOTE_LIST) {
            judge_list(w, truth, n);
            for (next = 0; next < truth->n && truth->at[next].revision <= n->revision; next++)
                ;
            continue;
        }
        while (next < truth->n && !watched(w, truth->at[next].ns))
            next++;
        if (n->what == NOTE_END) { /* it has seen everything up to there */
            assert_true(next >= truth->n || truth->at[next].revision > n->revision);
            continue;
        }
        assert_true(next < truth->n);
        const struct note *t = &truth->at[next++];
        assert_int_equal(n->revision, t->revision);
        assert_int_equal(n->what, t->what);
        assert_int_equal(n->ns * OBJECTS + n->object, t->ns * OBJECTS + t->object);
        assert_int_equal(n->value, t->value);
    }
}

/* --- the play --- */
static void live(struct fixture *f, struct writer *writers, struct watcher *watchers) {
    atomic_bool stop = false;
    fixture_open(f);
    for (int i = 0; i < WATCHERS; i++) {
        watchers[i].store = f->store;
        watchers[i].stop = &stop;
        pthread_create(&watchers[i].thread, NULL, watch_on, &watchers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        writers[i].store = f->store;
        pthread_create(&writers[i].thread, NULL, write_on, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].failed, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < WATCHERS; i++) {
        wake(&watchers[i]);
        pthread_join(watchers[i].thread, NULL);
    }
    store_close(steal(&f->store));
}

static void gather(struct notes *truth, struct writer *writers) {
    for (int i = 0; i < WRITERS; i++)
        for (size_t k = 0; k < writers[i].truth.n; k++)
            *notes_add(truth) = writers[i].truth.at[k];
    qsort(truth->at, truth->n, sizeof(*truth->at), by_revision);
    for (size_t i = 1; i < truth->n; i++) /* no revision is given twice, in no life */
        assert_true(truth->at[i - 1].revision < truth->at[i].revision);
}

static void test_every_watcher_sees_one_history(void **state) {
    struct fixture f = {.options = {.window_events = WINDOW}};
    struct writer writers[WRITERS] = {0};
    struct watcher watchers[WATCHERS] = {0};
    struct notes truth = {0};
    unsigned seed = (unsigned) random_u64(), turned_away = 0;

    print_message("seed %u\n", seed);
    fixture_init(&f);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = (struct writer){.seed = seed + (unsigned) i, .value = (i + 1) * 1000000};
    for (int i = 0; i < WATCHERS; i++) {
        watchers[i] = (struct watcher){.seed = seed + 100 + (unsigned) i,
                                       .ns = i % 3 == 0 ? NULL : ns_name(i % 2),
                                       .pause = i < 2   ? 0
                                                : i < 4 ? 300
                                                        : 60000};
        pthread_mutex_init(&watchers[i].lock, NULL);
        pthread_cond_init(&watchers[i].cond, NULL);
    }
    for (int i = 0; i < LIVES; i++)
        live(&f, writers, watchers);
    gather(&truth, writers);
    for (int i = 0; i < WATCHERS; i++) {
        assert_int_equal(watchers[i].failed, 0);
        judge(&watchers[i], &truth);
        turned_away += watchers[i].turned_away;
        free(watchers[i].notes.at);
    }
    assert_true(turned_away > 0); /* or the window's end was not in the play */
    for (int i = 0; i < WRITERS; i++)
        free(writers[i].truth.at);
    free(truth.at);
    fixture_open(&f);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_watcher_sees_one_history)};

    return cmocka_run_group_tests_name("histories", tests, NULL, NULL);
}
