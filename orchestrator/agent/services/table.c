/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/table.h"

#include <arpa/inet.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/services/documents.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

struct entry;

/* A service put together, with what it points into. */
struct built {
    struct service service;
    struct entry *entry;
    struct service_document *document;
    struct slice **slices;
    uint16_t *ports; /* of all backends */
};

struct entry {
    struct service_document *document; /* NULL: not come yet, or gone */
    struct slice **slices;
    size_t n_slices, cap_slices;
    struct built *current; /* NULL: no document */
    struct built *told;    /* what listeners know; may be current */
    struct list dirty;     /* in table->dirty while current is not told */
    struct list all;       /* in table->all */
};

struct listener {
    struct service_listener listener;
    bool fresh; /* to be told of everything */
};

/* The services having a backend of one address with a host name. */
struct holders {
    struct entry **entries;
    size_t n, cap;
};

struct service_table {
    sd_event_source *defer;
    struct hashmap *entries;    /* namespace/name → struct entry */
    struct hashmap *slices;     /* namespace/name → struct slice, borrowed from their entries */
    struct hashmap *by_address; /* cluster address → struct entry */
    struct hashmap *by_backend; /* address → struct holders */
    struct list dirty, all;
    struct listener *listeners;
    size_t n_listeners, cap_listeners;
    unsigned sync; /* number of the sync going on, or of the last one */
    bool synced, settle;
};

static char *key_of(const char *namespace, const char *name) {
    return xasprintf("%s/%s", namespace, name);
}

/* --- putting together --- */

static void built_free(struct built *built) {
    if (!built)
        return;
    service_document_unref(built->document);
    for (struct slice **s = built->slices; *s; s++)
        slice_unref(*s);
    free(built->slices);
    free(built->service.backends);
    free(built->ports);
    free(built);
}

static uint16_t port_in(const struct slice *slice, const struct service_port *wanted) {
    for (size_t i = 0; i < slice->n_ports; i++)
        if (slice->ports[i].protocol == wanted->protocol && strcmp(slice->ports[i].name, wanted->name) == 0)
            return slice->ports[i].port;
    return 0;
}

struct candidate {
    const struct slice *slice;
    const struct slice_endpoint *endpoint;
};

static int compare_candidates(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    in_addr_t p = ntohl(x->endpoint->address), q = ntohl(y->endpoint->address);

    if (p != q)
        return p < q ? -1 : 1;
    if (x->endpoint->ready != y->endpoint->ready) /* while a pod moves between slices, the better word counts */
        return x->endpoint->ready ? -1 : 1;
    return strcmp(x->slice->name, y->slice->name);
}

static void begin_backend(struct service_backend *backend, const struct slice_endpoint *e) {
    struct in_addr address = {.s_addr = e->address};

    (void) inet_ntop(AF_INET, &address, backend->ip, sizeof(backend->ip));
    backend->hostname = (char *) e->hostname;
    backend->node = (char *) e->node;
    backend->pod = (char *) e->pod;
    backend->ready = e->ready;
    backend->serving = e->serving;
    backend->terminating = e->terminating;
}

/* Takes the ports the backend has none for yet. */
static void merge_ports(const struct service *service, struct service_backend *backend, const struct slice *slice) {
    for (size_t i = 0; i < service->n_ports; i++)
        if (backend->ports[i] == 0)
            backend->ports[i] = port_in(slice, &service->ports[i]);
}

static void build_backends(struct built *built) {
    struct service *service = &built->service;
    size_t n = 0, cap = 0;
    const struct slice_endpoint *last = NULL;

    for (struct slice **s = built->slices; *s; s++)
        cap += (*s)->n_endpoints;
    _cleanup_free_ struct candidate *candidates = xcalloc(cap + 1, sizeof(*candidates));
    for (struct slice **s = built->slices; *s; s++)
        for (size_t i = 0; i < (*s)->n_endpoints; i++)
            candidates[n++] = (struct candidate){*s, &(*s)->endpoints[i]};
    qsort(candidates, n, sizeof(*candidates), compare_candidates);
    service->backends = xcalloc(n + 1, sizeof(*service->backends));
    built->ports = xcalloc(n * service->n_ports + 1, sizeof(*built->ports));
    for (size_t i = 0; i < n; i++) {
        const struct slice_endpoint *e = candidates[i].endpoint;
        if (!last || last->address != e->address) {
            struct service_backend *backend = &service->backends[service->n_backends];
            backend->ports = built->ports + service->n_backends++ * service->n_ports;
            begin_backend(backend, e);
        }
        merge_ports(service, &service->backends[service->n_backends - 1], candidates[i].slice);
        last = e;
    }
}

static struct built *build(struct entry *entry) {
    if (!entry->document)
        return NULL;
    struct built *built = xnew0(struct built);
    built->entry = entry;
    built->document = service_document_ref(entry->document);
    built->service = entry->document->service;
    built->slices = xcalloc(entry->n_slices + 1, sizeof(*built->slices));
    for (size_t i = 0; i < entry->n_slices; i++)
        built->slices[i] = slice_ref(entry->slices[i]);
    build_backends(built);
    return built;
}

/* --- comparing --- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_backend(const struct service_backend *a, const struct service_backend *b, size_t n_ports) {
    return strcmp(a->ip, b->ip) == 0 && same_text(a->hostname, b->hostname) && same_text(a->node, b->node) &&
           same_text(a->pod, b->pod) && a->ready == b->ready && a->serving == b->serving &&
           a->terminating == b->terminating && memcmp(a->ports, b->ports, n_ports * sizeof(*a->ports)) == 0;
}

static bool same_head(const struct service *a, const struct service *b) {
    if (a->n_ports != b->n_ports || strv_len(a->external_ips) != strv_len(b->external_ips))
        return false;
    for (size_t i = 0; i < a->n_ports; i++)
        if (strcmp(a->ports[i].name, b->ports[i].name) != 0 || a->ports[i].protocol != b->ports[i].protocol ||
            a->ports[i].port != b->ports[i].port || a->ports[i].node_port != b->ports[i].node_port)
            return false;
    for (size_t i = 0; a->external_ips[i]; i++)
        if (strcmp(a->external_ips[i], b->external_ips[i]) != 0)
            return false;
    return a->type == b->type && a->headless == b->headless && strcmp(a->cluster_ip, b->cluster_ip) == 0 &&
           same_text(a->external_name, b->external_name) && a->client_ip_affinity == b->client_ip_affinity &&
           a->affinity_seconds == b->affinity_seconds && a->external_local == b->external_local &&
           a->internal_local == b->internal_local && a->publish_not_ready == b->publish_not_ready &&
           a->other_proxy == b->other_proxy && a->health_check_port == b->health_check_port;
}

static bool same_service(const struct built *x, const struct built *y) {
    if (!x || !y)
        return x == y;
    const struct service *a = &x->service, *b = &y->service;
    if (a->n_backends != b->n_backends || !same_head(a, b))
        return false;
    for (size_t i = 0; i < a->n_backends; i++)
        if (!same_backend(&a->backends[i], &b->backends[i], a->n_ports))
            return false;
    return true;
}

/* --- indexes --- */

static void holders_free(void *p) {
    struct holders *holders = p;

    free(holders->entries);
    free(holders);
}

static void index_backend(struct service_table *table, struct entry *entry, const char *ip, bool add) {
    struct holders *holders = hashmap_get(table->by_backend, ip);

    if (!holders && add) {
        holders = xnew0(struct holders);
        hashmap_put(table->by_backend, ip, holders);
    }
    if (add) {
        xgrow(&holders->entries, holders->n, &holders->cap);
        holders->entries[holders->n++] = entry;
        return;
    }
    for (size_t i = 0; holders && i < holders->n; i++)
        if (holders->entries[i] == entry) {
            holders->entries[i] = holders->entries[--holders->n];
            break;
        }
    if (holders && holders->n == 0)
        (void) hashmap_remove(table->by_backend, ip);
}

static void index_service(struct service_table *table, struct entry *entry, bool add) {
    if (!entry->current)
        return;
    const struct service *service = &entry->current->service;
    if (service->cluster_ip[0]) {
        if (add)
            hashmap_put(table->by_address, service->cluster_ip, entry);
        else if (hashmap_get(table->by_address, service->cluster_ip) == entry)
            (void) hashmap_remove(table->by_address, service->cluster_ip);
    }
    for (size_t i = 0; i < service->n_backends; i++)
        if (service->backends[i].hostname)
            index_backend(table, entry, service->backends[i].ip, add);
}

/* --- telling --- */

static void wake(struct service_table *table) {
    table->settle = true;
    (void) sd_event_source_set_enabled(table->defer, SD_EVENT_ONESHOT);
}

static const struct service *service_of(const struct built *built) {
    return built ? &built->service : NULL;
}

static void entry_free(void *p) {
    struct entry *entry = p;

    if (entry->told != entry->current)
        built_free(entry->told);
    built_free(entry->current);
    service_document_unref(entry->document);
    for (size_t i = 0; i < entry->n_slices; i++)
        slice_unref(entry->slices[i]);
    free(entry->slices);
    list_remove(&entry->dirty);
    list_remove(&entry->all);
    free(entry);
}

static void entry_drop_if_empty(struct service_table *table, struct entry *entry, const char *namespace,
                                const char *name) {
    if (entry->document || entry->n_slices > 0 || entry->current || entry->told)
        return;
    _cleanup_free_ char *key = key_of(namespace, name);
    (void) hashmap_remove(table->entries, key);
}

static struct entry *entry_get(struct service_table *table, const char *namespace, const char *name) {
    _cleanup_free_ char *key = key_of(namespace, name);
    struct entry *entry = hashmap_get(table->entries, key);

    if (!entry) {
        entry = xnew0(struct entry);
        list_init(&entry->dirty);
        list_append(&table->all, &entry->all);
        hashmap_put(table->entries, key, entry);
    }
    return entry;
}

/* The entry's document or slices changed. */
static void rebuild(struct service_table *table, struct entry *entry) {
    struct built *built = build(entry);

    bool same = same_service(built, entry->current);

    index_service(table, entry, false);
    if (same && entry->told == entry->current)
        entry->told = built; /* nothing to tell, but the documents it points into are the new ones */
    if (entry->current != entry->told || same)
        built_free(entry->current);
    entry->current = built;
    index_service(table, entry, true);
    if (same)
        return;
    if (list_empty(&entry->dirty))
        list_append(&table->dirty, &entry->dirty);
    wake(table);
}

static void tell_dirty(struct service_table *table) {
    while (!list_empty(&table->dirty)) {
        struct entry *entry = list_entry(table->dirty.next, struct entry, dirty);
        struct built *old = entry->told;
        list_remove(&entry->dirty);
        if (old == entry->current)
            continue;
        for (size_t i = 0; i < table->n_listeners && !same_service(old, entry->current); i++) {
            const struct service_listener *l = &table->listeners[i].listener;
            if (!table->listeners[i].fresh)
                l->changed(l->userdata, service_of(old), service_of(entry->current));
        }
        entry->told = entry->current;
        const struct service *gone = entry->current ? NULL : service_of(old);
        if (gone)
            entry_drop_if_empty(table, entry, gone->namespace, gone->name);
        built_free(old);
    }
}

static int on_defer(sd_event_source *source, void *userdata) {
    struct service_table *table = userdata;

    tell_dirty(table);
    for (size_t i = 0; i < table->n_listeners; i++) {
        struct listener *l = &table->listeners[i];
        const struct service *service = NULL;
        while (l->fresh && (service = service_table_next(table, service)))
            l->listener.changed(l->listener.userdata, NULL, service);
        l->fresh = false;
    }
    for (size_t i = 0; table->settle && i < table->n_listeners; i++)
        if (table->listeners[i].listener.settled)
            table->listeners[i].listener.settled(table->listeners[i].listener.userdata);
    table->settle = false;
    return 0;
}

void service_table_listen(struct service_table *table, const struct service_listener *listener) {
    xgrow(&table->listeners, table->n_listeners, &table->cap_listeners);
    table->listeners[table->n_listeners++] = (struct listener){*listener, true};
    wake(table);
}

/* --- documents --- */

static void slice_out(struct service_table *table, struct slice *slice) {
    struct entry *entry = entry_get(table, slice->namespace, slice->service);
    _cleanup_free_ char *key = key_of(slice->namespace, slice->name);

    (void) hashmap_remove(table->slices, key);
    for (size_t i = 0; i < entry->n_slices; i++)
        if (entry->slices[i] == slice) {
            entry->slices[i] = entry->slices[--entry->n_slices];
            break;
        }
}

static void slice_gone(struct service_table *table, struct slice *slice) {
    struct entry *entry = entry_get(table, slice->namespace, slice->service);

    slice_out(table, slice);
    rebuild(table, entry);
    entry_drop_if_empty(table, entry, slice->namespace, slice->service);
    slice_unref(slice);
}

static int apply_slice(struct service_table *table, const struct json *object) {
    struct slice *slice = slice_read(object);

    if (!slice)
        return -EINVAL;
    slice->named = table->sync;
    _cleanup_free_ char *key = key_of(slice->namespace, slice->name);
    struct slice *before = hashmap_get(table->slices, key);
    if (before && strcmp(before->service, slice->service) != 0) {
        slice_gone(table, before);
    } else if (before) {
        slice_out(table, before);
        slice_unref(before);
    }
    struct entry *entry = entry_get(table, slice->namespace, slice->service);
    xgrow(&entry->slices, entry->n_slices, &entry->cap_slices);
    entry->slices[entry->n_slices++] = slice;
    hashmap_put(table->slices, key, slice);
    rebuild(table, entry);
    return 0;
}

static int apply_service(struct service_table *table, const struct json *object) {
    struct service_document *document = service_document_read(object);

    if (!document)
        return -EINVAL;
    struct entry *entry = entry_get(table, document->service.namespace, document->service.name);
    service_document_unref(entry->document);
    entry->document = document;
    document->named = table->sync;
    rebuild(table, entry);
    return 0;
}

int service_table_apply(struct service_table *table, const struct json *object) {
    const char *kind = json_str_or(json_get(object, "kind"), "");

    if (strcmp(kind, "Service") == 0)
        return apply_service(table, object);
    if (strcmp(kind, "EndpointSlice") == 0)
        return apply_slice(table, object);
    return -EINVAL;
}

void service_table_remove(struct service_table *table, const char *kind, const char *namespace, const char *name) {
    _cleanup_free_ char *key = key_of(namespace, name);

    if (strcmp(kind, "EndpointSlice") == 0) {
        struct slice *slice = hashmap_get(table->slices, key);
        if (slice)
            slice_gone(table, slice);
        return;
    }
    struct entry *entry = strcmp(kind, "Service") == 0 ? hashmap_get(table->entries, key) : NULL;
    if (!entry || !entry->document)
        return;
    service_document_unref(steal(&entry->document));
    rebuild(table, entry);
    entry_drop_if_empty(table, entry, namespace, name);
}

void service_table_sync_begin(struct service_table *table) {
    table->sync++;
}

void service_table_sync_end(struct service_table *table) {
    struct hashmap_iter it = {0};
    size_t n = 0;
    _cleanup_free_ struct slice **slices = xcalloc(hashmap_len(table->slices) + 1, sizeof(*slices));
    _cleanup_free_ struct service_document **services = xcalloc(hashmap_len(table->entries) + 1, sizeof(*services));

    /* the maps must not change while they are walked */
    while (hashmap_next(table->slices, &it))
        if (((struct slice *) it.value)->named != table->sync)
            slices[n++] = it.value;
    while (n > 0)
        slice_gone(table, slices[--n]);
    it = (struct hashmap_iter){0};
    while (hashmap_next(table->entries, &it)) {
        const struct entry *entry = it.value;
        if (entry->document && entry->document->named != table->sync)
            services[n++] = service_document_ref(entry->document);
    }
    while (n > 0) {
        struct service_document *document = services[--n];
        service_table_remove(table, "Service", document->service.namespace, document->service.name);
        service_document_unref(document);
    }
    table->synced = true;
    wake(table);
}

bool service_table_synced(const struct service_table *table) {
    return table->synced;
}

/* --- reading --- */

const struct service *service_table_get(const struct service_table *table, const char *namespace, const char *name) {
    _cleanup_free_ char *key = key_of(namespace, name);
    const struct entry *entry = hashmap_get(table->entries, key);

    return entry ? service_of(entry->current) : NULL;
}

const struct service *service_table_by_address(const struct service_table *table, const char *ip) {
    const struct entry *entry = hashmap_get(table->by_address, ip);

    return entry ? service_of(entry->current) : NULL;
}

static const struct service_backend *backend_with_name(const struct service *service, const char *ip) {
    for (size_t i = 0; i < service->n_backends; i++)
        if (service->backends[i].hostname && strcmp(service->backends[i].ip, ip) == 0)
            return &service->backends[i];
    return NULL;
}

const struct service *service_table_by_backend(const struct service_table *table, const char *ip,
                                               const struct service_backend **ret_backend) {
    const struct holders *holders = hashmap_get(table->by_backend, ip);
    const struct service *best = NULL;

    for (size_t i = 0; holders && i < holders->n; i++) {
        const struct service *service = &holders->entries[i]->current->service;
        if (!best || (service->headless && !best->headless))
            best = service;
    }
    if (best && ret_backend)
        *ret_backend = backend_with_name(best, ip);
    return best;
}

const struct service *service_table_next(const struct service_table *table, const struct service *previous) {
    const struct list *at = previous ? &container_of(previous, struct built, service)->entry->all : &table->all;

    for (at = at->next; at != &table->all; at = at->next) {
        const struct entry *entry = container_of(at, struct entry, all);
        if (entry->current)
            return &entry->current->service;
    }
    return NULL;
}

/* --- life --- */

struct service_table *service_table_new(sd_event *loop) {
    struct service_table *table = xnew0(struct service_table);

    table->entries = hashmap_new(entry_free);
    table->slices = hashmap_new(NULL);
    table->by_address = hashmap_new(NULL);
    table->by_backend = hashmap_new(holders_free);
    list_init(&table->dirty);
    list_init(&table->all);
    if (sd_event_add_defer(loop, &table->defer, on_defer, table) < 0 ||
        /* after sockets of the same round: one commit for all that came */
        sd_event_source_set_priority(table->defer, SD_EVENT_PRIORITY_IDLE) < 0 ||
        sd_event_source_set_enabled(table->defer, SD_EVENT_OFF) < 0) {
        service_table_free(table);
        return NULL;
    }
    return table;
}

void service_table_free(struct service_table *table) {
    if (!table)
        return;
    sd_event_source_disable_unref(table->defer);
    hashmap_free(table->by_backend);
    hashmap_free(table->by_address);
    hashmap_free(table->slices);
    hashmap_free(table->entries);
    free(table->listeners);
    free(table);
}
