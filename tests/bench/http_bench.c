/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests per second of an API server over HTTPS with client certificates, keep-alive, one thread (libcurl multi).
 * usage: http_bench SERVER CA CERT KEY get|create CONNECTIONS SECONDS
 * Prints: mode connections requests/s p50_ms p99_ms
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define SAMPLES_MAX 4000000u

struct bench {
    const char *server, *ca, *cert, *key;
    bool create;
    unsigned connections;
    uint64_t until;
    CURLM *multi;
    struct curl_slist *headers;
    uint64_t sent, done, failed;
    float *samples; /* milliseconds */
};

struct slot {
    CURL *easy;
    char url[512], body[2048];
    uint64_t started;
};

static size_t drop(char *p, size_t size, size_t n, void *userdata) {
    return size * n;
}

/* About 1 kB, the size of a small object. */
static void prepare(struct bench *b, struct slot *s) {
    uint64_t i = b->sent++;

    if (b->create) {
        static const char filler[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        int n = snprintf(s->body, sizeof(s->body),
                         "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"bench-%d-%" PRIu64
                         "\"},\"data\":{",
                         (int) getpid(), i);
        for (int k = 0; k < 10; k++)
            n += snprintf(s->body + n, sizeof(s->body) - (size_t) n, "%s\"key-%d\":\"%s\"", k ? "," : "", k, filler);
        snprintf(s->body + n, sizeof(s->body) - (size_t) n, "}}");
        snprintf(s->url, sizeof(s->url), "%s/api/v1/namespaces/default/configmaps", b->server);
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body);
    } else {
        snprintf(s->url, sizeof(s->url), "%s/api/v1/namespaces/default/configmaps/bench-get", b->server);
    }
    curl_easy_setopt(s->easy, CURLOPT_URL, s->url);
    s->started = now_monotonic_usec();
    curl_multi_add_handle(b->multi, s->easy);
}

static void init(struct bench *b, struct slot *s) {
    s->easy = curl_easy_init();
    curl_easy_setopt(s->easy, CURLOPT_CAINFO, b->ca);
    curl_easy_setopt(s->easy, CURLOPT_CAPATH, NULL); /* reading the system's authorities costs 25 ms a connection */
    curl_easy_setopt(s->easy, CURLOPT_SSLCERT, b->cert);
    curl_easy_setopt(s->easy, CURLOPT_SSLKEY, b->key);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, b->headers);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
}

static unsigned reap(struct bench *b) {
    CURLMsg *m;
    int left;
    unsigned n = 0;

    while ((m = curl_multi_info_read(b->multi, &left))) {
        struct slot *s;
        long code = 0;
        if (m->msg != CURLMSG_DONE)
            continue;
        n++;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &s);
        curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &code);
        uint64_t now = now_monotonic_usec();
        if (m->data.result != CURLE_OK || code < 200 || code > 299) {
            if (b->failed++ == 0)
                fprintf(stderr, "http_bench: %s, status %ld\n", curl_easy_strerror(m->data.result), code);
        } else if (b->done < SAMPLES_MAX) {
            b->samples[b->done++] = (float) (now - s->started) / 1000.0f;
        }
        curl_multi_remove_handle(b->multi, s->easy);
        if (now < b->until && b->failed < 100)
            prepare(b, s);
    }
    return n;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *) a, y = *(const float *) b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    struct bench b = {0};
    int running = 1;

    if (argc != 8) {
        fputs("usage: http_bench SERVER CA CERT KEY get|create CONNECTIONS SECONDS\n", stderr);
        return 2;
    }
    b.server = argv[1];
    b.ca = argv[2];
    b.cert = argv[3];
    b.key = argv[4];
    b.create = strcmp(argv[5], "create") == 0;
    b.connections = (unsigned) strtoul(argv[6], NULL, 10);
    b.samples = xcalloc(SAMPLES_MAX, sizeof(float));
    curl_global_init(CURL_GLOBAL_ALL);
    b.headers = curl_slist_append(NULL, "Content-Type: application/json");
    b.multi = curl_multi_init();
    struct slot *slots = xcalloc(b.connections, sizeof(*slots));
    uint64_t start = now_monotonic_usec();
    b.until = start + strtoul(argv[7], NULL, 10) * USEC_PER_SEC;
    for (unsigned i = 0; i < b.connections; i++) {
        init(&b, &slots[i]);
        prepare(&b, &slots[i]);
    }
    for (;;) {
        curl_multi_perform(b.multi, &running);
        if (reap(&b) > 0)
            continue; /* their successors want to be sent */
        if (running == 0)
            break;
        curl_multi_poll(b.multi, NULL, 0, 100, NULL);
    }
    double seconds = (double) (now_monotonic_usec() - start) / 1e6;
    if (b.done == 0)
        return 1;
    qsort(b.samples, b.done, sizeof(float), by_value);
    printf("%s %u %.0f %.2f %.2f\n", argv[5], b.connections, (double) b.done / seconds, (double) b.samples[b.done / 2],
           (double) b.samples[b.done * 99 / 100]);
    for (unsigned i = 0; i < b.connections; i++)
        curl_easy_cleanup(slots[i].easy);
    curl_multi_cleanup(b.multi);
    curl_slist_free_all(b.headers);
    free(slots);
    free(b.samples);
    return b.failed ? 1 : 0;
}
