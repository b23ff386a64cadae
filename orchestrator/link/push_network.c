/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/push_network.h"

#include <string.h>

#include "orchestrator/link/peer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define REST_FACTOR   16u /* after a round of updates the loop has at least so many times as long for other work */
#define STALE_MIN     64u /* changes after which the text of all routes is made anew, or … */
#define STALE_DIVISOR 8u  /* … when it is a part of the whole */

struct route {
    struct list link; /* by seq, oldest first */
    char *range, *node;
    char *address; /* NULL: gone */
    uint64_t seq;
    size_t text_at, text_len; /* in `all` */
};

struct network_routes {
    struct link_server *server;
    struct hashmap *by_range; /* → struct route; those that are gone stay: there are as many as ranges at most */
    struct hashmap *by_node;  /* name → range */
    struct list order;
    uint64_t seq;
    struct strbuf all; /* JSON objects of all routes there were at all_seq, each with a comma behind it */
    uint64_t all_seq;
    struct strbuf changes; /* from changes_from (excluded) to changes_to */
    uint64_t changes_from, changes_to;
    sd_event_source *round; /* updates for all are due */
    uint64_t rest_until;    /* monotonic */
};

static void route_free(void *p) {
    struct route *r = p;

    list_remove(&r->link);
    free(r->range);
    free(r->node);
    free(r->address);
    free(r);
}

/* --- texts --- */

static void make_all(struct network_routes *n) {
    struct route *r;

    strbuf_reset(&n->all);
    list_foreach(r, &n->order, link) {
        r->text_at = n->all.len;
        if (r->address) {
            strbuf_adds(&n->all, "{\"name\":");
            json_write_string(r->node, strlen(r->node), &n->all);
            strbuf_adds(&n->all, ",\"podCIDR\":");
            json_write_string(r->range, strlen(r->range), &n->all);
            strbuf_adds(&n->all, ",\"address\":");
            json_write_string(r->address, strlen(r->address), &n->all);
            strbuf_adds(&n->all, "},");
        }
        r->text_len = n->all.len - r->text_at;
    }
    n->all_seq = n->seq;
}

static const char *make_changes(struct network_routes *n, uint64_t from) {
    struct list *first = &n->order;
    struct route *r;

    if (n->changes.len > 0 && n->changes_from == from && n->changes_to == n->seq)
        return strbuf_str(&n->changes);
    strbuf_reset(&n->changes);
    while (first->prev != &n->order && list_entry(first->prev, struct route, link)->seq > from)
        first = first->prev;
    for (struct list *l = first; l != &n->order; l = l->next) {
        r = list_entry(l, struct route, link);
        strbuf_addc(&n->changes, n->changes.len ? ',' : '{');
        json_write_string(r->range, strlen(r->range), &n->changes);
        strbuf_addc(&n->changes, ':');
        if (r->address)
            json_write_string(r->address, strlen(r->address), &n->changes);
        else
            strbuf_adds(&n->changes, "null");
    }
    strbuf_adds(&n->changes, n->changes.len ? "}" : "{}");
    n->changes_from = from;
    n->changes_to = n->seq;
    return strbuf_str(&n->changes);
}

/* --- rounds --- */

/* What is new is the way to the peer itself. */
static bool is_own_only(const struct network_routes *n, const struct link_peer *p) {
    const struct list *last = n->order.prev;

    return strcmp(list_entry(last, struct route, link)->range, p->network) == 0 &&
           (last->prev == &n->order || list_entry(last->prev, struct route, link)->seq <= p->routes_seq);
}

static int on_round(sd_event_source *source, uint64_t usec, void *userdata) {
    struct network_routes *n = userdata;
    uint64_t begun = now_monotonic_usec();
    struct link_peer *p;

    list_foreach(p, &n->server->peers, link) {
        if (!p->network || p->routes_seq >= n->seq)
            continue;
        if (!is_own_only(n, p))
            link_peer_call(p, "UpdatePeers", "s", make_changes(n, p->routes_seq));
        p->routes_seq = n->seq;
    }
    uint64_t now = now_monotonic_usec();
    n->rest_until = now + (now - begun) * REST_FACTOR;
    return 0;
}

static void plan_round(struct network_routes *n) {
    uint64_t now = now_monotonic_usec(), when = n->rest_until > now ? n->rest_until : now;
    int enabled = SD_EVENT_OFF;

    if (n->round && sd_event_source_get_enabled(n->round, &enabled) >= 0 && enabled != SD_EVENT_OFF)
        return;
    if (n->round) {
        (void) sd_event_source_set_time(n->round, when);
        (void) sd_event_source_set_enabled(n->round, SD_EVENT_ONESHOT);
    } else {
        (void) sd_event_add_time(n->server->loop, &n->round, CLOCK_MONOTONIC, when, USEC_PER_MSEC, on_round, n);
    }
}

/* --- everything, once --- */

/* The document of agent/node_api.h, but for the peers. */
static struct json *own_part(const struct link_server *s, const char *range) {
    struct json *network = json_object();

    json_set(&network, "podCIDR", json_string(range));
    json_set(&network, "clusterCIDR", json_string(s->cluster_cidr));
    json_set(&network, "serviceCIDR", json_string(s->service_cidr));
    if (s->dns)
        json_set(&network, "dns", json_ref(s->dns));
    return network;
}

void push_network(struct link_peer *p) {
    struct link_server *s = p->server;
    struct network_routes *n = s->routes;
    const char *range = json_str(json_path(informer_get(s->nodes, "", p->node), "spec", "podCIDR"));
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (!range || !p->synced || (p->network && strcmp(p->network, range) == 0))
        return;
    uint64_t many = hashmap_len(n->by_range) / STALE_DIVISOR;
    if (n->all_seq == 0 || n->seq - n->all_seq > (many > STALE_MIN ? many : STALE_MIN))
        make_all(n);
    _cleanup_json_ struct json *own = own_part(s, range);
    json_write(own, 0, &text);
    text.len--; /* the closing brace */
    strbuf_adds(&text, ",\"peers\":[");
    const struct route *self = hashmap_get(n->by_range, range); /* of a route since then: nothing */
    size_t at = self ? self->text_at : 0, end = self ? at + self->text_len : 0;
    strbuf_add(&text, strbuf_str(&n->all), at);
    strbuf_add(&text, strbuf_str(&n->all) + end, n->all.len - end);
    text.len -= text.data[text.len - 1] == ',';
    strbuf_adds(&text, "]}");
    free(p->network);
    p->network = xstrdup(range);
    p->routes_seq = n->all_seq;
    link_peer_call(p, "SetNetwork", "s", strbuf_str(&text));
    if (n->all_seq < n->seq)
        plan_round(n);
}

/* --- changes --- */

static void put_route(struct network_routes *n, const char *range, const char *node, const char *address) {
    struct route *r = hashmap_get(n->by_range, range);

    if (!r) {
        r = xnew0(struct route);
        r->range = xstrdup(range);
        list_init(&r->link);
        hashmap_put(n->by_range, range, r);
    }
    free(r->node);
    r->node = xstrdup(node);
    free(r->address);
    r->address = address ? xstrdup(address) : NULL;
    r->seq = ++n->seq;
    list_remove(&r->link);
    list_append(&n->order, &r->link);
}

void network_routes_put(struct network_routes *n, const char *node, const char *range, const char *address) {
    const char *before = hashmap_get(n->by_node, node);
    const struct route *old = before ? hashmap_get(n->by_range, before) : NULL;
    bool own = old && old->address && strcmp(old->node, node) == 0;

    if (!range || !address)
        range = NULL;
    if (own && range && strcmp(before, range) == 0 && strcmp(old->address, address) == 0)
        return;
    if (own && (!range || strcmp(before, range) != 0))
        put_route(n, before, node, NULL);
    else if (!range)
        return;
    if (range) {
        put_route(n, range, node, address);
        hashmap_put(n->by_node, node, xstrdup(range));
    } else {
        (void) hashmap_remove(n->by_node, node);
    }
    plan_round(n);
}

/* --- life --- */

struct network_routes *network_routes_new(struct link_server *s) {
    struct network_routes *n = xnew0(struct network_routes);

    n->server = s;
    n->by_range = hashmap_new(route_free);
    n->by_node = hashmap_new(free);
    list_init(&n->order);
    return n;
}

void network_routes_free(struct network_routes *n) {
    if (!n)
        return;
    sd_event_source_disable_unref(n->round);
    hashmap_free(n->by_range);
    hashmap_free(n->by_node);
    strbuf_finish(&n->all);
    strbuf_finish(&n->changes);
    free(n);
}
