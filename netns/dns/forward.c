/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/dns/forward.h"

#include <netinet/in.h>
#include <string.h>

#include "netns/dns/attempt.h"
#include "netns/dns/cache.h"
#include "netns/dns/resolv_conf.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/random.h"

#define TRIES_MIN      2 /* also when there is one resolver only; but 1 while all of them are failing */
#define FAILED_FOR     (10 * USEC_PER_SEC) /* one that did not answer is asked last for this long */
#define TIMER_ACCURACY (20 * USEC_PER_MSEC)
#define REREAD_AFTER   (5 * USEC_PER_SEC) /* where the file cannot be watched: no inotify instance left */

struct flight {
    struct list in;
    struct dns_forwarder *forwarder;
    uint64_t hash;
    uint8_t query[DNS_QUERY_MAX];
    size_t query_n;
    struct list waiters;
    size_t n_waiters;
    struct dns_attempt *attempt;
    sd_event_source *timer;
    unsigned tries, tries_min;
    unsigned tried; /* bits of the resolvers asked in this round */
    size_t server;
    bool tcp;
};

struct dns_forwarder {
    sd_event *loop;
    char *path;
    uint64_t try_usec;
    struct sockaddr_storage self;
    struct dns_statistics *statistics;
    struct resolv_watch *watch; /* NULL: not possible */
    uint64_t read_at;
    struct resolvers resolvers;
    uint64_t failed_until[RESOLVERS_MAX];
    struct dns_cache *cache;
    struct list flights;
    size_t n_flights;
};

static void next_try(struct flight *f);
static void reread(void *userdata);

static void flight_free(struct flight *f) {
    struct dns_waiter *w;

    list_foreach(w, &f->waiters, in) list_remove(&w->in);
    list_remove(&f->in);
    f->forwarder->n_flights--;
    dns_attempt_free(f->attempt);
    sd_event_source_disable_unref(f->timer);
    free(f);
}

/* Tells all that wait; the flight is over. */
static void finish(struct flight *f, const uint8_t *reply, size_t n) {
    size_t room = n > DNS_QUERY_MAX ? n : DNS_QUERY_MAX;
    _cleanup_free_ uint8_t *copy = reply ? xmalloc(room) : NULL;
    struct list waiters;

    list_init(&waiters);
    list_remove(&f->in); /* whoever asks the same from now on starts anew */
    while (!list_empty(&f->waiters)) {
        struct list *w = f->waiters.next;
        list_remove(w);
        list_append(&waiters, w);
    }
    if (reply)
        dns_cache_put(f->forwarder->cache, f->query, f->query_n, reply, n, now_monotonic_usec());
    else
        f->forwarder->statistics->failed++;
    /* reply may be the attempt's own */
    while (!list_empty(&waiters)) {
        struct dns_waiter *w = list_entry(waiters.next, struct dns_waiter, in);
        list_remove(&w->in);
        if (reply)
            memcpy(copy, reply, n);
        w->done(w, copy, n);
    }
    flight_free(f);
}

static bool wants_tcp(const struct flight *f) {
    struct dns_waiter *w;

    list_foreach(w, &f->waiters, in) if (w->tcp) return true;
    return false;
}

static size_t untried(const struct flight *f) {
    size_t n = 0;

    for (size_t i = 0; i < f->forwarder->resolvers.n; i++)
        n += !(f->tried & 1u << i);
    return n;
}

static void on_reply(void *userdata, uint8_t *reply, size_t n) {
    struct flight *f = userdata;
    enum dns_rcode rcode = reply ? dns_reply_rcode(reply, n) : DNS_SERVFAIL;

    if (!reply) {
        f->forwarder->failed_until[f->server] = now_monotonic_usec() + FAILED_FOR;
        next_try(f);
        return;
    }
    f->forwarder->failed_until[f->server] = 0;
    if (dns_reply_is_truncated(reply, n) && !f->tcp && wants_tcp(f)) {
        f->tcp = true;
        f->tried &= ~(1u << f->server);
        f->tries--;
        next_try(f);
        return;
    }
    /* what another resolver may know better; NXDOMAIN is an answer */
    if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED || rcode == DNS_NOTIMP) && untried(f) > 0) {
        next_try(f);
        return;
    }
    finish(f, reply, n);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
    struct flight *f = userdata;

    f->forwarder->failed_until[f->server] = now_monotonic_usec() + FAILED_FOR;
    next_try(f);
    return 0;
}

static int arm(struct flight *f) {
    if (!f->timer)
        return sd_event_add_time_relative(f->forwarder->loop, &f->timer, CLOCK_MONOTONIC, f->forwarder->try_usec,
                                          TIMER_ACCURACY, on_time, f);
    int r = sd_event_source_set_time_relative(f->timer, f->forwarder->try_usec);
    return r < 0 ? r : sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

/* The next resolver: in the file's order, those that failed lately at the end. */
static size_t choose(const struct flight *f) {
    const struct dns_forwarder *fw = f->forwarder;
    uint64_t now = now_monotonic_usec();
    size_t late = fw->resolvers.n;

    for (size_t i = fw->resolvers.n; i-- > 0;)
        if (!(f->tried & 1u << i))
            late = i;
    for (size_t i = 0; i < fw->resolvers.n; i++)
        if (!(f->tried & 1u << i) && fw->failed_until[i] <= now)
            return i;
    return late;
}

/* Starts the next attempt that can be started; false: there is none left. */
static bool try_more(struct flight *f) {
    struct dns_forwarder *fw = f->forwarder;

    while (fw->resolvers.n > 0) {
        if (untried(f) == 0) {
            if (f->tries >= f->tries_min)
                return false;
            f->tried = 0;
        }
        f->server = choose(f);
        f->tried |= 1u << f->server;
        f->tries++;
        dns_attempt_free(steal(&f->attempt));
        int r = dns_attempt_start(fw->loop, &fw->resolvers.servers[f->server], f->tcp, f->query, f->query_n, on_reply,
                                  f, &f->attempt);
        if (r >= 0)
            r = arm(f);
        if (r >= 0)
            return true;
        fw->failed_until[f->server] = now_monotonic_usec() + FAILED_FOR;
    }
    return false;
}

static void next_try(struct flight *f) {
    if (!try_more(f))
        finish(f, NULL, 0);
}

/* A resolver that has answered lately, or was not asked. */
static bool any_well(const struct dns_forwarder *fw) {
    uint64_t now = now_monotonic_usec();

    for (size_t i = 0; i < fw->resolvers.n; i++)
        if (fw->failed_until[i] <= now)
            return true;
    return false;
}

static struct flight *find(const struct dns_forwarder *fw, const uint8_t *query, size_t n, uint64_t hash) {
    struct flight *f;

    list_foreach(f, &fw->flights, in) {
        if (f->hash == hash && f->query_n == n && memcmp(f->query + 2, query + 2, n - 2) == 0)
            return f;
    }
    return NULL;
}

int dns_forward(struct dns_forwarder *fw, const struct dns_query *query, struct dns_waiter *waiter) {
    uint8_t wire[DNS_QUERY_MAX];
    uint16_t id;

    if (!fw->watch && now_monotonic_usec() - fw->read_at > REREAD_AFTER)
        reread(fw);
    random_bytes(&id, sizeof(id));
    size_t n = dns_encode_query(query, id, wire);
    uint64_t hash = fnv1a(wire + 2, n - 2);
    struct flight *f = find(fw, wire, n, hash);

    list_init(&waiter->in);
    if (!f) {
        if (fw->n_flights >= DNS_FLIGHTS_MAX)
            return -EBUSY;
        f = xnew0(struct flight);
        f->forwarder = fw;
        f->hash = hash;
        f->tries_min = any_well(fw) ? TRIES_MIN : 1;
        memcpy(f->query, wire, n);
        f->query_n = n;
        list_init(&f->waiters);
        list_append(&fw->flights, &f->in);
        fw->n_flights++;
        if (!try_more(f)) {
            flight_free(f);
            return -ENETUNREACH;
        }
        fw->statistics->forwarded++;
    }
    if (f->n_waiters >= DNS_WAITERS_MAX)
        return -EBUSY;
    f->n_waiters++;
    list_append(&f->waiters, &waiter->in);
    return 0;
}

void dns_waiter_cancel(struct dns_waiter *waiter) {
    list_remove(&waiter->in); /* the flight goes on: the answer may be kept */
}

size_t dns_forward_cached(struct dns_forwarder *fw, const struct dns_query *query, uint8_t *out) {
    uint8_t wire[DNS_QUERY_MAX];
    size_t n = dns_cache_get(fw->cache, wire, dns_encode_query(query, 0, wire), now_monotonic_usec(), out);

    fw->statistics->cache_hits += n > 0;
    return n;
}

/* --- resolvers --- */

static bool is_self(const struct dns_forwarder *fw, const struct sockaddr_storage *a) {
    const struct sockaddr_in *own = (const struct sockaddr_in *) &fw->self, *other = (const struct sockaddr_in *) a;

    return a->ss_family == AF_INET && own->sin_family == AF_INET && own->sin_port == other->sin_port &&
           own->sin_addr.s_addr == other->sin_addr.s_addr;
}

static void reread(void *userdata) {
    struct dns_forwarder *fw = userdata;
    struct resolvers all;

    resolvers_read(fw->path, &all);
    fw->read_at = now_monotonic_usec();
    fw->resolvers.n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (!is_self(fw, &all.servers[i]))
            fw->resolvers.servers[fw->resolvers.n++] = all.servers[i];
    memset(fw->failed_until, 0, sizeof(fw->failed_until));
    dns_cache_clear(fw->cache);
}

struct dns_forwarder *dns_forwarder_new(sd_event *loop, const struct dns_forwarder_options *options) {
    struct dns_forwarder *fw = xnew0(struct dns_forwarder);

    fw->loop = sd_event_ref(loop);
    fw->path = xstrdup(options->resolv_conf);
    fw->try_usec = options->try_msec * USEC_PER_MSEC;
    fw->self = options->self;
    fw->statistics = options->statistics;
    fw->cache = dns_cache_new();
    list_init(&fw->flights);
    if (resolv_watch_new(loop, fw->path, reread, fw, &fw->watch, NULL) < 0)
        fw->watch = NULL;
    reread(fw);
    return fw;
}

void dns_forwarder_free(struct dns_forwarder *fw) {
    struct flight *f;

    if (!fw)
        return;
    list_foreach(f, &fw->flights, in) flight_free(f);
    resolv_watch_free(fw->watch);
    dns_cache_free(fw->cache);
    sd_event_unref(fw->loop);
    free(fw->path);
    free(fw);
}
