/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources: config.md "Linux Process", config-linux.md; sched_setattr(2), ioprio_set(2), set_mempolicy(2). */
#include "runtime/spec/tuning.h"

#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/personality.h>

#include "podium/base/alloc.h"
#include "runtime/spec/field.h"

struct named {
    const char *name;
    uint64_t value;
};

static const struct named *find(const struct named *table, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* A required word of a table. */
static int parse_word(const struct json *o, const char *where, const char *key, const struct named *table, size_t n,
                      uint64_t *ret, struct error *err) {
    _cleanup_free_ char *word = NULL;
    int r = field_string(o, where, key, &word, err);

    if (r < 0)
        return r;
    if (!word)
        return field_error(err, where, key, "is missing");
    const struct named *found = find(table, n, word);
    if (!found)
        return error_set(err, -EINVAL, "config: %s.%s: %s is not known", where, key, word);
    *ret = found->value;
    return 0;
}

/* An array of words, or-ed together. */
static int parse_flags(const struct json *o, const char *where, const struct named *table, size_t n, uint64_t *ret,
                       struct error *err) {
    _cleanup_strv_ char **words = NULL;
    int r = field_strv(o, where, "flags", &words, err);

    if (r < 0)
        return r;
    for (size_t i = 0; words && words[i]; i++) {
        const struct named *found = find(table, n, words[i]);

        if (!found)
            return error_set(err, -EINVAL, "config: %s.flags: %s is not known", where, words[i]);
        *ret |= found->value;
    }
    return 0;
}

/* "0-3,7" -> bits; false when it is no such list. */
static bool parse_list(const char *text, unsigned long *bits, size_t n_bits) {
    const size_t word = 8 * sizeof(*bits);

    for (const char *p = text;;) {
        char *end;
        if (*p < '0' || *p > '9')
            return false;
        unsigned long first = strtoul(p, &end, 10), last = first;
        if (*end == '-') {
            p = end + 1;
            if (*p < '0' || *p > '9')
                return false;
            last = strtoul(p, &end, 10);
        }
        if (last < first || last >= n_bits)
            return false;
        for (unsigned long i = first; i <= last; i++)
            bits[i / word] |= 1UL << (i % word);
        if (!*end)
            return true;
        if (*end != ',')
            return false;
        p = end + 1;
    }
}

static int parse_scheduler(const struct json *process, struct spec_scheduler *s, struct error *err) {
    static const char where[] = "process.scheduler";
    static const struct named policies[] = {
        {"SCHED_OTHER", SCHED_NORMAL}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR},
        {"SCHED_BATCH", SCHED_BATCH},  {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", SCHED_DEADLINE},
    };
    static const struct named flags[] = {
        {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
        {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
        {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
        {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
        {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
        {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
        {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
    };
    const struct json *o;
    uint64_t policy = 0;
    int64_t nice_value = 0, priority = 0;
    int r = field_object(process, "process", "scheduler", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    if ((r = parse_word(o, where, "policy", policies, ARRAY_LEN(policies), &policy, err)) < 0 ||
        (r = parse_flags(o, where, flags, ARRAY_LEN(flags), &s->flags, err)) < 0 ||
        (r = field_i64(o, where, "nice", -20, 19, &nice_value, err)) < 0 ||
        (r = field_i64(o, where, "priority", 0, 99, &priority, err)) < 0 ||
        (r = field_u64(o, where, "runtime", UINT64_MAX, &s->runtime, err)) < 0 ||
        (r = field_u64(o, where, "deadline", UINT64_MAX, &s->deadline, err)) < 0 ||
        (r = field_u64(o, where, "period", UINT64_MAX, &s->period, err)) < 0)
        return r;
    s->policy = (uint32_t) policy;
    s->nice = (int32_t) nice_value;
    s->priority = (uint32_t) priority;
    s->present = true;
    /* the kernel would pass over what does not belong to the policy: better to be told */
    if (priority != 0 && policy != SCHED_FIFO && policy != SCHED_RR)
        return field_error(err, where, "priority", "needs SCHED_FIFO or SCHED_RR");
    if (nice_value != 0 && policy != SCHED_NORMAL && policy != SCHED_BATCH)
        return field_error(err, where, "nice", "needs SCHED_OTHER or SCHED_BATCH");
    if ((s->runtime || s->deadline || s->period) && policy != SCHED_DEADLINE)
        return field_error(err, where, "runtime, deadline, period", "need SCHED_DEADLINE");
    return 0;
}

static int parse_io_priority(const struct json *process, struct spec_process *p, struct error *err) {
    static const char where[] = "process.ioPriority";
    static const struct named classes[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                                           {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                                           {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE}};
    const struct json *o;
    uint64_t class = 0;
    int64_t level = 0;
    int r = field_object(process, "process", "ioPriority", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    if ((r = parse_word(o, where, "class", classes, ARRAY_LEN(classes), &class, err)) < 0 ||
        (r = field_i64(o, where, "priority", 0, 7, &level, err)) < 0)
        return r;
    p->has_io_priority = true;
    p->io_priority = (int) ((class << IOPRIO_CLASS_SHIFT) | (uint64_t) level);
    return 0;
}

static int parse_cpus(const struct json *o, const char *key, cpu_set_t **ret, struct error *err) {
    _cleanup_free_ char *text = NULL;
    int r = field_string(o, "process.execCPUAffinity", key, &text, err);

    if (r < 0 || !text)
        return r;
    *ret = xcalloc(1, sizeof(**ret));
    if (!parse_list(text, (unsigned long *) *ret, CPU_SETSIZE))
        return field_error(err, "process.execCPUAffinity", key, "must be a list of processors like 0-3,7");
    return 0;
}

int tuning_parse_process(const struct json *process, struct spec_process *p, struct error *err) {
    const struct json *affinity;
    int r;

    if ((r = parse_scheduler(process, &p->scheduler, err)) < 0 || (r = parse_io_priority(process, p, err)) < 0 ||
        (r = field_object(process, "process", "execCPUAffinity", &affinity, err)) < 0 ||
        (r = parse_cpus(affinity, "initial", &p->exec_cpus_initial, err)) < 0)
        return r;
    return parse_cpus(affinity, "final", &p->exec_cpus_final, err);
}

static int parse_personality(const struct json *section, struct spec *spec, struct error *err) {
    static const struct named domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
    static const char *const reserved[] = {"flags", NULL};
    const struct json *o;
    uint64_t domain = 0;
    int r = field_object(section, "linux", "personality", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    if ((r = field_refuse(o, "linux.personality", reserved, err)) < 0 ||
        (r = parse_word(o, "linux.personality", "domain", domains, ARRAY_LEN(domains), &domain, err)) < 0)
        return r;
    spec->has_personality = true;
    spec->personality = (unsigned long) domain;
    return 0;
}

static int parse_memory_policy(const struct json *section, struct spec *spec, struct error *err) {
    static const char where[] = "linux.memoryPolicy";
    static const struct named modes[] = {
        {"MPOL_DEFAULT", MPOL_DEFAULT},
        {"MPOL_PREFERRED", MPOL_PREFERRED},
        {"MPOL_BIND", MPOL_BIND},
        {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
        {"MPOL_LOCAL", MPOL_LOCAL},
        {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
        {"MPOL_WEIGHTED_INTERLEAVE", 6 /* newer than some headers */},
    };
    static const struct named flags[] = {{"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
                                         {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
                                         {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING}};
    _cleanup_free_ char *nodes = NULL;
    const struct json *o;
    uint64_t mode = 0, bits = 0;
    int r = field_object(section, "linux", "memoryPolicy", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    if ((r = parse_word(o, where, "mode", modes, ARRAY_LEN(modes), &mode, err)) < 0 ||
        (r = parse_flags(o, where, flags, ARRAY_LEN(flags), &bits, err)) < 0 ||
        (r = field_string(o, where, "nodes", &nodes, err)) < 0)
        return r;
    struct spec_memory_policy *m = spec->memory_policy = xnew0(struct spec_memory_policy);
    m->mode = (int) (mode | bits);
    if (nodes && !parse_list(nodes, m->nodes, SPEC_MEMORY_NODES_MAX))
        return field_error(err, where, "nodes", "must be a list of memory nodes like 0-1,3");
    return 0;
}

static int parse_offset(const struct json *offsets, const char *clock, int64_t *ret_sec, uint32_t *ret_nsec,
                        struct error *err) {
    _cleanup_free_ char *where = xasprintf("linux.timeOffsets.%s", clock);
    const struct json *o;
    uint64_t nsec = 0;
    int r = field_object(offsets, "linux.timeOffsets", clock, &o, err);

    if (r < 0 || (r = field_i64(o, where, "secs", INT64_MIN, INT64_MAX, ret_sec, err)) < 0 ||
        (r = field_u64(o, where, "nanosecs", 999999999, &nsec, err)) < 0)
        return r;
    *ret_nsec = (uint32_t) nsec;
    return 0;
}

static int parse_time_offsets(const struct json *section, struct spec *spec, struct error *err) {
    const struct json *o;
    int r = field_object(section, "linux", "timeOffsets", &o, err);

    if (r < 0 || json_len(o) == 0)
        return r;
    for (size_t i = 0; i < json_len(o); i++)
        if (strcmp(json_key_at(o, i), "monotonic") != 0 && strcmp(json_key_at(o, i), "boottime") != 0)
            return field_error(err, "linux.timeOffsets", json_key_at(o, i), "is no clock that can be shifted");
    if (!spec->namespaces[SPEC_NS_TIME].present || spec->namespaces[SPEC_NS_TIME].path)
        return field_error(err, "linux", "timeOffsets", "need a new time namespace in linux.namespaces");
    struct spec_time_offsets *t = spec->time_offsets = xnew0(struct spec_time_offsets);
    if ((r = parse_offset(o, "monotonic", &t->monotonic_sec, &t->monotonic_nsec, err)) < 0)
        return r;
    return parse_offset(o, "boottime", &t->boottime_sec, &t->boottime_nsec, err);
}

int tuning_parse_linux(const struct json *section, struct spec *spec, struct error *err) {
    int r;

    if ((r = parse_personality(section, spec, err)) < 0 || (r = parse_memory_policy(section, spec, err)) < 0)
        return r;
    return parse_time_offsets(section, spec, err);
}
