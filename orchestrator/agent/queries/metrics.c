/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "orchestrator/agent/queries/reports.h"
#include "podium/base/clock.h"

/* The samples of a metric stand together behind its head, so each metric is a walk of its own. Names of nodes, pods and
 * containers are DNS labels: nothing in them needs escaping. */

static void head(struct strbuf *b, const char *name, const char *type, const char *help) {
    strbuf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct strbuf *b, const char *name, const char *type, const char *help, double value) {
    head(b, name, type, help);
    strbuf_addf(b, "%s %.16g\n", name, value);
}

static double seconds(uint64_t usec) {
    return (double) usec / (double) USEC_PER_SEC;
}

static bool has_cpu(const struct usage *u, double *ret) {
    *ret = seconds(u->cpu_usec);
    return u->has_cpu;
}

static bool has_memory(const struct usage *u, double *ret) {
    *ret = (double) u->working_set;
    return u->has_memory;
}

struct measure {
    const char *name, *type, *what;
    bool (*get)(const struct usage *u, double *ret);
};
static const struct measure measures[] = {
    {"cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in core-seconds", has_cpu},
    {"memory_working_set_bytes", "gauge", "Current working set in bytes", has_memory},
};

static bool has_usage(const struct usage *u, double *ret) {
    *ret = (double) u->memory;
    return u->has_memory;
}

static bool has_rss(const struct usage *u, double *ret) {
    *ret = (double) u->rss;
    return u->has_memory;
}

#define PRESSURE(resource, kind)                                                                                       \
    static bool has_##resource##_##kind(const struct usage *u, double *ret) {                                          \
        *ret = seconds(u->resource##_pressure.kind##_usec);                                                            \
        return u->resource##_pressure.known;                                                                           \
    }
PRESSURE(cpu, some)
PRESSURE(cpu, full)
PRESSURE(memory, some)
PRESSURE(memory, full)
PRESSURE(io, some)
PRESSURE(io, full)

#define WAITING(what) "Total time duration tasks in the container have waited due to " what
#define STALLED(what) "Total time duration no tasks in the container could make progress due to " what
static const struct measure container_measures[] = {
    {"cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds", has_cpu},
    {"memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory", has_usage},
    {"memory_working_set_bytes", "gauge", "Current working set in bytes", has_memory},
    {"memory_rss", "gauge", "Size of RSS in bytes", has_rss},
    {"pressure_cpu_waiting_seconds_total", "counter", WAITING("CPU congestion"), has_cpu_some},
    {"pressure_cpu_stalled_seconds_total", "counter", STALLED("CPU congestion"), has_cpu_full},
    {"pressure_memory_waiting_seconds_total", "counter", WAITING("memory congestion"), has_memory_some},
    {"pressure_memory_stalled_seconds_total", "counter", STALLED("memory congestion"), has_memory_full},
    {"pressure_io_waiting_seconds_total", "counter", WAITING("IO congestion"), has_io_some},
    {"pressure_io_stalled_seconds_total", "counter", STALLED("IO congestion"), has_io_full},
};

static void write_containers(const struct node_usage *u, const struct measure *m, struct strbuf *b) {
    double v;

    strbuf_addf(b, "# HELP container_%s %s\n# TYPE container_%s %s\n", m->name, m->what, m->name, m->type);
    for (size_t i = 0; i < u->n_pods; i++)
        for (size_t k = 0; k < u->pods[i].n_containers; k++)
            if (m->get(&u->pods[i].containers[k].usage, &v))
                strbuf_addf(b, "container_%s{container=\"%s\",namespace=\"%s\",pod=\"%s\"} %.16g %llu\n", m->name,
                            u->pods[i].containers[k].name, u->pods[i].ns, u->pods[i].name, v, u->now / USEC_PER_MSEC);
}

static void write_pods(const struct node_usage *u, const struct measure *m, struct strbuf *b) {
    double v;

    strbuf_addf(b, "# HELP pod_%s %s\n# TYPE pod_%s %s\n", m->name, m->what, m->name, m->type);
    for (size_t i = 0; i < u->n_pods; i++)
        if (m->get(&u->pods[i].usage, &v))
            strbuf_addf(b, "pod_%s{namespace=\"%s\",pod=\"%s\"} %.16g %llu\n", m->name, u->pods[i].ns, u->pods[i].name,
                        v, u->now / USEC_PER_MSEC);
}

void metrics_write_resources(const struct node_usage *u, struct strbuf *b) {
    double v;

    for (const struct measure *m = measures; m < measures + sizeof(measures) / sizeof(*measures); m++) {
        write_containers(u, m, b);
        write_pods(u, m, b);
        strbuf_addf(b, "# HELP node_%s %s\n# TYPE node_%s %s\n", m->name, m->what, m->name, m->type);
        if (m->get(&u->usage, &v))
            strbuf_addf(b, "node_%s %.16g %llu\n", m->name, v, u->now / USEC_PER_MSEC);
    }
    head(b, "container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds");
    for (size_t i = 0; i < u->n_pods; i++)
        for (size_t k = 0; k < u->pods[i].n_containers; k++)
            if (u->pods[i].containers[k].running)
                strbuf_addf(b, "container_start_time_seconds{container=\"%s\",namespace=\"%s\",pod=\"%s\"} %.16g\n",
                            u->pods[i].containers[k].name, u->pods[i].ns, u->pods[i].name,
                            seconds(u->pods[i].containers[k].started));
    sample(b, "scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise", 0);
    sample(b, "resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise",
           0);
}

void metrics_write_containers(const struct node_usage *u, struct strbuf *b) {
    double v;

    for (size_t i = 0; i < sizeof(container_measures) / sizeof(*container_measures); i++) {
        const struct measure *m = &container_measures[i];
        write_containers(u, m, b);
        if (m->get(&u->usage, &v))
            strbuf_addf(b, "container_%s{container=\"\",namespace=\"\",pod=\"\"} %.16g %llu\n", m->name, v,
                        u->now / USEC_PER_MSEC);
    }
}

static void write_pod_counts(const struct node_usage *u, struct strbuf *b) {
    size_t pods = 0, running = 0, others = 0;

    for (size_t i = 0; i < u->n_pods; i++) {
        pods += u->pods[i].running;
        for (size_t k = 0; k < u->pods[i].n_containers; k++)
            *(u->pods[i].containers[k].running ? &running : &others) += 1;
    }
    sample(b, "kubelet_running_pods", "gauge", "Number of pods that have a running unit", (double) pods);
    head(b, "kubelet_running_containers", "gauge", "Number of containers by state");
    strbuf_addf(b,
                "kubelet_running_containers{container_state=\"running\"} %zu\n"
                "kubelet_running_containers{container_state=\"exited\"} %zu\n",
                running, others);
}

void metrics_write_agent(const struct node_usage *u, const struct agent_counts *c, struct strbuf *b) {
    head(b, "kubelet_node_name", "gauge", "The node's name. The count is always 1.");
    strbuf_addf(b, "kubelet_node_name{node=\"%s\"} 1\n", u->name);
    write_pod_counts(u, b);
    head(b, "podium_container_restarts_total", "counter", "Restarts of a container since its pod was started");
    for (size_t i = 0; i < u->n_pods; i++)
        for (size_t k = 0; k < u->pods[i].n_containers; k++)
            strbuf_addf(b, "podium_container_restarts_total{container=\"%s\",namespace=\"%s\",pod=\"%s\"} %u\n",
                        u->pods[i].containers[k].name, u->pods[i].ns, u->pods[i].name,
                        u->pods[i].containers[k].restarts);
    head(b, "kubelet_runtime_operations_total", "counter", "Cumulative number of runtime operations by operation type");
    strbuf_addf(b, "kubelet_runtime_operations_total{operation_type=\"pull_image\"} %" PRIu64 "\n", c->pulls);
    head(b, "kubelet_runtime_operations_errors_total", "counter",
         "Cumulative number of runtime operation errors by operation type");
    strbuf_addf(b, "kubelet_runtime_operations_errors_total{operation_type=\"pull_image\"} %" PRIu64 "\n",
                c->failed_pulls);
    sample(b, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds",
           seconds(c->cpu_usec));
    sample(b, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes", (double) c->resident_bytes);
    sample(b, "process_open_fds", "gauge", "Number of open file descriptors", (double) c->open_files);
}
