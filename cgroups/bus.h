/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of D-Bus as it takes to ask systemd for a scope. A library for it would have to be found and opened at run
 * time, which a program that is linked statically cannot do.
 *
 * What it is. One connection for some calls: to the bus daemon, or to the service itself where there is none. Calls
 * wait for their answer; of what else arrives only the ends of systemd's jobs are kept.
 *
 * Invariants. Messages are in the machine's own byte order, those of others are refused; not larger than
 * BUS_MESSAGE_MAX. Strings given are valid UTF-8 (they come from parsed JSON).
 *
 * Ownership. struct bus and the bodies are the caller's memory: finish() releases what is in them.
 * Errors. -ENOTSUP nobody can be reached; -ETIMEDOUT; -EPROTO what arrives makes no sense; -EREMOTEIO the answer is an
 * error, whose name and text are in the reply.
 * Source: the D-Bus specification 0.38.
 */
#ifndef PODIUM_CGROUPS_BUS_H
#define PODIUM_CGROUPS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

#define BUS_MESSAGE_MAX (1u << 20)

struct bus {
    int fd;
    bool direct; /* to systemd itself: no daemon between */
    uint32_t serial;
    char **jobs; /* job, result, job, result … of those that have ended */
};
#define BUS_INIT                                                                                                       \
    { -1, false, 0, NULL }

/* What a call carries. Arrays and variants nest: begin returns where, end wants it. */
struct bus_body {
    struct strbuf data;
    const char *signature;
};
#define BUS_BODY_INIT(s)                                                                                               \
    { STRBUF_INIT, (s) }
void bus_put_u8(struct bus_body *b, uint8_t v);
void bus_put_u32(struct bus_body *b, uint32_t v); /* u, i, b */
void bus_put_u64(struct bus_body *b, uint64_t v); /* t, x */
void bus_put_string(struct bus_body *b, const char *s);
void bus_put_variant(struct bus_body *b, const char *signature); /* its value follows */
void bus_put_struct(struct bus_body *b);                         /* its members follow */
/* align: of the elements; 1, 4 or 8. */
size_t bus_begin_array(struct bus_body *b, size_t align);
void bus_end_array(struct bus_body *b, size_t begin, size_t align);

struct bus_reply {
    char *error; /* the name of the error; NULL: none */
    char *text;  /* the first thing in it, when that is a string or a path; else NULL */
};
void bus_reply_finish(struct bus_reply *r);

/* The system's bus or, without rights, the user's; for root, systemd's own socket when there is no bus. */
int bus_open(struct bus *ret, struct error *err) _must_check_;
void bus_finish(struct bus *bus);
/* Calls a method of the manager object of systemd. */
int bus_call_systemd(struct bus *bus, const char *method, const struct bus_body *body, struct bus_reply *ret,
                     struct error *err) _must_check_;
/* Asks to be told of the ends of jobs; before the call that makes one. */
int bus_watch_jobs(struct bus *bus, struct error *err) _must_check_;
/* Waits for the end of a job; its result ("done"), the caller frees. */
int bus_wait_job(struct bus *bus, const char *job, char **ret, struct error *err) _must_check_;

#endif
