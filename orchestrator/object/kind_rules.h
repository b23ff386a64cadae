/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The semantic rules, one function per type that has some (tables/validation.tsv). validation.c holds the table that
 * says which kind has which. Private to this folder. */
#ifndef PODIUM_OBJECT_KIND_RULES_H
#define PODIUM_OBJECT_KIND_RULES_H

#include "orchestrator/object/places.h"

/* object: the whole document; runs on create and on update of the object itself. */
typedef void (*kind_rule)(struct field_errors *e, const struct json *object);
/* What may not change, or only so. */
typedef void (*kind_update_rule)(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_pod.c, kind_container.c, kind_volume.c, kind_scheduling.c */
void rules_pod(struct field_errors *e, const struct json *object);
void rules_pod_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_pod_create(struct field_errors *e, const struct json *object);
/* Through pods/ephemeralcontainers. */
void rules_pod_ephemeral_update(struct field_errors *e, const struct json *object, const struct json *old);
/* kind_resize.c */
/* resizePolicy of a container at that place. */
void rules_resize_policy(struct field_errors *e, const struct place *container_at, const struct json *container,
                         const struct json *pod_spec);
/* Through pods/resize. */
void rules_pod_resize(struct field_errors *e, const struct json *object, const struct json *old);
void rules_pod_template_object(struct field_errors *e, const struct json *object);
void rules_pod_status_update(struct field_errors *e, const struct json *object, const struct json *old);
/* pod_name: NULL in templates: some rules are for pods only. */
void rules_pod_spec(struct field_errors *e, const struct place *at, const struct json *spec, const char *pod_name);
void rules_pod_template(struct field_errors *e, const struct place *at, const struct json *template);
/* at: the pod's spec; volumes: as rules_volumes() gives them (kind_pod.h). */
void rules_containers(struct field_errors *e, const struct place *at, const struct json *spec,
                      const struct hashmap *volumes, bool in_template);
void rules_scheduling(struct field_errors *e, const struct place *at, const struct json *spec);
/* A NodeSelector, which must not be empty. */
void rules_node_selector(struct field_errors *e, const struct place *at, const struct json *selector);
/* at: the pod's spec. */
void rules_tolerations(struct field_errors *e, const struct place *at, const struct json *list);
void rules_taints(struct field_errors *e, const struct place *at, const struct json *taints);

/* kind_volume.c */
/* One source of a volume (a pod's, or a PersistentVolume's) at the volume's place. */
void rules_volume_source(struct field_errors *e, const struct place *at, const char *kind, const struct json *source);
void rules_csi_driver(struct field_errors *e, const struct place *at, const char *name);

/* kind_workload.c, kind_job.c */
void rules_replication_controller_status(struct field_errors *e, const struct json *object, const struct json *old);
void rules_replication_controller(struct field_errors *e, const struct json *object);
void rules_replica_set(struct field_errors *e, const struct json *object);
void rules_deployment(struct field_errors *e, const struct json *object);
void rules_deployment_status(struct field_errors *e, const struct json *object, const struct json *old);
void rules_daemon_set(struct field_errors *e, const struct json *object);
void rules_stateful_set(struct field_errors *e, const struct json *object);
void rules_stateful_set_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_selector_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_job(struct field_errors *e, const struct json *object);
void rules_job_update(struct field_errors *e, const struct json *object, const struct json *old);
/* At submission: the selector is the generated one, and pods can be named. */
void rules_job_create(struct field_errors *e, const struct json *object);
void rules_job_status(struct field_errors *e, const struct json *object, const struct json *old);
/* kind_schedule.c: five fields of cron, or "@hourly" and the like; at says where. */
void rules_schedule(struct field_errors *e, const struct place *at, const char *schedule);
void rules_cron_job(struct field_errors *e, const struct json *object);
void rules_disruption_budget_status(struct field_errors *e, const struct json *object, const struct json *old);
void rules_disruption_budget(struct field_errors *e, const struct json *object);

/* kind_config.c */
void rules_config_map(struct field_errors *e, const struct json *object);
void rules_config_map_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_secret(struct field_errors *e, const struct json *object);
void rules_secret_update(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_quota.c */
void rules_limit_range(struct field_errors *e, const struct json *object);
void rules_resource_quota(struct field_errors *e, const struct json *object);
void rules_resource_quota_update(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_cluster.c */
void rules_namespace(struct field_errors *e, const struct json *object);
void rules_node(struct field_errors *e, const struct json *object);
void rules_node_status(struct field_errors *e, const struct json *object, const struct json *old);
void rules_namespace_status(struct field_errors *e, const struct json *object, const struct json *old);
void rules_node_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_event(struct field_errors *e, const struct json *object);
void rules_lease(struct field_errors *e, const struct json *object);
void rules_binding(struct field_errors *e, const struct json *object);
void rules_scale(struct field_errors *e, const struct json *object);
void rules_priority_class(struct field_errors *e, const struct json *object);
void rules_priority_class_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_controller_revision(struct field_errors *e, const struct json *object);
void rules_controller_revision_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_runtime_class_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_runtime_class(struct field_errors *e, const struct json *object);

/* kind_service.c, kind_network.c */
/* An IP address traffic can be sent to from everywhere: none that is special to its host or link. */
void rules_reachable_address(struct field_errors *e, const struct place *at, const char *ip);
void rules_service(struct field_errors *e, const struct json *object);
void rules_service_status(struct field_errors *e, const struct json *object);
void rules_service_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_endpoints(struct field_errors *e, const struct json *object);
void rules_endpoint_slice(struct field_errors *e, const struct json *object);
void rules_endpoint_slice_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_ingress_create(struct field_errors *e, const struct json *object);
void rules_ingress_class(struct field_errors *e, const struct json *object);
void rules_ingress_class_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_ingress(struct field_errors *e, const struct json *object);
void rules_network_policy(struct field_errors *e, const struct json *object);

/* kind_autoscaling.c, kind_events.c */
void rules_pod_autoscaler(struct field_errors *e, const struct json *object);
void rules_events_event_create(struct field_errors *e, const struct json *object);
void rules_events_event_update(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_webhook.c */
void rules_webhook_configuration(struct field_errors *e, const struct json *object);
void rules_api_service(struct field_errors *e, const struct json *object);

/* kind_definition.c */
void rules_resource_definition(struct field_errors *e, const struct json *object);
void rules_resource_definition_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_resource_definition_status(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_rbac.c */
void rules_role(struct field_errors *e, const struct json *object);
void rules_cluster_role(struct field_errors *e, const struct json *object);
void rules_role_binding(struct field_errors *e, const struct json *object);
void rules_role_ref_update(struct field_errors *e, const struct json *object, const struct json *old);

/* kind_certificates.c */
void rules_signer_name(struct field_errors *e, const struct place *at, const char *name);
void rules_certificate_request(struct field_errors *e, const struct json *object);
/* subresource: NULL, "status" or "approval". */
void rules_certificate_request_update(struct field_errors *e, const char *subresource, const struct json *object,
                                      const struct json *old);

/* kind_storage.c */
void rules_persistent_volume_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_claim_spec(struct field_errors *e, const struct place *at, const struct json *spec);
void rules_persistent_volume(struct field_errors *e, const struct json *object);
void rules_persistent_volume_claim(struct field_errors *e, const struct json *object);
void rules_persistent_volume_claim_update(struct field_errors *e, const struct json *object, const struct json *old);
void rules_storage_class(struct field_errors *e, const struct json *object);
void rules_storage_class_update(struct field_errors *e, const struct json *object, const struct json *old);

#endif
