/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is used, in the forms that readers of kubelets know. Pure: no clock, no files.
 * Sources: k8s.io/kubelet stats/v1alpha1 (Summary), the kubelet's resource metrics collector, the Prometheus text
 * format 0.0.4.
 */
#ifndef PODIUM_AGENT_REPORTS_H
#define PODIUM_AGENT_REPORTS_H

#include "orchestrator/agent/queries/usage.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* /stats/summary. Rates (usageNanoCores) are left out: they would need two looks. The caller unrefs. */
struct json *summary_make(const struct node_usage *u);
/* /metrics/resource, what metrics-server reads. */
void metrics_write_resources(const struct node_usage *u, struct strbuf *out);

/* /metrics/cadvisor: what containers and the node (without labels' values) use, and how long they had to wait. The
 * names are cAdvisor's; those of pressure came with 0.52 (Kubernetes 1.33). */
void metrics_write_containers(const struct node_usage *u, struct strbuf *out);

struct agent_counts {
    uint64_t pulls, failed_pulls; /* since the agent started */
    uint64_t cpu_usec, resident_bytes, open_files;
};
/* /metrics: the agent itself, its pods, containers and their restarts. */
void metrics_write_agent(const struct node_usage *u, const struct agent_counts *counts, struct strbuf *out);

#endif
