/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a Pod into the scheduler's form. Requests are counted as upstream's resource helpers do
 * (k8s.io/component-helpers/resource: PodRequests): the sum of containers and sidecars, or what the neediest init step
 * takes together with the sidecars started before it, whichever is more, plus the overhead.
 */
#include "orchestrator/scheduler/model.h"

#include <string.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

/* What a container that asks for nothing is taken to use when nodes are scored (upstream's DefaultMilliCPURequest and
 * DefaultMemoryRequest): otherwise such pods would all look free and pile up. */
#define ASSUMED_MILLI_CPU 100
#define ASSUMED_MEMORY    (200ll * 1024 * 1024)

/* --- amounts --- */

static const char *const resource_names[SCHED_RESOURCES] = {"cpu", "memory", "ephemeral-storage"};

static struct extended_amount *extended_slot(struct pod_demand *d, const char *name) {
    for (size_t i = 0; i < d->n_extended; i++)
        if (strcmp(d->extended[i].name, name) == 0)
            return &d->extended[i];
    d->extended = xreallocarray(d->extended, d->n_extended + 1, sizeof(*d->extended));
    d->extended[d->n_extended] = (struct extended_amount){xstrdup(name), 0};
    return &d->extended[d->n_extended++];
}

/* Adds a ResourceList. */
static void add_requests(struct pod_demand *d, const struct json *requests) {
    for (size_t i = 0; i < json_len(requests); i++) {
        const char *name = json_key_at(requests, i);
        const struct json *amount = json_value_at(requests, i);
        size_t r = 0;
        while (r < SCHED_RESOURCES && strcmp(name, resource_names[r]) != 0)
            r++;
        if (r == SCHED_CPU)
            d->request[r] += quantity_json_milli(amount, 0);
        else if (r < SCHED_RESOURCES)
            d->request[r] += quantity_json(amount, 0);
        else
            extended_slot(d, name)->amount += quantity_json(amount, 0);
    }
}

static const struct json *status_of(const struct json *pod_status, const char *list, const struct json *container) {
    const struct json *all = json_get(pod_status, list);

    for (size_t i = 0; i < json_len(all); i++)
        if (json_get_is(json_at(all, i), "name", json_get_str(container, "name")))
            return json_at(all, i);
    return NULL;
}

/* Adds the amounts of `more` that are larger than those of *list. */
static void raise_list(struct json **list, const struct json *more) {
    for (size_t i = 0; i < json_len(more); i++) {
        const char *name = json_key_at(more, i);
        const struct json *amount = json_value_at(more, i);
        if (quantity_json_milli(amount, 0) > quantity_json_milli(json_get(*list, name), 0))
            json_set(list, name, json_ref(amount));
    }
}

/*
 * What a container counts for: its requests; while it is being resized the largest of what it asks for, what its node
 * has granted and what it really has, and what it asks for not at all once the node said that this can never be.
 */
static struct json *requests_of(const struct json *pod_status, const char *list, const struct json *container) {
    const struct json *asked = json_path(container, "resources", "requests");
    const struct json *status = status_of(pod_status, list, container);
    const struct json *granted = json_get(status, "allocatedResources"),
                      *has = json_path(status, "resources", "requests");
    struct json *most;

    if ((!granted || json_equal(granted, asked)) && (!has || json_equal(has, asked)))
        return json_ref(asked);
    most = json_get_is(pod_status, "resize", "Infeasible") ? NULL : json_ref(asked);
    raise_list(&most, granted);
    raise_list(&most, has);
    return most;
}

static void add_container(struct pod_demand *d, const struct json *pod_status, const char *list,
                          const struct json *container) {
    _cleanup_json_ struct json *requests = requests_of(pod_status, list, container);

    add_requests(d, requests);
    d->assumed[SCHED_CPU] += quantity_json_milli(json_get(requests, "cpu"), ASSUMED_MILLI_CPU);
    d->assumed[SCHED_MEMORY] += quantity_json(json_get(requests, "memory"), ASSUMED_MEMORY);
}

static void add_demand(struct pod_demand *d, const struct pod_demand *more) {
    for (size_t r = 0; r < SCHED_RESOURCES; r++)
        d->request[r] += more->request[r];
    for (size_t r = 0; r < SCHED_STORAGE; r++)
        d->assumed[r] += more->assumed[r];
    for (size_t i = 0; i < more->n_extended; i++)
        extended_slot(d, more->extended[i].name)->amount += more->extended[i].amount;
}

static void raise_to(int64_t *to, int64_t at_least) {
    if (*to < at_least)
        *to = at_least;
}

static void raise_demand(struct pod_demand *d, const struct pod_demand *at_least) {
    for (size_t r = 0; r < SCHED_RESOURCES; r++)
        raise_to(&d->request[r], at_least->request[r]);
    for (size_t r = 0; r < SCHED_STORAGE; r++)
        raise_to(&d->assumed[r], at_least->assumed[r]);
    for (size_t i = 0; i < at_least->n_extended; i++)
        raise_to(&extended_slot(d, at_least->extended[i].name)->amount, at_least->extended[i].amount);
}

static bool is_sidecar(const struct json *init_container) {
    return strcmp(json_str_or(json_get(init_container, "restartPolicy"), ""), "Always") == 0;
}

static void read_requests(const struct json *spec, const struct json *status, struct pod_demand *d) {
    const struct json *containers = json_get(spec, "containers"), *init = json_get(spec, "initContainers");
    struct pod_demand sidecars = {0}, peak = {0};

    for (size_t i = 0; i < json_len(containers); i++)
        add_container(d, status, "containerStatuses", json_at(containers, i));
    for (size_t i = 0; i < json_len(init); i++) {
        const struct json *c = json_at(init, i);
        if (is_sidecar(c)) {
            add_container(&sidecars, status, "initContainerStatuses", c);
            raise_demand(&peak, &sidecars);
            continue;
        }
        struct pod_demand step = {0};
        add_container(&step, NULL, NULL, c);
        add_demand(&step, &sidecars);
        raise_demand(&peak, &step);
        pod_demand_finish(&step);
    }
    add_demand(d, &sidecars);
    raise_demand(d, &peak);
    pod_demand_finish(&sidecars);
    pod_demand_finish(&peak);

    const struct json *overhead = json_get(spec, "overhead");
    add_requests(d, overhead);
    d->assumed[SCHED_CPU] += quantity_json_milli(json_get(overhead, "cpu"), 0);
    d->assumed[SCHED_MEMORY] += quantity_json(json_get(overhead, "memory"), 0);
}

/* --- ports --- */

static void add_ports(struct pod_demand *d, const struct json *container) {
    const struct json *ports = json_get(container, "ports");

    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *p = json_at(ports, i);
        int64_t port = json_int_or(json_get(p, "hostPort"), 0);
        const char *ip = json_str_or(json_get(p, "hostIP"), "");
        if (port <= 0 || port > UINT16_MAX)
            continue;
        d->ports = xreallocarray(d->ports, d->n_ports + 1, sizeof(*d->ports));
        struct host_port *hp = &d->ports[d->n_ports++];
        *hp = (struct host_port){.port = (uint16_t) port, .protocol = json_str_or(json_get(p, "protocol"), "TCP")[0]};
        if (strcmp(ip, "0.0.0.0") != 0 && strcmp(ip, "::") != 0)
            strncpy(hp->ip, ip, sizeof(hp->ip) - 1);
    }
}

bool host_port_equal(const struct host_port *a, const struct host_port *b) {
    return a->port == b->port && a->protocol == b->protocol && strcmp(a->ip, b->ip) == 0;
}

static void read_ports(const struct json *spec, struct pod_demand *d) {
    const struct json *containers = json_get(spec, "containers"), *init = json_get(spec, "initContainers");

    for (size_t i = 0; i < json_len(containers); i++)
        add_ports(d, json_at(containers, i));
    for (size_t i = 0; i < json_len(init); i++)
        if (is_sidecar(json_at(init, i)))
            add_ports(d, json_at(init, i));
}

/* --- affinity and tolerations --- */

struct hashed hashed(const char *text) {
    return (struct hashed){fnv1a(text, strlen(text)), text};
}

bool hashed_equal(const struct hashed *a, const struct hashed *b) {
    return a->hash == b->hash && strcmp(a->text, b->text) == 0;
}

static enum requirement_op parse_op(const char *s) {
    static const char *const names[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(s, names[i]) == 0)
            return (enum requirement_op) i;
    return REQ_INVALID;
}

static void read_requirements(struct selector_term *t, const struct json *list, bool is_field) {
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *r = json_at(list, i), *values = json_get(r, "values");
        struct requirement *q = &t->requirements[t->n++];
        q->key = hashed(json_str_or(json_get(r, "key"), ""));
        q->op = parse_op(json_str_or(json_get(r, "operator"), ""));
        q->is_field = is_field;
        q->n_values = json_len(values);
        q->values = q->n_values ? xcalloc(q->n_values, sizeof(*q->values)) : NULL;
        for (size_t v = 0; v < q->n_values; v++)
            q->values[v] = hashed(json_str_or(json_at(values, v), ""));
    }
}

/* A nodeSelector is a term of plain equalities. */
static void read_node_selector(struct selector_term *t, const struct json *map) {
    if (json_len(map) > 0)
        t->requirements = xcalloc(json_len(map), sizeof(*t->requirements));
    for (t->n = 0; t->n < json_len(map); t->n++) {
        struct requirement *q = &t->requirements[t->n];
        q->key = hashed(json_key_at(map, t->n));
        q->op = REQ_IN;
        q->n_values = 1;
        q->values = xcalloc(1, sizeof(*q->values));
        q->values[0] = hashed(json_str_or(json_value_at(map, t->n), ""));
    }
}

static void read_term(struct selector_term *t, const struct json *term) {
    const struct json *labels = json_get(term, "matchExpressions"), *fields = json_get(term, "matchFields");

    t->requirements = xcalloc(json_len(labels) + json_len(fields) + 1, sizeof(*t->requirements));
    read_requirements(t, labels, false);
    read_requirements(t, fields, true);
}

static void read_affinity(struct pod_info *p, const struct json *affinity) {
    const struct json *required = json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
    const struct json *terms = json_get(required, "nodeSelectorTerms");
    const struct json *preferred = json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");

    p->has_required = json_is_object(required);
    if (json_len(terms) > 0)
        p->required = xcalloc(json_len(terms), sizeof(*p->required));
    for (size_t i = 0; i < json_len(terms); i++)
        read_term(&p->required[p->n_required++], json_at(terms, i));
    if (json_len(preferred) > 0)
        p->preferred = xcalloc(json_len(preferred), sizeof(*p->preferred));
    for (size_t i = 0; i < json_len(preferred); i++) {
        struct selector_term *t = &p->preferred[p->n_preferred++];
        read_term(t, json_get(json_at(preferred, i), "preference"));
        t->weight = json_int_or(json_get(json_at(preferred, i), "weight"), 0);
    }
}

static unsigned parse_effects(const char *s) {
    if (strcmp(s, "NoSchedule") == 0)
        return TAINT_NO_SCHEDULE;
    if (strcmp(s, "PreferNoSchedule") == 0)
        return TAINT_PREFER_NO_SCHEDULE;
    if (strcmp(s, "NoExecute") == 0)
        return TAINT_NO_EXECUTE;
    return *s ? 0 : TAINT_NO_SCHEDULE | TAINT_PREFER_NO_SCHEDULE | TAINT_NO_EXECUTE;
}

static void read_tolerations(struct pod_info *p, const struct json *list) {
    if (json_len(list) > 0)
        p->tolerations = xcalloc(json_len(list), sizeof(*p->tolerations));
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        p->tolerations[p->n_tolerations++] = (struct toleration){
            .key = json_str_or(json_get(t, "key"), ""),
            .value = json_str_or(json_get(t, "value"), ""),
            .exists = strcmp(json_str_or(json_get(t, "operator"), ""), "Exists") == 0,
            .effects = parse_effects(json_str_or(json_get(t, "effect"), "")),
        };
    }
}

bool pod_tolerates(const struct pod_info *p, const struct taint *taint) {
    for (size_t i = 0; i < p->n_tolerations; i++) {
        const struct toleration *t = &p->tolerations[i];
        if (!(t->effects & taint->effect) || (*t->key && strcmp(t->key, taint->key) != 0))
            continue;
        /* an empty key is allowed with Exists only, and then means all keys and values */
        if (t->exists || (*t->key && strcmp(t->value, taint->value) == 0))
            return true;
    }
    return false;
}

/* --- the pod --- */

static uint32_t controller_hash(const struct json *pod) {
    const struct json *owners = json_path(pod, "metadata", "ownerReferences");

    for (size_t i = 0; i < json_len(owners); i++) {
        const struct json *o = json_at(owners, i);
        const char *uid = json_str_or(json_get(o, "uid"), "");
        if (json_bool_or(json_get(o, "controller"), false))
            return (uint32_t) fnv1a(uid, strlen(uid)) | 1;
    }
    return 0;
}

struct pod_info *pod_info_new(struct json *pod) {
    struct pod_info *p = xnew0(struct pod_info);
    const struct json *meta = json_get(pod, "metadata"), *spec = json_get(pod, "spec");
    const char *phase = json_str_or(json_path(pod, "status", "phase"), "");

    p->object = json_ref(pod);
    p->ns = json_str_or(json_get(meta, "namespace"), "");
    p->name = json_str_or(json_get(meta, "name"), "");
    p->uid = json_str_or(json_get(meta, "uid"), "");
    p->key = xasprintf("%s/%s", p->ns, p->name);
    p->node_name = json_str_or(json_get(spec, "nodeName"), "");
    p->scheduler_name = json_str_or(json_get(spec, "schedulerName"), "default-scheduler");
    p->priority = json_int_or(json_get(spec, "priority"), 0);
    p->gated = json_len(json_get(spec, "schedulingGates")) > 0;
    p->terminal = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
    p->deleting = !json_is_null(json_get(meta, "deletionTimestamp"));
    read_requests(spec, json_get(pod, "status"), &p->demand);
    read_ports(spec, &p->demand);
    p->demand.owner = controller_hash(pod);
    read_node_selector(&p->selector, json_get(spec, "nodeSelector"));
    read_affinity(p, json_path(spec, "affinity", "nodeAffinity"));
    read_tolerations(p, json_get(spec, "tolerations"));
    return p;
}

static void finish_term(struct selector_term *t) {
    for (size_t i = 0; i < t->n; i++)
        free(t->requirements[i].values);
    free(t->requirements);
}

static void free_terms(struct selector_term *terms, size_t n) {
    for (size_t i = 0; i < n; i++)
        finish_term(&terms[i]);
    free(terms);
}

void pod_info_free(struct pod_info *p) {
    if (!p)
        return;
    finish_term(&p->selector);
    free_terms(p->required, p->n_required);
    free_terms(p->preferred, p->n_preferred);
    free(p->tolerations);
    pod_demand_finish(&p->demand);
    free(p->key);
    json_unref(p->object);
    free(p);
}

void pod_demand_copy(struct pod_demand *to, const struct pod_demand *from) {
    *to = *from;
    to->ports = from->n_ports ? xmemdup(from->ports, from->n_ports * sizeof(*from->ports)) : NULL;
    to->extended = from->n_extended ? xmemdup(from->extended, from->n_extended * sizeof(*from->extended)) : NULL;
    for (size_t i = 0; i < to->n_extended; i++)
        to->extended[i].name = xstrdup(from->extended[i].name);
}

void pod_demand_finish(struct pod_demand *d) {
    for (size_t i = 0; i < d->n_extended; i++)
        free(d->extended[i].name);
    free(d->extended);
    free(d->ports);
    *d = (struct pod_demand){0};
}
