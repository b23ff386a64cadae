/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptions of objects for people, laid out as kubectl's.
 *
 * What it is. Pure functions from documents to text with tabs (tabs.h aligns it). The time of day is an argument, so
 * that a canned object gives a known text.
 */
#ifndef PODIUM_CLI_DESCRIBE_DESCRIBE_H
#define PODIUM_CLI_DESCRIBE_DESCRIBE_H

#include <stdint.h>

#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct described {
    const struct json *object;
    const struct json *events;  /* array; NULL: could not be read */
    const struct json *related; /* array: a node's pods, a deployment's replica sets, a service's slices; may be NULL */
    uint64_t now_usec;
};

typedef void (*describe_fn)(const struct described *d, struct strbuf *out);
/* By kind; a generic description for kinds that have no own. */
describe_fn describe_for_kind(const char *kind);
/* The aligned text. */
void describe(const struct described *d, struct strbuf *out);

void describe_pod(const struct described *d, struct strbuf *out);
void describe_node(const struct described *d, struct strbuf *out);
void describe_deployment(const struct described *d, struct strbuf *out);
void describe_replicaset(const struct described *d, struct strbuf *out);
void describe_service(const struct described *d, struct strbuf *out);
void describe_configmap(const struct described *d, struct strbuf *out);
void describe_secret(const struct described *d, struct strbuf *out);
void describe_namespace(const struct described *d, struct strbuf *out);
void describe_generic(const struct described *d, struct strbuf *out);

/* --- pieces they share --- */
/* "Labels:\ta=b\n\tc=d\n" or "Labels:\t<none>\n". */
void describe_map(const char *title, const struct json *map, const char *sign, struct strbuf *out);
void describe_metadata(const struct json *object, bool with_namespace, struct strbuf *out);
void describe_events(const struct described *d, struct strbuf *out);
void describe_conditions(const struct json *conditions, bool reasons, struct strbuf *out);
/* Containers of a pod or template; statuses may be NULL. */
void describe_containers(const char *title, const struct json *list, const struct json *statuses, const char *indent,
                         struct strbuf *out);
void describe_volumes(const struct json *volumes, const char *indent, struct strbuf *out);
void describe_template(const struct json *pod_template, struct strbuf *out);
/* "5m" since an RFC 3339 time, "<unknown>" without one. Static storage of the caller: buf has TIMESTAMP_SIZE bytes. */
const char *describe_age(const char *since, uint64_t now_usec, char *buf);
/* RFC 1123 as kubectl prints times; "" for none. */
const char *describe_time(const char *rfc3339, char buf[40]);

#endif
