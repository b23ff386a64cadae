/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/agent/queries/reports.h"
#include "orchestrator/object/timestamp.h"

static void set_time(struct json **o, const char *key, uint64_t usec) {
    char text[TIMESTAMP_SIZE];

    if (usec == 0)
        return;
    timestamp_format(usec, text);
    json_set(o, key, json_string(text));
}

static void set_count(struct json **o, const char *key, uint64_t n) {
    json_set(o, key, json_int((int64_t) n));
}

static void put_usage(struct json **o, const struct usage *u, uint64_t now, uint64_t available) {
    if (u->has_cpu) {
        struct json *cpu = json_object();
        set_time(&cpu, "time", now);
        set_count(&cpu, "usageCoreNanoSeconds", u->cpu_usec * 1000);
        json_set(o, "cpu", cpu);
    }
    if (u->has_memory) {
        struct json *memory = json_object();
        set_time(&memory, "time", now);
        if (available > 0)
            set_count(&memory, "availableBytes", available);
        set_count(&memory, "usageBytes", u->memory);
        set_count(&memory, "workingSetBytes", u->working_set);
        set_count(&memory, "rssBytes", u->rss);
        set_count(&memory, "pageFaults", u->faults);
        set_count(&memory, "majorPageFaults", u->major_faults);
        json_set(o, "memory", memory);
    }
}

static uint64_t below_limit(const struct usage *u) {
    return u->memory_limit > u->working_set ? u->memory_limit - u->working_set : 0;
}

static struct json *interface_doc(const struct interface_usage *i) {
    struct json *o = json_object();

    json_set(&o, "name", json_string(i->name));
    set_count(&o, "rxBytes", i->rx_bytes);
    set_count(&o, "rxErrors", i->rx_errors);
    set_count(&o, "txBytes", i->tx_bytes);
    set_count(&o, "txErrors", i->tx_errors);
    return o;
}

/* The members of the first interface, or of eth0, are those of the whole. */
static void put_network(struct json **o, const struct network_usage *u, uint64_t now) {
    const struct interface_usage *first = NULL;
    struct json *list = json_array();

    for (size_t i = 0; i < u->n; i++) {
        if (!first || strcmp(u->interfaces[i].name, "eth0") == 0)
            first = &u->interfaces[i];
        json_append(&list, interface_doc(&u->interfaces[i]));
    }
    if (!first) {
        json_unref(list);
        return;
    }
    struct json *network = interface_doc(first);
    set_time(&network, "time", now);
    json_set(&network, "interfaces", list);
    json_set(o, "network", network);
}

static struct json *disk_doc(const struct disk_space *d, uint64_t now) {
    struct json *o = json_object();

    set_time(&o, "time", now);
    set_count(&o, "availableBytes", d->available);
    set_count(&o, "capacityBytes", d->capacity);
    set_count(&o, "usedBytes", d->capacity - d->available);
    set_count(&o, "inodesFree", d->inodes_free);
    set_count(&o, "inodes", d->inodes);
    set_count(&o, "inodesUsed", d->inodes - d->inodes_free);
    return o;
}

static struct json *container_doc(const struct container_usage *c, uint64_t now) {
    struct json *o = json_object();

    json_set(&o, "name", json_string(c->name));
    set_time(&o, "startTime", c->started);
    put_usage(&o, &c->usage, now, below_limit(&c->usage));
    return o;
}

static struct json *pod_doc(const struct pod_usage *p, uint64_t now) {
    struct json *o = json_object(), *containers = json_array();

    json_set_path(&o, json_string(p->name), "podRef", "name");
    json_set_path(&o, json_string(p->ns), "podRef", "namespace");
    json_set_path(&o, json_string(p->uid), "podRef", "uid");
    set_time(&o, "startTime", p->started);
    for (size_t i = 0; i < p->n_containers; i++)
        if (p->containers[i].running)
            json_append(&containers, container_doc(&p->containers[i], now));
    json_set(&o, "containers", containers);
    put_usage(&o, &p->usage, now, below_limit(&p->usage));
    put_network(&o, &p->network, now);
    if (p->usage.has_processes)
        json_set_path(&o, json_int((int64_t) p->usage.processes), "process_stats", "process_count");
    return o;
}

static struct json *node_doc(const struct node_usage *u) {
    struct json *o = json_object();

    json_set(&o, "nodeName", json_string(u->name));
    set_time(&o, "startTime", u->booted);
    put_usage(&o, &u->usage, u->now, u->memory_available);
    put_network(&o, &u->network, u->now);
    if (u->disk.known) { /* pods and images share it */
        json_set(&o, "fs", disk_doc(&u->disk, u->now));
        json_set_path(&o, disk_doc(&u->disk, u->now), "runtime", "imageFs");
    }
    if (u->usage.has_processes && u->processes_max > 0) {
        struct json *limit = json_object();
        set_time(&limit, "time", u->now);
        set_count(&limit, "maxpid", u->processes_max);
        set_count(&limit, "curproc", u->usage.processes);
        json_set(&o, "rlimit", limit);
    }
    return o;
}

struct json *summary_make(const struct node_usage *u) {
    struct json *o = json_object(), *pods = json_array();

    json_set(&o, "node", node_doc(u));
    for (size_t i = 0; i < u->n_pods; i++)
        if (u->pods[i].running)
            json_append(&pods, pod_doc(&u->pods[i], u->now));
    json_set(&o, "pods", pods);
    return o;
}
