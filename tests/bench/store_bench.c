/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Durable writes per second of the store, as many in flight as asked for.
 *
 *   store_bench FOLDER [IN_FLIGHT=64] [SECONDS=3] [create|update] [sync|nosync]
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/store/store.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/bench/record.h"

enum { VALUE_BYTES = 2300, OBJECTS = 4096 };

struct bench {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned free_slots;
    unsigned long done, failed;
};

static void written(void *userdata, int result, struct store_item *item) {
    struct bench *b = userdata;

    (void) item;
    pthread_mutex_lock(&b->lock);
    b->free_slots++;
    b->done++;
    b->failed += result < 0;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->lock);
}

static struct json *make_document(void) {
    char filler[64];
    struct json *doc = json_object();

    json_set(&doc, "kind", json_string("ConfigMap"));
    json_set(&doc, "apiVersion", json_string("v1"));
    json_set_path(&doc, json_string("bench"), "metadata", "namespace");
    memset(filler, 'x', sizeof(filler));
    for (int i = 0; i < VALUE_BYTES / 80; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%02d", i);
        json_set_path(&doc, json_string_len(filler, sizeof(filler)), "data", key);
    }
    return doc;
}

static void submit_one(struct bench *b, struct json *const *doc, enum store_op op, unsigned long i) {
    char name[32];

    snprintf(name, sizeof(name), "object-%08lu", op == STORE_UPDATE ? i * 2654435761u % OBJECTS : i);
    const struct store_write w = {op, "configmaps", "bench", name, *doc, 0};
    pthread_mutex_lock(&b->lock);
    while (b->free_slots == 0)
        pthread_cond_wait(&b->cond, &b->lock);
    b->free_slots--;
    pthread_mutex_unlock(&b->lock);
    if (store_submit(b->store, &w, written, b) < 0)
        written(b, -EINVAL, NULL);
}

static void wait_idle(struct bench *b, unsigned in_flight) {
    pthread_mutex_lock(&b->lock);
    while (b->free_slots < in_flight)
        pthread_cond_wait(&b->cond, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

int main(int argc, char **argv) {
    unsigned in_flight = argc > 2 ? (unsigned) atoi(argv[2]) : 64;
    double seconds = argc > 3 ? atof(argv[3]) : 3;
    bool update = argc > 4 && strcmp(argv[4], "update") == 0;
    struct store_options options = {.path = argc > 1 ? argv[1] : NULL,
                                    .no_sync = argc > 5 && strcmp(argv[5], "nosync") == 0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct bench b = {NULL, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, in_flight, 0, 0};

    if (argc < 2) {
        fprintf(stderr, "usage: store_bench FOLDER [IN_FLIGHT] [SECONDS] [create|update] [sync|nosync]\n");
        return 2;
    }
    int r = store_open_lmdb(&options, &b.store, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", error_text(&err, r));
        return 1;
    }
    _cleanup_json_ struct json *doc = make_document();
    for (unsigned long i = 0; update && i < OBJECTS; i++)
        submit_one(&b, &doc, STORE_CREATE, i * 2654435761u % OBJECTS);
    wait_idle(&b, in_flight);
    b.done = b.failed = 0;
    uint64_t start = now_monotonic_usec(), end = start + (uint64_t) (seconds * USEC_PER_SEC);
    for (unsigned long i = 0; now_monotonic_usec() < end; i++)
        submit_one(&b, &doc, update ? STORE_UPDATE : STORE_CREATE, i);
    wait_idle(&b, in_flight);
    double took = (double) (now_monotonic_usec() - start) / USEC_PER_SEC;
    _cleanup_free_ char *name =
        xasprintf("store: durable %s of 2.3 kB, %u under way", update ? "updates" : "creates", in_flight);
    record("store", name, (double) b.done / took, "1/s", NULL);
    printf("%s, %u in flight: %.0f/s (%lu writes, %lu failed)\n", update ? "updates" : "creates", in_flight,
           (double) b.done / took, b.done, b.failed);
    start = now_monotonic_usec();
    store_close(b.store);
    r = store_open_lmdb(&options, &b.store, &err);
    printf("reopened with %zu objects in %.0f ms\n", r < 0 ? 0 : store_count(b.store, "configmaps"),
           (double) (now_monotonic_usec() - start) / 1000);
    store_close(b.store);
    return b.failed > 0 || r < 0;
}
